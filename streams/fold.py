"""What the movement asks of the one who decides: a fold over one partition of the log.

Movement knows nothing about customers. It brings a partition's records in order, and writes what the fold yields
in Kafka transactions, in order, each with the memory that has changed by then (transactions grow with the backlog).
A fold may change its memory in place all the same: if a transaction fails, the worker stops hard and the memory is
rebuilt from the changelog.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

Header = tuple[str, bytes]


class Record(Protocol):
    """One record of a topic, as a consumer hands it over; aiokafka's `ConsumerRecord` and its parsed records are."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """Epoch milliseconds."""

    @property
    def key(self) -> bytes | None:
        """The key, raw."""

    @property
    def value(self) -> bytes | None:
        """The value, raw."""

    @property
    def headers(self) -> Sequence[Header]:
        """Headers in their order."""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One record to publish; `timestamp` is epoch milliseconds.

    It goes to the same partition number as its source, so that a transaction touches few, unless it names another.
    """

    topic: str
    key: bytes | None
    value: bytes
    timestamp: int
    headers: tuple[Header, ...] = ()
    partition: int | None = None


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of folding some records: what to publish, and how far the source is folded with it.

    `next_offset` is the first source offset that has not been folded yet. `changed_bytes` estimates what `changes`
    would return now; it bounds a transaction before anything is encoded.
    """

    outputs: Sequence[Output]
    next_offset: int
    changed_bytes: int = 0


class CannotFold(Exception):
    """The rules raised at a place; the fold's memory is worth nothing any more.

    `place` tells it from others. `is_one_too_many` says that it can't be left out as well: there are too many.
    """

    is_one_too_many = False

    def __init__(self, place: Hashable, told: str) -> None:
        """Say where, and what happened."""
        super().__init__(told)
        self.place = place
        self.told = told


class Fold(Protocol):
    """The memory and the rules of one partition, between assignment and revocation."""

    def restore(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take changelog records, oldest first; called any number of times before the first `fold`."""

    def leave_out(self, found: Sequence[CannotFold]) -> None:
        """Come to these places without asking the rules, and go on behind them; called before the first `fold`."""

    def next_offset(self) -> int | None:
        """Return the first source offset not folded yet, from the position record; None without one."""

    async def prepare(self, records: Sequence[Record]) -> None:
        """Fetch what folding these records needs from outside (a catalogue named by a mark)."""

    def fold(self, records: Sequence[Record]) -> Iterator[Folded]:
        """Fold the records; after each part a transaction may be written, all of what was folded before or nothing.

        Must yield at least one part that covers the last record, or the records are folded again after a
        restart. Runs on the event loop: at most 1,000 records are given at once.

        Raises:
            CannotFold: the rules raised; a new fold may be told to leave that place out.
        """

    def next_time(self) -> int | None:
        """Return the instant (epoch milliseconds) at which time itself will have something to do; None for never.

        None as well while a `time_record` is under way that hasn't been folded yet.
        """

    def time_record(self, until: int, now: int) -> Output | None:
        """Return the record that brings time by in the partition, up to an instant; None while nothing is due by then.

        It is written in a transaction of its own, and changes nothing until it comes back and is folded. Both are
        epoch milliseconds; `now` is the clock's, `until` the same, or behind it while the sources are.
        """

    def changes(self) -> Sequence[tuple[bytes, bytes | None]]:
        """Return the last value (None deletes) of each key that changed since the last call, the position included.

        Called once per transaction, between two parts or behind the last: what changes in ten slices of a
        backlog is encoded once.
        """

    def committed(self) -> None:
        """Note that the transaction is committed whose memory `changes` has returned last; nothing was folded since."""
