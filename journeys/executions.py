"""How an execution moves: from step to step, breadth first, until every branch waits or has ended.

Control flow only; what a step does lies in the leaves. An execution that ended leaves a summary behind, for
re-entry.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from journeys.acting import NOTHING_DONE
from journeys.answer_hours import as_of, count_send, hour_of
from journeys.awaiting import Awaited, is_ended_by, is_met, next_look, times_out_at
from journeys.best_hours import as_mask, best_hours, everybodys, from_mask
from journeys.branching import Branching, split_id
from journeys.caps import Full
from journeys.catalogue import CompiledStep, CompiledSuppression, CompiledTrigger, CompiledWorkflow
from journeys.channels import channel_order
from journeys.commands import is_channel_held, is_held
from journeys.emitting import VISITOR, Emit
from journeys.experiments import assign, assigned, expose
from journeys.hindsight import pass_decision, settle_decisions
from journeys.keeping import keep_after_action
from journeys.keys import forget_oldest, identity_of, name_of
from journeys.messages import Remaining, enough, free_from, remaining, told
from journeys.overdue import treatment
from journeys.sending import (
    WAITS_FOR_DATA,
    Refusal,
    attempt,
    find_full_cap,
    remember_send,
    unreachable_by,
    with_quiet_hours,
)
from journeys.timing import CompiledTiming, compile_timing, customer_zone, next_send_time, wait_until
from journeys.turn import Turn
from journeys.webhooks import Webhook, answer_at_once, call_id_of, is_answer_to, status_of
from schemas.customer import (
    MAX_ATTRIBUTABLE,
    MAX_STEP_HISTORY,
    STEP_TYPES,
    Attributable,
    ChannelResult,
    Ended,
    Entries,
    Execution,
    Passed,
    StepEntry,
    Visit,
)
from schemas.decisions import Channel, Send
from schemas.definitions import (
    ActionStep,
    ChannelStep,
    DecisionStep,
    Exit,
    ExperimentConfiguration,
    ExperimentStep,
    MessageStep,
    OnOverdue,
    SplitTest,
    Timing,
    WaitStep,
)
from schemas.events import WEBHOOK_ANSWERED, Event, Json
from schemas.identity import emitted_event_id
from schemas.instants import Millis, as_text, later
from schemas.kept_events import NO_EVENT
from schemas.staging import LateSend

WAITING_FOR_DATA: Final = "data_grace"
PAUSED: Final = "paused"
AT_ONCE: Final = compile_timing(Timing(send_immediately=True))
MAX_ENTRIES_PER_INSTANT: Final = 1_000
"""A step entered this often within one instant is a loop without time in it."""
MAX_OPEN_BRANCHES: Final = 200
"""Of one execution: branches that multiply in a loop would fill the customer's state."""


class Place(Struct, frozen=True, kw_only=True):
    """Where a branch of an execution stands."""

    execution: Execution
    workflow: CompiledWorkflow
    step: CompiledStep
    visit: Visit


def start(turn: Turn, trigger: CompiledTrigger, trigger_event: bytes, key: str | None = None) -> None:
    """Begin an execution and let it run until it waits."""
    customer, workflow = turn.customer, trigger.workflow
    execution = Execution(
        execution_id=identity_of(
            customer.hashed_as or customer.customer_id, workflow.id, trigger.trigger_id, turn.cause, key
        ),
        workflow_id=workflow.id,
        version=workflow.version,
        trigger_id=trigger.trigger_id,
        started_at=turn.now,
        expires_at=later(turn.now, workflow.max_execution_ms),
        trigger=trigger_event,
        override=workflow.override,
        branches=[],
        visits={},
        key=key,
    )
    if key is not None:
        _make_room(turn, workflow, key)
    customer.executions.append(execution)
    turn.started.add(name_of(workflow.id, key))
    if trigger.cooldown_ms:
        customer.cooldowns[trigger.key] = turn.now
    detail: dict[str, Json] | None = None if key is None else {"execution_key": key}
    turn.record("execution_started", execution=execution, trigger_id=trigger.trigger_id, detail=detail)
    if trigger.split is not None:
        name = assigned(customer, trigger.split)
        assign(customer, trigger.split.experiment_id, name)
        execution.variants[trigger.split.experiment_id] = name
        if trigger.exposes:
            _expose(turn, execution, trigger.split.experiment_id)
    walk(turn, execution, workflow, (workflow.first,))


def _make_room(turn: Turn, workflow: CompiledWorkflow, key: str) -> None:
    forgotten = forget_oldest(turn.customer, workflow.id, key)
    if forgotten is not None:
        workflow_id, forgotten_key = forgotten
        detail: dict[str, Json] = {"forgotten": forgotten_key, "workflow_id": workflow_id}
        turn.record("bound_reached", reason="execution_keys", workflow=workflow, detail=detail)


def walk(
    turn: Turn, execution: Execution, workflow: CompiledWorkflow, following: tuple[str, ...], behind: int = 0
) -> None:
    """Enter steps, and those that follow at once, breadth first; end the execution when no branch is left.

    Args:
        turn: the decision in the making.
        execution: an active one.
        workflow: its own.
        following: the steps to enter.
        behind: the number of the decision that led to them and can be reopened; 0 for none.
    """
    look_from(turn, execution, workflow)
    if is_held(execution, turn.catalogue.holds):
        execution.branches += [_parked(turn, step_id, behind) for step_id in following]
        following = ()
    waiting = deque((step_id, behind) for step_id in following)
    while waiting:
        step_id, behind = waiting.popleft()
        step = workflow.steps[step_id]
        if step.repeats and _entered_too_often(turn, execution, step):
            end(turn, execution, "error", {"reason": "loop", "step_id": step.id})
            return
        visit_number = execution.visits[step.id] = execution.visits.get(step.id, 0) + 1
        visit = Visit(step_id=step.id, visit=visit_number, entered_at=turn.now, due_at=None, behind=behind)
        following_now = _enter(turn, Place(execution=execution, workflow=workflow, step=step, visit=visit))
        if following_now is None:
            if execution not in turn.customer.executions:
                return
            execution.branches.append(visit)
            if len(execution.branches) > MAX_OPEN_BRANCHES:
                end(turn, execution, "error", {"reason": "branches", "step_id": step.id})
                return
        else:
            waiting.extend((step_id, visit.behind) for step_id in following_now)
    if not execution.branches:
        end(turn, execution, "completed")


def _parked(turn: Turn, step_id: str, behind: int) -> Visit:
    due_at = turn.now if turn.overdue_since is None else turn.overdue_since
    return Visit(step_id=step_id, visit=0, entered_at=turn.now, due_at=due_at, parked=True, behind=behind)


def _entered_too_often(turn: Turn, execution: Execution, step: CompiledStep) -> bool:
    entries, name = turn.customer.entries, f"{execution.execution_id}/{step.id}"
    if entries is None or entries.at != turn.now:
        entries = turn.customer.entries = Entries(turn.now, {})
    count = entries.counts[name] = entries.counts.get(name, 0) + 1
    return count >= MAX_ENTRIES_PER_INSTANT


def _enter(turn: Turn, place: Place) -> tuple[str, ...] | None:
    """Do what a step does on entry; return the steps that follow at once, or None when it waits or all has ended."""
    execution, step = place.execution, place.step
    turn.scene.execution = execution
    if step.logic is not None and not step.logic(turn.scene):
        return _complete(turn, place, "skipped", step.next_steps)
    if step.exposes is not None:
        _expose(turn, execution, step.exposes, step.id)
    match step.step:
        case ExperimentStep(configuration=experiment):
            return _take_part(turn, place, experiment)
        case ChannelStep() | MessageStep():
            return _schedule(turn, place)
        case WaitStep():
            return _wait(turn, place)
        case DecisionStep(configuration=configuration):
            return _choose(turn, place, is_split=isinstance(configuration, SplitTest))
        case ActionStep(configuration=Exit()):
            _complete(turn, place, "exit", ())
            end(turn, execution, "exit")
            return None
        case ActionStep():
            return _act(turn, place)
        case _:
            assert_never(step.step)


def _take_part(turn: Turn, place: Place, experiment: ExperimentConfiguration) -> tuple[str, ...]:
    """Go the way of the variant that the customer is assigned."""
    execution, step, split = place.execution, place.step, place.step.split
    assert split is not None  # noqa: S101 -- an experiment step is compiled with its split
    name = assigned(turn.customer, split)
    assign(turn.customer, split.experiment_id, name)
    execution.variants[step.id] = name
    _expose(turn, execution, split.experiment_id, step.id)
    way = next(variant.next_step for variant in experiment.variants if variant.name == name)
    return _complete(turn, place, name, (way,), {"variant": name, "experiment_id": split.experiment_id})


def _expose(turn: Turn, execution: Execution, experiment_id: str, step_id: str | None = None) -> None:
    """Record that the customer takes part in an experiment, at the first decision that differs."""
    if expose(turn.customer, experiment_id):
        detail: dict[str, Json] = {
            "experiment_id": experiment_id,
            "variation": turn.customer.assignments[experiment_id],
            "workflow_id": execution.workflow_id,
        }
        turn.record("experiment_assigned", execution=execution, step_id=step_id, detail=detail)


def _choose(turn: Turn, place: Place, *, is_split: bool) -> tuple[str, ...]:
    choose = place.step.choose
    assert choose is not None  # noqa: S101 -- a decision is compiled with its choice
    chosen = choose(turn.scene)
    if is_split:
        place.execution.variants[place.step.id] = chosen.result
        assign(turn.customer, split_id(place.workflow.id, place.step.id), chosen.result)
    if place.step.hindsight is not None:
        pass_decision(turn.customer, place.execution, place.visit, place.step.hindsight, chosen.next_step, turn.now)
    following = () if chosen.next_step is None else (chosen.next_step,)
    return _complete(turn, place, chosen.result, following, chosen.detail)


def _act(turn: Turn, place: Place) -> tuple[str, ...] | None:
    execution, step = place.execution, place.step
    if step.emit is not None:
        return _emit(turn, place, step.emit)
    if step.webhook is not None:
        return _call(turn, place, step.webhook)
    before = turn.customer.attributes.copy() if turn.catalogue.changes else {}
    acted = NOTHING_DONE if step.act is None else step.act(turn.scene)
    if acted.changed:
        settle_decisions(turn.customer, execution, turn.now)
        turn.record("profile_changed", execution=execution, step_id=step.id, detail=acted.changed)
        keep_after_action(turn, acted.changed, before)
    if acted.refused:
        refused: dict[str, Json] = {"refused": list(acted.refused)}
        turn.record("bound_reached", reason="attributes", execution=execution, step_id=step.id, detail=refused)
    return _complete(turn, place, "done", step.next_steps)


def _emit(turn: Turn, place: Place, make: Emit) -> tuple[str, ...]:
    execution, step = place.execution, place.step
    event = make(turn.scene, emitted_event_id(execution.execution_id, step.id, place.visit.visit))
    bound = "event_properties" if event is None else None if turn.emit(event) else "event_chain"
    if event is None or bound is not None:
        turn.record("bound_reached", reason=bound, execution=execution, step_id=step.id)
        return _complete(turn, place, "refused", step.next_steps)
    settle_decisions(turn.customer, execution, turn.now)
    detail: dict[str, Json] = {"event_id": event.event_id, "event_type": event.type}
    return _complete(turn, place, "sent", step.next_steps, detail)


def _call(turn: Turn, place: Place, webhook: Webhook) -> tuple[str, ...] | None:
    """Put a call out, and wait for its answer where that is asked for."""
    visit = place.visit
    if webhook.awaits:
        visit.due_at = later(turn.now, turn.catalogue.answer_ms)
    call = webhook.make(turn.scene, place.execution, visit)
    if call is None:
        _fail(turn, place, "payload_too_large")
        return None
    turn.publish(call)
    settle_decisions(turn.customer, place.execution, turn.now)
    if not webhook.awaits:
        return _complete(turn, place, "called", place.step.next_steps, {"call_id": call.call_id})
    if turn.catalogue.answers_webhooks:
        turn.emit(answer_at_once(call, turn.scene, VISITOR))
    return None


def _take_answer(turn: Turn, place: Place, encoded: bytes, properties: Mapping[str, Json]) -> None:
    execution, step, status = place.execution, place.step, status_of(properties)
    detail: dict[str, Json] = {"call_id": call_id_of(execution, place.visit), "status": properties.get("status")}
    execution.last_event = encoded
    if status is None:
        _fail(turn, place, "webhook_failed", detail | {"error": properties.get("error")})
        return
    execution.responses[step.id] = status
    _go_on(turn, place, _complete(turn, place, "answered", step.next_steps, detail))


def _fail(turn: Turn, place: Place, reason: str, detail: dict[str, Json] | None = None) -> None:
    """End the execution because a step failed."""
    told: dict[str, Json] = {"reason": reason, **(detail or {})}
    _complete(turn, place, "failed", (), told)
    end(turn, place.execution, "error", {"step_id": place.step.id, **told})


def _wait(turn: Turn, place: Place) -> tuple[str, ...] | None:
    if place.step.wait is not None:
        place.visit.due_at = wait_until(place.step.wait, turn.now, zone_of(turn, place.workflow))
        if place.visit.due_at <= turn.now:
            return _complete(turn, place, "elapsed", place.step.next_steps)
        return None
    return _go_on_waiting(turn, place)


def _go_on_waiting(turn: Turn, place: Place) -> tuple[str, ...] | None:
    """Look whether what a wait is for holds without an event, or it is time to give up; else go on with it."""
    awaited, step, visit = awaited_by(place.step), place.step, place.visit
    timeout_at = times_out_at(awaited, visit.entered_at)
    if is_met(awaited, turn.scene):
        result, following = awaited.result, step.next_steps
    elif timeout_at is not None and timeout_at <= turn.due_until:
        result, following = "timeout", step.next_steps if awaited.timeout_step is None else (awaited.timeout_step,)
    else:
        visit.due_at = next_look(awaited, visit.entered_at, turn.now)
        return None
    # What ended this wait was no event.
    place.execution.last_event = None
    return _complete(turn, place, result, following)


def _schedule(turn: Turn, place: Place) -> tuple[str, ...] | None:
    """Send now if the timing allows it, else at the first instant at which it does."""
    timing = timing_of(place)
    if turn.overdue_since is not None and not timing.delay_ms and (overdue := _give_up_overdue(turn, place)):
        return overdue.following
    place.visit.expires_at = later(turn.now, timing.expires_after_ms)
    if place.step.parts:
        return _coordinate(turn, place, turn.now + timing.delay_ms)
    return _schedule_from(turn, place, turn.now + timing.delay_ms)


def _schedule_from(turn: Turn, place: Place, earliest: Millis) -> tuple[str, ...] | None:
    place.visit.best_hours = None
    due, reason = _when(turn, place, earliest)
    return _send(turn, place) if due == turn.now else _put_off(turn, place, due, reason)


def _when(turn: Turn, place: Place, earliest: Millis) -> tuple[Millis | None, str]:
    """Find the first instant from `earliest` on at which the message may go out, and what it waits for until then."""
    step, scene = place.step, turn.scene
    timing = with_quiet_hours(step, scene, turn.catalogue)
    hours, zone, expires_at = _hours_for(turn, place), zone_of(turn, place.workflow), place.visit.expires_at
    due = next_send_time(timing, earliest, zone, hours, expires_at)
    if timing is step.timing or due == next_send_time(timing_of(place), earliest, zone, hours, expires_at):
        return due, "timing"
    return due, "quiet_hours"


def _put_off(
    turn: Turn, place: Place, due: Millis | None, reason: str, detail: dict[str, Json] | None = None
) -> tuple[str, ...] | None:
    """Let the message wait for an instant, or suppress it where there is none before it expires."""
    if due is None:
        return _suppress(turn, place, Refusal(reason="no_possible_time", detail=detail or {}))
    if reason == "timing" and place.visit.best_hours is not None:
        detail = _told_hours(turn, place, due)
    _defer(turn, place, due, reason, detail)
    return None


def _send(turn: Turn, place: Place) -> tuple[str, ...] | None:
    """Look at everything at the moment of sending: send, put off or suppress; missing data is waited for a while."""
    content = place.step.content
    if content is not None and is_channel_held(content.channel, turn.catalogue.holds):
        _hold_channel(turn, place, content.channel)
        return None
    rule = _holding_rule(turn, place)
    if rule is not None:
        held: dict[str, Json] = {"rule_id": rule.id, "alternatives": list(rule.alternatives)}
        return _suppress(turn, _whole(place), Refusal(reason=rule.reason, detail=held))
    outcome = attempt(place.step, place.visit, place.execution, turn.scene, turn.catalogue)
    if isinstance(outcome, Refusal):
        return _refuse(turn, place, outcome)
    full = find_full_cap(place.step, place.execution, turn.scene, turn.catalogue)
    if full is not None:
        return _hold(turn, place, full)
    due, reason = _when(turn, place, turn.now)
    if due != turn.now and place.visit.best_hours is not None:
        # Timed anew, so by the hours that are her best ones now.
        place.visit.best_hours = None
        due, reason = _when(turn, place, turn.now)
    return _publish(turn, place, outcome) if due == turn.now else _put_off(turn, place, due, reason)


def _hold(turn: Turn, place: Place, full: Full) -> tuple[str, ...] | None:
    """Skip a message that a cap has no room for, or look for its time anew from the first instant with room."""
    detail: dict[str, Json] = {"cap": full.cap.detail, "sent": full.sent}
    if full.room_at is None:
        return _suppress(turn, place, Refusal(reason="frequency_cap", detail=detail))
    place.visit.best_hours = None
    due, _ = _when(turn, place, full.room_at)
    return _put_off(turn, place, due, "frequency_cap", detail)


def _refuse(turn: Turn, place: Place, refusal: Refusal) -> tuple[str, ...] | None:
    """Wait for the data that a message lacks, but not beyond the instant at which it expires; or suppress it."""
    visit, grace_ms = place.visit, turn.catalogue.grace_ms
    if refusal.reason in WAITS_FOR_DATA and grace_ms:
        if visit.grace_until is None:
            until = later(turn.now, grace_ms)
            visit.grace_until = until if visit.expires_at is None else min(until, visit.expires_at)
        if turn.now < visit.grace_until:
            _defer(turn, place, visit.grace_until, WAITING_FOR_DATA, refusal.detail)
            return None
    return _suppress(turn, place, refusal)


def _publish(turn: Turn, place: Place, send: Send) -> tuple[str, ...] | None:
    _put_out(turn, place, send)
    made = turn.catalogue.unrecorded.made
    if made is not None:
        made.setdefault(send.customer_id, {})[send.send_id] = _what_made(turn, place, send)
    return _conclude(turn, place, "sent", send_id=send.send_id)


def _put_out(turn: Turn, place: Place, send: Send) -> None:
    settle_decisions(turn.customer, place.execution, turn.now)
    place.execution.last_send_at = turn.now
    turn.publish(send)
    remember_send(send, turn.customer, turn.catalogue, turn.now)
    hour = hour_of(turn.now, zone_of(turn, place.workflow))
    turn.customer.hours = count_send(turn.customer.hours, send.send_id, hour, turn.now)
    turn.record(
        "send_published",
        execution=place.execution,
        step_id=place.step.id,
        detail={"send_id": send.send_id, "channel": send.channel, "template_id": send.template_id},
    )


def _what_made(turn: Turn, place: Place, send: Send) -> LateSend:
    """Keep what a message was made of, so that it can be made anew when nobody stands in its step any more."""
    execution = place.execution
    context = Execution(
        execution_id=execution.execution_id, workflow_id=execution.workflow_id, trigger_id=execution.trigger_id,
        started_at=execution.started_at, expires_at=execution.expires_at, trigger=execution.trigger, branches=[],
        visits={}, last_send_at=execution.last_send_at, last_event=execution.last_event,
        variants=dict(execution.variants), responses=dict(execution.responses), key=execution.key,
    )  # fmt: skip
    return LateSend(
        turn.now, send.customer_id, send.step_id, place.visit.visit, send.channel, place.visit.expires_at, context
    )


def send_late(turn: Turn, late: LateSend) -> bool:
    """Make a message of the past anew and let it go out now, or record what stands against that; it never waits.

    Returns:
        Whether it has gone out.
    """
    execution = late.execution
    workflow = workflow_of(turn, execution)
    look_from(turn, execution, workflow)
    step = workflow.steps[late.step_id]
    part = replace(step.parts.get(late.channel, step), timing=AT_ONCE)
    visit = Visit(step_id=step.id, visit=late.visit, entered_at=turn.now, due_at=turn.now, expires_at=late.expires_at)
    place = Place(execution=execution, workflow=workflow, step=part, visit=visit)
    outcome = _made_late(turn, place, late.channel)
    if isinstance(outcome, Send):
        _put_out(turn, place, outcome)
        return True
    detail = {**_channel_of(place), **outcome.detail} or None
    turn.record("send_suppressed", reason=outcome.reason, execution=execution, step_id=step.id, detail=detail)
    return False


def _made_late(turn: Turn, place: Place, channel: Channel) -> Send | Refusal:
    visit, holds = place.visit, turn.catalogue.holds
    if is_held(place.execution, holds) or is_channel_held(channel, holds):
        return Refusal(reason=PAUSED)
    if visit.expires_at is not None and turn.now >= visit.expires_at:
        return Refusal(reason="expired")
    rule = _holding_rule(turn, place)
    if rule is not None:
        return Refusal(reason=rule.reason, detail={"rule_id": rule.id, "alternatives": list(rule.alternatives)})
    outcome = attempt(place.step, visit, place.execution, turn.scene, turn.catalogue)
    if isinstance(outcome, Refusal):
        return outcome
    full = find_full_cap(place.step, place.execution, turn.scene, turn.catalogue)
    if full is not None:
        return Refusal(reason="frequency_cap", detail={"cap": full.cap.detail, "sent": full.sent})
    due, _ = _when(turn, place, turn.now)
    return outcome if due == turn.now else Refusal(reason="quiet_hours", detail={"until": as_text(due)})


def _suppress(turn: Turn, place: Place, refusal: Refusal) -> tuple[str, ...] | None:
    turn.record(
        "send_suppressed",
        reason=refusal.reason,
        execution=place.execution,
        step_id=place.step.id,
        detail={**_channel_of(place), **refusal.detail} or None,
    )
    return _conclude(turn, place, "suppressed", reason=refusal.reason, detail=refusal.detail)


def _defer(
    turn: Turn, place: Place, until: Millis, reason: str,
    detail: dict[str, Json] | None = None,
) -> None:  # fmt: skip
    if place.visit.due_at == until and place.visit.deferred == reason:
        return
    place.visit.due_at, place.visit.deferred = until, reason
    turn.record(
        "send_deferred",
        reason=reason,
        execution=place.execution,
        step_id=place.step.id,
        detail={"until": as_text(until), **_channel_of(place), **(detail or {})},
    )


def resume(turn: Turn, execution: Execution, visit: Visit) -> None:
    """Go on with a branch whose instant has come: a message to send, a wait that is over."""
    place = _leave(turn, execution, visit)
    step = place.step
    turn.overdue_since = visit.due_at if visit.due_at is not None and visit.due_at < turn.now else None
    if visit.parked:
        walk(turn, execution, place.workflow, (step.id,), visit.behind)
        turn.overdue_since = None
        return
    if step.timing is not None:
        following = _send_when_due(turn, place)
    elif step.wait is not None:
        following = _complete(turn, place, "elapsed", step.next_steps)
    elif step.webhook is not None:
        _fail(turn, place, "webhook_timeout", {"call_id": call_id_of(execution, visit)})
        return
    else:
        following = _go_on_waiting(turn, place)
    _go_on(turn, place, following)
    turn.overdue_since = None


def _send_when_due(turn: Turn, place: Place) -> tuple[str, ...] | None:
    expires_at = place.visit.expires_at
    if expires_at is not None and turn.now >= expires_at:
        return _suppress(turn, place, Refusal(reason="expired"))
    place.visit.held_on = None
    if turn.overdue_since is not None:
        if (overdue := _give_up_overdue(turn, place)) is not None:
            return overdue.following
        if _overdue_treatment(turn, place) == "reschedule":
            turn.overdue_since = None
            return _schedule(turn, place)
    if place.step.parts:
        return _coordinate(turn, place, turn.now, is_due=True)
    return _send(turn, place)


# Messages that are overdue --------------------------------------------------------------------------------------


class _Given(Struct, frozen=True):
    """That a message was given up, and what follows."""

    following: tuple[str, ...] | None


def _overdue_treatment(turn: Turn, place: Place) -> OnOverdue:
    rule, due_at = place.step.overdue, turn.overdue_since
    assert rule is not None  # noqa: S101 -- only steps that send come here, and they are compiled with a rule
    return "send" if due_at is None else treatment(rule, due_at, turn.now)


def _give_up_overdue(turn: Turn, place: Place) -> _Given | None:
    """Skip a message that is overdue, or end the execution, where its step asks for that; None where it doesn't."""
    detail: dict[str, Json] = {"due_at": as_text(turn.overdue_since)}
    match _overdue_treatment(turn, place):
        case "skip":
            reason = PAUSED if _was_held(turn) else "overdue"
            return _Given(_suppress(turn, place, Refusal(reason=reason, detail=detail)))
        case "exit":
            _complete(turn, place, "overdue", (), detail)
            end(turn, place.execution, "exit")
            return _Given(None)
        case "send" | "reschedule":
            return None


def _was_held(turn: Turn) -> bool:
    """Tell whether what is overdue was held by a command, and not by an outage."""
    holds, due_at = turn.catalogue.holds, turn.overdue_since
    return turn.is_release or (holds is not None and due_at is not None and due_at < holds.released_at)


def _hold_channel(turn: Turn, place: Place, channel: Channel) -> None:
    """Let a message wait until its channel is released; it is due from now on."""
    visit = place.visit
    visit.due_at = turn.now if turn.overdue_since is None else turn.overdue_since
    visit.held_on, visit.deferred = channel, PAUSED
    turn.record(
        "send_deferred", reason=PAUSED, execution=place.execution, step_id=place.step.id, detail={"channel": channel}
    )


# Messages on several channels -----------------------------------------------------------------------------------


def _coordinate(turn: Turn, place: Place, earliest: Millis, *, is_due: bool = False) -> tuple[str, ...] | None:
    """Let the next active channel of a `message` step have its turn, and complete the step when none is left."""
    visit, step, customer = place.visit, place.step, turn.customer
    rest = _remaining(turn, place)
    done = enough(step.strategy, visit.channels, customer.last)
    if done is not None or (visit.channels and not rest.active):
        return _complete_message(turn, place, rest, done)
    if not rest.active:
        reasons: dict[str, Json] = {channel: reason for channel, reason in rest.inactive.items()}  # noqa: C416 -- wider
        refusal = Refusal(reason="no_active_channel", detail={"inactive": reasons})
        refuse = _refuse if "no_address" in rest.inactive.values() else _suppress
        return refuse(turn, place, refusal)
    part = replace(place, step=step.parts[rest.active[0]])
    free = free_from(visit.channels, turn.catalogue.spacing_ms, earliest)
    return _send(turn, part) if is_due and free <= turn.now else _schedule_from(turn, part, free)


def _remaining(turn: Turn, place: Place) -> Remaining:
    customer, category = turn.customer, place.step.category
    unreachable = {
        channel: unreachable_by(customer, channel, category, turn.catalogue) for channel in _whole(place).step.parts
    }
    return remaining(channel_order(customer.preferences), unreachable, place.visit.channels)


def _conclude(
    turn: Turn, place: Place, result: str, *, reason: str | None = None, send_id: str | None = None,
    detail: dict[str, Json] | None = None,
) -> tuple[str, ...] | None:  # fmt: skip
    """Go on behind a message that is out or refused: to the next step, or to the next channel of a `message` step."""
    whole = _whole(place)
    if not whole.step.parts:
        return _complete(turn, place, result, place.step.next_steps, {"reason": reason} if reason else None)
    content, visit = place.step.content, place.visit
    if content is not None:
        visit.channels.append(ChannelResult(content.channel, result, turn.now, reason, send_id))
        visit.deferred = None
        return _coordinate(turn, whole, turn.now)
    # What holds back the message as a whole holds back every channel that still could have been used.
    rest = _remaining(turn, place)
    visit.channels += [ChannelResult(channel, result, turn.now, reason) for channel in rest.active]
    alternatives = (detail or {}).get("alternatives", [])
    return _complete_message(turn, place, replace(rest, active=()), reason, alternatives)


def _complete_message(
    turn: Turn, place: Place, rest: Remaining, reason: str | None, alternatives: Json = None
) -> tuple[str, ...]:
    templates = {channel: part.content.template_id for channel, part in place.step.parts.items() if part.content}
    detail = told(place.visit.channels, rest, reason, templates)
    if alternatives:
        detail["alternatives"] = alternatives
    return _complete(turn, place, str(detail["status"]), place.step.next_steps, detail)


def _holding_rule(turn: Turn, place: Place) -> CompiledSuppression | None:
    """Return the first rule that holds a `message` step back now."""
    if place.step.type != "message":
        return None
    return next((rule for rule in turn.catalogue.suppressions if rule.test(turn.scene)), None)


def _whole(place: Place) -> Place:
    """Return the place of the step as a whole, where it is that of one channel."""
    return replace(place, step=place.workflow.steps[place.visit.step_id])


def _channel_of(place: Place) -> dict[str, Json]:
    """Return which channel of a `message` step is meant; nothing for any other step."""
    content = place.step.content
    return {"channel": content.channel} if place.step.type == "message" and content is not None else {}


# Going on -------------------------------------------------------------------------------------------------------


def take_event(turn: Turn, execution: Execution, visit: Visit, event: Event, encoded: bytes) -> None:
    """Let an event move a waiting branch: the event or condition it waits for came, or a message's data."""
    if visit.parked or (visit.deferred == WAITING_FOR_DATA and is_held(execution, turn.catalogue.holds)):
        return
    if visit.deferred == WAITING_FOR_DATA:
        place = _leave(turn, execution, visit)
        _go_on(turn, place, _send_when_due(turn, place))
        return
    workflow = workflow_of(turn, execution)
    step = workflow.steps[visit.step_id]
    if step.webhook is not None:
        if event.type == WEBHOOK_ANSWERED:
            _look_for_answer(turn, execution, visit, event, encoded)
        return
    awaited = step.awaited
    if awaited is None:
        return
    look_from(turn, execution, workflow, event)
    if is_ended_by(awaited, event, visit.entered_at, turn.scene):
        is_in_view = turn.scene.event is not None
        place = _leave(turn, execution, visit)
        execution.last_event = encoded if is_in_view else None
        _go_on(turn, place, _complete(turn, place, awaited.result, step.next_steps, {"event_id": event.event_id}))


def _look_for_answer(turn: Turn, execution: Execution, visit: Visit, event: Event, encoded: bytes) -> None:
    properties = turn.scene.event_properties()
    if is_answer_to(properties, event.occurred_at, execution, visit):
        _take_answer(turn, _leave(turn, execution, visit), encoded, properties)


def look_from(turn: Turn, execution: Execution, workflow: CompiledWorkflow, event: Event | None = None) -> None:
    """Put an execution into view, in its zone; the present event is seen by waits alone, not by the steps behind."""
    scene = turn.scene
    scene.execution, scene.event, scene.zone = execution, event, zone_of(turn, workflow)


def _leave(turn: Turn, execution: Execution, visit: Visit) -> Place:
    """Take a branch off those that wait, and put it into view."""
    workflow = workflow_of(turn, execution)
    execution.branches.remove(visit)
    look_from(turn, execution, workflow)
    return Place(execution=execution, workflow=workflow, step=workflow.steps[visit.step_id], visit=visit)


def _go_on(turn: Turn, place: Place, following: tuple[str, ...] | None) -> None:
    if following is None:
        place.execution.branches.append(place.visit)
    else:
        walk(turn, place.execution, place.workflow, following, place.visit.behind)


def give_up(turn: Turn, execution: Execution, decisions: set[int]) -> tuple[str, ...]:
    """Give up the branches that descend from decisions, given by their numbers; return the steps where they stood."""
    gone = [visit for visit in execution.branches if visit.behind in decisions]
    execution.branches = [visit for visit in execution.branches if visit.behind not in decisions]
    steps = workflow_of(turn, execution).steps
    for visit in gone:
        _note_step(execution, steps[visit.step_id], visit, turn.now, "late_reopened")
    return tuple(visit.step_id for visit in gone)


def go_back(turn: Turn, execution: Execution, passed: Passed, chosen: Branching) -> None:
    """Take the other way at a decision that has been passed, from now on."""
    workflow = workflow_of(turn, execution)
    look_from(turn, execution, workflow)
    visit = Visit(step_id=passed.step_id, visit=passed.visit, entered_at=passed.at, due_at=None, behind=passed.number)
    place = Place(execution=execution, workflow=workflow, step=workflow.steps[passed.step_id], visit=visit)
    following = () if chosen.next_step is None else (chosen.next_step,)
    _go_on(turn, place, _complete(turn, place, chosen.result, following, chosen.detail))


def _note_step(execution: Execution, step: CompiledStep, visit: Visit, left_at: Millis, result: str) -> None:
    entered_after, took = visit.entered_at - execution.started_at, left_at - visit.entered_at
    execution.history.append(StepEntry(step.id, STEP_TYPES.index(step.type), entered_after, took, result))
    del execution.history[:-MAX_STEP_HISTORY]


def _complete(
    turn: Turn, place: Place, result: str, following: tuple[str, ...], detail: dict[str, Json] | None = None
) -> tuple[str, ...]:
    """Record that a step is over, in the execution's history and as a decision."""
    execution, step, visit = place.execution, place.step, place.visit
    _note_step(execution, step, visit, turn.now, result)
    turn.record(
        "step_completed",
        execution=execution,
        step_id=step.id,
        detail={"type": step.type, "visit": visit.visit, "result": result, "next": list(following), **(detail or {})},
    )
    return following


def end(turn: Turn, execution: Execution, reason: str, detail: dict[str, Json] | None = None) -> None:
    """End an execution and keep its summary."""
    customer = turn.customer
    customer.executions.remove(execution)
    name = name_of(execution.workflow_id, execution.key)
    if execution.key is not None:
        # The key that ended first is the first to be forgotten.
        customer.ended.pop(name, None)
    customer.ended[name] = Ended(
        execution_id=execution.execution_id,
        started_at=execution.started_at,
        ended_at=turn.now,
        reason=reason,
        last_send_at=execution.last_send_at,
    )
    _keep_attributable(turn, execution, reason)
    turn.record("execution_ended", reason=reason, execution=execution, detail=detail)


def _keep_attributable(turn: Turn, execution: Execution, reason: str) -> None:
    """Remember an execution whose last send may still bring about its goal."""
    goal, since = workflow_of(turn, execution).goal, execution.last_send_at
    if goal is None or reason == "goal" or since is None or not goal.attribution_ms:
        return
    turn.customer.attributable.append(
        Attributable(
            execution_id=execution.execution_id,
            workflow_id=execution.workflow_id,
            version=execution.version,
            trigger_id=execution.trigger_id,
            key=execution.key,
            since=since,
            until=later(since, goal.attribution_ms),
            trigger=execution.trigger if goal.asks_trigger else NO_EVENT,
            started_at=execution.started_at,
        )
    )
    del turn.customer.attributable[:-MAX_ATTRIBUTABLE]


def workflow_of(turn: Turn, execution: Execution) -> CompiledWorkflow:
    """Return the workflow in the version that the execution began with."""
    workflow = turn.catalogue.workflow(execution.workflow_id, execution.version, execution.override)
    assert workflow is not None  # noqa: S101 -- old versions stay in the catalogue's topic for ever
    return workflow


def zone_of(turn: Turn, workflow: CompiledWorkflow) -> str:
    """Return the zone that local times mean for this customer in this workflow."""
    preferences = turn.customer.preferences
    return customer_zone(preferences, workflow.zone) if preferences else workflow.zone


def _hours_for(turn: Turn, place: Place) -> frozenset[int]:
    """Return the hours to prefer, none for what isn't optimized: those by which the message was timed, or hers now.

    What she answers while a message waits moves the next one; this one goes when it was promised to.
    """
    visit = place.visit
    if place.step.category == "transactional" or not timing_of(place).optimize:
        visit.best_hours = None
        return frozenset()
    if visit.best_hours is None:
        visit.best_hours = as_mask(_best_hours_now(turn))
    return from_mask(visit.best_hours)


def _best_hours_now(turn: Turn) -> frozenset[int]:
    hours, profile = turn.customer.hours, turn.catalogue.best_hours_profile
    return everybodys(profile) if hours is None else best_hours(*as_of(hours, turn.now), profile)


def _told_hours(turn: Turn, place: Place, due: Millis) -> dict[str, Json] | None:
    """Return the hours that a message waits for; nothing where it couldn't wait for any of them."""
    hours: list[Json] = [*sorted(_hours_for(turn, place))]
    return {"best_hours": hours} if hour_of(due, zone_of(turn, place.workflow)) in hours else None


def timing_of(place: Place) -> CompiledTiming:
    """Return when the message of a step may go out."""
    timing = place.step.timing
    assert timing is not None  # noqa: S101 -- a message step is compiled with its timing
    return timing


def awaited_by(step: CompiledStep) -> Awaited:
    """Return what a wait without an instant of its own waits for."""
    assert step.awaited is not None  # noqa: S101 -- such a wait is compiled with it
    return step.awaited
