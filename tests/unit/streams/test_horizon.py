"""By how much our clock is surely wrong, and what follows from it."""

import logging

import pytest

from streams.connection import Connection
from streams.horizon import MOST_APART_MS, STANDSTILL, Horizon, apart_ms


@pytest.mark.parametrize(
    ("sent_at", "appended", "answered_at", "apart"),
    [(100, 100, 100, 0), (100, 150, 200, 0), (100, 201, 200, -1), (100, 99, 200, 1), (5_000, 100, 5_001, 4_900)],
)
def test_a_clock_is_wrong_by_what_lies_outside_of_question_and_answer(
    sent_at: int, appended: int, answered_at: int, apart: int
) -> None:
    assert apart_ms(sent_at, appended, answered_at) == apart


def horizon() -> Horizon:
    made = Horizon(Connection(bootstrap_servers="none:1"), "watermarks", frozenset(), clock=lambda: 0)
    made.read_to = 700
    return made


@pytest.mark.parametrize(
    ("apart", "instant"),
    [
        (None, STANDSTILL),
        (0, 700),
        *[(sign * MOST_APART_MS, 700) for sign in (1, -1)],
        *[(sign * (MOST_APART_MS + 1), STANDSTILL) for sign in (1, -1)],
    ],
)
def test_time_stands_still_where_the_clock_is_wrong_or_wasnt_compared(apart: int | None, instant: int) -> None:
    made = horizon()
    made.apart_ms = apart
    assert made() == instant


def test_it_is_said_once_that_the_clock_is_wrong_and_once_that_it_is_right_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = horizon()
    with caplog.at_level(logging.WARNING, logger="tidings.streams"):
        for found in (0, 2_001, 3_000, -5_000, 100, 0):
            made._note(found)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "2.0 s ahead of the broker's" in caplog.text


def test_where_nobody_has_spoken_time_stands_still() -> None:
    made = horizon()
    made.apart_ms, made.read_to = 0, None
    assert made() == STANDSTILL
