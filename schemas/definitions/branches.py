"""Decisions: where a path goes on."""

from msgspec import Struct

from schemas.definitions.conditions import Condition
from schemas.definitions.words import Name, Positive


class Branch(Struct, frozen=True, kw_only=True):
    """A rule, and where the path goes if it is the first that holds."""

    rule: Condition
    """The condition of the branch."""
    next_step: Name
    """The step that follows."""


class ConditionDecision(Struct, frozen=True, kw_only=True, tag_field="type", tag="condition"):
    """The first branch whose rule holds, else the default; neither: the path ends."""

    conditions: tuple[Branch, ...]
    """Branches; the first whose rule holds is taken."""
    default_next_step: Name | None = None
    """The step that follows when nothing else fits; without one the path ends."""


class Variant(Struct, frozen=True, kw_only=True):
    """One way of a split."""

    name: Name
    """Its name in decisions."""
    weight: Positive
    """Its share, in proportion to the weights of the others."""
    next_step: Name
    """The step that follows."""


class SplitTest(Struct, frozen=True, kw_only=True, tag_field="type", tag="split_test"):
    """By weight, the same customer always the same way."""

    variants: tuple[Variant, ...]
    """The ways, with their weights."""


class Threshold(Struct, frozen=True, kw_only=True):
    """A score from which on the path goes to `next_step`."""

    min_score: float
    """The score from which on this way is taken."""
    next_step: Name
    """The step that follows."""


class ScoreBased(Struct, frozen=True, kw_only=True, tag_field="type", tag="score_based"):
    """The highest threshold reached, else the default."""

    thresholds: tuple[Threshold, ...]
    """The highest reached is taken."""
    score_field: Name = "engagement_score"
    """The field whose value is compared."""
    default_next_step: Name | None = None
    """The step that follows when nothing else fits; without one the path ends."""


class SegmentBranch(Struct, frozen=True, kw_only=True):
    """A segment, and where its members go."""

    segment_id: Name
    """The id of the segment."""
    next_step: Name
    """The step that follows."""


class SegmentCheck(Struct, frozen=True, kw_only=True, tag_field="type", tag="segment_check"):
    """The first segment that the customer is in, else the default."""

    segments: tuple[SegmentBranch, ...]
    """Branches; the first whose segment holds the customer is taken."""
    default_next_step: Name | None = None
    """The step that follows when nothing else fits; without one the path ends."""


DecisionConfiguration = ConditionDecision | SplitTest | ScoreBased | SegmentCheck
