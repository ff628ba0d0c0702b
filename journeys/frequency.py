"""Counting events in a sliding window of event time, exact also when they arrive out of order.

A trigger keeps the instants of its events. An event at t fires when a window that ends with it, or with an
event less than a window later, rises from one less to exactly the wanted number; for events that arrive in
order only the first of these can happen.
"""

from bisect import bisect_left, bisect_right, insort
from typing import Final

from schemas.instants import Millis

SPARE_FOR_LATE_EVENTS: Final = 16
"""Kept beyond the two windows' worth that events in order need, for those that come late."""


def count_raises(instants: list[Millis], at: Millis, window_ms: int, wanted: int) -> bool:
    """Insert an event and tell whether it raised a window to exactly `wanted` events.

    Args:
        instants: the remembered events, oldest first; changed in place and bounded.
        at: when the event occurred.
        window_ms: length of the window; its start is excluded, its end included.
        wanted: the number of events, at least 1.
    """
    if not instants or at >= instants[-1]:
        instants.append(at)
        raised = len(instants) - bisect_right(instants, at - window_ms) == wanted
    else:
        insort(instants, at)
        raised = any(
            bisect_right(instants, end) - bisect_right(instants, end - window_ms) == wanted
            for end in _ends(instants, at, window_ms)
        )
    surplus = len(instants) - 2 * wanted - SPARE_FOR_LATE_EVENTS
    if surplus > 0:
        del instants[:surplus]
    return raised


def _ends(instants: list[Millis], at: Millis, window_ms: int) -> list[Millis]:
    """List the instants at which a window that holds the event ends: its own, and those of later events."""
    return sorted(set(instants[bisect_left(instants, at) : bisect_left(instants, at + window_ms)]))
