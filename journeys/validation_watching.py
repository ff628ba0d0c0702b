"""Checks of what is kept up to date by itself: the conditions of segments, the rules of the lifecycle.

They are looked at without an event or an execution in view, and segments in an order in which each comes after those
that its condition asks for; so neither may they name what isn't in view, nor may segments ask for each other in a
circle. The stage comes before the segments, so its rules can ask only for segments whose members are given.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from journeys.conditions import comparisons
from journeys.operators import POSITIVE
from journeys.reads import OF_EVENTS, SEGMENTS
from journeys.watching import in_order
from schemas.definitions import AllOf, AnyOf, Comparison, Condition, Negation, Segment, StageRule
from schemas.problems import Problem, Spot, shown
from schemas.reading import Node

_OF_THE_CUSTOMER: Final = "a field of the customer, such as total_spent, attributes.plan or last_activity"


def check_watched(nodes: Sequence[Node], file: str, kept: Iterable[str]) -> Iterator[Problem]:
    """Check the conditions of one document that are kept up to date.

    Args:
        nodes: its sound parts.
        file: its name.
        kept: the ids of the segments that have a condition.
    """
    for node in nodes:
        spot = Spot(file, node.path)
        match node.value:
            case Segment(condition=AllOf() | AnyOf() | Negation() | Comparison() as condition):
                yield from _check_view(condition, spot.under("condition"), "a segment")
            case StageRule(when=condition):
                yield from _check_view(condition, spot.under("when"), "a lifecycle rule")
                yield from _check_order(condition, spot.under("when"), frozenset(kept))


def _check_view(condition: Condition, spot: Spot, what: str) -> Iterator[Problem]:
    for path, comparison in comparisons(condition):
        field = _field_of(comparison)
        root = field.partition(".")[0]
        if root in OF_EVENTS and "." in field:
            place = Spot(spot.file, f"{spot.path}{path}").under("field")
            yield place.wrong(f"{shown(field)} has no value for {what}: no {root} is in view", _OF_THE_CUSTOMER)
        if field == SEGMENTS:
            place = Spot(spot.file, f"{spot.path}{path}").under("field")
            yield place.wrong(f"{shown(field)} can't be read by {what}", "in_segment, with the id of a segment")


def _field_of(comparison: Comparison) -> str:
    field = comparison.field or ""
    while field.startswith("customer."):
        field = field.removeprefix("customer.")
    return field


def _check_order(condition: Condition, spot: Spot, kept: frozenset[str]) -> Iterator[Problem]:
    for path, comparison in comparisons(condition):
        is_membership = POSITIVE.get(comparison.operator, comparison.operator) == "in_segment"
        if is_membership and comparison.value in kept:
            place = Spot(spot.file, f"{spot.path}{path}").under("value")
            message = (
                f"the members of {shown(comparison.value)} come by a condition, which is looked at after the stage"
            )
            yield place.wrong(message, "what that condition says, or a segment without one")


def check_circles(segments: Sequence[tuple[Segment, Spot]]) -> Iterator[Problem]:
    """Refuse segments whose conditions ask for each other in a circle."""
    sound = {one.id for one in in_order(segment for segment, _ in segments)}
    for segment, spot in segments:
        if segment.id not in sound:
            others = sorted(one.id for one, _ in segments if one.id not in sound and one.id != segment.id)
            with_whom = f"itself, by way of {', '.join(others[:5])}" if others else "itself"
            place = spot.under("condition")
            yield place.wrong(f"asks for {with_whom}", "segments that don't lead back to this one")
