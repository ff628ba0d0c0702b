"""The compiled catalogue: definitions turned, once, into what a decision can use without parsing or searching.

Triggers are indexed by the event type that can fire them, conditions are closures, templates and timings are
parsed. A catalogue is immutable; executions stay on the version they began with, so it also knows its
predecessors.
"""

import math
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, assert_never

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from journeys.absences import AwaitedAbsence
from journeys.acting import Act, compile_action
from journeys.awaiting import Awaited, compile_awaited
from journeys.best_hours import DEFAULT_PROFILE
from journeys.branching import Choose, compile_decision, split_id
from journeys.caps import Cap, compile_caps
from journeys.changes import AwaitedChange, compile_change
from journeys.channels import spacings
from journeys.conditions import Clause, Clauses, Test, compile_condition, compile_equals, compile_where
from journeys.emitting import Emit, compile_event
from journeys.exits import NO_EXITS, Exits, compile_exits
from journeys.experiments import CONTROL, Split, differing_steps, is_workflow, split_of, split_of_step, vary
from journeys.fields import Field, compile_field
from journeys.frequency import most
from journeys.goals import Goal, compile_goal
from journeys.graph import graph_of, repeatable
from journeys.hindsight import Hindsight, compile_hindsight
from journeys.overdue import OverdueRule
from journeys.quiet import NEVER_QUIET, Quiet, compile_quiet
from journeys.scene import Scene
from journeys.schedules import Cron, DateRule, compile_cron, compile_date
from journeys.scoring import DIGITS, weights
from journeys.sequences import Sequence, compile_sequence
from journeys.templates import CompiledTemplate, compile_template
from journeys.thresholds import SESSION_METRICS, Metric, Threshold
from journeys.timing import CompiledTiming, CompiledWait, compile_timing, compile_wait
from journeys.unrecorded import Unrecorded
from journeys.watching import NOTHING, Touched, Watch, compile_watch
from journeys.webhooks import Webhook, compile_webhook
from schemas.decisions import Channel
from schemas.definitions import (
    AbsenceCondition,
    ActionConfiguration,
    ActionStep,
    AttributeChange,
    Category,
    ChannelConfiguration,
    ChannelStep,
    DateAttribute,
    DecisionStep,
    Definitions,
    EngagementScore,
    EventCondition,
    EventSequence,
    ExperimentStep,
    FrequencyThreshold,
    InactivityPeriod,
    LifecycleChange,
    MessageConfiguration,
    MessageStep,
    Schedule,
    SegmentChange,
    SendEvent,
    SessionThreshold,
    Settings,
    Step,
    Strategy,
    Suppression,
    Template,
    Trigger,
    TriggerCondition,
    TriggerWebhook,
    UntilCondition,
    UntilEvent,
    WaitStep,
    Workflow,
)
from schemas.editing import PINNED, Editing
from schemas.events import Json
from schemas.instants import DAY_MS, EARLIEST, HOUR_MS, MINUTE_MS, Millis, span
from schemas.log import Holds

RULES_VERSION: Final = 12
"""Raised by a change of the rules that alters a recorded history."""


class CompiledTrigger(Struct, frozen=True, kw_only=True):
    """A trigger that an event, or a silence, can fire."""

    key: str
    """`workflow/trigger`, under which a customer's state remembers it."""
    trigger_id: str
    workflow: "CompiledWorkflow"
    event_types: tuple[str, ...] = ()
    """The types of event that concern it; none for a silence, or for what any event can move."""
    rank: tuple[int, int, str, str]
    cooldown_ms: Millis
    where: Test | None
    wanted: int = 0
    most: int = 0
    """Of a counting trigger: how many instants are kept until some are forgotten."""
    window_ms: Millis = 0
    silence_ms: Millis = 0
    condition: Sequence | AwaitedAbsence | Threshold | AwaitedChange | Cron | DateRule | None = None
    """What has to hold for those that take more than one event, or a value that events move."""
    memory: str = ""
    """Under which a customer's state remembers it: another one once its conditions have changed."""
    split: Split | None = None
    """The experiment by which its customers are dealt out."""
    ways: Mapping[str, "CompiledTrigger"] = {}
    """By variation, the same trigger as it starts that variation's workflow."""
    exposes: bool = False
    """Whether the variations differ from the start on."""
    reserved_by: str | None = None
    """The experiment that alone starts its workflow."""
    since: Millis = EARLIEST
    """When a catalogue with these conditions was activated first; what was due by then doesn't fire."""
    places: int | None = None
    """`max_executions`."""


class Rises(Struct, frozen=True, kw_only=True):
    """The thresholds of one value, in ascending order, each with its trigger."""

    leasts: tuple[float, ...]
    triggers: tuple[CompiledTrigger, ...]


class Content(Struct, frozen=True, kw_only=True):
    """What a message step sends, and on which channel."""

    template_id: str
    channel: Channel
    template: CompiledTemplate[Scene]


class CompiledSuppression(Struct, frozen=True, kw_only=True):
    """A rule that holds `message` steps back."""

    id: str
    test: Test
    reason: str
    alternatives: tuple[Json, ...]


class CompiledStep(Struct, frozen=True, kw_only=True):
    """A step with everything in it compiled."""

    id: str
    order: int
    step: Step
    type: str
    next_steps: tuple[str, ...]
    logic: Test | None = None
    guard: Test | None = None
    awaited: Awaited | None = None
    """What ends a wait that has no end of its own."""
    repeats: bool = False
    """Whether an execution can come here more than once."""
    choose: Choose | None = None
    hindsight: Hindsight | None = None
    """Of a decision that a late event can change."""
    split: Split | None = None
    """Of an `experiment` step."""
    exposes: str | None = None
    """The experiment whose variations differ in this step."""
    act: Act | None = None
    emit: Emit | None = None
    webhook: Webhook | None = None
    wait: CompiledWait | None = None
    timing: CompiledTiming | None = None
    content: Content | None = None
    category: Category = "marketing"
    overdue: OverdueRule | None = None
    """Of a step that sends: what becomes of a message that couldn't go out when it was due."""
    parts: Mapping[Channel, "CompiledStep"] = {}
    """Of a `message` step: the same step as it stands on each channel, with that channel's content."""
    strategy: Strategy = "all"


class CompiledWorkflow(Struct, frozen=True, kw_only=True):
    """A workflow of one catalogue version."""

    id: str
    version: int
    first: str
    steps: dict[str, CompiledStep]
    priority: int
    max_execution_ms: Millis
    zone: str
    """In which local times are meant where the customer prefers none."""
    definition: Workflow
    exits: Exits = NO_EXITS
    goal: Goal | None = None
    key: Field | None = None
    """Where an event holds the execution key."""
    holdout: float = 0
    """For how many of 100 customers it never starts."""
    override: str | None = None
    """The variation of an experiment that it is, where that has no id of its own."""

    @property
    def judges(self) -> bool:
        """Tell whether anything but the steps decides on what an event does to an execution."""
        return self.key is not None or self.goal is not None or bool(self.exits.tests)

    @property
    def flips(self) -> bool:
        """Tell whether time alone can end an execution or one of its waits, besides expiry and timeouts."""
        goes_on = any(step.awaited is not None and step.awaited.flip is not None for step in self.steps.values())
        return goes_on or self.exits.flip is not None or (self.goal is not None and self.goal.flip is not None)


class Plan(Struct, frozen=True, kw_only=True):
    """What an event type can do."""

    weight: float = 0.0
    triggers: tuple[CompiledTrigger, ...] = ()
    clauses: tuple[Clause, ...] = ()
    behavioral: Touched = NOTHING
    """What is kept up to date that such an event of the behavioral stream touches."""
    otherwise: Touched = NOTHING
    """The same for an event of another stream."""


class Catalogue(Struct, kw_only=True, frozen=True):
    """One numbered set of definitions in force, compiled."""

    number: int
    settings: Settings
    half_life_ms: float
    max_event_age_ms: Millis
    grace_ms: Millis
    spacing_ms: Mapping[Channel, Millis]
    """How much time lies behind a message of each channel before the next channel of a `message` step."""
    suppressions: tuple[CompiledSuppression, ...]
    caps: tuple[Cap, ...] = ()
    best_hours_profile: tuple[float, ...] = DEFAULT_PROFILE
    """Everybody's responses per send, by local hour."""
    answer_ms: Millis = span(168 * HOUR_MS)
    """How long a step waits for an answer."""
    answers_webhooks: bool = True
    """Whether calls are never made and every one is answered at once: in files, tests and replay."""
    workflows: dict[str, CompiledWorkflow]
    overrides: dict[str, CompiledWorkflow] = {}
    """The variations that change a workflow, by experiment and variation."""
    plans: dict[str, Plan]
    silences: tuple[CompiledTrigger, ...]
    absences: dict[str, CompiledTrigger] = {}
    """By their memory."""
    rises: dict[Metric, Rises] = {}
    lowest_score: float = math.inf
    """A sum below this has reached no threshold of the score, rounded or not."""
    lowest_of_session: tuple[float, float, float] | None = None
    """The least thresholds of a session's events, pages and milliseconds; None where no trigger asks for them."""
    has_strict_sequences: bool = False
    changes: tuple[CompiledTrigger, ...] = ()
    """The triggers that wait for a change of the customer."""
    watch: Watch = Watch()
    activated_at: Millis = EARLIEST
    """When it came into force for this partition."""
    judges: bool = False
    """Whether some workflow, of this catalogue or one before it, has a goal, exit conditions or an execution key."""
    flips: bool = False
    """Whether time alone can end an execution or a wait of some of them."""
    schedules: tuple[tuple[CompiledTrigger, Cron], ...] = ()
    dates: dict[str, tuple[tuple[CompiledTrigger, DateRule], ...]] = {}
    """The triggers of dates, by the attribute that holds them."""
    limited: dict[str, CompiledTrigger] = {}
    """The triggers with `max_executions`, by key."""
    next_crons: dict[str, tuple[Millis, Millis]] = {}
    """By zone: from when on the next instant of any cron is which. Found as it is needed, and only ever repeated."""
    since: dict[str, Millis] = {}
    """By a trigger's memory, when it was activated first."""
    unnamed: Plan = Plan()
    """What an event of a type can do that `plans` doesn't name."""
    predecessors: Mapping[int, "Catalogue"] = {}
    editing: Editing = Editing()
    """How executions under way are treated when it comes into force."""
    draining: Mapping[str, int] = {}
    """By workflow, the version before which an execution keeps its customer from another one."""
    closed: "Catalogue | None" = None
    """Where it backfills a workflow: the same, but that this workflow starts nothing; for who hasn't gone over yet."""
    backfills: str | None = None
    """The workflow that it backfills."""
    holds: Holds | None = None
    """What commands hold back; None until there has been one."""
    quiet: Quiet = NEVER_QUIET
    """What the compiled part has to know."""
    unrecorded: Unrecorded = field(default_factory=Unrecorded)
    """Counts for whoever watches; no rule reads them."""

    def workflow(self, workflow_id: str, version: int, override: str | None = None) -> CompiledWorkflow | None:
        """Return a workflow as it was in the version that an execution began with; None if that is not known."""
        catalogue = self if version == self.number else self.predecessors.get(version)
        if catalogue is None:
            return None
        return catalogue.workflows.get(workflow_id) if override is None else catalogue.overrides.get(override)


def compile_catalogue(
    definitions: Definitions,
    number: int,
    predecessors: Mapping[int, Catalogue] | None = None,
    *,
    activated_at: Millis = EARLIEST,
    answers_webhooks: bool = True,
    editing: Editing = PINNED,
    backfilled: Mapping[str, Millis] | None = None,
) -> Catalogue:
    """Compile a valid set of definitions as catalogue `number`.

    Args:
        definitions: what passed validation.
        number: the version.
        predecessors: the versions before it, by number.
        activated_at: the timestamp of its marks; without one, it has always been in force.
        answers_webhooks: False where somebody makes the calls, or the answers are in the log.
        editing: what was asked for when it was applied.
        backfilled: from when on workflows that are new in it count as having been there.
    """
    clauses = Clauses()
    workflows = {
        workflow_id: _compile_workflow(workflow, number, definitions, clauses)
        for workflow_id, workflow in definitions.workflows.items()
    }
    triggers = [
        trigger
        for workflow in workflows.values()
        if workflow.definition.enabled
        for trigger in _compile_triggers(workflow, clauses)
    ]
    before = _before(number, predecessors or {})
    since = {} if before is None else before.since
    begun = {} if backfilled is None else backfilled
    triggers = [
        replace(trigger, since=since.get(trigger.memory, begun.get(trigger.workflow.id, activated_at)))
        for trigger in triggers
    ]
    overrides = _compile_experiments(definitions, workflows, triggers, number, clauses)
    triggers.sort(key=lambda trigger: trigger.rank)
    watch = compile_watch(definitions, number, clauses, None if before is None else before.watch)
    weight_of = weights(definitions.scoring)
    earlier = () if predecessors is None else predecessors.values()
    for clause in (clause for one in earlier for plan in one.plans.values() for clause in plan.clauses):
        # Executions stay on their version, whose conditions go on counting.
        clauses.register(clause)
    rises = _rises(triggers)
    compiled = Catalogue(
        number=number,
        settings=definitions.settings,
        half_life_ms=float(definitions.scoring.half_life_hours * HOUR_MS),
        max_event_age_ms=span(definitions.settings.max_event_age_hours * HOUR_MS),
        grace_ms=span(definitions.settings.data_grace_minutes * MINUTE_MS),
        caps=compile_caps(definitions.settings.frequency_caps),
        spacing_ms=spacings(definitions.settings.channel_spacing_hours),
        best_hours_profile=definitions.settings.best_hours_profile or DEFAULT_PROFILE,
        suppressions=tuple(_compile_suppression(rule, clauses) for rule in definitions.suppressions.values()),
        answer_ms=span(definitions.settings.execution_timeout_hours * HOUR_MS),
        answers_webhooks=answers_webhooks,
        workflows=workflows,
        overrides=overrides,
        plans=_index(triggers, clauses, weight_of, watch),
        limited={trigger.key: trigger for trigger in triggers if trigger.places is not None},
        silences=tuple(sorted((trigger for trigger in triggers if trigger.silence_ms), key=timer_rank)),
        absences={trigger.memory: trigger for trigger in triggers if isinstance(trigger.condition, AwaitedAbsence)},
        rises=rises,
        lowest_score=rises["engagement_score"].leasts[0] - 10.0**-DIGITS if "engagement_score" in rises else math.inf,
        lowest_of_session=_lowest_of_session(rises),
        has_strict_sequences=any(isinstance(t.condition, Sequence) and t.condition.strict for t in triggers),
        changes=tuple(trigger for trigger in triggers if isinstance(trigger.condition, AwaitedChange)),
        watch=watch,
        unnamed=_plan("", [], clauses, weight_of, watch),
        judges=any(workflow.judges for workflow in workflows.values()) or any(one.judges for one in earlier),
        flips=any(one.flips for one in (*workflows.values(), *overrides.values(), *earlier)),
        schedules=tuple((trigger, trigger.condition) for trigger in triggers if isinstance(trigger.condition, Cron)),
        dates=_dates(triggers),
        since={trigger.memory: trigger.since for trigger in triggers},
        predecessors=predecessors or {},
        editing=editing,
        draining=_draining(workflows, number, before, editing),
    )
    return replace(compiled, quiet=compile_quiet(compiled))


def clauses_of(definitions: Definitions, workflow_id: str) -> frozenset[str]:
    """Return the names under which a customer remembers what a workflow's `performed` clauses need."""
    clauses = Clauses()
    _compile_triggers(_compile_workflow(definitions.workflows[workflow_id], 0, definitions, clauses), clauses)
    return frozenset(clause.id for clause in clauses)


def _draining(
    workflows: Mapping[str, CompiledWorkflow], number: int, before: Catalogue | None, editing: Editing
) -> dict[str, int]:
    """Return what drains from now on, besides what has drained so far."""
    if before is None:
        return {}
    draining = {workflow_id: version for workflow_id, version in before.draining.items() if workflow_id in workflows}
    if editing.mode == "drain":
        for workflow_id, workflow in workflows.items():
            known = before.workflows.get(workflow_id)
            if known is not None and known.definition != workflow.definition:
                draining[workflow_id] = number
    return draining


def _compile_experiments(
    definitions: Definitions, workflows: dict[str, CompiledWorkflow], triggers: list[CompiledTrigger], number: int,
    clauses: Clauses,
) -> dict[str, CompiledWorkflow]:  # fmt: skip
    """Let the triggers of bases deal their customers out, in place; return the changed workflows by their key."""
    overrides: dict[str, CompiledWorkflow] = {}
    for experiment in definitions.experiments.values():
        base, split = workflows[experiment.base_workflow_id], split_of(experiment)
        differing = differing_steps(base.definition, experiment.variations)
        base = workflows[base.id] = _exposing(base, differing, experiment.id)
        starts = {CONTROL: base}
        for variation in experiment.variations:
            if is_workflow(variation):
                starts[variation.id] = workflows[variation.id]
                continue
            key = f"{experiment.id}/{variation.id}"
            varied = _compile_workflow(vary(base.definition, variation).workflow, number, definitions, clauses)
            starts[variation.id] = overrides[key] = replace(_exposing(varied, differing, experiment.id), override=key)
        reserved = {variation.id for variation in experiment.variations if is_workflow(variation)}
        for place, trigger in enumerate(triggers):
            if trigger.workflow.id == base.id:
                triggers[place] = _dealing_out(trigger, split, starts, exposes=differing is None)
            elif trigger.workflow.id in reserved:
                triggers[place] = replace(trigger, reserved_by=experiment.id)
    return overrides


def _exposing(workflow: CompiledWorkflow, differing: frozenset[str] | None, experiment_id: str) -> CompiledWorkflow:
    steps = {
        name: replace(step, exposes=experiment_id) if name in (differing or ()) else step
        for name, step in workflow.steps.items()
    }
    return replace(workflow, steps=steps)


def _dealing_out(
    trigger: CompiledTrigger, split: Split, starts: Mapping[str, CompiledWorkflow], *, exposes: bool
) -> CompiledTrigger:
    """Let a trigger of the base start what the customer is assigned; its cooldown stays its own."""
    dealing = replace(trigger, workflow=starts[CONTROL], split=split, exposes=exposes)
    return replace(dealing, ways={name: replace(dealing, workflow=workflow) for name, workflow in starts.items()})


def _before(number: int, predecessors: Mapping[int, Catalogue]) -> Catalogue | None:
    earlier = [known for known in predecessors if known < number]
    return predecessors[max(earlier)] if earlier else None


def _dates(triggers: list[CompiledTrigger]) -> dict[str, tuple[tuple[CompiledTrigger, DateRule], ...]]:
    rules = [(trigger, trigger.condition) for trigger in triggers if isinstance(trigger.condition, DateRule)]
    return {
        attribute: tuple(entry for entry in rules if entry[1].attribute == attribute)
        for attribute in sorted({rule.attribute for _, rule in rules})
    }


def _rises(triggers: list[CompiledTrigger]) -> dict[Metric, Rises]:
    """Sort the triggers with a threshold by what it is on, and by how much it is."""
    found: dict[Metric, list[tuple[float, CompiledTrigger]]] = {}
    for trigger in triggers:
        if isinstance(trigger.condition, Threshold):
            found.setdefault(trigger.condition.metric, []).append((trigger.condition.least, trigger))
    rises = {}
    for metric, entries in found.items():
        entries.sort(key=lambda entry: entry[0])
        leasts, sorted_triggers = zip(*entries, strict=True)
        rises[metric] = Rises(leasts=leasts, triggers=sorted_triggers)
    return rises


def _lowest_of_session(rises: Mapping[Metric, Rises]) -> tuple[float, float, float] | None:
    if not any(metric in rises for metric in SESSION_METRICS):
        return None
    events, pages, minutes = (rises[metric].leasts[0] if metric in rises else math.inf for metric in SESSION_METRICS)
    # A little less: divided by a minute again, milliseconds needn't come out the same.
    return float(events), float(pages), float(minutes * MINUTE_MS - 1)


def timer_rank(trigger: CompiledTrigger) -> tuple[int, int, str, str]:
    """Return the place among timers of one instant, where the workflow's priority goes first."""
    priority, workflow_priority, workflow_id, trigger_id = trigger.rank
    return workflow_priority, priority, workflow_id, trigger_id


def _index(
    triggers: list[CompiledTrigger], clauses: Clauses, weight_of: Mapping[str, float], watch: Watch
) -> dict[str, Plan]:
    types = {event_type for trigger in triggers for event_type in trigger.event_types}
    types |= {clause.event_type for clause in clauses} | watch.event_types()
    return {
        event_type: _plan(event_type, triggers, clauses, weight_of, watch) for event_type in types | weight_of.keys()
    }


def _plan(
    event_type: str, triggers: list[CompiledTrigger], clauses: Clauses, weight_of: Mapping[str, float], watch: Watch
) -> Plan:
    weight = weight_of.get(event_type, 0.0)
    behavioral, otherwise = watch.touched_by_event(event_type, weight)
    return Plan(
        weight=weight,
        triggers=tuple(trigger for trigger in triggers if event_type in trigger.event_types),
        clauses=tuple(clause for clause in clauses if clause.event_type == event_type),
        behavioral=behavioral,
        otherwise=otherwise,
    )


def _compile_triggers(workflow: CompiledWorkflow, clauses: Clauses) -> list[CompiledTrigger]:
    return [
        _compile_trigger(trigger, trigger.id or str(position), workflow, clauses)
        for position, trigger in enumerate(workflow.definition.triggers)
        if trigger.enabled
    ]


def _compile_trigger(
    trigger: Trigger, trigger_id: str, workflow: CompiledWorkflow, clauses: Clauses
) -> CompiledTrigger:
    conditions = trigger.conditions
    common = CompiledTrigger(
        key=f"{workflow.id}/{trigger_id}",
        trigger_id=trigger_id,
        workflow=workflow,
        rank=(-trigger.priority, -workflow.priority, workflow.id, trigger_id),
        cooldown_ms=span(trigger.cooldown_hours * HOUR_MS),
        where=compile_where(conditions.where, clauses),
        memory=_memory(workflow.id, trigger_id, conditions),
        places=trigger.max_executions,
    )
    match conditions:
        case EventCondition():
            where = _both(compile_equals(conditions.equals), common.where)
            return replace(common, event_types=(conditions.event_type,), where=where)
        case FrequencyThreshold():
            window_ms = span(conditions.time_window_minutes * MINUTE_MS)
            wanted = conditions.min_frequency
            kept = {"wanted": wanted, "most": most(wanted), "window_ms": window_ms}
            return replace(common, event_types=(conditions.event_type,), **kept)
        case InactivityPeriod():
            return replace(common, silence_ms=span(conditions.inactivity_hours * HOUR_MS))
        case SegmentChange() | LifecycleChange() | AttributeChange():
            return replace(common, condition=compile_change(conditions))
        case EventSequence():
            return _compile_sequence(common, conditions, clauses)
        case EngagementScore() | SessionThreshold():
            return replace(common, condition=_compile_threshold(conditions))
        case Schedule() | DateAttribute():
            return replace(common, condition=_compile_local_time(conditions))
        case AbsenceCondition(event_type=first, unless_event=second):
            within_ms = span(conditions.within_minutes * MINUTE_MS)
            awaited = AwaitedAbsence(memory=common.memory, first=first, second=second, within_ms=within_ms)
            return replace(common, event_types=(first, second), condition=awaited)


def _compile_threshold(conditions: EngagementScore | SessionThreshold) -> Threshold:
    if isinstance(conditions, EngagementScore):
        return Threshold(metric="engagement_score", least=conditions.min_engagement_score)
    return Threshold(metric=conditions.metric, least=conditions.min_value)


def _compile_local_time(conditions: Schedule | DateAttribute) -> Cron | DateRule:
    return compile_cron(conditions.cron) if isinstance(conditions, Schedule) else compile_date(conditions)


def _compile_sequence(common: CompiledTrigger, conditions: EventSequence, clauses: Clauses) -> CompiledTrigger:
    """Compile a sequence; what the trigger's own `where` asks, the last event has to hold."""
    items = [(item.event_type, compile_where(item.where, clauses)) for item in conditions.required_sequence]
    last_type, last_where = items[-1]
    items[-1] = last_type, _both(last_where, common.where)
    within = conditions.within_minutes
    sequence = compile_sequence(
        items,
        strict=conditions.contiguity == "strict",
        within_ms=None if within is None else span(within * MINUTE_MS),
        unless_event=conditions.unless_event,
    )
    return replace(common, event_types=tuple(sequence.standing_for), condition=sequence, where=None)


_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def _memory(workflow_id: str, trigger_id: str, conditions: TriggerCondition) -> str:
    """Return the name of what a customer remembers for a trigger; short, because every state holds it."""
    return blake2b(_encode([workflow_id, trigger_id, conditions]), digest_size=6).hexdigest()


def _compile_workflow(workflow: Workflow, number: int, definitions: Definitions, clauses: Clauses) -> CompiledWorkflow:
    settings = workflow.settings
    repeating = repeatable(workflow.steps, graph_of(workflow.steps))
    return CompiledWorkflow(
        id=_id_of(workflow),
        version=number,
        first=workflow.steps[0].id,
        steps={
            step.id: replace(_compile_step(step, order, workflow, definitions, clauses), repeats=step.id in repeating)
            for order, step in enumerate(workflow.steps)
        },
        priority=settings.priority,
        max_execution_ms=span(settings.max_execution_time_days * DAY_MS),
        zone=settings.timezone or definitions.settings.default_timezone,
        definition=workflow,
        exits=compile_exits(settings.exit_conditions, clauses),
        goal=compile_goal(settings, clauses),
        key=None if settings.execution_key is None else compile_field(settings.execution_key),
        holdout=settings.holdout_percent,
    )


def _id_of(workflow: Workflow) -> str:
    return workflow.id or workflow.name


def _compile_step(
    step: Step, order: int, workflow: Workflow, definitions: Definitions, clauses: Clauses
) -> CompiledStep:
    plain = CompiledStep(
        id=step.id,
        order=order,
        step=step,
        type=str(step.__struct_config__.tag),
        next_steps=step.next_steps,
        logic=compile_where(step.conditional_logic, clauses),
    )
    match step:
        case ChannelStep(configuration=message):
            return replace(
                plain,
                guard=compile_where(message.guard, clauses),
                timing=compile_timing(message.timing),
                category=message.category or workflow.settings.category,
                overdue=_overdue_rule(message),
                content=compile_content(definitions.templates[message.template_id], clauses),
            )
        case MessageStep(configuration=message):
            return _compile_message(plain, message, workflow.settings.category, definitions, clauses)
        case WaitStep(configuration=wait):
            if isinstance(wait, UntilEvent | UntilCondition):
                return replace(plain, awaited=compile_awaited(wait, clauses))
            return replace(plain, wait=compile_wait(wait))
        case DecisionStep(configuration=choice):
            choose = compile_decision(choice, split_id(_id_of(workflow), step.id), clauses)
            return replace(plain, choose=choose, hindsight=compile_hindsight(choice, definitions, clauses))
        case ExperimentStep(configuration=experiment):
            return replace(plain, split=split_of_step(experiment, split_id(_id_of(workflow), step.id)))
        case ActionStep(configuration=action):
            return _compile_action(plain, action)
        case _:
            assert_never(step)


def _compile_action(plain: CompiledStep, action: ActionConfiguration) -> CompiledStep:
    match action:
        case SendEvent():
            return replace(plain, emit=compile_event(action))
        case TriggerWebhook():
            return replace(plain, webhook=compile_webhook(action))
    return replace(plain, act=compile_action(action))


def _compile_message(
    plain: CompiledStep, message: MessageConfiguration, category: Category, definitions: Definitions, clauses: Clauses
) -> CompiledStep:
    """Compile a `message` step and its parts; it isn't optimized unless that is asked for."""
    category = message.category or category
    timing = compile_timing(replace(message.timing, optimize=message.timing.optimize is True))
    guard, overdue = compile_where(message.guard, clauses), _overdue_rule(message)
    whole = replace(plain, guard=guard, timing=timing, category=category, overdue=overdue)
    parts = {
        channel: replace(whole, content=compile_content(definitions.templates[name], clauses))
        for channel, name in message.templates.items()
    }
    return replace(whole, parts=parts, strategy=message.strategy)


def _overdue_rule(message: ChannelConfiguration | MessageConfiguration) -> OverdueRule:
    return OverdueRule(on_overdue=message.on_overdue, grace_ms=span(message.grace_hours * HOUR_MS))


def _compile_suppression(rule: Suppression, clauses: Clauses) -> CompiledSuppression:
    test = compile_condition(rule.condition, clauses)
    return CompiledSuppression(id=rule.id, test=test, reason=rule.reason or rule.id, alternatives=rule.alternatives)


def compile_content(template: Template, clauses: Clauses) -> Content:
    """Compile a template, with the conditions in it."""
    compiled = compile_template(template, lambda condition: compile_condition(condition, clauses))
    return Content(template_id=template.id, channel=template.channel, template=compiled)


def _both(first: Test | None, second: Test | None) -> Test | None:
    if first is None or second is None:
        return first or second
    return lambda scene: first(scene) and second(scene)
