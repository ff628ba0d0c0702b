"""What becomes of what was due before now, and when a timer counts as late at all."""

import pytest

from journeys.overdue import OverdueRule, decision_time, treatment
from schemas.definitions import OnOverdue


@pytest.mark.parametrize(
    ("asked", "late", "done"),
    [
        ("send", 100, "send"), ("send", 101, "skip"),
        ("skip", 1, "skip"), ("reschedule", 10_000, "reschedule"), ("exit", 10_000, "exit"),
    ],
)  # fmt: skip
def test_only_sending_late_has_an_end(asked: OnOverdue, late: int, done: OnOverdue) -> None:
    assert treatment(OverdueRule(on_overdue=asked, grace_ms=100), 5_000, 5_000 + late) == done


@pytest.mark.parametrize(
    ("appended", "now"),
    [
        (None, 5_000),
        (5_000 + 60_000, 5_000),
        (5_001 + 60_000, 5_001 + 60_000),
        (4_000, 5_000),
    ],
)
def test_a_timer_is_decided_at_its_instant_unless_time_came_by_more_than_a_minute_later(
    appended: int | None, now: int
) -> None:
    """In the log's own clock, where nothing is late, always at its instant."""
    assert decision_time(5_000, appended) == now
