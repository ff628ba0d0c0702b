"""What the movement asks of the one who decides: a fold over one partition of the log.

Movement knows nothing about customers. It brings a partition's records in order, writes what the fold yields
in Kafka transactions, in order. Neighbouring commits may share a transaction (batches grow with the backlog);
a fold may change its memory in place all the same: if a transaction fails, the worker stops hard and the memory
is rebuilt from the changelog.
"""

from collections.abc import Iterable, Iterator, Sequence
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
    """One record to publish, to the same partition number as its source.

    `timestamp` is epoch milliseconds.
    """

    topic: str
    key: bytes
    value: bytes
    timestamp: int
    headers: tuple[Header, ...] = ()


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction carries: outputs, changelog records, and how far the source is read with it.

    `changes` hold the last value of each key (None deletes it) and always include the fold's own position
    record. `next_offset` is the first source offset that has not been folded yet.
    """

    outputs: Sequence[Output]
    changes: Sequence[tuple[bytes, bytes | None]]
    next_offset: int


class Fold(Protocol):
    """The memory and the rules of one partition, between assignment and revocation."""

    def restore(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take changelog records, oldest first; called any number of times before the first `fold`."""

    def next_offset(self) -> int | None:
        """Return the first source offset not folded yet, from the position record; None without one."""

    async def prepare(self, records: Sequence[Record]) -> None:
        """Fetch what folding these records needs from outside (a catalogue named by a mark)."""

    def fold(self, records: Sequence[Record]) -> Iterator[Commit]:
        """Fold the records; each commit is written behind those before it, all of it or nothing.

        Must yield at least one commit that covers the last record, or the records are folded again after a
        restart. Runs on the event loop: at most 1,000 records are given at once.
        """
