"""Where a decision goes on."""

import pytest

from journeys.branching import share_of, shares_end
from schemas.events import Json
from tests.journey import Document, Journey, decision, is_, wait, workflow

WAYS = ("x", "y", "z")


def way(kind: str, *, before: Document | None = None, **configuration: Json) -> tuple[Json, Json]:
    """Run one decision; return its result and what comes next."""
    journey = Journey(workflow(decision("d", kind, **configuration), *[wait(name, duration_hours=1) for name in WAYS]))
    if before is not None:
        journey.publish("customer_updated", envelope={"properties": before})
    journey.publish("signup", 1)
    detail = journey.decisions("step_completed")[0].detail or {}
    return detail["result"], detail["next"]


def rule(name: str, next_step: str) -> Document:
    return {"rule": is_(name, "eq", value=True), "next_step": next_step}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [({"a": True, "b": True}, ("matched", ["x"])), ({"b": True}, ("matched", ["y"])), ({}, ("default", ["z"]))],
)
def test_the_first_rule_that_holds_else_the_default(attributes: Document, expected: tuple[str, list[str]]) -> None:
    rules: list[Json] = [rule("a", "x"), rule("b", "y")]
    before: Document = {"attributes": attributes}
    assert way("condition", before=before, conditions=rules, default_next_step="z") == expected


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (19.999999, ("default", ["z"])),
        (20, ("reached", ["x"])),
        (49.999999, ("reached", ["x"])),
        (50, ("reached", ["y"])),
        (100, ("reached", ["y"])),
        ("50", ("default", ["z"])),
        (True, ("default", ["z"])),
    ],
)
def test_the_highest_threshold_reached_counts_in_whatever_order_they_stand(
    score: Json, expected: tuple[str, list[str]]
) -> None:
    for thresholds in ([(20, "x"), (50, "y")], [(50, "y"), (20, "x")]):
        listed: list[Json] = [{"min_score": least, "next_step": name} for least, name in thresholds]
        before: Document = {"attributes": {"engagement_score": score}}
        assert way("score_based", before=before, thresholds=listed, default_next_step="z") == expected


def test_a_score_that_an_attribute_stands_in_for_is_said_so() -> None:
    thresholds: list[Json] = [{"min_score": 1, "next_step": name} for name in WAYS[:1]]
    fork = decision("d", "score_based", thresholds=thresholds, default_next_step="y")
    journey = Journey(workflow(fork, wait("x", duration_hours=1), wait("y", duration_hours=1)))
    journey.publish("customer_updated", attributes={"engagement_score": 5})
    journey.publish("signup", 1)
    assert "warnings" in (journey.decisions("step_completed")[0].detail or {})


def test_the_first_segment_that_she_is_in_else_the_default() -> None:
    segments: list[Json] = [{"segment_id": "vip", "next_step": "x"}]
    fork = decision("d", "segment_check", segments=segments, default_next_step="y")
    journey = Journey(
        workflow(fork, wait("x", duration_hours=1), wait("y", duration_hours=1), allow_multiple_executions=True)
    )
    journey.publish("signup")
    journey.publish("segment_entered", 1, segment_id="vip")
    journey.publish("signup", 2)
    assert [(one.detail or {})["result"] for one in journey.decisions("step_completed")] == ["default", "member"]


@pytest.mark.parametrize(
    ("weights", "place", "expected"),
    [
        *[((1, 2, 1), place, 0) for place in (0.0, 0.2499)],
        *[((1, 2, 1), place, 1) for place in (0.25, 0.7499)],
        *[((1, 2, 1), place, 2) for place in (0.75, 0.9999)],
        ((0.1, 0.2, 0.7), 0.0999, 0),
        ((0.1, 0.2, 0.7), 0.1, 1),
        ((0.1, 0.2, 0.7), 0.2999, 1),
        ((0.1, 0.2, 0.7), 0.3, 2),
        ((1, 1, 1), 0.3333, 0),
        ((1, 1, 1), 0.3334, 1),
        ((1, 1, 1), 0.6666, 1),
        ((1, 1, 1), 0.6667, 2),
        ((5,), 0.9999, 0),
        ((0.0, 1.0), 0.0, 1),
        ((1.0, 0.0), 0.9999, 0),
    ],
)
def test_a_share_holds_its_places_start_included_end_not(
    weights: tuple[float, ...], place: float, expected: int
) -> None:
    assert share_of(shares_end(weights), place) == expected


def test_a_split_takes_the_same_way_every_time() -> None:
    variants: list[Json] = [{"name": name, "weight": 1, "next_step": name} for name in WAYS]
    results = {str(way("split_test", variants=variants)) for _ in range(3)}
    assert len(results) == 1
