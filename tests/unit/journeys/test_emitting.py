"""Events that workflows put on the customer's log."""

import pytest

from schemas.events import MAX_DEPTH, Json
from schemas.instants import HOUR_MS
from tests.journey import Document, Journey, action, after, is_, mail, trigger, until_event, wait, workflow


def send_event(name: str, event_type: str, *then: str, **properties: Json) -> Document:
    return action(name, "send_event", *then, event_type=event_type, properties=properties)


def kinds(journey: Journey) -> list[tuple[str, str | None]]:
    return [(one.kind, one.workflow_id) for one in journey.decisions()]


def test_an_event_starts_another_workflow_in_the_same_decision_after_the_effects_of_its_cause() -> None:
    journey = Journey(
        workflow(send_event("tell", "tour_finished", "mail"), mail(), id="w"),
        workflow(id="other", on=[trigger("tour_finished")]),
    )
    journey.publish("signup", 7)
    assert kinds(journey) == [
        ("trigger_fired", "w"),
        ("execution_started", "w"),
        ("step_completed", "w"),
        ("send_published", "w"),
        ("step_completed", "w"),
        ("execution_ended", "w"),
        ("trigger_fired", "other"),
        ("execution_started", "other"),
        ("send_published", "other"),
        ("step_completed", "other"),
        ("execution_ended", "other"),
    ]
    assert len({one.decision_id for one in journey.decisions()}) == 11


def test_its_properties_are_resolved_and_seen_by_the_workflow_that_it_starts() -> None:
    journey = Journey(
        workflow(send_event("tell", "tour_finished", total="${trigger.total}", at="${now}")),
        workflow(
            action("keep", "update_attributes", attributes={"seen": "${trigger.total}", "by": "${trigger.source}"}),
            id="other",
            on=[trigger("tour_finished", where=is_("event.total", "gt", 5))],
        ),
    )
    journey.publish("signup", total=7)
    assert journey.customer().attributes == {"seen": 7, "by": "workflow"}


def test_its_id_is_made_from_the_visit_that_sent_it() -> None:
    first, second = (Journey(workflow(send_event("tell", "a"))) for _ in range(2))
    told = [
        (j.publish("signup"), (j.decisions("step_completed")[0].detail or {})["event_id"])[1] for j in (first, second)
    ]
    assert told[0] == told[1]
    other = Journey(workflow(send_event("tell", "a")))
    other.publish("signup", event_id="another")
    assert (other.decisions("step_completed")[0].detail or {})["event_id"] != told[0]


def test_it_completes_waits_of_other_executions_and_of_its_own() -> None:
    journey = Journey(
        workflow(until_event("await", "tour_finished", "mail"), mail(), id="waiting"),
        workflow(
            send_event("tell", "tour_finished", "own"),
            until_event("own", "tour_finished", "q"),
            wait("q", duration_hours=1),
            id="w",
            on=[trigger("go")],
        ),
    )
    journey.publish("signup")
    journey.publish("go", 5)
    assert journey.path() == ["tell", "await", "mail", "own"]


def test_it_is_no_activity_and_in_no_session_but_it_counts() -> None:
    journey = Journey(workflow(wait("p", "tell", duration_hours=1), send_event("tell", "page_viewed")))
    journey.publish("signup")
    journey.advance(HOUR_MS)
    customer = journey.customer()
    assert customer.last_activity == customer.first_seen
    assert customer.session is not None
    assert (customer.session.events, customer.session.pages) == (1, 0)
    assert customer.counts == {"signup": 1, "page_viewed": 1}


def test_an_address_in_it_is_learned_like_any_event_s() -> None:
    journey = Journey(workflow(send_event("tell", "found", email="${trigger.contact}")), email=None)
    journey.publish("signup", contact="ada@shop.example")
    assert journey.customer().email == "ada@shop.example"


def test_a_visitor_s_event_starts_a_visitor_s_workflow() -> None:
    journey = Journey(
        workflow(send_event("tell", "a")),
        workflow(
            action("keep", "update_attributes", attributes={"by": "${trigger.anonymous_id}"}), id="o", on=[trigger("a")]
        ),
    )
    journey.publish("signup", customer=None, envelope={"anonymous_id": "v1"})
    customer = journey.engine.table.get(b"a:v1")
    assert customer is not None
    assert customer.attributes == {"by": "v1"}


def test_a_chain_is_ten_events_deep_and_the_eleventh_is_refused() -> None:
    ring = workflow(send_event("again", "signup"), allow_multiple_executions=True)
    journey = Journey(ring)
    journey.publish("signup")
    assert journey.started() == 11
    assert [(one.reason, one.step_id) for one in journey.decisions("bound_reached")] == [("event_chain", "again")]
    results = [(one.detail or {})["result"] for one in journey.decisions("step_completed")]
    assert results == ["sent"] * 10 + ["refused"]


def test_a_chain_that_branches_stops_at_two_hundred_events_of_one_decision() -> None:
    rings = [workflow(send_event("again", "signup"), id=f"w{n}", allow_multiple_executions=True) for n in range(3)]
    journey = Journey(*rings)
    journey.publish("signup")
    results = [(one.detail or {})["result"] for one in journey.decisions("step_completed")]
    assert results.count("sent") == 200
    assert journey.customer().executions == []


def test_a_timer_s_event_is_applied_at_the_timer_s_instant() -> None:
    journey = Journey(
        workflow(wait("p", "tell", duration_hours=1), send_event("tell", "a")), workflow(id="o", on=[trigger("a")])
    )
    journey.publish("signup")
    journey.advance(2 * HOUR_MS)
    assert [send.send_at for send in journey.sends()] == [after(HOUR_MS)]


@pytest.mark.parametrize(("more", "counted"), [("", 1), ("!", 0)])
def test_properties_beyond_64_kib_are_refused(more: str, counted: int) -> None:
    journey = Journey(workflow(send_event("tell", "a", x="${trigger.x}${trigger.x}" + more)))
    journey.publish("signup", x="x" * ((64 * 1024 - len('{"x":""}')) // 2))
    assert journey.customer().counts.get("a", 0) == counted
    assert journey.reasons("bound_reached") == ["event_properties"][counted:]


def nested(depth: int) -> Json:
    value: Json = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(("depth", "counted"), [(MAX_DEPTH - 3, 1), (MAX_DEPTH - 2, 1), (MAX_DEPTH - 1, 0)])
def test_properties_nested_deeper_than_an_events_may_be_are_refused(depth: int, counted: int) -> None:
    """They lie one level deeper in the event that is sent than in the one they come from."""
    journey = Journey(workflow(send_event("tell", "told", more={"deep": "${trigger.deep}"})))
    journey.publish("signup", deep=nested(depth))
    assert journey.customer().counts.get("told", 0) == counted
