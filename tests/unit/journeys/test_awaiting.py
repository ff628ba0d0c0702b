"""Waits for a condition or an event: when they look, what ends them, when they give up."""

import pytest

from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, Millis
from tests.journey import (
    Document,
    Journey,
    action,
    after,
    decision,
    is_,
    mail,
    until_condition,
    until_event,
    wait,
    workflow,
)

PRO = is_("plan", "eq", "pro")
QUIET = is_("last_activity", "not_within_hours", 5)


def waiting(condition: Document, **rest: Json) -> Document:
    """Wait for the condition; then, or when it is given up, send."""
    late: Json = {"timeout_next_step": "late"} if "timeout_hours" in rest else {}
    assert isinstance(late, dict)
    steps = [until_condition("u", condition, "mail", **late, **rest), mail()]
    return workflow(*steps, *([mail("late")] if late else []))


def results(journey: Journey) -> list[tuple[Json, str]]:
    waits = [one for one in journey.decisions("step_completed") if one.step_id == "u"]
    return [((one.detail or {})["result"], one.at) for one in waits]


def test_a_condition_that_holds_already_ends_the_wait_at_once() -> None:
    journey = Journey(waiting(is_("counts.signup", "gte", 1)))
    journey.publish("signup")
    assert results(journey) == [("condition", after(0))]
    assert journey.sent_at() == [after(0)]


def test_an_event_after_which_it_holds_ends_the_wait() -> None:
    journey = Journey(waiting(PRO))
    journey.publish("signup")
    journey.publish("page_viewed", 1)
    journey.publish("customer_updated", 2, attributes={"plan": "pro"})
    assert results(journey) == [("condition", after(2))]


def test_it_ends_at_the_very_instant_at_which_time_makes_it_hold() -> None:
    journey = Journey(waiting(QUIET))
    journey.publish("signup")
    journey.publish("page_viewed", HOUR_MS)
    journey.advance(DAY_MS)
    assert results(journey) == [("condition", after(6 * HOUR_MS + 1))]


@pytest.mark.parametrize(("hours", "at"), [(None, 6 * HOUR_MS), (2, 4 * HOUR_MS), (3, 3 * HOUR_MS)])
def test_what_an_action_elsewhere_changed_is_seen_at_the_next_check(hours: float | None, at: Millis) -> None:
    elsewhere = [
        wait("p", "upgrade", duration_hours=2.5),
        action("upgrade", "update_attributes", attributes={"plan": "pro"}),
    ]
    rest: Document = {} if hours is None else {"check_interval_hours": hours}
    journey = Journey(waiting(PRO, **rest), workflow(*elsewhere, id="other"))
    journey.publish("signup")
    journey.advance(DAY_MS)
    assert results(journey) == [("condition", after(at))]


@pytest.mark.parametrize(("timeout", "step"), [(3, "late"), (3.0000003, "mail")])
def test_it_gives_up_after_its_timeout_and_goes_another_way(timeout: float, step: str) -> None:
    journey = Journey(waiting(is_("last_activity", "not_within_hours", 3), timeout_hours=timeout))
    journey.publish("signup")
    journey.advance(DAY_MS)
    assert [send.step_id for send in journey.sends()] == [step]


def test_where_check_and_timeout_fall_on_one_instant_the_condition_goes_first() -> None:
    elsewhere = [
        wait("p", "upgrade", duration_hours=1),
        action("upgrade", "update_attributes", attributes={"plan": "pro"}),
    ]
    journey = Journey(waiting(PRO, timeout_hours=6), workflow(*elsewhere, id="other"))
    journey.publish("signup")
    journey.advance(DAY_MS)
    assert results(journey) == [("condition", after(6 * HOUR_MS))]


def test_without_a_timeout_it_waits_until_the_execution_expires() -> None:
    journey = Journey(workflow(until_condition("u", PRO), max_execution_time_days=2))
    journey.publish("signup")
    journey.advance(5 * DAY_MS)
    assert [(one.reason, one.at) for one in journey.decisions("execution_ended")] == [("expired", after(2 * DAY_MS))]


@pytest.mark.parametrize(("occurred", "seen"), [(HOUR_MS - 1, False), (HOUR_MS, True), (HOUR_MS + 1, True)])
def test_only_events_since_the_beginning_of_the_wait_are_in_its_view(occurred: Millis, seen: bool) -> None:  # noqa: FBT001
    journey = Journey(workflow(wait("p", "u", duration_hours=1), until_condition("u", is_("event.total", "gte", 5))))
    journey.publish("signup")
    journey.publish("order_completed", occurred, arrives=2 * HOUR_MS, total=5)
    assert bool(results(journey)) == seen


def test_the_last_event_is_the_one_that_ended_the_last_wait() -> None:
    seen: Document = {"rule": is_("execution.last_event.total", "exists"), "next_step": "mail"}
    journey = Journey(
        workflow(
            until_condition("u", is_("event.type", "eq", "order_completed"), "fork"),
            decision("fork", "condition", conditions=[seen]),
            mail("mail", "v"),
            until_event("v", "go", "again", timeout_hours=1),
            decision("again", "condition", conditions=[{**seen, "next_step": "not_this"}]),
            mail("not_this"),
        )
    )
    journey.publish("signup")
    journey.publish("order_completed", 1, total=5)
    journey.advance(DAY_MS)
    assert [send.step_id for send in journey.sends()] == ["mail"]


def test_waits_of_several_branches_are_looked_at_each() -> None:
    journey = Journey(
        workflow(
            mail("m", "u", "v"),
            until_condition("u", is_("counts.page_viewed", "gte", 1)),
            until_condition("v", is_("counts.page_viewed", "gte", 2)),
        )
    )
    for number in range(3):
        journey.publish("signup" if not number else "page_viewed", number)
    assert journey.path() == ["m", "u", "v"]


TWO_VIEWS: Document = {
    "operator": "performed",
    "value": {"event_type": "page_viewed", "min_count": 2, "within_hours": 1},
}
NO_VIEW: Document = {
    "operator": "not_performed",
    "value": {"event_type": "page_viewed", "min_count": 1, "within_hours": 1},
}


def test_a_wait_may_count_events_in_a_window() -> None:
    journey = Journey(waiting(TWO_VIEWS))
    journey.publish("signup")
    for at in (HOUR_MS, 2 * HOUR_MS + 1, 3 * HOUR_MS + 1):
        journey.publish("page_viewed", at)
    assert results(journey) == [("condition", after(3 * HOUR_MS + 1))]


def test_a_wait_ends_at_the_instant_at_which_an_event_leaves_the_window() -> None:
    journey = Journey(waiting(NO_VIEW, check_interval_hours=100))
    journey.publish("page_viewed", 0)
    journey.publish("signup", 1)
    journey.advance(DAY_MS)
    assert results(journey) == [("condition", after(HOUR_MS + 1))]


def test_the_event_of_a_wait_may_be_asked_for_what_was_done_in_a_window() -> None:
    journey = Journey(workflow(until_event("u", "order", "mail", where=TWO_VIEWS), mail()))
    journey.publish("signup")
    journey.publish("order", 1)
    journey.publish("page_viewed", 2)
    journey.publish("page_viewed", 3)
    journey.publish("order", 4)
    assert results(journey) == [("event", after(4))]
