"""A customer's story in words: what happened, what came of it, where she stands, and what would come next."""

from collections.abc import Iterator
from typing import Final

import msgspec

from agents.adopting import MISSED
from agents.following import Cause, Followed, Story
from journeys.catalogue import Catalogue
from schemas.customer import Execution
from schemas.decisions import Decision, Effect, Send, WebhookCall
from schemas.events import Event, Json
from schemas.instants import HOUR_MS, as_text

_encode: Final = msgspec.json.Encoder().encode
_LONGEST: Final = 160


def effect_words(effect: Effect, catalogue: Catalogue) -> str:
    """Say what one effect is."""
    match effect:
        case Send():
            subject = f" “{effect.subject}”" if effect.subject else ""
            return (
                f"{effect.workflow_id}: {effect.channel}{subject} goes out to {effect.to}"
                f" (step {effect.step_id}, send {effect.send_id})"
            )
        case WebhookCall():
            return f"{effect.workflow_id}: {effect.webhook_url} is called (step {effect.step_id})"
    return f"{_subject(effect)}{decision_words(effect, catalogue)}"


def decision_words(decision: Decision, catalogue: Catalogue) -> str:
    """Say what was decided, and on what values."""
    detail = decision.detail or {}
    if decision.kind == "trigger_refused":
        return _refusal(decision, detail, catalogue)
    if decision.kind == "step_completed":
        onward = detail.get("next")
        ways = ", ".join(map(str, onward)) if isinstance(onward, list) else onward
        said = f"step {decision.step_id} is done: {detail.get('result', 'done')}"
        return f"{said}; next {ways}" if ways else said
    if decision.kind == "profile_changed":
        return _change_words(detail)
    if decision.kind == "send_deferred":
        hours = detail.get("best_hours")
        why = f"{decision.reason}{_rest(detail, 'until')}"
        if isinstance(hours, list):
            best = ", ".join(map(str, hours))
            why = f"her best hours are {best} o'clock; `send_immediately` in the step's timing sends at once"
        return f"step {decision.step_id} waits until {detail.get('until')} ({why})"
    if decision.kind == "execution_adopted":
        return _adopted(decision, detail)
    if (decision.kind, decision.reason) == ("bound_reached", MISSED):
        return f"workflow {detail.get('workflow_id')} begins for her without what came before"
    phrase = _PHRASES.get(decision.kind, decision.kind.replace("_", " ") + ": {reason}").format(
        trigger=trigger_words(decision.trigger_id or ""),
        execution=decision.execution_id,
        step=decision.step_id,
        reason=decision.reason,
    )
    return f"{phrase.removesuffix(': None')}{_rest(detail)}"


_PHRASES: Final[dict[str, str]] = {
    "trigger_fired": "{trigger} fires",
    "execution_started": "begins (execution {execution})",
    "send_suppressed": "step {step} doesn't send: {reason}",
    "execution_ended": "ends: {reason}",
    "quarantined": "she is quarantined: {reason}",
}
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_REFUSALS: Final[dict[str, str]] = {
    "event_too_old": "the event occurred at {occurred_at}, more than {max_event_age_hours} hours before it came",
    "customer_deleted": "she was deleted at {deleted_at}, behind the event",
    "exit_condition": "exit condition {exit_condition} holds at the start",
    "experiment": "only experiment {experiment_id} starts it",
    "holdout": "she is held out ({holdout}) at place {place} of 1, and {percent} % are",
    "cooldown": "it started last at {last_started_at} and cools down until {until}",
    "already_active": "she is in it already ({execution_id})",
    "re_entry": "she was in it ({last_execution_id}), and may come again from {until} on",
    "no_key": "the event has no {execution_key}, which is the workflow's execution_key",
    "max_concurrent_executions": "she is in {active} executions at once, and {bound} is the bound",
    "max_executions": "all {max_executions} executions that this trigger may start have started",
}
"""What each check says, with the values that it found."""


def trigger_words(trigger_id: str) -> str:
    """Name a trigger: by its id, or where it has none by its place among the workflow's."""
    if not trigger_id.isdecimal():
        return f"trigger {trigger_id}"
    place = int(trigger_id)
    return f"the {_ORDINALS[place]} trigger" if place < len(_ORDINALS) else f"trigger number {place + 1}"


def _adopted(decision: Decision, detail: dict[str, Json]) -> str:
    steps = detail.get("steps")
    names = ", ".join(map(str, steps)) if isinstance(steps, list) else ""
    stands = f"stands in step {names}" if names else "stands in no step"
    return f"as if it had been there all along, she {stands} (execution {decision.execution_id})"


def _change_words(detail: dict[str, Json]) -> str:
    """Say what of her profile changed; an instant or event that led to it stands before."""
    changed = detail.get("changed")
    if not isinstance(changed, list) or not changed:
        return f"her profile changes{_rest(detail, 'event_id')}"
    names = ", ".join(str(name).replace("_", " ") for name in changed)
    between = f" from {detail['from']} to {detail['to']}" if "from" in detail and "to" in detail else ""
    verb = "changes" if len(changed) == 1 else "change"
    return f"her {names} {verb}{between}{_rest(detail, 'changed', 'from', 'to', 'event_id')}"


class _Values(dict[str, str]):
    """Values for a phrase; of one that isn't there the phrase says so."""

    def __missing__(self, name: str) -> str:
        return "unknown"


def _refusal(decision: Decision, detail: dict[str, Json], catalogue: Catalogue) -> str:
    """Say which check kept her out, with the values of that moment."""
    values = _Values({name: str(value) for name, value in detail.items()})
    values["bound"] = str(catalogue.settings.max_concurrent_executions)
    if isinstance(age := detail.get("max_event_age_ms"), int):
        values["max_event_age_hours"] = f"{age / HOUR_MS:g}"
    values.setdefault("execution_id", values["started_by"])
    phrase = _REFUSALS.get(decision.reason or "", "")
    if decision.reason == "re_entry" and "until" not in detail:
        phrase = "she was in it until {ended_at} ({last_execution_id}), and may be once"
    said = phrase.format_map(values) if phrase else _rest(detail).strip()
    return (
        f"{trigger_words(decision.trigger_id or '')} is refused: {decision.reason}: {said}"
        f"{_exit_words(decision, detail, catalogue)}"
    )


def _exit_words(decision: Decision, detail: dict[str, Json], catalogue: Catalogue) -> str:
    workflow, position = catalogue.workflows.get(decision.workflow_id or ""), detail.get("exit_condition")
    conditions = () if workflow is None else workflow.definition.settings.exit_conditions
    if not isinstance(position, int) or position >= len(conditions):
        return ""
    return f": {_encode(conditions[position]).decode()}"


def _subject(decision: Decision) -> str:
    return "" if decision.workflow_id is None else f"{decision.workflow_id}: "


def _rest(detail: dict[str, Json], *but: str) -> str:
    shown = {name: value for name, value in detail.items() if name not in but}
    text = ", ".join(f"{name} {_encode(value).decode()}" for name, value in shown.items())
    return f" ({text[:_LONGEST]})" if text else ""


def concerns(effect: Effect, workflow: str | None, execution: str | None) -> bool:
    """Tell whether an effect is asked about: of a workflow, or of one execution; a message tells itself."""
    if isinstance(effect, Decision) and effect.kind == "send_published":
        return False
    if execution is not None:
        return effect.execution_id == execution
    return workflow is None or effect.workflow_id in {None, workflow}


def step_lines(step: Followed, workflow: str | None, execution: str | None) -> list[str]:
    """Say what happened in one step and what came of it; nothing if nothing of what is asked about did."""
    effects = [effect for effect in step.effects if concerns(effect, workflow, execution)]
    if not effects and (step.event is None or execution is not None):
        return []
    cause = _CAUSES[step.by] if step.event is None else _event_words(step.event)
    return [f"{as_text(step.at)}  {cause}", *(f"    {effect_words(effect, step.catalogue)}" for effect in effects)]


_CAUSES: Final[dict[Cause, str]] = {
    "time": "time passes",
    "definitions": "other definitions come into force",
    "command": "an operator pauses, resumes or cancels",
    "backfill": "a backfill reaches her",
}


def _event_words(event: Event) -> str:
    source = "" if event.source is None else f" from {event.source}"
    properties = bytes(event.properties).decode()
    shown = (
        "" if properties == "{}" else f" {properties if len(properties) <= _LONGEST else properties[:_LONGEST] + '…'}"
    )
    return f"{event.type}{source}{shown}"


def standing(story: Story) -> Iterator[str]:
    """Say where she stands."""
    customer = story.customer
    if customer is None:
        yield "Nothing is known of her (any more)."
        return
    if story.kept is not None:
        records = "1 record is" if story.kept == 1 else f"{story.kept} records are"
        yield f"Quarantined: {records} kept until an operator releases her; `tidings dead-letters list` says how."
    segments = f", in segments {', '.join(customer.segments)}" if customer.segments else ""
    bought = "1 purchase" if customer.total_purchases == 1 else f"{customer.total_purchases} purchases"
    yield f"Stage {customer.lifecycle_stage}{segments}; {bought}."
    for execution in customer.executions:
        yield from _execution_lines(execution)
    for name, ended in customer.ended.items():
        yield f"{name}: ended {as_text(ended.ended_at)} ({ended.reason})"


def _execution_lines(execution: Execution) -> Iterator[str]:
    paused = "" if execution.paused_at is None else f", paused since {as_text(execution.paused_at)}"
    for visit in execution.branches:
        due = "an event" if visit.due_at is None else as_text(visit.due_at)
        why = f" ({visit.deferred})" if visit.deferred else ""
        since = as_text(visit.entered_at)
        yield f"{execution.workflow_id}: in step {visit.step_id} since {since}, waits for {due}{why}{paused}"
