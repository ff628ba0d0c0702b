"""Settings of all tests."""

import pytest
from hypothesis import HealthCheck, settings

# The machine is shared and noisy: how long an example, or drawing it, took says nothing about either.
settings.register_profile("tidings", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("tidings")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make spoilt` ask for all 10,000 files."""
    parser.addoption("--spoilt", type=int, default=300, metavar="N", help="how many spoilt definition files to try")


@pytest.fixture
def spoilt_cases(request: pytest.FixtureRequest) -> int:
    """Return how many spoilt definition files to try."""
    cases: int = request.config.getoption("--spoilt")
    return cases
