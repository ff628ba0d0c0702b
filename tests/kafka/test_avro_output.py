"""What comes out as Avro: the same records as in JSON, for us and for a stranger, whatever becomes of the registry."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.catalogues import publish_catalogue
from schemas.instants import parse_instant
from schemas.topics import SCHEMAS
from streams.registry_topic import TopicSchemas
from tests.kafka import worlds
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.foreign_producer import Published, publish
from tests.kafka.processes import TOPIC_OF, Processes
from tests.kafka.rest_registry import served_registry
from tests.kafka.runs import (
    OUTBOUND,
    PUBLIC,
    Run,
    assert_same,
    committed_messages,
    read_by_a_stranger,
    simulated,
    tidings,
)
from tests.kafka.runs import environment as environment_of
from tidings.clock import monotonic_s, pause
from tidings.definitions_folder import load_folder
from tidings.event_file import read_lines
from tidings.services.ports import free_ports
from tidings.supervisor import Supervisor

AVRO = {"TIDINGS_OUTPUT_FORMAT": "avro"}


def test_a_run_in_avro_gives_the_records_of_simulate(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> None:
    """Sends, decisions and webhook calls are Avro on every topic, and say what `simulate` says; runs share subjects."""
    world = worlds.generated(tmp_path / "world")
    expected = simulated(world, tmp_path)
    run = Run(
        world, kafka.bootstrap_servers, prefix, tmp_path, "--keep", "--partitions=2", "--public-partitions=1", **AVRO
    )
    assert run.wait() == 0, run.said()
    assert_same(run.records(), expected)
    assert_same(read_by_a_stranger(kafka.bootstrap_servers, prefix), expected)
    env = environment_of(tmp_path, kafka.bootstrap_servers, TIDINGS_TOPIC_PREFIX=prefix)
    replayed = tidings("replay", env=env)
    assert replayed.returncode == 0, replayed.stderr + replayed.stdout
    for name in OUTBOUND:
        values = [message.value() or b"" for message in committed_messages(run.connection, prefix + name)]
        assert {value[:1] for value in values} <= {b"\0"}, name
    keys = [message.key() or b"" for message in committed_messages(run.connection, SCHEMAS)]
    assert not [key for key in keys if prefix.encode() in key]
    assert [key for key in keys if b'"run.email-sends-value"' in key]


def test_a_registry_that_is_away_costs_time_and_nothing_else(processes: Processes, tmp_path: Path) -> None:
    """A worker waits for its registry and says so; once it knows its numbers the registry may go for good."""
    world = worlds.welcome()
    expected = simulated(world, tmp_path)
    lines = [line for line in read_lines(world.events) if line.event is not None]
    documents = load_folder(world.definitions).documents
    first = lines[0].clock
    publish_catalogue(processes.connection, processes.prefix, documents, number=1, at=first, answers_webhooks=True)
    port = next(free_ports(tmp_path))
    settings = AVRO | {"SCHEMA_REGISTRY_URL": f"http://user:secret@127.0.0.1:{port}"}
    processes.start("worker", "worker", **settings)
    log = tmp_path / "log" / "worker.log"
    _wait_for_words(log, "waiting to register the schemas")
    assert f"http://127.0.0.1:{port} doesn't answer" in log.read_text()
    behind = TopicSchemas(processes.connection)
    with served_registry(behind, port):
        _wait_for_words(log, "the schemas of what comes out are registered; going on")
    behind.close()
    publish(
        processes.bootstrap,
        [
            Published(
                topic=processes.prefix + TOPIC_OF[line.event.stream],
                value=line.raw,
                at=line.clock,
                headers=[("sequence", struct.pack(">q", line.number))],
            )
            for line in lines
            if line.event is not None
        ],
    )
    processes.end_of_events(parse_instant(world.until))
    processes.start("ingest", "ingest", **settings)
    processes.wait_for("ingest", *PUBLIC)
    processes.wait_for("worker", "customer-log")
    found = read_by_a_stranger(processes.bootstrap, processes.prefix)
    assert_same(found, [record for record in expected if record["record"] != "dead_letter"])
    assert "secret" not in log.read_text()
    assert log.read_text().count("waiting to register") == 1, "it is said once, not every second"


def test_a_run_that_cannot_register_is_refused_before_it_starts(
    kafka: KafkaUnderTest, prefix: str, tmp_path: Path
) -> None:
    """A user who runs a file isn't kept waiting: the registry that is missing is named, and nothing is left behind."""
    world = worlds.welcome()
    env = environment_of(tmp_path, kafka.bootstrap_servers, SCHEMA_REGISTRY_URL="http://127.0.0.1:1", **AVRO)
    refused = tidings("run", *world.arguments, "--prefix", prefix, env=env)
    assert refused.returncode == 1
    assert "the schema registry http://127.0.0.1:1 doesn't answer" in refused.stderr
    assert not list((tmp_path / "runs").glob("*")) if (tmp_path / "runs").exists() else True


@pytest.fixture
def processes(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[Processes]:
    with Supervisor(tmp_path / "log") as supervisor:
        yield Processes(kafka, prefix, tmp_path, supervisor)


def _wait_for_words(log: Path, words: str) -> None:
    deadline = monotonic_s() + 120
    while not log.exists() or words not in log.read_text():
        assert monotonic_s() < deadline, f"never said {words!r}: {log.read_text() if log.exists() else ''}"
        pause(0.05)
