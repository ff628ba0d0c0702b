"""Settings of all tests.

The worlds that `make test` tries are the same each time, so that what fails is what was changed; `make laws` tries
others, and prints the seed that brings them back.
"""

import sys

import pytest
from hypothesis import HealthCheck, settings

# The machine is shared and noisy: how long an example, or drawing it, took says nothing about either.
settings.register_profile(
    "tidings", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True, derandomize=True
)
settings.register_profile("other-worlds", settings.get_profile("tidings"), derandomize=False)
settings.load_profile("tidings")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make spoilt` ask for all 10,000 files."""
    parser.addoption("--spoilt", type=int, default=300, metavar="N", help="how many spoilt definition files to try")
    parser.addoption("--plain", action="store_true", help="test the Python twins of what is compiled")


def pytest_configure(config: pytest.Config) -> None:
    """Hide what is compiled, before anything imports it."""
    if config.getoption("--plain"):
        for name in ("journeys._hot", "schemas._hot"):
            sys.modules[name] = None  # type: ignore[assignment]  # how an import is told that there is none


@pytest.fixture
def spoilt_cases(request: pytest.FixtureRequest) -> int:
    """Return how many spoilt definition files to try."""
    cases: int = request.config.getoption("--spoilt")
    return cases
