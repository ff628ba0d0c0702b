"""Which firings start an execution: the checks, in SPEC's order, and the record of the first that fails."""

from msgspec import Struct

from journeys.catalogue import CompiledTrigger
from journeys.exits import first_that_holds
from journeys.holdouts import held_out
from journeys.keys import identity_of, name_of, read_key
from journeys.timing import customer_zone
from journeys.turn import Turn
from schemas.customer import Ended, Execution
from schemas.definitions import WorkflowSettings
from schemas.events import Event, Json
from schemas.instants import HOUR_MS, Millis, as_text, later, span, utc_day

Refused = tuple[str, dict[str, Json]]
"""The reason, and the values that led to it."""


class Firing(Struct, frozen=True, kw_only=True):
    """What made a trigger fire."""

    caused_at: Millis | None
    """When the event occurred, or the silence began; None if it needn't be recent."""
    event: Event | None
    encoded: bytes
    """The event, as it is kept; empty without one."""
    key: str | None
    """The execution key; None also where the workflow has one and the event hasn't."""


def execution_key(turn: Turn, trigger: CompiledTrigger, event: Event | None) -> str | None:
    """Return the execution key that an event brings; None where the workflow has none, or the event hasn't."""
    if trigger.workflow.key is None:
        return None
    turn.scene.event = event
    return read_key(trigger.workflow.key, turn.scene)


def refusal(turn: Turn, trigger: CompiledTrigger, firing: Firing) -> Refused | None:
    """Return why a firing starts nothing, with the values that led to it; None if it does start.

    Args:
        turn: the decision in the making.
        trigger: the trigger that fired; its workflow is active and it is enabled.
        firing: what made it fire.
    """
    refused = _keeps_out(turn, trigger, firing) or _is_cooling_down(turn, trigger) or _was_here(turn, trigger, firing)
    if refused is not None:
        return refused
    customer, catalogue, workflow = turn.customer, turn.catalogue, trigger.workflow
    if workflow.key is not None and firing.key is None:
        return "no_key", {"execution_key": workflow.definition.settings.execution_key}
    active = len(customer.executions) + len(customer.pending)
    if active >= catalogue.settings.max_concurrent_executions:
        return "max_concurrent_executions", {"active": active}
    return None


def _keeps_out(turn: Turn, trigger: CompiledTrigger, firing: Firing) -> Refused | None:
    """Look at what doesn't depend on earlier executions: the event's age, experiments, exit conditions, holdouts."""
    catalogue, caused_at, workflow = turn.catalogue, firing.caused_at, trigger.workflow
    if caused_at is not None and (belated := _comes_too_late(turn, trigger, caused_at)) is not None:
        return belated
    if workflow.exits.tests and (position := _exits_at_once(turn, trigger, firing)) is not None:
        return "exit_condition", {"exit_condition": position}
    if trigger.reserved_by is not None:
        return "experiment", {"experiment_id": trigger.reserved_by}
    global_percent, category = catalogue.settings.global_holdout_percent, workflow.definition.settings.category
    if workflow.holdout or global_percent:
        held = held_out(turn.customer.customer_id, workflow.id, category, workflow.holdout, global_percent)
        return None if held is None else ("holdout", held)
    return None


def _is_cooling_down(turn: Turn, trigger: CompiledTrigger) -> Refused | None:
    last = turn.customer.cooldowns.get(trigger.key)
    if trigger.cooldown_ms and any(pending.trigger == trigger.key for pending in turn.customer.pending):
        last = turn.now
    if last is None or turn.now - last >= trigger.cooldown_ms:
        return None
    return "cooldown", {"last_started_at": as_text(last), "until": as_text(later(last, trigger.cooldown_ms))}


def _was_here(turn: Turn, trigger: CompiledTrigger, firing: Firing) -> Refused | None:
    """Look at executions of the workflow, with the same key: active ones, and ended ones within re-entry."""
    customer, workflow = turn.customer, trigger.workflow
    settings, name = workflow.definition.settings, name_of(workflow.id, firing.key)
    if name in turn.started:
        return "already_active", {"started_by": "the same event"}
    if (started := _started_by_this(turn, trigger, firing.key)) is not None:
        return "already_active", {"execution_id": started, "started_by": "the same event"}
    drains_before = turn.catalogue.draining.get(workflow.id, 0)
    for execution in customer.executions if drains_before else ():
        if execution.workflow_id == workflow.id and execution.version < drains_before:
            return "already_active", {"execution_id": execution.execution_id, "drains": execution.version}
    if settings.allow_multiple_executions:
        return None
    for execution in customer.executions:
        if execution.workflow_id == workflow.id and execution.key == firing.key:
            return "already_active", {"execution_id": execution.execution_id}
    if any(pending.name == name for pending in customer.pending):
        return "already_active", {"started_by": "the same event"}
    ended = customer.ended.get(name)
    blocked = None if ended is None else _blocks_re_entry(ended, settings, turn.now)
    return None if blocked is None else ("re_entry", blocked)


def _exits_at_once(turn: Turn, trigger: CompiledTrigger, firing: Firing) -> int | None:
    """Look at the exit conditions as the execution would see them that the firing would start."""
    scene, workflow = turn.scene, trigger.workflow
    scene.event, scene.zone = firing.event, customer_zone(turn.customer.preferences, workflow.zone)
    scene.execution = Execution(
        execution_id="",
        workflow_id=workflow.id,
        version=workflow.version,
        trigger_id=trigger.trigger_id,
        started_at=turn.now,
        expires_at=later(turn.now, workflow.max_execution_ms),
        trigger=firing.encoded,
        branches=[],
        visits={},
        key=firing.key,
    )
    position = first_that_holds(workflow.exits, scene)
    scene.execution = None
    return position


def _started_by_this(turn: Turn, trigger: CompiledTrigger, key: str | None) -> str | None:
    """Return the execution that this very event has started before: it came again after its id was forgotten."""
    customer, workflow_id = turn.customer, trigger.workflow.id
    name = customer.hashed_as or customer.customer_id
    identity = identity_of(name, workflow_id, trigger.trigger_id, turn.cause, key)
    ended = customer.ended.get(name_of(workflow_id, key))
    is_known = ended is not None and ended.execution_id == identity
    is_known = is_known or any(execution.execution_id == identity for execution in customer.executions)
    return identity if is_known else None


def _comes_too_late(turn: Turn, trigger: CompiledTrigger, caused_at: Millis) -> Refused | None:
    """Return why the cause of a firing is from too long ago: its age, or that she was deleted since."""
    bonds, most_ms = turn.customer.bonds, turn.catalogue.max_event_age_ms
    if turn.now - caused_at > most_ms and not trigger.silence_ms:
        return "event_too_old", {"occurred_at": as_text(caused_at), "max_event_age_ms": most_ms}
    deleted_at = None if bonds is None or bonds.grave is None else bonds.grave.at
    return (
        None
        if deleted_at is None or caused_at > deleted_at
        else ("customer_deleted", {"deleted_at": as_text(deleted_at)})
    )


def _blocks_re_entry(ended: Ended, settings: WorkflowSettings, now: Millis) -> dict[str, Json] | None:
    """Return the values for which another execution isn't allowed yet; the wait is over when it has passed exactly."""
    rule = settings.re_entry
    if rule is None:
        return {"last_execution_id": ended.execution_id, "ended_at": as_text(ended.ended_at)}
    since = {
        "ended": ended.ended_at,
        "started": ended.started_at,
        "last_send": ended.ended_at if ended.last_send_at is None else ended.last_send_at,
    }[rule.from_]
    until = later(since, span(rule.after_hours * HOUR_MS))
    return None if now >= until else {"last_execution_id": ended.execution_id, "until": as_text(until)}


def is_first_of_day(turn: Turn, trigger: CompiledTrigger, reason: str) -> bool:
    """Tell whether this refusal is the first of its UTC day, and remember it; others are only counted."""
    today, key = utc_day(turn.now), f"{trigger.key}:{reason}"
    refusals = turn.customer.refusals
    if refusals.get(key) == today:
        turn.catalogue.unrecorded.refuse(reason)
        return False
    for old in [name for name, day in refusals.items() if day != today]:
        del refusals[old]
    refusals[key] = today
    return True
