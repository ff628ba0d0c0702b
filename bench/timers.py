"""Timers by the wall clock: how late one is, and how long so many take that fall due in the same second.

Real processes, started as a user would: `tidings ingest` and `tidings worker`. Customers sign up and are mailed a fixed
time later, all within one second; others go on with what they do, and are mailed for it at once. A stranger reads what
is committed and notes when.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from msgspec import Struct

from schemas.events import Json
from schemas.instants import MINUTE_MS, Millis, parse_instant
from schemas.topics import BEHAVIORAL_EVENTS, CUSTOMER_LOG, EMAIL_SENDS, topics, watermarks_topic
from streams.connection import Connection
from streams.topics import committed_offsets, delete_topics, end_offsets
from tidings.clock import fresh_bytes, monotonic_s, pause, wall_ms
from tidings.settings import process_environment
from tidings.supervisor import Supervisor

PARTITIONS: Final = 4
CUSTOMERS: Final = 100_000
LONE: Final = 200
"""Customers whose timers fall due one by one, before the others'."""
OTHERS_PER_S: Final = 200
LONE_WAIT_MS: Final = 5_000
PATIENCE_S: Final = 300.0
PROGRAM: Final = Path(sys.executable).parent / "tidings"
TEXT: Final = "It is time. " + "What you have looked at is still there, and so is the offer of last week. " * 7


class TimersFailed(Exception):
    """A process ended or stood still, or what came out is wrong."""


class Timers(Struct, frozen=True, kw_only=True):
    """What was measured; milliseconds."""

    customers: int
    workers: int
    send_bytes: int
    lone_late: list[int]
    """How late sends of single timers could be read."""
    wave_ms: int
    """From the instant at which all were due to when the last send could be read."""
    wave_cpu_s: float
    """Of the workers, meanwhile."""
    at_once_before: list[int]
    """From an event to its committed send, before the wave."""
    at_once_within: list[int]


class _Send(Struct):
    workflow_id: str
    customer_id: str
    send_at: str


def definitions(wait_ms: Millis) -> list[dict[str, Json]]:
    """Return a workflow that mails at once, one that mails after a while, and one that mails much later."""
    template: dict[str, Json] = {
        "kind": "template", "id": "text", "subject_template": "It is time", "content_template": TEXT,
    }  # fmt: skip
    return [
        _workflow("at-once", "page_viewed", None),
        _workflow("lone", "product_viewed", LONE_WAIT_MS),
        _workflow("wave", "signup", wait_ms),
        template,
    ]


def _workflow(name: str, event_type: str, wait_ms: Millis | None) -> dict[str, Json]:
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


class _System:
    """Ingest and worker under a prefix of their own, and what can be read of them."""

    def __init__(self, connection: Connection, folder: Path, supervisor: Supervisor, workers: int) -> None:
        self.connection, self.folder, self.workers = connection, folder, workers
        self.prefix = f"bench-{fresh_bytes(4).hex()}."
        self.supervisor = supervisor
        own = {"TIDINGS_TOPIC_PREFIX": self.prefix, "TIDINGS_PARTITIONS": str(PARTITIONS)}
        reach = {"KAFKA_BOOTSTRAP_SERVERS": connection.bootstrap_servers, "TIDINGS_DATA_DIR": str(folder)}
        self.environment: Mapping[str, str] = {**process_environment(), **own, **reach}
        self.producer = Producer(
            {"bootstrap.servers": connection.bootstrap_servers, "linger.ms": 2, "acks": "all", "log_level": 0}
        )
        self.seen: dict[str, dict[str, list[tuple[Millis, Millis]]]] = {"at-once": {}, "lone": {}, "wave": {}}
        """By workflow and customer: when a send was due, and when it could be read."""
        self.bytes = 0
        self._count = 0

    def start(self, command: str, name: str) -> None:
        argv = [str(PROGRAM), command, "--folder", str(self.folder / (self.prefix + name))]
        self.supervisor.start(name, argv, environment=self.environment)

    def apply(self, folder: Path) -> None:
        done = subprocess.run(  # noqa: S603 -- words of ours only
            [str(PROGRAM), "apply", str(folder), "--yes"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise TimersFailed(done.stderr)

    def publish(self, kind: str, customer: str, at: Millis) -> None:
        self._count += 1
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

    def wait(self, reached: Callable[[], bool], what: str) -> None:
        deadline = monotonic_s() + PATIENCE_S
        while not reached():
            if self.supervisor.poll():
                raise TimersFailed(f"a process ended before {what}; see {self.folder / 'log'}")
            if monotonic_s() > deadline:
                raise TimersFailed(f"not within {PATIENCE_S:.0f} s: {what}")
            pause(0.02)

    def has_folded_all(self) -> bool:
        log = self.prefix + CUSTOMER_LOG
        return committed_offsets(self.connection, f"{self.prefix}worker", log) == end_offsets(self.connection, log)

    def cpu_s(self) -> float:
        """Return how much of the processor the workers have used."""
        ticks = 0
        for number in range(self.workers):
            pid = self.supervisor.pid(f"worker-{number}")
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(words[11]) + int(words[12])
        return ticks / os.sysconf("SC_CLK_TCK")

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
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])

        def follow() -> None:
            decode = msgspec.json.Decoder(_Send).decode
            while not ended.is_set():
                messages = consumer.consume(2_000, 0.02)
                now = wall_ms()
                for message in messages:
                    if message.error() is None:
                        value = message.value() or b""
                        send, self.bytes = decode(value), len(value)
                        times = (parse_instant(send.send_at), now)
                        self.seen[send.workflow_id].setdefault(send.customer_id, []).append(times)

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            consumer.close()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let other customers go on with what they do."""
        ended = threading.Event()

        def go_on() -> None:
            number = 0
            while not ended.wait(0.02):
                for _ in range(OTHERS_PER_S // 50):
                    self.publish("page_viewed", f"other-{number}", wall_ms())
                    number += 1

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def run_timers(
    connection: Connection, folder: Path, customers: int, workers: int, say: Callable[[str], None]
) -> Timers:
    """Measure.

    Args:
        connection: where Kafka is.
        folder: for logs and definitions.
        customers: how many timers fall due in the same second.
        workers: how many processes decide.
        say: is told what is going on.

    Raises:
        TimersFailed: a process ended or stood still, or a send is missing, doubled or early.
    """
    with Supervisor(folder / "log") as supervisor:
        system = _System(connection, folder, supervisor, workers)
        try:
            return _measure(system, customers, say)
        finally:
            supervisor.stop()
            names = [spec.name for spec in topics(system.prefix, PARTITIONS, PARTITIONS, "wall")]
            delete_topics(connection, [*names, watermarks_topic(system.prefix).name])


def _measure(system: _System, customers: int, say: Callable[[str], None]) -> Timers:
    # Signing up takes some 0.4 ms each; the rest is for what comes before the wave.
    wait_ms = 60_000 + customers
    written = system.folder / f"{system.prefix}definitions"
    written.mkdir(parents=True)
    for number, document in enumerate(definitions(wait_ms)):
        (written / f"{number}.json").write_bytes(msgspec.json.encode(document))
    system.apply(written)
    system.start("ingest", "ingest")
    for number in range(system.workers):
        system.start("worker", f"worker-{number}")
    with system.watched():
        say(f"{customers:,} customers sign up")
        begin = wall_ms()
        due_at = begin + wait_ms
        for number in range(customers):
            system.publish("signup", f"c{number}", begin + number * 1_000 // customers)
        system.producer.flush()
        system.wait(system.has_folded_all, "everybody has signed up")
        if wall_ms() > due_at - 15_000:
            raise TimersFailed("signing up took so long that the wave began before its time")
        with system.busy():
            say("single timers")
            for number in range(LONE):
                system.publish("product_viewed", f"lone-{number}", wall_ms())
                pause(0.02)
            system.wait(lambda: len(system.seen["lone"]) == LONE, "the single timers have fired")
            say(f"{(due_at - wall_ms()) / 1000:.0f} s until all the others are due")
            system.wait(lambda: wall_ms() >= due_at, "the time has come")
            used = system.cpu_s()
            system.wait(lambda: len(system.seen["wave"]) == customers, "everybody is mailed")
            used = system.cpu_s() - used
            pause(1.0)
    wave = [times for found in system.seen["wave"].values() for times in found]
    lone = [times for found in system.seen["lone"].values() for times in found]
    at_once = [times for found in system.seen["at-once"].values() for times in found]
    if len(wave) != customers or len(lone) != LONE or any(at < due for due, at in [*wave, *lone]):
        raise TimersFailed("a send came twice, or before its time")
    end = max(at for _, at in wave)
    return Timers(
        customers=customers,
        workers=system.workers,
        send_bytes=system.bytes,
        lone_late=sorted(at - due for due, at in lone),
        # The last of them is due a second after the first.
        wave_ms=end - due_at,
        wave_cpu_s=used,
        at_once_before=sorted(at - due for due, at in at_once if at < due_at),
        at_once_within=sorted(at - due for due, at in at_once if due_at <= due <= end),
    )


def told(measured: Timers) -> str:
    """Say what was measured."""
    seconds = measured.wave_ms / 1000
    wave = (
        f"{measured.customers:,} timers due within one second, sends of {measured.send_bytes:,} bytes: the last could"
        f" be read {seconds:.1f} s after the first was due ({measured.customers / seconds:,.0f} a second,"
        f" {measured.wave_cpu_s * 1e6 / measured.customers:.0f} µs of CPU each in workers: {measured.workers})"
    )
    before, within = _spread(measured.at_once_before), _spread(measured.at_once_within)
    return f"""single timers: {_spread(measured.lone_late)} after they were due
{wave}
others' events to their sends: {before} before, and {within} meanwhile"""


def _spread(late: list[int]) -> str:
    if not late:
        return "none"
    return f"p50 {late[len(late) // 2]} ms, p99 {late[len(late) * 99 // 100]} ms, at most {late[-1]} ms"
