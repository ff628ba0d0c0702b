"""Faust's consumer and transport, made to move batches.

Stands in for these of `faust.transport.consumer.Consumer` and of its aiokafka driver:

- `_drain_messages`: four asyncio tasks for every record (83 µs each), a whole second of sleep when every
  partition is full, and an exception in it is swallowed while the worker lives on, idle. Here one message
  carries what a partition had, and an exception ends the process.
- `perform_seek`: Faust moves every partition to the group's committed offset after each rebalance. Whoever
  owns a partition places it here himself, before he opens it.
- `_new_consumer_thread`: to make the thread of `streams/fetching.py`.

Nothing is read from a partition until its owner has *opened* it, and Faust's own pausing and resuming has no
say in that. So the order is always: seek, then open; and a revoked partition is closed first of all.
"""

import asyncio
from typing import ClassVar, cast

from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP, ConsumerMessage
from faust.types.transports import ConsumerT
from mode import ServiceT

from streams.batches import Batch
from streams.connection import Connection
from streams.fetching import BatchThread
from streams.hard_stop import stop_hard

FETCH_TIMEOUT_S = 1.0


class BatchConsumer(Consumer):
    """Deliver one message per partition and fetch, of opened partitions only."""

    _thread: BatchThread
    _opened: frozenset[TP] = frozenset()
    _held: frozenset[TP] = frozenset()

    turns: int = 0
    """How often the drain went round; it does at least every `FETCH_TIMEOUT_S` while it lives."""

    delivered: int = 0
    """How many batches were handed to Faust."""

    received: int = 0
    """How many of them the agent has got."""

    def _new_consumer_thread(self) -> BatchThread:
        thread = BatchThread(self, loop=self.loop, beacon=self.beacon)
        thread.connection = cast("BatchTransport", self.transport).connection
        return thread

    @property
    def thread(self) -> BatchThread:
        """The thread that reads, for those who place partitions and commit."""
        return self._thread

    def open(self, tp: TP) -> None:
        """Let records of `tp` come, from where it was placed."""
        self._opened |= {tp}
        self._want()

    def hold(self, tp: TP) -> None:
        """Take no more from `tp` for now; what is under way still comes."""
        self._held |= {tp}
        self._want()

    def release(self, tp: TP) -> None:
        """Take from `tp` again."""
        self._held -= {tp}
        self._want()

    def close_one(self, tp: TP) -> None:
        """Let no record come of `tp`, and drop what is under way, until it is placed and opened again."""
        self._opened -= {tp}
        self._held -= {tp}
        self._want()

    def close_all(self) -> None:
        """Let no record come of any partition, and drop what is under way: a rebalance has begun."""
        self._opened = frozenset()
        self._held = frozenset()
        # What Faust's queues held is dropped with the assignment and never reaches the agent.
        self.delivered = self.received = 0
        self._want()

    def _want(self) -> None:
        if self._thread.is_connected:
            self._thread.want(self._opened - self._held)

    async def perform_seek(self) -> None:
        """Leave positions alone: owners place their partitions themselves."""

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                self.turns += 1
                if not self.flow_active:
                    await self._flow_or_timeout()
                    continue
                for batch in await self._thread.fetch(FETCH_TIMEOUT_S):
                    if self._deliverable(batch):
                        self.delivered += 1
                        await self.callback(self._as_message(batch))
        except asyncio.CancelledError:
            raise
        except ConsumerStoppedError:
            if not self.app.should_stop:
                stop_hard("the consumer stopped by itself")
        except Exception as error:  # noqa: BLE001 -- Faust would log it and live on, idle
            if not self.app.should_stop:
                stop_hard("reading failed", error)

    async def _flow_or_timeout(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                await self.can_resume_flow.wait()
        except TimeoutError:
            pass

    def _deliverable(self, batch: Batch) -> bool:
        # What was fetched before a rebalance is dropped: its partition is placed anew before it is opened.
        return self.flow_active and batch.generation == self.app.consumer_generation_id and batch.tp in self._opened

    def _as_message(self, batch: Batch) -> ConsumerMessage:
        return ConsumerMessage(
            topic=batch.tp.topic,
            partition=batch.tp.partition,
            offset=batch.next_offset - 1,
            timestamp=0.0,
            timestamp_type=0,
            headers=None,
            key=None,
            value=batch,  # type: ignore[arg-type]
            checksum=None,
            tp=batch.tp,
            generation_id=batch.generation,
        )


class BatchTransport(Transport):
    """Faust's aiokafka transport with the consumer above."""

    Consumer: ClassVar[type[ConsumerT]] = BatchConsumer
    connection: Connection
