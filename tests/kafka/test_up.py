"""`tidings up` as a person uses it: everything runs, comes back when it stops, says little while Kafka is away."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from streams.connection import Connection
from tests.journey import Document, mail, wait, workflow
from tests.kafka.broker import OwnKafka
from tests.kafka.runs import PROGRAM, committed_messages, environment, tidings
from tidings.clock import monotonic_s, pause
from tidings.seeing.addresses import Address, read_addresses
from tidings.seeing.asking import ask_metrics, ask_ready, total

WITHIN_S = 200.0
AWAY_S = 25.0
MOST_LINES = 40
"""Of all processes together, for one outage: each says a few when it notices, stops or is back; none a second."""
HELLO: Document = {"kind": "template", "id": "hello", "subject_template": "Hello", "content_template": "<p>Hi</p>"}
SIGNUP = '{"customer_id": "%s", "type": "signup", "source": "website", "properties": {"email": "%s@shop.example"}}'


class Up:
    """A `tidings up` in progress."""

    def __init__(self, folder: Path, env: Mapping[str, str], *words: str) -> None:
        self.folder, self.env = folder, env
        self.prefix = env["TIDINGS_TOPIC_PREFIX"]
        self.log = folder / "up.log"
        with self.log.open("wb") as log:
            argv = [str(PROGRAM), "up", *words]
            self.process = subprocess.Popen(argv, env=env, stdout=log, stderr=log)  # noqa: S603

    def said(self) -> str:
        return self.log.read_text()

    def lines(self) -> int:
        """Count the lines of all its processes."""
        logs = (self.folder / "up").rglob("*.log")
        return sum(len(file.read_text().splitlines()) for file in (self.log, *logs))

    def all_said(self) -> str:
        return "\n".join(file.read_text() for file in (self.log, *sorted((self.folder / "up").rglob("*.log"))))

    def processes(self, name: str) -> list[Address]:
        return [address for address in read_addresses(self.folder, self.prefix) if address.name == name]

    def is_ready(self) -> bool:
        found = self.processes("up")
        health = ask_ready(found[0].url) if found else None
        return health is not None and health.ok

    def wait(self, seen: Callable[[], bool], what: str) -> None:
        deadline = monotonic_s() + WITHIN_S
        while not seen():
            assert self.process.poll() is None, f"it ended before {what}: {self.said()}"
            assert monotonic_s() < deadline, f"not within {WITHIN_S} s: {what}: {self.all_said()}"
            pause(0.1)

    def mailed(self, bootstrap: str) -> set[str]:
        messages = committed_messages(Connection(bootstrap_servers=bootstrap), f"{self.prefix}email-sends")
        return {msgspec.json.decode(message.value() or b"")["customer_id"] for message in messages}

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    folder = tmp_path / "definitions"
    folder.mkdir()
    documents = [workflow(wait("p", "mail", duration_minutes=1 / 60), mail()), HELLO]
    for number, document in enumerate(documents):
        (folder / f"{number}.json").write_bytes(msgspec.json.encode(document))
    return folder


@pytest.fixture
def ups() -> Iterator[list[Up]]:
    ups: list[Up] = []
    yield ups
    for up in ups:
        up.end()


def test_one_command_runs_everything_and_one_stop_ends_it(
    tmp_path: Path, prefix: str, definitions: Path, ups: list[Up]
) -> None:
    """A Kafka of its own, definitions, an event, its mail, a killed worker that comes back, a clean end."""
    env = environment(tmp_path, None, TIDINGS_TOPIC_PREFIX=prefix, TIDINGS_PARTITIONS="2")
    up = Up(tmp_path, env, "--workers", "2", "--definitions", str(definitions))
    ups.append(up)
    up.wait(lambda: "everything is ready" in up.said(), "everything is ready")
    [bootstrap] = [line.split()[1] for line in up.said().splitlines() if line.startswith("Kafka ")]
    assert "Published cli-" in tidings("publish", SIGNUP % ("zoe-7", "zoe-7"), env=env).stdout
    up.wait(lambda: up.mailed(bootstrap) == {"zoe-7"}, "she is mailed")

    second = tidings("up", env=env)
    assert second.returncode == 1
    assert "already runs here" in second.stderr

    first = up.processes("worker")
    os.kill(first[0].pid, signal.SIGKILL)
    up.wait(lambda: "stopped (SIGKILL)" in up.said(), "the kill is said")
    up.wait(lambda: up.is_ready() and len(up.processes("worker")) == 2, "everything is ready again")
    assert {one.pid for one in up.processes("worker")} != {one.pid for one in first}
    restarts = ask_metrics(up.processes("up")[0].url)
    assert restarts is not None
    assert total([restarts], "tidings_restarts_total") == 1
    counted = [found for one in up.processes("worker") if (found := ask_metrics(one.url)) is not None]
    assert sum("tidings_events_total" in one for one in counted) == 2

    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(60) == 0, up.said()
    assert read_addresses(tmp_path, prefix) == []
    assert tidings("kafka", "status", env=env).returncode == 1
    assert "Traceback" not in up.all_said()
    assert "zoe-7" not in up.all_said(), "no personal data"


def test_while_kafka_is_away_little_is_said_and_then_it_goes_on(
    own_kafka: OwnKafka, tmp_path: Path, prefix: str, definitions: Path, ups: list[Up]
) -> None:
    """One line for each change of state and process, then silence; ready again by itself, and nothing is lost."""
    env = environment(tmp_path, own_kafka.bootstrap_servers, TIDINGS_TOPIC_PREFIX=prefix, TIDINGS_PARTITIONS="2")
    up = Up(tmp_path, env, "--definitions", str(definitions))
    ups.append(up)
    up.wait(up.is_ready, "everything is ready")
    before = up.lines()
    own_kafka.stop()
    up.wait(lambda: not up.is_ready(), "it says that it isn't ready")
    pause(AWAY_S)
    own_kafka.start()
    up.wait(up.is_ready, "everything is ready again")
    assert "Kafka answers again" in up.said()
    assert up.lines() - before < MOST_LINES, up.all_said()
    assert "Published cli-" in tidings("publish", SIGNUP % ("bea", "bea"), env=env).stdout
    up.wait(lambda: up.mailed(own_kafka.bootstrap_servers) == {"bea"}, "bea is mailed")
    assert "Traceback" not in up.all_said()
