"""`tidings up` as a person uses it: everything runs, comes back when it stops, says little while Kafka is away."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.journey import Document, mail, wait, workflow
from tests.kafka.broker import OwnKafka
from tests.kafka.runs import environment, tidings
from tests.kafka.ups import Up
from tidings.clock import pause
from tidings.seeing.addresses import read_addresses
from tidings.seeing.asking import ask_metrics, total

AWAY_S = 25.0
MOST_LINES = 40
"""Of all processes together, for one outage: each says a few when it notices, stops or is back; none a second."""
HELLO: Document = {"kind": "template", "id": "hello", "subject_template": "Hello", "content_template": "<p>Hi</p>"}
SIGNUP = '{"customer_id": "%s", "type": "signup", "source": "website", "properties": {"email": "%s@shop.example"}}'


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
    # Each process is ready by itself; this one asks Kafka once in a while and may hear of it last.
    up.wait(lambda: "Kafka answers again" in up.said(), "it is said")
    assert up.lines() - before < MOST_LINES, up.all_said()
    assert "Published cli-" in tidings("publish", SIGNUP % ("bea", "bea"), env=env).stdout
    up.wait(lambda: up.mailed(own_kafka.bootstrap_servers) == {"bea"}, "bea is mailed")
    assert "Traceback" not in up.all_said()
