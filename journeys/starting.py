"""Which firings start an execution: the checks, in SPEC's order, and the record of the first that fails."""

from journeys.catalogue import CompiledTrigger
from journeys.turn import Turn
from schemas.customer import Ended
from schemas.definitions import WorkflowSettings
from schemas.events import Json
from schemas.identity import execution_id
from schemas.instants import HOUR_MS, Millis, as_text, later, span, utc_day


def refusal(turn: Turn, trigger: CompiledTrigger, caused_at: Millis | None) -> tuple[str, dict[str, Json]] | None:
    """Return why a firing starts nothing, with the values that led to it; None if it does start.

    Args:
        turn: the decision in the making.
        trigger: the trigger that fired; its workflow is active and it is enabled.
        caused_at: when the event occurred that fired it, or began the silence; None if that is not known.
    """
    customer, catalogue, now = turn.customer, turn.catalogue, turn.now
    if caused_at is not None and now - caused_at > catalogue.max_event_age_ms and not trigger.silence_ms:
        return "event_too_old", {"occurred_at": as_text(caused_at), "max_event_age_ms": catalogue.max_event_age_ms}
    last = customer.cooldowns.get(trigger.key)
    if last is not None and now - last < trigger.cooldown_ms:
        return "cooldown", {"last_started_at": as_text(last), "until": as_text(later(last, trigger.cooldown_ms))}
    workflow_id, settings = trigger.workflow.id, trigger.workflow.definition.settings
    if workflow_id in turn.started:
        return "already_active", {"started_by": "the same event"}
    if (started := _started_by_this(turn, trigger)) is not None:
        return "already_active", {"execution_id": started, "started_by": "the same event"}
    if not settings.allow_multiple_executions:
        for execution in customer.executions:
            if execution.workflow_id == workflow_id:
                return "already_active", {"execution_id": execution.execution_id}
        ended = customer.ended.get(workflow_id)
        if ended is not None and (blocked := _blocks_re_entry(ended, settings, now)):
            return "re_entry", blocked
    if len(customer.executions) >= catalogue.settings.max_concurrent_executions:
        return "max_concurrent_executions", {"active": len(customer.executions)}
    return None


def _started_by_this(turn: Turn, trigger: CompiledTrigger) -> str | None:
    """Return the execution that this very event has started before: it came again after its id was forgotten."""
    customer, workflow_id = turn.customer, trigger.workflow.id
    identity = execution_id(customer.customer_id, workflow_id, trigger.trigger_id, turn.cause)
    ended = customer.ended.get(workflow_id)
    is_known = ended is not None and ended.execution_id == identity
    is_known = is_known or any(execution.execution_id == identity for execution in customer.executions)
    return identity if is_known else None


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
        return False
    for old in [name for name, day in refusals.items() if day != today]:
        del refusals[old]
    refusals[key] = today
    return True
