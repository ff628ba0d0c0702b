"""Files full of rubbish, a Kafka that isn't there, a user who changes her mind: each ends well, and says so."""

import signal
import threading
from pathlib import Path

import msgspec
import pytest

from schemas.events import Json
from streams.connection import Connection
from streams.topics import partition_counts
from tests.kafka import worlds
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.runs import Run, World, assert_same, environment, read_by_a_stranger, simulated, tidings
from tidings.clock import monotonic_s
from tidings.services.ports import free_ports

MIB = 1024 * 1024
START_S = 5.0
"""What three programs at once may take to start on a busy machine."""


def _line(number: int, **changed: Json) -> bytes:
    event: dict[str, Json] = {
        "event_id": f"e{number}",
        "type": "signup",
        "source": "website",
        "occurred_at": "2026-03-02T09:00:00Z",
        "customer_id": f"c{number % 5}",
        "properties": {"email": "somebody@shop.example"},
    }
    return msgspec.json.encode(event | changed)


RUBBISH = (
    b'{"event_id": ',
    b"[]",
    b"\0\0\0\0\x07Avro is for topics",
    b"\xff\xfe\xfd" * 100,
    b"   ",
    b"",
    _line(0, customer_id=None),
    _line(1, occurred_at="2026-03-02T09:00:00"),
    _line(2, occurred_at="2099-01-01T00:00:00Z"),
    _line(3, topic="orders"),
    _line(4, context={"x": "y" * MIB}),
    _line(5, context={"x": "y" * (5 * MIB)}),
    # As large as an event may be with all that is allowed in it.
    _line(6, properties={"x": "y" * 65_000}, context={"x": "y" * 65_000}),
    b" " * (MIB - len(_line(7))) + _line(7),
    b" " * (MIB + 1 - len(_line(8))) + _line(8),
)


def test_a_file_of_rubbish_gives_the_same_dead_letters_and_holds_up_nothing(
    kafka: KafkaUnderTest, prefix: str, tmp_path: Path
) -> None:
    """Whatever stands between the events of a file, or in place of all of them, `run` says what `simulate` says."""
    lines = [part for number, rubbish in enumerate(RUBBISH, 100) for part in (_line(number), rubbish)]
    events = tmp_path / "rubbish.ndjson"
    events.write_bytes(b"\r\n".join([*lines, _line(200)]))
    world = World(definitions=worlds.welcome().definitions, events=events, until=worlds.UNTIL_2026)
    expected = simulated(world, tmp_path)
    classes = [record["error_class"] for record in expected if record["record"] == "dead_letter"]
    assert {"unreadable", "not_text", "no_customer", "bad_time", "clock_jump", "unknown_topic", "too_large"} <= set(
        classes
    )
    assert len(classes) == len(RUBBISH) - 4
    run = Run(world, kafka.bootstrap_servers, prefix, tmp_path, "--keep")
    nothing = tmp_path / "empty.ndjson"
    nothing.touch()
    empty = msgspec.structs.replace(world, events=nothing)
    idle = Run(empty, kafka.bootstrap_servers, f"empty-{prefix}", tmp_path)
    assert run.wait() == 0, run.said()
    assert_same(run.records(), expected)
    assert idle.wait() == 1, idle.said()
    assert "is empty, so nothing happened" in idle.said()
    assert idle.records() == []
    assert_same(read_by_a_stranger(kafka.bootstrap_servers, prefix), expected)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--events", "/nowhere/events.ndjson"), "can't read the events in /nowhere/events.ndjson"),
        (("--until", "2020-01-01T00:00:00Z"), "lies before the last event"),
        (("--prefix", "not a topic"), "'not a topic' can't begin a topic's name"),
    ],
)
def test_a_run_that_cannot_be_leaves_nothing_behind(
    kafka: KafkaUnderTest, prefix: str, tmp_path: Path, words: tuple[str, str], sentence: str
) -> None:
    """What is found to be wrong after the start is said, and the topics are gone again."""
    arguments = [*worlds.welcome().arguments, "--prefix", prefix, *words]
    ended = tidings("run", *arguments, env=environment(tmp_path, kafka.bootstrap_servers))
    assert ended.returncode == 1
    assert sentence in ended.stderr
    connection = Connection(bootstrap_servers=kafka.bootstrap_servers)
    names = [f"{prefix}{name}" for name in ("customer-log", "behavioral-events", "definitions")]
    assert partition_counts(connection, names) == {}


def test_ctrl_c_ends_a_run_with_its_processes_and_topics(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> None:
    """SIGINT in the middle: exit code 130, no process and no topic left."""
    run = Run(worlds.busy(tmp_path / "world", 20_000), kafka.bootstrap_servers, prefix, tmp_path)
    run.wait_until(lambda: "restored" in run.log_of("worker-0") and "reading" in run.log_of("ingest"), "both work")
    children = [run.child(name) for name in ("worker-0", "ingest")]
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert all(child is not None and not Path(f"/proc/{child}").exists() for child in children)
    assert partition_counts(run.connection, [f"{prefix}customer-log", f"{prefix}decisions"]) == {}


def test_no_broker_is_said_within_20_seconds(tmp_path: Path) -> None:
    """Where nobody answers, every command says where it looked and what to do."""
    nobody = f"127.0.0.1:{next(free_ports(tmp_path))}"
    said: dict[str, str] = {}

    def ask(command: str, *words: str) -> None:
        began = monotonic_s()
        ended = tidings(command, *words, env=environment(tmp_path / command, nobody))
        said[command] = f"{ended.returncode} {monotonic_s() - began < 20 + START_S} {ended.stderr}"

    threads = [
        threading.Thread(target=ask, args=("run", *worlds.welcome().arguments)),
        threading.Thread(target=ask, args=("worker", "--clock", "log")),
        threading.Thread(target=ask, args=("ingest", "--clock", "log")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.keys() == {"run", "worker", "ingest"}
    for answer in said.values():
        assert answer.startswith("1 True ")
        assert f"\ntidings: No Kafka answers at {nobody}" in answer.replace("1 True ", "\n", 1)
        assert "tidings kafka start" in answer
