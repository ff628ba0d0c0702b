"""One transactional producer per source partition: outputs, changelog and source offset, all or nothing.

The transactional id is the application and the partition, so that whoever owns the partition next fences this
one out: `init_transactions` of the new owner aborts what is open and refuses every later write of the old
epoch. aiokafka sends no group generation with offsets, so this id is the only fence, and one producer for
several partitions would have none.

What is tuned, and why:

- Records go out as record batches (`create_batch`, `send_batch`): 1.2-2.8 µs each; `send` takes 11.
- aiokafka keeps one waiting batch per partition, so batches are large (900 KB), and the first batch of every
  partition is put before anything is awaited: one AddPartitionsToTxn for all.
- aiokafka commits a transaction even if a batch of it failed (its flush doesn't look at results), so every
  batch is awaited before the commit. That also keeps produce and AddOffsetsToTxn apart, which a broker
  answers with NOT_ENOUGH_REPLICAS.
- After a commit the broker answers CONCURRENT_TRANSACTIONS for a moment; aiokafka then sleeps
  `BACKOFF_OVERRIDE`, 20 ms as shipped.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import aiokafka.producer.sender
from aiokafka import TopicPartition

from streams.clients import Clients
from streams.fold import Output
from streams.record_batch import RawRecord, RecordBatch

BACKOFF_S = 0.002
aiokafka.producer.sender.BACKOFF_OVERRIDE = BACKOFF_S

LARGEST_BATCH_BYTES = 900 * 1024
LARGEST_REQUEST_BYTES = 8 * 1024 * 1024
RETRY_BACKOFF_MS = 5
REQUEST_TIMEOUT_MS = 10_000
TRANSACTION_TIMEOUT_MS = 10_000
GIVE_UP_S = 15.0
"""A transaction that takes longer has been aborted by the broker; the worker stops hard."""


def transactional_id(app_id: str, partition: int) -> str:
    """Name the producer that owns `partition`; two owners of one partition must not both live."""
    return f"{app_id}-{partition}"


class PartitionTransactions:
    """Write transactions for one source partition; not to be used after any method has raised."""

    def __init__(
        self,
        clients: Clients,
        *,
        app_id: str,
        source: TopicPartition,
        changelog_topic: str,
        timed: Callable[[float], object] = lambda _: None,
    ) -> None:
        """Make the producer; it connects at `start`. `timed` hears how many seconds each transaction took."""
        self._source = source
        self._app_id = app_id
        self._changelog_topic = changelog_topic
        self._timed = timed
        self._producer: Any = clients.producer(
            transactional_id=transactional_id(app_id, source.partition),
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            linger_ms=0,
            max_batch_size=LARGEST_BATCH_BYTES,
            max_request_size=LARGEST_REQUEST_BYTES,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )

    async def start(self) -> None:
        """Fence out the previous owner and abort what it left open.

        Raises:
            aiokafka.errors.KafkaError: the broker can't be reached, or refuses.
        """
        await self._producer.start()

    async def stop(self) -> None:
        """Close the producer; nothing may be under way."""
        await self._producer.stop()

    async def commit_fence(self, key: bytes, value: bytes, now: int) -> int:
        """Commit one record to the changelog partition and return its offset.

        Whatever an older owner wrote there and committed lies before it.
        """
        async with asyncio.timeout(GIVE_UP_S):
            while True:
                await self._producer.begin_transaction()
                [sent] = await self._put(self._changelog_topic, self._source.partition, [(key, value, now, [])])
                written = await sent
                await self._producer.commit_transaction()
                # A retried produce can be acknowledged without its offset; then another fence is written.
                if written.offset >= 0:
                    return int(written.offset)

    async def commit(
        self,
        outputs: Iterable[Output],
        changes: Sequence[tuple[bytes, bytes | None]],
        *,
        now: int,
        offset: int | None,
    ) -> None:
        """Commit outputs, changelog records and, if given, the group's offset of the source, in one transaction.

        Args:
            outputs: in order; the order is kept per topic and partition.
            changes: last value of each key, each key once; None deletes it.
            now: timestamp of the changelog records, epoch milliseconds.
            offset: the first source offset not folded yet.

        Raises:
            aiokafka.errors.KafkaError: fenced, or refused.
            TimeoutError: not done within `GIVE_UP_S`. In both cases it is unknown whether the transaction holds.
        """
        own = self._source.partition
        by_place: dict[tuple[str, int], list[RawRecord]] = {}
        for output in outputs:
            record = (output.key, output.value, output.timestamp, list(output.headers))
            place = (output.topic, own if output.partition is None else output.partition)
            by_place.setdefault(place, []).append(record)
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(GIVE_UP_S):
            await self._producer.begin_transaction()
            putting = [self._put(topic, partition, records) for (topic, partition), records in by_place.items()]
            if changes:
                put = self._put(self._changelog_topic, own, [(key, value, now, []) for key, value in changes])
                putting.append(put)
            for sent in await asyncio.gather(*putting):
                await asyncio.gather(*sent)
            if offset is not None:
                await self._producer.send_offsets_to_transaction({self._source: offset}, self._app_id)
            await self._producer.commit_transaction()
        self._timed(asyncio.get_running_loop().time() - began)

    async def _put(self, topic: str, partition: int, records: Iterable[RawRecord]) -> list[Awaitable[Any]]:
        sent: list[Awaitable[Any]] = []
        batch = RecordBatch(self._producer.create_batch())
        for record in records:
            if not batch.add(record):
                sent.append(await self._send(batch.closed(), topic, partition))
                batch = RecordBatch(self._producer.create_batch())
                batch.add(record)
        sent.append(await self._send(batch.closed(), topic, partition))
        return sent

    async def _send(self, batch: Any, topic: str, partition: int) -> Awaitable[Any]:
        future: Awaitable[Any] = await self._producer.send_batch(batch, topic, partition=partition)
        return future
