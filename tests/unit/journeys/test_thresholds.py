"""Thresholds: a firing when the score or a number of the session reaches one from below, and how sure it is."""

import pytest

from journeys.thresholds import NO_SESSION, confidence, reached, session_levels, session_moves
from schemas.customer import Customer
from schemas.decisions import Decision
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import Journey, compiled, is_, score, session, trigger, workflow

WEIGHTS: dict[str, Json] = {"kind": "scoring", "weights": {"go": 10, "leave": -15, "idle": 0}, "half_life_hours": 24}


def scored(least: float) -> Journey:
    return Journey(WEIGHTS, workflow(on=[score(least)], allow_multiple_executions=True))


def details(one: Journey) -> list[dict[str, Json]]:
    return [firing.detail or {} for firing in one.decisions("trigger_fired")]


def firings(one: Journey) -> list[Decision]:
    return one.decisions("trigger_fired")


@pytest.mark.parametrize(
    ("value", "expected"), [(50.0, 0.5), (50.000001, 0.5), (75.0, 0.75), (99.999999, 1.0), (100.0, 1.0), (130.0, 1.0)]
)
def test_confidence_is_half_at_the_threshold_and_whole_at_its_double(value: float, expected: float) -> None:
    assert confidence(value, 50) == pytest.approx(expected, abs=1e-7)


def test_a_threshold_is_reached_exactly_at_it_and_only_from_below() -> None:
    assert list(reached((10, 20, 20, 30), 10, 20)) == [1, 2]
    assert list(reached((10, 20, 20, 30), 9.999999, 10)) == [0]
    assert list(reached((10, 20, 20, 30), 20, 20)) == []
    assert list(reached((10, 20, 20, 30), 25, 5)) == []


def test_a_score_fires_when_it_reaches_the_threshold_exactly() -> None:
    one = scored(30)
    for _ in range(4):
        one.publish("go", 0)
    assert [detail["event_id"] for detail in details(one)] == ["e3"]
    assert details(one)[0] | {"occurred_at": ""} == {
        "event_id": "e3",
        "event_type": "go",
        "occurred_at": "",
        "confidence_score": 0.5,
        "metric": "engagement_score",
        "threshold": 30.0,
        "before": 20.0,
        "value": 30.0,
    }


def test_it_fires_again_after_it_has_fallen() -> None:
    one = scored(30)
    for type_ in ("go", "go", "go", "leave", "go", "go", "go"):
        one.publish(type_, 0)
    assert [detail["event_id"] for detail in details(one)] == ["e3", "e6"]


def test_what_fades_falls_and_reaching_it_anew_fires_again() -> None:
    one = scored(15)
    one.publish("go", 0)
    one.publish("go", 0)
    one.publish("idle", 20 * HOUR_MS)
    one.publish("go", DAY_MS)
    assert [detail["event_id"] for detail in details(one)] == ["e2", "e4"]


def test_before_and_after_are_both_as_of_now_so_fading_alone_hides_no_rise() -> None:
    one = scored(10)
    one.publish("go", 0)
    one.publish("idle", MINUTE_MS)
    one.publish("go", 2 * MINUTE_MS)
    assert [detail["event_id"] for detail in details(one)] == ["e1", "e3"]
    assert details(one)[1]["before"] == pytest.approx(10 * 0.5 ** (2 / 1440), abs=1e-6)


def test_a_late_event_adds_what_is_left_of_its_weight() -> None:
    one = scored(15)
    one.publish("go", DAY_MS)
    one.publish("go", 0, arrives=DAY_MS)
    assert [detail["event_id"] for detail in details(one)] == ["e2"]
    barely = scored(15)
    barely.publish("go", DAY_MS + 1_000)
    barely.publish("go", 0, arrives=DAY_MS + 1_000)
    assert details(barely) == []


def test_a_score_above_the_threshold_when_the_trigger_is_activated_fires_nothing() -> None:
    one = Journey(WEIGHTS, workflow(on=[trigger("never")]))
    for _ in range(5):
        one.publish("go", 0)
    one.engine.switch(compiled(WEIGHTS, workflow(on=[score(30)])))
    one.publish("go", 1)
    assert one.started() == 0


@pytest.mark.parametrize(("says", "started"), [(24, 0), (25, 1)])
def test_the_crm_alone_can_lift_a_score_to_its_threshold(says: int, started: int) -> None:
    """Of somebody who has done nothing yet."""
    one = scored(25)
    one.publish("customer_updated", attributes={"engagement_score": says})
    assert one.started() == started


def test_where_the_crm_says_the_score_it_is_compared_and_the_firing_says_so() -> None:
    one = scored(25)
    for _ in range(2):
        one.publish("go", 0)
    one.publish("customer_updated", 1, attributes={"engagement_score": 24})
    one.publish("go", 2)
    assert details(one) == []
    one.publish("customer_updated", 3, attributes={"engagement_score": 31})
    assert [detail["event_id"] for detail in details(one)] == ["e5"]
    assert "stands in for" in str(details(one)[0]["warnings"])
    one.publish("customer_updated", 4, attributes={"engagement_score": "high"})
    one.publish("customer_updated", 5, attributes={"engagement_score": True})
    one.publish("customer_updated", 6, attributes={"engagement_score": 60})
    assert len(details(one)) == 1
    one.publish("customer_updated", 7, attributes={"engagement_score": 10})
    one.publish("customer_updated", 8, attributes={"engagement_score": None})
    assert [detail["event_id"] for detail in details(one)] == ["e5", "e10"]


def test_a_rise_that_doesn_t_match_has_not_fired_and_doesn_t_fire_later() -> None:
    one = Journey(WEIGHTS, workflow(on=[score(20, where=is_("event.vip", "eq", value=True))]))
    one.publish("go", 0)
    one.publish("go", 1)
    one.publish("go", 2, vip=True)
    assert one.started() == 0


def test_one_event_may_reach_several_thresholds_in_the_order_of_priority() -> None:
    one = Journey(
        WEIGHTS,
        workflow(id="b", on=[score(10)]),
        workflow(id="a", on=[score(9)]),
        workflow(id="c", on=[trigger("go", priority=60)]),
        workflow(id="d", on=[score(10.5)]),
    )
    one.publish("go", 0)
    assert [firing.workflow_id for firing in firings(one)] == ["c", "a", "b"]


# Sessions -----------------------------------------------------------------------------------------------------


def visited(metric: str, least: float) -> Journey:
    return Journey(workflow(on=[session(metric, least)], allow_multiple_executions=True))


@pytest.mark.parametrize(("metric", "expected"), [("events", ["e3"]), ("pages", ["e5"])])
def test_a_session_fires_once_when_it_reaches_the_number(metric: str, expected: list[str]) -> None:
    one = visited(metric, 3)
    for number, type_ in enumerate(("page_viewed", "screen_viewed", "go", "email_opened", "page_viewed", "go")):
        one.publish(type_, number)
    assert [(detail["event_id"], detail["metric"]) for detail in details(one)] == [(each, metric) for each in expected]


@pytest.mark.parametrize(
    ("at", "count"), [(10 * MINUTE_MS - 1, 0), (10 * MINUTE_MS, 1), (10 * MINUTE_MS + 1, 1), (20 * MINUTE_MS, 1)]
)
def test_a_session_has_lasted_long_enough_at_exactly_that_time(at: Millis, count: int) -> None:
    one = visited("duration_minutes", 10)
    one.publish("go", 0)
    one.publish("go", at)
    one.publish("go", at + 1) if at == 20 * MINUTE_MS else None
    assert len(firings(one)) == count


@pytest.mark.parametrize(("gap", "count"), [(30 * MINUTE_MS - 1, 0), (30 * MINUTE_MS, 1), (30 * MINUTE_MS + 1, 1)])
def test_a_new_session_counts_anew(gap: Millis, count: int) -> None:
    one = visited("events", 2)
    one.publish("go", 0)
    one.publish("go", 1)
    one.publish("go", 1 + gap)
    one.publish("go", 2 + gap)
    assert len(firings(one)) == 1 + count


def test_another_session_of_the_producer_s_counts_anew() -> None:
    one = visited("events", 2)
    for number, name in enumerate(("one", "one", "two", "two")):
        one.publish("go", number, envelope={"session_id": name})
    assert [detail["event_id"] for detail in details(one)] == ["e2", "e4"]


def test_a_late_event_counts_in_the_session_it_belongs_to_and_in_no_other() -> None:
    one = visited("events", 3)
    one.publish("go", 2 * HOUR_MS)
    one.publish("go", 0, arrives=2 * HOUR_MS + 1)
    one.publish("go", 2 * HOUR_MS + 2)
    assert details(one) == []
    one.publish("go", 2 * HOUR_MS - 10 * MINUTE_MS, arrives=2 * HOUR_MS + 3)
    assert [detail["event_id"] for detail in details(one)] == ["e4"]


def test_a_late_event_can_make_a_session_long_enough() -> None:
    one = visited("duration_minutes", 20)
    one.publish("go", 2 * HOUR_MS)
    one.publish("go", 2 * HOUR_MS - 20 * MINUTE_MS, arrives=2 * HOUR_MS)
    assert [(detail["event_id"], detail["confidence_score"]) for detail in details(one)] == [("e2", 0.5)]


def test_a_session_that_is_past_the_threshold_when_it_is_activated_fires_nothing() -> None:
    one = Journey(workflow(on=[trigger("never")]))
    for number in range(4):
        one.publish("go", number)
    one.engine.switch(compiled(workflow(on=[session("events", 3)])))
    one.publish("go", 5)
    assert one.started() == 0


def test_how_far_past_it_is_says_the_confidence() -> None:
    one = visited("duration_minutes", 10)
    one.publish("go", 0)
    one.publish("go", 15 * MINUTE_MS)
    assert [detail["confidence_score"] for detail in details(one)] == [0.75]


def test_who_has_no_session_has_none_of_its_numbers() -> None:
    assert session_levels(Customer(customer_id="ada")) == NO_SESSION
    assert session_moves(NO_SESSION, NO_SESSION) == []
