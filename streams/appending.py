"""Appending in order, each record once, and ending on the first error.

Idempotent, without transactions: a killed writer leaves nothing open that would stop every reader of committed
records. Of each partition one batch is under way at a time, and the process ends when one fails, so that what
is in a partition is always a beginning of what was appended to it, without a hole.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from streams.clients import Clients
from streams.fold import Header
from streams.hard_stop import stop_hard
from streams.record_batch import RawRecord, RecordBatch

LARGEST_BATCH_BYTES = 900 * 1024
LARGEST_REQUEST_BYTES = 8 * 1024 * 1024
RETRY_BACKOFF_MS = 50
REQUEST_TIMEOUT_MS = 30_000


class NewRecord(NamedTuple):
    """One record to append; `timestamp` is epoch milliseconds.

    A tuple, so that whoever makes very many may hand in bare ones, which go into the batch as they are.
    """

    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: list[Header] = []  # noqa: RUF012 -- nobody adds to the headers of a record that is made


class Appender:
    """Append records to partitions; whatever can't be written ends the process."""

    def __init__(self, clients: Clients, stop: Callable[[str, BaseException | None], object] = stop_hard) -> None:
        """Make the producer, which connects at `start`; `stop` ends the process."""
        self._stop = stop
        self._producer: Any = clients.producer(
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=LARGEST_BATCH_BYTES,
            max_request_size=LARGEST_REQUEST_BYTES,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        self._under_way: dict[tuple[str, int], asyncio.Future[Any]] = {}
        self._turns: dict[tuple[str, int], asyncio.Lock] = {}

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Write what is under way, and close."""
        await self.flush()
        await self._producer.stop()

    async def partition_count(self, topic: str) -> int:
        """Return how many partitions `topic` has."""
        return len(await self._producer.partitions_for(topic))

    async def append(self, topic: str, partition: int, records: Sequence[RawRecord]) -> None:
        """Append records to one partition, behind all that was appended there before, in their order.

        Returns when they are on their way; `flush` waits until they are written. Calls for several partitions
        run side by side (`asyncio.gather`), and many records per call are much cheaper than many calls.
        """
        target = (topic, partition)
        async with self._turns.setdefault(target, asyncio.Lock()):
            batch = RecordBatch(self._producer.create_batch())
            for record in records:
                if not batch.add(record):
                    await self._send(batch.closed(), target)
                    batch = RecordBatch(self._producer.create_batch())
                    batch.add(record)
            if records:
                await self._send(batch.closed(), target)

    async def _send(self, batch: Any, target: tuple[str, int]) -> None:
        before = self._under_way.get(target)
        if before is not None:
            await before
        topic, partition = target
        future = await self._producer.send_batch(batch, topic, partition=partition)
        future.add_done_callback(self._stop_if_failed)
        self._under_way[target] = future

    async def flush(self) -> None:
        """Wait until all that was appended is written."""
        await asyncio.gather(*self._under_way.values())

    def _stop_if_failed(self, written: asyncio.Future[Any]) -> None:
        if not written.cancelled() and (error := written.exception()) is not None:
            self._stop("a record could not be appended", error)
