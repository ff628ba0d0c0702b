"""Backfill: a workflow goes live as if it had always been there, customer by customer.

A shadow has folded the log with the workflow in it. What of a customer's state there belongs to the workflow is cut out
(`slice_of`) and fitted into her own state (`adopt`): executions where they stand, the last end of each key, cooldowns,
and what its triggers and conditions remember. Everything else of the shadow is left behind: what its messages would
have done to caps and best hours, what its actions would have written, how other workflows would have answered. What was
isn't rewritten.

What the shadow knows of the workflow is the whole truth, and who has some of it already (from a visitor of since the
mark, say, whom she absorbed) loses nothing by it: so adopting twice is adopting once.

A slice belongs to one state: that of the moment at which it was cut out. As long as a customer is still that one, by
her digest, whatever has become of the log meanwhile, she can go over; what happens next happens with it.
"""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Final, Literal, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from journeys.absences import MAX_ABSENCES
from journeys.catalogue import Catalogue, CompiledTrigger, clauses_of
from journeys.executions import send_late
from journeys.keys import MAX_KEYS, SEPARATOR, name_of
from journeys.scene import Scene
from journeys.sequences import Sequence
from journeys.turn import Turn
from schemas.customer import MAX_ATTRIBUTABLE, MAX_SETTLED, Absence, Customer, Ended, Execution
from schemas.decisions import Effect
from schemas.definitions import ActionStep, Definitions, ExperimentStep
from schemas.definitions.actions import TriggerWebhook
from schemas.events import Json
from schemas.instants import Millis
from schemas.staging import LateSend, PastSends, Staged

_encode: Final = msgspec.msgpack.Encoder().encode
V = TypeVar("V")

LeftBehind = Literal["caps", "best_hours", "profile", "other_workflows", "forgotten"]
"""In what a customer is another in the shadow than she is, besides the workflow: what its messages would have used of
caps, what they would have told of her best hours, what its actions would have written, how other workflows would have
gone on beside it; or she is forgotten, as a visitor without an execution is."""
_PROFILE: Final = (
    "email", "phone", "push_token", "social_id", "attributes", "attribute_times", "preferences", "lifecycle_stage",
    "stage_at", "segments", "contacts", "last_activity", "last_engagement", "score", "score_at", "total_purchases",
    "total_spent", "counts", "last", "recent", "session",
)  # fmt: skip
_LISTED: Final = ("executions", "attributable", "settled")
_BY_KEY: Final = ("cooldowns", "silences")
_BY_MEMORY: Final = ("dates", "windows", "forgotten", "sequences", "first_events", "second_events")


class Owned(Struct, frozen=True, kw_only=True):
    """Under which names a customer's state keeps what is one workflow's."""

    workflow_id: str
    keys: frozenset[str]
    memories: frozenset[str]
    clauses: frozenset[str]
    is_strict: bool
    """Whether it has a strict sequence, whose memory means something only beside the timeline."""


def owned_by(catalogue: Catalogue, definitions: Definitions, workflow_id: str) -> Owned:
    """Return what is a workflow's in the states that are folded under a catalogue which has it."""
    triggers = [trigger for trigger in _triggers(catalogue) if trigger.workflow.id == workflow_id]
    return Owned(
        workflow_id=workflow_id,
        keys=frozenset(trigger.key for trigger in triggers),
        memories=frozenset(trigger.memory for trigger in triggers),
        clauses=clauses_of(definitions, workflow_id),
        is_strict=any(isinstance(one.condition, Sequence) and one.condition.strict for one in triggers),
    )


def _triggers(catalogue: Catalogue) -> Iterator[CompiledTrigger]:
    for plan in catalogue.plans.values():
        yield from plan.triggers
    for rises in catalogue.rises.values():
        yield from rises.triggers
    yield from catalogue.silences
    yield from catalogue.changes
    yield from (trigger for trigger, _ in catalogue.schedules)
    yield from (trigger for rules in catalogue.dates.values() for trigger, _ in rules)


# What can't be backfilled -------------------------------------------------------------------------------------


def obstacles(definitions: Definitions, workflow_id: str) -> list[str]:
    """Say why a workflow can't be backfilled: it has what the past of its customers alone doesn't decide."""
    workflow = definitions.workflows[workflow_id]
    found = [
        f"trigger {trigger.id or place} has `max_executions`, and nobody can say who would have had the places"
        for place, trigger in enumerate(workflow.triggers)
        if trigger.max_executions is not None
    ]
    for step in workflow.steps:
        match step:
            case ActionStep(configuration=TriggerWebhook(await_response=True)):
                found.append(f"step {step.id} awaits a webhook's answer, and nobody gave one in the past")
            case ExperimentStep():
                found.append(f"step {step.id} is an experiment, whose participants of the past nobody counted")
            case _:
                pass
    for experiment in definitions.experiments.values():
        variations = {variation if isinstance(variation, str) else variation.id for variation in experiment.variations}
        if workflow_id == experiment.base_workflow_id or workflow_id in variations:
            found.append(f"experiment {experiment.id} deals its customers out, and nobody counted those of the past")
    return found


def closed(definitions: Definitions, workflow_id: str) -> Definitions:
    """Return the same definitions, but that the workflow starts nothing; who is in it goes on."""
    workflow = replace(definitions.workflows[workflow_id], enabled=False)
    return replace(definitions, workflows={**definitions.workflows, workflow_id: workflow})


# Cutting out --------------------------------------------------------------------------------------------------


def slice_of(customer: Customer, owned: Owned) -> Staged:
    """Cut out what of a customer's state is the workflow's; the values are shared with her, not copied."""
    mine, keys, memories = owned.workflow_id, owned.keys, owned.memories
    return Staged(
        workflow_id=mine,
        executions=[one for one in customer.executions if one.workflow_id == mine],
        ended={name: one for name, one in customer.ended.items() if name.partition(SEPARATOR)[0] == mine},
        attributable=[one for one in customer.attributable if one.workflow_id == mine],
        settled=[one for one in customer.settled if one.workflow_id == mine],
        cooldowns=_of(customer.cooldowns, keys),
        silences=_of(customer.silences, keys),
        dates=_of(customer.dates, memories),
        windows=_of(customer.windows, memories),
        forgotten=_of(customer.forgotten, memories),
        sequences=_of(customer.sequences, memories),
        timeline=customer.timeline if owned.is_strict else [],
        absences=[one for one in customer.absences if one.trigger in memories],
        first_events=_of(customer.first_events, memories),
        second_events=_of(customer.second_events, memories),
        clauses=_of(customer.clauses, owned.clauses),
    )


def _of(values: Mapping[str, V], names: frozenset[str]) -> dict[str, V]:
    return {name: value for name, value in values.items() if name in names}


def left_behind(shadow: Customer, recorded: Customer | None, owned: Owned) -> set[LeftBehind]:
    """Say in what a customer is another in the shadow, besides what is cut out of her there.

    Whoever is no other in anything stands, from the hand-over on, as if the workflow had always been there.
    """
    if recorded is None or (recorded.first_seen is None) != (shadow.first_seen is None):
        return {"forgotten"}
    found: set[LeftBehind] = set()
    if shadow.sent != recorded.sent:
        found.add("caps")
    if shadow.hours != recorded.hours:
        found.add("best_hours")
    if any(getattr(shadow, name) != getattr(recorded, name) for name in _PROFILE):
        found.add("profile")
    if _of_others(shadow, owned) != _of_others(recorded, owned):
        found.add("other_workflows")
    return found


def _of_others(customer: Customer, owned: Owned) -> list[object]:
    """Return what of a customer's state is other workflows', but for what several may share."""
    mine = owned.workflow_id
    return [
        *([one for one in getattr(customer, name) if one.workflow_id != mine] for name in _LISTED),
        {name: one for name, one in customer.ended.items() if name.partition(SEPARATOR)[0] != mine},
        *(_but(getattr(customer, name), owned.keys) for name in _BY_KEY),
        *(_but(getattr(customer, name), owned.memories) for name in _BY_MEMORY),
        _but(customer.clauses, owned.clauses),
        [one for one in customer.absences if one.trigger not in owned.memories],
        customer.assignments, customer.exposed, customer.pending,
    ]  # fmt: skip


def _but(values: Mapping[str, V], names: frozenset[str]) -> dict[str, V]:
    return {name: value for name, value in values.items() if name not in names}


def digest_of(customer: Customer) -> str:
    """Return by what a customer is known to be still the same; what was refused to her today doesn't matter."""
    refusals, customer.refusals = customer.refusals, {}
    found = blake2b(_encode(customer), digest_size=8).hexdigest()
    customer.refusals = refusals
    return found


def to_be_sent(past: Iterable[LateSend], policy: PastSends, fresh_ms: Millis, mark_at: Millis) -> list[LateSend]:
    """Return what is to go out of one customer's messages of the past, by time.

    Args:
        past: what she would have got by now.
        policy: `skip` nothing, `latest` the newest, `all` every one.
        fresh_ms: one that would have gone out longer ago than this isn't sent; one of exactly this age is.
        mark_at: when the workflow came into force; what would have gone out since is late, and not of the past.
    """
    by_time = sorted(past, key=lambda one: (one.at, one.execution.execution_id, one.step_id, one.visit))
    since = [one for one in by_time if one.at > mark_at]
    fresh = [] if policy == "skip" else [one for one in by_time if 0 <= mark_at - one.at <= fresh_ms]
    return (fresh[-1:] if policy == "latest" else fresh) + since


# Fitting in ---------------------------------------------------------------------------------------------------


def adopt(customer: Customer, staged: Staged, catalogue: Catalogue, at: Millis) -> list[Effect]:
    """Let a customer stand in the workflow where she would stand if it had always been there.

    What is due by then isn't fired here: whoever asks fires her timers next, each as of its own instant.

    Args:
        customer: changed in place.
        staged: not to be used any more.
        catalogue: in force, with the workflow; its executions go on by this version.
        at: the instant of the hand-over, not before the customer's last decision.

    Returns:
        A decision for each execution that was adopted, or for which there was no room; and what goes out late.
    """
    workflow = catalogue.workflows.get(staged.workflow_id)
    if customer.first_seen is None or workflow is None:
        # She was deleted, or has gone over into another; or the workflow isn't in force.
        return []
    scene = Scene(customer=customer, now=at, half_life_ms=catalogue.half_life_ms, event=None)
    turn = Turn(customer=customer, catalogue=catalogue, now=at, cause=f"backfill/{staged.workflow_id}", scene=scene)
    known = {one.execution_id for one in customer.executions} | {one.execution_id for one in customer.ended.values()}
    _remember(customer, staged)
    _take_ends(customer, staged, workflow.version)
    _take_executions(turn, staged.executions, workflow.version)
    # What she has already, from somebody whom she absorbed and who had gone over, sends by itself.
    for late in (one for one in staged.late if one.execution.execution_id not in known):
        late.execution.version = workflow.version
        if send_late(turn, late):
            customer.now = at
    return turn.effects


def _remember(customer: Customer, staged: Staged) -> None:
    """Take over what triggers and conditions remember."""
    for name in ("cooldowns", "silences", "dates", "windows", "forgotten", "first_events", "second_events"):
        own: dict[str, object] = getattr(customer, name)
        setattr(customer, name, {**own, **getattr(staged, name)})
    known = {(one.trigger, one.execution_key) for one in customer.absences}
    absences: list[Absence] = [one for one in staged.absences if (one.trigger, one.execution_key) not in known]
    customer.absences = [*customer.absences, *absences][:MAX_ABSENCES]
    for clause, instants in staged.clauses.items():
        # Another workflow may ask the same, but not for as long.
        if len(instants) > len(customer.clauses.get(clause, ())):
            customer.clauses[clause] = instants
    customer.sequences = {**customer.sequences, **staged.sequences}
    if len(staged.timeline) > len(customer.timeline):
        # A place says when, so those that other sequences remember are in this one, too.
        customer.timeline = staged.timeline


def _take_ends(customer: Customer, staged: Staged, version: int) -> None:
    ended = {**customer.ended, **staged.ended}
    # The order of names with a key is that of the ends; the newest few are known.
    keyed = sorted((name for name in ended if SEPARATOR in name), key=lambda name: ended[name].ended_at)
    plain: dict[str, Ended] = {name: one for name, one in ended.items() if SEPARATOR not in name}
    customer.ended = plain | {name: ended[name] for name in keyed[-MAX_KEYS:]}
    ids = {one.execution_id for one in customer.attributable}
    attributable = [one for one in staged.attributable if one.execution_id not in ids]
    for one in attributable:
        one.version = version
    # Sorting is stable, and those that are there are in the order of their ends.
    both = sorted((*customer.attributable, *attributable), key=lambda one: one.since)
    customer.attributable = both[-MAX_ATTRIBUTABLE:]
    pairs = {(one.execution_id, one.at) for one in customer.settled}
    settled = [one for one in staged.settled if (one.execution_id, one.at) not in pairs]
    for each in settled:
        each.version = version
    customer.settled = sorted((*customer.settled, *settled), key=lambda one: one.at)[-MAX_SETTLED:]


def _take_executions(turn: Turn, executions: list[Execution], version: int) -> None:
    """Take over those under way, the oldest first, as far as there is room."""
    customer, most = turn.customer, turn.catalogue.settings.max_concurrent_executions
    running = {one.execution_id for one in customer.executions}
    over = {name: one.execution_id for name, one in customer.ended.items()}
    for execution in executions:
        name = name_of(execution.workflow_id, execution.key)
        if execution.execution_id in running or over.get(name) == execution.execution_id:
            continue
        execution.version = version
        steps: list[Json] = [visit.step_id for visit in execution.branches]
        detail: dict[str, Json] = {"steps": steps}
        if len(customer.executions) >= most:
            detail["active"] = len(customer.executions)
            turn.record("bound_reached", reason="max_concurrent_executions", execution=execution, detail=detail)
            continue
        turn.record("execution_adopted", execution=execution, detail=detail)
        customer.executions = sorted((*customer.executions, execution), key=lambda one: one.started_at)
