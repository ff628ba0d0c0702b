"""Conditions: `{field, operator, value}` and their combinations, compiled once into closures over a scene.

`performed` with a window or a `where` can't be read off the counters. Such a clause is registered with the
catalogue, and of each event that matches it the customer remembers the instant: the newest `min_count`, which
is all that "at least so many within" needs. Remembering comes before the rules, so the present event counts.
"""

from bisect import insort
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Final, assert_never, cast
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Struct

from journeys.fields import Field, compile_event_field, compile_field, property_name
from journeys.operators import POSITIVE, Compare, compile_equality, compile_operator, constant_mistake
from journeys.scene import Scene
from schemas.customer import Customer
from schemas.definitions import AllOf, AnyOf, Comparison, Condition, Negation, Operator, Performed
from schemas.events import Json
from schemas.instants import HOUR_MS, Millis
from schemas.reading import read

Test = Callable[[Scene], bool]
PropertyTest = tuple[str, Operator, str | int | float]
"""A test that looks at one property of the present event and at nothing else: its name, the operator, the constant."""
_ORDERS: Final[frozenset[Operator]] = frozenset(("eq", "ne", "gt", "gte", "lt", "lte"))
_property_tests: Final[WeakKeyDictionary[Test, PropertyTest]] = WeakKeyDictionary()


class Clause(Struct, frozen=True, kw_only=True):
    """A `performed` whose instants a customer has to remember, under `id`."""

    id: str
    event_type: str
    min_count: int
    within_ms: int | None = None
    where: Test | None = None
    """Looked at with the candidate event as the present one."""


class Clauses:
    """The clauses of a catalogue, collected while its conditions are compiled; equal ones once."""

    def __init__(self) -> None:
        """Begin without any."""
        self._by_id: dict[str, Clause] = {}

    def register(self, clause: Clause) -> None:
        """Add a clause, unless an equal one is there."""
        self._by_id.setdefault(clause.id, clause)

    def __iter__(self) -> Iterator[Clause]:
        """Iterate in the order of registration."""
        return iter(self._by_id.values())


def remember(customer: Customer, clause: Clause, occurred_at: Millis) -> None:
    """Remember that an event matched the clause; only the newest `min_count` instants are kept, oldest first."""
    instants = customer.clauses.get(clause.id)
    if instants is None:
        customer.clauses[clause.id] = [occurred_at]
        return
    insort(instants, occurred_at)
    if len(instants) > clause.min_count:
        del instants[: len(instants) - clause.min_count]


# Compiling ----------------------------------------------------------------------------------------------------


def compile_condition(condition: Condition, clauses: Clauses) -> Test:
    """Compile a condition; clauses of `performed` that need a memory are registered in `clauses`.

    Raises:
        ValueError: the condition has one of the `mistakes`.
    """
    match condition:
        case Comparison():
            return _compile_comparison(condition, clauses)
        case AllOf():
            return _all([compile_condition(part, clauses) for part in condition.all])
        case AnyOf():
            return _any([compile_condition(part, clauses) for part in condition.any])
        case Negation():
            denied = compile_condition(condition.negated, clauses)
            return lambda scene: not denied(scene)
    assert_never(condition)


def compile_where(condition: Condition | None, clauses: Clauses) -> Test | None:
    """Compile an optional condition; None, which always holds, stays None."""
    return None if condition is None else compile_condition(condition, clauses)


def compile_equals(equals: dict[str, Json]) -> Test | None:
    """Compile equalities of the present event's envelope fields or properties; None if there are none."""
    tests = [_positive(compile_event_field(name), compile_equality(value)) for name, value in equals.items()]
    return _all(tests) if tests else None


def holds(test: Test | None, scene: Scene) -> bool:
    """Look at an optional condition; what one that doesn't hold couldn't compare belongs to no decision."""
    if test is None or test(scene):
        return True
    if scene.warnings:
        scene.warnings.clear()
    return False


def _all(tests: list[Test]) -> Test:
    match tests:
        case [only]:
            return only
        case [first, second]:
            return lambda scene: first(scene) and second(scene)

    def test(scene: Scene) -> bool:
        for part in tests:  # noqa: SIM110 (a generator costs twice as much, and this runs for every event)
            if not part(scene):
                return False
        return True

    return test


def _any(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def test(scene: Scene) -> bool:
        for part in tests:  # noqa: SIM110 (see above)
            if part(scene):
                return True
        return False

    return test


def _compile_comparison(comparison: Comparison, clauses: Clauses) -> Test:
    mistake = comparison_mistake(comparison)
    if mistake is not None:
        raise ValueError(mistake)
    positive = POSITIVE.get(comparison.operator, comparison.operator)
    match positive:
        case "in_segment":
            test = _compile_membership(str(comparison.value))
        case "performed":
            test = _compile_performed(read_performed(comparison.value), clauses)
        case _:
            return _compile_field_comparison(comparison, positive)
    if positive == comparison.operator:
        return test
    return lambda scene: not test(scene)


def _compile_field_comparison(comparison: Comparison, positive: Operator) -> Test:
    path = comparison.field or ""
    compare = compile_operator(positive, comparison.value, f"{path} {comparison.operator}")
    look = compile_field(path)
    test = _positive(look, compare) if positive == comparison.operator else _negative(look, compare)
    name = property_name(path)
    if name is not None and comparison.operator in _ORDERS and type(comparison.value) in {str, int, float}:
        _property_tests[test] = name, comparison.operator, cast("str | int | float", comparison.value)
    return test


def property_test(test: Test) -> PropertyTest | None:
    """Return what a compiled test looks at, if it is one property of the present event."""
    return _property_tests.get(test)


def _positive(look: Field, compare: Compare) -> Test:
    return lambda scene: compare(look(scene), scene) is True


def _negative(look: Field, compare: Compare) -> Test:
    return lambda scene: compare(look(scene), scene) is False


def _compile_membership(segment_id: str) -> Test:
    return lambda scene: segment_id in scene.customer.segments


# Performed ----------------------------------------------------------------------------------------------------


def read_performed(value: Json) -> Performed:
    """Read the value of `performed`.

    Raises:
        ValueError: a key is missing, unknown or out of range, or `where` looks at more than the event.
    """
    reading = read(value, Performed, "value")
    if reading.value is None:
        problem = reading.problems[0]
        msg = f"performed: {problem.path} {problem.message}, expected {problem.expected}"
        raise ValueError(msg)
    for path, comparison in comparisons(reading.value.where):
        if comparison.field is None or not comparison.field.startswith("event."):
            msg = f"performed: value.where{path} has to look at a field of the event, such as event.total"
            raise ValueError(msg)
    return reading.value


def _compile_performed(performed: Performed, clauses: Clauses) -> Test:
    clause = clause_of(performed, clauses)
    if clause is not None:
        return _compile_clause(clause)
    event_type, count = performed.event_type, performed.min_count
    return lambda scene: scene.customer.counts.get(event_type, 0) >= count


def clause_of(performed: Performed, clauses: Clauses) -> Clause | None:
    """Return the clause of a `performed`, registered; None if the counters answer it."""
    if performed.within_hours is None and performed.where is None:
        return None
    clause = Clause(
        id=_clause_id(performed),
        event_type=performed.event_type,
        min_count=performed.min_count,
        within_ms=None if performed.within_hours is None else round(performed.within_hours * HOUR_MS),
        where=compile_where(performed.where, clauses),
    )
    clauses.register(clause)
    return clause


def _compile_clause(clause: Clause) -> Test:
    key, count, within_ms = clause.id, clause.min_count, clause.within_ms

    def test(scene: Scene) -> bool:
        instants = scene.customer.clauses.get(key)
        if instants is None or len(instants) < count:
            return False
        return within_ms is None or scene.now - instants[-count] <= within_ms

    return test


_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def _clause_id(performed: Performed) -> str:
    return blake2b(_encode(performed), digest_size=6).hexdigest()


# Checking -----------------------------------------------------------------------------------------------------


def comparisons(condition: Condition | None, path: str = "") -> Iterator[tuple[str, Comparison]]:
    """Iterate over the comparisons of a condition, each with its path within it, such as `.all[0].not`."""
    match condition:
        case Comparison():
            yield path, condition
        case AllOf():
            for index, part in enumerate(condition.all):
                yield from comparisons(part, f"{path}.all[{index}]")
        case AnyOf():
            for index, part in enumerate(condition.any):
                yield from comparisons(part, f"{path}.any[{index}]")
        case Negation():
            yield from comparisons(condition.negated, f"{path}.not")


def mistakes(condition: Condition) -> list[tuple[str, str]]:
    """Return what is wrong with each comparison: its path within the condition, and what would be right."""
    found = ((path, comparison_mistake(comparison)) for path, comparison in comparisons(condition))
    return [(path, mistake) for path, mistake in found if mistake is not None]


def comparison_mistake(comparison: Comparison) -> str | None:
    """Say what is wrong with a comparison, or return None."""
    positive = POSITIVE.get(comparison.operator, comparison.operator)
    try:
        if positive == "in_segment":
            return None if isinstance(comparison.value, str) and comparison.value else "in_segment needs a segment id"
        if positive == "performed":
            condition = read_performed(comparison.value).where
            inner = mistakes(condition) if condition is not None else []
            return f"performed: value.where{inner[0][0]}: {inner[0][1]}" if inner else None
        if comparison.field is None:
            return f"{comparison.operator} needs a field"
        compile_field(comparison.field)
    except ValueError as error:
        return str(error)
    mistake = constant_mistake(positive, comparison.value)
    return None if mistake is None else f"{comparison.operator} {mistake}"
