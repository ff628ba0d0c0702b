"""The whole application on the reduced Kafka: a publisher, an ingest, workers, and what happens to them, by one seed.

All that a promise hangs on is the real code: the ingest's merge, `Sources`, `Appender`, the desks, `Owner`,
`Lane`, the taking over of partitions, `CustomerFold` and the engine. Time is virtual, so that a
session of six seconds, or a transaction's ten, costs nothing. Whoever dies is started again, as a supervisor would.
"""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any, Final

import msgspec
from faust.types import TP
from msgspec import Struct

from agents.customers import POSITION_KEY, CustomerFold, Position
from agents.ingest import MergingIngest, Surroundings
from journeys.catalogue import Catalogue
from schemas.customer import decode_customer
from schemas.events import STREAM_OF_TOPIC
from schemas.instants import Millis
from schemas.log import END, POSITION, SEQUENCE, CatalogueMark, encode_mark, header, pack_number
from schemas.topics import (
    CUSTOMER_LOG,
    CUSTOMERS_CHANGELOG,
    DEAD_LETTERS,
    DECISIONS,
    OUTBOUND_TOPICS,
    PUBLIC_TOPICS,
    QUARANTINES,
    SEND_TOPICS,
)
from streams.batches import Batch
from streams.clients import Clients
from streams.meters import Meters
from streams.sources import IngestDesk
from streams.worker import FoldDesk
from tests.simulation.reduced_kafka import Broker, Entry, Group, Place
from tests.simulation.simulated_clients import HERE, Odds, Process, Shore, SimulatedClients, SimulatedReader
from tests.simulation.virtual_time import VirtualLoop
from tidings.event_file import Line
from tidings.records import decision_record, send_record

SESSION_S: Final = 6.0
REBALANCE_S: Final = 20.0
LOOK_EVERY_S: Final = 0.2
MOST_S: Final = 900.0
"""Whoever isn't through by then never will be."""
METERS: Final = Meters()
_TOPIC_OF_STREAM: Final = {stream: topic for topic, stream in STREAM_OF_TOPIC.items()}


class Published(Struct, frozen=True, kw_only=True):
    """A line of a file, as it is published."""

    line: Line
    value: bytes


class Broken(AssertionError):
    """The application did what it never may."""


class Agents(Struct, frozen=True, kw_only=True):
    """What runs; tests put broken ones in."""

    clients: Callable[[Process, Shore], Clients] = SimulatedClients
    fold: Callable[[Catalogue, int, Callable[[], int | None]], CustomerFold] | None = None
    ingest: Callable[[Surroundings], MergingIngest] = MergingIngest
    freeze: float | None = None
    """How probable it is at each word to the broker that a process freezes; None: what the seed draws."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What came out."""

    records: list[bytes]
    """Sends and decisions, in the order of `simulate`."""
    states: dict[bytes, bytes]
    trace: list[str]
    deaths: int

    def digest(self) -> str:
        """Return a hash of all of it, the trace included."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()


def _fresh_fold(catalogue: Catalogue, partitions: int, _told: Callable[[], int | None]) -> CustomerFold:
    async def load(_number: int) -> Catalogue:
        return catalogue

    return CustomerFold("", load, partitions)


class Application:
    """One world under one seed."""

    def __init__(
        self, catalogue: Catalogue, published: list[Published], until: Millis, seed: int, agents: Agents | None = None
    ) -> None:
        """Draw how many partitions and workers there are; nothing runs yet."""
        self._catalogue, self._published, self._until = catalogue, published, until
        self._agents = agents or Agents()
        self._odds = Odds(seed, self._agents.freeze)
        chance = self._odds.chance
        self._count = chance.choice((1, 2, 3))
        self._public_count = chance.choice((1, 1, 2))
        names = dict.fromkeys(
            (CUSTOMER_LOG, CUSTOMERS_CHANGELOG, DEAD_LETTERS, QUARANTINES, *OUTBOUND_TOPICS), self._count
        )
        self._broker = Broker(names | dict.fromkeys(PUBLIC_TOPICS, self._public_count))
        self._shore = Shore(self._broker, self._odds)
        public = [place for place in self._broker.partitions if place[0] in PUBLIC_TOPICS]
        log = [place for place in self._broker.partitions if place[0] == CUSTOMER_LOG]
        self._groups = {"ingest": Group(self._broker, "ingest", public), "worker": Group(self._broker, "worker", log)}
        self._kinds = ["ingest", *["worker"] * chance.choice((1, 1, 2, 3))]
        self._processes: list[Process] = []
        self._deaths = 0
        self._failure: Broken | None = None
        self._is_over = False
        self._all_published = False

    def run(self) -> Verdict:
        """Run until nothing is left to do.

        Raises:
            Broken: somebody refused to go on, or never came to an end.
        """
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            loop = runner.get_loop()
            loop.set_exception_handler(lambda *_: None)
            loop.set_task_factory(_remembered)
            runner.run(self._run())
        if self._failure is not None:
            self._failure.add_note("\n".join(self._odds.trace[-60:]))
            raise self._failure
        return Verdict(records=self._records(), states=self._states(), trace=self._odds.trace, deaths=self._deaths)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        mark = encode_mark(CatalogueMark(number=self._catalogue.number, rules_version=1, tzdata=""))
        at = self._published[0].line.clock if self._published else 0
        for partition in range(self._count):
            self._shore.append((CUSTOMER_LOG, partition), [Entry(offset=0, timestamp=at, key=None, value=mark)])
        for kind in self._kinds:
            self._start(kind)
        publishing = asyncio.ensure_future(self._publish())
        coming = asyncio.ensure_future(self._come_and_go())
        while self._failure is None and not self._is_done():
            await asyncio.sleep(LOOK_EVERY_S)
            if loop.time() > MOST_S:
                self._failure = Broken("it never comes to an end")
        self._is_over = True
        coming.cancel()
        publishing.cancel()
        for process in self._processes:
            process.end("the world is over")

    async def _publish(self) -> None:
        chance = self._odds.chance
        for one in self._published:
            assert one.line.event is not None
            place = (_TOPIC_OF_STREAM[one.line.event.stream], chance.randrange(self._public_count))
            headers = ((SEQUENCE, pack_number(one.line.number)),)
            entry = Entry(offset=0, timestamp=one.line.clock, key=None, value=one.value, headers=headers)
            self._shore.append(place, [entry])
            await asyncio.sleep(chance.choice((0.0, 0.0, 0.01, 0.05, 1.2)))
        for topic in PUBLIC_TOPICS:
            for n in range(self._public_count):
                end = Entry(offset=0, timestamp=self._until, key=None, value=b"", headers=((END, b""),))
                self._shore.append((topic, n), [end])
        self._all_published = True

    async def _come_and_go(self) -> None:
        """Let workers join and leave, while there is something to do."""
        chance = self._odds.chance
        for _ in range(chance.choice((0, 0, 1, 2))):
            await asyncio.sleep(chance.uniform(0.0, 4.0))
            self._start("worker")

    # Processes -----------------------------------------------------------------------------------------------

    def _start(self, kind: str) -> None:
        if self._is_over:
            return
        process = Process(f"{kind}{len(self._processes)}", self._odds, self._ended)
        self._processes.append(process)
        token = HERE.set(process)
        asyncio.ensure_future(self._live(process, kind)).add_done_callback(
            lambda task: (
                None if task.cancelled() or task.exception() is None else process.end("raised", task.exception())
            )
        )
        HERE.reset(token)

    def _ended(self, process: Process, reason: str, error: BaseException | None) -> None:
        if self._is_over:
            return
        self._deaths += 1
        if error is not None and not isinstance(error, OSError) and not _is_of_kafka(error):
            self._failure = Broken(f"{process.name}: {reason}: {error!r}")
        loop = asyncio.get_running_loop()
        kind = process.name.rstrip("0123456789")
        loop.call_later(SESSION_S, self._groups[kind].leave, process.name)
        loop.call_later(self._odds.chance.choice((0.1, 1.0, 9.0)), self._start, kind)

    async def _live(self, process: Process, kind: str) -> None:
        group = self._groups[kind]
        desk = self._desk(process, kind)

        def deliver(batch: Batch) -> None:
            try:
                desk.deliver(batch)
            except Exception as error:  # noqa: BLE001 -- as the app does
                process.end("a batch could not be taken", error)

        reader = SimulatedReader(process, self._shore, group, deliver)
        process.on_freeze = lambda seconds: _expire_if_long(group, process.name, seconds)
        reading = asyncio.ensure_future(reader.read())
        reading.add_done_callback(
            lambda task: (
                None if task.cancelled() or task.exception() is None else process.end("reading", task.exception())
            )
        )
        while True:
            mine = await self._joined(process, group)
            reader.generation = group.generation
            await desk.assigned(reader, frozenset(TP(*place) for place in mine))
            while process.name in group.assignment:  # noqa: ASYNC110 -- as a heartbeat, a member asks
                await asyncio.sleep(0.25)
            await process.travel("rebalance")
            reader.close_all()
            await desk.revoked()

    def _desk(self, process: Process, kind: str) -> FoldDesk | IngestDesk:
        clients = self._agents.clients(process, self._shore)

        async def settle() -> None:
            await asyncio.sleep(self._odds.chance.choice((0.0, 0.01)))

        if kind == "ingest":
            around = Surroundings(
                prefix="",
                topic_ids={topic: n.to_bytes(16, "big") for n, topic in enumerate(PUBLIC_TOPICS, 1)},
                schema_of=lambda _: None,
                look_up_schema=lambda _: None,
                clock=lambda: 0,
            )
            return IngestDesk(clients, lambda: self._agents.ingest(around), METERS, settle, process.end)
        make = self._agents.fold or _fresh_fold
        return FoldDesk(
            "worker",
            process.name,
            clients,
            CUSTOMERS_CHANGELOG,
            lambda n: make(
                self._catalogue, self._count, lambda: self._broker.offsets.get(("worker", (CUSTOMER_LOG, n)))
            ),
            lambda: int(asyncio.get_running_loop().time() * 1000) + 1,
            None,
            METERS,
            settle,
            process.end,
        )

    async def _joined(self, process: Process, group: Group) -> frozenset[Place]:
        await process.travel("join")
        group.join(process.name)
        began = asyncio.get_running_loop().time()
        while process.name not in group.assignment:
            if process.name not in group.members:
                group.join(process.name)
            if not group.assign():
                await asyncio.sleep(0.05)
                if asyncio.get_running_loop().time() - began > REBALANCE_S:
                    for silent in set(group.members) - set(group.joined):
                        group.leave(silent)
        process.note(f"generation {group.generation}: {sorted(group.assignment[process.name])}")
        return group.assignment[process.name]

    # What came out -------------------------------------------------------------------------------------------

    def _is_done(self) -> bool:
        if not self._all_published or any(one.stable != one.end for one in self._broker.partitions.values()):
            return False
        for n in range(self._count):
            log = self._broker.partitions[CUSTOMER_LOG, n]
            shown, _ = log.read(0, committed=True)
            if len(shown) < 2 or b'"final"' not in b"".join(entry.value or b"" for entry in shown if entry.key is None):
                return False
            changelog = self._broker.partitions[CUSTOMERS_CHANGELOG, n]
            told = next(
                (
                    entry.value
                    for entry in reversed(changelog.entries)
                    if entry.key == POSITION_KEY and not entry.is_aborted
                ),
                None,
            )
            if told is None:
                return False
            if msgspec.json.decode(told, type=Position).next_offset <= shown[-1].offset:
                return False
        return True

    def _committed(self, topic: str) -> list[Entry]:
        return [
            entry for n in range(self._count) for entry in self._broker.partitions[topic, n].read(0, committed=True)[0]
        ]

    def _records(self) -> list[bytes]:
        placed = sorted(
            (_place(entry), topic == DECISIONS, entry.value or b"")
            for topic in (DECISIONS, *SEND_TOPICS)
            for entry in self._committed(topic)
        )
        return [decision_record(value) if is_decision else send_record(value) for _, is_decision, value in placed]

    def _states(self) -> dict[bytes, bytes]:
        latest = {entry.key or b"": entry.value for entry in self._committed(CUSTOMERS_CHANGELOG)}
        kept = {key: value for key, value in sorted(latest.items()) if key[:2] in {b"c:", b"a:"} and value}
        return {key: msgspec.msgpack.encode(decode_customer(value)) for key, value in kept.items()}


def _remembered(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(coroutine, loop=loop, **options)
    process = HERE.get()
    if process is not None:
        process.tasks.append(task)
    return task


def _expire_if_long(group: Group, member: str, seconds: float) -> None:
    if seconds > SESSION_S:
        asyncio.get_running_loop().call_later(SESSION_S, group.leave, member)


def _is_of_kafka(error: BaseException) -> bool:
    return isinstance(error, TimeoutError) or type(error).__module__ == "aiokafka.errors"


def _place(entry: Entry) -> tuple[Millis, bool, bytes, bytes, bytes]:
    """Return SPEC 10's place of a record: when, timers first, line or customer, place in the decision."""
    sequence, place = header(entry.headers, SEQUENCE), header(entry.headers, POSITION) or b""
    name = entry.key or b""
    key = name if name.startswith(b"a:") else b"c:" + name
    return entry.timestamp, sequence is not None, sequence or b"", b"" if sequence else key, place
