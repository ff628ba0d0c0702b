"""`max_executions`: as many executions of a trigger as it says, over all customers, and not one more."""

import pytest

from journeys.decide import GRANTED, decide
from journeys.documents import Document as File
from journeys.validation import validate
from schemas.customer import Customer
from schemas.instants import DAY_MS, HOUR_MS
from tests.journey import (
    Document,
    Journey,
    absence,
    action,
    compiled,
    event,
    frequency,
    mail,
    schedule,
    silence,
    trigger,
    wait,
    workflow,
)

CUSTOMERS = ("ada", "bob", "eve")


def limited(most: int, **settings: object) -> Document:
    return workflow(
        mail("hi", "pause"),
        wait("pause", "again", duration_hours=1),
        mail("again"),
        on=[trigger("signup", max_executions=most)],
        **settings,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("most", "started"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_so_many_executions_start_and_later_firings_are_refused(most: int, started: int) -> None:
    journey = Journey(limited(most))
    for at, customer in enumerate(CUSTOMERS):
        journey.publish("signup", at, customer=customer)
    journey.advance(to=DAY_MS)
    assert journey.started() == started
    assert len(journey.sends("again")) == started
    assert journey.reasons("trigger_refused") == ["max_executions"] * (len(CUSTOMERS) - started)


def test_what_starts_has_the_ids_and_times_that_it_would_have_had_at_once() -> None:
    plain, counted = Journey(limited(9)), Journey(workflow(mail("hi", "pause"), wait("pause", "again", duration_hours=1),
                                                           mail("again")))  # fmt: skip
    for journey in (plain, counted):
        journey.publish("signup", 5, event_id="s")
        journey.advance(to=DAY_MS)
    assert plain.sends() == counted.sends()
    assert [one.kind for one in plain.decisions()] == [one.kind for one in counted.decisions()]


def test_a_refusal_says_the_limit_once_a_day_and_counts_nothing() -> None:
    journey = Journey(limited(1, allow_multiple_executions=True))
    for at in range(4):
        journey.publish("signup", at)
    journey.publish("signup", DAY_MS)
    assert journey.started() == 1
    refused = journey.decisions("trigger_refused")
    assert [one.reason for one in refused] == ["max_executions", "max_executions"]
    assert {(one.detail or {})["max_executions"] for one in refused} == {1}


def test_it_is_the_last_check_so_that_no_other_refusal_takes_a_place() -> None:
    journey = Journey(limited(2))
    for at in range(3):
        journey.publish("signup", at)
    journey.publish("signup", 4, customer="bob")
    assert journey.started() == 2
    assert journey.reasons("trigger_refused") == ["already_active"]


def test_a_cooldown_holds_also_between_firings_of_one_instant() -> None:
    """Two carts that are abandoned at the same time: one start, while its place isn't granted yet."""
    carts = workflow(
        mail(),
        on=[absence("cart_updated", "order_completed", 60, max_executions=5, cooldown_hours=1)],
        execution_key="event.properties.cart",
    )
    journey = Journey(carts)
    for cart in ("one", "two"):
        journey.publish("cart_updated", 0, cart=cart)
    journey.advance(to=DAY_MS)
    assert journey.started() == 1
    assert journey.reasons("trigger_refused") == ["cooldown"]


def test_of_two_events_that_one_decision_sends_the_second_finds_what_the_first_has_asked_a_place_for() -> None:
    telling = workflow(
        action("one", "send_event", "two", event_type="invited"),
        action("two", "send_event", event_type="invited"),
        id="telling",
    )
    journey = Journey(telling, workflow(mail(), on=[trigger("invited", max_executions=5)], id="invited"))
    journey.publish("signup", 0)
    assert [one.workflow_id for one in journey.decisions("execution_started")] == ["telling", "invited"]
    assert journey.reasons("trigger_refused") == ["already_active"]


def test_what_another_catalogue_no_longer_has_starts_nothing_when_its_place_is_granted() -> None:
    signup, at = event("signup", event_id="s", customer_id="ada")
    customer = Customer(customer_id="ada", email="ada@shop.example")
    decide(customer, signup, compiled(limited(5), trigger_less()), at)
    customer.pending[0].granted = True
    granted = decide(customer, GRANTED, compiled(trigger_less(), number=2), at)
    assert (granted, customer.pending, customer.executions) == ([], [], [])


def trigger_less() -> Document:
    return workflow(mail(), id="other", on=[])


def test_each_trigger_has_places_of_its_own() -> None:
    both = workflow(
        mail(),
        on=[trigger("signup", max_executions=1, id="one"), trigger("page_viewed", max_executions=1, id="two")],
        allow_multiple_executions=True,
    )
    journey = Journey(both)
    for at, customer in enumerate(CUSTOMERS):
        journey.publish("signup", at, customer=customer)
        journey.publish("page_viewed", at, customer=customer)
    assert [one.trigger_id for one in journey.decisions("execution_started")] == ["one", "two"]


def test_of_two_triggers_on_one_event_the_first_starts_the_workflow() -> None:
    both = workflow(
        mail(),
        on=[trigger("signup", max_executions=5, id="one"), trigger("signup", id="two")],
        allow_multiple_executions=True,
    )
    journey = Journey(both)
    journey.publish("signup", 0)
    assert [one.trigger_id for one in journey.decisions("execution_started")] == ["one"]
    assert journey.reasons("trigger_refused") == ["already_active"]


def test_a_cooldown_begins_with_the_start_and_an_event_sent_by_the_same_decision_finds_it() -> None:
    first = workflow(action("tell", "send_event", event_type="signup"), on=[trigger("page_viewed")], id="first")
    cool = workflow(
        mail(), on=[trigger("signup", max_executions=5, cooldown_hours=1)], id="cool", allow_multiple_executions=True
    )
    journey = Journey(first, cool)
    journey.publish("page_viewed", 0)
    journey.publish("signup", HOUR_MS - 1)
    journey.publish("signup", HOUR_MS)
    started = [one for one in journey.decisions("execution_started") if one.workflow_id == "cool"]
    assert len(started) == 2
    assert journey.reasons("trigger_refused") == ["cooldown"]


@pytest.mark.parametrize("on", [silence(24), schedule("0 9 * * *"), frequency("signup", 1, 5)])
def test_time_and_counts_need_places_too(on: Document) -> None:
    journey = Journey(workflow(mail(), on=[on | {"max_executions": 2}], allow_multiple_executions=True))
    for at, customer in enumerate(CUSTOMERS):
        journey.publish("signup", at, customer=customer)
    journey.advance(to=3 * DAY_MS)
    assert journey.started() == 2
    assert len(journey.sends()) == 2


def test_a_chain_of_limited_workflows_ends() -> None:
    """Each starts the other within one instant; places and the depth of chains bound it."""

    def links(name: str, hears: str, tells: str) -> Document:
        return workflow(
            action("tell", "send_event", event_type=tells),
            on=[trigger(hears, max_executions=1_000)],
            id=name,
            allow_multiple_executions=True,
        )

    journey = Journey(links("ping", "ping", "pong"), links("pong", "pong", "ping"))
    journey.publish("ping", 0)
    assert 0 < journey.started() <= 10
    ids = [one.decision_id for one in journey.decisions()]
    assert len(ids) == len(set(ids))


def test_no_more_start_at_once_than_a_customer_may_have() -> None:
    flows = [
        workflow(wait("pause", duration_hours=1), on=[trigger("signup", max_executions=9)], id=f"w{number}")
        for number in range(4)
    ]
    journey = Journey(*flows, max_concurrent_executions=2)
    journey.publish("signup", 0)
    assert journey.started() == 2
    assert journey.reasons("trigger_refused") == ["max_concurrent_executions"] * 2


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "3"])
def test_a_limit_is_a_whole_number_above_zero(wrong: int) -> None:
    found = validate([File(file="w.yaml", value=limited(wrong))])
    assert [one.path for one in found.problems if "max_executions" in one.path] == ["triggers[0].max_executions"]
