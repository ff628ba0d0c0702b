"""The due index: who needs to be looked at next, with at most one live entry per customer.

A binary heap with lazy correction. A deadline that moves later (the common case: every activity puts off an
inactivity timer) doesn't touch the heap; the entry is corrected when it comes up. Only one that moves earlier
adds an entry, and the superseded one is dropped when it comes up.
"""

from heapq import heapify, heappop, heappush
from typing import Final

from schemas.instants import Millis

MOST_COUNTED: Final = 10_000


class DueIndex:
    """Deadlines by customer key, soonest first; ties go by key."""

    def __init__(self) -> None:
        self._heap: list[tuple[Millis, bytes]] = []
        self._indexed: dict[bytes, Millis] = {}
        self._deadlines: dict[bytes, Millis] = {}

    def __len__(self) -> int:
        """Count the customers that have a deadline."""
        return len(self._deadlines)

    def deadline(self, key: bytes) -> Millis | None:
        """Return a customer's deadline; None if she has none."""
        return self._deadlines.get(key)

    @property
    def parts(self) -> tuple[dict[bytes, Millis], dict[bytes, Millis]]:
        """The deadlines, and by when each of these customers comes up; for compiled code that puts one off.

        A deadline that isn't before when its customer comes up may be set in the first alone; until `fill`.
        """
        return self._deadlines, self._indexed

    def set(self, key: bytes, deadline: Millis | None) -> None:
        """Note a customer's deadline; None removes it."""
        if deadline is None:
            self._deadlines.pop(key, None)
            return
        self._deadlines[key] = deadline
        # The heap's entry is mostly there already, and too early: that is corrected when it comes up.
        indexed = self._indexed.get(key)
        if indexed is None or deadline < indexed:
            self._indexed[key] = deadline
            heappush(self._heap, (deadline, key))

    def fill(self, deadlines: dict[bytes, Millis]) -> None:
        """Replace everything, in linear time."""
        self._deadlines = dict(deadlines)
        self._indexed = dict(deadlines)
        self._heap = [(deadline, key) for key, deadline in deadlines.items()]
        heapify(self._heap)

    def count_due(self, until: Millis, at_most: int = MOST_COUNTED) -> int:
        """Count the customers who are due at or before `until`, up to so many entries of the heap."""
        heap, places, looked_at, found = self._heap, [0], 0, set[bytes]()
        while places and looked_at < at_most:
            place = places.pop()
            if place >= len(heap) or heap[place][0] > until:
                # Behind an entry of a heap everything is as late or later.
                continue
            looked_at += 1
            key = heap[place][1]
            deadline = self._deadlines.get(key)
            if deadline is not None and deadline <= until:
                found.add(key)
            places += (2 * place + 1, 2 * place + 2)
        return len(found)

    def next_due(self, until: Millis) -> tuple[Millis, bytes] | None:
        """Return the soonest (deadline, key) at or before `until`; it stays until its deadline is set anew."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            at, key = heap[0]
            if self._indexed.get(key) != at:
                heappop(heap)
                continue
            deadline = self._deadlines.get(key)
            if deadline == at:
                return at, key
            heappop(heap)
            del self._indexed[key]
            if deadline is not None:
                self._indexed[key] = deadline
                heappush(heap, (deadline, key))
        return None

    def first_due(self, count: int, until: Millis) -> Millis:
        """Return the deadline of the last of so many who are due first, by `until`; that itself where fewer are."""
        taken: dict[bytes, Millis] = {}
        last = until
        while len(taken) < count and (entry := self.next_due(until)) is not None:
            heappop(self._heap)
            last, key = entry
            # One that was put off and brought back may stand there twice.
            taken[key] = last
        for key, at in taken.items():
            heappush(self._heap, (at, key))
        return last if len(taken) == count else until
