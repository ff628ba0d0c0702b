"""Segments with a condition: kept up to date by events and by time, and what waits for a change of them."""

import pytest

from schemas.decisions import Decision
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS
from tests.journey import (
    START,
    Document,
    Journey,
    action,
    after,
    compiled,
    is_,
    mail,
    segment,
    segment_change,
    trigger,
    wait,
    workflow,
)

RECENT = segment("recent", is_("last_activity", "within_hours", 1))
BUYERS = segment("buyers", is_("total_purchases", "gte", 1))
PRO = segment("pro", is_("plan", "eq", "pro"))


def moves(journey: Journey) -> list[tuple[str, str]]:
    """Return the memberships that changed: when, and which."""
    details = [(one.at, one.detail or {}) for one in journey.decisions("profile_changed")]
    return [
        (at, f"{'+' if key == 'segment_entered' else '-'}{value}")
        for at, detail in details
        for key, value in detail.items()
        if key in {"segment_entered", "segment_left"}
    ]


def started_at(journey: Journey) -> list[str]:
    return [one.at for one in journey.decisions("execution_started")]


def test_an_event_that_fulfils_the_condition_makes_a_member_before_executions_and_triggers_look() -> None:
    only_members: Json = {"operator": "in_segment", "value": "buyers"}
    journey = Journey(BUYERS, workflow(mail(when=only_members), on=[trigger("order_completed", where=only_members)]))
    journey.publish("page_viewed")
    assert journey.customer().segments == []
    journey.publish("order_completed", 1)
    assert journey.customer().segments == ["buyers"]
    assert moves(journey) == [(after(1), "+buyers")]
    assert len(journey.sends()) == 1


@pytest.mark.parametrize(("at", "is_member"), [(HOUR_MS - 1, True), (HOUR_MS, True), (HOUR_MS + 1, False)])
def test_time_alone_ends_a_membership_exactly_when_the_condition_does(at: int, is_member: bool) -> None:  # noqa: FBT001
    journey = Journey(RECENT)
    journey.publish("page_viewed")
    assert journey.deadline() == HOUR_MS + 1
    journey.advance(to=at)
    assert journey.customer().segments == (["recent"] if is_member else [])
    assert moves(journey)[1:] == ([] if is_member else [(after(HOUR_MS + 1), "-recent")])


def test_a_membership_that_time_begins_begins_then() -> None:
    journey = Journey(segment("quiet", is_("last_activity", "not_within_hours", 24)))
    journey.publish("page_viewed")
    journey.publish("page_viewed", HOUR_MS)
    journey.advance(to=10 * DAY_MS)
    assert moves(journey) == [(after(DAY_MS + HOUR_MS + 1), "+quiet")]
    journey.publish("page_viewed", 10 * DAY_MS)
    assert moves(journey)[1:] == [(after(10 * DAY_MS), "-quiet")]


def test_a_score_that_falls_ends_a_membership() -> None:
    hot = segment("hot", is_("engagement_score", "gte", 20))
    journey = Journey(hot, {"kind": "scoring", "weights": {"ping": 40}, "half_life_hours": 24})
    journey.publish("ping")
    journey.advance(to=3 * DAY_MS)
    ((entered, _), (left, name)) = moves(journey)
    assert (entered, name) == (after(0), "-hot")
    assert after(DAY_MS) < left < after(DAY_MS + 100)


def test_what_has_been_performed_lately_is_looked_at_again_when_the_window_ends() -> None:
    performed: Json = {"operator": "performed", "value": {"event_type": "ping", "min_count": 2, "within_hours": 1}}
    journey = Journey(segment("eager", performed))
    for at in (0, 10, 20):
        journey.publish("ping", at)
    journey.advance(to=DAY_MS)
    assert moves(journey) == [(after(10), "+eager"), (after(HOUR_MS + 10 + 1), "-eager")]


def test_an_event_that_touches_no_field_of_a_condition_evaluates_none() -> None:
    """A condition whose answer has changed without an event that touches it would show: so it wasn't looked at."""
    journey = Journey(PRO, BUYERS, segment("visitors", is_("counts.page_viewed", "gte", 1)), RECENT)
    journey.publish("page_viewed")
    customer = journey.customer()
    customer.attributes["plan"] = "pro"
    customer.total_purchases = 1
    customer.counts.clear()
    journey.publish("signup", 1)
    assert journey.customer().segments == ["recent", "visitors"]
    journey.publish("email_delivered", 2)
    assert journey.customer().segments == ["recent", "visitors"]
    journey.publish("customer_updated", 3, attributes={"other": 1})
    assert journey.customer().segments == ["recent", "visitors"]
    customer.attributes["plan"] = None
    journey.publish("customer_updated", 4, attributes={"plan": "pro"})
    assert journey.customer().segments == ["pro", "recent", "visitors"]


@pytest.mark.parametrize(
    ("condition", "kind", "properties"),
    [
        (is_("first_seen", "exists"), "page_viewed", {}),
        (is_("last_activity", "exists"), "page_viewed", {}),
        (is_("last_engagement", "exists"), "email_opened", {}),
        (is_("customer.engagement_score", "gt", 0), "email_opened", {}),
        (is_("total_spent", "gte", 5), "purchase", {"total": 5}),
        (is_("avg_order_value", "gte", 5), "order_completed", {"total": 5}),
        (is_("counts.ping", "eq", 2), "ping", {}),
        (is_("last.ping", "after", "2026-01-01T09:00:00Z"), "ping", {}),
        (is_("session.events", "gte", 2), "ping", {}),
        (is_("attributes.plan", "eq", "pro"), "customer_updated", {"attributes": {"plan": "pro"}}),
        (is_("attributes.a.b", "eq", 1), "customer_updated", {"attributes": {"a": {"b": 1}}}),
        (is_("attributes.a.b", "eq", 1), "customer_updated", {"attributes": {"a.b": 1}}),
        (is_("customer.address.city", "eq", "Graz"), "customer_updated", {"attributes": {"address": {"city": "Graz"}}}),
        (is_("total_purchases", "eq", 9), "customer_updated", {"attributes": {"total_purchases": 9}}),
        (is_("preferences.color", "eq", "red"), "customer_updated", {"preferences": {"color": "red"}}),
        (is_("phone", "exists"), "customer_updated", {"phone": "+1"}),
        (is_("phone", "exists"), "page_viewed", {"phone": "+1"}),
        (is_("lifecycle_stage", "eq", "advocate"), "customer_updated", {"lifecycle_stage": "advocate"}),
        (is_("lifecycle_stage", "eq", "customer"), "order_completed", {}),
        ({"operator": "in_segment", "value": "vip"}, "segment_entered", {"segment_id": "vip"}),
        ({"operator": "performed", "value": {"event_type": "ping", "min_count": 2}}, "ping", {}),
        ({"not": {"operator": "not_performed", "value": {"event_type": "ping", "min_count": 2}}}, "ping", {}),
        (
            is_("birthday", "before", "2026-01-01"),
            "customer_updated",
            {"preferences": {"timezone": "America/New_York"}},
        ),
    ],
    ids=str,
)
def test_whatever_a_condition_reads_an_event_that_changes_it_is_followed(
    condition: Document, kind: str, properties: Document
) -> None:
    journey = Journey(segment("s", condition))
    journey.publish("email_delivered", envelope={"properties": {}})
    journey.publish("ping")
    # In UTC this is the first instant of the year; further west the year begins later.
    journey.publish("customer_updated", attributes={"birthday": "2026-01-01T00:00:00Z"})
    was_member = bool(journey.customer().segments)
    journey.publish(kind, 1, envelope={"properties": properties})
    assert "s" in journey.customer().segments
    assert not was_member or condition in (is_("first_seen", "exists"), is_("last_activity", "exists"))


def test_another_address_has_another_status() -> None:
    journey = Journey(segment("roles", is_("email_status", "eq", "role")))
    journey.publish("customer_updated", email="ada@shop.example")
    assert journey.customer().segments == []
    journey.publish("customer_updated", 1, email="info@shop.example")
    assert journey.customer().segments == ["roles"]


def test_a_segment_may_ask_for_another_and_follows_it() -> None:
    documents = [
        segment("a", {"operator": "in_segment", "value": "b"}),
        segment(
            "b", {"all": [{"operator": "in_segment", "value": "pro"}, {"operator": "not_in_segment", "value": "vip"}]}
        ),
        PRO,
    ]
    journey = Journey(*documents)
    journey.publish("customer_updated", attributes={"plan": "pro"})
    assert moves(journey) == [(after(0), "+pro"), (after(0), "+b"), (after(0), "+a")]
    journey.publish("segment_entered", 1, segment_id="vip")
    assert journey.customer().segments == ["pro", "vip"]
    journey.publish("segment_left", 2, segment_id="vip")
    assert journey.customer().segments == ["a", "b", "pro"]


def test_an_action_that_changes_an_attribute_moves_memberships_at_once() -> None:
    steps = [
        action("set", "update_attributes", "send", attributes={"plan": "pro"}),
        mail("send", when={"operator": "in_segment", "value": "pro"}),
    ]
    journey = Journey(PRO, workflow(*steps))
    journey.publish("signup")
    assert moves(journey) == [(after(0), "+pro")]
    assert len(journey.sends()) == 1


def test_the_crm_doesnt_move_members_of_a_segment_with_a_condition() -> None:
    journey = Journey(PRO)
    journey.publish("segment_entered", segment_id="pro")
    assert journey.customer().segments == []
    (refused,) = journey.decisions("profile_refused")
    assert (refused.reason, refused.detail) == ("segment_has_condition", {"segment_id": "pro"})


# Triggers -------------------------------------------------------------------------------------------------------


def test_entering_and_leaving_a_segment_by_condition_fire() -> None:
    journey = Journey(
        RECENT,
        workflow(id="in", on=[segment_change("recent")], allow_multiple_executions=True),
        workflow(id="out", on=[segment_change("recent", "left")], allow_multiple_executions=True),
    )
    for at in (0, 10, 3 * HOUR_MS):
        journey.publish("page_viewed", at)
    journey.advance(to=DAY_MS)
    starts = [(one.at, one.workflow_id) for one in journey.decisions("execution_started")]
    assert starts == [
        (after(0), "in"),
        (after(HOUR_MS + 11), "out"),
        (after(3 * HOUR_MS), "in"),
        (after(4 * HOUR_MS + 1), "out"),
    ]
    first, second, *_ = journey.decisions("trigger_fired")
    assert first.detail == {
        "event_id": "e1",
        "event_type": "page_viewed",
        "segment_id": "recent",
        "change": "entered",
        "confidence_score": 1.0,
    }
    assert second.detail == {"segment_id": "recent", "change": "left", "confidence_score": 1.0}


def test_entering_a_segment_by_the_crm_or_by_an_action_fires() -> None:
    joins = workflow(action("join", "add_to_segment", segment_id="vip"), id="joins")
    parts = workflow(action("part", "remove_from_segment", segment_id="vip"), id="parts", on=[trigger("bye")])
    greets = workflow(id="greets", on=[segment_change("vip")], allow_multiple_executions=True)
    leaves = workflow(id="leaves", on=[segment_change("vip", "left")], allow_multiple_executions=True)
    journey = Journey(joins, parts, greets, leaves)
    journey.publish("segment_entered", segment_id="vip")
    journey.publish("signup", 1)
    journey.publish("bye", 2)
    journey.publish("segment_left", 3, segment_id="vip")
    started = [(one.at, one.workflow_id) for one in journey.decisions("execution_started")]
    assert started == [(after(0), "greets"), (after(1), "joins"), (after(2), "parts"), (after(2), "leaves")]


def test_where_looks_at_the_customer_and_at_the_event_that_moved_her() -> None:
    journey = Journey(BUYERS, workflow(on=[segment_change("buyers", where=is_("event.total", "gte", 10))]))
    journey.publish("order_completed", total=9)
    assert started_at(journey) == []
    journey.publish("order_completed", 1, customer="eve", total=10)
    assert started_at(journey) == [after(1)]


def test_a_membership_moved_by_an_event_that_is_too_old_starts_nothing() -> None:
    journey = Journey(BUYERS, workflow(on=[segment_change("buyers")]))
    journey.publish("order_completed", -73 * HOUR_MS, arrives=0)
    assert journey.customer().segments == ["buyers"]
    assert journey.reasons("trigger_refused") == ["event_too_old"]


def test_triggers_of_changes_and_of_the_event_go_in_one_order() -> None:
    journey = Journey(
        BUYERS,
        workflow(id="low", on=[trigger("order_completed", priority=10)]),
        workflow(id="changed", on=[segment_change("buyers", priority=20)]),
        workflow(id="high", on=[trigger("order_completed", priority=30)]),
    )
    journey.publish("order_completed")
    assert [one.workflow_id for one in journey.decisions("trigger_fired")] == ["high", "changed", "low"]


def test_workflows_that_move_each_others_segments_end() -> None:
    """Each starts the other by its action; one event starts each once at most."""
    there = workflow(
        action("out", "remove_from_segment", "in", segment_id="vip"),
        action("in", "add_to_segment", segment_id="vip"),
        id="there",
        on=[segment_change("vip")],
        allow_multiple_executions=True,
    )
    back = workflow(
        action("in", "add_to_segment", "out", segment_id="vip"),
        action("out", "remove_from_segment", segment_id="vip"),
        id="back",
        on=[segment_change("vip", "left")],
        allow_multiple_executions=True,
    )
    journey = Journey(there, back)
    journey.publish("segment_entered", segment_id="vip")
    assert [one.workflow_id for one in journey.decisions("execution_started")] == ["there", "back"]
    assert set(journey.reasons("trigger_refused")) == {"already_active"}


# The first computation ------------------------------------------------------------------------------------------


def test_a_customer_whose_first_event_fulfils_the_condition_enters_and_fires() -> None:
    journey = Journey(segment("idle", {"not": is_("total_purchases", "gte", 1)}), workflow(on=[segment_change("idle")]))
    journey.publish("page_viewed")
    assert moves(journey) == [(after(0), "+idle")]
    assert started_at(journey) == [after(0)]


def test_a_new_segment_takes_in_those_who_were_there_without_firing() -> None:
    greeting = workflow(wait("p", duration_hours=1), on=[segment_change("buyers")])
    old = Journey(segment("buyers"), greeting)
    old.publish("order_completed", customer="ada")
    old.publish("page_viewed", customer="bob")
    new = compiled(BUYERS, segment("quiet", is_("last_activity", "not_within_hours", 24)), greeting, number=2)
    old.engine.switch(new, START + HOUR_MS)
    assert [one.detail for one in old.advance(to=DAY_MS) if isinstance(one, Decision)] == []
    assert old.customer("ada").segments == ["buyers"]
    assert old.customer("bob").segments == []
    old.advance(to=2 * DAY_MS)
    assert moves(old) == [(after(DAY_MS + 1), "+quiet"), (after(DAY_MS + 1), "+quiet")]
    old.publish("order_completed", 2 * DAY_MS, customer="bob")
    assert started_at(old) == [after(2 * DAY_MS)]


def test_a_new_segment_takes_in_a_customer_at_her_next_event_as_she_was_before_it() -> None:
    greeting = workflow(on=[segment_change("buyers")])
    journey = Journey(segment("buyers"), greeting)
    journey.publish("page_viewed", customer="ada")
    journey.publish("order_completed", customer="bob")
    journey.engine.switch(compiled(BUYERS, greeting, number=2), START + 1)
    for name in ("ada", "bob"):
        journey.publish("order_completed", 1, customer=name)
    assert [one.customer_id for one in journey.decisions("execution_started")] == ["ada"]


def test_an_unchanged_segment_of_a_new_catalogue_goes_on_as_it_was() -> None:
    greeting = workflow(on=[segment_change("recent", "left")])
    journey = Journey(RECENT, PRO, greeting)
    journey.publish("page_viewed")
    old = journey.engine.catalogue
    assert old is not None
    new = compiled(RECENT, {**PRO, "condition": is_("plan", "ne", "pro")}, greeting, number=2, predecessors={1: old})
    assert {rule.name: rule.since for rule in new.watch.segments} == {"recent": 1, "pro": 2}
    journey.engine.switch(new, START + 2 * HOUR_MS)
    journey.advance(to=DAY_MS)
    assert journey.customer().segments == ["pro"]
    assert started_at(journey) == [after(2 * HOUR_MS + 1)]


def test_where_no_segment_has_a_condition_any_more_nothing_is_due() -> None:
    journey = Journey(RECENT)
    journey.publish("page_viewed")
    journey.engine.switch(compiled(number=2), START)
    journey.advance(to=DAY_MS)
    assert journey.customer().segments == ["recent"]
    assert journey.customer().segment_flips == {}
    assert journey.customer().watched_by == 0
    assert journey.deadline() == 90 * DAY_MS
