"""Who ends when two become one, and what is left of a customer who was deleted."""

import pytest

from schemas.customer import Customer
from schemas.instants import DAY_MS, HOUR_MS
from tests.journey import START, Document, Journey, after, mail, schedule, trigger, wait, workflow
from tests.journey import trigger as trigger_

SERIES = workflow(mail("first", "pause"), wait("pause", "second", duration_hours=2), mail("second"))
MANY = workflow(wait("pause", "late", duration_hours=3), mail("late"), id="many", allow_multiple_executions=True)


def identify(journey: Journey, at: int, visitor: str = "v", customer: str = "ada") -> None:
    journey.publish("identify", at, customer=customer, envelope={"anonymous_id": visitor})


def visit(journey: Journey, event_type: str, at: int, visitor: str = "v") -> None:
    journey.publish(event_type, at, customer=None, envelope={"anonymous_id": visitor})


# Merging ------------------------------------------------------------------------------------------------------


def test_a_visitors_execution_goes_on_under_the_customer_with_its_id() -> None:
    journey = Journey(SERIES)
    visit(journey, "signup", 0)
    [started] = journey.decisions("execution_started")
    identify(journey, HOUR_MS)
    journey.advance(to=DAY_MS)
    assert [(send.customer_id, send.step_id) for send in journey.sends()] == [("a:v", "first"), ("ada", "second")]
    assert {send.execution_id for send in journey.sends()} == {started.execution_id}
    assert [(one.customer_id, one.reason) for one in journey.decisions("customer_merged")] == [
        ("a:v", "absorbed"),
        ("ada", None),
    ]


def test_of_a_workflow_that_allows_one_the_execution_started_later_ends_merged() -> None:
    journey = Journey(SERIES, MANY)
    journey.publish("signup", 0)
    visit(journey, "signup", 1)
    identify(journey, 2)
    [ended] = journey.decisions("execution_ended")
    assert (ended.reason, ended.workflow_id) == ("merged", "w")
    journey.advance(to=DAY_MS)
    assert len(journey.sends("second")) == 1
    assert len(journey.sends("late")) == 2


def test_executions_with_other_keys_go_on_side_by_side() -> None:
    keyed = workflow(
        wait("pause", "late", duration_hours=3),
        mail("late"),
        on=[trigger("order_completed")],
        execution_key="event.properties.order_id",
    )
    journey = Journey(keyed)
    journey.publish("order_completed", 0, order_id="one")
    for order in ("one", "two"):
        journey.publish("order_completed", 1, customer=None, order_id=order, envelope={"anonymous_id": "v"})
    identify(journey, 2)
    assert journey.reasons("execution_ended") == ["merged"]
    journey.advance(to=DAY_MS)
    assert len(journey.sends("late")) == 2


@pytest.mark.parametrize(("most", "left"), [(6, 6), (7, 7), (8, 7)])
def test_more_executions_than_a_customer_may_have_end_with_those_that_started_last(most: int, left: int) -> None:
    journey = Journey(MANY, max_concurrent_executions=most)
    for at in range(3):
        journey.publish("signup", at)
    for at in range(3, 7):
        visit(journey, "signup", at)
    identify(journey, 7)
    assert journey.reasons("execution_ended") == ["merged"] * (7 - left)
    assert [one.started_at for one in journey.customer().executions] == [START + at for at in range(left)]
    identify(journey, 8, visitor="w")
    assert len(journey.customer().executions) == left


def test_a_bound_that_a_merge_reaches_is_a_decision() -> None:
    journey = Journey(SERIES)
    journey.publish("customer_updated", 0, attributes={"long": "x" * 30_000})
    journey.publish("customer_updated", 0, customer="bob", attributes={"other": "x" * 30_000})
    journey.publish("customer_merged", 1, merged_id="bob")
    assert journey.reasons("bound_reached") == ["attributes"]


def test_no_cron_comes_for_whoever_was_merged_away_or_deleted() -> None:
    journey = Journey(workflow(mail("daily"), on=[schedule("0 9 * * *")], allow_multiple_executions=True))
    journey.publish("page_viewed", 0)
    visit(journey, "page_viewed", 0)
    journey.publish("page_viewed", 0, customer="bob")
    identify(journey, 1)
    journey.publish("customer_deleted", 1, customer="bob")
    journey.advance(to=DAY_MS)
    assert {send.customer_id for send in journey.sends()} == {"ada"}


def test_the_visitors_events_count_for_the_customer_once() -> None:
    journey = Journey(SERIES)
    visit(journey, "page_viewed", 0)
    identify(journey, 1)
    identify(journey, 2)
    visit(journey, "page_viewed", 3)
    assert journey.customer().counts == {"page_viewed": 2, "identify": 2}
    assert len(journey.decisions("customer_merged")) == 2


def test_whoever_was_absorbed_by_another_is_not_absorbed_again() -> None:
    journey = Journey(SERIES)
    visit(journey, "page_viewed", 0)
    identify(journey, 1, customer="ada")
    identify(journey, 2, customer="bob")
    assert journey.customer("bob").counts == {"identify": 1}
    assert journey.reasons("merge_refused") == ["already_merged"]


def test_a_merge_that_is_refused_is_refused_once_however_often_its_event_comes() -> None:
    journey = Journey(SERIES)
    visit(journey, "page_viewed", 0)
    identify(journey, 1, customer="ada")
    for at in (2, 3):
        journey.publish("identify", at, customer="bob", event_id="same", envelope={"anonymous_id": "v"})
    assert journey.reasons("merge_refused") == ["already_merged"]
    journey.publish("identify", 4, customer="bob", event_id="other", envelope={"anonymous_id": "v"})
    assert journey.reasons("merge_refused") == ["already_merged"] * 2


def test_merging_in_a_circle_is_refused() -> None:
    journey = Journey(SERIES)
    journey.publish("page_viewed", 0, customer="bob")
    journey.publish("customer_merged", 1, customer="ada", merged_id="bob")
    journey.publish("customer_merged", 2, customer="bob", merged_id="ada")
    journey.publish("page_viewed", 3, customer="ada")
    journey.publish("page_viewed", 4, customer="bob")
    assert journey.reasons("merge_refused") == ["cycle"]
    assert journey.customer().counts == {"page_viewed": 3, "customer_merged": 2}


def test_a_customer_is_not_merged_into_herself() -> None:
    journey = Journey(SERIES)
    journey.publish("signup", 0)
    journey.publish("customer_merged", 1, merged_id="ada")
    journey.advance(to=DAY_MS)
    assert len(journey.sends()) == 2
    assert journey.decisions("customer_merged") == []


def test_only_the_crm_says_that_customers_were_merged() -> None:
    journey = Journey(SERIES)
    journey.publish("page_viewed", 0, customer="bob")
    journey.publish("customer_merged", 1, merged_id="bob", envelope={"topic": "behavioral-events"})
    assert journey.customer("bob").counts == {"page_viewed": 1}


# Deleting -----------------------------------------------------------------------------------------------------


def test_a_deletion_ends_executions_and_forgets_everything() -> None:
    journey = Journey(SERIES, MANY)
    journey.publish("signup", 0, email="ada@shop.example")
    journey.publish("customer_deleted", HOUR_MS)
    journey.advance(to=DAY_MS)
    assert journey.reasons("execution_ended") == ["customer_deleted", "customer_deleted"]
    assert len(journey.decisions("customer_deleted")) == 1
    assert [send.step_id for send in journey.sends()] == ["first"]
    left = journey.customer()
    assert left.bonds is not None
    assert left.bonds.grave is not None
    blank = Customer(customer_id="ada", now=left.now, seen=left.seen, bonds=left.bonds)
    assert left == blank
    assert "shop.example" not in str(left)


@pytest.mark.parametrize("before", [1, 0])
def test_events_from_before_a_deletion_are_dropped_and_later_ones_begin_a_new_customer(before: int) -> None:
    journey = Journey(SERIES)
    journey.publish("customer_deleted", HOUR_MS)
    journey.publish("signup", HOUR_MS - before, arrives=2 * HOUR_MS)
    assert journey.started() == 0
    assert journey.reasons("event_dropped") == ["customer_deleted"]
    assert journey.reasons("trigger_refused") == ["customer_deleted"]
    (refused,) = journey.decisions("trigger_refused")
    assert (refused.detail or {})["deleted_at"] == after(HOUR_MS)
    assert journey.customer().counts == {}
    journey.publish("signup", HOUR_MS + 1, arrives=2 * HOUR_MS)
    assert journey.started() == 1
    assert journey.customer().counts == {"signup": 1}


def test_a_deletion_that_comes_again_deletes_nobody() -> None:
    journey = Journey(SERIES)
    journey.publish("customer_deleted", 0, event_id="d")
    journey.publish("signup", HOUR_MS)
    journey.publish("customer_deleted", 0, event_id="d", arrives=2 * DAY_MS)
    assert journey.customer().counts == {"signup": 1}


def test_an_event_that_comes_again_behind_a_late_deletion_starts_nothing_twice() -> None:
    journey = Journey(SERIES)
    journey.publish("signup", HOUR_MS, event_id="s")
    journey.publish("customer_deleted", 0, arrives=2 * HOUR_MS)
    journey.publish("signup", HOUR_MS, event_id="s", arrives=3 * HOUR_MS)
    assert journey.started() == 1


def test_nothing_starts_by_the_deletion_itself() -> None:
    journey = Journey(workflow(mail(), on=[trigger("customer_deleted")]))
    journey.publish("customer_deleted", 0)
    assert journey.started() == 0


def test_a_new_customer_inherits_the_suppression_of_her_address_and_of_no_other() -> None:
    journey = Journey(SERIES, MANY, email=None)
    journey.publish("customer_updated", 0, email="Ada@shop.example")
    journey.publish("email_complained", 1)
    journey.publish("customer_deleted", 2)
    journey.publish("customer_updated", 3, email="new@shop.example")
    journey.publish("signup", 4)
    assert len(journey.sends("first")) == 1
    journey.publish("customer_updated", 5, email="ada@shop.example")
    journey.advance(to=DAY_MS)
    assert journey.reasons("send_suppressed") == ["complained", "complained"]


@pytest.mark.parametrize("also_deleted", [False, True])
def test_who_absorbs_somebody_who_was_deleted_leaves_alone_what_had_to_be_left_alone(*, also_deleted: bool) -> None:
    """Whether or not she has a grave of her own; another address is written to."""
    journey = Journey(SERIES, email=None)
    if also_deleted:
        journey.publish("customer_updated", 0, email="ada@shop.example")
        journey.publish("email_complained", 1)
        journey.publish("customer_deleted", 2)
    journey.publish("customer_updated", 0, customer="bob", email="bob@shop.example")
    journey.publish("email_bounced", 1, customer="bob")
    journey.publish("customer_deleted", 2, customer="bob")
    journey.publish("customer_updated", 3, customer="bob", attributes={"plan": "pro"})
    journey.publish("customer_merged", 4, merged_id="bob")
    journey.publish("customer_updated", 5, email="bob@shop.example")
    journey.publish("signup", 6)
    assert journey.reasons("send_suppressed") == ["bounced"]
    journey.publish("customer_updated", 7, email="new@shop.example")
    journey.advance(to=DAY_MS)
    assert [send.to for send in journey.sends()] == ["new@shop.example"]


def test_who_unsubscribed_before_and_behind_a_deletion_has_unsubscribed_once() -> None:
    journey = Journey(SERIES)
    journey.publish("email_unsubscribed", 0)
    journey.publish("customer_deleted", 1)
    journey.publish("email_unsubscribed", 2)
    journey.publish("customer_updated", 3, email="ada@shop.example")
    journey.publish("signup", 4)
    assert journey.reasons("send_suppressed") == ["unsubscribed"]


def test_of_two_addresses_the_one_that_bounced_stays_suppressed_behind_a_deletion() -> None:
    journey = Journey(SERIES, MANY, email=None)
    journey.publish("customer_updated", 0, email="old@shop.example")
    journey.publish("email_bounced", 1)
    journey.publish("customer_updated", 2, email="good@shop.example")
    journey.publish("customer_deleted", 3)
    assert "shop.example" not in str(journey.customer())
    journey.publish("customer_updated", 4, email="good@shop.example")
    journey.publish("signup", 5)
    assert len(journey.sends("first")) == 1
    journey.publish("customer_updated", 6, email="old@shop.example")
    journey.advance(to=DAY_MS)
    assert journey.reasons("send_suppressed") == ["bounced", "bounced"]


def test_a_visitor_who_was_deleted_or_merged_away_is_remembered_for_good() -> None:
    journey = Journey(SERIES)
    visit(journey, "email_complained", 0)
    visit(journey, "customer_deleted", 1)
    visit(journey, "page_viewed", 2)
    visit(journey, "page_viewed", 2, visitor="w")
    identify(journey, 3, visitor="w")
    journey.advance(to=200 * DAY_MS)
    visit(journey, "page_viewed", 200 * DAY_MS, visitor="w")
    assert journey.reasons("bound_reached") == []
    assert journey.customer().counts == {"page_viewed": 2, "identify": 1}


def test_a_suppression_without_an_address_holds_for_whatever_address_comes() -> None:
    journey = Journey(SERIES, email=None)
    journey.publish("email_unsubscribed", 0)
    journey.publish("customer_deleted", 1)
    journey.publish("customer_updated", 2, email="new@shop.example")
    journey.publish("signup", 3)
    assert journey.reasons("send_suppressed") == ["unsubscribed"]


def test_what_occurred_before_a_visitor_was_deleted_stays_dropped_when_she_was_merged_since() -> None:
    journey = Journey(SERIES)
    visit(journey, "customer_deleted", 5)
    identify(journey, 10)
    journey.publish("signup", 5, customer=None, arrives=20, envelope={"anonymous_id": "v"})
    assert journey.reasons("event_dropped") == ["customer_deleted"]
    assert journey.customer().counts == {"identify": 1}
    journey.publish("signup", 6, customer=None, arrives=20, envelope={"anonymous_id": "v"})
    assert journey.customer().counts == {"identify": 1, "signup": 1}


def test_a_state_too_large_to_be_moved_stays_and_both_go_on() -> None:
    waits = workflow(wait("pause", "late", duration_hours=9), mail("late"), id="many", allow_multiple_executions=True)
    journey = Journey(waits)
    for at in range(45):
        filled: Document = {"long": "x" * 60_000}
        journey.publish(
            "signup", at, customer=None, envelope={"anonymous_id": "v", "context": filled}, long="x" * 60_000
        )
    identify(journey, HOUR_MS)
    [refused] = journey.decisions("merge_refused")
    assert refused.reason == "too_large"
    visit(journey, "signup", 2 * HOUR_MS)
    journey.advance(to=DAY_MS)
    assert len(journey.sends("late")) == 46
    assert journey.customer().counts == {"identify": 1}


def test_the_crm_tidies_up_whom_it_has_merged_away_and_the_person_goes_on() -> None:
    journey = Journey(SERIES)
    journey.publish("signup", 0, customer="bob")
    journey.publish("customer_merged", 1, customer="ada", merged_id="bob")
    journey.publish("customer_deleted", 2, customer="bob")
    journey.advance(to=DAY_MS)
    assert [send.customer_id for send in journey.sends("second")] == ["ada"]
    assert journey.reasons("merge_refused") == ["already_merged"]


def test_who_deletes_a_visitor_that_was_merged_away_deletes_the_person() -> None:
    journey = Journey(SERIES)
    visit(journey, "signup", 0)
    identify(journey, 1)
    visit(journey, "customer_deleted", 2)
    journey.advance(to=DAY_MS)
    assert journey.reasons("execution_ended") == ["customer_deleted"]
    assert journey.sends("second") == []
    assert (journey.customer().counts, journey.reasons("merge_refused")) == ({}, [])


def test_what_comes_for_somebody_deleted_since_is_said_once_a_day_and_fires_nothing_else() -> None:
    small = trigger_("signup", where={"field": "event.total", "operator": "lt", "value": 5})
    journey = Journey(workflow(on=[small]))
    journey.publish("signup", total=1)
    journey.publish("customer_deleted", HOUR_MS)
    for number in range(2):
        journey.publish("signup", number, arrives=2 * HOUR_MS, total=9)
    assert len(journey.decisions("event_dropped")) == 1
    assert journey.decisions("trigger_refused") == []
    journey.publish("signup", 3, arrives=2 * HOUR_MS, total=2)
    assert journey.reasons("trigger_refused") == ["customer_deleted"]
