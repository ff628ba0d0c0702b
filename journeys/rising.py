"""What one event has moved: the score and the session's numbers, and the triggers whose thresholds they have reached.

The score is compared before and after the event, both as of the decision's time, so that what fades meanwhile
moves nothing. Where the CRM has set an attribute of that name, it is the attribute that is compared, and the
firing says so.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from journeys.catalogue import CompiledTrigger, Rises
from journeys.fields import OVERRIDE
from journeys.scene import Scene
from journeys.scoring import DIGITS, read_score
from journeys.thresholds import Metric, SessionLevels, confidence, reached, session_levels, session_moves
from schemas.customer import Customer
from schemas.events import Json
from schemas.instants import Millis

_LAST_DIGIT: Final = 10.0**-DIGITS
_NO_SESSION: Final = SessionLevels(None)
_SCORE_ALONE: Final = {"engagement_score": 0}.keys()


class Levels(Struct, frozen=True):
    """What thresholds look at, as it was before an event."""

    total: float
    total_at: Millis | None
    attribute: Json
    session: SessionLevels


class Rise(Struct, frozen=True, kw_only=True):
    """A threshold that an event has reached."""

    trigger: CompiledTrigger
    confidence: float
    detail: dict[str, Json]
    warnings: tuple[str, ...] = ()


def levels(customer: Customer, rises: Mapping[Metric, Rises]) -> Levels:
    """Take down what an event may move, as far as a trigger asks for it."""
    attribute = customer.attributes.get("engagement_score")
    session = _NO_SESSION if rises.keys() == _SCORE_ALONE else session_levels(customer)
    return Levels(customer.score, customer.score_at, attribute, session)


def rises_of(scene: Scene, before: Levels, rises: Mapping[Metric, Rises]) -> dict[str, Rise]:
    """Return what the event has reached, by the trigger's key."""
    found: dict[str, Rise] = {}
    scores = rises.get("engagement_score")
    if scores is not None:
        _collect(found, "engagement_score", scores, _score_move(scene, before, scores.leasts[0]))
    if before.session is not _NO_SESSION:
        for metric, low, high in session_moves(before.session, scene.customer):
            if metric in rises:
                _collect(found, metric, rises[metric], (low, high, ()))
    return found


Move = tuple[float, float, tuple[str, ...]]


def _collect(found: dict[str, Rise], metric: Metric, rises: Rises, move: Move | None) -> None:
    if move is None:
        return
    low, high, warnings = move
    for position in reached(rises.leasts, low, high):
        trigger, least = rises.triggers[position], rises.leasts[position]
        detail: dict[str, Json] = {"metric": metric, "threshold": least, "before": low, "value": high}
        found[trigger.key] = Rise(trigger=trigger, confidence=confidence(high, least), detail=detail, warnings=warnings)


def _score_move(scene: Scene, before: Levels, lowest: float) -> Move | None:
    """Return the score before and after the event, or None where it can't have reached anything."""
    customer, now, half_life_ms = scene.customer, scene.now, scene.half_life_ms
    attribute = customer.attributes.get("engagement_score")
    # Time only lowers a sum above 0, so most events are done here.
    if attribute is None and before.attribute is None and customer.score < lowest - _LAST_DIGIT:
        return None
    low = _score(before.attribute, before.total, before.total_at, now, half_life_ms)
    high = _score(attribute, customer.score, customer.score_at, now, half_life_ms)
    if low is None or high is None:
        return None
    return low, high, () if attribute is None else (OVERRIDE,)


def _score(attribute: Json, total: float, at: Millis | None, now: Millis, half_life_ms: float) -> float | None:
    """Return the score, or the attribute that stands in for it; None where that is no number."""
    if attribute is None:
        return read_score(total, at, now, half_life_ms)
    return float(attribute) if isinstance(attribute, int | float) and not isinstance(attribute, bool) else None
