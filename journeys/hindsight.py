"""What a decision knew, kept for events that come late: so that it can be looked at again as of then.

A late event has to be judged by what was so at the instant of the decision, and the state has moved on since: what
happened behind that instant must not count, although it is known. So each decision that is passed takes along the part
of the customer's state that it depends on, and nothing else; it is a customer in small, who learns late events by the
same rules as the customer herself. A decision that asks for a segment takes along what the segment's condition reads,
one that asks for the stage what the rules of the lifecycle read.

A decision is kept while nothing has come of it: up to the execution's next effect (a message, a call, an event, a
change of the customer) it can be reopened. For three days behind that effect it is kept to tell what would have been.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Final

from msgspec import Struct

from journeys.conditions import Clauses, clause_of, comparisons, read_performed
from journeys.operators import POSITIVE
from journeys.profile import ADDRESSES
from journeys.reads import ACTIVITY, ANY_EVENT, ENGAGEMENT, OF_TYPE, PURCHASE, SCORE, SEGMENTS, SESSION, ZONE, reads
from journeys.watching import stage_rules
from schemas.customer import MAX_PASSED, MAX_SETTLED, Customer, Execution, Passed, Settled, Visit
from schemas.definitions import (
    Comparison,
    Condition,
    ConditionDecision,
    DecisionConfiguration,
    Definitions,
    ScoreBased,
    SegmentCheck,
    SplitTest,
)
from schemas.instants import HOUR_MS, Millis
from schemas.kept_events import NO_EVENT

DIVERGENCE_MS: Final = 72 * HOUR_MS
"""How far back an effect may lie for the decisions before it to be compared."""

_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    ANY_EVENT: ("first_seen",),
    ACTIVITY: ("last_activity", "activity_seen_at"),
    ENGAGEMENT: ("last_engagement",),
    SESSION: ("session",),
    SCORE: ("score", "score_at"),
    PURCHASE: ("total_purchases", "total_spent"),
    "lifecycle_stage": ("lifecycle_stage", "stage_at"),
    "email_status": ("email", "verification"),
    **{name: (name,) for name in ADDRESSES},
}
_PREFERENCES: Final = "preferences."


class Hindsight(Struct, frozen=True, kw_only=True):
    """Where the state keeps what a decision depends on."""

    fields: tuple[str, ...]
    entries: tuple[tuple[str, str], ...]
    """Fields that are maps, each with a key."""
    segments: frozenset[str]
    all_segments: bool
    asks_trigger: bool
    asks_execution: bool


def compile_hindsight(
    configuration: DecisionConfiguration, definitions: Definitions, clauses: Clauses
) -> Hindsight | None:
    """Compile what a decision step has to remember; None where nothing that comes late can change its way.

    Args:
        configuration: a valid one.
        definitions: in which its segments are.
        clauses: of the catalogue; compiling the decision registers the same ones.
    """
    asked = _conditions(configuration)
    roots = {part.field.removeprefix("customer.").partition(".")[0] for part in _parts(asked) if part.field}
    known = _with_rules(asked, definitions)
    names = {name for condition in known for name in reads(condition)}
    if names <= {ZONE} or isinstance(configuration, SplitTest):
        return None
    return Hindsight(
        fields=tuple(sorted({field for name in names for field in _FIELDS.get(name, ())})),
        entries=tuple(sorted({entry for name in names for entry in _entries(name)} | _clauses(known, clauses))),
        segments=frozenset(name.removeprefix(f"{SEGMENTS}.") for name in names if name.startswith(f"{SEGMENTS}.")),
        all_segments=SEGMENTS in names,
        asks_trigger="trigger" in roots,
        asks_execution="execution" in roots,
    )


def _conditions(configuration: DecisionConfiguration) -> list[Condition]:
    match configuration:
        case ConditionDecision():
            return [entry.rule for entry in configuration.conditions]
        case ScoreBased():
            return [Comparison(field=configuration.score_field, operator="exists")]
        case SegmentCheck():
            return [Comparison(operator="in_segment", value=entry.segment_id) for entry in configuration.segments]
        case SplitTest():
            return []


def _with_rules(asked: Iterable[Condition], definitions: Definitions) -> list[Condition]:
    """Add the conditions of the segments and stages that the conditions ask for, and that those ask for."""
    found: list[Condition] = []
    waiting, seen = list(asked), set[str]()
    while waiting:
        condition = waiting.pop()
        found.append(condition)
        for name in reads(condition) - seen:
            seen.add(name)
            if name == "lifecycle_stage":
                waiting += [rule.when for rule in stage_rules(definitions.lifecycle)]
                found.append(Comparison(field="last_activity", operator="exists"))
            for segment in definitions.segments.values():
                if segment.condition is not None and name in {SEGMENTS, f"{SEGMENTS}.{segment.id}"}:
                    waiting.append(segment.condition)
    return found


def _entries(name: str) -> list[tuple[str, str]]:
    """Return where the state may keep what has this name under a key."""
    if name.startswith(OF_TYPE):
        event_type = name.removeprefix(OF_TYPE)
        return [("counts", event_type), ("last", event_type)]
    if name.startswith(_PREFERENCES):
        return [("preferences", name.removeprefix(_PREFERENCES)), ("attribute_times", name)]
    dated = (*ADDRESSES, "lifecycle_stage")
    addresses = [("attribute_times", f"@{field}") for field in _FIELDS.get(name, ()) if field in dated]
    return [("attributes", name), ("attribute_times", name), *addresses]


def _parts(conditions: Iterable[Condition]) -> list[Comparison]:
    return [part for condition in conditions for _, part in comparisons(condition)]


def _clauses(conditions: Iterable[Condition], clauses: Clauses) -> set[tuple[str, str]]:
    performed = [part for part in _parts(conditions) if POSITIVE.get(part.operator, part.operator) == "performed"]
    found = [clause_of(read_performed(part.value), clauses) for part in performed]
    return {("clauses", clause.id) for clause in found if clause is not None}


# Keeping --------------------------------------------------------------------------------------------------------


def keep_known(customer: Customer, hindsight: Hindsight) -> Customer:
    """Copy what a decision depends on; the copy has no id and is changed by nobody else."""
    known = Customer(customer_id="")
    for name in hindsight.fields:
        setattr(known, name, copy(getattr(customer, name)))
    for name, key in hindsight.entries:
        entries = getattr(customer, name)
        if key in entries:
            getattr(known, name)[key] = copy(entries[key])
    known.segments = [name for name in customer.segments if hindsight.all_segments or name in hindsight.segments]
    return known


def pass_decision(
    customer: Customer, execution: Execution, visit: Visit, hindsight: Hindsight, way: str | None, now: Millis
) -> None:
    """Keep a decision that is being passed; the branch behind it knows that it descends from it."""
    passed = Passed(
        # The sum of all visits never comes again.
        number=sum(execution.visits.values()),
        behind=visit.behind,
        step_id=visit.step_id,
        visit=visit.visit,
        at=now,
        way=way,
        known=keep_known(customer, hindsight),
        last_event=execution.last_event if hindsight.asks_execution else None,
        responses=dict(execution.responses) if hindsight.asks_execution else {},
        asks_trigger=hindsight.asks_trigger,
    )
    visit.behind = passed.number
    execution.passed.append(passed)
    del execution.passed[:-MAX_PASSED]


def settle_decisions(customer: Customer, execution: Execution, now: Millis) -> None:
    """Close the decisions of an execution of which something has come now; they are kept for comparison."""
    if not execution.passed:
        return
    is_asked = any(passed.asks_trigger for passed in execution.passed)
    customer.settled = [settled for settled in customer.settled if now - settled.at <= DIVERGENCE_MS]
    customer.settled.append(
        Settled(
            at=now,
            execution_id=execution.execution_id,
            workflow_id=execution.workflow_id,
            version=execution.version,
            trigger_id=execution.trigger_id,
            override=execution.override,
            started_at=execution.started_at,
            expires_at=execution.expires_at,
            last_send_at=execution.last_send_at,
            key=execution.key,
            trigger=execution.trigger if is_asked else NO_EVENT,
            passed=execution.passed,
        )
    )
    del customer.settled[:-MAX_SETTLED]
    execution.passed = []
    for visit in execution.branches:
        visit.behind = 0


def behind_of(passed: Iterable[Passed], number: int) -> set[int]:
    """Return the numbers of the decisions that descend from one, itself among them; given in the order of passing."""
    found = {number}
    for one in passed:
        if one.behind in found:
            found.add(one.number)
    return found
