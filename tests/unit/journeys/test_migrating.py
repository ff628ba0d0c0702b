"""What becomes of executions under way when a new version is applied: pinned, moved along, drained."""

import pytest

from journeys.catalogue import compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.editing import Editing
from schemas.events import Json
from schemas.instants import HOUR_MS, MINUTE_MS, Millis
from tests.journey import HELLO, START, Document, Journey, after, compiled, mail, trigger, until_event, wait, workflow

MIGRATE = Editing(mode="migrate")
DAY = wait("p", "mail", duration_hours=24)


series = workflow


def applied(journey: Journey, at: Millis, *documents: Document, editing: Editing = MIGRATE) -> None:
    """Let the mark of the next version come."""
    before = journey.engine.catalogue
    assert before is not None
    values: list[Json] = [*documents, HELLO]
    known = {**before.predecessors, before.number: before}
    catalogue = compile_catalogue(
        definitions_from_documents(values), before.number + 1, known, activated_at=START + at, editing=editing
    )
    for outcome in journey.engine.take_over(catalogue, START + at):
        journey.effects += [] if outcome is None else outcome.effects
    journey.clock = max(journey.clock, START + at)


def begun(*documents: Document) -> Journey:
    """Begin an execution at the start."""
    journey = Journey(*documents)
    journey.publish("signup")
    return journey


def test_unless_asked_an_execution_runs_to_its_end_on_its_version() -> None:
    journey = begun(series(DAY, mail()))
    applied(journey, HOUR_MS, series(wait("p", "mail", duration_hours=2), mail()), editing=Editing())
    journey.advance(48 * HOUR_MS)
    assert [(send.send_at, send.workflow_version) for send in journey.sends()] == [(after(24 * HOUR_MS), 1)]


@pytest.mark.parametrize(("hours", "sent_after"), [(48, 48), (25, 25), (24, 24), (3, 3), (2, 2), (1, 2), (0.5, 2)])
def test_a_wait_of_another_length_is_measured_from_its_beginning(hours: float, sent_after: int) -> None:
    """A wait that would be over by the mark is over at the mark."""
    journey = begun(series(DAY, mail()))
    applied(journey, 2 * HOUR_MS, series(wait("p", "mail", duration_hours=hours), mail()))
    journey.advance(72 * HOUR_MS)
    assert [(send.send_at, send.workflow_version) for send in journey.sends()] == [(after(sent_after * HOUR_MS), 2)]


def test_what_was_due_by_the_mark_has_gone_by_the_version_before() -> None:
    journey = begun(series(DAY, mail()))
    applied(journey, 24 * HOUR_MS, series(wait("p", "mail", duration_hours=48), mail()))
    journey.advance(72 * HOUR_MS)
    assert [(send.send_at, send.workflow_version) for send in journey.sends()] == [(after(24 * HOUR_MS), 1)]


def test_who_moves_is_told_with_the_version_and_the_steps() -> None:
    journey = begun(series(DAY, mail()))
    applied(journey, HOUR_MS, series(wait("q", "mail", duration_hours=24), mail()),
            editing=Editing(mode="migrate", step_map={"w/p": "q"}))  # fmt: skip
    [told] = journey.decisions("execution_migrated")
    assert (told.workflow_version, told.detail) == (2, {"from_version": 1, "steps": {"p": "q"}})
    journey.advance(48 * HOUR_MS)
    assert journey.sent_at() == [after(24 * HOUR_MS)]


def test_a_workflow_that_stays_the_same_moves_in_silence_with_its_templates() -> None:
    journey = begun(series(DAY, mail()))
    applied(journey, HOUR_MS, series(DAY, mail()))
    journey.advance(48 * HOUR_MS)
    assert journey.decisions("execution_migrated") == []
    assert [send.workflow_version for send in journey.sends()] == [2]


def test_a_workflow_of_a_version_that_was_never_applied_is_none() -> None:
    assert compiled(series(mail())).workflow("w", 7) is None


def test_an_execution_whose_step_is_gone_ends() -> None:
    journey = begun(series(DAY, mail()))
    applied(journey, HOUR_MS, series(mail()))
    [end] = journey.decisions("execution_ended")
    assert (end.reason, end.at) == ("exit", after(HOUR_MS))
    assert end.detail == {"reason": "step_gone", "step_ids": ["p"], "version": 2}
    assert journey.sends() == []


def test_an_execution_whose_workflow_is_gone_ends() -> None:
    journey = begun(series(DAY, mail()))
    applied(journey, HOUR_MS, series(mail(), id="other"))
    assert journey.reasons("execution_ended") == ["exit"]


def test_one_that_is_parked_stays_paused_on_its_version_and_moves_when_its_step_is_mapped() -> None:
    journey = begun(series(DAY, mail()))
    applied(journey, HOUR_MS, series(mail()), editing=Editing(mode="migrate", gone="park"))
    journey.advance(30 * HOUR_MS)
    assert (journey.reasons("execution_ended"), journey.sent_at()) == ([], [])
    applied(journey, 31 * HOUR_MS, series(wait("q", "mail", duration_hours=36), mail()),
            editing=Editing(mode="migrate", step_map={"w/p": "q"}))  # fmt: skip
    journey.command("resume", 32 * HOUR_MS, customer="ada")
    journey.advance(72 * HOUR_MS)
    assert [(send.send_at, send.workflow_version) for send in journey.sends()] == [(after(36 * HOUR_MS), 2 + 1)]


def test_a_sweep_that_is_repeated_parks_nobody_twice_and_leaves_alone_what_began_since() -> None:
    journey = begun(series(DAY, mail(), allow_multiple_executions=True))
    edited = series(wait("q", "mail", duration_hours=2), mail(), allow_multiple_executions=True)
    applied(journey, HOUR_MS, edited, editing=Editing(mode="migrate", gone="park"))
    journey.publish("signup", 2 * HOUR_MS)
    catalogue = journey.engine.catalogue
    assert catalogue is not None
    again = [one for one in journey.engine.take_over(catalogue, START + 2 * HOUR_MS) if one is not None]
    assert [one.effects for one in again if one.effects] == []
    assert [(one.version, one.paused_at) for one in journey.customer().executions] == [(1, START + HOUR_MS), (2, None)]
    journey.advance(72 * HOUR_MS)
    assert [send.workflow_version for send in journey.sends()] == [2]


def test_of_side_by_side_branches_only_those_whose_step_is_gone_are_given_up() -> None:
    fork = mail("fork", "p", "q", timing={"send_immediately": True})
    both = [fork, wait("p", "one", duration_hours=5), wait("q", "two", duration_hours=6), mail("one"), mail("two")]
    journey = begun(series(*both))
    applied(journey, HOUR_MS, series(mail("fork", "q"), both[2], mail("two")))
    journey.advance(48 * HOUR_MS)
    assert [send.step_id for send in journey.sends()] == ["fork", "two"]
    assert journey.reasons("execution_ended") == ["completed"]


def test_a_step_of_another_kind_is_entered_now() -> None:
    """A wait that has become a message sends it at the mark; one that has become a wait for an event begins there."""
    journey = begun(series(DAY, mail()))
    applied(journey, HOUR_MS, series(mail("p")))
    assert journey.sent_at() == [after(HOUR_MS)]
    waiting = begun(series(DAY, mail()))
    applied(waiting, HOUR_MS, series(until_event("p", "go", "mail", timeout_hours=3), mail()))
    waiting.publish("go", 2 * HOUR_MS)
    assert waiting.sent_at() == [after(2 * HOUR_MS)]


@pytest.mark.parametrize(("timeout_hours", "over_after"), [(30, 30), (3, 3), (1, 2)])
def test_a_wait_for_an_event_takes_the_timeout_of_the_new_version(timeout_hours: float, over_after: int) -> None:
    journey = begun(series(until_event("p", "go", "mail", timeout_hours=24), mail()))
    applied(journey, 2 * HOUR_MS, series(until_event("p", "go", "mail", timeout_hours=timeout_hours), mail()))
    journey.advance(72 * HOUR_MS)
    assert journey.sent_at() == [after(over_after * HOUR_MS)]


def test_moving_again_after_a_crash_changes_nothing_more() -> None:
    """The sweep may be repeated from any point: who has moved is left alone."""
    journey = begun(series(DAY, mail()))
    applied(journey, HOUR_MS, series(wait("p", "mail", duration_hours=48), mail()))
    catalogue, told = journey.engine.catalogue, len(journey.effects)
    assert catalogue is not None
    again = [outcome for outcome in journey.engine.take_over(catalogue, START + HOUR_MS) if outcome is not None]
    assert (again, len(journey.effects)) == ([], told)


def test_while_one_of_an_edited_workflow_drains_its_customer_starts_no_other() -> None:
    """Side by side she would stand in two versions; when the old one is over she may start anew."""
    journey = begun(series(DAY, mail(), allow_multiple_executions=True))
    edited = series(wait("p", "mail", duration_hours=2), mail(), allow_multiple_executions=True)
    applied(journey, HOUR_MS, edited, editing=Editing(mode="drain"))
    journey.publish("signup", 2 * HOUR_MS)
    [refused] = journey.decisions("trigger_refused")
    drained, *_ = journey.customer().executions
    detail = refused.detail or {}
    assert (refused.reason, detail["drains"], detail["execution_id"]) == ("already_active", 1, drained.execution_id)
    journey.publish("signup", 3 * HOUR_MS, customer="bob")
    journey.publish("signup", 25 * HOUR_MS)
    journey.advance(72 * HOUR_MS)
    sent = sorted((send.customer_id, send.workflow_version) for send in journey.sends())
    assert sent == [("ada", 1), ("ada", 2), ("bob", 2)]


def test_what_drains_keeps_nobody_from_another_workflow_nor_for_longer_than_it_runs() -> None:
    several = {"allow_multiple_executions": True}
    other = series(DAY, mail(), id="other", on=[trigger("page_viewed")], **several)
    journey = begun(series(wait("p", "mail", duration_hours=1), mail(), allow_multiple_executions=True), other)
    edited = series(wait("p", "mail", duration_hours=9), mail(), allow_multiple_executions=True)
    applied(journey, MINUTE_MS, edited, other, editing=Editing(mode="drain"))
    journey.publish("page_viewed", 2 * MINUTE_MS)
    for hours in (2, 3):
        journey.publish("signup", hours * HOUR_MS)
    assert journey.decisions("trigger_refused") == []
    assert [one.workflow_id for one in journey.customer().executions] == ["other", "w", "w"]


def test_a_workflow_that_was_not_edited_does_not_drain() -> None:
    journey = begun(series(DAY, mail(), allow_multiple_executions=True))
    applied(journey, HOUR_MS, series(DAY, mail(), allow_multiple_executions=True), editing=Editing(mode="drain"))
    journey.publish("signup", 2 * HOUR_MS)
    assert journey.started() == 2


@pytest.mark.parametrize("is_over", [False, True])
def test_an_execution_that_comes_to_a_version_without_keys_is_concerned_by_every_event(is_over: bool) -> None:  # noqa: FBT001
    """There is nothing left to compare its key with: its waits and goals look at all events, also after its end."""
    placed = trigger("order_placed")
    steps = (mail(),) if is_over else (until_event("u", "shipped", "mail"), mail())
    rest: Document = {"goal": {"event_type": "order_completed"}, "attribution_window_hours": 48}
    before = series(wait("p", "x", duration_hours=24), mail("x"), on=[placed], execution_key="event.order_id", **rest)  # type: ignore[arg-type]
    journey = Journey(before)
    journey.publish("order_placed", order_id="one")
    first, *others = steps
    applied(journey, HOUR_MS, series({**first, "id": "p"}, *others, on=[placed], **rest))  # type: ignore[arg-type]
    assert (journey.customer().executions == []) == is_over
    journey.publish("order_completed", 2 * HOUR_MS, total=5)
    (conversion,) = (one.detail or {} for one in journey.decisions("conversion"))
    assert (conversion["event_id"], conversion["value"]) == ("e2", 5)
