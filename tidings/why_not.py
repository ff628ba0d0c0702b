"""Why a workflow never began for a customer: of each trigger the check or clause that kept her out, with its values.

A firing that was refused says so itself. What never fired is looked at again, trigger by trigger, with her state and
the event of each step: the latest try is told, because it is the one that somebody asks about.
"""

from collections.abc import Iterator
from typing import assert_never

from agents.following import Followed, Story
from journeys.fields import compile_field, plain
from journeys.keys import SEPARATOR
from journeys.scene import Scene
from journeys.timing import customer_zone
from journeys.tracing import first_failure, in_words, trace, trace_equals
from schemas.decisions import Decision
from schemas.definitions import (
    AbsenceCondition,
    AttributeChange,
    Condition,
    DateAttribute,
    EngagementScore,
    EventCondition,
    EventSequence,
    FrequencyThreshold,
    InactivityPeriod,
    LifecycleChange,
    Schedule,
    SegmentChange,
    SessionThreshold,
    Trigger,
    Workflow,
)
from schemas.instants import HOUR_MS, MINUTE_MS, Millis, as_text, format_instant, span
from tidings.telling import decision_words, trigger_words


def why_not(story: Story, workflow_id: str, workflow: Workflow) -> list[str]:
    """Say, in a line for each trigger, why none of them started the workflow for this customer."""
    if not workflow.enabled:
        return ["the workflow is switched off (`enabled: false`)"]
    if not workflow.triggers:
        return ["it has no triggers: an experiment, a call or another workflow starts it"]
    named = [(trigger.id or str(position), trigger) for position, trigger in enumerate(workflow.triggers)]
    return [
        f"{trigger_words(name)}: {_of_trigger(story, workflow_id, workflow, trigger, name)}" for name, trigger in named
    ]


def _of_trigger(story: Story, workflow_id: str, workflow: Workflow, trigger: Trigger, trigger_id: str) -> str:
    if not trigger.enabled:
        return "it is switched off (`enabled: false`)"
    refused = [
        effect
        for step in story.steps
        for effect in step.effects
        if isinstance(effect, Decision)
        and effect.kind == "trigger_refused"
        and (effect.workflow_id, effect.trigger_id) == (workflow_id, trigger_id)
    ]
    if refused:
        times = f", {len(refused)} times in all" if len(refused) > 1 else ""
        said = decision_words(refused[-1], story.catalogue).partition(": ")[2]
        return f"it fired at {refused[-1].at}{times}, and was refused: {said}"
    return _never_fired(story, workflow, trigger)


def _never_fired(story: Story, workflow: Workflow, trigger: Trigger) -> str:
    match conditions := trigger.conditions:
        case EventCondition():
            return _event(story, workflow, conditions)
        case FrequencyThreshold():
            return _frequency(story, workflow, conditions)
        case EventSequence():
            return _sequence(story, conditions)
        case AbsenceCondition():
            return _absence(story, workflow, conditions)
        case InactivityPeriod():
            return _inactivity(story, workflow, conditions)
        case SegmentChange() | LifecycleChange() | AttributeChange():
            return _change(story, workflow, conditions)
    return _value_or_time(story, workflow, conditions)


def _value_or_time(
    story: Story, workflow: Workflow, conditions: EngagementScore | SessionThreshold | DateAttribute | Schedule
) -> str:
    match conditions:
        case EngagementScore():
            least = conditions.min_engagement_score
            return _highest(story, workflow, "engagement_score", least) or _where(story, workflow, conditions.where)
        case SessionThreshold():
            return _highest(story, workflow, f"session.{conditions.metric}", conditions.min_value) or _where(
                story, workflow, conditions.where
            )
        case DateAttribute():
            found = _read(story, workflow, conditions.attribute)
            if found == "null":
                return f"`{conditions.attribute}` is missing, so no date is known"
            return f"`{conditions.attribute}` is {found}: its time hasn't come" + _besides(
                story, workflow, conditions.where
            )
        case Schedule():
            return f"`{conditions.cron}` hasn't come by while she matched" + _besides(story, workflow, conditions.where)
    assert_never(conditions)


def _change(story: Story, workflow: Workflow, conditions: SegmentChange | LifecycleChange | AttributeChange) -> str:
    match conditions:
        case SegmentChange():
            now = "is" if _is_member(story, conditions.segment_id) else "is not"
            return f"she never {conditions.change} segment {conditions.segment_id} since it was kept; she {now} in it"
        case LifecycleChange():
            wanted = f"from {conditions.from_ or 'any'} to {conditions.to or 'any'}"
            return f"her stage never changed {wanted}; it is {_read(story, workflow, 'lifecycle_stage')}"
        case AttributeChange():
            name = conditions.attribute
            found = "any attribute" if name is None else f"`{name}` (now {_read(story, workflow, name)})"
            return f"{found} never changed in the way that is wanted"
    assert_never(conditions)


def _tries(story: Story, event_type: str) -> list[Followed]:
    return [step for step in story.steps if step.event is not None and step.event.type == event_type]


def _never_came(story: Story, event_type: str) -> str:
    counts: dict[str, int] = {}
    for step in story.steps:
        if step.event is not None:
            counts[step.event.type] = counts.get(step.event.type, 0) + 1
    came = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items())) or "none at all"
    return f"no {event_type} event of hers came; those that came: {came}"


def _event(story: Story, workflow: Workflow, conditions: EventCondition) -> str:
    tries = _tries(story, conditions.event_type)
    if not tries:
        return _never_came(story, conditions.event_type)
    last = tries[-1]
    failure = trace_equals(conditions.equals, scene_of(last, workflow)) or _failure(last, workflow, conditions.where)
    return f"the {conditions.event_type} of {_when(last)}: {failure or _UNTOLD}"


_UNTOLD = "every clause holds; it came before these definitions did, or a machine sent it"


def _frequency(story: Story, workflow: Workflow, conditions: FrequencyThreshold) -> str:
    tries = _tries(story, conditions.event_type)
    if not tries:
        return _never_came(story, conditions.event_type)
    matching = [step for step in tries if _failure(step, workflow, conditions.where) is None]
    if not matching:
        return f"the {conditions.event_type} of {_when(tries[-1])}: {_failure(tries[-1], workflow, conditions.where)}"
    window = span(conditions.time_window_minutes * MINUTE_MS)
    instants = sorted(_occurred(step) for step in matching)
    most, at = max((sum(1 for one in instants if end - window < one <= end), end) for end in instants)
    return (
        f"{most} such {conditions.event_type} at most within {conditions.time_window_minutes:g} minutes, at"
        f" {as_text(at)}; {conditions.min_frequency} are wanted"
    )


def _sequence(story: Story, conditions: EventSequence) -> str:
    wanted = [item.event_type for item in conditions.required_sequence]
    behavioral = [step.event for step in story.steps if step.event is not None]
    came = [event.type for event in behavioral if event.stream == "behavioral" or event.type in wanted]
    missing = [name for name in wanted if name not in came]
    told = f"{', '.join(wanted)} is wanted ({conditions.contiguity})"
    if missing:
        return f"{told}; {missing[0]} never came"
    return f"{told}; her last events were {', '.join(came[-max(5, len(wanted)) :])}"


def _absence(story: Story, workflow: Workflow, conditions: AbsenceCondition) -> str:
    firsts = _tries(story, conditions.event_type)
    if not firsts:
        return _never_came(story, conditions.event_type)
    last = firsts[-1]
    failure = _failure(last, workflow, conditions.where)
    if failure is not None:
        return f"the {conditions.event_type} of {_when(last)}: {failure}"
    seconds = [step for step in _tries(story, conditions.unless_event) if _occurred(step) >= _occurred(last)]
    if seconds:
        return (
            f"the {conditions.event_type} of {_when(last)} was followed by {conditions.unless_event} at"
            f" {_when(seconds[0])}, within {conditions.within_minutes:g} minutes"
        )
    due = _occurred(last) + span(conditions.within_minutes * MINUTE_MS)
    return f"{conditions.unless_event} has until {as_text(due)} to follow the {conditions.event_type} of {_when(last)}"


def _inactivity(story: Story, workflow: Workflow, conditions: InactivityPeriod) -> str:
    customer = story.customer
    since = None if customer is None else customer.last_activity
    if since is None:
        return "she was never active, so no silence began"
    due = since + span(conditions.inactivity_hours * HOUR_MS)
    if due > story.at:
        told = f"{conditions.inactivity_hours:g} hours of silence are over at {as_text(due)}"
        return f"`last_activity` is {as_text(since)}; {told}"
    return _where(story, workflow, conditions.where)


def _highest(story: Story, workflow: Workflow, field: str, least: float) -> str | None:
    """Return how far a value came; None if it came as far as is wanted."""
    look = compile_field(field)
    reached = [(value, step.at) for step in story.steps if _is_number(value := look(scene_of(step, workflow)))]
    most, at = max(reached, default=(0, story.at), key=lambda pair: float(str(pair[0])))
    if float(str(most)) >= least:
        return None
    return f"`{field}` was {most} at most (at {as_text(at)}); {least:g} is wanted"


def _where(story: Story, workflow: Workflow, condition: Condition | None) -> str:
    failures = (_failure(step, workflow, condition) for step in reversed(story.steps))
    found = next((failure for failure in failures if failure is not None), None)
    return found or "it came as far before these definitions did, or her last silence was answered already"


def _besides(story: Story, workflow: Workflow, condition: Condition | None) -> str:
    failure = _failure(story.steps[-1], workflow, condition) if story.steps else None
    return "" if failure is None else f"; and {failure}"


def _failure(step: Followed, workflow: Workflow, condition: Condition | None) -> str | None:
    if condition is None:
        return None
    failed = first_failure(trace(condition, scene_of(step, workflow)))
    return None if failed is None else in_words(failed)


def scene_of(step: Followed, workflow: Workflow) -> Scene:
    """Return what a condition of a workflow could see behind a step."""
    zone = workflow.settings.timezone or step.catalogue.settings.default_timezone
    return Scene(
        customer=step.customer,
        now=step.at,
        half_life_ms=step.catalogue.half_life_ms,
        event=step.event,
        zone=customer_zone(step.customer.preferences, zone),
    )


def _read(story: Story, workflow: Workflow, field: str) -> str:
    if not story.steps:
        return "null"
    value = plain(compile_field(field)(scene_of(story.steps[-1], workflow)))
    return "null" if value is None else str(value)


def _is_member(story: Story, segment_id: str) -> bool:
    return story.customer is not None and segment_id in story.customer.segments


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _occurred(step: Followed) -> Millis:
    return step.at if step.event is None else step.event.occurred_at


def _when(step: Followed) -> str:
    return format_instant(_occurred(step))


def workflows_never_begun(story: Story, wanted: str | None) -> Iterator[tuple[str, Workflow]]:
    """Yield the workflows in force that never began for her, or the one that is asked about."""
    begun = {
        effect.workflow_id
        for step in story.steps
        for effect in step.effects
        if isinstance(effect, Decision) and effect.kind == "execution_started"
    }
    # Of what a snapshot knew, a backfill brought or another customer had before they were merged, she has no start.
    for customer in (story.begun, story.customer):
        if customer is not None:
            begun |= {execution.workflow_id for execution in customer.executions}
            begun |= {name.partition(SEPARATOR)[0] for name in customer.ended}
    for workflow_id, compiled in sorted(story.catalogue.workflows.items()):
        if workflow_id not in begun and wanted in {None, workflow_id}:
            yield workflow_id, compiled.definition
