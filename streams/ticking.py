"""When the owner of a partition writes a record that brings time by: as soon as anything is due, and not too often.

The record goes out in a transaction of the worker, so that an owner who was fenced can't write it,
and comes back as any other: time has its place in the log, behind what was appended before. It says an instant no later
than the sources have been read to, or a timer would overtake the event that cancels it.
"""

import math
from collections.abc import Callable
from typing import Final

from streams.fold import Fold, Output

TICK_EVERY_S: Final = 0.05
"""Between two of a partition: what falls due within goes together."""
LOOK_AGAIN_S: Final = 0.01
"""Where only the sources' next word is missing."""
WORD_MS: Final = 1_000
"""Sources that are further behind are more than a word behind."""


class Ticking:
    """The pace of one partition's ticks."""

    def __init__(self, fold: Fold, *, clock: Callable[[], int], horizon: Callable[[], int]) -> None:
        """Begin; nothing has been written yet.

        Args:
            fold: says what is due.
            clock: now in epoch milliseconds.
            horizon: up to when everything that was published is in the log, in epoch milliseconds.
        """
        self._fold = fold
        self._clock = clock
        self._horizon = horizon
        self._wrote_at = -math.inf

    def wait_s(self, at_s: float) -> float:
        """Return in how many seconds to ask for a record, if nothing comes before; infinity for never.

        Args:
            at_s: a time that never goes back, in seconds; `take` is given the same.
        """
        due_at = self._fold.next_time()
        if due_at is None:
            return math.inf
        clock = self._clock()
        pause_s = self._wrote_at + TICK_EVERY_S - at_s
        if (until := self._until(clock)) < due_at <= clock:
            # The sources are behind: nobody tells when they no longer are.
            pause_s = max(pause_s, LOOK_AGAIN_S if clock - until < WORD_MS else TICK_EVERY_S)
        return max(pause_s, (due_at - clock) / 1000, 0.0)

    def take(self, at_s: float) -> Output | None:
        """Return the record to be written now; None where it isn't time, or nothing is due."""
        if at_s < self._wrote_at + TICK_EVERY_S:
            return None
        clock = self._clock()
        record = self._fold.time_record(self._until(clock), clock)
        if record is not None:
            self._wrote_at = at_s
        return record

    def _until(self, clock: int) -> int:
        return min(clock, self._horizon())
