"""The folds of a worker's partitions, looked at every few seconds for whoever watches."""

from collections.abc import Callable
from weakref import WeakValueDictionary

from faust.types import TP

from agents.counting import Counted, WorkerCounters
from agents.customers import CustomerFold
from journeys.overdue import OVERDUE_AFTER_MS
from schemas.instants import Millis
from streams.horizon import Horizon


class FoldsInHand:
    """Makes folds, and shows what they count while their partitions are in our hands."""

    def __init__(
        self,
        make: Callable[[Counted], CustomerFold],
        counters: WorkerCounters,
        clock: Callable[[], Millis],
        horizon: Horizon | None,
    ) -> None:
        """Begin without any.

        Args:
            make: makes the empty fold of a partition, which counts where it is told.
            counters: where counts are shown.
            clock: now in epoch milliseconds.
            horizon: up to when time may come; None in the clock of the log, where nothing is late.
        """
        self._make = make
        self._counters = counters
        # One for all: what was counted of a partition outlives its fold, which goes between two looks.
        self._counted = Counted()
        self._clock = clock
        self._horizon = horizon
        # A fold whose partition was given back goes with its owner, and all that it remembers.
        self._folds = WeakValueDictionary[int, CustomerFold]()

    def make(self, partition: int) -> CustomerFold:
        """Make the empty fold of a partition."""
        fold = self._folds[partition] = self._make(self._counted)
        return fold

    def note(self, owned: frozenset[TP]) -> None:
        """Show what has been counted since the last time, and who waits in the partitions that are ours and read."""
        numbers, now = {tp.partition for tp in owned}, self._clock()
        self._counters.take(self._counted)
        ours = [fold for number, fold in dict(self._folds).items() if number in numbers]
        horizon = self._horizon
        self._counters.show([fold.waits(now - OVERDUE_AFTER_MS) for fold in ours], None if horizon is None else now)
        if horizon is not None:
            self._counters.show_time(now, horizon.read_to, horizon.apart_ms)
