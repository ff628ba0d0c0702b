"""`run` gives the records of `simulate`: through a real Kafka, however the topics are cut and who works on them."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from schemas.decisions import Decision
from streams.topics import committed_offsets, end_offsets, partition_counts
from tests.kafka import worlds
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.runs import (
    Record,
    Run,
    World,
    assert_same,
    committed_messages,
    environment,
    read_by_a_stranger,
    simulated,
    tidings,
)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, list[Record]]:
    folder = tmp_path_factory.mktemp("generated")
    world = worlds.generated(folder / "world")
    return world, simulated(world, folder)


def test_the_generated_world_is_worth_running(generated: tuple[World, list[Record]]) -> None:
    """Workflows start, branch, wait, send, refuse and end in it, and some of its lines are no events."""
    world, expected = generated
    lines = world.events.read_bytes().splitlines()
    print(f"seeds {worlds.SEEDS}: {len(lines)} lines, {len(expected)} records")  # noqa: T201 -- to draw them again
    counts = Counter(record.get("kind", record["record"]) for record in expected)
    assert counts["dead_letter"] >= 5
    assert counts["send"] >= 8
    channels = Counter(record["channel"] for record in expected if record["record"] == "send")
    assert len(channels) >= 2
    assert counts["webhook_call"] >= 3
    assert counts.keys() >= {"trigger_fired", "trigger_refused", "execution_started", "step_completed"}
    assert counts.keys() >= {"send_published", "send_suppressed", "execution_ended"}


@pytest.mark.parametrize(("partitions", "public_partitions", "workers"), [(1, 1, 1), (4, 1, 2), (16, 5, 1), (4, 16, 2)])
def test_run_equals_simulate_on_generated_worlds(
    generated: tuple[World, list[Record]], kafka: KafkaUnderTest, prefix: str, tmp_path: Path,
    partitions: int, public_partitions: int, workers: int,
) -> None:  # fmt: skip
    """However many partitions and workers: the same records, in the same order, for us and for a stranger."""
    world, expected = generated
    options = [f"--partitions={partitions}", f"--public-partitions={public_partitions}", f"--workers={workers}"]
    run = Run(world, kafka.bootstrap_servers, prefix, tmp_path, "--keep", *options)
    assert run.wait() == 0, run.said()
    assert_same(run.records(), expected)
    assert_same(read_by_a_stranger(kafka.bootstrap_servers, prefix), expected)


def test_the_welcome_series_runs_as_it_ships_and_leaves_what_is_documented(
    kafka: KafkaUnderTest, prefix: str, tmp_path: Path
) -> None:
    """With --keep a person finds log, changelog, outbound topics and the group's offsets as ARCHITECTURE says."""
    world = worlds.welcome()
    expected = simulated(world, tmp_path)
    run = Run(world, kafka.bootstrap_servers, prefix, tmp_path, "--keep", "--partitions=2")
    assert run.wait() == 0, run.said()
    assert_same(run.records(), expected)
    assert_same(read_by_a_stranger(kafka.bootstrap_servers, prefix), expected)

    log = list(committed_messages(run.connection, f"{prefix}customer-log"))
    for partition in range(2):
        marks = [message for message in log if message.partition() == partition and message.key() is None]
        kinds = [msgspec.json.decode(message.value() or b"", type=Record)["mark"] for message in marks]
        assert kinds == ["catalogue", "final"], "a partition begins with its catalogue and ends with the end of time"
    keys = {message.key() for message in log} - {None}
    assert keys
    assert all(key is not None and key[:2] in {b"c:", b"a:"} for key in keys)
    valid = [line for line in world.events.read_bytes().splitlines() if line.strip()]
    letters = [record for record in expected if record["record"] == "dead_letter"]
    assert len([message for message in log if message.key()]) == len(valid) - len(letters)

    newest: dict[tuple[int | None, bytes], bytes] = {}
    for message in committed_messages(run.connection, f"{prefix}customers-changelog"):
        newest[message.partition(), message.key() or b""] = message.value() or b""
    assert {key for _, key in newest if key[:2] in {b"c:", b"a:"}} == keys
    ends = end_offsets(run.connection, f"{prefix}customer-log")
    for partition in range(2):
        position = msgspec.json.decode(newest[partition, b"p"], type=Record)
        last = max(message.offset() or 0 for message in log if message.partition() == partition)
        assert position["next_offset"] == last + 1
        assert position["catalogue"] == 1
    assert committed_offsets(run.connection, f"{prefix}worker", f"{prefix}customer-log") == ends
    assert run.ingested()[0] == run.ingested()[1]
    _assert_outputs_stand_beside_their_source(run, log)
    for name in (f"{prefix}customer-log", f"{prefix}worker", f"{prefix}ingest", str(tmp_path / "runs")):
        assert name in run.said().replace("\n", ""), "what was kept is told"


def _assert_outputs_stand_beside_their_source(run: Run, log: list) -> None:  # type: ignore[type-arg]
    partition_of = {(message.key() or b"").decode(): message.partition() for message in log}
    for message in committed_messages(run.connection, f"{run.prefix}decisions"):
        customer = msgspec.json.decode(message.value() or b"", type=Decision).customer_id
        key = customer if customer.startswith("a:") else f"c:{customer}"
        assert message.partition() == partition_of[key]


def test_a_run_leaves_nothing_behind_and_refuses_a_prefix_in_use(
    kafka: KafkaUnderTest, prefix: str, tmp_path: Path
) -> None:
    """Without --keep the topics are gone; two runs at once don't disturb each other; a taken prefix is refused."""
    world = worlds.welcome()
    expected = simulated(world, tmp_path)
    runs = [Run(world, kafka.bootstrap_servers, f"{prefix}{place}.", tmp_path) for place in "ab"]
    topic = f"{prefix}a.customer-log"
    runs[0].wait_until(lambda: topic in partition_counts(runs[0].connection, [topic]), "its topics exist")
    words = ["run", *world.arguments, "--prefix", f"{prefix}a."]
    refused = tidings(*words, env=environment(tmp_path / "third", kafka.bootstrap_servers))
    assert refused.returncode == 1
    assert f"topics with the prefix {prefix}a. exist already" in refused.stderr
    for run in runs:
        assert run.wait() == 0, run.said()
        assert_same(run.records(), expected)
    names = [f"{run.prefix}{name}" for run in runs for name in ("customer-log", "decisions", "definitions")]
    assert partition_counts(runs[0].connection, names) == {}
