"""Garbage in cycles goes in portions, and a portion is never large."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from streams.collecting import LEAST, MOST, OLD_EVERY, Portions, collect_seldom


class _Node:
    """Refers to itself, so that only a look for cycles ends it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_in_a_worker() -> Iterator[None]:
    thresholds = gc.get_threshold()
    collect_seldom()
    gc.collect()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def _cycles(count: int) -> weakref.ref[_Node]:
    nodes = [_Node() for _ in range(count)]
    return weakref.ref(nodes[0])


def test_a_portion_takes_cycles_that_nobody_holds() -> None:
    node = _cycles(LEAST + 500)
    Portions().take()
    assert node() is None


@pytest.mark.parametrize("count", [LEAST // 4, MOST])
def test_what_is_too_little_or_a_backlog_is_left_alone(count: int) -> None:
    node = _cycles(count)
    Portions().take()
    assert node() is not None


def test_what_has_outlived_several_portions_is_not_looked_at_again() -> None:
    portions, before = Portions(), gc.get_freeze_count()
    held: list[list[list[object]]] = []
    for _ in range(OLD_EVERY):
        held.append([[] for _ in range(LEAST + 500)])
        portions.take()
    assert gc.get_freeze_count() - before > OLD_EVERY * LEAST
    assert gc.get_count()[0] < LEAST
