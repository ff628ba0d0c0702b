"""A whole system as a user starts it: ingest and workers by the wall clock, under a prefix of their own.

A stranger reads what is committed, and notes when.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from msgspec import Struct

from schemas.events import Json
from schemas.instants import MINUTE_MS, Millis, parse_instant
from schemas.topics import BEHAVIORAL_EVENTS, EMAIL_SENDS, topics, watermarks_topic
from streams.connection import Connection
from streams.topics import delete_topics
from tidings.clock import fresh_bytes, monotonic_s, pause, wall_ms
from tidings.seeing.addresses import read_addresses
from tidings.seeing.asking import Samples, ask_metrics, ask_ready
from tidings.seeing.report import keeping_up
from tidings.settings import process_environment
from tidings.supervisor import Supervisor

PATIENCE_S: Final = 300.0
"""How long what is waited for may take, unless said otherwise."""
PROGRAM: Final = Path(sys.executable).parent / "tidings"
GUEST: Final = "worker-guest"
TEXT: Final = "It is time. " + "What you have looked at is still there, and so is the offer of last week. " * 7


class LiveFailed(Exception):
    """A process ended or stood still, or what came out is wrong."""


class _Send(Struct):
    workflow_id: str
    customer_id: str
    send_at: str


def mailing(name: str, event_type: str, wait_ms: Millis | None) -> dict[str, Json]:
    """Return a workflow that mails whoever does something: at once, or after a while."""
    mail: dict[str, Json] = {
        "id": "mail",
        "type": "email",
        "configuration": {"template_id": "text", "timing": {"send_immediately": True}},
    }
    steps: list[Json] = [mail]
    if wait_ms is not None:
        waiting: Json = {"type": "fixed_time", "duration_minutes": wait_ms / MINUTE_MS}
        steps.insert(0, {"id": "wait", "type": "wait", "configuration": waiting, "next_steps": ["mail"]})
    return {
        "id": name,
        "name": name,
        "triggers": [{"type": "behavioral", "conditions": {"event_type": event_type}}],
        "steps": steps,
        "settings": {"allow_multiple_executions": True},
    }


class LiveSystem:
    """Ingest and workers under a prefix of their own, and what can be read of them; ended with its topics at exit."""

    def __init__(self, connection: Connection, folder: Path, *, workers: int, partitions: int) -> None:
        """Begin with nobody started.

        Args:
            connection: where Kafka is.
            folder: for logs and definitions.
            workers: how many processes decide.
            partitions: of all topics.
        """
        self.connection, self.folder, self.workers, self.partitions = connection, folder, workers, partitions
        self.prefix = f"bench-{fresh_bytes(4).hex()}."
        self.supervisor = Supervisor(folder / "log", patience_s=30)
        own = {"TIDINGS_TOPIC_PREFIX": self.prefix, "TIDINGS_PARTITIONS": str(partitions)}
        reach = {"KAFKA_BOOTSTRAP_SERVERS": connection.bootstrap_servers, "TIDINGS_DATA_DIR": str(folder)}
        self.environment: Mapping[str, str] = {**process_environment(), **own, **reach}
        self.producer = Producer(
            {"bootstrap.servers": connection.bootstrap_servers, "linger.ms": 2, "acks": "all", "log_level": 0}
        )
        self.seen: dict[str, dict[str, list[tuple[Millis, Millis]]]] = {}
        """By workflow and customer: when a send was due, and when it could be read."""
        self.bytes = 0
        """Of a send."""
        self.published: dict[str, Millis] = {}
        """By customer: when the last event was."""
        self._count = 0
        self._has_guest = False

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes and delete the topics."""
        self.supervisor.stop()
        names = [spec.name for spec in topics(self.prefix, self.partitions, self.partitions, "wall")]
        delete_topics(self.connection, [*names, watermarks_topic(self.prefix).name])

    def apply(self, workflows: list[dict[str, Json]]) -> None:
        """Make workflows the first version, with the template that they name.

        Raises:
            LiveFailed: they are refused.
        """
        self.say("apply", str(self.write("definitions", workflows)), "--yes")

    def write(self, name: str, workflows: list[dict[str, Json]]) -> Path:
        """Write definitions into a new folder: workflows, and the template that they name."""
        template: dict[str, Json] = {
            "kind": "template", "id": "text", "subject_template": "It is time", "content_template": TEXT,
        }  # fmt: skip
        written = self.folder / f"{self.prefix}{name}"
        written.mkdir(parents=True)
        for number, document in enumerate([*workflows, template]):
            (written / f"{number}.json").write_bytes(msgspec.json.encode(document))
        return written

    def say(self, *words: str) -> str:
        """Run the program with these words, and return what it prints.

        Raises:
            LiveFailed: it refuses.
        """
        done = subprocess.run(  # noqa: S603 -- words of ours only
            [str(PROGRAM), *words], env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LiveFailed(done.stderr)
        return done.stdout

    def start(self) -> None:
        """Start the ingest and the workers."""
        self._start("ingest", "ingest")
        self.start_workers()

    def start_workers(self) -> None:
        """Start the workers."""
        for number in range(self.workers):
            self._start("worker", f"worker-{number}")

    def stop_workers(self) -> None:
        """End the workers in order."""
        for number in range(self.workers):
            self.supervisor.stop(f"worker-{number}")

    def restart_worker(self, number: int) -> None:
        """End a worker in order, and start it again."""
        self.supervisor.stop(f"worker-{number}")
        self._start("worker", f"worker-{number}")

    def begin_guest(self) -> None:
        """Let one more worker join."""
        self._start("worker", GUEST)
        self._has_guest = True

    def end_guest(self) -> None:
        """Let the one that joined leave, if it is there."""
        if self._has_guest:
            self.supervisor.stop(GUEST)
        self._has_guest = False

    def _start(self, command: str, name: str) -> None:
        argv = [str(PROGRAM), command, "--folder", str(self.folder / (self.prefix + name))]
        self.supervisor.start(name, argv, environment=self.environment)

    def publish(self, kind: str, customer: str, at: Millis) -> None:
        """Publish an event, with an address."""
        self._count += 1
        self.published[customer] = at
        value = msgspec.json.encode(
            {
                "event_id": f"e{self._count}",
                "type": kind,
                "customer_id": customer,
                "occurred_at": at,
                "properties": {"email": f"{customer}@shop.example"},
            }
        )
        topic = self.prefix + BEHAVIORAL_EVENTS
        while True:
            try:
                self.producer.produce(topic, value=value, timestamp=at)
            except BufferError:
                self.producer.poll(0.1)
            else:
                break
        self.producer.poll(0)

    def wait(
        self, reached: Callable[[], bool], what: str, within_s: float = PATIENCE_S, *, every_s: float = 0.02
    ) -> None:
        """Wait until something is so.

        Raises:
            LiveFailed: a process ended, or it took too long.
        """
        deadline = monotonic_s() + within_s
        while not reached():
            if self.supervisor.poll():
                raise LiveFailed(f"a process ended before {what}; see {self.folder / 'log'}")
            if monotonic_s() > deadline:
                raise LiveFailed(f"not within {within_s:.0f} s: {what}")
            pause(every_s)

    def settle(self, what: str, within_s: float = PATIENCE_S) -> None:
        """Wait until the ingest has taken in all that was published, and the workers have decided on it.

        Raises:
            LiveFailed: a process ended, or it took too long.
        """
        self.producer.flush()
        for place in (0, 1):

            def is_through(place: int = place) -> bool:
                return keeping_up(self.connection, self.prefix, ())[place].behind == 0

            self.wait(is_through, what, within_s, every_s=0.5)

    def are_ready(self) -> bool:
        """Say whether every worker has its partitions, and has read them back."""
        found = [ask_ready(url) for url in self._worker_urls()]
        return len(found) == self.workers and all(health is not None and health.ok for health in found)

    def counted(self) -> list[Samples]:
        """Return what each worker counts."""
        return [samples for url in self._worker_urls() if (samples := ask_metrics(url)) is not None]

    def cpu_s(self) -> float:
        """Return how much of the processor the workers have used."""
        ticks = 0
        for pid in self._worker_pids():
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(words[11]) + int(words[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Return how much memory the workers hold."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._worker_pids())
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _worker_pids(self) -> list[int | None]:
        return [self.supervisor.pid(f"worker-{number}") for number in range(self.workers)]

    def _worker_urls(self) -> list[str]:
        pids = self._worker_pids()
        return [address.url for address in read_addresses(self.folder, self.prefix) if address.pid in pids]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note every send as soon as it can be read."""
        ended, topic = threading.Event(), self.prefix + EMAIL_SENDS
        consumer = Consumer(
            {
                "bootstrap.servers": self.connection.bootstrap_servers,
                "group.id": "unused",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition(topic, number, 0) for number in range(self.partitions)])

        def follow() -> None:
            decode = msgspec.json.Decoder(_Send).decode
            while not ended.is_set():
                # `consume` alone would wait for all of them, and what it has is late by that.
                first = consumer.poll(0.02)
                messages = [] if first is None else [first, *consumer.consume(2_000, 0)]
                now = wall_ms()
                for message in messages:
                    if message.error() is None:
                        value = message.value() or b""
                        send, self.bytes = decode(value), len(value)
                        of_workflow = self.seen.setdefault(send.workflow_id, {})
                        of_workflow.setdefault(send.customer_id, []).append((parse_instant(send.send_at), now))

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            consumer.close()

    def sends(self, workflow: str) -> list[tuple[Millis, Millis]]:
        """Return when each send of a workflow was due, and when it could be read."""
        return [times for found in self.seen.get(workflow, {}).values() for times in found]

    def mailed(self, workflow: str) -> int:
        """Count the customers who were mailed."""
        return len(self.seen.get(workflow, {}))

    @contextmanager
    def busy(self, kind: str, per_s: int) -> Iterator[None]:
        """Let other customers, one after the other, do something at a steady rate."""
        ended = threading.Event()

        def go_on() -> None:
            begin, number = monotonic_s(), 0
            while not ended.wait(0.005):
                until = int((monotonic_s() - begin) * per_s)
                now = wall_ms()
                for _ in range(until - number):
                    self.publish(kind, f"other-{number}", now)
                    number += 1

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def spread(late: list[int]) -> str:
    """Say how a sorted list of milliseconds lies."""
    if not late:
        return "none"
    return f"p50 {late[len(late) // 2]} ms, p99 {late[len(late) * 99 // 100]} ms, at most {late[-1]} ms"
