"""Worker and ingest by the wall clock on a real Kafka, and a stranger who notes when each send can be read."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from schemas.events import Json
from schemas.instants import Millis, format_instant, parse_instant
from streams.connection import Connection
from streams.topics import committed_offsets, end_offsets
from tests.journey import Document
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.runs import PROGRAM, PUBLIC, environment, tidings
from tidings.clock import monotonic_s, pause, wall_ms
from tidings.supervisor import Supervisor

WITHIN_S = 300.0
PARTITIONS = 4


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A send, and when a reader of committed records had it."""

    workflow_id: str
    customer_id: str
    send_id: str
    send_at: str
    at: Millis = 0
    """By the machine's clock."""

    @property
    def late_ms(self) -> int:
        """How long after it was due it could be read."""
        return self.at - parse_instant(self.send_at)


class Live:
    """A system that lives by the wall clock."""

    def __init__(self, kafka: KafkaUnderTest, prefix: str, folder: Path, supervisor: Supervisor) -> None:
        """Prepare; nothing runs yet."""
        self.bootstrap, self.prefix, self.folder = kafka.bootstrap_servers, prefix, folder
        self.connection = Connection(bootstrap_servers=self.bootstrap)
        self.supervisor = supervisor
        self.env: Mapping[str, str] = environment(
            folder, self.bootstrap, TIDINGS_TOPIC_PREFIX=prefix, TIDINGS_PARTITIONS=str(PARTITIONS)
        )
        self._producer = Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 0, "acks": "all", "log_level": 0})
        self._published = 0
        self.seen: list[Seen] = []

    def apply(self, name: str, documents: list[Document]) -> None:
        """Write a folder of definitions, and put it in force."""
        self.say("apply", str(self.write(name, documents)), "--yes")

    def write(self, name: str, documents: list[Document]) -> Path:
        """Write a folder of definitions."""
        folder = self.folder / name
        folder.mkdir()
        for number, document in enumerate(documents):
            (folder / f"{number}.json").write_bytes(msgspec.json.encode(document))
        return folder

    def start(self, command: str, *, program: Sequence[str] = (str(PROGRAM),)) -> None:
        """Start `tidings worker` or `tidings ingest`, as a user would: the wall clock is the default."""
        argv = [*program, command, "--folder", str(self.folder / command)]
        self.supervisor.start(command, argv, environment=self.env)

    def stop(self, *commands: str) -> None:
        """End processes, as an operator would."""
        for command in commands:
            self.supervisor.stop(command)

    def say(self, *words: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        done = tidings(*words, env=self.env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def all_is_ingested(self) -> bool:
        """Say whether the ingest has told the group that it has read everything."""
        topics = [f"{self.prefix}{name}" for name in PUBLIC]
        return all(
            {number: end for number, end in end_offsets(self.connection, topic).items() if end}
            == committed_offsets(self.connection, f"{self.prefix}ingest", topic)
            for topic in topics
        )

    def merge(self, absorbed: str, *, into: str) -> Millis:
        """Publish that two customers are one; return its instant."""
        return self.publish("customer_merged", into, topic="crm-events", merged_id=absorbed)

    def publish(self, name: str, customer: str, *, topic: str = "behavioral-events", **properties: Json) -> Millis:
        """Publish an event of now; return its instant."""
        instant = wall_ms()
        self._published += 1
        value = msgspec.json.encode(
            {
                "event_id": f"{name}-{self._published}",
                "type": name,
                "customer_id": customer,
                "occurred_at": format_instant(instant),
                "properties": {"email": f"{customer}@shop.example", **properties},
            }
        )
        self._producer.produce(f"{self.prefix}{topic}", value=value, timestamp=instant)
        assert self._producer.flush(60) == 0
        return instant

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note every send of the block, as soon as it can be read."""
        ended = threading.Event()
        topic = f"{self.prefix}email-sends"
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "unused",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition(topic, number, 0) for number in end_offsets(self.connection, topic)])

        def follow() -> None:
            while not ended.is_set():
                self._note(consumer.poll(0.05))

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            consumer.close()

    def _note(self, message: Message | None) -> None:
        if message is not None and message.error() is None:
            seen = msgspec.json.decode(message.value() or b"", type=Seen)
            self.seen.append(msgspec.structs.replace(seen, at=wall_ms()))

    def sends(self, workflow_id: str, customer: str | None = None) -> list[Seen]:
        """Return what was seen of a workflow."""
        return [one for one in self.seen if one.workflow_id == workflow_id and customer in {None, one.customer_id}]

    def wait(self, reached: Callable[[], bool], what: str) -> None:
        """Look again and again until it is so."""
        deadline = monotonic_s() + WITHIN_S
        while not reached():
            changes = self.supervisor.poll()
            assert not changes, changes
            assert monotonic_s() < deadline, f"not within {WITHIN_S} s: {what}"
            pause(0.02)
