"""A whole application in memory: the log's partitions as lists, the customer agent's own folds, one ingest.

What is random is who works when: how many records a worker takes, in which order partitions are worked on, how far
the ingest has come, and when a process dies. A death drops what isn't committed; a new worker begins with the
changelog, a new ingest appends again what it had not committed. Everything that decides is the real code.
"""

import random  # noqa: TID251 -- seeded
from collections.abc import Coroutine, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from agents.customers import CustomerFold
from journeys.catalogue import Catalogue
from schemas.customer import decode_customer
from schemas.instants import Millis
from schemas.linking import LINK, MergeOut, encode_link, log_records
from schemas.log import (
    POSITION,
    SEQUENCE,
    SOURCE,
    CatalogueMark,
    FinalMark,
    Source,
    encode_event,
    encode_mark,
    header,
    pack_number,
    pack_source,
)
from schemas.topics import CUSTOMER_LOG, DECISIONS
from streams.fold import Header, Output
from streams.partitions import partition_of
from tidings.event_file import Line
from tidings.records import decision_record, send_record

TOPIC: Final = b"t" * 16


class LogRecord(Struct, frozen=True, kw_only=True):
    """A record of the log."""

    offset: int
    timestamp: Millis
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()


class _Lane:
    """One partition: its log, its changelog, and the worker that owns it, if one lives."""

    def __init__(self) -> None:
        self.log: list[LogRecord] = []
        self.changelog: dict[bytes, bytes | None] = {}
        self.position = 0
        self.fold: CustomerFold | None = None


class Application:
    """Partitions, workers, an ingest, and what came out."""

    def __init__(self, catalogue: Catalogue, lines: list[Line], until: Millis, partitions: int, seed: int) -> None:
        """Begin with empty partitions, each with its catalogue mark."""
        self._catalogue = catalogue
        self._lines = lines
        self._until = until
        self._chance = random.Random(seed)  # noqa: S311 -- not a secret
        self._lanes = [_Lane() for _ in range(partitions)]
        self._outputs: list[Output] = []
        self._ingested = 0
        self._ended = False
        mark = encode_mark(CatalogueMark(number=catalogue.number, rules_version=1, tzdata=""))
        for lane in self._lanes:
            self._append(lane, None, mark, lines[0].clock if lines else 0, ())
        self.deaths = 0

    def run(self) -> None:
        """Let everybody work, at random, until nothing is left."""
        while not self._ended or any(lane.position < len(lane.log) for lane in self._lanes):
            if not self._ended and self._chance.random() < 0.4:
                self._ingest()
            else:
                self._work(self._chance.choice(self._lanes))

    def records(self) -> list[bytes]:
        """Return sends and decisions in the order of `simulate`."""
        placed = sorted((_place(output), output.value, output.topic) for output in self._outputs)
        return [decision_record(value) if topic == DECISIONS else send_record(value) for _, value, topic in placed]

    def states(self) -> dict[bytes, bytes]:
        """Return what is stored of every customer, without the head and plain; nothing may wait any more."""
        found: dict[bytes, bytes] = {}
        for lane in self._lanes:
            for key, value in lane.changelog.items():
                assert not key.startswith(b"w:") or value is None, f"something waits for ever: {key!r} {value!r}"
                if key[:2] in {b"c:", b"a:"} and value is not None:
                    found[key] = msgspec.msgpack.encode(decode_customer(value))
        return found

    # The ingest ----------------------------------------------------------------------------------------------

    def _ingest(self) -> None:
        """Append a batch, the partitions side by side; a death in the middle appends it again."""
        batch = self._lines[self._ingested : self._ingested + self._chance.randrange(1, 6)]
        waiting: list[list[LogRecord]] = [[] for _ in self._lanes]
        for line in batch:
            for partition, record in self._translated(line):
                waiting[partition].append(record)
        died = self._chance.random() < 0.15
        order = [place for place, records in enumerate(waiting) for _ in records]
        self._chance.shuffle(order)
        for place in order[: self._chance.randrange(len(order) + 1)] if died else order:
            record = waiting[place].pop(0)
            self._append(self._lanes[place], record.key, record.value, record.timestamp, record.headers)
        if died:
            self.deaths += 1
            return
        self._ingested += len(batch)
        if self._ingested == len(self._lines):
            self._ended = True
            for lane in self._lanes:
                self._append(lane, None, encode_mark(FinalMark()), self._until, ())

    def _translated(self, line: Line) -> Iterator[tuple[int, LogRecord]]:
        assert line.event is not None
        for nth, (key, link) in enumerate(log_records(line.event)):
            source = pack_source(Source(TOPIC, 0, line.number, nth))
            headers: list[Header] = [(SOURCE, source), (SEQUENCE, pack_number(line.number))]
            if link is not None:
                headers.insert(0, (LINK, encode_link(link)))
            value = b"" if isinstance(link, MergeOut) else encode_event(line.event)
            record = LogRecord(offset=0, timestamp=line.clock, key=key, value=value, headers=tuple(headers))
            yield partition_of(key, len(self._lanes)), record

    def _append(
        self, lane: _Lane, key: bytes | None, value: bytes | None, at: Millis, headers: tuple[Header, ...]
    ) -> None:
        lane.log.append(LogRecord(offset=len(lane.log), timestamp=at, key=key, value=value, headers=headers))

    # The workers ---------------------------------------------------------------------------------------------

    def _work(self, lane: _Lane) -> None:
        """Fold some records and commit, or die before the commit."""
        if lane.fold is None:
            lane.fold = self._recovered(lane)
        records = lane.log[lane.position : lane.position + self._chance.choice((1, 1, 2, 5, 50))]
        if not records:
            return
        _finish(lane.fold.prepare(records))
        for folded in lane.fold.fold(records):
            changes = dict(lane.fold.changes())
            if self._chance.random() < 0.05:
                self.deaths += 1
                lane.fold = None
                return
            lane.changelog |= changes
            lane.position = folded.next_offset
            for output in folded.outputs:
                self._publish(output)

    def _publish(self, output: Output) -> None:
        if output.topic == CUSTOMER_LOG:
            assert output.partition is not None
            assert output.key is not None
            assert output.partition == partition_of(output.key, len(self._lanes))
            self._append(self._lanes[output.partition], output.key, output.value, output.timestamp, output.headers)
        else:
            self._outputs.append(output)

    def _recovered(self, lane: _Lane) -> CustomerFold:
        async def load(_number: int) -> Catalogue:
            return self._catalogue

        fold = CustomerFold("", load, len(self._lanes))
        fold.restore(list(lane.changelog.items()))
        assert (fold.next_offset() or 0) == lane.position
        return fold


def _finish(coroutine: Coroutine[object, None, None]) -> None:
    """Run a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def _place(output: Output) -> tuple[Millis, bool, bytes, bytes, bytes]:
    """Return SPEC 10's place of a record: when, timers first, line or customer, place in the decision."""
    sequence, place = header(output.headers, SEQUENCE), header(output.headers, POSITION) or b""
    name = output.key or b""
    key = name if name.startswith(b"a:") else b"c:" + name
    return output.timestamp, sequence is not None, sequence or b"", b"" if sequence else key, place


def as_json(record: bytes) -> dict[str, object]:
    """Decode a record."""
    return msgspec.json.decode(record, type=dict[str, object])
