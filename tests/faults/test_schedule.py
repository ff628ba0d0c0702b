"""The laboratory's schedule: a seed's own, each kind as often as any other, and all of it inside the traffic."""

from collections import Counter

import pytest

from tests.faults.schedule import KINDS, LINES_PER_FAULT, NEEDS_THREE, schedule


@pytest.mark.parametrize("brokers", [1, 3])
def test_a_seed_has_one_schedule_and_another_seed_another(brokers: int) -> None:
    assert schedule(1, 40, brokers, 2) == schedule(1, 40, brokers, 2)
    assert schedule(1, 40, brokers, 2) != schedule(2, 40, brokers, 2)
    assert schedule(1, 40, brokers, 2)[:12] != schedule(1, 40, brokers, 2)[12:24]


def test_every_kind_comes_before_any_comes_again() -> None:
    for brokers, kinds in ((3, set(KINDS)), (1, set(KINDS) - NEEDS_THREE)):
        faults = schedule(7, 20 * len(kinds), brokers, 2)
        assert Counter(fault.kind for fault in faults) == dict.fromkeys(kinds, 20)
        assert {fault.kind for fault in faults[: len(kinds)]} == kinds


def test_each_fault_has_a_target_that_exists_and_lands_in_its_own_stretch_of_the_traffic() -> None:
    for fault in schedule(3, 200, 3, 2):
        assert fault.number * LINES_PER_FAULT < fault.line < (fault.number + 1) * LINES_PER_FAULT
        assert 0 <= fault.target < (2 if "worker" in fault.kind else 3)
        assert 1 <= fault.lasts_s <= 9
