"""`decide`: the order within an event and within an instant, what is dropped, and what time does."""

import pytest

from journeys.decide import DUE, decide
from schemas.customer import Customer
from schemas.decisions import Decision, Effect
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, LATEST, MINUTE_MS, Millis
from tests.journey import (
    START,
    Document,
    Journey,
    action,
    after,
    compiled,
    decision,
    event,
    frequency,
    is_,
    mail,
    silence,
    trigger,
    until_event,
    wait,
    workflow,
)


def kinds(effects: list[Effect]) -> list[str]:
    """Name the effects: the kind of a decision, or the step of a send."""
    return [effect.kind if isinstance(effect, Decision) else f"send {effect.step_id}" for effect in effects]


# What is dropped ------------------------------------------------------------------------------------------------


def test_a_repeated_event_is_dropped_for_24_hours_and_not_longer() -> None:
    journey = Journey(workflow(allow_multiple_executions=True))
    journey.publish("signup", event_id="same")
    assert journey.publish("signup", arrives=DAY_MS - 1, event_id="same") == []
    assert journey.customer().counts == {"signup": 1}
    journey.publish("signup", arrives=DAY_MS, event_id="same")
    assert journey.customer().counts == {"signup": 2}


def test_the_last_64_ids_are_kept_and_the_one_before_them_is_not() -> None:
    journey = Journey(workflow(on=[]))
    for number in range(64):
        journey.publish("page_viewed", number, event_id=f"id{number}")
    journey.publish("page_viewed", 100, event_id="id0")
    assert journey.customer().counts == {"page_viewed": 64}
    journey.publish("page_viewed", 101, event_id="id64")
    journey.publish("page_viewed", 102, event_id="id0")
    assert journey.customer().counts == {"page_viewed": 66}


@pytest.mark.parametrize("kind", ["signup", "email_opened", "email_unsubscribed", "order_completed"])
def test_what_a_machine_did_counts_nowhere(kind: str) -> None:
    journey = Journey(workflow(on=[trigger(kind)]))
    assert journey.publish(kind, machine=True, total=5, email="x@shop.example") == []
    known = journey.customer()
    assert (known.counts, known.last_activity, known.last_engagement, known.score) == ({}, None, None, 0.0)
    assert (known.first_seen, known.session, known.contacts, known.total_purchases) == (None, None, {}, 0)


def test_machine_has_to_be_true_itself() -> None:
    journey = Journey(workflow())
    journey.publish("signup", machine="true")
    assert journey.started() == 1


# Time of an event ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ahead", "placed"), [(5 * MINUTE_MS, 5 * MINUTE_MS), (5 * MINUTE_MS + 1, 0)])
def test_an_event_more_than_five_minutes_ahead_is_brought_back_to_now(ahead: Millis, placed: Millis) -> None:
    journey = Journey(workflow(on=[]))
    journey.publish("signup", at=ahead, arrives=0)
    assert journey.customer().last == {"signup": START + placed}


@pytest.mark.parametrize(("age", "started"), [(72 * HOUR_MS - 1, 1), (72 * HOUR_MS, 1), (72 * HOUR_MS + 1, 0)])
def test_an_event_of_exactly_the_age_limit_still_starts_an_execution(age: Millis, started: int) -> None:
    journey = Journey(workflow())
    journey.publish("signup", at=-age, arrives=0)
    assert journey.started() == started
    assert journey.customer().counts == {"signup": 1}
    assert journey.reasons("trigger_refused") == ["event_too_old"] * (1 - started)


def test_now_never_goes_back_for_a_customer() -> None:
    journey = Journey(workflow(wait("pause", "mail", duration_hours=1), mail(), allow_multiple_executions=True))
    journey.publish("signup", at=1_000)
    journey.publish("signup", at=0, arrives=0)
    assert {one.at for one in journey.decisions()} == {after(1_000)}


# The order within an event ---------------------------------------------------------------------------------------


def test_profile_comes_before_triggers_so_the_present_event_counts() -> None:
    journey = Journey(workflow(on=[trigger("signup", where=is_("counts.signup", "eq", 1))]))
    journey.publish("signup")
    assert journey.started() == 1


def test_running_executions_go_before_triggers_in_the_order_of_their_start() -> None:
    first = workflow(until_event("u", "go", "b"), mail("b"), id="late", on=[trigger("one")], priority=1)
    second = workflow(until_event("u", "go", "b"), mail("b"), id="early", on=[trigger("two")], priority=99)
    third = workflow(mail("b"), id="new", on=[trigger("go")])
    journey = Journey(first, second, third)
    journey.publish("one")
    journey.publish("two", 1)
    journey.publish("go", 2)
    assert [send.workflow_id for send in journey.sends()] == ["late", "early", "new"]


def test_an_execution_does_not_look_again_at_the_event_that_started_it() -> None:
    journey = Journey(workflow(until_event("u", "signup", "mail"), mail()))
    journey.publish("signup")
    assert journey.sends() == []
    journey.publish("signup", 1)
    assert len(journey.sends()) == 1


def test_a_wait_that_an_event_leads_to_does_not_look_at_it() -> None:
    journey = Journey(workflow(until_event("u", "go", "v"), until_event("v", "go", "mail"), mail()))
    journey.publish("signup")
    journey.publish("go", 1)
    assert journey.path() == ["u"]


def test_triggers_go_by_their_priority_then_the_workflows_then_id() -> None:
    def one(name: str, priority: int, own: int) -> Document:
        return workflow(id=name, on=[trigger(priority=own)], priority=priority)

    journey = Journey(one("d", 50, 50), one("c", 50, 50), one("b", 60, 50), one("a", 1, 60))
    journey.publish("signup")
    assert [send.workflow_id for send in journey.sends()] == ["a", "b", "c", "d"]


def test_with_two_triggers_on_one_event_the_first_starts_and_the_other_is_refused() -> None:
    journey = Journey(workflow(on=[trigger(id="x"), trigger(id="y", priority=60)], allow_multiple_executions=True))
    journey.publish("signup")
    assert [one.trigger_id for one in journey.decisions("trigger_fired")] == ["y"]
    assert [(one.trigger_id, one.reason) for one in journey.decisions("trigger_refused")] == [("x", "already_active")]


def test_a_default_trigger_id_is_the_position_as_text() -> None:
    journey = Journey(workflow(on=[trigger("other"), trigger("signup")]))
    journey.publish("signup")
    assert [one.trigger_id for one in journey.decisions("trigger_fired")] == ["1"]


def test_a_trigger_or_workflow_that_is_off_is_not_even_recorded() -> None:
    off = workflow(id="off") | {"enabled": False}
    journey = Journey(off, workflow(on=[trigger(enabled=False)]))
    assert journey.publish("signup") == []


# What `event.…` means -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
def test_outside_of_triggers_and_waits_the_event_is_missing(first: bool) -> None:  # noqa: FBT001
    rules: list[Json] = [{"rule": is_("event.total", "exists"), "next_step": "seen"}]
    fork = decision("fork", "condition", conditions=rules, default_next_step="mail")
    steps = [fork] if first else [until_event("u", "go", "fork"), fork]
    journey = Journey(workflow(*steps, mail(), mail("seen")))
    journey.publish("signup", total=1)
    journey.publish("go", 1, total=1)
    assert [send.step_id for send in journey.sends()] == ["mail"]


def test_a_guard_does_not_see_the_event_either() -> None:
    journey = Journey(workflow(mail(guard=is_("event.total", "not_exists"))))
    journey.publish("signup", total=1)
    assert len(journey.sends()) == 1


def test_the_next_trigger_sees_the_event_again_after_an_execution_ran() -> None:
    where = is_("event.total", "eq", 1)
    journey = Journey(workflow(id="a"), workflow(id="b", on=[trigger(where=where)]))
    journey.publish("signup", total=1)
    assert [send.workflow_id for send in journey.sends()] == ["a", "b"]


def test_what_ended_the_last_wait_can_be_asked_for() -> None:
    rules: list[Json] = [{"rule": is_("execution.last_event.total", "eq", 7), "next_step": "seven"}]
    fork = decision("fork", "condition", conditions=rules, default_next_step="mail")
    journey = Journey(workflow(until_event("u", "go", "fork"), fork, mail(), mail("seven")))
    journey.publish("signup")
    journey.publish("go", 1, total=7)
    assert [send.step_id for send in journey.sends()] == ["seven"]


def test_a_date_is_compared_in_the_zone_that_the_same_event_brings() -> None:
    # 2026-01-01T09:00Z is 22:00 on that day in Auckland, so its second of January begins at 11:00Z.
    where = is_("now", "before", "2026-01-02")
    journey = Journey(workflow(on=[trigger("customer_updated", where=where)]))
    journey.publish("customer_updated", 2 * HOUR_MS, preferences={"timezone": "Pacific/Auckland"})
    assert journey.started() == 0


def test_a_workflows_zone_stands_in_for_an_unknown_one_in_its_conditions() -> None:
    where = is_("now", "before", "2026-01-02")
    abroad = workflow(id="abroad", on=[trigger(where=where)], timezone="Pacific/Auckland")
    journey = Journey(abroad, workflow(id="home", on=[trigger(where=where)]))
    journey.publish("signup", 2 * HOUR_MS)
    assert [send.workflow_id for send in journey.sends()] == ["home"]


# The order of timers ---------------------------------------------------------------------------------------------


def test_a_timer_due_at_an_instant_goes_before_an_event_of_that_instant() -> None:
    journey = Journey(
        workflow(until_event("u", "go", "mail", timeout_hours=1, timeout_next_step="late"), mail(), mail("late"))
    )
    journey.publish("signup")
    journey.publish("go", HOUR_MS)
    assert [send.step_id for send in journey.sends()] == ["late"]


def test_an_event_a_millisecond_before_the_timeout_ends_the_wait() -> None:
    journey = Journey(
        workflow(until_event("u", "go", "mail", timeout_hours=1, timeout_next_step="late"), mail(), mail("late"))
    )
    journey.publish("signup")
    journey.publish("go", HOUR_MS - 1)
    journey.advance(HOUR_MS)
    assert [send.step_id for send in journey.sends()] == ["mail"]


def test_at_one_instant_expiry_goes_before_sends_before_waits_before_triggers() -> None:
    day: Document = {"send_immediately": True, "delay_hours": 24}
    journey = Journey(
        workflow(until_event("u", "go"), id="expires", max_execution_time_days=1),
        workflow(mail("m", timing=day), id="sends", priority=1),
        workflow(wait("p", "m", duration_hours=24), mail("m"), id="waits", priority=99),
        workflow(mail("m"), id="silent", on=[silence(24)], priority=100),
    )
    journey.publish("signup")
    effects = journey.advance(DAY_MS)
    order = [one.workflow_id for one in effects if isinstance(one, Decision) and one.kind == "execution_ended"]
    assert order == ["expires", "sends", "waits", "silent"]


def test_timers_of_one_sort_go_by_the_workflows_priority_then_by_start() -> None:
    def one(name: str, priority: int, kind: str, minutes: int) -> Document:
        steps = [wait("p", "m", duration_minutes=minutes), mail("m")]
        return workflow(*steps, id=name, priority=priority, on=[trigger(kind)])

    journey = Journey(one("low", 1, "a", 60), one("b", 50, "b", 59), one("c", 50, "a", 60), one("d", 51, "b", 59))
    journey.publish("a")
    journey.publish("b", MINUTE_MS)
    journey.advance(HOUR_MS)
    assert [send.workflow_id for send in journey.sends()] == ["d", "c", "b", "low"]


def test_expiries_of_one_instant_go_by_the_workflows_priority() -> None:
    def one(name: str, priority: int, own: int) -> Document:
        on = [trigger(priority=own)]
        return workflow(until_event("u", "go"), id=name, priority=priority, on=on, max_execution_time_days=1)

    journey = Journey(one("low", 1, 99), one("high", 99, 1))
    journey.publish("signup")
    journey.advance(DAY_MS)
    assert [one.workflow_id for one in journey.decisions("execution_ended")] == ["high", "low"]


def test_silences_of_one_instant_go_by_the_workflows_priority() -> None:
    journey = Journey(
        workflow(id="low", priority=1, on=[silence(1, priority=99)]),
        workflow(id="high", priority=99, on=[silence(1, priority=1)]),
    )
    journey.publish("page_viewed")
    journey.advance(HOUR_MS)
    assert [send.workflow_id for send in journey.sends()] == ["high", "low"]


def test_timers_of_one_instant_go_by_customer_id() -> None:
    journey = Journey(workflow(wait("p", "mail", duration_hours=1), mail()))
    for name in ("c", "a", "b"):
        journey.publish("signup", customer=name)
    journey.advance(HOUR_MS)
    assert [send.customer_id for send in journey.sends()] == ["a", "b", "c"]


def test_an_early_due_changes_nothing() -> None:
    catalogue = compiled(workflow(wait("p", "mail", duration_hours=1), mail()))
    customer = Customer(customer_id="ada")
    signup, at = event(event_id="e1", customer_id="ada")
    decide(customer, signup, catalogue, at)
    assert decide(customer, DUE, catalogue, at + HOUR_MS - 1) == []
    assert customer.now == at
    assert decide(customer, DUE, catalogue, at + HOUR_MS) != []


# Inactivity ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("to", "fired"), [(DAY_MS - 1, 0), (DAY_MS, 1), (DAY_MS + 1, 1)])
def test_a_silence_is_answered_once_exactly_its_length_has_passed(to: Millis, fired: int) -> None:
    journey = Journey(workflow(on=[silence(24)]))
    journey.publish("page_viewed")
    journey.advance(to)
    assert journey.started() == fired
    assert [one.at for one in journey.decisions("execution_started")] == [after(DAY_MS)] * fired


def test_a_silence_is_answered_once_and_the_next_one_again() -> None:
    journey = Journey(workflow(on=[silence(24)], allow_multiple_executions=True))
    journey.publish("page_viewed")
    journey.advance(10 * DAY_MS)
    assert journey.started() == 1
    journey.publish("page_viewed", 10 * DAY_MS)
    journey.advance(20 * DAY_MS)
    assert [one.at for one in journey.decisions("execution_started")] == [after(DAY_MS), after(11 * DAY_MS)]


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("page_viewed", True),
        ("email_opened", True),
        ("email_clicked", True),
        ("email_replied", True),
        ("email_delivered", False),
        ("email_bounced", False),
        ("email_complained", False),
        ("email_unsubscribed", False),
        ("customer_updated", False),
    ],
)
def test_behavior_opens_clicks_and_replies_put_a_silence_off_and_nothing_else(kind: str, counts: bool) -> None:  # noqa: FBT001
    journey = Journey(workflow(on=[silence(24)]))
    journey.publish("page_viewed")
    journey.publish(kind, HOUR_MS)
    journey.advance(DAY_MS)
    assert journey.started() == (0 if counts else 1)


def test_where_is_looked_at_once_when_the_silence_is_due() -> None:
    journey = Journey(workflow(on=[silence(24, where=is_("plan", "eq", "pro"))]))
    journey.publish("page_viewed")
    journey.advance(DAY_MS)
    journey.publish("customer_updated", DAY_MS + 1, attributes={"plan": "pro"})
    journey.advance(10 * DAY_MS)
    assert journey.started() == 0


def test_a_silence_that_is_long_enough_when_it_becomes_known_is_answered_five_minutes_later() -> None:
    journey = Journey(workflow(on=[silence(24)]))
    journey.publish("page_viewed", at=0, arrives=DAY_MS)
    assert journey.deadline() == DAY_MS + 5 * MINUTE_MS
    journey.advance(2 * DAY_MS)
    assert [one.at for one in journey.decisions("execution_started")] == [after(DAY_MS + 5 * MINUTE_MS)]


@pytest.mark.parametrize(("age", "fired"), [(72 * HOUR_MS, 1), (72 * HOUR_MS + 1, 0)])
def test_a_silence_whose_activity_was_too_old_when_it_arrived_starts_nothing(age: Millis, fired: int) -> None:
    journey = Journey(workflow(on=[silence(24)]))
    journey.publish("page_viewed", at=-age, arrives=0)
    journey.advance(10 * DAY_MS)
    assert journey.started() == fired


# Records ---------------------------------------------------------------------------------------------------------


def test_a_firing_that_starts_is_fired_then_started_with_its_execution() -> None:
    journey = Journey(workflow())
    effects = journey.publish("signup")
    assert kinds(effects) == [
        "trigger_fired",
        "execution_started",
        "send mail",
        "send_published",
        "step_completed",
        "execution_ended",
    ]
    assert len({one.execution_id for one in effects[1:]}) == 1
    fired = journey.decisions("trigger_fired")[0].detail
    assert fired is not None
    assert fired["confidence_score"] == 1.0


def test_ids_are_unique_within_and_across_decisions() -> None:
    journey = Journey(workflow(allow_multiple_executions=True))
    for number in range(5):
        journey.publish("signup", number % 2)
    ids = [one.decision_id for one in journey.decisions()] + [send.send_id for send in journey.sends()]
    assert len(ids) == len(set(ids))


def test_a_warning_of_a_trigger_that_did_not_fire_is_not_told_by_another_decision() -> None:
    where = is_("plan", "gt", 5)
    journey = Journey(workflow(id="a", on=[trigger(where=where, priority=99)]), workflow(id="b"))
    journey.publish("customer_updated", attributes={"plan": "pro"})
    journey.publish("signup", 1)
    details = [one.detail or {} for one in journey.decisions()]
    assert not any("warnings" in detail for detail in details)


# Bounds ----------------------------------------------------------------------------------------------------------


def test_the_201st_event_type_is_counted_as_other() -> None:
    journey = Journey(workflow(on=[]))
    for number in range(202):
        journey.publish(f"type{number}", number)
    assert journey.customer().counts["other"] == 2
    assert len(journey.customer().counts) == 201
    assert journey.reasons("bound_reached")[0] == "counted_event_types"


@pytest.mark.parametrize("kind", ["fax_bounced", "pigeon_complained"])
def test_a_channel_that_does_not_exist_leaves_nothing_behind(kind: str) -> None:
    journey = Journey(workflow(on=[]))
    journey.publish(kind, envelope={"topic": "engagement-events"})
    assert journey.customer().contacts == {}


def test_an_event_in_the_last_millisecond_of_the_calendar_is_decided_like_any_other() -> None:
    later: Document = {"send_immediately": True, "delay_hours": 1}
    journey = Journey(
        workflow(wait("p", "mail", duration_hours=1), mail()),
        workflow(mail(timing=later), id="later"),
        workflow(until_event("u", "go", timeout_hours=1), id="until"),
        workflow(id="now"),
        workflow(id="silent", on=[silence(1)]),
        workflow(mail(template="needy"), id="grace"),
        workflow(
            id="rested", on=[trigger(cooldown_hours=1), trigger(cooldown_hours=2)], allow_multiple_executions=True
        ),
    )
    end = LATEST - START
    journey.publish("signup", end - 1)
    journey.publish("signup", end)
    journey.advance(end)
    assert journey.deadline() is None or journey.deadline() > 0  # type: ignore[operator]


def test_a_wait_shorter_than_a_millisecond_is_over_later_than_now() -> None:
    journey = Journey(workflow(until_event("u", "go", "mail", timeout_hours=1e-9), mail()))
    journey.publish("signup")
    assert (journey.deadline() or 0) > 0


@pytest.mark.parametrize("hours", [1.15, 0.07, 4.35])
def test_hours_with_a_fraction_are_rounded_to_milliseconds_and_not_cut(hours: float) -> None:
    exact = round(hours * HOUR_MS)
    journey = Journey(workflow(until_event("u", "go", timeout_hours=hours), on=[silence(hours)]))
    journey.publish("page_viewed")
    assert journey.deadline() == exact
    journey.advance(exact)
    assert journey.deadline() == 2 * exact


def test_a_count_is_exact_when_its_window_has_a_fraction() -> None:
    minutes = 4_139_999.9999 / MINUTE_MS
    journey = Journey(workflow(on=[frequency("go", 2, minutes)]))
    journey.publish("go")
    journey.publish("go", 4_139_999)
    assert journey.started() == 1


def test_an_action_shows_in_the_profile_but_only_what_really_changed() -> None:
    journey = Journey(workflow(action("set", "update_attributes", attributes={"plan": "pro"})), email="a@b.example")
    journey.publish("customer_updated", attributes={"plan": "pro"})
    journey.publish("signup", 1)
    assert len(journey.decisions("profile_changed")) == 1
