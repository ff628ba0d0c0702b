"""How an execution moves: from step to step, breadth first, until every branch waits or has ended.

Control flow only; what a step does lies in the leaves. An execution that ended leaves a summary behind, for
re-entry.
"""

from collections import deque
from typing import Final, assert_never

from journeys.acting import act
from journeys.best_hours import DEFAULT_BEST_HOURS
from journeys.branching import branch
from journeys.catalogue import CompiledStep, CompiledTrigger, CompiledWorkflow
from journeys.sending import WAITS_FOR_DATA, Refusal, attempt
from journeys.timing import customer_zone, next_send_time, wait_until
from journeys.turn import Turn
from schemas.customer import MAX_STEP_HISTORY, Ended, Execution, StepEntry, Visit
from schemas.decisions import Send
from schemas.definitions import ActionStep, DecisionStep, EmailStep, Exit, SplitTest, UntilEvent, WaitStep
from schemas.events import Json
from schemas.identity import execution_id
from schemas.instants import HOUR_MS, Millis, as_text

MAX_ENTRIES_PER_INSTANT: Final = 1_000
"""A step entered this often within one instant is a loop without time in it."""


def start(turn: Turn, trigger: CompiledTrigger, trigger_event: bytes) -> None:
    """Begin an execution and let it run until it waits."""
    customer, workflow = turn.customer, trigger.workflow
    execution = Execution(
        execution_id=execution_id(customer.customer_id, workflow.id, trigger.trigger_id, turn.cause),
        workflow_id=workflow.id,
        version=workflow.version,
        trigger_id=trigger.trigger_id,
        started_at=turn.now,
        expires_at=turn.now + workflow.max_execution_ms,
        trigger=trigger_event,
        branches=[],
        visits={},
    )
    customer.executions.append(execution)
    turn.started.add(workflow.id)
    if trigger.cooldown_ms:
        customer.cooldowns[trigger.key] = turn.now
    turn.record("execution_started", execution=execution, trigger_id=trigger.trigger_id)
    walk(turn, execution, workflow, (workflow.first,))


def walk(turn: Turn, execution: Execution, workflow: CompiledWorkflow, following: tuple[str, ...]) -> None:
    """Enter steps, and those that follow at once, breadth first; end the execution when no branch is left."""
    waiting = deque(following)
    while waiting:
        step = workflow.steps[waiting.popleft()]
        if _entered_too_often(turn, execution, step):
            end(turn, execution, "error", {"reason": "loop", "step_id": step.id})
            return
        visit_number = execution.visits[step.id] = execution.visits.get(step.id, 0) + 1
        visit = Visit(step_id=step.id, visit=visit_number, entered_at=turn.now, due_at=None)
        following_now = _enter(turn, execution, workflow, step, visit)
        if following_now is None:
            if execution not in turn.customer.executions:
                return
            execution.branches.append(visit)
        else:
            waiting.extend(following_now)
    if not execution.branches:
        end(turn, execution, "completed")


def _entered_too_often(turn: Turn, execution: Execution, step: CompiledStep) -> bool:
    key = (execution.execution_id, step.id)
    turn.entered[key] = turn.entered.get(key, 0) + 1
    return turn.entered[key] >= MAX_ENTRIES_PER_INSTANT


def _enter(
    turn: Turn, execution: Execution, workflow: CompiledWorkflow, step: CompiledStep, visit: Visit
) -> tuple[str, ...] | None:
    """Do what a step does on entry; return the steps that follow at once, or None when it waits or all has ended."""
    turn.scene.execution = execution
    if step.logic is not None and not step.logic(turn.scene):
        return _complete(turn, execution, step, visit, "skipped", step.next_steps)
    match step.step:
        case EmailStep():
            return _schedule(turn, execution, workflow, step, visit)
        case WaitStep():
            return _wait(turn, execution, workflow, step, visit)
        case DecisionStep(configuration=configuration):
            chosen = branch(step, configuration, turn.scene, workflow.id)
            if isinstance(configuration, SplitTest):
                execution.variants[step.id] = chosen.result
            following = () if chosen.next_step is None else (chosen.next_step,)
            return _complete(turn, execution, step, visit, chosen.result, following, chosen.detail)
        case ActionStep(configuration=Exit()):
            _complete(turn, execution, step, visit, "exit", ())
            end(turn, execution, "exit")
            return None
        case ActionStep(configuration=action):
            changed = act(action, turn.scene)
            if changed:
                turn.record("profile_changed", execution=execution, step_id=step.id, detail=changed)
            return _complete(turn, execution, step, visit, "done", step.next_steps)
        case _:
            assert_never(step.step)


def _wait(
    turn: Turn, execution: Execution, workflow: CompiledWorkflow, step: CompiledStep, visit: Visit
) -> tuple[str, ...] | None:
    if step.wait is not None:
        visit.due_at = wait_until(step.wait, turn.now, zone_of(turn, workflow))
        if visit.due_at <= turn.now:
            return _complete(turn, execution, step, visit, "elapsed", step.next_steps)
        return None
    timeout_hours = _until_event(step).timeout_hours
    visit.due_at = None if timeout_hours is None else turn.now + int(timeout_hours * HOUR_MS)
    return None


def _schedule(
    turn: Turn, execution: Execution, workflow: CompiledWorkflow, step: CompiledStep, visit: Visit
) -> tuple[str, ...] | None:
    timing = step.timing
    assert timing is not None  # noqa: S101 -- a message step is compiled with its timing
    visit.expires_at = turn.now + timing.expires_after_ms
    earliest = turn.now + timing.delay_ms
    due = next_send_time(timing, earliest, zone_of(turn, workflow), _best_hours(step), visit.expires_at)
    if due is None:
        return _suppress(turn, execution, step, visit, Refusal(reason="no_possible_time"))
    if due > turn.now:
        _defer(turn, execution, step, visit, due, "timing")
        return None
    return _send(turn, execution, workflow, step, visit)


def _send(
    turn: Turn, execution: Execution, workflow: CompiledWorkflow, step: CompiledStep, visit: Visit
) -> tuple[str, ...] | None:
    """Send, defer or suppress a message that is due; data that is missing is waited for, for a while."""
    turn.scene.execution = execution
    outcome = attempt(step, visit, execution, turn.scene, turn.catalogue)
    if isinstance(outcome, Send):
        return _publish(turn, execution, step, visit, outcome)
    grace_ms = turn.catalogue.grace_ms
    if outcome.reason in WAITS_FOR_DATA and grace_ms:
        if visit.grace_until is None:
            visit.grace_until = turn.now + grace_ms
        if turn.now < visit.grace_until:
            _defer(turn, execution, step, visit, visit.grace_until, "data_grace", outcome.detail)
            return None
    return _suppress(turn, execution, step, visit, outcome)


def _publish(turn: Turn, execution: Execution, step: CompiledStep, visit: Visit, send: Send) -> tuple[str, ...]:
    execution.last_send_at = turn.now
    turn.publish(send)
    turn.record(
        "send_published",
        execution=execution,
        step_id=step.id,
        detail={"send_id": send.send_id, "channel": send.channel, "template_id": send.template_id},
    )
    return _complete(turn, execution, step, visit, "sent", step.next_steps)


def _suppress(turn: Turn, execution: Execution, step: CompiledStep, visit: Visit, refusal: Refusal) -> tuple[str, ...]:
    turn.record(
        "send_suppressed",
        reason=refusal.reason,
        execution=execution,
        step_id=step.id,
        detail=refusal.detail or None,
    )
    return _complete(turn, execution, step, visit, "suppressed", step.next_steps, {"reason": refusal.reason})


def _defer(
    turn: Turn, execution: Execution, step: CompiledStep, visit: Visit, until: Millis, reason: str,
    detail: dict[str, Json] | None = None,
) -> None:  # fmt: skip
    if visit.due_at == until and visit.deferred == reason:
        return
    visit.due_at, visit.deferred = until, reason
    turn.record(
        "send_deferred",
        reason=reason,
        execution=execution,
        step_id=step.id,
        detail={"until": as_text(until), **(detail or {})},
    )


def resume(turn: Turn, execution: Execution, visit: Visit) -> None:
    """Go on with a branch whose instant has come: a message to send, a wait that is over."""
    workflow = workflow_of(turn, execution)
    step = workflow.steps[visit.step_id]
    execution.branches.remove(visit)
    turn.scene.execution = execution
    if isinstance(step.step, EmailStep):
        following = _send_when_due(turn, execution, workflow, step, visit)
    elif step.wait is not None:
        following = _complete(turn, execution, step, visit, "elapsed", step.next_steps)
    else:
        after = _until_event(step).timeout_next_step
        following = _complete(turn, execution, step, visit, "timeout", step.next_steps if after is None else (after,))
    _go_on(turn, execution, workflow, visit, following)


def _send_when_due(
    turn: Turn, execution: Execution, workflow: CompiledWorkflow, step: CompiledStep, visit: Visit
) -> tuple[str, ...] | None:
    """Look at the time again: the zone may have changed since, and a message may have expired."""
    timing = step.timing
    assert timing is not None  # noqa: S101 -- a message step is compiled with its timing
    if visit.expires_at is not None and turn.now >= visit.expires_at:
        return _suppress(turn, execution, step, visit, Refusal(reason="expired"))
    if visit.grace_until is None:
        due = next_send_time(timing, turn.now, zone_of(turn, workflow), _best_hours(step), visit.expires_at)
        if due is None:
            return _suppress(turn, execution, step, visit, Refusal(reason="no_possible_time"))
        if due > turn.now:
            _defer(turn, execution, step, visit, due, "timing")
            return None
    return _send(turn, execution, workflow, step, visit)


def take_event(turn: Turn, execution: Execution, visit: Visit, event_type: str, encoded: bytes) -> None:
    """Let an event move a waiting branch: `until_event` ends with it, a message that lacked data looks again."""
    workflow = workflow_of(turn, execution)
    step = workflow.steps[visit.step_id]
    turn.scene.execution = execution
    if visit.grace_until is not None:
        execution.branches.remove(visit)
        _go_on(turn, execution, workflow, visit, _send(turn, execution, workflow, step, visit))
        return
    if not isinstance(step.step, WaitStep) or not isinstance(step.step.configuration, UntilEvent):
        return
    event = turn.scene.event
    wanted = step.step.configuration.event_type == event_type and event is not None
    if not wanted or event is None or event.occurred_at < visit.entered_at:
        return
    if step.until_where is not None and not step.until_where(turn.scene):
        return
    execution.branches.remove(visit)
    execution.last_event = encoded
    detail: dict[str, Json] = {"event_id": event.event_id}
    _go_on(turn, execution, workflow, visit, _complete(turn, execution, step, visit, "event", step.next_steps, detail))


def _go_on(
    turn: Turn, execution: Execution, workflow: CompiledWorkflow, visit: Visit, following: tuple[str, ...] | None
) -> None:
    if following is None:
        execution.branches.append(visit)
    else:
        walk(turn, execution, workflow, following)


def _complete(
    turn: Turn, execution: Execution, step: CompiledStep, visit: Visit, result: str, following: tuple[str, ...],
    detail: dict[str, Json] | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """Record that a step is over, in the execution's history and as a decision."""
    execution.history.append(StepEntry(step.id, step.type, visit.entered_at, turn.now, result))
    del execution.history[:-MAX_STEP_HISTORY]
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
    customer.ended[execution.workflow_id] = Ended(
        execution_id=execution.execution_id,
        started_at=execution.started_at,
        ended_at=turn.now,
        reason=reason,
        last_send_at=execution.last_send_at,
    )
    turn.record("execution_ended", reason=reason, execution=execution, detail=detail)


def workflow_of(turn: Turn, execution: Execution) -> CompiledWorkflow:
    """Return the workflow in the version that the execution began with."""
    workflow = turn.catalogue.workflow(execution.workflow_id, execution.version)
    assert workflow is not None  # noqa: S101 -- old versions stay in the catalogue's topic for ever
    return workflow


def zone_of(turn: Turn, workflow: CompiledWorkflow) -> str:
    """Return the zone that local times mean for this customer in this workflow."""
    default = turn.catalogue.settings.default_timezone
    return customer_zone(turn.customer.preferences, workflow.definition.settings.timezone, default)


def _best_hours(step: CompiledStep) -> frozenset[int]:
    """Return the hours to prefer; a transactional message is never optimized."""
    return frozenset() if step.category == "transactional" else DEFAULT_BEST_HOURS


def _until_event(step: CompiledStep) -> UntilEvent:
    configuration = step.step.configuration
    assert isinstance(configuration, UntilEvent)  # noqa: S101 -- waits without an instant wait for an event
    return configuration
