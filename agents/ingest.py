"""The ingest agent: from the public topics to the customer log, a pure function of one record.

- reads: `behavioral-events`, `engagement-events`, `crm-events`; any key, any partitioner, JSON or Avro
- writes: `customer-log`, keyed by customer, each record with its source; what is no event to `dead-letters`; in the
  `wall` clock how far it is to `watermarks` (`agents/watermarks.py`)
- memory: none; the group's offsets say how far it is
- guarantee: at least once, in order; the customer agent drops sources that it has seen, so once in effect
- a crash repeats: what was appended since the last commit of offsets; dead letters are told apart by their source

In the `wall` clock a record's time is its own timestamp, cut to our clock where it lies ahead. In the `log`
clock one ingest reads all partitions and merges them by (timestamp, sequence, topic, partition, offset), each up
to its end mark; then the final mark goes to every partition of the log. Offsets are committed only as a
consistent cut of that merge, so a restarted merge goes on where the cut was.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from typing import Final

import msgspec
from faust.types import TP

from agents.watermarks import COMMIT_EVERY_S, telling
from schemas.compiled import translate
from schemas.events import (
    LINKING_TYPES,
    STREAM_OF_TOPIC,
    Event,
    InvalidEvent,
    Stream,
    check_envelope,
    customer_key,
)
from schemas.instants import Millis
from schemas.linking import LINK, MergeOut, encode_link, log_records
from schemas.log import (  # fmt: skip
    APPENDED,
    END,
    SEQUENCE,
    SOURCE,
    FinalMark,
    encode_event,
    encode_mark,
    header,
    pack_number,
    pack_origin,
    pack_place_in_origin,
    unpack_number,
)
from schemas.topics import CUSTOMER_LOG, DEAD_LETTERS, WATERMARKS
from schemas.wire import decode_event, schema_id
from streams.appending import Appender, NewRecord
from streams.batches import Batch
from streams.fold import Header, Record
from streams.partitions import partition_of
from streams.record_batch import RawRecord
from streams.sources import Sources

MOST_WAITING: Final = 20_000
"""Records of one partition that the merge lets wait before it pauses the partition."""
RECORDS_PER_APPEND: Final = 2_000

KnownSchema = Callable[[int], bytes | None]
"""Returns a schema that was looked up before, without waiting."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the ingest is told at its start."""

    prefix: str
    topic_ids: Mapping[str, bytes]
    """The 16 bytes by which Kafka tells a topic from another of the same name, for the three public topics."""
    schema_of: KnownSchema
    look_up_schema: Callable[[int], bytes | None]
    """Fetches a schema, and may wait for the network: called on another thread."""
    clock: Callable[[], Millis]
    count_dead_letter: Callable[[str], object] = lambda _: None
    """Hears the error class of each record that is no event."""


def read_public_record(value: bytes, stream: Stream, schema_of: KnownSchema) -> Event:
    """Decode and check one public record, JSON or Avro.

    Raises:
        InvalidEvent: it is no event; the record belongs into the dead letters.
    """
    return check_envelope(decode_event(value, schema_of), stream)


def dead_letter(record: Record, tp: TP, problem: InvalidEvent) -> NewRecord:
    """Return the record unchanged, with headers that say where it came from and what is wrong with it."""
    found = {
        "topic": tp.topic.encode(),
        "partition": str(tp.partition).encode(),
        "offset": str(record.offset).encode(),
        "error_class": problem.error_class.encode(),
        "reason": problem.reason.encode(errors="replace"),
    }
    return NewRecord(
        key=record.key,
        value=record.value,
        timestamp=record.timestamp,
        headers=[*record.headers, *found.items()],
    )


class _Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A public partition, and what all of its records have in common in the log."""

    tp: TP
    stream: Stream
    packed: bytes
    """The beginning of their sources."""


class _Translator:
    """Turns public records into records for the log's partitions and for the dead letters."""

    def __init__(self, around: Surroundings, appender: Appender, partitions: int) -> None:
        self._around = around
        self._appender = appender
        self._partitions = partitions
        self._streams = {around.prefix + name: stream for name, stream in STREAM_OF_TOPIC.items()}
        self._waiting: dict[tuple[str, int], list[RawRecord]] = defaultdict(list)
        self._for_log = self._new_lists()
        self._count = 0
        self._log = around.prefix + CUSTOMER_LOG
        self._dead_letters = around.prefix + DEAD_LETTERS

    def _new_lists(self) -> list[list[RawRecord]]:
        return [[] for _ in range(self._partitions)]

    async def prepare(self, records: Iterable[Record]) -> None:
        """Look up the schemas that these records need and that aren't known yet."""
        for record in records:
            number = None if record.value is None else schema_id(record.value)
            if number is not None and self._around.schema_of(number) is None:
                await asyncio.to_thread(self._around.look_up_schema, number)

    def origin(self, tp: TP) -> _Origin:
        """Return what the records of a public partition have in common."""
        packed = pack_origin(self._around.topic_ids[tp.topic], tp.partition)
        return _Origin(tp=tp, stream=self._streams[tp.topic], packed=packed)

    def take(self, origin: _Origin, record: Record, timestamp: Millis, stamp: tuple[Header, ...] = ()) -> None:
        """Translate one record; it leaves with the next `append`.

        Args:
            origin: where it came from.
            record: as it was published.
            timestamp: its time in the log, epoch milliseconds.
            stamp: the header with our clock; none in the log's own clock, where nothing is late.
        """
        self._count += 1
        value = record.value or b""
        translated = translate(value, origin.stream)
        if translated is None:
            translated = self._translate_plainly(origin, record, timestamp, stamp)
            if translated is None:
                return
        key, value = translated
        headers = [(SOURCE, origin.packed + pack_place_in_origin(record.offset, 0)), *stamp]
        sequence = header(record.headers, SEQUENCE)
        if sequence is not None:
            headers.append((SEQUENCE, sequence))
        self._for_log[partition_of(key, self._partitions)].append((key, value, timestamp, headers))

    def _translate_plainly(
        self, origin: _Origin, record: Record, timestamp: Millis, stamp: tuple[Header, ...]
    ) -> tuple[bytes, bytes] | None:
        """Return key and value, or None: nothing is left to do."""
        try:
            event = read_public_record(record.value or b"", origin.stream, self._around.schema_of)
        except InvalidEvent as problem:
            target = (self._dead_letters, origin.tp.partition % self._partitions)
            self._around.count_dead_letter(problem.error_class)
            self._waiting[target].append(dead_letter(record, origin.tp, problem))
            return None
        if event.type in LINKING_TYPES:
            self._take_linking(event, origin, record, timestamp, stamp)
            return None
        return customer_key(event), encode_event(event)

    def _take_linking(
        self, event: Event, origin: _Origin, record: Record, timestamp: Millis, stamp: tuple[Header, ...]
    ) -> None:
        """Translate an event that may make one of two customers, into a record for each."""
        value = encode_event(event)
        sequence = header(record.headers, SEQUENCE)
        for nth, (key, link) in enumerate(log_records(event)):
            headers = [(SOURCE, origin.packed + pack_place_in_origin(record.offset, nth)), *stamp]
            if link is not None:
                headers.insert(0, (LINK, encode_link(link)))
            if sequence is not None:
                headers.append((SEQUENCE, sequence))
            own = b"" if isinstance(link, MergeOut) else value
            self._for_log[partition_of(key, self._partitions)].append((key, own, timestamp, headers))

    @property
    def is_full(self) -> bool:
        return self._count >= RECORDS_PER_APPEND

    async def append(self) -> None:
        """Append what waits, all partitions side by side."""
        waiting, self._waiting, self._count = self._waiting, defaultdict(list), 0
        for partition, records in enumerate(self._for_log):
            if records:
                waiting[self._log, partition] = records
        self._for_log = self._new_lists()
        await asyncio.gather(
            *(self._appender.append(topic, partition, records) for (topic, partition), records in waiting.items())
        )

    async def end(self, at: Millis) -> None:
        """Append the final mark to every partition of the log."""
        mark = NewRecord(key=None, value=encode_mark(FinalMark()), timestamp=at)
        for partition in range(self._partitions):
            self._for_log[partition].append(mark)
        await self.append()


class LiveIngest:
    """The ingest in the `wall` clock: batches in the order of their arrival."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def run(self, sources: Sources, appender: Appender) -> None:
        """Translate and append until the assignment ends."""
        partitions = await appender.partition_count(self._around.prefix + CUSTOMER_LOG)
        translator = _Translator(self._around, appender, partitions)
        positions: dict[TP, int] = {}
        async with telling(sources, appender, positions, self._around.prefix + WATERMARKS, self._around.clock):
            async for batch in sources.batches():
                await translator.prepare(batch.records)
                now = self._around.clock()
                stamp = ((APPENDED, pack_number(now)),)
                origin = translator.origin(batch.tp)
                for record in batch.records:
                    if header(record.headers, END) is None:
                        translator.take(origin, record, min(record.timestamp, now), stamp)
                await translator.append()
                positions[batch.tp] = batch.next_offset
        await appender.flush()
        await sources.commit(positions)


class _Lane:
    """One public partition in the merge."""

    def __init__(self, tp: TP, origin: _Origin) -> None:
        self.tp = tp
        self.origin = origin
        self.records: deque[Record] = deque()
        self.position: int | None = None
        """The first offset that hasn't been taken yet; None before the first batch."""
        self.ended_at: Millis | None = None
        self.paused = False

    def head(self) -> tuple[Millis, int, str, int, int]:
        """Return the place of the next record in the merged order."""
        record = self.records[0]
        sequence = header(record.headers, SEQUENCE)
        number = 0 if sequence is None else unpack_number(sequence)
        return record.timestamp, number, self.tp.topic, self.tp.partition, record.offset

    def is_before(self, place: tuple[Millis, int, str, int, int]) -> bool:
        """Tell whether the next record comes before a place; nearly always its time says so."""
        at = self.records[0].timestamp
        return at < place[0] or (at == place[0] and self.head() < place)


class MergingIngest:
    """The ingest in the `log` clock: all partitions as one, in the order of time."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def run(self, sources: Sources, appender: Appender) -> None:
        """Merge up to the end marks, write the final marks, and wait for the end of the assignment."""
        partitions = await appender.partition_count(self._around.prefix + CUSTOMER_LOG)
        translator = _Translator(self._around, appender, partitions)
        merge = _Merge(sources, translator, appender)
        if await merge.run():
            async for _ in sources.batches():
                pass


class _Merge:
    """The merge in progress: a heap with the head of every lane, refilled as lanes run dry."""

    def __init__(self, sources: Sources, translator: _Translator, appender: Appender) -> None:
        self._sources = sources
        self._translator = translator
        self._appender = appender
        self._lanes = {tp: _Lane(tp, translator.origin(tp)) for tp in sources.partitions}
        self._committed_at = asyncio.get_running_loop().time()

    async def run(self) -> bool:
        """Return True when everything up to the end marks is in the log, False when the assignment ended first."""
        heads: list[tuple[tuple[Millis, int, str, int, int], TP]] = []
        for lane in self._lanes.values():
            if not await self._fill(lane):
                return await self._leave()
            heappush(heads, (lane.head(), lane.tp))
        while heads:
            lane = self._lanes[heappop(heads)[1]]
            if not await self._take(lane, heads[0][0] if heads else None):
                return await self._leave()
            if lane.ended_at is None:
                heappush(heads, (lane.head(), lane.tp))
        end = max(lane.ended_at or 0 for lane in self._lanes.values())
        await self._translator.append()
        await self._translator.end(end)
        await self._appender.flush()
        await self._sources.commit(
            {tp: lane.position + 1 for tp, lane in self._lanes.items() if lane.position is not None}
        )
        return True

    async def _take(self, lane: _Lane, until: tuple[Millis, int, str, int, int] | None) -> bool:
        """Take records of a lane up to another lane's head, and have its next head ready; False at the end."""
        while lane.ended_at is None and (until is None or lane.is_before(until)):
            record = lane.records.popleft()
            if header(record.headers, END) is not None:
                # The position stays on the end mark, so that a restarted merge meets it again.
                lane.ended_at, lane.position = record.timestamp, record.offset
                return True
            self._translator.take(lane.origin, record, record.timestamp)
            lane.position = record.offset + 1
            if lane.paused and len(lane.records) < MOST_WAITING // 2:
                self._resume(lane)
            if self._translator.is_full:
                await self._write()
            if not lane.records and not await self._fill(lane):
                return False
        return True

    async def _fill(self, lane: _Lane) -> bool:
        """Wait until a lane has a record; meanwhile others fill up, as far as they may."""
        while not lane.records:
            batch = await self._sources.next_batch()
            if batch is None:
                return False
            await self._put(batch)
        return True

    async def _put(self, batch: Batch) -> None:
        await self._translator.prepare(batch.records)
        lane = self._lanes[batch.tp]
        if lane.ended_at is not None:
            return
        lane.records.extend(batch.records)
        if len(lane.records) >= MOST_WAITING and not lane.paused:
            lane.paused = True
            self._sources.pause(lane.tp)

    def _resume(self, lane: _Lane) -> None:
        lane.paused = False
        self._sources.resume(lane.tp)

    async def _write(self) -> None:
        await self._translator.append()
        now = asyncio.get_running_loop().time()
        if now - self._committed_at >= COMMIT_EVERY_S:
            self._committed_at = now
            await self._appender.flush()
            await self._sources.commit(self._cut())

    async def _leave(self) -> bool:
        await self._translator.append()
        await self._appender.flush()
        await self._sources.commit(self._cut())
        return False

    def _cut(self) -> dict[TP, int]:
        """Return the positions of the merge as it stands: everything before them is appended, nothing behind."""
        return {tp: lane.position for tp, lane in self._lanes.items() if lane.position is not None}
