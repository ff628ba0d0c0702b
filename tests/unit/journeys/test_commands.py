"""Pausing, resuming and cancelling: one execution, a workflow, a channel, everything."""

import pytest

from journeys.commands import applied
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from schemas.log import Command, Holds
from tests.journey import (
    Document,
    Journey,
    after,
    is_,
    mail,
    message,
    short,
    until_condition,
    until_event,
    wait,
    workflow,
)

TWO_H = 2 * HOUR_MS
LATER = wait("p", "mail", duration_hours=1)
SCOPES: tuple[dict[str, str], ...] = ({}, {"workflow_id": "w"}, {"customer": "ada"})


def held(on_overdue: str = "send", grace_hours: float = 24) -> Document:
    """Write a workflow that mails an hour after the signup."""
    return workflow(LATER, mail(on_overdue=on_overdue, grace_hours=grace_hours))


def result_of(journey: Journey, step_id: str) -> list[Json]:
    return [(one.detail or {})["result"] for one in journey.decisions("step_completed") if one.step_id == step_id]


# Holding back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
def test_what_is_paused_keeps_its_place_and_goes_on_when_it_is_resumed(scope: dict[str, str]) -> None:
    journey = Journey(held())
    journey.publish("signup")
    journey.command("pause", 1, **scope)
    journey.advance(TWO_H)
    assert journey.path() == []
    journey.command("resume", 3 * HOUR_MS, **scope)
    assert journey.sent_at() == [after(3 * HOUR_MS)]


@pytest.mark.parametrize("scope", SCOPES)
def test_waiting_time_goes_on_during_a_pause(scope: dict[str, str]) -> None:
    journey = Journey(held())
    journey.publish("signup")
    journey.command("pause", 1, **scope)
    journey.command("resume", HOUR_MS // 2, **scope)
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(HOUR_MS)]


@pytest.mark.parametrize(("pause_at", "sent_at"), [(HOUR_MS - 1, TWO_H), (HOUR_MS, HOUR_MS), (HOUR_MS + 1, HOUR_MS)])
def test_what_is_due_at_the_instant_of_a_pause_still_happens(pause_at: Millis, sent_at: Millis) -> None:
    journey = Journey(held())
    journey.publish("signup")
    journey.command("pause", pause_at)
    journey.command("resume", TWO_H)
    assert journey.sent_at() == [after(sent_at)]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("meanwhile", [None, 30 * MINUTE_MS, 90 * MINUTE_MS])
def test_a_condition_that_time_makes_true_during_a_pause_is_seen_at_its_end(
    scope: dict[str, str], meanwhile: Millis | None
) -> None:
    """Not at the next check, six hours after the wait began; whatever else is looked at while it is held."""
    silent = is_("last.page_viewed", "not_within_hours", 1)
    journey = Journey(workflow(until_condition("u", silent, "mail"), mail()), workflow(LATER, mail(), id="other"))
    journey.publish("page_viewed")
    journey.publish("signup")
    journey.command("pause", 1, **scope)
    if meanwhile is not None:
        journey.publish("email_delivered", meanwhile)
    journey.advance(TWO_H)
    assert journey.sends("mail") == [] or scope == {"workflow_id": "w"}
    journey.command("resume", TWO_H + 1, **scope)
    assert [send.send_at for send in journey.sends() if send.workflow_id == "w"] == [after(TWO_H + 1)]
    assert result_of(journey, "u") == ["condition"]


def test_a_condition_that_doesnt_hold_any_more_at_the_end_of_a_pause_is_waited_for_again() -> None:
    silent = is_("last.page_viewed", "not_within_hours", 1)
    journey = Journey(workflow(until_condition("u", silent, "mail"), mail()))
    journey.publish("page_viewed")
    journey.publish("signup")
    journey.command("pause", 1)
    journey.publish("page_viewed", 90 * MINUTE_MS)
    journey.command("resume", TWO_H)
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(90 * MINUTE_MS + HOUR_MS + 1)]


def test_a_pause_of_a_workflow_holds_no_other_and_a_pause_of_an_execution_no_other_customers() -> None:
    journey = Journey(held(), workflow(LATER, mail(), id="other"))
    journey.publish("signup")
    journey.publish("signup", customer="bob")
    journey.command("pause", 1, workflow_id="w")
    journey.advance(TWO_H)
    assert [(send.workflow_id, send.customer_id) for send in journey.sends()] == [("other", "ada"), ("other", "bob")]
    journey = Journey(held())
    journey.publish("signup")
    journey.publish("signup", customer="bob")
    journey.command("pause", 1, customer="ada")
    journey.advance(TWO_H)
    assert [send.customer_id for send in journey.sends()] == ["bob"]


@pytest.mark.parametrize("scope", [{}, {"workflow_id": "w"}])
def test_what_starts_during_a_pause_stands_before_its_first_step(scope: dict[str, str]) -> None:
    journey = Journey(workflow(mail()))
    journey.publish("page_viewed")
    journey.command("pause", 1, **scope)
    journey.publish("signup", 2)
    assert (journey.started(), journey.sends(), journey.deadline()) == (1, [], 30 * DAY_MS + 2)
    journey.command("resume", HOUR_MS, **scope)
    assert journey.sent_at() == [after(HOUR_MS)]


def test_an_event_ends_a_wait_during_a_pause_but_nothing_follows_until_it_is_over() -> None:
    journey = Journey(workflow(until_event("u", "order_completed", "mail"), mail()))
    journey.publish("signup")
    journey.command("pause", 1, customer="ada")
    journey.publish("order_completed", 2)
    assert (journey.path(), journey.sends()) == (["u"], [])
    journey.command("resume", HOUR_MS, customer="ada")
    assert journey.sent_at() == [after(HOUR_MS)]


def test_a_message_that_waits_for_data_does_not_go_out_during_a_pause() -> None:
    journey = Journey(workflow(mail()), email=None)
    journey.publish("signup")
    journey.command("pause", 1)
    journey.publish("customer_updated", 2, email="ada@shop.example")
    assert journey.sends() == []
    journey.command("resume", HOUR_MS)
    assert journey.sent_at() == [after(HOUR_MS)]


def test_what_time_makes_true_moves_nothing_that_is_held() -> None:
    """The wait is over at its next look behind the release, not in the middle of the pause."""
    quiet = until_condition("quiet", is_("last_activity", "not_within_hours", 1), "mail", check_interval_hours=5)
    journey = Journey(workflow(quiet, mail()))
    journey.publish("signup", 0)
    journey.command("pause", MINUTE_MS, workflow_id="w")
    journey.advance(to=4 * HOUR_MS)
    assert journey.sent_at() == []
    journey.command("resume", 4 * HOUR_MS, workflow_id="w")
    journey.advance(to=DAY_MS)
    assert len(journey.sends()) == 1


def test_an_execution_expires_also_while_it_is_paused() -> None:
    journey = Journey(workflow(LATER, mail(), max_execution_time_days=1))
    journey.publish("signup")
    journey.command("pause", 1)
    journey.advance(DAY_MS)
    assert journey.reasons("execution_ended") == ["expired"]


def test_a_second_pause_of_the_same_changes_nothing_and_one_resume_ends_it() -> None:
    journey = Journey(held())
    journey.publish("signup")
    for at in (1, 2):
        journey.command("pause", at, customer="ada")
    journey.command("resume", 3, customer="ada")
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(HOUR_MS)]
    assert len(journey.decisions("execution_paused")) == len(journey.decisions("execution_resumed")) == 1


def test_what_is_paused_twice_over_needs_both_to_end() -> None:
    journey = Journey(held())
    journey.publish("signup")
    journey.command("pause", 1, customer="ada")
    journey.command("pause", 2, workflow_id="w")
    journey.command("resume", TWO_H, customer="ada")
    assert journey.path() == []
    journey.command("resume", 3 * HOUR_MS, workflow_id="w")
    assert journey.sent_at() == [after(3 * HOUR_MS)]


def test_what_is_due_on_resume_goes_in_the_order_in_which_it_fell_due() -> None:
    slow = workflow(wait("p", "mail", duration_hours=2), mail(), id="a-slow")
    quick = workflow(wait("p", "mail", duration_hours=1), mail(), id="b-quick")
    journey = Journey(slow, quick)
    journey.publish("signup")
    journey.command("pause", 1)
    journey.command("resume", DAY_MS)
    assert [send.workflow_id for send in journey.sends()] == ["b-quick", "a-slow"]


# Channels -------------------------------------------------------------------------------------------------------


def test_a_paused_channel_holds_its_messages_and_no_others() -> None:
    journey = Journey(workflow(mail("mail", "push"), short("push")))
    journey.publish("customer_updated", push_token="token-1")
    journey.command("pause", 1, channel="push")
    journey.publish("signup", 2)
    assert [send.channel for send in journey.sends()] == ["email"]
    (deferred,) = journey.decisions("send_deferred")
    assert (deferred.reason, deferred.detail) == ("paused", {"channel": "push"})
    journey.command("resume", HOUR_MS, channel="push")
    assert journey.sent_at("push") == [after(HOUR_MS)]


def test_a_message_step_waits_for_its_channel_and_keeps_the_spacing_behind_it() -> None:
    journey = Journey(workflow(message("email", "push")))
    journey.publish("customer_updated", push_token="token-1")
    journey.command("pause", 1, channel="email")
    journey.publish("signup", 2)
    journey.command("resume", HOUR_MS, channel="email")
    journey.advance(DAY_MS)
    assert [(send.channel, send.send_at) for send in journey.sends()] == [
        ("email", after(HOUR_MS)),
        ("push", after(3 * HOUR_MS)),
    ]


# Overdue --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("late", "sent"), [(DAY_MS - 1, 1), (DAY_MS, 1), (DAY_MS + 1, 0)])
def test_by_default_an_overdue_message_goes_out_within_a_day_and_is_skipped_after_that(late: Millis, sent: int) -> None:
    journey = Journey(held())
    journey.publish("signup")
    journey.command("pause", 1)
    journey.command("resume", HOUR_MS + late)
    assert len(journey.sends()) == sent
    assert journey.reasons("send_suppressed") == ["paused"] * (1 - sent)
    assert journey.reasons("execution_ended") == ["completed"]


def test_the_grace_can_be_set() -> None:
    journey = Journey(held(grace_hours=0.5))
    journey.publish("signup")
    journey.command("pause", 1)
    journey.command("resume", HOUR_MS + 31 * MINUTE_MS)
    assert journey.reasons("send_suppressed") == ["paused"]


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize(
    ("on_overdue", "result", "ended"),
    [("send", "sent", "completed"), ("skip", "suppressed", "completed"), ("exit", "overdue", "exit")],
)
def test_each_overdue_message_goes_by_its_own_rule_whether_it_waited_or_the_step_before_it(
    on_overdue: str, result: str, ended: str, timed: bool,  # noqa: FBT001
) -> None:  # fmt: skip
    timing: Document = {"send_immediately": True, "delay_hours": 1}
    one = workflow(mail(timing=timing, on_overdue=on_overdue)) if timed else held(on_overdue)
    journey = Journey(one)
    journey.publish("signup")
    journey.command("pause", 1)
    journey.command("resume", TWO_H)
    assert result_of(journey, "mail") == [result]
    assert journey.reasons("execution_ended") == [ended]
    assert journey.reasons("send_suppressed") == (["paused"] if on_overdue == "skip" else [])


def test_a_rescheduled_message_is_timed_as_if_its_step_began_now() -> None:
    timing: Document = {"send_immediately": True, "delay_hours": 1, "expires_after_hours": 3}
    journey = Journey(workflow(mail(timing=timing, on_overdue="reschedule")))
    journey.publish("signup")
    journey.command("pause", 1)
    journey.command("resume", TWO_H)
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(3 * HOUR_MS)]
    assert journey.sends()[0].expires_at == after(5 * HOUR_MS)


def test_a_message_that_expired_during_the_pause_says_so() -> None:
    timing: Document = {"send_immediately": True, "delay_hours": 1, "expires_after_hours": 2}
    journey = Journey(workflow(mail(timing=timing)))
    journey.publish("signup")
    journey.command("pause", 1)
    journey.command("resume", TWO_H)
    assert journey.reasons("send_suppressed") == ["expired"]


def test_quiet_hours_are_looked_at_when_the_pause_ends() -> None:
    quiet: Document = {"start": "10:30", "end": "12:00"}
    journey = Journey(held(), quiet_hours=quiet)
    journey.publish("signup")
    journey.command("pause", 1)
    journey.command("resume", TWO_H)
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(3 * HOUR_MS)]


def test_what_lies_behind_an_overdue_wait_takes_its_own_time() -> None:
    path = (LATER, mail("mail", "q", on_overdue="skip"), wait("q", "last", duration_hours=1), mail("last"))
    journey = Journey(workflow(*path))
    journey.publish("signup")
    journey.command("pause", 1)
    journey.command("resume", 10 * HOUR_MS)
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(11 * HOUR_MS)]


def test_an_overdue_message_step_skips_every_channel_that_is_left() -> None:
    journey = Journey(workflow(message("email", "push", on_overdue="skip")))
    journey.publish("customer_updated", push_token="token-1")
    journey.publish("signup", 1)
    journey.command("pause", 2)
    journey.command("resume", 3 * HOUR_MS)
    (completed,) = journey.decisions("step_completed")
    channels = (completed.detail or {})["channels"]
    assert isinstance(channels, list)
    assert [(one["status"], one.get("reason")) for one in channels if isinstance(one, dict)] == [
        ("sent", None),
        ("suppressed", "paused"),
    ]


# Cancelling -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES[1:])
def test_a_cancelled_execution_ends_at_once_and_nothing_more_comes_of_it(scope: dict[str, str]) -> None:
    journey = Journey(held())
    journey.publish("signup")
    journey.command("cancel", 1, **scope)
    journey.advance(DAY_MS)
    assert (journey.reasons("execution_ended"), journey.sends()) == (["cancelled"], [])


def test_of_several_executions_only_the_one_that_is_named_is_cancelled() -> None:
    journey = Journey(workflow(LATER, mail(), allow_multiple_executions=True))
    journey.publish("signup")
    journey.publish("signup", 1)
    first = journey.decisions("execution_started")[0].execution_id
    journey.command("cancel", 2, customer="ada", execution_id=str(first))
    journey.advance(DAY_MS)
    assert [one.execution_id for one in journey.decisions("execution_ended", reason="cancelled")] == [first]
    assert len(journey.sends()) == 1


def test_a_paused_execution_can_be_cancelled() -> None:
    journey = Journey(held())
    journey.publish("signup")
    journey.command("pause", 1, customer="ada")
    journey.command("cancel", 2, customer="ada")
    assert journey.reasons("execution_ended") == ["cancelled"]


# Laws of holds --------------------------------------------------------------------------------------------------


def test_a_hold_ends_with_what_began_it_and_a_repeated_command_changes_nothing() -> None:
    def order(action: str, **scope: str) -> Command:
        return Command(command_id="c", action=action, **scope)  # type: ignore[arg-type]

    for scope in ({}, {"workflow_id": "w"}, {"channel": "sms"}):
        paused = applied(Holds(), order("pause", **scope), 5)
        assert paused != Holds()
        assert applied(paused, order("pause", **scope), 6) == paused
        resumed = applied(paused, order("resume", **scope), 7)
        assert resumed == Holds(released_at=7)
        assert applied(resumed, order("resume", **scope), 8) == resumed
