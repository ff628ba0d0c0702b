"""Processes that can die, freeze and be cut off, and the clients by which they speak with the reduced Kafka.

Every word to the broker is a journey there and one back, in time that the seed draws. At each end of it the process
may die, freeze for longer than its session, or be answered with an error: so there is a crash point before each
operation and another one between its effect and its answer.
"""

import asyncio
import random  # noqa: TID251 -- seeded
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError, KafkaTimeoutError
from faust.types import TP

from streams.batches import Batch
from streams.fold import Header
from tests.simulation.reduced_kafka import Broker, Entry, Group, Place

TRANSACTION_TIMEOUT_S: Final = 10.0
Answer = TypeVar("Answer")
HERE: Final[ContextVar["Process | None"]] = ContextVar("HERE", default=None)
"""In whose process a task runs; whoever is made there inherits it."""


class Odds:
    """What may happen, how often, and how often in all; and what has."""

    def __init__(self, seed: int, freeze: float | None = None) -> None:
        self.chance: Final = random.Random(seed)  # noqa: S311 -- not a secret
        self.death = self.chance.choice((0.0, 0.005, 0.02, 0.05))
        drawn = self.chance.choice((0.0, 0.003, 0.01))
        self.freeze = drawn if freeze is None else freeze
        self.refusal = self.chance.choice((0.0, 0.0, 0.01))
        self.left = self.chance.randrange(1, 9)
        self.trace: list[str] = []

    def strikes(self, probability: float) -> bool:
        """Draw whether a fault happens now."""
        if self.left == 0 or self.chance.random() >= probability:
            return False
        self.left -= 1
        return True


class Process:
    """One process: its tasks, and whether it is alive and awake."""

    def __init__(self, name: str, odds: Odds, on_end: Callable[["Process", str, BaseException | None], None]) -> None:
        self.name = name
        self.is_dead = False
        self.tasks: list[asyncio.Task[Any]] = []
        self._on_end = on_end
        self._odds = odds
        self._awake = asyncio.Event()
        self._awake.set()
        self.on_freeze: Callable[[float], None] = lambda _: None

    def end(self, reason: str, error: BaseException | None = None) -> None:
        """Die at once, with all that is in memory."""
        if self.is_dead:
            return
        self.is_dead = True
        self.note(f"dies: {reason} {error!r}" if error else f"dies: {reason}")
        for task in self.tasks:
            task.cancel()
        self._on_end(self, reason, error)

    def freeze(self, seconds: float) -> None:
        """Do nothing for a time, as behind a SIGSTOP."""
        if self.is_dead or not self._awake.is_set():
            return
        self.note(f"freezes for {seconds} s")
        self._awake.clear()
        self.on_freeze(seconds)
        asyncio.get_running_loop().call_later(seconds, self._awake.set)

    def note(self, what: str) -> None:
        """Write a line of the trace."""
        self._odds.trace.append(f"{asyncio.get_running_loop().time():9.4f} {self.name}: {what}")

    async def travel(self, what: str) -> None:
        """Be on the way to the broker, or back; whatever can happen to a process happens here.

        Raises:
            CancelledError: the process is dead.
            KafkaTimeoutError: the broker didn't answer; what was asked may have been done or not.
        """
        odds = self._odds
        if self.is_dead:
            raise asyncio.CancelledError
        if odds.strikes(odds.death):
            self.end(f"killed at {what}")
            raise asyncio.CancelledError
        if odds.strikes(odds.freeze):
            self.freeze(odds.chance.choice((0.3, 5.0, 8.0, 13.0)))
        await asyncio.sleep(odds.chance.choice((0.0, 0.001, 0.004, 0.02)))
        while not self._awake.is_set() and not self.is_dead:
            await self._awake.wait()
        if self.is_dead:
            raise asyncio.CancelledError
        if odds.strikes(odds.refusal):
            self.note(f"no answer: {what}")
            raise KafkaTimeoutError


class Written:
    """What a produced batch is acknowledged with."""

    def __init__(self, offset: int) -> None:
        self.offset = offset


class Builder:
    """Stands where aiokafka's batch builder stands; `streams/record_batch.py` fills it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._builder = self
        self._relative_offset = 0

    def append(
        self, _: int, timestamp: int, key: bytes | None, value: bytes | None, headers: Iterable[Header]
    ) -> object:
        """Take a record."""
        self.entries.append(Entry(offset=0, timestamp=timestamp, key=key, value=value, headers=tuple(headers)))
        return self

    def close(self) -> None:
        """Take no more."""


class SimulatedProducer:
    """A producer in aiokafka's words."""

    def __init__(self, process: Process, broker: "Shore", transactional_id: str | None) -> None:
        self._process = process
        self._shore = broker
        self._name = transactional_id
        self._epoch = 0
        self._last: dict[Place, asyncio.Task[Written]] = {}

    async def start(self) -> None:
        """Connect; with a transactional id, begin an epoch of it."""
        if self._name is None:
            return
        await self._process.travel("init")
        await self._shore.ended(self._name)
        if (transaction := self._shore.broker.transactions.get(self._name)) is not None and transaction.is_open:
            # The open one is aborted first, and the epoch raised at once, so that its writer is fenced.
            self._shore.broker.expire(self._name, transaction.epoch)
            self._shore.settle(self._name)
            await self._shore.ended(self._name)
        self._epoch = self._shore.broker.new_epoch(self._name)
        self._process.note(f"{self._name} begins epoch {self._epoch}")
        await self._process.travel("init's answer")

    async def stop(self) -> None:
        """Close."""

    async def begin_transaction(self) -> None:
        """Begin; the broker hears of it with the first record."""

    def create_batch(self) -> Builder:
        """Return a batch to be filled."""
        return Builder()

    async def partitions_for(self, topic: str) -> frozenset[int]:
        """Return a topic's partitions."""
        return frozenset(range(self._shore.broker.counts[topic]))

    async def send_batch(self, batch: Builder, topic: str, *, partition: int) -> asyncio.Task[Written]:
        """Send a batch behind those before it."""
        place = (topic, partition)
        self._last[place] = task = asyncio.ensure_future(self._produce(batch, place, self._last.get(place)))
        return task

    async def _produce(self, batch: Builder, place: Place, before: asyncio.Task[Written] | None) -> Written:
        if before is not None:
            await before
        if not batch.entries:
            return Written(-1)
        await self._process.travel(f"produce {place}")
        if self._name is not None:
            await self._shore.ended(self._name)
        offset = self._shore.append(place, batch.entries, self._name, self._epoch)
        await self._process.travel(f"produced {place} {offset}")
        return Written(offset)

    async def send_offsets_to_transaction(self, offsets: Mapping[TopicPartition, int], group: str) -> None:
        """Add offsets of a group to the transaction."""
        assert self._name is not None
        await self._process.travel("offsets")
        await self._shore.ended(self._name)
        for place, offset in offsets.items():
            self._shore.broker.add_offset(self._name, self._epoch, group, (place.topic, place.partition), offset)
        await self._process.travel("offsets' answer")

    async def commit_transaction(self) -> None:
        """Commit."""
        await self._end(commit=True)

    async def abort_transaction(self) -> None:
        """Abort."""
        await self._end(commit=False)

    async def _end(self, *, commit: bool) -> None:
        assert self._name is not None
        await self._process.travel("commit")
        self._shore.broker.end_transaction(self._name, self._epoch, commit=commit)
        self._shore.settle(self._name)
        await self._process.travel("committed")


class SimulatedConsumer:
    """A consumer without a group, in aiokafka's words."""

    def __init__(self, process: Process, shore: "Shore", *, committed: bool) -> None:
        self._process = process
        self._shore = shore
        self._committed = committed
        self._positions: dict[Place, int] = {}

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Close."""

    def assign(self, places: Sequence[TopicPartition]) -> None:
        """Read these, each from its beginning."""
        self._positions = {(place.topic, place.partition): 0 for place in places}
        for place in self._positions:
            self._positions[place] = self._shore.broker.partitions[place].first

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go on at an offset."""
        self._positions[place.topic, place.partition] = offset

    async def position(self, place: TopicPartition) -> int:
        """Return where it goes on."""
        return self._positions[place.topic, place.partition]

    async def getmany(
        self, place: TopicPartition, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Entry]]:
        """Return what there is; nothing after a time."""
        at = (place.topic, place.partition)
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_ms / 1000
        while True:
            await self._process.travel("fetch")
            partition = self._shore.broker.partitions[at]
            found, self._positions[at] = partition.read(
                self._positions[at], committed=self._committed, at_most=max_records
            )
            if found or loop.time() >= until:
                return {place: found} if found else {}
            await self._shore.moved(until - loop.time())

    async def end_offsets(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the ends of partitions, for a reader such as this."""
        await self._process.travel("ends")
        found = {place: self._shore.broker.partitions[place.topic, place.partition] for place in places}
        return {place: one.stable if self._committed else one.end for place, one in found.items()}


class Shore:
    """The broker with its own work: markers that come later, transactions that expire, readers who wait."""

    def __init__(self, broker: Broker, odds: Odds) -> None:
        self.broker = broker
        self._odds = odds
        self._waiting: list[asyncio.Future[None]] = []
        self._begun: set[tuple[str, int]] = set()

    def append(self, place: Place, entries: Sequence[Entry], name: str | None = None, epoch: int = 0) -> int:
        """Append, and have a transaction that it begins expire."""
        was_open = name is not None and self.broker.transactions[name].is_open
        offset = self.broker.append(place, entries, name, epoch)
        if name is None:
            self._move()
        elif not was_open:
            asyncio.get_running_loop().call_later(TRANSACTION_TIMEOUT_S, self._expire, name, epoch)
        return offset

    def _expire(self, name: str, epoch: int) -> None:
        self.broker.expire(name, epoch)
        self.settle(name)

    def settle(self, name: str) -> None:
        """Have the markers of a decided transaction written, one after the other."""
        if self.broker.mark_next(name):
            asyncio.get_running_loop().call_later(self._odds.chance.choice((0.0, 0.003)), self.settle, name)
        self._move()

    async def ended(self, name: str) -> None:
        """Wait until the last transaction has all its markers."""
        while name in self.broker.transactions and self.broker.transactions[name].unmarked:
            await self.moved(1.0)

    async def moved(self, timeout_s: float) -> None:
        """Wait until something may be read that couldn't."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        timer = asyncio.get_running_loop().call_later(max(timeout_s, 0.0), _wake, future)
        try:
            await future
        finally:
            timer.cancel()

    def _move(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            _wake(future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class SimulatedClients:
    """Makes clients of one process."""

    def __init__(self, process: Process, shore: Shore) -> None:
        self.process = process
        self.shore = shore

    def producer(self, **settings: Any) -> SimulatedProducer:
        """Return a producer; of the settings only the transactional id counts."""
        return SimulatedProducer(self.process, self.shore, settings.get("transactional_id"))

    def consumer(self, **settings: Any) -> SimulatedConsumer:
        """Return a consumer; of the settings only the isolation counts."""
        return SimulatedConsumer(
            self.process, self.shore, committed=settings.get("isolation_level") == "read_committed"
        )


class SimulatedReader:
    """A member's connection to its group: `streams/draining.py` and `streams/fetching.py` together."""

    def __init__(self, process: Process, shore: Shore, group: Group, deliver: Callable[[Batch], None]) -> None:
        self._process = process
        self._shore = shore
        self._group = group
        self._deliver = deliver
        self._positions: dict[TP, int] = {}
        self._opened: list[TP] = []
        self._held: set[TP] = set()
        self.generation = 0

    @property
    def thread(self) -> "SimulatedReader":
        """Return who places and commits."""
        return self

    def open(self, tp: TP) -> None:
        """Let records come."""
        self._opened.append(tp)
        self._shore._move()

    def close_one(self, tp: TP) -> None:
        """Let nothing come of a partition until it is opened again."""
        self._opened = [one for one in self._opened if one != tp]
        self._held.discard(tp)

    def hold(self, tp: TP) -> None:
        """Take no more for now."""
        self._held.add(tp)

    def release(self, tp: TP) -> None:
        """Take again."""
        self._held.discard(tp)
        self._shore._move()

    def close_all(self) -> None:
        """Let nothing come: a rebalance has begun."""
        self._opened, self._held = [], set()

    async def place(self, tp: TP, offset: int) -> None:
        """Read from an offset on."""
        self._positions[tp] = offset

    async def group_offset(self, tp: TP) -> int | None:
        """Return the group's offset."""
        return await self._ask(lambda: self._shore.broker.offsets.get((self._group.name, (tp.topic, tp.partition))))

    async def first_offset(self, tp: TP) -> int:
        """Return the first offset."""
        return await self._ask(lambda: self._shore.broker.partitions[tp.topic, tp.partition].first)

    async def end_offset(self, tp: TP) -> int:
        """Return the offset behind the last committed record."""
        return await self._ask(lambda: self._shore.broker.partitions[tp.topic, tp.partition].stable)

    async def commit_positions(self, positions: Mapping[TP, int]) -> bool:
        """Commit; False where a rebalance has taken the partitions."""
        offsets = {(tp.topic, tp.partition): offset for tp, offset in positions.items()}
        generation = self.generation
        try:
            await self._ask(lambda: self._group.commit(self._process.name, generation, offsets))
        except CommitFailedError:
            return False
        return True

    async def _ask(self, question: Callable[[], Answer]) -> Answer:
        await self._process.travel("ask")
        answer = question()
        await self._process.travel("answer")
        return answer

    async def read(self) -> None:
        """Bring batches for ever."""
        while True:
            came = False
            for tp in [tp for tp in self._opened if tp not in self._held]:
                came |= await self._fetch(tp)
            if not came:
                await self._shore.moved(3600.0)

    async def _fetch(self, tp: TP) -> bool:
        start, generation = self._positions[tp], self.generation
        partition = self._shore.broker.partitions[tp.topic, tp.partition]
        if partition.stable <= start:
            return False
        try:
            await self._process.travel(f"fetch {tp.partition}")
        except KafkaError:
            return True
        if generation != self.generation or tp not in self._opened or self._positions[tp] != start:
            return True
        records, after = partition.read(start, committed=True, at_most=self._shore._odds.chance.choice((1, 2, 7, 500)))
        self._positions[tp] = after
        if after != start:
            self._deliver(Batch(tp=tp, generation=generation, start=start, next_offset=after, records=records))
        return True
