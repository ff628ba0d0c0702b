"""Libraries that repeat themselves are heard once in a while, with a count."""

import logging

from streams.calm import QUIET_S, OnceInAWhile, set_away


def _line(text: str, at: float) -> logging.LogRecord:
    record = logging.LogRecord("aiokafka", logging.ERROR, "", 0, text, None, None)
    record.created = at
    return record


def test_a_repeated_line_is_let_through_once_in_a_while_and_counted() -> None:
    """Of a thousand equal lines in a second one is seen, and the next one says how many were not."""
    calm = OnceInAWhile()
    seen = [calm.filter(_line("away", 100.0 + number / 1000)) for number in range(1000)]
    assert seen == [True] + [False] * 999
    late = _line("away", 100.0 + QUIET_S)
    assert calm.filter(late)
    assert late.getMessage() == "away (and 999 more like it)"


def test_another_line_is_not_held_back() -> None:
    """Only equal lines are counted together."""
    calm = OnceInAWhile()
    assert calm.filter(_line("away", 100.0))
    assert calm.filter(_line("back", 100.1))


def test_a_line_that_repeats_for_hours_comes_ever_more_rarely() -> None:
    """Ten lines a second for two hours: a dozen are seen."""
    calm = OnceInAWhile()
    seen = [at for at in range(72_000) if calm.filter(_line("away", 100.0 + at / 10))]
    assert len(seen) < 15
    assert calm.filter(_line("away", 100_000.0))


def test_while_the_brokers_are_known_to_be_away_nothing_is_added() -> None:
    calm = OnceInAWhile()
    set_away(is_away=True)
    try:
        assert not calm.filter(_line("away", 100.0))
    finally:
        set_away(is_away=False)
    assert calm.filter(_line("away", 100.1))
