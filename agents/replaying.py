"""Replay: a partition of the customer log folded again into a shadow, which never sends, and held against the record.

- reads: `customer-log`, the outbound topics, `definitions`; committed records only
- writes: nothing but snapshots, into a folder
- guarantee: the shadow is the fold that the worker uses, fed with the same records in the same order; so every decision
  and send comes out again, with its id, its time and its `state_hash`, or something is wrong
- a crash costs what came since the last snapshot

How far the workers were when the replay began is asked first, then how far the outbound topics reach: what the log led
to by then must stand there, and what stands there beyond it must follow from what comes next in the log.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import Final

from confluent_kafka import Message
from msgspec import Struct
from msgspec.structs import replace

from agents.catalogues import Catalogues
from agents.comparing import ALWAYS, Difference, Span, TopicComparison, Written, record_id
from agents.customers import CustomerFold
from agents.left_out import LeftOutBy, refusing_new
from agents.snapshots import Snapshot, load_snapshot, save_snapshot
from agents.world import LogRecord
from journeys.catalogue import Catalogue
from schemas.customer import Customer, Head, decode_customer, encode_customer
from schemas.errors import TidingsError
from schemas.instants import Millis
from schemas.outbound import outbound_json
from schemas.topics import CUSTOMER_LOG, OUTBOUND_TOPICS
from streams.connection import Connection
from streams.fold import Folded, Record
from streams.partitions import partition_of
from streams.reading import read_partition
from streams.registry import RememberedSchemas, open_schemas
from streams.topics import end_offsets, first_offsets

SLICE: Final = 1_000
KEEP_BYTES: Final = 8_000_000
"""Of changed customers, as they are stored: then all are encoded, so that those who aren't looked at needn't be kept
decoded. A worker encodes whoever has changed with each transaction; nobody asks that of a shadow."""
SNAPSHOT_EVERY: Final = 200_000
"""Records between two snapshots."""
MOST_DIFFERENCES: Final = 1_000
"""Of a partition; behind them it is given up."""
_NO_HEAD: Final = Head(catalogue=0, deadline=None, last_offset=0)


class Reach(Struct, frozen=True, kw_only=True):
    """From where to where everything goes, in one partition, when a replay begins."""

    log_start: int
    log_end: int
    position: int
    """Up to here the workers have folded the log."""
    outputs: dict[str, tuple[int, int]]
    """By outbound topic, its first and its last offset (exclusive)."""


class ReplayPlan(Struct, frozen=True, kw_only=True):
    """What is replayed, and what of it is asked about."""

    connection: Connection
    prefix: str
    partitions: int
    topic_id: bytes
    within: Span = ALWAYS
    customers: tuple[bytes, ...] = ()
    """The keys of those who are asked about; empty for everybody."""
    offsets: tuple[int, int] | None = None
    """Of the log: the records that are asked about."""
    snapshots: Path | None = None
    registry_url: str | None = None
    """Where the schemas are of what was written as Avro; None: in `_schemas`."""
    left_out: LeftOutBy = {}
    """What the rules couldn't do."""

    @property
    def is_whole(self) -> bool:
        """Whether everything is asked about; the memory of less can't be a snapshot."""
        return not self.customers and self.within == ALWAYS and self.offsets is None


class PartitionReplay(Struct, frozen=True, kw_only=True):
    """What came of one partition."""

    partition: int
    start: int
    """The offset at which it began: 0, or that of a snapshot."""
    records: int
    """Folded from there on."""
    same: dict[str, int]
    """By outbound topic, how many records came out again; where everything is asked about, also before a snapshot."""
    differences: list[Difference]
    unchecked: int
    """How many can't be compared, because retention has deleted what was written."""
    undecided: int
    """Records of the log that the workers hadn't folded yet."""
    is_given_up: bool = False
    met: frozenset[bytes] = frozenset()
    """Of the customers who were asked about, the keys of those whom the log or the snapshot knows."""


def reach_of(connection: Connection, prefix: str, positions: dict[int, int]) -> dict[int, Reach]:
    """Ask how far everything goes, by partition; `positions` must have been read before.

    Raises:
        confluent_kafka.KafkaException: Kafka doesn't answer, or a topic is missing.
    """
    outputs = {
        name: (first_offsets(connection, prefix + name), end_offsets(connection, prefix + name))
        for name in OUTBOUND_TOPICS
    }
    starts, ends = (ask(connection, prefix + CUSTOMER_LOG) for ask in (first_offsets, end_offsets))
    return {
        partition: Reach(
            log_start=starts[partition],
            log_end=end,
            position=positions.get(partition, 0),
            outputs={name: (firsts[partition], lasts[partition]) for name, (firsts, lasts) in outputs.items()},
        )
        for partition, end in ends.items()
    }


class Shadow:
    """The fold of one partition, and what it is held against."""

    def __init__(self, plan: ReplayPlan, partition: int, reach: Reach, catalogues: Catalogues) -> None:
        """Begin where the log begins, or at a snapshot.

        Raises:
            TidingsError: the beginning of the log is gone, and no snapshot stands for it.
        """
        self._plan, self._partition, self._reach = plan, partition, reach
        self._snapshot = None if plan.snapshots is None else load_snapshot(plan.snapshots, partition, plan.topic_id)
        self.start = 0 if self._snapshot is None else self._snapshot.next_offset
        if self.start < reach.log_start:
            raise TidingsError(_beginning_is_gone(plan, partition, reach))
        self._memory: dict[bytes, bytes] = {} if self._snapshot is None else dict(self._snapshot.memory)
        self.fold = begun_fold(plan, partition, catalogues, self._memory)
        self._names = {plan.prefix + name: name for name in OUTBOUND_TOPICS}
        self.comparisons = {name: self._comparison(name) for name in OUTBOUND_TOPICS}
        self.next_offset = self.start
        self._changed_bytes = 0
        self._saved_at = self.start
        self._is_as_begun = True

    def _comparison(self, name: str) -> TopicComparison:
        plan, (first, end) = self._plan, self._reach.outputs[name]
        compared = 0 if self._snapshot is None else self._snapshot.compared[name]
        recorded = written(plan, name, self._partition, max(first, compared), end)
        if plan.customers:
            names = {key.removeprefix(b"c:") for key in plan.customers}
            recorded = (record for record in recorded if record.key in names)
        comparison = TopicComparison(name, recorded, plan.within, start=max(first, compared), is_cut=first > compared)
        comparison.same = self._snapshot.same[name] if self._snapshot is not None and plan.is_whole else 0
        return comparison

    def take(self, runner: asyncio.Runner, records: Sequence[Record]) -> None:
        """Fold records that follow, and hold what they lead to against what was written."""
        cause = records[0].offset
        if self._plan.offsets is not None:
            for comparison in self.comparisons.values():
                comparison.is_counting = cause >= self._plan.offsets[0]
        if self._is_as_begun or any(record.key is None for record in records):
            runner.run(self.fold.prepare(records))
            self._is_as_begun = False
        with self._refusing(records):
            for part in self.fold.fold(records):
                self._compare(part, cause)
        self.next_offset = records[-1].offset + 1

    def _refusing(self, records: Sequence[Record]) -> AbstractContextManager[None]:
        return refusing_new(f"partition {self._partition}, offsets {records[0].offset:,} to {records[-1].offset:,}")

    def _compare(self, part: Folded, cause: int) -> None:
        self._changed_bytes = part.changed_bytes
        for output in part.outputs:
            name = self._names.get(output.topic)
            # What customers tell each other stands in the log already.
            if name is not None:
                self.comparisons[name].compare(output, cause)

    def take_what_was_written(self, runner: asyncio.Runner, record: Record) -> None:
        """Fold one record that follows, up to the part of it behind which nothing was written any more.

        A worker's transaction ends between two parts, also within a mark; `memory` is then what it has stored.
        """
        runner.run(self.fold.prepare([record]))
        self._is_as_begun = False
        with self._refusing([record]):
            for part in self.fold.fold([record]):
                self._compare(part, record.offset)
                self.next_offset = part.next_offset
                self._keep()
                if not self.awaits():
                    break

    def memory(self) -> dict[bytes, bytes]:
        """Return what a worker would have stored by now, the position included."""
        self._keep()
        return self._memory

    def made_of(self, runner: asyncio.Runner, record: Record) -> set[str]:
        """Fold one record, and return the ids of what it leads to."""
        runner.run(self.fold.prepare([record]))
        with self._refusing([record]):
            outputs = [output for part in self.fold.fold([record]) for output in part.outputs]
        return {record_id(output.value) for output in outputs if output.topic in self._names}

    def keep(self) -> None:
        """Let go of customers who aren't looked at, and now and then write a snapshot."""
        if self._changed_bytes > KEEP_BYTES:
            self._keep()
        if self.next_offset - self._saved_at >= SNAPSHOT_EVERY:
            self.save()

    def _keep(self) -> None:
        self._changed_bytes = 0
        if self._is_as_begun and self._snapshot is not None:
            # A fold that has had no record would say that it stands where the log begins, under no definitions.
            return
        for key, value in self.fold.changes():
            if value is None:
                self._memory.pop(key, None)
            else:
                self._memory[key] = value

    def save(self) -> None:
        """Write a snapshot, if there is a folder for it and nothing differs so far."""
        folder, comparisons = self._plan.snapshots, self.comparisons
        if (
            folder is None
            or not self._plan.is_whole
            or not all(one.is_in_step() and not one.differences for one in comparisons.values())
        ):
            return
        self._keep()
        self._saved_at = self.next_offset
        save_snapshot(
            folder,
            Snapshot(
                topic_id=self._plan.topic_id,
                partition=self._partition,
                next_offset=self.next_offset,
                compared={name: one.next_offset for name, one in comparisons.items()},
                same={name: one.same for name, one in comparisons.items()},
                memory=self._memory,
            ),
        )

    def awaits(self) -> bool:
        """Tell whether something was written that isn't made yet."""
        return any(comparison.awaits() for comparison in self.comparisons.values())

    def differs_everywhere(self) -> bool:
        """Tell whether there is no point in going on."""
        return sum(len(one.differences) + one.unmet() for one in self.comparisons.values()) > MOST_DIFFERENCES


def replay_partition(
    plan: ReplayPlan, partition: int, reach: Reach, catalogues: Catalogues,
    progress: Callable[[int], object] = lambda _offset: None,
) -> PartitionReplay:  # fmt: skip
    """Fold a partition again, and compare.

    Args:
        plan: what is asked about.
        partition: of the log.
        reach: how far everything went when the replay began.
        catalogues: the versions that marks name.
        progress: is called with the next offset, now and then.

    Raises:
        TidingsError: the beginning of the log is gone, a version or the folder of snapshots can't be used, or Kafka
            doesn't answer.
    """
    shadow = Shadow(plan, partition, reach, catalogues)
    end = reach.position if plan.offsets is None else min(plan.offsets[1], reach.position)
    count, undecided, is_given_up = 0, 0, False
    met = {key for key in plan.customers if shadow.fold.customer(key) is not None}
    with asyncio.Runner() as runner:
        for records in slices(plan, partition, shadow.start, end):
            shadow.take(runner, records)
            count += len(records)
            met |= _met(plan, records)
            shadow.keep()
            progress(shadow.next_offset)
            if shadow.differs_everywhere():
                is_given_up = True
                break
        is_whole = end == reach.position and not is_given_up
        if is_whole:
            shadow.save()
            # The workers went on meanwhile, or stand within a mark: what they wrote follows from what comes next.
            for records in slices(plan, partition, end, reach.log_end):
                undecided += len(records)
                met |= _met(plan, records)
                if shadow.awaits():
                    shadow.take(runner, records)
    for comparison in shadow.comparisons.values():
        comparison.finish(before=end, is_whole=is_whole)
    differences = [found for comparison in shadow.comparisons.values() for found in comparison.differences]
    return PartitionReplay(
        partition=partition,
        start=shadow.start,
        records=count,
        same={name: comparison.same for name, comparison in shadow.comparisons.items()},
        differences=sorted(differences, key=lambda found: (found.at, found.customer_id, found.record_id)),
        unchecked=sum(comparison.unchecked for comparison in shadow.comparisons.values()),
        undecided=undecided,
        is_given_up=is_given_up,
        met=frozenset(met),
    )


def _met(plan: ReplayPlan, records: Sequence[LogRecord]) -> set[bytes]:
    return {record.key for record in records if record.key is not None} if plan.customers else set()


def slices(plan: ReplayPlan, partition: int, start: int, end: int) -> Iterator[list[LogRecord]]:
    """Yield the log from one offset to another in bounded slices; of other customers than asked about, nothing.

    Where offsets are asked about, a slice begins with the first of them.
    """
    read = read_partition(plan.connection, plan.prefix + CUSTOMER_LOG, partition, start, end)
    records = ([log_record(message, partition) for message in messages] for messages in read)
    if plan.offsets is None and not plan.customers:
        for some in records:
            yield from (some[place : place + SLICE] for place in range(0, len(some), SLICE))
    else:
        yield from asked_about(plan, records)


def asked_about(plan: ReplayPlan, read: Iterable[list[LogRecord]]) -> Iterator[list[LogRecord]]:
    """Yield what a plan asks about of records, as `slices` does."""
    edge, waiting = None if plan.offsets is None else plan.offsets[0], list[LogRecord]()
    for record in chain.from_iterable(read):
        if plan.customers and record.key is not None and record.key not in plan.customers:
            continue
        if len(waiting) >= SLICE or (edge is not None and record.offset >= edge):
            if waiting:
                yield waiting
            waiting = []
            edge = None if edge is not None and record.offset >= edge else edge
        waiting.append(record)
    if waiting:
        yield waiting


def log_record(message: Message, partition: int) -> LogRecord:
    """Make a record of a message."""
    # A consumer's messages hold bytes, and pairs of text and bytes; the stubs allow for what a producer may give too.
    return LogRecord(
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers() or (),  # type: ignore[arg-type]
        partition,
    )


def written(plan: ReplayPlan, name: str, partition: int, start: int, end: int) -> Iterator[Written]:
    """Yield what stands in a partition of an outbound topic, as JSON also where it was written as Avro."""
    schemas: RememberedSchemas | None = None
    try:
        for messages in read_partition(plan.connection, plan.prefix + name, partition, start, end):
            for message in messages:
                value = _bytes(message.value())
                if not value.startswith(b"{"):
                    # Not before there is Avro: what speaks to a registry takes a third of a second to load. A number
                    # that nobody knows ends the replay, so that for how long it is believed doesn't matter.
                    schemas = schemas or open_schemas(plan.registry_url, plan.connection, clock=lambda: 0)
                    value = outbound_json(name, value, schemas.schema)
                yield Written(_bytes(message.key()), value, message.timestamp()[1], message.offset() or 0)
    finally:
        if schemas is not None:
            schemas.close()


def _bytes(found: str | bytes | None) -> bytes:
    # A consumer hands over bytes; the stubs allow for what a producer may give as well.
    return found or b""  # type: ignore[return-value]


def begun_fold(
    plan: ReplayPlan, partition: int, catalogues: Catalogues, memory: dict[bytes, bytes]
) -> CustomerFold:  # fmt: skip
    """Return a fold of a partition that remembers this much."""

    async def load(number: int) -> Catalogue:
        return catalogues.load(number)

    fold = CustomerFold(plan.prefix, load, plan.partitions, left_out=plan.left_out.get(partition))
    fold.restore(memory.items())
    fold.next_offset()
    return fold


class Cause(Struct, frozen=True, kw_only=True):
    """The log record that a difference comes from, and who the customer was before it."""

    offset: int
    at: Millis
    value: bytes | None
    """JSON of an event or a mark; nothing for some records between customers who are merged."""
    before: Customer | None
    """None where nothing was known of her."""


def find_cause(
    plan: ReplayPlan, partition: int, reach: Reach, catalogues: Catalogues, difference: Difference
) -> Cause | None:
    """Fold the customer of a difference alone, up to the record that led to it.

    Of what the shadow never made, the last record by then counts; None if there is none.

    Raises:
        TidingsError: as `replay_partition`.
    """
    keys = customer_keys([difference.customer_id])
    alone = replace(plan, customers=keys, offsets=None)
    shadow = Shadow(alone, partition, reach, catalogues)
    found: Cause | None = None
    with asyncio.Runner() as runner:
        for records in slices(alone, partition, shadow.start, reach.log_end):
            for record in records:
                known = shadow.fold.customer(keys[0])
                before = None if known is None else decode_customer(encode_customer(known, _NO_HEAD))
                cause = Cause(offset=record.offset, at=record.timestamp, value=record.value, before=before)
                made = shadow.made_of(runner, record)
                if difference.record_id in made:
                    return cause
                if difference.replayed is None and record.timestamp <= difference.at:
                    found = cause
    return found


def customer_keys(ids: Sequence[str]) -> tuple[bytes, ...]:
    """Return the keys in the log of customers who are called by these ids; a visitor's begins with `a:`."""
    return tuple(one.encode() if one.startswith("a:") else b"c:" + one.encode() for one in ids)


def partitions_of(plan_customers: Sequence[bytes], partitions: int) -> list[int]:
    """Return the partitions in which customers live."""
    return sorted({partition_of(key, partitions) for key in plan_customers})


def _beginning_is_gone(plan: ReplayPlan, partition: int, reach: Reach) -> str:
    where = f"partition {partition} of {plan.prefix}{CUSTOMER_LOG} begins at offset {reach.log_start:,}"
    if plan.snapshots is None:
        return f"{where}; what came before is gone: name a folder of snapshots with --snapshots"
    return f"{where}, and {plan.snapshots} has no snapshot from there on: only a copy of the log could be replayed"
