"""Conditions told clause by clause: which one failed first, what it wanted, and what it found.

Every clause is compiled by `compile_condition` itself and asked in the order in which the rules ask, so the verdict is
the rules' own; only what stands beside it (the value found) is read here in addition.
"""

from typing import Final, assert_never

import msgspec
from msgspec import Struct

from journeys.conditions import Clauses, clause_of, compile_condition, read_performed
from journeys.fields import MISSING, compile_event_field, compile_field, plain
from journeys.operators import POSITIVE, compile_equality
from journeys.scene import Scene
from schemas.definitions import AllOf, AnyOf, Comparison, Condition, Negation
from schemas.events import Json

_encode: Final = msgspec.json.Encoder().encode
_LONGEST: Final = 120
"""Characters of a value that are shown."""


class Traced(Struct, frozen=True, kw_only=True):
    """A condition, whether it holds, and the parts that were looked at, in their order."""

    condition: Condition
    holds: bool
    found: str | None = None
    """Of a comparison, the value that it found, in words."""
    parts: tuple["Traced", ...] = ()


def trace(condition: Condition, scene: Scene) -> Traced:
    """Look at a condition as the rules do, and remember what was seen.

    Raises:
        ValueError: the condition has one of the `mistakes` of `journeys.conditions`.
    """
    match condition:
        case Comparison():
            holds = compile_condition(condition, Clauses())(scene)
            return Traced(condition=condition, holds=holds, found=_found(condition, scene))
        case AllOf():
            parts = _until(condition.all, scene, verdict=False)
            return Traced(condition=condition, holds=all(part.holds for part in parts), parts=parts)
        case AnyOf():
            parts = _until(condition.any, scene, verdict=True)
            return Traced(condition=condition, holds=any(part.holds for part in parts), parts=parts)
        case Negation():
            inner = trace(condition.negated, scene)
            return Traced(condition=condition, holds=not inner.holds, parts=(inner,))
    assert_never(condition)


def trace_equals(equals: dict[str, Json], scene: Scene) -> str | None:
    """Say which equality with the present event fails first, and on what; None if all hold."""
    for name, wanted in equals.items():
        value = compile_event_field(name)(scene)
        if compile_equality(wanted)(value, scene) is not True:
            found = "missing" if value is MISSING else _shown(plain(value))
            return f"`event.{name}` is {found}; `eq {_shown(wanted)}` is wanted"
    return None


def first_failure(traced: Traced) -> Traced | None:
    """Return what failed first: a comparison, or a combination of which no single part did; None if it holds."""
    if traced.holds:
        return None
    if isinstance(traced.condition, AllOf):
        return next(first_failure(part) for part in traced.parts if not part.holds)
    if isinstance(traced.condition, AnyOf) and len(traced.parts) == 1:
        return first_failure(traced.parts[0])
    return traced


def in_words(traced: Traced) -> str:
    """Say what a condition wants, and what it found."""
    match traced.condition:
        case Comparison() as comparison:
            return f"{_subject(comparison)} is {traced.found}; `{_wanted(comparison)}` is wanted"
        case AnyOf():
            if traced.holds:
                # The rules looked no further than to the first that holds.
                return in_words(traced.parts[-1])
            return "none holds of: " + "; or ".join(in_words(_failed(part)) for part in traced.parts)
        case AllOf():
            return " and ".join(in_words(part) for part in traced.parts)
        case Negation():
            said = "not " if traced.holds else "this must not hold and does: "
            return said + in_words(traced.parts[0])
    assert_never(traced.condition)


def _failed(traced: Traced) -> Traced:
    return first_failure(traced) or traced


def _until(conditions: tuple[Condition, ...], scene: Scene, *, verdict: bool) -> tuple[Traced, ...]:
    """Trace parts up to the first with this verdict: behind it the rules look no further."""
    parts: list[Traced] = []
    for condition in conditions:
        parts.append(trace(condition, scene))
        if parts[-1].holds is verdict:
            break
    return tuple(parts)


def _subject(comparison: Comparison) -> str:
    match POSITIVE.get(comparison.operator, comparison.operator):
        case "in_segment":
            return "the list of her segments"
        case "performed":
            return "what she did"
    return f"`{comparison.field}`"


def _wanted(comparison: Comparison) -> str:
    return comparison.operator if comparison.value is None else f"{comparison.operator} {_shown(comparison.value)}"


def _found(comparison: Comparison, scene: Scene) -> str:
    match POSITIVE.get(comparison.operator, comparison.operator):
        case "in_segment":
            return _shown(list(scene.customer.segments))
        case "performed":
            return _performed(comparison, scene)
    value = compile_field(comparison.field or "")(scene)
    return "missing" if value is MISSING else _shown(plain(value))


def _performed(comparison: Comparison, scene: Scene) -> str:
    performed = read_performed(comparison.value)
    clause = clause_of(performed, Clauses())
    if clause is None:
        return f"{scene.customer.counts.get(performed.event_type, 0)} times {performed.event_type}"
    instants = scene.customer.clauses.get(clause.id, [])
    if clause.within_ms is not None:
        within_ms = clause.within_ms
        instants = [instant for instant in instants if scene.now - instant <= within_ms]
    return f"{len(instants)} times such a {performed.event_type}"


def _shown(value: Json) -> str:
    text = _encode(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
