"""`run` gives the same records when its processes are killed at the worst moments, or Kafka goes away.

A process is frozen (SIGSTOP) before it is looked at, so that what is seen is what the kill finds. Each kill must
find its position strictly inside the log, or the test fails: a kill before or after everything proves nothing.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka import worlds
from tests.kafka.broker import KafkaUnderTest, OwnKafka
from tests.kafka.replays import replayed
from tests.kafka.runs import (
    Record,
    Run,
    World,
    assert_same,
    committed_messages,
    frozen,
    read_by_a_stranger,
    simulated,
)
from tidings.clock import pause
from tidings.demo.events import write_events
from tidings.demo.purchases import read_purchases
from tidings.services.kafka_files import CHECKOUT

EVENTS = 24_000
PEOPLE = 4_000
PARTITIONS = 4
MARKS = 2 * PARTITIONS
"""Offsets that the marks of the catalogue take in the log: one in each partition, and that of its transaction."""
MOST_RECOVERIES = 6
WORKER, INGEST = "worker-0", "ingest"
PURCHASES = CHECKOUT / ".cache" / "cdnow" / "CDNOW_master.txt"
BUYERS = 2_000
BEHIND_THE_DEMO = "1998-09-01T00:00:00Z"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, list[Record]]:
    folder = tmp_path_factory.mktemp("busy")
    world = worlds.busy(folder / "world", EVENTS)
    return world, simulated(world, folder)


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    runs: list[Run] = []
    yield runs
    for run in runs:
        run.end()


def test_kill_9_at_the_worst_moments_changes_no_record(
    busy: tuple[World, list[Record]], kafka: KafkaUnderTest, prefix: str, tmp_path: Path, runs: list[Run]
) -> None:
    """The ingest killed before the agent has its records, the worker in a transaction and in recovery: the same."""
    world, expected = busy
    run = Run(world, kafka.bootstrap_servers, prefix, tmp_path, "--keep", f"--partitions={PARTITIONS}")
    runs.append(run)
    _kill_between_ingest_and_agent(run)
    first = _kill_in_a_transaction(run)
    _kill_in_recovery(run, first)
    assert run.wait() == 0, run.said()
    assert run.said().count("stopped (SIGKILL)") >= 3
    assert_same(run.records(), expected)
    assert_same(read_by_a_stranger(kafka.bootstrap_servers, prefix), expected)
    _comes_out_again(kafka, prefix, tmp_path, expected)


def test_merges_over_partitions_are_those_of_simulate_though_the_worker_is_killed(
    kafka: KafkaUnderTest, prefix: str, tmp_path: Path, runs: list[Run]
) -> None:
    """Killed in a transaction and in recovery while customers wait for each other: the same, and nobody waits on."""
    world = worlds.merging(tmp_path / "world", PEOPLE)
    expected = simulated(world, tmp_path)
    kinds = Counter((record.get("kind"), record.get("reason")) for record in expected)
    assert kinds["customer_merged", "absorbed"] > PEOPLE / 2
    assert kinds["execution_ended", "merged"] > PEOPLE / 20
    run = Run(world, kafka.bootstrap_servers, prefix, tmp_path, "--keep", f"--partitions={PARTITIONS}")
    runs.append(run)
    run.wait_until(lambda: run.log_of(WORKER).count("restored") == PARTITIONS, "the worker is ready")
    _kill_in_recovery(run, _kill_in_a_transaction(run))
    assert run.wait() == 0, run.said()
    assert run.said().count("stopped (SIGKILL)") >= 2
    assert_same(run.records(), expected)
    assert_same(read_by_a_stranger(kafka.bootstrap_servers, prefix), expected)
    waiting: dict[bytes, bytes | None] = {}
    for message in committed_messages(run.connection, f"{prefix}customers-changelog"):
        if (message.key() or b"").startswith(b"w:"):
            waiting[message.key() or b""] = message.value()
    assert waiting, "somebody waited"
    assert {value for value in waiting.values() if value} == set(), "nobody waits any more"
    _comes_out_again(kafka, prefix, tmp_path, expected)


def test_the_demos_whole_log_comes_out_again_after_kills_and_rebalances(
    kafka: KafkaUnderTest, prefix: str, tmp_path: Path, runs: list[Run]
) -> None:
    """Workers killed in transactions while others take their partitions: as `simulate`, and all of it once more."""
    world = World(definitions=CHECKOUT / "examples" / "shop", events=tmp_path / "events.ndjson", until=BEHIND_THE_DEMO)
    write_events(world.events, read_purchases(PURCHASES, BUYERS), lambda _done, _all: None)
    expected = simulated(world, tmp_path)
    run = Run(world, kafka.bootstrap_servers, prefix, tmp_path, "--keep", f"--partitions={PARTITIONS}", "--workers=2")
    runs.append(run)
    for name in (WORKER, "worker-1", WORKER):
        _kill_in_a_transaction(run, name)
    assert run.wait() == 0, run.said()
    assert run.said().count("stopped (SIGKILL)") == 3
    assert_same(run.records(), expected)
    assert_same(read_by_a_stranger(kafka.bootstrap_servers, prefix), expected)
    _comes_out_again(kafka, prefix, tmp_path, expected)


def test_run_waits_for_a_kafka_that_stops_and_goes_on(
    busy: tuple[World, list[Record]], own_kafka: OwnKafka, prefix: str, tmp_path: Path, runs: list[Run]
) -> None:
    """Kafka stopped in the middle: `run` says so and waits; started again: the same records."""
    world, expected = busy
    run = Run(world, own_kafka.bootstrap_servers, prefix, tmp_path, "--keep", f"--partitions={PARTITIONS}")
    runs.append(run)
    run.wait_until(lambda: run.log_of(WORKER).count("restored") == PARTITIONS, "the worker is ready")

    def stopped() -> bool:
        worker, ingest = run.child(WORKER), run.child(INGEST)
        if worker is None or ingest is None or not _is_inside(run):
            return False
        # Else they would be through with the rest while Kafka takes its leave.
        with frozen(worker), frozen(ingest):
            if not _is_inside(run):
                return False
            own_kafka.stop()
        return True

    run.wait_until(stopped, "Kafka is stopped when some of the log is decided")
    run.wait_until(lambda: "Kafka doesn't answer" in run.said(), "it says that Kafka is away")
    own_kafka.start()
    assert run.wait() == 0, run.said()
    assert "Kafka answers again" in run.said()
    assert_same(run.records(), expected)
    assert_same(read_by_a_stranger(own_kafka.bootstrap_servers, prefix), expected)


def _comes_out_again(kafka: KafkaUnderTest, prefix: str, folder: Path, expected: list[Record]) -> None:
    """Check that a replay of what the kills have left makes all decisions again."""
    done = replayed(kafka.bootstrap_servers, prefix, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("decision", "send"):
        count = sum(record["record"] == kind for record in expected)
        assert f"{count:,} of {count:,} {kind}s" in done.stdout


def _kill_between_ingest_and_agent(run: Run) -> None:
    """Kill the ingest when some public records are in the log, and some of those aren't decided yet."""

    def killed() -> bool:
        ingest, worker = run.child(INGEST), run.child(WORKER)
        if ingest is None or worker is None:
            return False
        # Slices of its time, and frozen before anything is looked at: it needs less than a second for everything.
        pause(0.02)
        with frozen(worker), frozen(ingest):
            if run.logged() <= MARKS:
                return False
            done, all_there = run.ingested()
            decided, logged = run.decided()
            assert done < all_there
            assert logged < MARKS + EVENTS, "the ingest was through too soon to be hit"
            if decided < logged:
                os.kill(ingest, signal.SIGKILL)
                return True
        return False

    run.wait_until(killed, "the ingest is killed inside the public topics")


def _kill_in_a_transaction(run: Run, name: str = WORKER) -> int:
    """Kill a worker while a transaction is open, and return its pid."""
    pids: list[int] = []

    def killed() -> bool:
        worker = run.child(name)
        if worker is None:
            return False
        # Slices of its time: looked at as it runs, a transaction is over before it is frozen.
        pause(0.05)
        with frozen(worker):
            if run.a_transaction_is_open() and _is_inside(run):
                os.kill(worker, signal.SIGKILL)
                pids.append(worker)
        return bool(pids)

    run.wait_until(killed, "the worker is killed in a transaction")
    return pids[0]


def _kill_in_recovery(run: Run, before: int) -> None:
    """Kill the worker's successor after it has fenced a partition, before it has restored all of them."""
    for _ in range(MOST_RECOVERIES):
        before, restored = _kill_after_fencing(run, before)
        if restored < PARTITIONS:
            return
    raise AssertionError(f"{MOST_RECOVERIES} recoveries were over too soon to be hit")


def _kill_after_fencing(run: Run, before: int) -> tuple[int, int]:
    """Kill the next worker once it has fenced; return its pid, and how many partitions it had restored by then."""
    restored, fences = run.log_of(WORKER).count("restored"), run.fences()
    hit: list[tuple[int, int]] = []

    def killed() -> bool:
        worker = run.child(WORKER)
        if worker is None or worker == before:
            return False
        # Slices of its time that are shorter than a recovery.
        pause(0.02)
        with frozen(worker):
            if run.fences() != fences:
                assert _is_inside(run)
                hit.append((worker, run.log_of(WORKER).count("restored") - restored))
                os.kill(worker, signal.SIGKILL)
        return bool(hit)

    run.wait_until(killed, "the worker is killed in recovery")
    return hit[0]


def _is_inside(run: Run) -> bool:
    decided, logged = run.decided()
    return MARKS < decided < logged
