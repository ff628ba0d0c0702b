"""The driver of the tests of `tidings run`: starts it as a user would, sees its processes, and looks at what it left."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from schemas.events import Json
from streams.connection import Connection
from streams.topics import committed_offsets, end_offsets
from tests.strategies import Document
from tidings.clock import monotonic_s, pause
from tidings.settings import process_environment

PROGRAM = Path(sys.executable).parent / "tidings"
READER = Path(__file__).parent / "foreign_reader.py"
PUBLIC = ("behavioral-events", "engagement-events", "crm-events")
OUTBOUND = ("email-sends", "sms-sends", "push-sends", "social-sends", "decisions", "webhook-calls")
WITHIN_S = 300.0

Record = dict[str, Json]


class World(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of definitions and a file of events."""

    definitions: Path
    events: Path
    until: str

    @property
    def arguments(self) -> list[str]:
        """What `simulate` and `run` both take."""
        return ["--definitions", str(self.definitions), "--events", str(self.events), "--until", self.until]


def written_world(folder: Path, documents: list[Document], events: bytes, until: str) -> World:
    """Write definitions and events into a folder."""
    definitions = folder / "definitions"
    definitions.mkdir(parents=True)
    for number, document in enumerate(documents):
        # JSON is YAML.
        (definitions / f"{number:03}.json").write_bytes(msgspec.json.encode(document))
    (folder / "events.ndjson").write_bytes(events)
    return World(definitions=definitions, events=folder / "events.ndjson", until=until)


def environment(folder: Path, bootstrap: str | None = None, **more: str) -> Mapping[str, str]:
    """Return an environment in which the program uses this Kafka and this folder."""
    kept = {
        name: value
        for name, value in process_environment().items()
        if not name.startswith(("TIDINGS_", "KAFKA_BOOTSTRAP_SERVERS", "SCHEMA_REGISTRY_URL"))
    }
    kafka = {} if bootstrap is None else {"KAFKA_BOOTSTRAP_SERVERS": bootstrap}
    return {**kept, **kafka, "TIDINGS_DATA_DIR": str(folder), **more}


def tidings(
    *words: str, env: Mapping[str, str], within_s: float = WITHIN_S, program: Sequence[str] = (str(PROGRAM),)
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end; whatever happens, no user sees a traceback."""
    argv = [*program, *words]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=within_s, check=False)  # noqa: S603
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def simulated(
    world: World, folder: Path, *, program: Sequence[str] = (str(PROGRAM),), within_s: float = WITHIN_S
) -> list[Record]:  # fmt: skip
    """Return the records of `simulate`, in its order."""
    done = tidings("simulate", *world.arguments, env=environment(folder), program=program, within_s=within_s)
    assert done.returncode == 0, done.stderr
    return records(done.stdout)


def read_by_a_stranger(
    bootstrap: str, prefix: str, *registry: str, python: Path = Path(sys.executable), within_s: float = WITHIN_S
) -> list[Record]:
    """Return the records in the outbound topics, read by a program that knows nothing of ours."""
    argv = [str(python), "-I", str(READER), bootstrap, prefix, *registry]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=within_s, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return records(done.stdout)


def records(text: str) -> list[Record]:
    """Decode NDJSON."""
    return [msgspec.json.decode(line, type=Record) for line in text.splitlines()]


def assert_same(found: list[Record], expected: list[Record]) -> None:
    """Check that nothing is missing, nothing doubled, nothing different, and all is in order."""
    ids, wanted = [_identity(record) for record in found], [_identity(record) for record in expected]
    missing, extra = set(wanted) - set(ids), set(ids) - set(wanted)
    doubled = len(ids) - len(set(ids))
    assert (missing, extra, doubled) == (set(), set(), 0)
    assert found == expected


def _identity(record: Record) -> tuple[Json, ...]:
    names = ("send_id", "decision_id", "call_id", "line")
    return record["record"], next((record[name] for name in names if record.get(name)), None)


class Run:
    """A `tidings run` in progress."""

    def __init__(self, world: World, bootstrap: str, prefix: str, folder: Path, *options: str, **settings: str) -> None:
        """Start it."""
        self.connection = Connection(bootstrap_servers=bootstrap)
        self.prefix = prefix
        self.folder = folder
        self.output = folder / f"{prefix}records.ndjson"
        self.log = folder / f"{prefix}stderr.log"
        argv = [str(PROGRAM), "run", *world.arguments, "--prefix", prefix, "--output", str(self.output), *options]
        with self.log.open("wb") as log:
            env = environment(folder, bootstrap, **settings)
            self.process = subprocess.Popen(argv, env=env, stderr=log, stdout=log)  # noqa: S603

    def said(self) -> str:
        """Return what it has told its user so far."""
        return self.log.read_text()

    def wait(self, within_s: float = WITHIN_S) -> int:
        """Wait for its end, and return its exit code."""
        code = self.process.wait(within_s)
        assert "Traceback" not in self.said(), self.said()
        return code

    def records(self) -> list[Record]:
        """Return the records that it has written."""
        return records(self.output.read_text())

    def child(self, name: str) -> int | None:
        """Return the pid of one of its processes, once that is the program itself."""
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            # One that has ended has no words; one that is about to begin is still the supervisor's small Python.
            if words[1:] and words[1] == str(PROGRAM).encode() and words[-2].endswith(b"/" + name.encode()):
                return int(pid)
        return None

    def log_of(self, name: str) -> str:
        """Return what one of its processes has logged, over all its lives."""
        file = self.folder / "runs" / self.prefix.rstrip(".") / "log" / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def ingested(self) -> tuple[int, int]:
        """Return how many public offsets the ingest's group is done with, and how many there are."""
        told = [committed_offsets(self.connection, f"{self.prefix}ingest", self.prefix + name) for name in PUBLIC]
        ends = [end_offsets(self.connection, self.prefix + name) for name in PUBLIC]
        return sum(sum(part.values()) for part in told), sum(sum(part.values()) for part in ends)

    def logged(self) -> int:
        """Return how many offsets the log has."""
        return sum(end_offsets(self.connection, f"{self.prefix}customer-log").values())

    def decided(self) -> tuple[int, int]:
        """Return how many offsets of the log the changelog's committed positions are beyond, and how many there are."""
        positions: dict[int, int] = {}
        for message in committed_messages(self.connection, f"{self.prefix}customers-changelog"):
            if message.key() == b"p":
                value = msgspec.json.decode(message.value() or b"", type=Record)["next_offset"]
                assert isinstance(value, int)
                positions[message.partition() or 0] = value
        ends = end_offsets(self.connection, f"{self.prefix}customer-log")
        assert all(positions.get(partition, 0) <= end for partition, end in ends.items())
        return sum(positions.values()), sum(ends.values())

    def fences(self) -> int:
        """Return how many offsets of the changelog are committed or aborted; recovery begins with adding to them."""
        return sum(end_offsets(self.connection, f"{self.prefix}customers-changelog").values())

    def a_transaction_is_open(self) -> bool:
        """Say whether decisions stand in their topic that are neither committed nor aborted."""
        topic = f"{self.prefix}decisions"
        return end_offsets(self.connection, topic) != end_offsets(self.connection, topic, committed=False)

    def wait_until(self, seen: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
        """Look again and again until it is so; the run must not end before."""
        deadline = monotonic_s() + within_s
        while not seen():
            assert self.process.poll() is None, f"it ended before {what}: {self.said()}"
            assert monotonic_s() < deadline, f"not within {within_s} s: {what}; {self.said()}"
            pause(0.005)

    def end(self) -> None:
        """Kill it, if it still runs; its processes die with it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def committed_messages(connection: Connection, topic: str) -> Iterator[Message]:
    """Yield every committed message of a topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": connection.bootstrap_servers,
            "group.id": "tests",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    left = set(consumer.list_topics(topic, timeout=20).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in left])
    try:
        while left:
            for message in consumer.consume(10_000, timeout=0.2):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition() or 0)
    finally:
        consumer.close()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process for the time of the block, so that what is seen of it stays so."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
