"""Flips: which comparisons change by time alone, and exactly when."""

import pytest

from journeys.conditions import Clauses, compile_condition, remember
from journeys.flips import compile_flip
from journeys.scene import Scene
from schemas.customer import Customer
from schemas.definitions import AllOf, AnyOf, Comparison, Negation, Operator
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, LATEST

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def compare(field: str | None, operator: Operator, value: Json = None) -> Comparison:
    return Comparison(field=field, operator=operator, value=value)


def next_flip(condition: Comparison | AllOf | AnyOf | Negation, zone: str = "UTC", **customer: object) -> int | None:
    """Return when the condition flips next, since now."""
    flip = compile_flip(condition, Clauses())
    ada = Customer(customer_id="ada", **customer)  # type: ignore[arg-type]
    at = None if flip is None else flip(Scene(customer=ada, now=NOW, half_life_ms=float(DAY_MS), zone=zone))
    return None if at is None else at - NOW


@pytest.mark.parametrize(
    "condition",
    [
        compare("plan", "eq", "pro"),
        compare("last_activity", "before", "2030-01-01"),
        compare("last_activity", "exists"),
        compare("session.duration_minutes", "gte", 5),
        compare("counts.page_viewed", "gte", 5),
        compare("now", "exists"),
        compare("now", "starts_with", "2026"),
        compare("now", "eq", "soon"),
        compare("engagement_score", "exists"),
        compare("engagement_score", "eq", "20"),
        compare("engagement_score", "eq", value=True),
        compare(None, "in_segment", "vip"),
        compare(None, "performed", {"event_type": "t", "min_count": 2}),
        compare(None, "performed", {"event_type": "t", "where": {"field": "event.a", "operator": "exists"}}),
        AllOf(all=()),
        AnyOf(any=(compare("plan", "eq", "pro"), Negation(negated=compare("plan", "exists")))),
    ],
    ids=str,
)
def test_a_condition_without_time_in_it_compiles_to_no_flip(condition: Comparison | AllOf | AnyOf | Negation) -> None:
    assert compile_flip(condition, Clauses()) is None


@pytest.mark.parametrize(
    ("age", "expected"),
    [(0, HOUR_MS + 1), (HOUR_MS - 1, 2), (HOUR_MS, 1), (HOUR_MS + 1, None), (-1, HOUR_MS + 2)],
)
def test_within_hours_ends_one_millisecond_after_its_window(age: int, expected: int | None) -> None:
    condition = compare("last_activity", "within_hours", 1)
    assert next_flip(condition, last_activity=NOW - age) == expected
    assert next_flip(Negation(negated=condition), last_activity=NOW - age) == expected


def test_within_hours_of_a_field_that_is_no_instant_never_flips() -> None:
    assert next_flip(compare("last_activity", "within_hours", 1)) is None
    assert next_flip(compare("plan", "within_hours", 1), attributes={"plan": "pro"}) is None
    assert next_flip(compare("now", "within_hours", 1)) is None
    assert next_flip(compare("engagement_score", "within_hours", 1), score=50.0, score_at=NOW) is None


def test_an_instant_at_the_end_of_the_calendar_never_grows_old() -> None:
    assert next_flip(compare("x", "within_hours", 1), attributes={"x": LATEST}) is None


def test_a_date_grows_old_in_the_customers_zone() -> None:
    condition = compare("x", "within_hours", 48)
    attributes = {"x": "2025-12-31"}
    assert next_flip(condition, attributes=attributes) == DAY_MS + 1
    assert next_flip(condition, "Europe/Berlin", attributes=attributes) == DAY_MS - HOUR_MS + 1


def test_performed_ends_when_the_oldest_event_that_it_needs_leaves_the_window() -> None:
    condition = compare(None, "performed", {"event_type": "t", "min_count": 2, "within_hours": 1})
    clauses, ada = Clauses(), Customer(customer_id="ada")
    flip = compile_flip(condition, clauses)
    assert flip is not None
    (clause,) = clauses
    scene = Scene(customer=ada, now=NOW, half_life_ms=1.0)
    for at, expected in ((NOW - 30, None), (NOW - 20, NOW - 30 + HOUR_MS + 1), (NOW - 10, NOW - 20 + HOUR_MS + 1)):
        remember(ada, clause, at)
        assert flip(scene) == expected
    scene.now = NOW - 20 + HOUR_MS
    assert flip(scene) == NOW - 20 + HOUR_MS + 1
    scene.now += 1
    assert flip(scene) is None


@pytest.mark.parametrize("operator", ["gt", "gte", "lt", "lte", "before", "after", "eq", "ne"])
def test_now_flips_where_it_meets_a_constant_and_where_it_leaves_it(operator: Operator) -> None:
    assert next_flip(compare("now", operator, NOW + 5)) == 5
    assert next_flip(compare("now", operator, NOW)) == 1
    assert next_flip(compare("now", operator, NOW - 1)) is None
    assert next_flip(compare("customer.now", operator, "2026-01-02"), "America/New_York") == DAY_MS + 5 * HOUR_MS


def test_now_flips_at_every_end_and_member() -> None:
    assert next_flip(compare("now", "between", [NOW - 5, NOW])) == 1
    assert next_flip(compare("now", "between", [NOW + 3, NOW + 9])) == 3
    assert next_flip(compare("now", "in", [NOW - 5, float(NOW + 7), "2026-01-01T00:00:00.009Z"])) == 7


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        # 40 halves every day and is rounded to six decimals: it reads 20 for about 62 ms around the whole day.
        ("gt", 20, "reached"),
        ("lte", 20, "reached"),
        ("gte", 20, "left"),
        ("lt", 20, "left"),
        ("eq", 20, "reached"),
        ("ne", 20, "reached"),
        ("in", [20, 60], "reached"),
        ("not_in", [20.0], "reached"),
        ("between", [20, 60], "left"),
        ("between", [10, 20], "reached"),
    ],
)
def test_a_score_flips_where_it_falls_to_the_limit_or_below_it(operator: Operator, value: Json, expected: str) -> None:
    ada = Customer(customer_id="ada", score=40.0, score_at=NOW)
    condition = compare("engagement_score", operator, value)
    test, flip = compile_condition(condition, Clauses()), compile_flip(condition, Clauses())
    assert flip is not None
    scene = Scene(customer=ada, now=NOW, half_life_ms=float(DAY_MS))
    before = test(scene)
    at = flip(scene)
    while at is not None and test(scene) is before:
        scene.now = at
        at = flip(scene)
    assert test(scene) is not before
    assert (scene.now < NOW + DAY_MS) is (expected == "reached")
    assert abs(scene.now - NOW - DAY_MS) < 100
    scene.now -= 1
    assert test(scene) is before


def test_an_equality_ends_when_the_score_leaves_the_constant() -> None:
    ada = Customer(customer_id="ada", score=20.0, score_at=NOW)
    for operator in ("eq", "ne", "in", "not_in"):
        value: Json = [20] if operator.endswith("in") else 20
        flip = compile_flip(compare("engagement_score", operator, value), Clauses())
        assert flip is not None
        at = flip(Scene(customer=ada, now=NOW, half_life_ms=float(DAY_MS)))
        assert at is not None
        assert 1 <= at - NOW < 100


def test_an_attribute_in_place_of_the_score_doesnt_fall() -> None:
    condition = compare("engagement_score", "gte", 20)
    assert next_flip(condition, score=40.0, score_at=NOW, attributes={"engagement_score": 90}) is None
    at = next_flip(condition, score=40.0, score_at=NOW, attributes={"engagement_score": None})
    assert at is not None
    assert (
        next_flip(compare("engagement_score", "within_hours", 1), attributes={"engagement_score": NOW}) == HOUR_MS + 1
    )


@pytest.mark.parametrize(
    ("value", "limit"), [(40.0, 0), (40.0, 101), (10.0, 20), (0.0, 0), (-5.0, 0), (-5.0, -3), (40.0, -1)]
)
def test_a_score_that_is_below_or_can_never_get_there_never_flips(value: float, limit: float) -> None:
    assert next_flip(compare("engagement_score", "lt", limit), score=value, score_at=NOW) is None


def test_a_score_above_a_hundred_flips_when_its_sum_is_below_it() -> None:
    condition = compare("engagement_score", "lt", 100)
    at = next_flip(condition, score=200.0, score_at=NOW)
    assert at is not None
    assert abs(at - DAY_MS) < 100


def test_a_score_that_outlasts_the_calendar_never_flips() -> None:
    condition = compare("engagement_score", "lt", 20)
    flip = compile_flip(condition, Clauses())
    assert flip is not None
    ada = Customer(customer_id="ada", score=40.0, score_at=NOW)
    assert flip(Scene(customer=ada, now=NOW, half_life_ms=1e15)) is None


def test_of_several_flips_the_soonest_counts() -> None:
    first, second = compare("x", "within_hours", 1), compare("y", "within_hours", 2)
    both = AllOf(all=(second, AnyOf(any=(first, compare("plan", "exists")))))
    assert next_flip(both, attributes={"x": NOW, "y": NOW}) == HOUR_MS + 1
    assert next_flip(both, attributes={"y": NOW}) == 2 * HOUR_MS + 1
    assert next_flip(both) is None
