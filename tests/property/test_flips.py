"""Between two flips a condition never changes its answer, however finely time is stepped through."""

from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.conditions import Clauses, compile_condition, remember
from journeys.flips import Flip, compile_flip
from journeys.scene import Scene
from schemas.customer import Customer
from schemas.definitions import AllOf, AnyOf, Comparison, Condition, Negation, Operator
from schemas.events import Json
from schemas.instants import HOUR_MS, LATEST, Millis, format_instant

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
STEPS = 1_500
"""Instants that are stepped through, a millisecond apart."""

offsets = st.integers(-50, STEPS + 50)
"""Milliseconds from now, within what is stepped through and a little beyond."""
hours = st.sampled_from((1, 333.3 / HOUR_MS))


def compare(field: str | None, operator: Operator, value: Json) -> Comparison:
    return Comparison(field=field, operator=operator, value=value)


@st.composite
def ages(draw: st.DrawFn) -> Comparison:
    field = draw(
        st.sampled_from(
            ("last_activity", "customer.first_seen", "last.page_viewed", "x", "attributes.y", "now", "engagement_score")
        )
    )
    return compare(field, draw(st.sampled_from(("within_hours", "not_within_hours"))), draw(hours))


@st.composite
def arrivals(draw: st.DrawFn) -> Comparison:
    operator: Operator = draw(
        st.sampled_from(("eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte", "between", "before", "after", "exists"))
    )
    ends = sorted(draw(st.lists(offsets, min_size=2, max_size=2)))
    constants: list[Json] = [format_instant(NOW + end) for end in ends]
    if operator in {"eq", "ne", "in", "not_in", "before", "after"}:
        constants = draw(st.sampled_from((constants, [NOW + ends[0], "x"], ["2026-01-01", "2025-12-31"])))
        if operator not in {"before", "after"}:
            constants = draw(st.sampled_from((constants, [float(NOW + ends[1]), 0.5])))
    value: Json = constants if operator in {"in", "not_in", "between"} else constants[0]
    return compare("now", operator, None if operator == "exists" else value)


@st.composite
def falls(draw: st.DrawFn) -> Comparison:
    operator: Operator = draw(
        st.sampled_from(("eq", "ne", "in", "gt", "gte", "lt", "lte", "between", "exists", "starts_with"))
    )
    limits = sorted(draw(st.lists(st.sampled_from((0, 1e-6, 20, 20.000001, 50.1, 100, -3)), min_size=2)))
    match operator:
        case "in" | "between":
            value: Json = [*limits[:2]]
        case "exists":
            value = None
        case "starts_with":
            value = "5"
        case _:
            value = limits[0]
    return compare(draw(st.sampled_from(("engagement_score", "customer.engagement_score"))), operator, value)


@st.composite
def performed(draw: st.DrawFn) -> Comparison:
    value: Json = {"event_type": "t", "min_count": draw(st.integers(1, 3)), "within_hours": draw(hours)}
    return compare(None, draw(st.sampled_from(("performed", "not_performed"))), value)


leaves = st.one_of(ages(), arrivals(), falls(), performed(), st.just(compare("x", "exists", None)))
conditions: st.SearchStrategy[Condition] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda parts: AllOf(all=tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(lambda parts: AnyOf(any=tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(lambda part: Negation(negated=part), inner),
    ),
    max_leaves=4,
)


@st.composite
def instants_near_an_edge(draw: st.DrawFn) -> Millis:
    """Draw an instant that one of the windows above leaves behind while time is stepped through."""
    return NOW + draw(offsets) - round(draw(hours) * HOUR_MS)


@st.composite
def customers(draw: st.DrawFn) -> Customer:
    ada = Customer(customer_id="ada")
    ada.last_activity = draw(st.none() | instants_near_an_edge())
    ada.first_seen = draw(st.none() | instants_near_an_edge())
    if draw(st.booleans()):
        ada.last["page_viewed"] = draw(instants_near_an_edge())
    for name in draw(st.sets(st.sampled_from(("x", "y", "now", "engagement_score")), max_size=2)):
        instant = draw(instants_near_an_edge())
        ada.attributes[name] = draw(st.sampled_from((instant, format_instant(instant), "no time", 20, None)))
    ada.score = draw(st.sampled_from((0.0, -5.0, 2e-6, 20.000002, 20.000001, 50.1000004, 100.0000004, 130.0)))
    ada.score_at = draw(st.none() | st.integers(-5, 5).map(lambda offset: NOW + offset * 100))
    return ada


def flips_of(flip: Flip | None, scene: Scene, until: Millis) -> list[Millis]:
    """Follow the flips from the scene's instant on."""
    found: list[Millis] = []
    while flip is not None and (at := flip(scene)) is not None and at <= until:
        assert at > scene.now
        found.append(at)
        scene.now = at
    return found


@settings(max_examples=1_000, deadline=None)
@given(
    condition=st.one_of(leaves, conditions),
    ada=customers(),
    instants=st.lists(instants_near_an_edge(), max_size=5),
    data=st.data(),
)
def test_the_answer_changes_at_no_instant_but_a_flip(
    condition: Condition, ada: Customer, instants: list[Millis], data: st.DataObject
) -> None:
    half_life_ms = data.draw(st.sampled_from((37.5, 14 * 24.0 * HOUR_MS)))
    clauses = Clauses()
    test, flip = compile_condition(condition, clauses), compile_flip(condition, clauses)
    for clause in clauses:
        for instant in instants:
            remember(ada, clause, instant)
    scene = Scene(customer=ada, now=NOW, half_life_ms=half_life_ms)
    flips = flips_of(flip, scene, NOW + STEPS)
    assert scene.warnings == []
    assert len(flips) <= 60
    scene.now = NOW
    before = test(scene)
    for now in range(NOW + 1, NOW + STEPS + 1):
        scene.now = now
        after = test(scene)
        assert after is before or now in flips
        before = after


@given(
    value=st.floats(0.000001, 5_000),
    limit=st.one_of(st.sampled_from((0, 0.000001, 20, 50.1, 99.999999, 100)), st.floats(0, 100)),
    ago=st.integers(0, 10**10),
    half_life_ms=st.sampled_from((1.0, 1_000.0, HOUR_MS * 1.0, 14 * 24.0 * HOUR_MS, 876_000.0 * HOUR_MS)),
    operator=st.sampled_from(("gt", "gte", "lt", "lte")),
)
def test_a_falling_score_flips_exactly_where_it_passes_the_limit(
    value: float, limit: float, ago: int, half_life_ms: float, operator: Operator
) -> None:
    ada = Customer(customer_id="ada", score=value, score_at=NOW - ago)
    condition = compare("engagement_score", operator, limit)
    test, flip = compile_condition(condition, Clauses()), compile_flip(condition, Clauses())
    scene = Scene(customer=ada, now=NOW, half_life_ms=half_life_ms)
    now_so = test(scene)
    assert flip is not None
    at = flip(scene)
    if at is None:
        scene.now = LATEST
        assert test(scene) is now_so
        return
    scene.now = at - 1
    assert test(scene) is now_so
    scene.now = at
    assert test(scene) is not now_so
