"""The engagement score: a sum of event weights that halves every half-life, kept as (value, instant).

Exponential decay is the one forgetting that needs no history: the sum at any later instant is the sum now times
a power of one half (forward decay; Cormode et al., ICDE 2009). Each event contributes weight · 2^-(age / half-life)
whatever the order of arrival, so a late event adds what is left of its weight and leaves the instant alone. The
sum is never cut, or the order would matter; only the score that is read is.
"""

from collections.abc import Callable
from math import exp2, floor, log2
from operator import le, lt
from typing import Final

from schemas.customer import Customer
from schemas.definitions import Scoring
from schemas.events import MESSAGE_CHANNELS
from schemas.instants import LATEST, Millis

HIGHEST_SCORE: Final = 100.0
DIGITS: Final = 6
"""Scores are compared after rounding, so that the order of a sum of floats can't decide."""
_HALF_A_STEP: Final = 0.5 * 10**-DIGITS

_WEIGHTS_OF_ENGAGEMENT: Final = {
    "opened": 5.0,
    "clicked": 10.0,
    "replied": 15.0,
    "unsubscribed": -20.0,
    "complained": -50.0,
}
DEFAULT_WEIGHTS: Final[dict[str, float]] = {
    "page_viewed": 1.0,
    "product_viewed": 2.0,
    "product_added": 5.0,
    "cart_updated": 5.0,
    "checkout_started": 8.0,
    "content_downloaded": 8.0,
    "form_submitted": 8.0,
    "signup": 10.0,
    "order_completed": 25.0,
    **{f"{channel}_{what}": weight for channel in MESSAGE_CHANNELS for what, weight in _WEIGHTS_OF_ENGAGEMENT.items()},
}


def weights(scoring: Scoring) -> dict[str, float]:
    """Return the weight of each event type, the definition's laid over the defaults; other types weigh 0."""
    return {**DEFAULT_WEIGHTS, **scoring.weights}


def decayed(value: float, at: Millis, now: Millis, half_life_ms: float) -> float:
    """Return what is left at `now` of a value as of `at`; before `at` it is the value itself, never more."""
    return value if now <= at else value * exp2((at - now) / half_life_ms)


def add(
    value: float, at: Millis | None, weight: float, occurred_at: Millis, half_life_ms: float
) -> tuple[float, Millis]:
    """Add an event's weight to the sum.

    Args:
        value: the sum as of `at`.
        at: None while nothing was added yet.
        weight: of the event's type, any sign.
        occurred_at: before `at` for an event that came late.
        half_life_ms: above 0.

    Returns:
        The new sum and its instant, the later of the two.
    """
    if at is None:
        return weight, occurred_at
    if occurred_at >= at:
        return value * exp2((at - occurred_at) / half_life_ms) + weight, occurred_at
    return value + decayed(weight, occurred_at, at, half_life_ms), at


def score(customer: Customer, now: Millis, half_life_ms: float) -> float:
    """Return the customer's engagement score at `now`: 0 to 100, rounded to 6 decimals."""
    return read_score(customer.score, customer.score_at, now, half_life_ms)


def read_score(total: float, at: Millis | None, now: Millis, half_life_ms: float) -> float:
    """Return the score that a sum as of `at` reads as at `now`: cut to 0 to 100, rounded to 6 decimals."""
    if at is None:
        return 0.0
    value = total if now <= at else total * exp2((at - now) / half_life_ms)
    if value <= 0.0:
        return 0.0
    return round(value, DIGITS) if value < HIGHEST_SCORE else HIGHEST_SCORE


# Falling ------------------------------------------------------------------------------------------------------


def falls_to(customer: Customer, limit: float, now: Millis, half_life_ms: float) -> Millis | None:
    """Return the first instant after `now` at which the score is at most `limit`; None if it is so now, or never is."""
    return _first(customer, le, limit, now, half_life_ms)


def falls_below(customer: Customer, limit: float, now: Millis, half_life_ms: float) -> Millis | None:
    """Return the first instant after `now` at which the score is below `limit`; None if it is so now, or never is."""
    return _first(customer, lt, limit, now, half_life_ms)


def _first(
    customer: Customer, is_there: Callable[[float, float], bool], limit: float, now: Millis, half_life_ms: float
) -> Millis | None:
    """Find where the falling score crosses a limit, exactly.

    The decay, solved for the limit, gives the neighbourhood; within it the very score that conditions read, rounded
    and cut, is asked by bisection.
    """
    if is_there(score(customer, now, half_life_ms), limit) or not is_there(0.0, limit):
        return None
    guess = _neighbourhood(customer, limit, half_life_ms) - 2
    low = guess if now < guess <= LATEST and not is_there(score(customer, guess, half_life_ms), limit) else now
    step = 4
    while not is_there(score(customer, low + step, half_life_ms), limit):
        low, step = low + step, 2 * step
        if low > LATEST:
            return None
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_there(score(customer, middle, half_life_ms), limit) else (middle, high)
    return high if high <= LATEST else None


def _neighbourhood(customer: Customer, limit: float, half_life_ms: float) -> Millis:
    """Return about when the sum, above the limit now, has decayed to what rounds to it."""
    halvings = log2(customer.score / (limit + _HALF_A_STEP))
    return (customer.score_at or 0) + floor(min(halvings * half_life_ms, float(LATEST)))
