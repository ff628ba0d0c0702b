"""One partition in our hands: take it over, then fold, one transaction, next; until it is taken away.

In order: take the partition over (`streams/takeover.py`), take the position from the fold, place the consumer there,
open the partition. From then on one batch at a time: what waits is folded in slices (with a yield to the loop between),
the outcome goes out in one transaction, with those of the worker's other partitions, and only then the next is begun.
An error anywhere ends the process: the memory of a fold is ahead of what is committed.

But one: where the rules raise at a record, the partition alone is begun anew, with an empty fold, as after a crash.
Where they raise at that place a second time, the next fold is told to leave it out.

Where time passes by itself, the owner also writes the records by which it does (`streams/ticking.py`), between two
batches.

The group's committed offset is told in a transaction once a second, and soon when nothing waits; it is what
others (and a person with a Kafka tool) read. The position that counts is the fold's own.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

from aiokafka import TopicPartition
from faust.types import TP

from streams.batches import Batch
from streams.clients import Clients, Reader
from streams.fold import CannotFold, Fold, Folded, Output
from streams.hard_stop import RefusedToStart
from streams.inbox import Inbox
from streams.meters import Meters, Place
from streams.takeover import give_up, take_over
from streams.ticking import Ticking
from streams.transactions import Lane

log = logging.getLogger("tidings.streams")

SLICE_RECORDS = 1_000
MOST_RECORDS_A_TRANSACTION = 10_000
MOST_BYTES_A_TRANSACTION = 4 * 1024 * 1024
MOST_OUTPUTS_A_TRANSACTION = 10_000
OFFSET_EVERY_S = 1.0
IDLE_S = 0.2
CLOSE_S = 15.0
RAISES_BEFORE_LEFT_OUT: Final = 2
"""A place is tried again once, lest a customer is set aside for something that passes."""


class _Pending:
    """What the next transaction will carry."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.next_offset: int | None = None
        self.source_records = 0
        self._output_bytes = 0
        self._changed_bytes = 0

    def add(self, folded: Folded) -> None:
        self.outputs.extend(folded.outputs)
        self.next_offset = folded.next_offset
        # A list, because a generator takes twice as long here.
        self._output_bytes += sum([len(output.value) for output in folded.outputs])
        self._changed_bytes = folded.changed_bytes

    @property
    def is_full(self) -> bool:
        enough = self._output_bytes + self._changed_bytes >= MOST_BYTES_A_TRANSACTION
        many = self.source_records >= MOST_RECORDS_A_TRANSACTION or len(self.outputs) >= MOST_OUTPUTS_A_TRANSACTION
        return enough or many


class Owner:
    """The life of one partition of the log between assignment and revocation."""

    def __init__(
        self,
        tp: TP,
        *,
        clients: Clients,
        transactions: Lane,
        changelog_topic: str,
        make_fold: Callable[[], Fold],
        consumer: Reader,
        clock: Callable[[], int],
        settled: Callable[[], Awaitable[None]],
        horizon: Callable[[], int] | None = None,
        meters: Meters,
    ) -> None:
        """Prepare; nothing happens before `begin`.

        Args:
            tp: the partition of the log.
            clients: makes the clients of Kafka.
            transactions: the lane that this partition shares with others of the worker.
            changelog_topic: where the fold's memory is kept.
            make_fold: makes an empty fold of the partition.
            consumer: reads the log.
            clock: now in epoch milliseconds.
            settled: returns when Faust is through with its part of the rebalance.
            horizon: up to when everything that was published is in the log, in epoch milliseconds; None where the
                log has its own clock, so that nobody writes ticks.
            meters: where is counted what happens here.
        """
        self.tp = tp
        self._clients = clients
        self._changelog = TopicPartition(changelog_topic, tp.partition)
        self._make_fold = make_fold
        self._fold = make_fold()
        self._raised: list[CannotFold] = []
        self._consumer = consumer
        self._clock = clock
        self._settled = settled
        self._source = TopicPartition(*tp)
        self._horizon = horizon
        self._ticking = self._new_ticking()
        self._transactions = transactions
        self._meters = meters
        self._count_records = meters.records.labels(tp.topic, tp.partition).inc
        self._done = 0
        self._handled_at: int | None = None
        self._inbox: Inbox | None = None
        self._closing = False
        self._folded: int | None = None
        self._told: int | None = None
        self._told_at = 0.0
        self._untold = False
        self._task: asyncio.Task[None] | None = None
        self.busy_since: float | None = None
        """Loop time since which the same piece of work is under way; None while waiting for records."""

    def _new_ticking(self) -> Ticking | None:
        return None if self._horizon is None else Ticking(self._fold, clock=self._clock, horizon=self._horizon)

    def begin(self) -> asyncio.Task[None]:
        """Start the life as a task, and return it."""
        self._task = asyncio.ensure_future(self._live())
        return self._task

    def deliver(self, batch: Batch) -> None:
        """Take a batch.

        Raises:
            BrokenChain: it isn't the next one.
        """
        if self._inbox is not None and not self._closing:
            self._inbox.put(batch)

    @property
    def place(self) -> Place | None:
        """How far the partition is; None while it is being recovered."""
        inbox = self._inbox
        if inbox is None:
            return None
        # Behind the last record there may be markers, which nobody has to do anything about.
        is_idle = inbox.waiting == 0 and self.busy_since is None
        return Place(max(self._done, inbox.passed) if is_idle else self._done, self._handled_at)

    def stop(self) -> None:
        """Begin nothing more; in particular, let no records come any more if they don't yet."""
        self._closing = True
        if self._inbox is not None:
            self._inbox.wake()
        elif self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Finish what is under way, tell the group how far we are, and give the partition up.

        Raises:
            TimeoutError: that took longer than `CLOSE_S`; the partition may still be in our hands.
        """
        self.stop()
        if self._task is None:
            return
        async with asyncio.timeout(CLOSE_S):
            [ended] = await asyncio.gather(self._task, return_exceptions=True)
            # Whoever has failed takes the process with him.
            if ended is None or isinstance(ended, asyncio.CancelledError):
                await give_up(self._source, transactions=self._transactions, now=self._clock())

    async def _live(self) -> None:
        self._inbox = inbox = await self._recover()
        while not self._closing:
            patience_s, tick_in_s = self._patience_s(), self._tick_in_s()
            came = await inbox.wait(min(patience_s, tick_in_s))
            self.busy_since = asyncio.get_running_loop().time()
            if came:
                if inbox.waiting < SLICE_RECORDS:
                    await self._transactions.turn(self._source)
                try:
                    await self._fold_what_waits(inbox)
                except CannotFold as raised:
                    self._inbox = inbox = await self._begin_anew(raised)
                    continue
                finally:
                    self._transactions.end_turn(self._source)
            await self._write_tick()
            if self._offset_is_due(idle=not came and patience_s <= tick_in_s):
                await self._tell_offset(inbox)
            self.busy_since = None
        await self._tell_offset(inbox)

    async def _begin_anew(self, raised: CannotFold) -> Inbox:
        """Throw away what was folded since the last transaction, and the memory with it.

        Raises:
            RefusedToStart: there is no end to it.
        """
        self._transactions.end_turn(self._source)
        self._consumer.close_one(self.tp)
        self._inbox = self.busy_since = None
        where = f"{self.tp.topic}/{self.tp.partition}"
        left_out = self._left_out()
        if raised.is_one_too_many or raised.place in {one.place for one in left_out}:
            raise RefusedToStart(
                f"{where}: {raised.told}, and for more customers than can be quarantined: that isn't a customer but a"
                " release; start the workers of the release before, or of one in which it is mended"
            )
        self._raised.append(raised)
        log.warning("%s: %s; this partition's memory is read anew", where, raised.told)
        self._fold = self._make_fold()
        self._fold.leave_out(self._left_out())
        self._ticking = self._new_ticking()
        return await self._recover()

    def _left_out(self) -> list[CannotFold]:
        places = [one.place for one in self._raised]
        known = {one.place: one for one in self._raised}
        return [one for place, one in known.items() if places.count(place) >= RAISES_BEFORE_LEFT_OUT]

    async def _recover(self) -> Inbox:
        began = asyncio.get_running_loop().time()
        await self._transactions.start()
        restored = await take_over(
            self._source,
            self._changelog,
            fold=self._fold,
            clients=self._clients,
            transactions=self._transactions,
            clock=self._clock,
        )
        start = await self._start_offset()
        await self._consumer.thread.place(self.tp, start)
        await self._settled()
        took = asyncio.get_running_loop().time() - began
        self._meters.recover(self.tp, restored, took)
        log.info("%s/%d: %d restored in %.1f s, from %d", *self.tp, restored, took, start)
        inbox = Inbox(
            start,
            is_anew=bool(self._raised),
            hold=lambda: self._consumer.hold(self.tp),
            release=lambda: self._consumer.release(self.tp),
        )
        self._inbox, self._done = inbox, start
        self._consumer.open(self.tp)
        if self._ticking is not None:
            # When customers are due may depend on what is in force, and no record need come before one is.
            await self._fold.prepare(())
        return inbox

    async def _start_offset(self) -> int:
        thread = self._consumer.thread
        first, end = await thread.first_offset(self.tp), await thread.end_offset(self.tp)
        position = self._fold.next_offset()
        if position is not None:
            if not first <= position <= end:
                raise RefusedToStart(
                    f"{self.tp.topic}/{self.tp.partition} holds offsets {first} to {end}, but the memory in"
                    f" {self._changelog.topic} stands at {position}: run `tidings rebuild`"
                )
            return position
        told = await thread.group_offset(self.tp)
        if told is not None or first > 0:
            found = f"the group is at offset {told}" if told is not None else f"the log begins at {first}"
            raise RefusedToStart(
                f"{self._changelog.topic}/{self.tp.partition} holds no position, but {found}: starting from"
                " nothing would decide everything again; run `tidings rebuild`"
            )
        return 0

    def _tick_in_s(self) -> float:
        return math.inf if self._ticking is None else self._ticking.wait_s(asyncio.get_running_loop().time())

    async def _write_tick(self) -> None:
        ticks = self._ticks()
        if ticks:
            await self._transactions.commit(self._source, ticks, (), now=self._clock(), offset=None)

    def _ticks(self) -> list[Output]:
        """Return the record by which time passes, if one is due."""
        if self._ticking is None or self._closing:
            return []
        tick = self._ticking.take(asyncio.get_running_loop().time())
        if tick is None:
            return []
        self._meters.ticks.inc()
        return [tick]

    async def _fold_what_waits(self, inbox: Inbox) -> None:
        pending = _Pending()
        while records := inbox.take(SLICE_RECORDS):
            await self._fold.prepare(records)
            for folded in self._fold.fold(records):
                pending.add(folded)
                if pending.is_full:
                    await self._commit(pending)
                    pending = _Pending()
                # A part may be work alone, without anything to write; somebody has to send heartbeats meanwhile.
                self.busy_since = asyncio.get_running_loop().time()
                await asyncio.sleep(0)
            pending.source_records += len(records)
            self._count_records(len(records))
            self._handled_at = records[-1].timestamp
            if self._closing or pending.is_full:
                break
        if pending.next_offset is not None:
            # It goes along; a transaction of its own would have the next records wait for another one.
            pending.outputs += self._ticks()
        await self._commit(pending)

    async def _commit(self, pending: _Pending) -> None:
        if pending.next_offset is None:
            return
        offset = pending.next_offset if self._offset_is_due(idle=False) else None
        changes = self._fold.changes()
        await self._transactions.commit(self._source, pending.outputs, changes, now=self._clock(), offset=offset)
        self._fold.committed()
        self._folded = self._done = pending.next_offset
        self.busy_since = asyncio.get_running_loop().time()
        self._untold = True
        if offset is not None:
            self._remember_told(offset)

    def _patience_s(self) -> float:
        return IDLE_S if self._untold else OFFSET_EVERY_S

    def _offset_is_due(self, *, idle: bool) -> bool:
        return idle or asyncio.get_running_loop().time() - self._told_at >= OFFSET_EVERY_S

    async def _tell_offset(self, inbox: Inbox) -> None:
        # Without a position in the changelog nothing is told, or the next start would refuse.
        if self._folded is None:
            return
        offset = max(self._folded, inbox.passed) if inbox.waiting == 0 else self._folded
        if offset != self._told:
            await self._transactions.commit(self._source, (), (), now=self._clock(), offset=offset)
            self._remember_told(offset)

    def _remember_told(self, offset: int) -> None:
        self._told = offset
        self._untold = False
        self._told_at = asyncio.get_running_loop().time()
