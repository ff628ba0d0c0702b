"""How long records have waited, by the ends of a partition that were seen."""

import pytest

from streams.meters import Place
from tidings.seeing.lag import MOST_ENDS, Waiting

NIGHT = 8 * 3_600_000


def test_where_nothing_waits_there_is_no_lag_however_quiet_it_was() -> None:
    waiting = Waiting()
    assert waiting.seconds(Place(10, handled_at=0), 10, 0, is_live=True) == 0.0
    assert waiting.seconds(Place(10, handled_at=0), 10, NIGHT, is_live=True) == 0.0


@pytest.mark.parametrize("is_live", [True, False])
def test_a_record_that_came_after_a_quiet_night_waits_since_we_looked_last(is_live: bool) -> None:  # noqa: FBT001
    """The record before it is eight hours old, and says nothing."""
    waiting = Waiting()
    waiting.seconds(Place(10, handled_at=0), 10, NIGHT, is_live=is_live)
    assert waiting.seconds(Place(10, handled_at=0), 11, NIGHT + 3_000, is_live=is_live) == 3.0
    assert waiting.seconds(Place(10, handled_at=0), 12, NIGHT + 6_000, is_live=is_live) == 6.0


def test_after_an_outage_the_record_before_says_how_long_they_waited() -> None:
    """Nobody had looked before, and live a record isn't older than the one before it."""
    waiting = Waiting()
    assert waiting.seconds(Place(10, handled_at=1_000), 500, NIGHT, is_live=True) == (NIGHT - 1_000) / 1000


def test_in_the_clock_of_the_log_records_of_1997_are_no_lag_of_years() -> None:
    waiting = Waiting()
    assert waiting.seconds(Place(10, handled_at=-NIGHT), 500, 0, is_live=False) == 0.0
    assert waiting.seconds(Place(400, handled_at=-NIGHT), 500, 2_000, is_live=False) == 2.0


def test_the_lag_shrinks_as_the_position_passes_the_ends_that_were_seen() -> None:
    waiting = Waiting()
    for second in range(10):
        waiting.seconds(Place(0), second * 10, second * 1000, is_live=False)
    assert waiting.seconds(Place(39), 100, 10_000, is_live=False) == 7.0
    assert waiting.seconds(Place(40), 100, 10_000, is_live=False) == 6.0


def test_what_is_remembered_is_bounded() -> None:
    waiting, waited = Waiting(), 0.0
    for second in range(10 * MOST_ENDS):
        waited = waiting.seconds(Place(0), second + 1, second * 1000, is_live=False)
    assert len(waiting._ends) <= MOST_ENDS
    assert waited == 10 * MOST_ENDS - 1
