"""Definitions change under load: every partition sees the same versions, and each decides as `simulate` does with them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Message

from agents.catalogues import Catalogues
from agents.customers import NO_CATALOGUE
from journeys.validation import definitions_from_documents
from schemas.events import Json
from schemas.instants import DAY_MS
from schemas.log import SOURCE, CatalogueMark, FinalMark, decode_event, decode_mark
from tests.kafka import worlds
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.foreign_producer import publish_ends
from tests.kafka.operated import PARTITIONS, WITHIN_S, System
from tests.kafka.runs import PROGRAM, PUBLIC, Record, committed_messages, read_by_a_stranger
from tests.strategies import Document
from tidings.clock import pause
from tidings.definitions_folder import load_folder
from tidings.event_file import Line, read_lines
from tidings.simulation import NextVersion, simulate
from tidings.supervisor import RestartPolicy, Supervisor

EVENTS = 9_000


@pytest.fixture
def system(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[System]:
    with Supervisor(tmp_path / "log", policy=RestartPolicy(most_restarts=1_000)) as supervisor:
        yield System(kafka, prefix, tmp_path, supervisor)


def test_versions_applied_under_load_with_kills_decide_as_simulate_does_with_the_same_marks(
    system: System, tmp_path: Path
) -> None:
    """Four versions while events pour in, to the last of which executions move, the worker killed around the marks."""
    world = worlds.busy(tmp_path / "world", EVENTS)
    lines = list(read_lines(world.events))
    folders = _versions(world.definitions, tmp_path)
    publish_ends(system.bootstrap, {system.prefix + name: 1 for name in PUBLIC[1:]}, lines[-1].clock + DAY_MS)
    system.apply(folders[0], lines[0].clock)
    for name in ("ingest", "worker"):
        system.start(name)
    part = EVENTS // 4
    for number, folder in enumerate(folders[1:], start=1):
        chunk = lines[(number - 1) * part : number * part]
        system.publish(chunk)
        system.wait_for_log((number - 1) * part + part // 3)
        if number == 2:
            system.kill("worker")
        system.apply(folder, chunk[-1].clock, *(() if number < 3 else ("--mode", "migrate")))
        if number == 3:
            system.kill("worker")
        assert "Nothing to do" in system.apply(folder, chunk[-1].clock)
    system.publish(lines[3 * part :])
    system.kill("worker")
    publish_ends(system.bootstrap, {system.prefix + PUBLIC[0]: 1}, lines[-1].clock + DAY_MS)
    system.wait_for_log(EVENTS + PARTITIONS * (len(folders) + 1))
    system.wait_for_ends()
    system.wait_for_worker()

    log = system.log()
    marks = {partition: _marks(messages) for partition, messages in log.items()}
    assert marks == {partition: [1, 2, 3, 4] for partition in range(PARTITIONS)}
    found = _by_id(read_by_a_stranger(system.bootstrap, system.prefix))
    expected = _by_id([record for messages in log.values() for record in _simulated(system, messages)])
    assert found.keys() == expected.keys()
    assert found == expected
    assert {record["workflow_version"] for record in found.values()} >= {1, 2, 3, 4}
    assert "execution_migrated" in {record.get("kind") for record in found.values()}


HALF: str = """
import sys, time
from agents.marking import log_writer
from schemas.log import CatalogueMark
from streams.connection import Connection
with log_writer(Connection(bootstrap_servers=sys.argv[1]), sys.argv[2]) as writer:
    writer.put("definitions", b"{}", 0, key=b"1")
    writer.mark(CatalogueMark(number=1, rules_version=1, tzdata="x"), 0, None, 0)
    writer._producer.flush()
    print("half", flush=True)
    time.sleep(60)
"""


def test_an_apply_that_is_killed_half_way_has_changed_nothing_and_the_next_completes_it(
    system: System, tmp_path: Path
) -> None:
    """What a killed apply wrote is never seen; the next one makes its version, with the same marks everywhere."""
    folders = _versions(worlds.busy(tmp_path / "world", 10).definitions, tmp_path)
    half = subprocess.Popen(  # noqa: S603 -- ourselves
        [sys.executable, "-c", HALF, system.bootstrap, system.prefix],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert half.stdout is not None
    assert half.stdout.readline() == b"half\n"
    half.kill()
    half.wait()
    half.stdout.close()
    system.apply(folders[0], 1)
    assert {partition: _marks(messages) for partition, messages in system.log().items()} == {0: [1], 1: [1], 2: [1]}


def test_applies_at_once_make_one_order_of_versions_on_every_partition(system: System, tmp_path: Path) -> None:
    """Each of several applies at the same time, one of them killed, is a version or has changed nothing and says so."""
    folders = _versions(worlds.busy(tmp_path / "world", 10).definitions, tmp_path)
    argv = [[str(PROGRAM), "apply", str(folder)] for folder in folders]
    running = [
        subprocess.Popen(words, env=system.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
        for words in argv
    ]
    pause(1.0)
    running[0].kill()
    for process in running:
        out, err = process.communicate(timeout=WITHIN_S)
        assert "Traceback" not in out + err
        assert process.returncode == 0 or process is running[0] or "apply again" in err or "do it again" in err, err
    system.apply(folders[0], 1)
    log = system.log()
    numbers = _marks(log[0])
    assert numbers == list(range(1, len(numbers) + 1))
    assert {partition: _marks(messages) for partition, messages in log.items()} == dict.fromkeys(
        range(PARTITIONS), numbers
    )
    stored = [message.key() for message in committed_messages(system.connection, f"{system.prefix}definitions")]
    assert stored == [str(number).encode() for number in numbers]


def _versions(first: Path, folder: Path) -> list[Path]:
    """Write four sets: another wait, a silence besides (deadlines move), and without the first workflow's wait."""
    documents = load_folder(first).documents
    quiet: Document = {
        "id": "quiet",
        "triggers": [
            {"type": "time_based", "conditions": {"condition_type": "inactivity_period", "inactivity_hours": 1}}
        ],
        "steps": [{"id": "mail", "type": "email", "configuration": {"template_id": "hello"}, "next_steps": []}],
        "name": "Quiet",
    }
    sets: list[list[Json]] = [
        documents,
        _waiting(documents, 3),
        [*_waiting(documents, 3), quiet],
        [*_waiting(documents, 1), quiet],
    ]
    written = []
    for number, values in enumerate(sets):
        target = folder / f"version-{number}"
        target.mkdir()
        for position, value in enumerate(values):
            (target / f"{position:03}.json").write_bytes(msgspec.json.encode(value))
        written.append(target)
    return written


def _waiting(documents: list[Json], hours: int) -> list[Json]:
    text = msgspec.json.encode(documents).replace(b'"duration_hours":2', b'"duration_hours":%d' % hours)
    changed: list[Json] = msgspec.json.decode(text)
    return changed


def _marks(messages: list[Message]) -> list[int]:
    marks = [decode_mark(message.value() or b"") for message in messages if message.key() is None]
    return [mark.number for mark in marks if isinstance(mark, CatalogueMark)]


def _simulated(system: System, messages: list[Message]) -> list[Record]:
    """Simulate one partition of the log as it stands, mark by mark."""
    catalogues = Catalogues(system.connection, system.prefix, definitions_from_documents)
    lines: list[Line] = []
    versions: list[NextVersion] = []
    until, seen = 0, set()
    for message in messages:
        at, value = message.timestamp()[1], message.value() or b""
        if message.key() is not None:
            source = dict(message.headers() or [])[SOURCE]
            if source not in seen:
                lines.append(Line(number=len(lines), raw=b"", clock=at, event=decode_event(value)))
            seen.add(source)
            continue
        mark = decode_mark(value)
        if isinstance(mark, CatalogueMark):
            versions.append(NextVersion(catalogue=catalogues.load(mark.number), at=at, line=len(lines)))
        elif isinstance(mark, FinalMark):
            until = at
    written: list[bytes] = []
    simulate(NO_CATALOGUE, lines, until=until, write=written.append, versions=versions)
    return [msgspec.json.decode(line, type=Record) for line in written]


def _by_id(records: list[Record]) -> dict[Json, Record]:
    named = {
        record.get("send_id") if record["record"] == "send" else record["decision_id"]: record for record in records
    }
    assert len(named) == len(records)
    return named
