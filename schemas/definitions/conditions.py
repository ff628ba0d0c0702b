"""Conditions: comparisons, and all, any or none of them, nested at will."""

from typing import Literal

from msgspec import Struct

from schemas.definitions.words import Count, Name, Positive
from schemas.events import Json

Operator = Literal[
    "eq",
    "ne",
    "gt",
    "gte",
    "lt",
    "lte",
    "between",
    "in",
    "not_in",
    "contains",
    "not_contains",
    "starts_with",
    "ends_with",
    "matches",
    "exists",
    "not_exists",
    "within_hours",
    "not_within_hours",
    "before",
    "after",
    "in_segment",
    "not_in_segment",
    "performed",
    "not_performed",
]


class Comparison(Struct, frozen=True, kw_only=True):
    """`{field, operator, value}`; `in_segment` and `performed` need no field."""

    operator: Operator
    """How the field is compared."""
    field: Name | None = None
    """A dotted path; a bare name is an attribute or a computed field. `in_segment` and `performed` need none."""
    value: Json = None
    """What it is compared with: of `in_segment` the id of a segment, of `performed` `{event_type, min_count,
    within_hours, where}`; `exists` takes none."""


class AllOf(Struct, frozen=True, kw_only=True):
    """`{all: […]}`; an empty list holds."""

    all: tuple["Condition", ...]
    """Conditions that all have to hold."""


class AnyOf(Struct, frozen=True, kw_only=True):
    """`{any: […]}`; an empty list doesn't hold."""

    any: tuple["Condition", ...]
    """Conditions of which at least one has to hold."""


class Negation(Struct, frozen=True, kw_only=True):
    """`{not: …}`."""

    negated: "Condition"
    """The condition that must not hold."""


Condition = Comparison | AllOf | AnyOf | Negation


class Performed(Struct, frozen=True, kw_only=True):
    """The value of `performed`: at least `min_count` such events, within so many hours."""

    event_type: Name
    """The type of the events that are counted, the present one included."""
    min_count: Count = 1
    """How many there have to be."""
    within_hours: Positive | None = None
    """How many hours back they are counted; by default all that ever were."""
    where: Condition | None = None
    """What has to hold of each; it compares fields of the event (`event.…`) with constants."""
