"""Settings of the laws that are tried on generated worlds."""

from pathlib import Path

import pytest

TIMEOUT_S = 900
"""Longer than the five minutes after which a failing example isn't made smaller any more, or the failure stays hidden."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the laws their time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
