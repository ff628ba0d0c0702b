"""Thresholds: which of them a value has reached from below, by one event, and how sure a firing is.

A trigger with a threshold fires on the edge: the value was below it before the event and isn't afterwards. So it
fires once for each rise, needs no memory, and a value that was above it when the trigger was activated fires
nothing. The thresholds of one value lie in order; what an event has moved is found by two searches, however many
there are.

**`confidence_score`** says how clear a firing is, from 0 to 1. Where the condition either holds or doesn't (an event,
a sequence, a number of events that is met exactly, a silence, an absence, a change), it is 1. Where a value can be
beyond a threshold, it is one half at the threshold itself, and grows in proportion to 1 at twice the threshold:

    confidence_score = min(1, value / (2 · threshold)), rounded to 6 decimals
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from schemas.customer import Customer, Session
from schemas.instants import MINUTE_MS

Metric = Literal["engagement_score", "events", "pages", "duration_minutes"]
SESSION_METRICS: Final[tuple[Metric, ...]] = ("events", "pages", "duration_minutes")
CERTAIN: Final = 1.0
_DIGITS: Final = 6


class Threshold(Struct, frozen=True, kw_only=True):
    """What has to be reached; `least` is above 0."""

    metric: Metric
    least: float


SessionLevels = tuple[Session | None, int, int, float]
"""The session's numbers as they were before an event, in the order of `SESSION_METRICS`; a plain tuple, made for every
event."""
NO_SESSION: Final[SessionLevels] = (None, 0, 0, 0.0)


def confidence(value: float, least: float) -> float:
    """Return how sure a firing is, by how far the value is past the threshold."""
    return min(CERTAIN, round(value / (2 * least), _DIGITS))


def reached(leasts: Sequence[float], before: float, after: float) -> range:
    """Return the positions of the thresholds, in ascending order, that lie above `before` and not above `after`."""
    return range(bisect_right(leasts, before), bisect_right(leasts, after))


def session_levels(customer: Customer) -> SessionLevels:
    """Return the numbers of the latest session; all 0 where there is none."""
    session = customer.session
    if session is None:
        return NO_SESSION
    return session, session.events, session.pages, (session.last_at - session.started_at) / MINUTE_MS


def session_moves(before: SessionLevels, after: SessionLevels) -> list[tuple[Metric, float, float]]:
    """Return what an event has lifted of the latest session: the metric, its value before and after."""
    if after[0] is not before[0]:
        before = NO_SESSION
    moves: list[tuple[Metric, float, float]] = [
        ("events", before[1], after[1]),
        ("pages", before[2], after[2]),
        ("duration_minutes", before[3], after[3]),
    ]
    return [move for move in moves if move[2] > move[1]]
