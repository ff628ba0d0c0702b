"""A reduced Kafka in memory: what a broker does about offsets, transactions, fencing and groups, and nothing else.

The state changes in plain calls, each at once; who takes how long, and what dies in between, is the affair of
`simulated_clients.py`. What it is reduced to is held to the real Kafka by `tests/kafka/test_reduced_kafka.py`:

- A transaction's records are in the log at once. What it wrote ends with a marker in each partition, which takes an
  offset, so that offsets have gaps; a reader of committed records sees nothing from the first open transaction on.
- Of each transactional id the latest epoch counts. A new one aborts what is open, and refuses the one before.
- The end of a transaction is decided at once, and its markers come later, partition by partition.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from aiokafka.errors import CommitFailedError, OffsetOutOfRangeError, ProducerFenced
from msgspec import Struct

from streams.fold import Header

Place = tuple[str, int]
"""A topic and a partition's number."""


class Entry(Struct, kw_only=True):
    """What stands at an offset: a record, or the marker that ends a transaction."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    is_marker: bool = False
    is_aborted: bool = False


class Partition:
    """The log of one partition, and which transactions are open in it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.first = 0
        self._open: dict[str, list[Entry]] = {}

    @property
    def end(self) -> int:
        """Return the offset behind the last entry."""
        return self.first + len(self.entries)

    @property
    def stable(self) -> int:
        """Return the offset up to which readers of committed records may read."""
        return min((entries[0].offset for entries in self._open.values()), default=self.end)

    def append(self, entry: Entry, transaction: str | None) -> int:
        """Append a record, in a transaction or outside of any; return its offset."""
        entry.offset = self.end
        self.entries.append(entry)
        if transaction is not None:
            self._open.setdefault(transaction, []).append(entry)
        return entry.offset

    def mark(self, transaction: str, *, commit: bool) -> None:
        """Append the marker that ends a transaction."""
        for entry in self._open.pop(transaction, ()):
            entry.is_aborted = not commit
        self.append(Entry(offset=0, timestamp=0, key=None, value=None, is_marker=True), None)

    def read(self, start: int, *, committed: bool, at_most: int = 1_000_000) -> tuple[list[Entry], int]:
        """Return records from an offset on, and the offset at which to go on.

        Raises:
            OffsetOutOfRangeError: the partition holds no such place.
        """
        if not self.first <= start <= self.end:
            raise OffsetOutOfRangeError
        until = min(self.stable if committed else self.end, start + at_most)
        some = self.entries[start - self.first : max(until, start) - self.first]
        shown = [entry for entry in some if not entry.is_marker and not (committed and entry.is_aborted)]
        return shown, max(until, start)

    def delete_before(self, offset: int) -> None:
        """Delete what stands before an offset, as retention does."""
        del self.entries[: offset - self.first]
        self.first = offset


class Transaction(Struct, kw_only=True):
    """What the coordinator knows of a transactional id."""

    epoch: int = 0
    is_open: bool = False
    places: list[Place] = []
    offsets: dict[tuple[str, Place], int] = {}
    commit: bool = False
    unmarked: list[Place] = []
    """Where the marker of a transaction that was decided is missing."""


class Broker:
    """All topics, transactions and groups' offsets."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        """Begin with empty topics, each with its number of partitions."""
        self.partitions: Final = {(topic, n): Partition() for topic, count in topics.items() for n in range(count)}
        self.counts: Final = dict(topics)
        self.transactions: dict[str, Transaction] = {}
        self.offsets: dict[tuple[str, Place], int] = {}

    def new_epoch(self, name: str) -> int:
        """Begin an epoch of a transactional id; what an older one left open is aborted."""
        transaction = self.transactions.setdefault(name, Transaction())
        assert not transaction.unmarked, "the last transaction isn't ended yet"
        if transaction.is_open:
            self._decide(transaction, commit=False)
        transaction.epoch += 1
        return transaction.epoch

    def append(self, place: Place, entries: Sequence[Entry], name: str | None = None, epoch: int = 0) -> int:
        """Append records, in the open transaction of an epoch if one is named; return the first one's offset.

        Raises:
            ProducerFenced: there is a later epoch.
        """
        if name is not None:
            transaction = self.checked(name, epoch)
            assert not transaction.unmarked
            transaction.is_open = True
            if place not in transaction.places:
                transaction.places.append(place)
        partition = self.partitions[place]
        offsets = [partition.append(entry, name) for entry in entries]
        return offsets[0]

    def add_offset(self, name: str, epoch: int, group: str, place: Place, offset: int) -> None:
        """Add a group's offset to the open transaction."""
        transaction = self.checked(name, epoch)
        transaction.is_open = True
        transaction.offsets[group, place] = offset

    def end_transaction(self, name: str, epoch: int, *, commit: bool) -> None:
        """Decide a transaction; `mark_next` writes its markers."""
        transaction = self.checked(name, epoch)
        if transaction.is_open:
            self._decide(transaction, commit=commit)

    def expire(self, name: str, epoch: int) -> None:
        """Abort a transaction that has taken too long, and fence who began it."""
        transaction = self.transactions[name]
        if transaction.epoch == epoch and transaction.is_open:
            transaction.epoch += 1
            self._decide(transaction, commit=False)

    def checked(self, name: str, epoch: int) -> Transaction:
        """Return a transaction.

        Raises:
            ProducerFenced: there is a later epoch.
        """
        transaction = self.transactions[name]
        if transaction.epoch != epoch:
            raise ProducerFenced
        return transaction

    def mark_next(self, name: str) -> bool:
        """Write a marker that is missing; False if none is."""
        transaction = self.transactions[name]
        if not transaction.unmarked:
            return False
        self.partitions[transaction.unmarked.pop(0)].mark(name, commit=transaction.commit)
        if not transaction.unmarked:
            self._tell(transaction)
        return bool(transaction.unmarked)

    def _decide(self, transaction: Transaction, *, commit: bool) -> None:
        transaction.is_open, transaction.commit = False, commit
        transaction.unmarked, transaction.places = transaction.places, []
        if not transaction.unmarked:
            self._tell(transaction)

    def _tell(self, transaction: Transaction) -> None:
        if transaction.commit:
            self.offsets |= transaction.offsets
        transaction.offsets = {}


class Group:
    """A consumer group: members, generations, and who has which partitions."""

    def __init__(self, broker: Broker, name: str, places: Sequence[Place]) -> None:
        """Begin without members."""
        self.name = name
        self.generation = 0
        self.members: list[str] = []
        self.joined: list[str] = []
        self.assignment: dict[str, frozenset[Place]] = {}
        self._broker = broker
        self._places = sorted(places)

    def join(self, member: str) -> None:
        """Ask for a part; everybody else has to ask again before anybody gets one."""
        if member not in self.members:
            self.members.append(member)
        if member not in self.joined:
            self.joined.append(member)
        self.assignment = {}

    def leave(self, member: str) -> None:
        """Forget a member, who has left or isn't heard of any more; the others have to ask again."""
        if member in self.members:
            self.members.remove(member)
            self.assignment = {}
        if member in self.joined:
            self.joined.remove(member)

    def assign(self) -> bool:
        """Give everybody a part, if everybody has asked; False otherwise."""
        if not self.members or set(self.joined) != set(self.members):
            return False
        self.generation += 1
        parts: dict[str, list[Place]] = {member: [] for member in self.members}
        for number, place in enumerate(self._places):
            parts[self.members[(number + self.generation) % len(self.members)]].append(place)
        self.assignment = {member: frozenset(places) for member, places in parts.items()}
        self.joined = []
        return True

    def commit(self, member: str, generation: int, offsets: Mapping[Place, int]) -> None:
        """Commit offsets of a generation.

        Raises:
            CommitFailedError: there is a later one, or the group has forgotten the member.
        """
        if member not in self.members or generation != self.generation:
            raise CommitFailedError
        self._broker.offsets |= {(self.name, place): offset for place, offset in offsets.items()}
