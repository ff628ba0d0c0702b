"""In which order a customer's channels are used, and how far apart.

A `message` step uses one channel after another, in the order that the customer prefers; behind each message that was
actually sent lies the spacing of its channel. A refused one leaves none.
"""

from collections.abc import Mapping
from typing import Final

from schemas.decisions import Channel
from schemas.events import Json
from schemas.instants import HOUR_MS, Millis, span

DEFAULT_ORDER: Final[tuple[Channel, ...]] = ("email", "push", "sms", "social")
DEFAULT_SPACING_HOURS: Final[Mapping[Channel, float]] = {"email": 2, "sms": 6, "push": 1, "social": 4}


def channel_order(preferences: Mapping[str, Json]) -> tuple[Channel, ...]:
    """Return all channels in the customer's order; those that her `channel_priority` leaves out follow by default."""
    wanted = preferences.get("channel_priority")
    if not isinstance(wanted, list):
        return DEFAULT_ORDER
    first = [channel for name in wanted for channel in DEFAULT_ORDER if channel == name]
    return tuple(dict.fromkeys([*first, *DEFAULT_ORDER]))


def spacings(hours: Mapping[Channel, float]) -> dict[Channel, Millis]:
    """Return how much time passes behind a message of each channel; what is given is laid over the defaults."""
    return {channel: span(length * HOUR_MS) for channel, length in {**DEFAULT_SPACING_HOURS, **hours}.items()}
