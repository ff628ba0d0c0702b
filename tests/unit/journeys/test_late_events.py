"""Events that come late, sentence by sentence: what they still do, and on which side of each boundary."""

import pytest

from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import (
    Document,
    Journey,
    absence,
    after,
    attribute_change,
    frequency,
    is_,
    lifecycle_change,
    mail,
    score,
    segment,
    segment_change,
    sequence,
    session,
    silence,
    trigger,
    until_event,
    wait,
    workflow,
)

OLDEST = 72 * HOUR_MS
AGES = [(OLDEST - 1, True), (OLDEST, True), (OLDEST + 1, False)]

TRIGGERS: dict[str, tuple[Document, str, Document]] = {
    "event": (trigger("a"), "a", {}),
    "frequency": (frequency("a", 1, 60), "a", {}),
    "sequence": (sequence("a"), "a", {}),
    "relaxed sequence": (sequence("a", contiguity="relaxed"), "a", {}),
    "score": (score(1), "email_opened", {}),
    "session": (session("pages", 1), "page_viewed", {}),
    "attribute": (attribute_change(attribute="plan"), "customer_updated", {"attributes": {"plan": "pro"}}),
    "stage": (lifecycle_change(to="customer"), "order_completed", {}),
    "stage by CRM": (lifecycle_change(to="advocate"), "customer_updated", {"lifecycle_stage": "advocate"}),
    "segment by CRM": (segment_change("vip"), "segment_entered", {"segment_id": "vip"}),
    "segment by condition": (segment_change("buyers"), "order_completed", {}),
}
BUYERS = segment("buyers", is_("total_purchases", "gte", 1))


@pytest.mark.parametrize(("age", "starts"), AGES)
@pytest.mark.parametrize(("on", "kind", "properties"), TRIGGERS.values(), ids=TRIGGERS)
def test_an_event_of_exactly_the_age_limit_still_starts_whatever_waits_for_it(
    on: Document, kind: str, properties: Document, age: Millis, *, starts: bool
) -> None:
    journey = Journey(workflow(on=[on]), BUYERS)
    journey.publish("begin", -DAY_MS)
    journey.publish(kind, 4 * DAY_MS - age, arrives=4 * DAY_MS, envelope={"properties": properties})
    assert journey.started() == starts
    assert journey.reasons("trigger_refused") == ([] if starts else ["event_too_old"])


@pytest.mark.parametrize(("age", "starts"), AGES)
def test_a_timer_whose_cause_was_too_old_when_it_arrived_starts_nothing(age: Millis, *, starts: bool) -> None:
    for on in (absence("a", "b", 60), silence(1)):
        journey = Journey(workflow(on=[on]))
        journey.publish("a", 4 * DAY_MS - age, arrives=4 * DAY_MS)
        journey.advance(to=5 * DAY_MS)
        assert journey.started() == starts


@pytest.mark.parametrize("age", [OLDEST, OLDEST + 1, 30 * DAY_MS])
def test_an_event_of_any_age_updates_profile_and_history(age: Millis) -> None:
    journey = Journey(workflow(on=[]), BUYERS)
    journey.publish("begin", 30 * DAY_MS)
    journey.publish("order_completed", 30 * DAY_MS - age, arrives=30 * DAY_MS, total=5)
    customer = journey.customer()
    assert (customer.counts["order_completed"], customer.total_spent, customer.segments) == (1, 5, ["buyers"])
    assert customer.lifecycle_stage == "customer"


@pytest.mark.parametrize("age", [OLDEST, OLDEST + 1])
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"exit_conditions": [is_("event.type", "eq", "order_completed")]}, "exit_condition"),
        ({"goal": {"event_type": "order_completed"}}, "goal"),
        ({"goal": is_("total_purchases", "gte", 1)}, "goal"),
    ],
)
def test_an_event_of_any_age_completes_exits_and_goals(age: Millis, settings: Document, reason: str) -> None:
    journey = Journey({**workflow(wait("long", duration_days=20)), "settings": settings})
    journey.publish("signup")
    journey.publish("order_completed", 1, arrives=1 + age)
    assert journey.reasons("execution_ended") == [reason]


@pytest.mark.parametrize("age", [OLDEST, OLDEST + 1])
@pytest.mark.parametrize(("at", "fires"), [(-1, True), (0, False), (5 * DAY_MS, False), (5 * DAY_MS + 1, True)])
def test_an_event_of_any_age_cancels_an_absence_it_was_in_time_for(at: Millis, age: Millis, *, fires: bool) -> None:
    """From the first event's time up to the deadline."""
    journey = Journey(workflow(on=[absence("a", "b", 5 * 24 * 60)]))
    journey.publish("a", 0)
    # Up to five minutes ahead, an event's own time counts.
    journey.publish("b", at, arrives=min(max(at, 0) + age, 5 * DAY_MS - 1))
    journey.advance(to=6 * DAY_MS)
    assert journey.started() == fires


@pytest.mark.parametrize(
    ("ahead", "placed"), [(-1, -1), (0, 0), (5 * MINUTE_MS, 5 * MINUTE_MS), (5 * MINUTE_MS + 1, 0)]
)
def test_an_event_from_the_future_starts_with_the_time_it_is_cut_to(ahead: Millis, placed: Millis) -> None:
    journey = Journey(workflow(on=[trigger("a")]))
    journey.publish("a", ahead, arrives=0)
    (fired,) = journey.decisions("trigger_fired")
    assert fired.detail is not None
    assert fired.detail["occurred_at"] == after(placed)


@pytest.mark.parametrize(("occurred", "ends"), [(HOUR_MS - 1, False), (HOUR_MS, True), (HOUR_MS + 1, True)])
def test_a_wait_counts_events_from_its_beginning_on(occurred: Millis, *, ends: bool) -> None:
    journey = Journey(workflow(wait("first", "until", duration_hours=1), until_event("until", "a", "mail"), mail()))
    journey.publish("signup")
    journey.publish("a", occurred, arrives=2 * HOUR_MS)
    assert bool(journey.sends()) == ends


@pytest.mark.parametrize(
    ("arrives", "due"), [(HOUR_MS - 1, HOUR_MS), (HOUR_MS, HOUR_MS + 5 * MINUTE_MS), (DAY_MS, DAY_MS + 5 * MINUTE_MS)]
)
def test_a_deadline_that_is_past_when_it_arises_is_set_five_minutes_ahead(arrives: Millis, due: Millis) -> None:
    for on in (absence("a", "b", 60), silence(1)):
        journey = Journey(workflow(on=[on]))
        journey.publish("a", 0, arrives=arrives)
        assert journey.deadline() == due


@pytest.mark.parametrize("late", [1, HOUR_MS, OLDEST])
def test_what_a_trigger_has_started_is_not_undone_but_its_guard_sees_the_late_event(late: Millis) -> None:
    """The order that came after the reminder's start holds the reminder back, and the execution goes on."""
    guarded = mail("mail", guard=is_("counts.b", "eq", 0))
    journey = Journey(workflow(wait("first", "mail", duration_days=4), guarded, on=[absence("a", "b", 60)]))
    journey.publish("a", 0)
    journey.advance(to=HOUR_MS)
    assert journey.started() == 1
    journey.publish("b", HOUR_MS, arrives=HOUR_MS + late)
    assert len(journey.customer().executions) == 1
    journey.advance(to=5 * DAY_MS)
    assert journey.reasons("send_suppressed") == ["guard"]


@pytest.mark.parametrize(("late", "fires_at"), [(HOUR_MS, 2 * HOUR_MS), (90 * MINUTE_MS, 150 * MINUTE_MS)])
def test_a_late_activity_moves_the_silence_it_lies_in(late: Millis, fires_at: Millis) -> None:
    """The silence begins at the latest activity, whenever that became known."""
    journey = Journey(workflow(on=[silence(1)], allow_multiple_executions=True))
    journey.publish("a", 0, arrives=0)
    journey.publish("order_completed", late, arrives=fires_at - 1)
    journey.advance(to=fires_at)
    assert [one.at for one in journey.decisions("trigger_fired")][-1] == after(fires_at)
