"""Best hours against the formula of SPEC 6, written out the long way with exact numbers."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.best_hours import DEFAULT_BEST_HOURS, DEFAULT_PROFILE, NO_HISTORY, best_hours

counts = st.lists(st.integers(0, 40), min_size=24, max_size=24)
rates = st.lists(st.integers(0, 20).map(lambda twentieths: twentieths / 20), min_size=24, max_size=24)


def brute_force(responses: list[int], sends: list[int], profile: list[float]) -> frozenset[int]:
    rate = {}
    for hour in range(24):
        above, below = 5 * Fraction(round(profile[hour] * 20), 20), Fraction(5)
        for other in range(24):
            distance = min((hour - other) % 24, (other - hour) % 24)
            weight = {0: Fraction(1), 1: Fraction(1, 2), 2: Fraction(1, 4)}.get(distance, Fraction(0))
            above += weight * responses[other]
            below += weight * sends[other]
        rate[hour] = above / below
    best: list[int] = []
    while len(best) < 4:
        best.append(max((hour for hour in rate if hour not in best), key=lambda hour: (rate[hour], -hour)))
    return frozenset(best)


def test_without_history_they_are_those_of_everybody() -> None:
    assert frozenset({9, 10, 14, 16}) == DEFAULT_BEST_HOURS


def test_ties_go_to_the_earlier_hour() -> None:
    assert best_hours(NO_HISTORY, NO_HISTORY, [0.05] * 24) == {0, 1, 2, 3}


@pytest.mark.parametrize("hour", [0, 12, 23])
def test_responses_at_an_hour_lift_it_and_its_neighbours_around_the_clock(hour: int) -> None:
    history = [30.0 if h == hour else 0.0 for h in range(24)]
    assert {(hour - 1) % 24, hour, (hour + 1) % 24} <= best_hours(history, history)


def test_sends_without_an_answer_push_an_hour_out() -> None:
    assert 9 not in best_hours(NO_HISTORY, [30.0 if hour == 9 else 0.0 for hour in range(24)])


def test_one_send_without_an_answer_pushes_no_hour_out() -> None:
    assert best_hours(NO_HISTORY, [1.0 if hour == 9 else 0.0 for hour in range(24)]) == {9, 10, 14, 16}


def test_one_answer_on_one_send_moves_little() -> None:
    history = [1.0 if hour == 20 else 0.0 for hour in range(24)]
    chosen = best_hours(history, history)
    assert 20 in chosen
    assert 3 not in chosen


@given(counts, counts, rates)
def test_any_history_gives_what_the_formula_gives(responses: list[int], sends: list[int], profile: list[float]) -> None:
    assert best_hours(responses, sends, profile) == brute_force(responses, sends, profile)


@given(counts, counts)
def test_there_are_always_four(responses: list[int], sends: list[int]) -> None:
    assert len(best_hours(responses, sends, DEFAULT_PROFILE)) == 4
