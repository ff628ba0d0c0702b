"""Goals: what completes an execution as converted, what it was worth, and what still counts after the end."""

import pytest

from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, Millis
from tests.journey import Document, Journey, after, is_, mail, segment, trigger, until_event, wait, workflow

ORDER: Document = {"event_type": "order_completed"}


def ends(journey: Journey) -> list[tuple[str | None, str]]:
    return [(one.reason, one.at) for one in journey.decisions("execution_ended")]


def values(journey: Journey) -> list[Json]:
    return [(one.detail or {})["value"] for one in journey.decisions("conversion")]


def test_the_event_of_the_goal_completes_the_execution_as_converted_with_its_revenue() -> None:
    journey = Journey(workflow(wait("p", "mail", duration_hours=6), mail(), goal=ORDER))
    journey.publish("signup")
    journey.publish("page_viewed", 1)
    journey.publish("order_completed", HOUR_MS, event_id="sold", total=12.5)
    journey.advance(DAY_MS)
    assert ends(journey) == [("goal", after(HOUR_MS))]
    assert journey.sends() == []
    conversion = journey.decisions("conversion")[0]
    assert conversion.detail == {"event_id": "sold", "value": 12.5}
    assert conversion.execution_id == journey.decisions("execution_started")[0].execution_id


@pytest.mark.parametrize(
    ("goal", "properties", "value"),
    [
        ({}, {"revenue": 3, "amount": 4}, 3),
        ({}, {}, None),
        ({"value_field": "event.basket.net"}, {"total": 9, "basket": {"net": 7.5}}, 7.5),
        ({"value_field": "net"}, {"total": 9, "net": 7}, 7),
        ({"value_field": "net"}, {"net": "7"}, None),
        ({"value_field": "net"}, {"net": True}, None),
    ],
)
def test_the_value_is_the_named_field_or_by_default_the_amount_of_the_purchase(
    goal: Document, properties: Document, value: Json
) -> None:
    journey = Journey(workflow(until_event("u", "go"), goal={**ORDER, **goal}))
    journey.publish("signup")
    journey.publish("order_completed", 1, envelope={"properties": properties})
    assert values(journey) == [value]


def test_a_value_field_that_is_no_number_is_warned_of() -> None:
    journey = Journey(workflow(until_event("u", "go"), goal={**ORDER, "value_field": "net"}))
    journey.publish("signup")
    journey.publish("order_completed", 1, net="much")
    detail = journey.decisions("conversion")[0].detail
    assert detail is not None
    assert detail["warnings"] == ["the goal's value_field is no number"]


def test_only_an_event_for_which_the_where_holds_reaches_the_goal() -> None:
    journey = Journey(workflow(until_event("u", "go"), goal={**ORDER, "where": is_("event.total", "gte", 10)}))
    journey.publish("signup")
    journey.publish("order_completed", 1, total=9)
    assert ends(journey) == []
    journey.publish("order_completed", 2, total=10)
    assert ends(journey) == [("goal", after(2))]


def test_a_goal_can_be_a_condition() -> None:
    journey = Journey(workflow(until_event("u", "go"), goal=is_("total_spent", "gte", 20)))
    journey.publish("signup")
    journey.publish("order_completed", 1, total=15)
    journey.publish("order_completed", 2, total=5)
    assert ends(journey) == [("goal", after(2))]
    assert values(journey) == [5]


def test_time_alone_reaches_a_goal_at_the_instant_at_which_it_begins_to_hold() -> None:
    journey = Journey(workflow(until_event("u", "go"), goal=is_("last.email_bounced", "not_within_hours", 2)))
    journey.publish("email_bounced", bounce_type="soft")
    journey.publish("signup", 1)
    journey.advance(2 * HOUR_MS)
    assert ends(journey) == []
    journey.advance(2 * HOUR_MS + 1)
    assert ends(journey) == [("goal", after(2 * HOUR_MS + 1))]
    assert values(journey) == [None]


def test_the_goal_goes_before_exit_conditions_and_these_before_waits() -> None:
    path = [until_event("u", "order_completed", "mail"), mail()]
    bought = is_("total_purchases", "gte", 1)
    journey = Journey(
        workflow(*path, id="a", goal=ORDER, exit_conditions=[bought]),
        workflow(*path, id="b", exit_conditions=[bought]),
        workflow(*path, id="c"),
    )
    journey.publish("signup")
    journey.publish("order_completed", 1)
    assert [reason for reason, _ in ends(journey)] == ["goal", "exit_condition", "completed"]
    assert [send.workflow_id for send in journey.sends()] == ["c"]


@pytest.mark.parametrize(("occurred", "reached"), [(HOUR_MS - 1, 0), (HOUR_MS, 1), (HOUR_MS + 1, 1)])
def test_a_late_event_counts_from_what_started_the_execution_on(occurred: Millis, reached: int) -> None:
    journey = Journey(workflow(until_event("u", "go"), goal=ORDER))
    journey.publish("signup", HOUR_MS, arrives=2 * HOUR_MS)
    journey.publish("order_completed", occurred, arrives=9 * DAY_MS)
    assert len(ends(journey)) == reached


def test_an_event_that_is_also_the_trigger_doesnt_reach_the_goal_of_what_it_starts() -> None:
    journey = Journey(workflow(until_event("u", "go"), on=[trigger("order_completed")], goal=ORDER))
    journey.publish("order_completed")
    assert ends(journey) == []
    journey.publish("order_completed", 1)
    assert ends(journey) == [("goal", after(1))]


# After the end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "reached"),
    [(HOUR_MS - 1, 0), (HOUR_MS, 1), (25 * HOUR_MS - 1, 1), (25 * HOUR_MS, 0)],
)
def test_a_goal_reached_after_the_end_counts_within_the_window_that_begins_with_the_last_send(
    at: Millis, reached: int
) -> None:
    path = [wait("p", "mail", duration_hours=1), mail()]
    journey = Journey(workflow(*path, goal=ORDER, attribution_window_hours=24))
    journey.publish("signup")
    journey.advance(2 * HOUR_MS)
    journey.publish("order_completed", at, arrives=26 * HOUR_MS, total=5)
    assert values(journey) == [5] * reached
    assert ends(journey) == [("completed", after(HOUR_MS))]


@pytest.mark.parametrize(("category", "reached"), [("ferns", 1), ("pots", 0)])
def test_a_goal_after_the_end_sees_the_event_that_started_the_execution(category: str, reached: int) -> None:
    """Only what the starting event was about counts as brought about."""
    ferns: Document = {"all": [is_("trigger.category", "eq", "ferns"), is_("execution.started_at", "before", after(1))]}
    goal: Document = {"event_type": "order_completed", "where": ferns}
    journey = Journey(workflow(mail(), goal=goal, attribution_window_hours=24))
    journey.publish("signup", category=category)
    journey.publish("order_completed", HOUR_MS, total=5)
    assert values(journey) == [5] * reached


def test_a_goal_is_reached_once_by_an_execution_and_by_each_of_several() -> None:
    journey = Journey(workflow(goal=ORDER, attribution_window_hours=1, allow_multiple_executions=True))
    journey.publish("signup")
    journey.publish("signup", 1)
    journey.publish("order_completed", 2)
    journey.publish("order_completed", 3)
    started = [one.execution_id for one in journey.decisions("execution_started")]
    assert [one.execution_id for one in journey.decisions("conversion")] == started
    assert journey.customer().attributable == []


def test_without_a_send_or_a_window_or_after_a_conversion_nothing_counts_after_the_end() -> None:
    journey = Journey(
        workflow(wait("p", duration_hours=1), id="nothing-sent", goal=ORDER, attribution_window_hours=24),
        workflow(id="no-window", goal=ORDER),
        workflow(mail("mail", "u"), until_event("u", "go"), id="converted", goal=ORDER, attribution_window_hours=24),
    )
    journey.publish("signup")
    journey.advance(2 * HOUR_MS)
    journey.publish("order_completed", 2 * HOUR_MS)
    journey.publish("order_completed", 2 * HOUR_MS + 1)
    assert [one.workflow_id for one in journey.decisions("conversion")] == ["converted"]


def test_what_can_still_reach_its_goal_is_forgotten_once_no_event_counts_any_more() -> None:
    journey = Journey(workflow(goal=ORDER, attribution_window_hours=24), max_event_age_hours=10)
    journey.publish("signup")
    journey.publish("page_viewed", 34 * HOUR_MS - 1)
    assert len(journey.customer().attributable) == 1
    journey.publish("page_viewed", 34 * HOUR_MS)
    assert journey.customer().attributable == []


AN_HOUR_OF_SILENCE = is_("last.page_viewed", "not_within_hours", 1)


def ended_with(window_hours: float) -> Journey:
    """The only mail is out at the start, as is the last page view; the goal begins to hold an hour and 1 ms later."""
    goal = workflow(mail(), goal=AN_HOUR_OF_SILENCE, attribution_window_hours=window_hours)
    journey = Journey(goal)
    journey.publish("page_viewed")
    journey.publish("signup")
    assert ends(journey) == [("completed", after(0))]
    return journey


def test_time_alone_reaches_a_goal_after_the_end() -> None:
    journey = ended_with(24)
    assert journey.deadline() == HOUR_MS + 1
    journey.advance(HOUR_MS)
    assert journey.decisions("conversion") == []
    journey.advance(3 * HOUR_MS)
    [converted] = journey.decisions("conversion")
    assert converted.at == after(HOUR_MS + 1)
    assert converted.detail == {"value": None, "after_last_send_ms": HOUR_MS + 1}
    assert converted.execution_id == journey.decisions("execution_started")[0].execution_id
    assert journey.customer().attributable == []
    # What is left is the silence that makes her churned.
    assert journey.deadline() == 90 * DAY_MS


@pytest.mark.parametrize(("window_ms", "reached"), [(HOUR_MS + 1, 0), (HOUR_MS + 2, 1)])
def test_time_reaches_it_within_the_window_alone(window_ms: Millis, reached: int) -> None:
    journey = ended_with(window_ms / HOUR_MS)
    assert journey.deadline() == (HOUR_MS + 1 if reached else 90 * DAY_MS)
    journey.publish("email_delivered", 10 * HOUR_MS)
    assert len(journey.decisions("conversion")) == reached


def test_an_event_that_comes_before_puts_the_goal_of_time_off() -> None:
    journey = ended_with(24)
    journey.publish("page_viewed", HOUR_MS)
    journey.advance(DAY_MS)
    assert [one.at for one in journey.decisions("conversion")] == [after(2 * HOUR_MS + 1)]


def test_a_membership_that_time_begins_reaches_a_goal_after_the_end() -> None:
    goal = workflow(mail(), goal={"operator": "in_segment", "value": "silent"}, attribution_window_hours=24)
    journey = Journey(goal, segment("silent", AN_HOUR_OF_SILENCE))
    journey.publish("page_viewed")
    journey.publish("signup")
    journey.advance(DAY_MS)
    assert [one.at for one in journey.decisions("conversion")] == [after(HOUR_MS + 1)]


def test_an_event_is_no_goal_of_time() -> None:
    journey = Journey(workflow(mail(), goal=ORDER, attribution_window_hours=24), segment("silent", AN_HOUR_OF_SILENCE))
    journey.publish("page_viewed")
    journey.publish("signup")
    journey.advance(DAY_MS)
    assert journey.decisions("conversion") == []
