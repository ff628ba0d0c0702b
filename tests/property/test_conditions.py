"""Compiled conditions answer as a plain reading of the specification does, for any value and any nesting."""

import re
from datetime import UTC, datetime, timedelta
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.conditions import Clauses, compile_condition, mistakes, remember
from journeys.scene import Scene
from schemas.customer import Customer
from schemas.definitions import AllOf, AnyOf, Comparison, Condition, Negation, Operator
from schemas.events import Json

NOW = 1_767_225_600_000
HOUR_MS = 3_600_000
NOTHING = object()
INSTANTS: list[Json] = ["2026-01-01", "2025-12-31T23:00:00Z", NOW, 5]

# A few values that often meet, so that equal, contained and ordered pairs are common.
texts = st.sampled_from(["", "a", "b", "ab", "aba", "5", "2026-01-01", "2025-12-31", "2025-12-31T23:00:00Z"])
numbers = st.one_of(
    st.integers(-2, 6), st.sampled_from([0.0, 1.0, 1.5, 5.0, NOW, NOW - HOUR_MS, NOW - 2 * HOUR_MS - 1])
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values: st.SearchStrategy[Json] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=2)),
    max_leaves=5,
)
fields = st.dictionaries(st.sampled_from(["x", "y"]), values)
operators = st.sampled_from(
    ["eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "not_in", "contains", "not_contains", "starts_with",
     "ends_with", "matches", "exists", "not_exists", "within_hours", "not_within_hours", "before", "after"]
)  # fmt: skip


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    operator = cast("Operator", draw(operators))
    constant: Json
    match operator:
        case "between":
            ends = draw(st.lists(st.sampled_from([0, 1, 5, 1.5]), min_size=2, max_size=2))
            words = draw(st.lists(texts, min_size=2, max_size=2))
            ranges: list[list[Json]] = [[*sorted(ends)], [*sorted(words)]]
            constant = draw(st.sampled_from(ranges))
        case "in" | "not_in":
            constant = draw(st.lists(values, max_size=4))
        case "exists" | "not_exists":
            constant = None
        case "within_hours" | "not_within_hours":
            constant = draw(st.sampled_from((1.0, 2.0, 0.5)))
        case "before" | "after":
            constant = draw(st.sampled_from(INSTANTS))
        case "starts_with" | "ends_with" | "matches":
            constant = draw(st.sampled_from(["a", "b", "ab", "", "5"]))
        case "gt" | "gte" | "lt" | "lte":
            constant = draw(st.one_of(numbers, texts))
        case _:
            constant = draw(values)
    return Comparison(field=draw(st.sampled_from(["x", "attributes.y", "z"])), operator=operator, value=constant)


conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.builds(lambda parts: AllOf(all=tuple(parts)), st.lists(inner, max_size=4)),
        st.builds(lambda parts: AnyOf(any=tuple(parts)), st.lists(inner, max_size=4)),
        st.builds(lambda part: Negation(negated=part), inner),
    ),
    max_leaves=8,
)


def plainly(condition: Condition, attributes: dict[str, Json]) -> bool:
    match condition:
        case AllOf():
            return all(plainly(part, attributes) for part in condition.all)
        case AnyOf():
            return any(plainly(part, attributes) for part in condition.any)
        case Negation():
            return not plainly(condition.negated, attributes)
    name = (condition.field or "").removeprefix("attributes.")
    value = attributes.get(name, NOTHING)
    negative = condition.operator.startswith("not_") or condition.operator == "ne"
    positive = "eq" if condition.operator == "ne" else condition.operator.removeprefix("not_")
    answer = plain_answer(value, positive, condition.value)
    return answer is False if negative else answer is True


def plain_answer(value: object, operator: str, constant: Json) -> bool | None:  # noqa: C901, PLR0911 (a table)
    """Answer for the positive operators; None if the types can't be compared."""
    if operator == "eq":
        return written(value) == written(constant)
    if operator == "in":
        return written(value) in [written(member) for member in cast("list[Json]", constant)]
    if value is NOTHING or value is None:
        return False
    match operator:
        case "exists":
            return True
        case "gt" | "gte" | "lt" | "lte" | "between":
            return plain_order(value, operator, constant)
        case "starts_with" | "ends_with" | "matches":
            pattern = {"starts_with": r"\A{}", "ends_with": r"{}\Z", "matches": "{}"}[operator].format(constant)
            return re.search(pattern, value) is not None if isinstance(value, str) else None
        case "contains" if isinstance(value, list):
            return written(constant) in [written(member) for member in value]
        case "contains":
            return constant in value if isinstance(value, str) and isinstance(constant, str) else None
    instant = plain_instant(value)
    if instant is None:
        return None
    if operator == "within_hours":
        return NOW - instant <= cast("float", constant) * HOUR_MS
    other = cast("float", plain_instant(constant))
    return instant < other if operator == "before" else instant > other


def plain_order(value: object, operator: str, constant: Json) -> bool | None:
    low, high = cast("list[Json]", constant) if operator == "between" else (constant, constant)
    wanted = str if isinstance(low, str) else float
    if isinstance(value, bool) or not isinstance(value, str if wanted is str else int | float):
        return None
    place = (value > low) - (value < low), (value > high) - (value < high)  # type: ignore[operator]
    match operator:
        case "gt" | "gte":
            return place[0] > 0 or (operator == "gte" and place[0] == 0)
        case "lt" | "lte":
            return place[0] < 0 or (operator == "lte" and place[0] == 0)
    return place[0] >= 0 >= place[1]


def plain_instant(value: object) -> float | None:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d(T.*Z)?", value):
        moment = datetime.fromisoformat(value).replace(tzinfo=UTC)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def written(value: object) -> str:
    """Write a value so that equal values, and no others, are written alike."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name!r}:{written(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value))
    return repr(value)


@settings(max_examples=500)
@given(condition=conditions, attributes=fields)
def test_a_compiled_condition_answers_as_the_specification_reads(
    condition: Condition, attributes: dict[str, Json]
) -> None:
    assert mistakes(condition) == []
    test = compile_condition(condition, Clauses())
    scene = Scene(customer=Customer(customer_id="ada", attributes=attributes), now=NOW, half_life_ms=1.0)
    before = repr(scene.customer)
    assert test(scene) is plainly(condition, attributes)
    warnings = list(scene.warnings)
    assert test(scene) is plainly(condition, attributes)
    assert (scene.warnings, repr(scene.customer)) == (warnings, before)


@given(
    instants=st.lists(st.integers(-10, 10), max_size=30),
    count=st.integers(1, 6),
    hours=st.one_of(st.none(), st.integers(1, 8)),
)
def test_performed_counts_as_if_every_event_were_remembered(instants: list[int], count: int, hours: int | None) -> None:
    where: Json = {"field": "event.type", "operator": "eq", "value": "t"}
    value: Json = {"event_type": "t", "min_count": count, "within_hours": hours, "where": where}
    clauses, ada = Clauses(), Customer(customer_id="ada")
    test = compile_condition(Comparison(operator="performed", value=value), clauses)
    (clause,) = clauses
    for arrived, instant in enumerate(instants, start=1):
        remember(ada, clause, NOW + instant * HOUR_MS)
        inside = [i for i in instants[:arrived] if hours is None or i >= -hours]
        assert test(Scene(customer=ada, now=NOW, half_life_ms=1.0)) is (len(inside) >= count)
        assert len(ada.clauses[clause.id]) <= count
