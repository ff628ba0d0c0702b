"""Absences: a second event that hasn't followed the first in time, in event time, once for each first event."""

import pytest

from journeys.absences import AwaitedAbsence, begin, cancel, remember
from schemas.customer import Customer
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import (
    Document,
    Journey,
    absence,
    after,
    compiled,
    is_,
    mail,
    silence,
    trigger,
    until_event,
    wait,
    workflow,
)


def journey(minutes: float = 60, *, where: Json = None) -> Journey:
    return Journey(workflow(on=[absence("cart", "order", minutes, where=where)], allow_multiple_executions=True))


def fired_at(one: Journey) -> list[str]:
    return [firing.at for firing in one.decisions("trigger_fired")]


def test_it_fires_when_the_second_has_not_come_in_time() -> None:
    one = journey()
    one.publish("cart", 0, total=3)
    assert one.deadline() == HOUR_MS
    one.advance(to=HOUR_MS - 1)
    assert fired_at(one) == []
    one.advance(to=HOUR_MS)
    assert fired_at(one) == [after(HOUR_MS)]
    assert one.deadline() != HOUR_MS
    one.advance(to=10 * HOUR_MS)
    assert len(fired_at(one)) == 1


@pytest.mark.parametrize(("at", "count"), [(HOUR_MS - 1, 0), (HOUR_MS, 1), (HOUR_MS + 1, 1)])
def test_the_timer_goes_before_a_second_event_of_its_instant(at: Millis, count: int) -> None:
    one = journey()
    one.publish("cart", 0)
    one.publish("order", at)
    one.advance(to=DAY_MS)
    assert len(fired_at(one)) == count


@pytest.mark.parametrize(("at", "count"), [(HOUR_MS - 1, 1), (HOUR_MS, 0), (HOUR_MS + 1, 0)])
def test_a_second_that_occurred_from_the_first_s_time_on_cancels(at: Millis, count: int) -> None:
    one = journey()
    one.publish("cart", HOUR_MS)
    one.publish("order", at, arrives=HOUR_MS + MINUTE_MS)
    one.advance(to=DAY_MS)
    assert len(fired_at(one)) == count


@pytest.mark.parametrize(("at", "count"), [(HOUR_MS - 1, 0), (HOUR_MS, 0), (HOUR_MS + 1, 1)])
def test_a_second_that_occurred_after_the_deadline_doesn_t_cancel_however_early_it_arrives(
    at: Millis, count: int
) -> None:
    one = journey()
    one.publish("cart", 0)
    one.publish("order", at, arrives=HOUR_MS - 1)
    one.advance(to=DAY_MS)
    assert len(fired_at(one)) == count


def test_a_further_first_event_begins_anew() -> None:
    one = journey()
    one.publish("cart", 0)
    one.publish("cart", HOUR_MS - 1)
    one.advance(to=2 * HOUR_MS - 2)
    assert fired_at(one) == []
    one.advance(to=DAY_MS)
    assert fired_at(one) == [after(2 * HOUR_MS - 1)]


def test_an_earlier_first_event_that_comes_late_changes_nothing() -> None:
    one = journey()
    one.publish("cart", 30 * MINUTE_MS)
    one.publish("cart", 0, arrives=31 * MINUTE_MS)
    one.advance(to=DAY_MS)
    assert fired_at(one) == [after(90 * MINUTE_MS)]


@pytest.mark.parametrize(
    ("second", "count"), [(-1, 1), (0, 0), (HOUR_MS - 1, 0), (HOUR_MS, 0), (HOUR_MS + 1, 1), (5 * HOUR_MS, 1)]
)
def test_a_first_event_that_comes_after_its_second_doesn_t_wait_for_it(second: Millis, count: int) -> None:
    one = journey()
    one.publish("order", second, arrives=6 * HOUR_MS)
    one.publish("cart", 0, arrives=6 * HOUR_MS)
    one.advance(to=DAY_MS)
    assert len(fired_at(one)) == count


def test_a_first_event_that_comes_late_gives_way_to_a_further_one_though_that_was_answered() -> None:
    one = journey()
    one.publish("cart", 50 * MINUTE_MS)
    one.publish("order", 70 * MINUTE_MS)
    one.publish("cart", 0, arrives=75 * MINUTE_MS)
    one.advance(to=DAY_MS)
    assert fired_at(one) == []


def test_a_further_first_event_ends_the_wait_of_the_one_before_though_it_is_answered_already() -> None:
    one = journey()
    one.publish("cart", 0)
    one.publish("order", 70 * MINUTE_MS, arrives=59 * MINUTE_MS)
    one.publish("cart", 50 * MINUTE_MS, arrives=59 * MINUTE_MS)
    one.advance(to=DAY_MS)
    assert fired_at(one) == []


@pytest.mark.parametrize(
    ("arrives", "due"),
    [
        (HOUR_MS - 1, HOUR_MS),
        (HOUR_MS, HOUR_MS + 5 * MINUTE_MS),
        (HOUR_MS + 1, HOUR_MS + 1 + 5 * MINUTE_MS),
    ],
)
def test_a_deadline_that_is_past_when_it_arises_is_set_ahead(arrives: Millis, due: Millis) -> None:
    one = journey()
    one.publish("cart", 0, arrives=arrives)
    assert one.deadline() == due
    one.advance(to=DAY_MS)
    assert fired_at(one) == [after(due)]


def test_a_second_event_that_is_late_as_well_still_cancels() -> None:
    one = journey()
    one.publish("cart", 0, arrives=3 * HOUR_MS)
    one.publish("order", HOUR_MS, arrives=3 * HOUR_MS + MINUTE_MS)
    one.advance(to=DAY_MS)
    assert fired_at(one) == []


@pytest.mark.parametrize(
    ("late", "count"), [(72 * HOUR_MS - 1, 1), (72 * HOUR_MS, 1), (72 * HOUR_MS + 1, 0)]
)  # fmt: skip
def test_a_first_event_too_old_when_it_arrives_starts_nothing(late: Millis, count: int) -> None:
    one = journey()
    one.publish("cart", 0, arrives=late)
    one.advance(to=late + DAY_MS)
    assert len(fired_at(one)) == count


def test_it_may_take_longer_than_an_event_may_be_old() -> None:
    one = journey(minutes=14 * 24 * 60)
    one.publish("cart", 0)
    one.advance(to=30 * DAY_MS)
    assert fired_at(one) == [after(14 * DAY_MS)]
    assert one.reasons("trigger_refused") == []


def test_the_first_event_starts_the_execution() -> None:
    kept: Document = {"field": "trigger.total", "operator": "eq", "value": 3}
    one = Journey(workflow(mail(when=kept), on=[absence("cart", "order", 60)]))
    one.publish("cart", 0, total=3)
    one.advance(to=DAY_MS)
    assert len(one.sends("mail")) == 1
    detail = one.decisions("trigger_fired")[0].detail
    assert detail == {
        "event_id": "e1",
        "event_type": "cart",
        "occurred_at": after(0),
        "confidence_score": 1.0,
    }


def test_where_looks_at_the_first_event_and_at_the_customer_when_it_fires() -> None:
    where: Json = {"all": [is_("event.total", "gte", 10), is_("plan", "ne", "pro")]}
    one = journey(where=where)
    one.publish("cart", 0, total=9)
    assert one.customer().absences == []
    one.publish("cart", 0, total=10)
    one.publish("cart", 1, total=9)
    assert one.deadline() == HOUR_MS
    one.publish("customer_updated", 2, attributes={"plan": "pro"})
    one.advance(to=DAY_MS)
    assert fired_at(one) == []
    assert one.customer().absences == []


def test_a_first_event_that_comes_late_gives_way_only_to_one_of_its_own_trigger() -> None:
    one = Journey(
        workflow(id="v", on=[absence("seen", "order", 60)]),
        workflow(id="w", on=[absence("cart", "order", 60)]),
    )
    one.publish("seen", 50 * MINUTE_MS)
    one.publish("cart", 0, arrives=51 * MINUTE_MS)
    one.advance(to=DAY_MS)
    assert [firing.workflow_id for firing in one.decisions("trigger_fired")] == ["w", "v"]


@pytest.mark.parametrize(("further", "count"), [(4, 0), (5, 1)])
def test_a_first_event_that_comes_late_gives_way_to_one_of_the_newest_four(further: int, count: int) -> None:
    one = Journey(workflow(on=[absence("cart", "order", 4)], allow_multiple_executions=True))
    for number in range(further):
        one.publish("cart", (1 + 10 * number) * MINUTE_MS)
        one.publish("order", (1 + 10 * number) * MINUTE_MS + 4 * MINUTE_MS - 1)
    one.publish("cart", 0, arrives=HOUR_MS)
    one.advance(to=DAY_MS)
    assert len(fired_at(one)) == count


def test_the_same_type_may_be_first_and_second() -> None:
    one = Journey(workflow(on=[absence("ping", "ping", 60)], allow_multiple_executions=True))
    for at in (0, 30 * MINUTE_MS, 60 * MINUTE_MS, 150 * MINUTE_MS):
        one.publish("ping", at)
    one.advance(to=DAY_MS)
    assert fired_at(one) == [after(120 * MINUTE_MS), after(210 * MINUTE_MS)]


def test_each_trigger_waits_for_itself() -> None:
    one = Journey(
        workflow(id="w", on=[absence("cart", "order", 60)]),
        workflow(id="v", on=[absence("cart", "paid", 60), absence("seen", "cart", 30)]),
    )
    one.publish("seen", 0)
    one.publish("cart", 1)
    one.publish("order", 2)
    one.advance(to=DAY_MS)
    assert [(firing.workflow_id, firing.trigger_id) for firing in one.decisions("trigger_fired")] == [("v", "0")]


def test_waits_go_before_triggers_of_one_instant_and_those_by_the_workflow_s_priority() -> None:
    one = Journey(
        workflow(wait("p", "mail", duration_hours=1), mail(), id="waits", on=[trigger("cart")]),
        workflow(id="low", on=[absence("cart", "order", 60)], priority=40),
        workflow(id="quiet", on=[silence(1)], priority=45),
        workflow(id="high", on=[absence("cart", "order", 60)], priority=60),
    )
    one.publish("cart", 0)
    one.effects.clear()
    one.advance(to=HOUR_MS)
    kinds = [(one.workflow_id, one.kind) for one in one.decisions() if one.kind in {"trigger_fired", "step_completed"}]
    assert [kind for kind in kinds if kind[1] == "trigger_fired"] == [
        ("high", "trigger_fired"),
        ("quiet", "trigger_fired"),
        ("low", "trigger_fired"),
    ]
    assert kinds[0] == ("waits", "step_completed")


def test_a_refused_firing_has_happened_all_the_same() -> None:
    one = Journey(workflow(until_event("u", "never"), on=[trigger("signup"), absence("cart", "order", 60)]))
    one.publish("signup", 0)
    one.publish("cart", 1)
    one.advance(to=DAY_MS)
    assert one.reasons("trigger_refused") == ["already_active"]
    assert one.customer().absences == []


def test_what_a_trigger_that_is_gone_waited_for_never_fires() -> None:
    one = journey()
    one.publish("cart", 0)
    one.engine.switch(compiled(workflow(on=[absence("basket", "order", 60)])))
    one.advance(to=2 * HOUR_MS)
    assert fired_at(one) == []
    one.publish("basket", 3 * HOUR_MS)
    assert [waiting.since for waiting in one.customer().absences] == [one.clock]


AWAITED = AwaitedAbsence(memory="m", first="cart", second="order", within_ms=HOUR_MS)


def test_one_waits_for_each_execution_key() -> None:
    ada = Customer(customer_id="ada")
    for key in ("one", "two", "one"):
        assert begin(ada, AWAITED, 5, key, lambda: b"{}", {"m"}, 5)
    assert [waiting.execution_key for waiting in ada.absences] == ["two", "one"]
    cancel(ada, AWAITED, 6, "two")
    remember(ada, AWAITED, 6, "two")
    assert [waiting.execution_key for waiting in ada.absences] == ["one"]
    assert begin(ada, AWAITED, 5, "two", lambda: b"{}", {"m"}, 7)
    assert [waiting.execution_key for waiting in ada.absences] == ["one"]


def test_what_waits_is_bounded_and_the_bound_is_told() -> None:
    ada = Customer(customer_id="ada")
    for number in range(200):
        assert begin(ada, AWAITED, 5, str(number), lambda: b"{}", {"m"}, 5)
    assert not begin(ada, AWAITED, 5, "one more", lambda: b"{}", {"m"}, 5)
    assert len(ada.absences) == 200
    assert begin(ada, AWAITED, 6, "0", lambda: b"{}", {"m"}, 6)
    for at in range(50):
        remember(ada, AWAITED, at, None)
    assert len(ada.second_events["m"]) == 16


def test_a_first_event_that_changes_nothing_reaches_no_bound() -> None:
    one = journey()
    one.publish("cart", 30 * MINUTE_MS)
    one.publish("cart", 0, arrives=31 * MINUTE_MS)
    assert one.decisions("bound_reached") == []


def test_no_more_than_a_number_of_first_events_wait_and_that_is_said() -> None:
    """One waits for each execution key."""
    waiting = workflow(on=[absence("cart_updated", "order_completed", 60)], execution_key="event.properties.cart")
    journey = Journey(waiting)
    for number in range(201):
        journey.publish("cart_updated", number, cart=number)
    assert len(journey.customer().absences) == 200
    bound = journey.decisions("bound_reached")
    assert [(one.reason, one.detail) for one in bound] == [("absences", {"workflow_id": "w", "trigger_id": "0"})]
