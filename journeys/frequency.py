"""Counting events in a sliding window of event time, exact also when they arrive out of order.

A trigger keeps the instants of its events. An event at t fires when a window that ends with it, or with an
event less than a window later, rises from one less to exactly the wanted number; for events that arrive in
order only the first of these can happen.

What is kept is bounded, and events in order are always counted exactly. For late ones, an event in the middle of a
burst can be forgotten without a trace: if as many as are wanted lie on either side of it within one window, every
window that holds it holds more than are wanted, with it or without it. Only where that frees nothing do the oldest
go. Windows that reach back beyond them can't be counted any more, and fire nothing.
"""

from bisect import bisect_left, bisect_right, insort
from typing import Final

from schemas.instants import Millis

SPARE_FOR_LATE_EVENTS: Final = 16
"""Kept beyond the two windows' worth that events in order need, for those that come late."""


def count_raises(
    instants: list[Millis], at: Millis, window_ms: int, wanted: int, forgotten: Millis | None = None
) -> bool:  # fmt: skip
    """Insert an event and tell whether it raised a window to exactly `wanted` events.

    Args:
        instants: the remembered events, oldest first; changed in place.
        at: when the event occurred.
        window_ms: length of the window; its start is excluded, its end included.
        wanted: the number of events, at least 1.
        forgotten: the newest event before all those that are remembered, if there was one.
    """
    if not instants or at >= instants[-1]:
        instants.append(at)
        known, start = len(instants), at - window_ms
        # Exactly so many lie behind the window's start when the oldest of them does, and the one before it doesn't.
        return known >= wanted and instants[-wanted] > start and (known == wanted or instants[-wanted - 1] <= start)
    insort(instants, at)
    return any(
        bisect_right(instants, end) - bisect_right(instants, end - window_ms) == wanted
        for end in _ends(instants, at, window_ms)
        if forgotten is None or end - window_ms >= forgotten
    )


def most(wanted: int) -> int:
    """Return how many are kept until some are forgotten: many at once, so that looking for them costs little."""
    return 2 * wanted + SPARE_FOR_LATE_EVENTS + max(wanted, SPARE_FOR_LATE_EVENTS)


def forget(instants: list[Millis], window_ms: int, wanted: int) -> Millis | None:
    """Forget events that late ones can do without: those in the middle of bursts, then the oldest.

    Returns:
        The newest of the oldest that had to go, or None.
    """
    surplus = len(instants) - 2 * wanted - SPARE_FOR_LATE_EVENTS
    start = 0
    while surplus > 0 and start + 2 * wanted < len(instants):
        end = bisect_right(instants, instants[start] + window_ms)
        spare = min(surplus, end - start - 2 * wanted)
        if spare > 0:
            del instants[start + wanted : start + wanted + spare]
            surplus -= spare
        start += 1
    if surplus <= 0:
        return None
    newest = instants[surplus - 1]
    del instants[:surplus]
    return newest


def _ends(instants: list[Millis], at: Millis, window_ms: int) -> list[Millis]:
    """List the instants at which a window that holds the event ends: its own, and those of later events."""
    return sorted(set(instants[bisect_left(instants, at) : bisect_left(instants, at + window_ms)]))
