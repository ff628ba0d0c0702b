"""What is kept up to date about a customer by itself: her stage, and the segments that have a condition.

Compiled once: each rule with its test, its flip and the names that it reads, and an index from names to the rules
that read them, so that an event or a change looks only at those which it can have touched. Segments stand in an
order in which each comes after those that its condition asks for, so one pass settles them all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, get_args

from msgspec import Struct

from journeys.conditions import Clauses, Test, compile_condition
from journeys.flips import Flip, compile_flip
from journeys.profile import ENGAGED, PURCHASES
from journeys.reads import OF_TYPE, reads, segments_in, touched_by
from schemas.definitions import Comparison, Condition, Definitions, Lifecycle, Segment, Stage, StageRule
from schemas.instants import DAY_MS, Millis

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
CHURNED: Final[Stage] = "churned"
INACTIVITY_MS: Final[Millis] = 90 * DAY_MS

_DEFAULT_RULES: Final = (
    StageRule(stage="lead", when=Comparison(field="counts.signup", operator="gte", value=1)),
    StageRule(stage="customer", when=Comparison(field="total_purchases", operator="gte", value=1)),
    StageRule(stage="advocate", when=Comparison(field="total_purchases", operator="gte", value=5)),
)


class Rule(Struct, frozen=True, kw_only=True):
    """A condition that is kept up to date: for a segment, or for a stage."""

    name: str
    """The segment's id, or the stage."""
    position: int
    """Its place among the rules of its kind, in the order in which they are looked at."""
    condition: Condition
    test: Test
    flip: Flip | None
    reads: frozenset[str]
    since: int
    """The number of the catalogue that brought it in as it stands."""


class Touched(Struct, frozen=True, kw_only=True):
    """The rules that something can have touched, each kind in its order."""

    stages: tuple[Rule, ...] = ()
    segments: tuple[Rule, ...] = ()


NOTHING: Final = Touched()


class Watch(Struct, frozen=True, kw_only=True):
    """All that is kept up to date under one catalogue."""

    stages: tuple[Rule, ...] = ()
    """In the order of the stages."""
    segments: tuple[Rule, ...] = ()
    inactivity_ms: Millis | None = INACTIVITY_MS
    """After how long without activity a customer has churned; None where rules of the catalogue say when."""
    by_name: Mapping[str, Touched] = {}
    number: int = 0
    """Of the catalogue; 0 where nothing but the default stages is watched, so that states needn't note it."""
    everything: Touched = NOTHING
    """All rules."""
    source: str = ""
    """What it was compiled from; while that stays the same, a version needs nothing computed anew."""
    kept: frozenset[str] = frozenset()
    """The segments whose members come by a condition."""

    def touched_by(self, names: Iterable[str]) -> Touched:
        """Return the rules that read any of the names."""
        found = [self.by_name[name] for name in names if name in self.by_name]
        return merged(found) if found else NOTHING

    def event_types(self) -> set[str]:
        """Return the types of events that a rule names, or that move a part of the history that none else does."""
        names = {name for name in self.by_name if name.startswith(OF_TYPE)}
        return {name.removeprefix(OF_TYPE) for name in names} | PURCHASES | ENGAGED

    def touched_by_event(self, event_type: str, weight: float) -> tuple[Touched, Touched]:
        """Return what an event of this type touches: in the behavioral stream, and in the others."""
        behavioral, other = touched_by(event_type, "behavioral", weight), touched_by(event_type, "crm", weight)
        return self.touched_by(behavioral), self.touched_by(other)


def merged(several: Sequence[Touched]) -> Touched:
    """Return the rules of all of them, each once, in their order."""
    if len(several) == 1:
        return several[0]
    return Touched(
        stages=_once(rule for touched in several for rule in touched.stages),
        segments=_once(rule for touched in several for rule in touched.segments),
    )


def _once(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    by_position = {rule.position: rule for rule in rules}
    return tuple(by_position[position] for position in sorted(by_position))


# Compiling ------------------------------------------------------------------------------------------------------


def compile_watch(definitions: Definitions, number: int, clauses: Clauses, previous: Watch | None) -> Watch:
    """Compile the stages and the segments with a condition.

    Args:
        definitions: valid ones, so no segment's condition leads back to itself.
        number: of this catalogue.
        clauses: those of the catalogue.
        previous: what was watched under the catalogue before it.
    """
    rules_of_stages = [(rule.stage, rule.when) for rule in stage_rules(definitions.lifecycle)]
    segments = [(segment.id, segment.condition) for segment in in_order(definitions.segments.values())]
    before = Watch() if previous is None else previous
    stages = _compile(rules_of_stages, number, clauses, before.stages)
    memberships = _compile(
        [(name, condition) for name, condition in segments if condition is not None], number, clauses, before.segments
    )
    is_own = any(rule.stage == CHURNED for rule in definitions.lifecycle.rules)
    source = repr((definitions.lifecycle, segments, definitions.scoring, definitions.settings.default_timezone))
    if not memberships and not definitions.lifecycle.rules:
        number = 0
    elif before.source == source:
        number = before.number
    return Watch(
        stages=stages,
        segments=memberships,
        inactivity_ms=None if is_own else INACTIVITY_MS,
        by_name=_index(stages, memberships),
        everything=Touched(stages=stages, segments=memberships),
        number=number,
        source=source,
        kept=frozenset(rule.name for rule in memberships),
    )


def stage_rules(lifecycle: Lifecycle) -> list[StageRule]:
    """Lay the rules of a lifecycle over the defaults: those of a stage replace its default."""
    own = {rule.stage for rule in lifecycle.rules}
    rules = [*lifecycle.rules, *(rule for rule in _DEFAULT_RULES if rule.stage not in own)]
    return sorted(rules, key=lambda rule: STAGES.index(rule.stage))


def _compile(
    named: Sequence[tuple[str, Condition]], number: int, clauses: Clauses, before: Sequence[Rule]
) -> tuple[Rule, ...]:
    since = {(rule.name, repr(rule.condition)): rule.since for rule in before}
    return tuple(
        Rule(
            name=name,
            position=position,
            condition=condition,
            test=compile_condition(condition, clauses),
            flip=compile_flip(condition, clauses),
            reads=reads(condition),
            since=since.get((name, repr(condition)), number),
        )
        for position, (name, condition) in enumerate(named)
    )


def _index(stages: Sequence[Rule], segments: Sequence[Rule]) -> dict[str, Touched]:
    names = {name for rule in (*stages, *segments) for name in rule.reads}
    return {
        name: Touched(
            stages=tuple(rule for rule in stages if name in rule.reads),
            segments=tuple(rule for rule in segments if name in rule.reads),
        )
        for name in names
    }


def in_order(segments: Iterable[Segment]) -> list[Segment]:
    """Order segments so that each comes after those that its condition asks for; what lies in a circle is left out."""
    waiting = {segment.id: segment for segment in sorted(segments, key=lambda segment: segment.id)}
    ordered: list[Segment] = []
    while ready := [one for one in waiting.values() if not any(name in waiting for name in _asked_for(one))]:
        ordered += ready
        for one in ready:
            del waiting[one.id]
    return ordered


def _asked_for(segment: Segment) -> Iterator[str]:
    if segment.condition is not None:
        for _, name in segments_in(segment.condition):
            yield name
