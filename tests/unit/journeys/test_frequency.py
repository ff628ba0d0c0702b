"""Counting in a window: its start is excluded, its end included, and it fires at exactly the wanted number."""

import pytest

from journeys import frequency as counting
from journeys.frequency import SPARE_FOR_LATE_EVENTS
from schemas.instants import HOUR_MS, MINUTE_MS, Millis
from tests.journey import START, Journey, compiled, frequency, is_, wait, workflow


def count_raises(instants: list[Millis], at: Millis, window_ms: int, wanted: int) -> bool:
    """Count an event that needs no memory of what was forgotten."""
    raised = counting.count_raises(instants, at, window_ms, wanted)
    if len(instants) > counting.most(wanted):
        counting.forget(instants, window_ms, wanted)
    return raised


@pytest.mark.parametrize(("at", "fires"), [(HOUR_MS - 1, True), (HOUR_MS, False), (HOUR_MS + 1, False)])
def test_an_event_exactly_a_window_ago_no_longer_counts(at: Millis, fires: bool) -> None:  # noqa: FBT001
    instants: list[Millis] = []
    count_raises(instants, 0, HOUR_MS, 2)
    assert count_raises(instants, at, HOUR_MS, 2) is fires


def test_it_fires_at_exactly_the_wanted_number_and_not_beyond() -> None:
    instants: list[Millis] = []
    assert [count_raises(instants, at, 100, 3) for at in range(6)] == [False, False, True, False, False, False]


def test_it_fires_again_once_the_number_has_fallen_below() -> None:
    instants: list[Millis] = []
    fired = [at for at in (0, 1, 2, 101, 102, 103, 204, 205) if count_raises(instants, at, 100, 2)]
    assert fired == [1, 101, 102, 205]


def test_a_late_event_can_complete_a_count() -> None:
    instants: list[Millis] = []
    count_raises(instants, 0, 100, 3)
    count_raises(instants, 99, 100, 3)
    assert count_raises(instants, 50, 100, 3)
    assert not count_raises([0, 101], 50, 100, 3)


def test_a_late_event_fires_once_where_it_completes_several_windows() -> None:
    journey = Journey(workflow(wait("p", duration_hours=1), on=[frequency("go", 2, 1)], allow_multiple_executions=True))
    for number, at in enumerate((0, 40_000)):
        journey.publish("go", at * 2, arrives=200_000 + number)
    journey.publish("go", 40_000, arrives=200_010)
    assert journey.started() == 1


def test_events_of_one_instant_count_each() -> None:
    instants: list[Millis] = []
    assert [count_raises(instants, 5, 100, 3) for _ in range(4)] == [False, False, True, False]


def test_what_is_remembered_is_bounded() -> None:
    instants: list[Millis] = []
    for at in range(5_000):
        count_raises(instants, at, 10_000, 4)
        assert len(instants) <= 8 + 2 * SPARE_FOR_LATE_EVENTS
    assert instants[-1] == 4_999


@pytest.mark.parametrize(("wanted", "least", "most"), [(1, 18, 34), (4, 24, 40), (16, 48, 64), (20, 56, 76)])
def test_two_windows_worth_and_sixteen_more_are_kept_when_others_go(wanted: int, least: int, most: int) -> None:
    """They go many at once: as many as are wanted, and sixteen at least."""
    instants: list[Millis] = []
    kept = []
    for number in range(200):
        count_raises(instants, number * HOUR_MS, MINUTE_MS, wanted)
        kept.append(len(instants))
    assert max(kept) == most
    assert kept[kept.index(most) + 1] == least
    assert instants[-1] == 199 * HOUR_MS


def test_a_late_event_in_a_burst_of_hundreds_fires_nothing() -> None:
    instants: list[Millis] = []
    for at in range(0, 50_000, 100):
        count_raises(instants, at, 60_000, 12)
    assert not any(count_raises(instants, at, 60_000, 12) for at in range(5_050, 50_000, 1_000))


def test_a_late_event_before_a_burst_of_hundreds_is_counted_exactly() -> None:
    instants: list[Millis] = []
    for at in (0, 1_000, *range(300_000, 350_000, 100)):
        count_raises(instants, at, 60_000, 3)
    assert count_raises(instants, 500, 60_000, 3)


def test_a_window_that_reaches_back_to_what_was_forgotten_fires_nothing() -> None:
    journey = Journey(workflow(on=[frequency("go", 2, 30)], allow_multiple_executions=True))
    for at in range(0, 100 * HOUR_MS, HOUR_MS):
        journey.publish("go", at)
    (forgotten,) = journey.customer().forgotten.values()
    late = forgotten - START
    for at in (late - 1, late + 1, late + HOUR_MS // 2 - 1):
        journey.publish("go", at, arrives=100 * HOUR_MS)
    assert journey.decisions() == []
    journey.publish("go", 90 * HOUR_MS + 1, arrives=100 * HOUR_MS)
    assert journey.started() == 1


def test_a_count_knows_nothing_from_before_its_conditions_changed() -> None:
    journey = Journey(workflow(on=[frequency("go", 2, 60)]))
    journey.publish("go", 0)
    journey.engine.switch(compiled(workflow(on=[frequency("go", 2, 90)])))
    journey.publish("go", 1)
    assert journey.started() == 0
    journey.publish("go", 2)
    assert journey.started() == 1


def test_the_greatest_count_is_exact() -> None:
    instants: list[Millis] = []
    fired = [at for at in range(3_000) if count_raises(instants, at, 1_001, 1_000)]
    assert fired == [999]


def test_only_events_that_match_count_and_each_trigger_counts_for_itself() -> None:
    big = frequency("order_completed", 2, 60, where=is_("event.total", "gte", 10))
    journey = Journey(workflow(on=[big]), workflow(id="v", on=[frequency("order_completed", 3, 60)]))
    for number, total in enumerate((10, 5, 10)):
        journey.publish("order_completed", number * MINUTE_MS, total=total)
    assert [(one.workflow_id, one.at[14:16]) for one in journey.decisions("trigger_fired")] == [
        ("v", "02"),
        ("w", "02"),
    ]


def test_a_firing_that_is_refused_has_happened_all_the_same() -> None:
    journey = Journey(workflow(on=[frequency("go", 2, 60)]))
    for at in range(5):
        journey.publish("go", at * HOUR_MS // 4)
    assert journey.started() == 1
    assert journey.decisions("trigger_refused") == []


@pytest.mark.parametrize(("forgotten", "raises"), [(9, True), (10, True), (11, False)])
def test_a_window_that_begins_where_events_were_forgotten_is_still_counted(forgotten: int, raises: bool) -> None:  # noqa: FBT001
    """Its start is excluded, so it holds none of them."""
    assert counting.count_raises([20], 15, 10, 2, forgotten) is raises


def test_the_newest_that_had_to_go_is_named() -> None:
    instants = list(range(0, 1900, 100))
    assert counting.forget(instants, 10, 1) == 0
    assert instants == list(range(100, 1900, 100))
