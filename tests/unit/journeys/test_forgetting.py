"""Visitors without address and execution are forgotten 90 days after their last event."""

import pytest

from schemas.instants import DAY_MS, HOUR_MS
from tests.journey import Journey, after, lifecycle_change, mail, wait, workflow

DAYS_90 = 90 * DAY_MS
VISITOR = b"a:v"


def journey(*documents: dict, address: str | None = None) -> Journey:  # type: ignore[type-arg]
    return Journey(*documents, email=address)


def visit(one: Journey, at: int = 0, kind: str = "page_viewed", **properties: str) -> None:
    one.publish(kind, at, customer=None, envelope={"anonymous_id": "v", "properties": {**properties}})


def is_known(one: Journey) -> bool:
    return one.engine.table.get(VISITOR) is not None


@pytest.mark.parametrize(("at", "known"), [(DAYS_90 - 1, True), (DAYS_90, False), (DAYS_90 + 1, False)])
def test_a_visitor_is_forgotten_ninety_days_after_the_last_event(at: int, known: bool) -> None:  # noqa: FBT001
    one = journey()
    visit(one, -DAY_MS)
    visit(one, 0, "email_delivered")
    one.advance(to=at)
    assert is_known(one) is known
    forgotten = [] if known else [(after(DAYS_90), "visitor_forgotten")]
    assert [(decision.at, decision.reason) for decision in one.decisions("bound_reached")] == forgotten


def test_an_event_at_that_instant_begins_a_new_visitor() -> None:
    one = journey()
    visit(one)
    visit(one, DAYS_90)
    customer = one.engine.table.get(VISITOR)
    assert customer is not None
    assert customer.counts == {"page_viewed": 1}
    assert customer.is_visitor
    assert one.reasons("bound_reached") == ["visitor_forgotten"]
    one.advance(to=2 * DAYS_90)
    assert not is_known(one)


def test_customers_and_visitors_with_an_address_stay() -> None:
    one = journey()
    one.publish("page_viewed")
    visit(one, 0, email="v@shop.example")
    one.advance(to=400 * DAY_MS)
    assert is_known(one)
    assert one.customer().counts == {"page_viewed": 1}


def test_an_execution_keeps_a_visitor_until_it_ends() -> None:
    path = [wait("p", duration_days=100)]
    one = journey(workflow(*path, max_execution_time_days=200))
    visit(one, 0, "signup")
    one.advance(to=100 * DAY_MS - 1)
    assert is_known(one)
    one.advance(to=100 * DAY_MS)
    assert not is_known(one)
    assert one.reasons("execution_ended") == ["completed"]


def test_what_starts_at_the_instant_of_forgetting_goes_first() -> None:
    one = journey(workflow(wait("p", "m", duration_hours=1), mail("m"), on=[lifecycle_change(to="churned")]))
    visit(one)
    one.advance(to=DAYS_90)
    assert is_known(one)
    one.advance(to=DAYS_90 + 2 * HOUR_MS)
    assert not is_known(one)


def test_the_changelog_forgets_as_well() -> None:
    one = journey()
    visit(one)
    one.engine.table.take_changes(1, 1)
    one.advance(to=DAYS_90)
    assert one.engine.table.take_changes(1, 2) == [(VISITOR, None)]
