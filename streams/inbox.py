"""Batches of one partition that wait to be folded.

Bounded by records and bytes, not by batches: many small ones are taken together, so that a transaction grows with the
backlog and never with a timer. The bound is soft by what is already on its way when it is reached.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from streams.batches import Batch
from streams.fold import Record

MOST_RECORDS_WAITING = 20_000
MOST_BYTES_WAITING = 16 * 1024 * 1024
SAMPLED_RECORDS = 8


class BrokenChain(Exception):
    """A batch doesn't begin where the one before it ended: records were lost on the way, or came twice."""


def size_of(batch: Batch) -> int:
    """Estimate the bytes of a batch's values from a few of its records.

    A batch comes from one fetch and so is never much larger than that; counting each would cost as much as
    a tenth of folding it.
    """
    records = batch.records
    if not records:
        return 0
    sample = records[:: len(records) // SAMPLED_RECORDS + 1]
    return sum([len(record.value) for record in sample if record.value]) * len(records) // len(sample)


class Inbox:
    """What has come and isn't folded yet, in order, each offset accounted for."""

    def __init__(
        self, start: int, *, is_anew: bool = False, hold: Callable[[], None], release: Callable[[], None]
    ) -> None:
        """Expect `start` first; call `hold` when too much waits and `release` when little does.

        Where a partition is begun anew, what had been under way to the one before may still come; it is dropped.
        """
        self._is_anew = is_anew
        self._batches: deque[Batch] = deque()
        self._taken_of_first = 0
        self._expected = start
        self._hold = hold
        self._release = release
        self._held = False
        self._filled = asyncio.Event()
        self._bytes = 0
        self.waiting = 0
        """How many records wait."""
        self.passed = start
        """The offset up to which everything was taken, markers behind the last record included."""

    def put(self, batch: Batch) -> None:
        """Append a batch.

        Raises:
            BrokenChain: it isn't the next one; nothing is changed.
        """
        if batch.start != self._expected:
            if self._is_anew:
                return
            raise BrokenChain(f"{batch.tp}: expected offset {self._expected}, got {batch.start}")
        self._is_anew = False
        self._expected = batch.next_offset
        self._batches.append(batch)
        self.waiting += len(batch.records)
        self._filled.set()
        self._bytes += size_of(batch)
        if self._is_full and not self._held:
            self._held = True
            self._hold()

    def take(self, at_most: int) -> Sequence[Record]:
        """Take the next records, of several batches if they are small; empty if none wait."""
        records: list[Record] = []
        while self._batches and len(records) < at_most:
            first = self._batches[0]
            part = first.records[self._taken_of_first : self._taken_of_first + at_most - len(records)]
            records.extend(part)
            self._taken_of_first += len(part)
            if self._taken_of_first >= len(first.records):
                self._batches.popleft()
                self._bytes -= size_of(first)
                self._taken_of_first = 0
                self.passed = first.next_offset
        self._after_taking(len(records))
        return records

    def _after_taking(self, count: int) -> None:
        self.waiting -= count
        if not self._batches:
            self._filled.clear()
        if self._held and self._is_half_empty:
            self._held = False
            self._release()

    @property
    def _is_full(self) -> bool:
        return self.waiting >= MOST_RECORDS_WAITING or self._bytes >= MOST_BYTES_WAITING

    @property
    def _is_half_empty(self) -> bool:
        return self.waiting <= MOST_RECORDS_WAITING // 2 and self._bytes <= MOST_BYTES_WAITING // 2

    def wake(self) -> None:
        """End a wait for more, though nothing has come."""
        self._filled.set()

    async def wait(self, timeout_s: float) -> bool:
        """Wait until something has come; False if nothing has within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._filled.wait()
        except TimeoutError:
            return False
        return True
