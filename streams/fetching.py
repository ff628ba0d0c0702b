"""The consumer's thread: what is read from the brokers, and exactly from where to where.

Stands in for two methods of `faust.transport.drivers.aiokafka.AIOKafkaConsumerThread`:

- `_create_worker_consumer` fixes the longest poll at 1.5 s and offers neither the size of a fetch nor
  read-committed (except by pretending to be in one of Faust's transactions);
- `_fetch_records` hands aiokafka the live set of active partitions. When that becomes empty, aiokafka reads
  it as *all* and moves past records that nobody takes. It also waits inside aiokafka, so that a seek can come
  between asking and getting.

Here, partitions are asked for with a fresh set, never an empty one, and only while no rebalance is under way;
the call that takes records never suspends, so that a batch's start and end are the consumer's position right
before and after it. Batches of a partition therefore form a chain, and a reader can prove that none is lost.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError, ConsumerStoppedError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP
from faust.types.transports import TransportT

from streams.batches import Batch
from streams.connection import Connection, aiokafka_settings
from streams.fold import Record

Answer = TypeVar("Answer")

FETCH_BYTES = 4 * 1024 * 1024
"""Of one partition; measured 34-79 k records/s at 256 KB, 108-116 k at 1 MB, more at 4."""

LONGEST_FETCH_WAIT_MS = 250
"""How long a broker holds a fetch that finds nothing; a partition that is resumed waits for it."""

MOST_RECORDS_TAKEN = 4_000
"""Of one take; parsing them holds the interpreter about 10 ms."""


def _prepare_results(fetcher: Any, wanted: set[TP]) -> None:
    """Hand out aiokafka's parsed records themselves, and let nobody wait for a partition that is held.

    Stands in for `aiokafka.consumer.fetcher.PartitionRecords._consumer_record`, which copies each record into a
    dataclass of eleven fields, a third of the cost of reading; what it copies from has all that `Record` asks.
    And for `FetchResult._backoff`: for 100 ms no fetch is sent to a broker while anything that it sent isn't
    taken. That is right for what is taken at once (the next fetch then covers all partitions), and wrong for a
    partition that is held back.
    """
    for tp, result in fetcher._records.items():
        if not isinstance(result, FetchResult):
            continue
        if tp not in wanted:
            result._backoff = 0.0
        elif result.has_more():
            result._partition_records._consumer_record = _as_parsed


def _as_parsed(_tp: object, record: Record) -> Record:
    return record


class BatchThread(AIOKafkaConsumerThread):
    """Fetch batches of the wanted partitions; all else of the thread is Faust's."""

    connection: Connection
    """Set by the consumer that makes the thread, before it starts."""

    # Written by the main loop, read here: one assignment of a frozen set is atomic.
    _wanted: frozenset[TP] = frozenset()

    def __post_init__(self) -> None:
        """Prepare what the thread's loop waits for."""
        super().__post_init__()
        self._wish_changed = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Whether the thread has a consumer."""
        return self._consumer is not None

    def _create_worker_consumer(self, transport: TransportT) -> Any:
        conf = self.app.conf
        return AIOKafkaConsumer(
            **aiokafka_settings(self.connection),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            # A position out of range must be an error, never a silent jump.
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=4 * FETCH_BYTES,
            fetch_max_wait_ms=LONGEST_FETCH_WAIT_MS,
            check_crcs=conf.broker_check_crcs,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
        )

    def want(self, partitions: frozenset[TP]) -> None:
        """Say of which partitions batches are wanted from now on; called from the main loop."""
        self._wanted = partitions
        self.thread_loop.call_soon_threadsafe(self._wish_changed.set)

    async def in_thread(self, work: Awaitable[Answer]) -> Answer:
        """Run a coroutine on the thread's loop and await its answer on this one."""

        async def run() -> Answer:
            return await work

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), self.thread_loop))

    async def fetch(self, timeout_s: float) -> list[Batch]:
        """Return what the wanted partitions have, at most one batch each; empty after `timeout_s`.

        Raises:
            aiokafka.errors.KafkaError: a partition can't be read (its position is out of range, no right).
        """
        return await self.in_thread(self._fetch(timeout_s))

    async def _fetch(self, timeout_s: float) -> list[Batch]:
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        deadline = self.thread_loop.time() + timeout_s
        with fetcher._subscriptions.fetch_context():
            while True:
                if consumer._closed or fetcher._closed:
                    raise ConsumerStoppedError
                self._wish_changed.clear()
                batches = await self._take(fetcher)
                remaining = deadline - self.thread_loop.time()
                if batches or remaining <= 0:
                    return batches
                await self._wait_for_records(fetcher, remaining)

    async def _take(self, fetcher: Any) -> list[Batch]:
        subscriptions = fetcher._subscriptions
        if subscriptions.subscription is None or subscriptions.reassignment_in_progress:
            return []
        wanted = {tp for tp in self._wanted if subscriptions.is_assigned(tp)}
        if not wanted:
            return []
        state = subscriptions.subscription.assignment.state_value
        starts = {tp: state(tp).position for tp in wanted}
        _prepare_results(fetcher, wanted)
        taken = await fetcher.fetched_records(wanted, timeout=0, max_records=MOST_RECORDS_TAKEN)
        generation = self.app.consumer_generation_id
        return [
            Batch(
                tp=tp,
                generation=generation,
                start=start,
                next_offset=state(tp).position,
                records=taken.get(tp, ()),
            )
            for tp, start in starts.items()
            if state(tp).position != start
        ]

    async def _wait_for_records(self, fetcher: Any, timeout_s: float) -> None:
        arrived = fetcher._create_fetch_waiter()
        changed = asyncio.ensure_future(self._wish_changed.wait())
        await asyncio.wait({arrived, changed}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        if arrived.done():
            arrived.result()
        else:
            arrived.cancel()

    async def place(self, tp: TP, offset: int) -> None:
        """Read `tp` from `offset` on."""

        async def seek() -> None:
            self._ensure_consumer().seek(TopicPartition(*tp), offset)

        await self.in_thread(seek())

    async def group_offset(self, tp: TP) -> int | None:
        """Return the offset that the group has committed for `tp`; None without one."""
        offset: int | None = await self.in_thread(self._ensure_consumer().committed(TopicPartition(*tp)))
        return offset

    async def first_offset(self, tp: TP) -> int:
        """Return the first offset that `tp` still has."""
        partition = TopicPartition(*tp)
        found = await self.in_thread(self._ensure_consumer().beginning_offsets([partition]))
        return int(found[partition])

    async def end_offset(self, tp: TP) -> int:
        """Return the offset behind the last committed record of `tp`."""
        partition = TopicPartition(*tp)
        found = await self.in_thread(self._ensure_consumer().end_offsets([partition]))
        return int(found[partition])

    async def commit_positions(self, positions: Mapping[TP, int]) -> bool:
        """Commit positions for the group; False if a rebalance has taken them from us."""
        offsets = {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in positions.items()}
        try:
            await self.in_thread(self._ensure_consumer().commit(offsets))
        except CommitFailedError:
            return False
        return True
