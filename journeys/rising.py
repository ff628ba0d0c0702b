"""What one event has moved: the score and the session's numbers, and the triggers whose thresholds they have reached.

The score is compared before and after the event, both as of the decision's time, so that what fades meanwhile
moves nothing. Where the CRM has set an attribute of that name, it is the attribute that is compared, and the
firing says so.
"""

from collections.abc import Mapping

from msgspec import Struct

from journeys.catalogue import Catalogue, CompiledTrigger, Rises
from journeys.fields import OVERRIDE
from journeys.scene import Scene
from journeys.scoring import read_score
from journeys.thresholds import Metric, SessionLevels, confidence, reached, session_levels, session_moves
from schemas.customer import Customer
from schemas.events import Event, Json
from schemas.instants import Millis

Levels = tuple[float, Millis | None, Json, SessionLevels | None]
"""What thresholds look at, as it was before an event: the sum of the score and its instant, the attribute that stands
in for the score, and the session, where a trigger asks for it. A plain tuple, made for every event."""


class Rise(Struct, frozen=True, kw_only=True):
    """A threshold that an event has reached."""

    trigger: CompiledTrigger
    confidence: float
    detail: dict[str, Json]
    warnings: tuple[str, ...]


def levels(customer: Customer, catalogue: Catalogue) -> Levels:
    """Take down what an event may move, as far as a trigger asks for it."""
    attributes = customer.attributes
    session = None if catalogue.lowest_of_session is None else session_levels(customer)
    return customer.score, customer.score_at, attributes.get("engagement_score") if attributes else None, session


def moves(customer: Customer, event: Event, weight: float, catalogue: Catalogue) -> bool:
    """Tell, before an event is learned from, whether it may lift anything to a threshold: the score, for little.

    Of what makes up the score, time only lowers what lies above 0, and a late event adds less than its weight.
    """
    if max(customer.score, 0.0) + max(weight, 0.0) >= catalogue.lowest_score:
        return True
    # Where an attribute stands in for the score, only the CRM moves it.
    return catalogue.lowest_of_session is not None or event.stream == "crm"


def may_rise(customer: Customer, catalogue: Catalogue) -> bool:
    """Tell, for little, whether an event can have reached anything: most can't."""
    # Time only lowers a sum above 0, so a sum below all thresholds is a score below them.
    if customer.score >= catalogue.lowest_score or "engagement_score" in customer.attributes:
        return True
    lowest, session = catalogue.lowest_of_session, customer.session
    if lowest is None or session is None:
        return False
    events, pages, lasted_ms = lowest
    return session.events >= events or session.pages >= pages or session.last_at - session.started_at >= lasted_ms


def rises_of(scene: Scene, before: Levels, rises: Mapping[Metric, Rises]) -> dict[str, Rise]:
    """Return what the event has reached, by the trigger's key."""
    found: dict[str, Rise] = {}
    scores, session = rises.get("engagement_score"), before[3]
    if scores is not None:
        _collect(found, "engagement_score", scores, _score_move(scene, before))
    if session is not None:
        for metric, low, high in session_moves(session, session_levels(scene.customer)):
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


def _score_move(scene: Scene, before: Levels) -> Move | None:
    """Return the score before and after the event, or None where one of them is no number."""
    customer, now, half_life_ms = scene.customer, scene.now, scene.half_life_ms
    total, total_at, attribute_before, _ = before
    attribute = customer.attributes.get("engagement_score")
    low = _score(attribute_before, total, total_at, now, half_life_ms)
    high = _score(attribute, customer.score, customer.score_at, now, half_life_ms)
    if low is None or high is None:
        return None
    return low, high, () if attribute is None else (OVERRIDE,)


def _score(attribute: Json, total: float, at: Millis | None, now: Millis, half_life_ms: float) -> float | None:
    """Return the score, or the attribute that stands in for it; None where that is no number."""
    if attribute is None:
        return read_score(total, at, now, half_life_ms)
    return float(attribute) if isinstance(attribute, int | float) and not isinstance(attribute, bool) else None
