"""Where a decision step goes on: the first rule, the split, the threshold or the segment."""

from msgspec import Struct

from journeys.catalogue import CompiledStep
from journeys.fields import compile_field, plain
from journeys.scene import Scene
from schemas.definitions import (
    ConditionDecision,
    DecisionConfiguration,
    ScoreBased,
    SegmentCheck,
    SplitTest,
    Variant,
)
from schemas.events import Json
from schemas.identity import bucket


class Branching(Struct, frozen=True, kw_only=True):
    """The way taken: None ends the path."""

    result: str
    next_step: str | None
    detail: dict[str, Json] = {}


def branch(step: CompiledStep, configuration: DecisionConfiguration, scene: Scene, workflow_id: str) -> Branching:
    """Choose the way on."""
    match configuration:
        case ConditionDecision():
            return _by_condition(step, configuration, scene)
        case SplitTest():
            return _by_split(configuration, scene.customer.customer_id, f"{workflow_id}:{step.id}")
        case ScoreBased():
            return _by_score(configuration, scene)
        case SegmentCheck():
            return _by_segment(configuration, scene)


def _default(next_step: str | None, detail: dict[str, Json]) -> Branching:
    return Branching(result="none" if next_step is None else "default", next_step=next_step, detail=detail)


def _by_condition(step: CompiledStep, configuration: ConditionDecision, scene: Scene) -> Branching:
    for position, (test, next_step) in enumerate(step.rules):
        if test(scene):
            return Branching(result="matched", next_step=next_step, detail={"rule": position})
    return _default(configuration.default_next_step, {})


def _by_split(configuration: SplitTest, customer_id: str, salt: str) -> Branching:
    chosen = choose_variant(configuration.variants, bucket(customer_id, salt))
    return Branching(result=chosen.name, next_step=chosen.next_step, detail={"variant": chosen.name})


def choose_variant(variants: tuple[Variant, ...], place: float) -> Variant:
    """Return the variant whose cumulative share of the weights holds the place (0 up to but not including 1)."""
    total = sum(variant.weight for variant in variants)
    reached = 0.0
    for variant in variants[:-1]:
        reached += variant.weight
        if place < reached / total:
            return variant
    return variants[-1]


def _by_score(configuration: ScoreBased, scene: Scene) -> Branching:
    score = plain(compile_field(configuration.score_field)(scene))
    if isinstance(score, bool) or not isinstance(score, int | float):
        scene.warn(f"{configuration.score_field} is no number")
        return _default(configuration.default_next_step, {})
    reached = [threshold for threshold in configuration.thresholds if score >= threshold.min_score]
    detail: dict[str, Json] = {"score": score}
    if not reached:
        return _default(configuration.default_next_step, detail)
    best = max(reached, key=lambda threshold: threshold.min_score)
    return Branching(result="reached", next_step=best.next_step, detail={**detail, "min_score": best.min_score})


def _by_segment(configuration: SegmentCheck, scene: Scene) -> Branching:
    for entry in configuration.segments:
        if entry.segment_id in scene.customer.segments:
            return Branching(result="member", next_step=entry.next_step, detail={"segment_id": entry.segment_id})
    return _default(configuration.default_next_step, {})
