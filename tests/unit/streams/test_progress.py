"""Standing still is noticed when there is something to do, and only then."""

from streams.progress import Progress


def test_a_count_that_stands_still_while_due_is_stuck_since_it_last_grew() -> None:
    """The time runs from the last growth."""
    progress = Progress()
    assert progress.stuck_for_s(5, due=True, now_s=10.0) == 0.0
    assert progress.stuck_for_s(6, due=True, now_s=12.0) == 0.0
    assert progress.stuck_for_s(6, due=True, now_s=15.0) == 3.0


def test_nothing_is_stuck_while_nothing_is_due() -> None:
    """An idle time doesn't count, before or after."""
    progress = Progress()
    progress.stuck_for_s(5, due=True, now_s=10.0)
    assert progress.stuck_for_s(5, due=False, now_s=100.0) == 0.0
    assert progress.stuck_for_s(5, due=True, now_s=101.0) == 1.0
