"""Reading topics at least once, with positions and pace in the hands of the one who reads.

For the ingest: it sees the partitions that its group has given it, takes batches of raw records, in order
within each partition, and commits its positions itself, after what it made of them is written. In the `log`
clock it merges partitions by time, so it can pause those that are ahead; what waits here is bounded per
partition, and a partition that nobody takes from costs two fetches of memory and holds up no other.

An ingest lives as long as an assignment: a rebalance ends `batches`, the ingest writes and commits what it
has, and a new one begins where the group's offsets are.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import faust
from faust.types import TP

from streams.app import Desk, make_app, run_app, settled
from streams.appending import Appender
from streams.batches import Batch
from streams.clients import Clients, KafkaClients, Reader
from streams.connection import Connection
from streams.ends import Ends
from streams.hard_stop import RefusedToStart, stop_hard
from streams.inbox import BrokenChain, size_of
from streams.meters import Meters, Place
from streams.vitals import Vitals

log = logging.getLogger("tidings.streams")

MOST_RECORDS_WAITING = 20_000
MOST_BYTES_WAITING = 16 * 1024 * 1024
CLOSE_S = 15.0


class _Lane:
    """What waits of one partition, by number and bytes."""

    def __init__(self, start: int) -> None:
        self.expected = start
        self.done = Place(start)
        self.records = 0
        self.bytes = 0
        self.paused = False
        self.held = False

    @property
    def is_full(self) -> bool:
        return self.records >= MOST_RECORDS_WAITING or self.bytes >= MOST_BYTES_WAITING


class Sources:
    """The partitions of one assignment, as the ingest sees them."""

    def __init__(self, consumer: Reader, starts: Mapping[TP, int], ends: Ends, meters: Meters | None = None) -> None:
        """Expect each partition at its start; the desk opens them."""
        self._consumer = consumer
        self._ends = ends
        self._meters = meters or Meters()
        self.starts = dict(starts)
        """Of each partition the offset from which on it is read in this assignment."""
        self.busy_since: float | None = None
        """Loop time since which the reader has been at work on a batch; None while he waits for the next."""
        self._lanes = {tp: _Lane(start) for tp, start in starts.items()}
        self._batches: deque[Batch] = deque()
        self._changed = asyncio.Event()
        self._ended = False

    @property
    def partitions(self) -> frozenset[TP]:
        """All partitions of this assignment; they stay the same until it ends."""
        return frozenset(self._lanes)

    async def next_batch(self) -> Batch | None:
        """Return the next batch, in the order of arrival; None when the assignment has ended.

        Batches of a partition come in order. A batch may have no records: then only its `next_offset` is news.
        """
        self.busy_since = None
        while not self._batches:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        batch = self._batches.popleft()
        lane = self._lanes[batch.tp]
        self.busy_since = asyncio.get_running_loop().time()
        self._count(batch, lane)
        lane.records -= len(batch.records)
        lane.bytes -= size_of(batch)
        self._steer(batch.tp, lane)
        return batch

    async def batches(self) -> AsyncIterator[Batch]:
        """Yield batches until the assignment ends."""
        while (batch := await self.next_batch()) is not None:
            yield batch

    def places(self) -> dict[TP, Place]:
        """Return of each partition how far it was taken."""
        return {tp: lane.done for tp, lane in self._lanes.items()}

    def _count(self, batch: Batch, lane: _Lane) -> None:
        # What is being worked on counts as taken; it is one batch.
        lane.done.position = batch.next_offset
        if batch.records:
            lane.done.handled_at = batch.records[-1].timestamp
            self._meters.records.labels(batch.tp.topic, batch.tp.partition).inc(len(batch.records))

    def pause(self, tp: TP) -> None:
        """Fetch no more of `tp`; what is under way or waits still comes."""
        self._lanes[tp].paused = True
        self._steer(tp, self._lanes[tp])

    def resume(self, tp: TP) -> None:
        """Fetch of `tp` again."""
        self._lanes[tp].paused = False
        self._steer(tp, self._lanes[tp])

    async def ends(self) -> Mapping[TP, int]:
        """Ask the brokers for the offset behind the last committed record of each partition.

        Raises:
            aiokafka.errors.KafkaError: they don't answer.
        """
        return await self._ends.ask(self.partitions)

    async def commit(self, positions: Mapping[TP, int]) -> bool:
        """Commit for the group: of each partition the first offset that is not done with.

        Returns False when a rebalance has already given the partitions to somebody else; then what was done
        is done again there.
        """
        # Kafka takes no commit of nothing, and an ingest that read nothing has none to make.
        return await self._consumer.thread.commit_positions(positions) if positions else True

    def put(self, batch: Batch) -> None:
        """Take a batch from the app.

        Raises:
            BrokenChain: it isn't the next one of its partition.
        """
        lane = self._lanes.get(batch.tp)
        if lane is None or self._ended:
            return
        if batch.start != lane.expected:
            raise BrokenChain(f"{batch.tp}: expected offset {lane.expected}, got {batch.start}")
        lane.expected = batch.next_offset
        lane.records += len(batch.records)
        lane.bytes += size_of(batch)
        self._batches.append(batch)
        self._changed.set()
        self._steer(batch.tp, lane)

    def end(self) -> None:
        """End the assignment: what waits is dropped, and the reader gets None."""
        self._ended = True
        self._batches.clear()
        self._changed.set()

    def _steer(self, tp: TP, lane: _Lane) -> None:
        wanted = not (lane.paused or lane.is_full) and not self._ended
        if wanted == lane.held and not self._ended:
            lane.held = not wanted
            (self._consumer.hold if lane.held else self._consumer.release)(tp)


class Ingest(Protocol):
    """Who reads the sources of one assignment."""

    async def run(self, sources: Sources, appender: Appender) -> None:
        """Read until `next_batch` gives None, then write, flush, commit and return, within `CLOSE_S`.

        May return earlier if there is nothing more to do. What it raises ends the process.
        """


def run_ingest_worker(
    *,
    app_id: str,
    connection: Connection,
    topics: Sequence[str],
    make_ingest: Callable[[], Ingest],
    datadir: Path,
    vitals: Vitals | None = None,
) -> None:
    """Read `topics` in the group `app_id` until SIGTERM; each assignment gets an ingest of its own.

    Args:
        app_id: the consumer group.
        connection: where the brokers are.
        topics: they must exist; records written in transactions are read once committed.
        make_ingest: makes the ingest of an assignment.
        datadir: a folder of this process alone; made if it isn't there.
        vitals: for whoever watches this process.

    Returns after a clean stop. In every other case the process ends with `STOPPED_HARD` (start it again) or
    `REFUSED`.
    """
    known = vitals or Vitals()

    def make() -> tuple[faust.App, Desk]:
        desk = IngestDesk(KafkaClients(connection), make_ingest, known.meters, lambda: settled(app))
        app = make_app(app_id=app_id, connection=connection, topics=topics, desk=desk, datadir=datadir)
        return app, desk

    run_app(make, known)


class IngestDesk:
    """Has an ingest read the partitions of each assignment."""

    def __init__(
        self,
        clients: Clients,
        make_ingest: Callable[[], Ingest],
        meters: Meters,
        settle: Callable[[], Awaitable[None]],
        stop: Callable[[str, BaseException | None], object] = stop_hard,
    ) -> None:
        """Begin without partitions.

        Args:
            clients: makes the clients of Kafka.
            make_ingest: makes the ingest of an assignment.
            meters: where is counted what happens here.
            settle: returns when whoever assigns is through with his part of the rebalance.
            stop: ends the process.
        """
        self._clients = clients
        self._settle = settle
        self._stop = stop
        self._meters = meters
        self._assigned: frozenset[TP] | None = None
        self._make_ingest = make_ingest
        self._sources: Sources | None = None
        self._life: asyncio.Task[None] | None = None

    async def assigned(self, consumer: Reader, partitions: frozenset[TP]) -> None:
        """Begin with these partitions."""
        self._assigned = partitions
        if partitions:
            self._life = asyncio.ensure_future(self._live(consumer, partitions))
            self._life.add_done_callback(self._stop_if_failed)

    async def _live(self, consumer: Reader, partitions: frozenset[TP]) -> None:
        starts = {tp: await _start_offset(consumer, tp) for tp in sorted(partitions)}
        for tp, start in starts.items():
            await consumer.thread.place(tp, start)
        appender, ends = Appender(self._clients, self._stop), Ends(self._clients)
        try:
            await asyncio.gather(appender.start(), ends.start())
            await self._settle()
            self._sources = sources = Sources(consumer, starts, ends, self._meters)
            for tp in starts:
                consumer.open(tp)
            log.info("reading %d partitions of %s", len(starts), ", ".join(sorted({tp.topic for tp in starts})))
            await self._make_ingest().run(sources, appender)
        finally:
            await asyncio.gather(appender.stop(), ends.stop())

    async def revoked(self) -> None:
        """Finish with all partitions."""
        life, self._life = self._life, None
        self._assigned = None
        sources, self._sources = self._sources, None
        if life is None:
            return
        if sources is None:
            life.cancel()
        else:
            sources.end()
        async with asyncio.timeout(CLOSE_S):
            await asyncio.gather(life, return_exceptions=True)

    def deliver(self, batch: Batch) -> None:
        """Hand a batch on to whoever reads its partition."""
        if self._sources is not None:
            self._sources.put(batch)

    def stuck_for_s(self) -> float:
        """Return for how long there has been work without progress, in seconds."""
        since = None if self._sources is None else self._sources.busy_since
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    def places(self) -> dict[TP, Place]:
        """Return how far each partition is that is read."""
        return {} if self._sources is None else self._sources.places()

    def recovering(self) -> int | None:
        """Return how many partitions are ours and not read yet; None before any were assigned."""
        if self._assigned is None:
            return None
        return len(self._assigned) if self._sources is None else 0

    def _stop_if_failed(self, life: asyncio.Task[None]) -> None:
        if not life.cancelled() and (error := life.exception()) is not None:
            self._stop("the ingest could not go on", error)


async def _start_offset(consumer: Reader, tp: TP) -> int:
    first, end = await consumer.thread.first_offset(tp), await consumer.thread.end_offset(tp)
    told = await consumer.thread.group_offset(tp)
    if told is None:
        return first
    if told > end:
        raise RefusedToStart(
            f"{tp.topic}/{tp.partition} ends at {end}, but it was read up to {told}: it was made anew."
            " Reset the group's offsets, or use another prefix"
        )
    if told < first:
        log.error("%s/%d: offsets %d to %d are gone unread (retention)", tp.topic, tp.partition, told, first)
    return max(told, first)
