"""A lane of transactions: what the partitions that share it have to write goes out together, all or nothing.

A transaction costs the same 6 to 9 ms of client and broker however little it carries, so one for each partition is too
many where many partitions have a little each. Here whoever has something waits for his turn, and what all of them have
by then is one transaction. A worker has a few lanes, for a large transaction holds up whoever shares its lane.

**The fence.** Whoever takes a partition over must be the only one who can write for it from then on. So before anything
else a worker writes its name, the transactional id that no process but it ever has, into the partition's changelog, and
takes it out again when it gives the partition up. Whoever finds another name there begins an epoch of that id
(`fence_out`): that aborts what its owner left open, and refuses whatever it wants to write later. The order of these
steps is in `streams/takeover.py`.

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
import math
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
DISTANCE_S = 0.006
"""Times the lanes of a worker: between the beginnings of two transactions, for those who wait for their turn. So they
are 170 a second at most."""
GATHER_S = 0.02
"""How long a transaction that has a part waits at most for those who have had their turn and are folding."""
MOST_BYTES = 8 * 1024 * 1024
"""What the outputs of several partitions in one transaction may have together."""

Place = tuple[str, int]
Change = tuple[bytes, bytes | None]


class _Part:
    """What one partition adds to a transaction, and who waits for it."""

    def __init__(
        self, source: TopicPartition, outputs: Iterable[Output], changes: Sequence[Change], now: int, offset: int | None
    ) -> None:
        self.source, self.outputs, self.changes, self.now, self.offset = source, list(outputs), changes, now, offset
        self.size = sum([len(output.value) for output in self.outputs])
        self.written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The offset of its first record in the changelog; -1 where none is told."""

    def done(self, offset: int) -> None:
        if not self.written.done():
            self.written.set_result(offset)

    def fail(self, error: BaseException) -> None:
        if not self.written.done():
            self.written.set_exception(error)
            # Whoever was to hear of it may be gone; everybody else hears of it too.
            self.written.exception()


class Lane:
    """Write one transaction after the other; not to be used after any method has raised."""

    def __init__(
        self,
        clients: Clients,
        *,
        app_id: str,
        name: str,
        changelog_topic: str,
        distance_s: float = DISTANCE_S,
        timed: Callable[[float], object] = lambda _: None,
    ) -> None:
        """Make the producer, which connects at `start`.

        Args:
            clients: makes clients of Kafka.
            app_id: the group whose offsets are committed.
            name: the transactional id; no other process may ever have had it.
            changelog_topic: where memory is kept.
            distance_s: least between the beginnings of two transactions, for those who wait for their turn.
            timed: hears how many seconds each transaction took.
        """
        self.name = name
        self._clients = clients
        self._app_id = app_id
        self._changelog_topic = changelog_topic
        self._distance_s = distance_s
        self._timed = timed
        self._producer: Any = self._make(name)
        self._started: asyncio.Task[None] | None = None
        self._fenced: dict[str, asyncio.Task[None]] = {}
        self._waiting: list[_Part] = []
        self._came = asyncio.Event()
        self._is_free = asyncio.Event()
        self._is_free.set()
        self._folding: set[TopicPartition] = set()
        """Who has had his turn, and hasn't handed in his part yet."""
        self._none_folds = asyncio.Event()
        self._none_folds.set()
        self._began_at = -math.inf
        self._failure: BaseException | None = None
        self._writing: asyncio.Task[None] | None = None

    def _make(self, name: str) -> Any:
        return self._clients.producer(
            transactional_id=name,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            linger_ms=0,
            max_batch_size=LARGEST_BATCH_BYTES,
            max_request_size=LARGEST_REQUEST_BYTES,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )

    async def start(self) -> None:
        """Connect, once for all who ask.

        Raises:
            aiokafka.errors.KafkaError: the broker can't be reached, or refuses.
        """
        if self._started is None:
            self._started = asyncio.ensure_future(self._start())
        await asyncio.shield(self._started)

    async def _start(self) -> None:
        try:
            await self._producer.start()
        except BaseException as error:
            self._fail(error, [])
            raise
        self._writing = asyncio.ensure_future(self._write_all())

    async def stop(self) -> None:
        """Close the producer; nothing may be under way."""
        if self._writing is not None:
            self._writing.cancel()
        if self._started is not None:
            await self._producer.stop()

    async def fence_out(self, name: str) -> None:
        """Abort what another worker left open, and have refused whatever it wants to write from now on.

        Raises:
            aiokafka.errors.KafkaError: the broker can't be reached, or refuses.
        """
        # An id has one process, so once is enough; who takes over several of its partitions asks several times.
        if name not in self._fenced:
            self._fenced[name] = asyncio.ensure_future(self._begin_epoch(name))
        await asyncio.shield(self._fenced[name])

    async def _begin_epoch(self, name: str) -> None:
        producer = self._make(name)
        try:
            await producer.start()
        finally:
            await producer.stop()

    async def turn(self, source: TopicPartition) -> None:
        """Wait until a transaction may begin, so as to put into it what has come by then; it waits for that part."""
        loop = asyncio.get_running_loop()
        while self._failure is None:
            await self._is_free.wait()
            remaining = self._began_at + self._distance_s - loop.time()
            if remaining <= 0:
                break
            await asyncio.sleep(remaining)
        self._folding.add(source)
        self._none_folds.clear()

    def end_turn(self, source: TopicPartition) -> None:
        """Say that there is no part to wait for; handing one in says so, too."""
        self._folding.discard(source)
        if not self._folding:
            self._none_folds.set()

    async def commit(
        self,
        source: TopicPartition,
        outputs: Iterable[Output],
        changes: Sequence[Change],
        *,
        now: int,
        offset: int | None,
    ) -> int:
        """Commit outputs, changelog records and, if given, the group's offset, in one transaction with others' parts.

        Args:
            source: the partition of the log that they come from.
            outputs: in order; the order is kept per topic and partition.
            changes: last value of each key, each key once; None deletes it.
            now: timestamp of the changelog records, epoch milliseconds.
            offset: the first source offset not folded yet.

        Returns:
            The offset of the first of the changes in the changelog; -1 where the broker doesn't tell.

        Raises:
            aiokafka.errors.KafkaError: fenced, or refused.
            TimeoutError: not done within `GIVE_UP_S`. In both cases it is unknown whether the transaction holds.
        """
        if self._failure is not None:
            raise self._failure
        part = _Part(source, outputs, changes, now, offset)
        self._waiting.append(part)
        self._came.set()
        self.end_turn(source)
        return await part.written

    async def _write_all(self) -> None:
        while True:
            await self._came.wait()
            try:
                async with asyncio.timeout(GATHER_S):
                    await self._none_folds.wait()
            except TimeoutError:
                pass
            parts = self._take()
            self._is_free.clear()
            self._began_at = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(GIVE_UP_S):
                    firsts = await self._write(parts)
            except BaseException as error:
                self._fail(error, parts)
                if isinstance(error, Exception):
                    return
                raise
            self._timed(asyncio.get_running_loop().time() - self._began_at)
            for part in parts:
                part.done(firsts.get((self._changelog_topic, part.source.partition), -1))
            self._is_free.set()

    def _fail(self, error: BaseException, parts: list[_Part]) -> None:
        self._failure = error
        for part in [*parts, *self._waiting]:
            part.fail(error)
        self._is_free.set()

    def _take(self) -> list[_Part]:
        """Take what waits, in order, as much as one transaction may have; the first in any case."""
        taken = [self._waiting.pop(0)]
        size = taken[0].size
        while self._waiting and (size := size + self._waiting[0].size) <= MOST_BYTES:
            taken.append(self._waiting.pop(0))
        if not self._waiting:
            self._came.clear()
        return taken

    async def _write(self, parts: list[_Part]) -> dict[Place, int]:
        """Write one transaction; return the offset of the first record at each place."""
        by_place: dict[Place, list[RawRecord]] = {}
        for part in parts:
            own = part.source.partition
            for output in part.outputs:
                place = (output.topic, own if output.partition is None else output.partition)
                record = (output.key, output.value, output.timestamp, list(output.headers))
                by_place.setdefault(place, []).append(record)
            if part.changes:
                changelog = by_place.setdefault((self._changelog_topic, own), [])
                changelog += [(key, value, part.now, []) for key, value in part.changes]
        await self._producer.begin_transaction()
        putting = [self._put(topic, partition, records) for (topic, partition), records in by_place.items()]
        firsts = {}
        for place, sent in zip(by_place, await asyncio.gather(*putting), strict=True):
            firsts[place] = int((await asyncio.gather(*sent))[0].offset)
        offsets = {part.source: part.offset for part in parts if part.offset is not None}
        if offsets:
            await self._producer.send_offsets_to_transaction(offsets, self._app_id)
        await self._producer.commit_transaction()
        return firsts

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
