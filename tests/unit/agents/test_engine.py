"""One partition, folded: whose timers fire when, and what a caller is told."""

import pytest

from agents.engine import Engine
from schemas.events import customer_key
from schemas.instants import HOUR_MS
from tables.customers import CustomersTable
from tests.journey import START, Journey, compiled, event, mail, wait, workflow

LATER = workflow(wait("p", "mail", duration_hours=1), mail())


def test_before_a_customers_record_her_own_timers_fire_each_at_its_deadline() -> None:
    journey = Journey(LATER)
    journey.publish("signup")
    journey.publish("page_viewed", 5 * HOUR_MS)
    assert [send.send_at[11:13] for send in journey.sends()] == ["10"]


def test_another_customers_record_never_fires_hers() -> None:
    journey = Journey(LATER)
    journey.publish("signup")
    journey.publish("page_viewed", 5 * HOUR_MS, customer="bob")
    assert journey.sends() == []
    journey.advance(5 * HOUR_MS)
    assert len(journey.sends()) == 1


def test_time_fires_everybodys_timers_by_deadline_then_customer() -> None:
    journey = Journey(LATER)
    for name, at in (("b", 0), ("a", 1), ("c", 0)):
        journey.publish("signup", at, customer=name)
    journey.advance(2 * HOUR_MS)
    assert [send.customer_id for send in journey.sends()] == ["b", "c", "a"]


def test_an_outcome_says_whether_an_event_or_time_led_to_it() -> None:
    engine = Engine(CustomersTable(), compiled(LATER))
    signup, at = event(event_id="e1", customer_id="ada")
    again, _ = event(event_id="e2", customer_id="ada")
    engine.take(customer_key(signup), signup, at)
    outcomes = engine.take(customer_key(again), again, at + HOUR_MS)
    assert [(one.by_event, one.now - START) for one in outcomes] == [(False, HOUR_MS), (True, HOUR_MS)]


def test_a_visitor_is_told_from_a_customer_of_the_same_name() -> None:
    journey = Journey(workflow())
    journey.publish("signup")
    journey.publish("signup", customer=None, envelope={"anonymous_id": "ada"})
    assert [send.customer_id for send in journey.sends()] == ["ada", "a:ada"]


def test_with_both_ids_a_record_belongs_to_the_customer() -> None:
    journey = Journey(workflow())
    journey.publish("signup", envelope={"anonymous_id": "v"})
    assert [send.customer_id for send in journey.sends()] == ["ada"]


def test_a_log_without_a_catalogue_is_refused() -> None:
    made, at = event(event_id="e1", customer_id="ada")
    with pytest.raises(RuntimeError, match="catalogue mark"):
        Engine(CustomersTable()).take(b"c:ada", made, at)
