"""A real schema registry, Apicurio, and Confluent's own client beside it: neither knows anything of ours.

`make registry` fetches both; where they aren't there these tests are skipped, but for CI, where that is a failure.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from agents.catalogues import publish_catalogue
from schemas.instants import parse_instant
from schemas.outbound import OUTBOUND_SCHEMAS
from schemas.topics import DECISIONS
from schemas.wire import DECISION_SCHEMA
from streams.hard_stop import REFUSED
from streams.registry import SchemaRefused
from streams.registry_http import RegistrySchemas
from tests.avro_resolution import changed_schemas, is_full
from tests.kafka import worlds
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.processes import TOPIC_OF, Processes
from tests.kafka.runs import PUBLIC, WITHIN_S, assert_same, read_by_a_stranger, simulated
from tidings.clock import monotonic_s, pause
from tidings.definitions_folder import load_folder
from tidings.event_file import read_lines
from tidings.services.java import find_java
from tidings.services.ports import free_ports
from tidings.settings import process_environment
from tidings.supervisor import Ended, Supervisor

CACHE = Path(__file__).parents[2] / ".cache"
STRANGER = CACHE / "stranger" / "bin" / "python"
WRITER = Path(__file__).parent / "foreign_writer.py"


@pytest.fixture(scope="module")
def apicurio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of an Apicurio that answers, empty."""
    jars = list((CACHE / "apicurio").glob("apicurio-registry-app-*-runner.jar"))
    if not jars or not STRANGER.exists():
        missing = "no real schema registry here: run `make registry` (140 MB)"
        if process_environment().get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("apicurio")
    port = next(free_ports(folder))
    java = find_java(None)
    argv = [
        str(java), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dquarkus.http.host=127.0.0.1",
        f"-Dquarkus.http.port={port}", "-Dregistry.sql.init=true", "-jar", str(jars[0]),
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    with ExitStack() as stack:
        supervisor = stack.enter_context(Supervisor(folder))
        supervisor.start("apicurio", argv, environment={"PATH": "/usr/bin:/bin"})
        _wait_until_it_answers(url, supervisor)
        yield url


@pytest.fixture
def processes(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[Processes]:
    with Supervisor(tmp_path / "log") as supervisor:
        yield Processes(kafka, prefix, tmp_path, supervisor)


def test_strangers_write_and_read_avro_through_the_registry(
    apicurio: str, processes: Processes, tmp_path: Path
) -> None:
    """Events that Confluent's client wrote under its own schema lead to sends that it reads: those of `simulate`."""
    world = worlds.welcome()
    expected = simulated(world, tmp_path)
    lines = [line for line in read_lines(world.events) if line.event is not None]
    documents = load_folder(world.definitions).documents
    first = lines[0].clock
    publish_catalogue(processes.connection, processes.prefix, documents, number=1, at=first, answers_webhooks=True)
    written = [
        {"topic": processes.prefix + TOPIC_OF[line.event.stream], "at": line.clock, "number": line.number}
        | {"event": json.loads(line.raw)}
        for line in lines
        if line.event is not None
    ]
    argv = [str(STRANGER), "-I", str(WRITER), processes.bootstrap, apicurio]
    told = "".join(json.dumps(each) + "\n" for each in written)
    done = subprocess.run(argv, input=told, capture_output=True, text=True, timeout=WITHIN_S, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    processes.end_of_events(parse_instant(world.until))
    settings = {"SCHEMA_REGISTRY_URL": apicurio, "TIDINGS_OUTPUT_FORMAT": "avro"}
    processes.start("ingest", "ingest", **settings)
    processes.start("worker", "worker", **settings)
    processes.wait_for("ingest", *PUBLIC)
    processes.wait_for("worker", "customer-log")
    found = read_by_a_stranger(processes.bootstrap, processes.prefix, apicurio, python=STRANGER)
    assert_same(found, [record for record in expected if record["record"] != "dead_letter"])
    subjects = httpx.get(f"{apicurio}/subjects").json()
    assert {f"run.{topic}-value" for topic in OUTBOUND_SCHEMAS} <= set(subjects)


def test_the_registry_judges_changes_of_our_schemas_as_we_do(apicurio: str) -> None:
    """What the rule of our tests calls compatible both ways Apicurio takes under FULL_TRANSITIVE, and nothing else."""
    registry = RegistrySchemas(apicurio)
    for topic, schema in OUTBOUND_SCHEMAS.items():
        if topic not in {DECISIONS, "email-sends", "webhook-calls"}:
            continue
        for name, changed in changed_schemas(json.loads(schema)):
            subject = f"judged.{topic}.{name}-value"
            registry.register(subject, schema)
            _be_strict(apicurio, subject)
            try:
                registry.register(subject, json.dumps(changed).encode())
                taken = True
            except SchemaRefused:
                taken = False
            assert taken == is_full(json.loads(schema), changed), (topic, name)
    registry.close()


def test_a_worker_whose_schemas_are_refused_says_so_and_stays_down(apicurio: str, processes: Processes) -> None:
    """Under a subject that others need differently the worker ends with a sentence; starting it again wouldn't help."""
    subject = f"run.{DECISIONS}-value"
    other = {"type": "record", "name": "Decision", "namespace": "tidings", "fields": [{"name": "x", "type": "string"}]}
    httpx.delete(f"{apicurio}/subjects/{subject}")
    registry = RegistrySchemas(apicurio)
    registry.register(subject, json.dumps(other).encode())
    _be_strict(apicurio, subject)
    try:
        processes.start("worker", "worker", SCHEMA_REGISTRY_URL=apicurio, TIDINGS_OUTPUT_FORMAT="avro")
        ended = processes.wait_for_the_end()
        said = ended.log_file.read_text()
        assert (ended.code, ended.next) == (REFUSED, "refused"), said
        assert f"refuses the schema of {subject}" in said
        assert "Traceback" not in said
    finally:
        httpx.delete(f"{apicurio}/config/{subject}")
        httpx.delete(f"{apicurio}/subjects/{subject}")
    registry.register(subject, DECISION_SCHEMA)
    registry.close()


def _be_strict(url: str, subject: str) -> None:
    answer = httpx.put(f"{url}/config/{subject}", json={"compatibility": "FULL_TRANSITIVE"})
    assert answer.status_code == httpx.codes.OK, answer.text


def _wait_until_it_answers(url: str, supervisor: Supervisor) -> None:
    deadline = monotonic_s() + 120
    while True:
        ended = [change for change in supervisor.poll() if isinstance(change, Ended)]
        assert not ended, ended[0].log_file.read_text()
        assert monotonic_s() < deadline, f"nobody answers at {url}"
        try:
            if httpx.get(f"{url}/subjects").status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pause(0.1)
