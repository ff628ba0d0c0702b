"""Where a decision step goes on: the first rule, the split, the threshold or the segment."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final, assert_never

from msgspec import Struct

from journeys.conditions import Clauses, compile_condition
from journeys.fields import compile_field, plain
from journeys.scene import Scene
from schemas.definitions import (
    ConditionDecision,
    DecisionConfiguration,
    ScoreBased,
    SegmentCheck,
    SplitTest,
)
from schemas.events import Json
from schemas.identity import bucket


class Branching(Struct, frozen=True, kw_only=True):
    """The way taken: None ends the path."""

    result: str
    next_step: str | None
    detail: dict[str, Json] = {}


Choose = Callable[[Scene], Branching]


def compile_decision(configuration: DecisionConfiguration, salt: str, clauses: Clauses) -> Choose:
    """Compile the choice of a decision step.

    Args:
        configuration: a valid one.
        salt: what the place in a split depends on besides the customer.
        clauses: of the catalogue; conditions register here what has to be remembered.
    """
    match configuration:
        case ConditionDecision():
            return _compile_condition(configuration, clauses)
        case SplitTest():
            return _compile_split(configuration, salt)
        case ScoreBased():
            return _compile_score(configuration)
        case SegmentCheck():
            return _compile_segments(configuration)
        case _:
            assert_never(configuration)


def _default(next_step: str | None, detail: dict[str, Json]) -> Branching:
    return Branching(result="none" if next_step is None else "default", next_step=next_step, detail=detail)


def _compile_condition(configuration: ConditionDecision, clauses: Clauses) -> Choose:
    rules = [
        (
            compile_condition(entry.rule, clauses),
            Branching(result="matched", next_step=entry.next_step, detail={"rule": place}),
        )
        for place, entry in enumerate(configuration.conditions)
    ]
    otherwise = _default(configuration.default_next_step, {})

    def choose(scene: Scene) -> Branching:
        for test, way in rules:
            if test(scene):
                return way
        return otherwise

    return choose


# Splits -------------------------------------------------------------------------------------------------------

_DIGITS: Final = 9
"""Shares are summed as floats; rounded, 0.1 + 0.2 ends at 0.3, where the next share begins."""


def shares_end(weights: Sequence[float]) -> list[float]:
    """Return where the share of each weight but the last ends, of places from 0 up to but not including 1."""
    total, reached, ends = sum(weights), 0.0, []
    for weight in weights[:-1]:
        reached += weight
        ends.append(round(reached / total, _DIGITS))
    return ends


def share_of(ends: Sequence[float], place: float) -> int:
    """Return which share holds a place; a share's start belongs to it, its end doesn't."""
    return bisect_right(ends, place)


def split_id(workflow_id: str, step_id: str) -> str:
    """Return the salt of a split in a workflow, under which the customer's way is remembered."""
    return f"{workflow_id}:{step_id}"


def _compile_split(configuration: SplitTest, salt: str) -> Choose:
    ends = shares_end([variant.weight for variant in configuration.variants])
    ways = [
        Branching(result=variant.name, next_step=variant.next_step, detail={"variant": variant.name})
        for variant in configuration.variants
    ]
    by_name = {way.result: way for way in ways}

    def choose(scene: Scene) -> Branching:
        # Once gone, a way stands through changes of the weights.
        known = scene.customer.assignments.get(salt)
        if known is not None and known in by_name:
            return by_name[known]
        return ways[share_of(ends, bucket(scene.customer.customer_id, salt))]

    return choose


# Scores and segments ------------------------------------------------------------------------------------------


def _compile_score(configuration: ScoreBased) -> Choose:
    look, name, default = compile_field(configuration.score_field), configuration.score_field, configuration
    highest_first = sorted(configuration.thresholds, key=lambda threshold: -threshold.min_score)

    def choose(scene: Scene) -> Branching:
        score = plain(look(scene))
        if isinstance(score, bool) or not isinstance(score, int | float):
            scene.warn(f"{name} is no number")
            return _default(default.default_next_step, {})
        for threshold in highest_first:
            if score >= threshold.min_score:
                detail: dict[str, Json] = {"score": score, "min_score": threshold.min_score}
                return Branching(result="reached", next_step=threshold.next_step, detail=detail)
        return _default(default.default_next_step, {"score": score})

    return choose


def _compile_segments(configuration: SegmentCheck) -> Choose:
    ways = [
        (
            entry.segment_id,
            Branching(result="member", next_step=entry.next_step, detail={"segment_id": entry.segment_id}),
        )
        for entry in configuration.segments
    ]
    otherwise = _default(configuration.default_next_step, {})

    def choose(scene: Scene) -> Branching:
        for segment_id, way in ways:
            if segment_id in scene.customer.segments:
                return way
        return otherwise

    return choose
