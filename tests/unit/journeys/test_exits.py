"""Exit conditions: they end an execution wherever it stands, and keep one from starting."""

import pytest

from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, Millis
from tests.journey import Journey, action, after, is_, mail, signup, trigger, until_event, wait, workflow

PRO = is_("plan", "eq", "pro")
SILENT: Json = {"field": "last_activity", "operator": "not_within_hours", "value": 5}


def update(journey: Journey, at: Millis, **attributes: Json) -> None:
    journey.publish("customer_updated", at, attributes=attributes)


def ends(journey: Journey) -> list[tuple[str | None, str]]:
    return [(one.reason, one.at) for one in journey.decisions("execution_ended")]


def test_an_event_that_makes_an_exit_condition_hold_ends_the_execution_in_the_middle_of_a_wait() -> None:
    journey = Journey(workflow(wait("p", "mail", duration_hours=6), mail(), exit_conditions=[PRO]))
    journey.publish("signup")
    update(journey, HOUR_MS, plan="pro")
    journey.advance(DAY_MS)
    assert ends(journey) == [("exit_condition", after(HOUR_MS))]
    assert journey.sends() == []


def test_the_decision_says_which_condition_held_and_on_which_event() -> None:
    journey = Journey(workflow(until_event("u", "go"), exit_conditions=[is_("plan", "eq", "free"), PRO]))
    journey.publish("signup")
    journey.publish("customer_updated", 1, event_id="said-so", attributes={"plan": "pro"})
    assert journey.decisions("execution_ended")[0].detail == {"event_id": "said-so", "exit_condition": 1}


def test_an_exit_condition_sees_the_event_and_the_one_that_started_the_execution() -> None:
    both: Json = {"all": [is_("event.type", "eq", "order_completed"), is_("trigger.source", "eq", "app")]}
    journey = Journey(workflow(until_event("u", "go"), exit_conditions=[both], allow_multiple_executions=True))
    journey.publish("signup", envelope={"source": "app"})
    journey.publish("signup", 1)
    journey.publish("page_viewed", 2)
    assert ends(journey) == []
    journey.publish("order_completed", 3)
    assert ends(journey) == [("exit_condition", after(3))]


def test_one_that_holds_at_the_start_refuses_it_and_it_doesnt_count_as_started() -> None:
    journey = Journey(workflow(on=[signup(cooldown_hours=24)], exit_conditions=[PRO]))
    update(journey, 0, plan="pro")
    journey.publish("signup", 1)
    assert journey.reasons("trigger_refused") == ["exit_condition"]
    update(journey, 2, plan="free")
    journey.publish("signup", 3)
    assert journey.started() == 1


def test_it_is_looked_at_before_holdouts_and_cooldowns_and_after_the_events_age() -> None:
    journey = Journey(workflow(exit_conditions=[PRO], holdout_percent=100), max_event_age_hours=1)
    update(journey, 0, plan="pro")
    journey.publish("signup", 0, arrives=HOUR_MS)
    journey.publish("signup", 0, arrives=HOUR_MS + 1)
    assert journey.reasons("trigger_refused") == ["exit_condition", "event_too_old"]


def test_the_event_that_starts_an_execution_isnt_looked_at_again() -> None:
    journey = Journey(workflow(until_event("u", "go"), exit_conditions=[is_("event.type", "eq", "page_viewed")]))
    journey.publish("signup")
    assert len(journey.customer().executions) == 1


def test_time_alone_ends_an_execution_at_the_instant_at_which_the_condition_begins_to_hold() -> None:
    journey = Journey(workflow(until_event("u", "go"), exit_conditions=[SILENT]))
    journey.publish("signup")
    journey.publish("page_viewed", HOUR_MS)
    assert journey.deadline() == 6 * HOUR_MS + 1
    journey.advance(6 * HOUR_MS)
    assert ends(journey) == []
    journey.advance(6 * HOUR_MS + 1)
    assert ends(journey) == [("exit_condition", after(6 * HOUR_MS + 1))]


@pytest.mark.parametrize(("hours", "sent"), [(5, 1), (5 + 1 / 3_600_000, 0), (6, 0)])
def test_at_one_instant_an_exit_goes_before_a_send(hours: float, sent: int) -> None:
    journey = Journey(workflow(wait("p", "mail", duration_hours=hours), mail(), exit_conditions=[SILENT]))
    journey.publish("signup")
    journey.advance(DAY_MS)
    assert len(journey.sends()) == sent


def test_what_an_action_changed_is_looked_at_before_anything_else_is_sent() -> None:
    path = [
        action("upgrade", "update_attributes", "p", attributes={"plan": "pro"}),
        wait("p", "mail", duration_hours=1),
        mail(),
    ]
    journey = Journey(workflow(*path, exit_conditions=[PRO]))
    journey.publish("signup")
    journey.advance(DAY_MS)
    assert ends(journey) == [("exit_condition", after(HOUR_MS))]
    assert journey.sends() == []


def test_an_event_too_old_to_start_anything_still_ends_what_runs() -> None:
    bought: Json = {"operator": "performed", "value": {"event_type": "order_completed"}}
    journey = Journey(workflow(until_event("u", "go"), exit_conditions=[bought]))
    journey.publish("signup")
    journey.publish("order_completed", HOUR_MS, arrives=10 * DAY_MS)
    assert ends(journey) == [("exit_condition", after(10 * DAY_MS))]


def test_every_execution_looks_for_itself_in_the_order_of_their_starts() -> None:
    first, second = (workflow(until_event("u", "go"), id=name, exit_conditions=[PRO]) for name in "ab")
    journey = Journey(first, second, workflow(until_event("u", "go"), id="c", on=[trigger("signup")]))
    journey.publish("signup")
    update(journey, 1, plan="pro")
    assert [one.workflow_id for one in journey.decisions("execution_ended")] == ["a", "b"]
