"""What a condition reads and what an event touches, as names; where the two don't meet, nothing is looked at again.

A name is either that of a change (an attribute, an address, `preferences.…`, `lifecycle_stage`, `segments.…`, as
decisions list them) or that of a part of the history which events move without saying so, written with a `#`.
A condition may be said to read more than it does, never less: an attribute stands in for a computed field of its
name, an object for what lies in it, and the zone for every date.
"""

from collections.abc import Iterator
from typing import Final

from journeys.conditions import comparisons, read_performed
from journeys.operators import POSITIVE
from journeys.profile import ENGAGED, PURCHASES
from schemas.definitions import Comparison, Condition
from schemas.events import Stream

ZONE: Final = "preferences.timezone"
SEGMENTS: Final = "segments"
ANY_EVENT: Final = "#any"
ACTIVITY: Final = "#activity"
ENGAGEMENT: Final = "#engagement"
SESSION: Final = "#session"
SCORE: Final = "#score"
PURCHASE: Final = "#purchases"
OF_TYPE: Final = "#type."

_MOVED_BY_EVENTS: Final = {
    "first_seen": ANY_EVENT,
    "last_activity": ACTIVITY,
    "last_engagement": ENGAGEMENT,
    "engagement_score": SCORE,
    "total_purchases": PURCHASE,
    "total_spent": PURCHASE,
    "avg_order_value": PURCHASE,
}
_MADE_OF: Final = {"email_status": "email"}
"""Fields that another one decides on: a change lists that one alone."""
OF_EVENTS: Final = frozenset(("event", "trigger", "execution"))
"""Roots of fields that have a value only while an event or an execution is in view."""


def of_type(event_type: str) -> str:
    """Return the name of the history of one event type."""
    return OF_TYPE + event_type


def reads(condition: Condition) -> frozenset[str]:
    """Return the names of all that the condition's answer depends on, but for time."""
    return frozenset(name for _, comparison in comparisons(condition) for name in _read_by(comparison)) | {ZONE}


def _read_by(comparison: Comparison) -> Iterator[str]:
    positive = POSITIVE.get(comparison.operator, comparison.operator)
    if positive == "in_segment":
        yield f"{SEGMENTS}.{comparison.value}"
    elif positive == "performed":
        yield of_type(read_performed(comparison.value).event_type)
    else:
        assert comparison.field is not None  # noqa: S101 -- validation asks for it where the operator compares
        yield from _fields(comparison.field)


def _fields(path: str) -> Iterator[str]:
    root, _, rest = path.partition(".")
    if not rest:
        yield path
        if path in _MOVED_BY_EVENTS:
            yield _MOVED_BY_EVENTS[path]
        if path in _MADE_OF:
            yield _MADE_OF[path]
        return
    match root:
        case "customer":
            yield from _fields(rest)
        case "counts" | "last":
            yield of_type(rest)
        case "session":
            yield SESSION
        case "attributes":
            yield from _walked(rest)
        case "preferences":
            yield from (f"preferences.{name}" for name in _walked(rest))
        case _ if root not in OF_EVENTS:
            yield from _walked(path)


def _walked(path: str) -> tuple[str, str]:
    """Return the names under which a path into an object can lie: with its dots, or in the object it begins with."""
    return path, path.partition(".")[0]


def touched_by(event_type: str, stream: Stream, weight: float) -> frozenset[str]:
    """Return the names of the history that an event of this type moves."""
    names = {ANY_EVENT, of_type(event_type)}
    if weight:
        names.add(SCORE)
    if event_type in PURCHASES:
        names.add(PURCHASE)
    if event_type in ENGAGED:
        names |= {ACTIVITY, ENGAGEMENT}
    if stream == "behavioral":
        names |= {ACTIVITY, SESSION}
    return frozenset(names)


def segments_in(condition: Condition) -> Iterator[tuple[str, str]]:
    """Iterate over the segments that a condition asks for: the path of the comparison, and the segment's id."""
    for path, comparison in comparisons(condition):
        if POSITIVE.get(comparison.operator, comparison.operator) == "in_segment":
            yield path, str(comparison.value)
