"""Shares of the customers, so that several processes can fold one log: who is ever linked to whom stays together.

What happens to a customer depends on her own records, on time, and on those she is linked to; so customers that links
connect, over however many others, are in one share, and the shares fold apart. Two things reach further. Places under
`max_executions` are counted over all customers, so definitions that have such don't fold in shares. And whether time
came late is told from who was due first of all (`Lateness`): each share says where its own came late, and where any
did, all fold again with what the others have said.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from zlib import crc32

from msgspec import Struct

from agents.world import LogRecord
from journeys.catalogue import Catalogue
from journeys.overdue import OVERDUE_AFTER_MS
from schemas.instants import Millis
from schemas.linking import LINK, Awaits, MergeOut, decode_link

Couple = tuple[bytes, bytes]
"""The keys of two customers who are linked."""


class Share(Struct, frozen=True, kw_only=True):
    """Some of the customers."""

    number: int
    of: int
    """How many shares there are."""
    called: Mapping[bytes, bytes] = {}
    """By the key of somebody who is linked, the key of the one by whom all of hers are assigned."""

    def has(self, key: bytes) -> bool:
        """Tell whether a customer is one of them."""
        return crc32(self.called.get(key, key)) % self.of == self.number


def couples_of(records: Iterable[LogRecord]) -> Iterator[Couple]:
    """Yield who is linked by records of the log; what customers answer each other links nobody else."""
    for record in records:
        if record.key is None or not record.headers or record.headers[0][0] != LINK:
            continue
        link = decode_link(record.headers[0][1])
        if isinstance(link, MergeOut):
            yield record.key, link.into.encode()
        elif isinstance(link, Awaits):
            for one in link.of:
                yield record.key, one.encode()


def called_by(couples: Iterable[Couple]) -> dict[bytes, bytes]:
    """Return by everybody who is linked the first, by key, of those that links connect her with."""
    above: dict[bytes, bytes] = {}

    def top(key: bytes) -> bytes:
        while (next_up := above.setdefault(key, key)) != key:
            above[key] = above[next_up]
            key = above[key]
        return key

    for first, second in couples:
        least, greatest = sorted((top(first), top(second)))
        above[greatest] = least
    return {key: top(key) for key in above}


def can_fold_apart(catalogues: Iterable[Catalogue]) -> bool:
    """Tell whether customers who aren't linked have nothing to do with each other under definitions."""
    return not any(catalogue.limited for catalogue in catalogues)


class Lateness:
    """Who is due first when a record comes, of a share and, where that is needed, of all."""

    def __init__(self, told: Mapping[int, Millis] | None = None) -> None:
        """Begin before the first record; `told` is what all shares have found, None while nothing has been."""
        self._told = told
        self.found: dict[int, Millis] = {}
        """By the place of a record in the log, the instant that this share was kept from: of all records since that
        instant where it came late in the end, for what others do then depends on it."""
        self._recent: deque[tuple[Millis, int, Millis]] = deque()

    def first_due(self, place: int, own: Millis | None, clock: Millis, appended: Millis | None) -> Millis | None:
        """Return the first instant that anybody is kept from when a record comes; None where nobody is.

        Args:
            place: how many records of the log were before it.
            own: the first instant at which anybody of this share is due by now.
            clock: the latest time that any record had by now.
            appended: when the record was appended; None in a log with its own clock, where nothing is late.
        """
        if appended is None:
            return own
        if self._told is not None:
            others = self._told.get(place)
            return own if others is None else others if own is None else min(own, others)
        if own is not None:
            self._note(place, own, clock, appended)
        return own

    def _note(self, place: int, own: Millis, clock: Millis, appended: Millis) -> None:
        recent = self._recent
        recent.append((clock, place, own))
        if appended - own > OVERDUE_AFTER_MS:
            self.found.update((before, due_at) for _, before, due_at in recent)
            recent.clear()
        # What is late in the end and isn't yet fell due within this time.
        while recent and recent[0][0] < appended - OVERDUE_AFTER_MS:
            recent.popleft()
