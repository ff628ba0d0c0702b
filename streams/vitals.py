"""Whether the process lives and is of use, in words and from another thread than the one that works.

The working loop notes, every few seconds, how long there has been work without progress. A thread of its own looks at
these notes, and at how long none has come: a loop that doesn't come round any more can't say so itself, and its
heartbeats go on all the same, so that nobody would take its partitions. At the limit it is said, and `live` is false
for whoever asks; a little later the process ends hard, so that its supervisor starts it again.

Seconds are counted by waiting, not by a clock: a process that was frozen and woken again isn't stuck.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Final, Literal

from faust.types import TP

from streams.hard_stop import stop_hard
from streams.meters import Meters, Place

log = logging.getLogger("tidings.streams")

STUCK_AFTER_S: Final = 30.0
END_AFTER_S: Final = 5.0
"""Behind the limit: long enough for a probe to see why."""
LOOK_EVERY_S: Final = 0.5
NOTED_EVERY_S: Final = 2.0
"""So often the loop notes; silence begins behind it."""

State = Literal["starting", "joining", "recovering", "working", "stopping"]


class Vitals:
    """What is known of the life of one process; written by its loop, read by others."""

    def __init__(
        self,
        meters: Meters | None = None,
        *,
        limit_s: float = STUCK_AFTER_S,
        end_after_s: float = END_AFTER_S,
        stop: Callable[[str], object] = stop_hard,
    ) -> None:
        """Begin before the start.

        Args:
            meters: where what is noted is shown.
            limit_s: so long there may be work without progress, or a loop that doesn't come round.
            end_after_s: behind the limit, when the process is ended.
            stop: ends the process.
        """
        self.meters = meters or Meters()
        self.state: State = "starting"
        self.stuck: str | None = None
        """Why the process isn't live, in words; None while it is."""
        self.places: dict[TP, Place] = {}
        self.recovering = 0
        self.on_note: Callable[[frozenset[TP]], object] = lambda _: None
        """Called in the loop at each note, with the partitions that are ours and read."""
        self._limit_s = limit_s
        self._end_after_s = end_after_s
        self._stop = stop
        self._notes = 0
        self._noted_s = 0.0
        self._noted_on = ""
        self._ended = threading.Event()
        self._working_thread = threading.get_ident()

    def note(self, places: dict[TP, Place], recovering: int | None, stuck_s: float, stuck_on: str) -> None:
        """Note how it stands; called by the loop every `NOTED_EVERY_S`.

        Args:
            places: how far each partition is that is read.
            recovering: how many partitions are ours and aren't read yet; None before any were assigned.
            stuck_s: for how long there has been work without progress, in seconds.
            stuck_on: which work that is, as a sentence.
        """
        for lost in self.places.keys() - places.keys():
            self.meters.forget(lost)
        self.places, self.recovering = places, recovering or 0
        if self.state != "stopping":
            self.state = "joining" if recovering is None else "recovering" if recovering else "working"
        self._noted_s, self._noted_on = stuck_s, stuck_on
        self._notes += 1
        self.meters.partitions.set(len(places) + self.recovering)
        self.meters.recovering.set(self.recovering)
        self.on_note(frozenset(places))

    def watch(self) -> None:
        """Begin to look, in a thread of its own; the calling thread is the one that is looked at."""
        self._working_thread = threading.get_ident()
        threading.Thread(target=self._look_on, name="watchdog", daemon=True).start()

    def end(self) -> None:
        """Look no more: the process is about to stop, and has its own deadline for that."""
        self.state = "stopping"
        self._ended.set()

    def _look_on(self) -> None:
        seen, silent_s = -1, 0.0
        while not self._ended.wait(LOOK_EVERY_S):
            silent_s = silent_s + LOOK_EVERY_S if seen == self._notes else 0.0
            seen = self._notes
            self.judge(max(0.0, silent_s - NOTED_EVERY_S))

    def judge(self, silent_s: float) -> None:
        """Say at the limit that there is no progress, and end the process a little behind it.

        Args:
            silent_s: for how long no note has come that should have.
        """
        stuck_s = self._noted_s + silent_s
        self.meters.stuck_seconds.set(stuck_s)
        if stuck_s <= self._limit_s:
            if self.stuck is not None:
                log.warning("it goes on again")
            self.stuck = None
            return
        on = f"the loop doesn't come round ({self._whereabouts()})" if silent_s > 0 else self._noted_on
        if self.stuck is None:
            log.error("no progress for %.0f s: %s", stuck_s, on)
        self.stuck = f"no progress for {stuck_s:.0f} s: {on}"
        if stuck_s > self._limit_s + self._end_after_s and not self._ended.is_set():
            self._stop(self.stuck)

    def _whereabouts(self) -> str:
        """Say in which function the working thread is: a place in the program, and nothing of what it works on."""
        frame = sys._current_frames().get(self._working_thread)
        if frame is None:
            return "its thread is gone"
        last = traceback.extract_stack(frame, limit=1)[0]
        return f"in {last.name}, {last.filename.rpartition('/')[2]}:{last.lineno}"
