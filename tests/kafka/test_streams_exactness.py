"""The fold worker makes each output once, whatever happens to it.

Outputs are read with confluent-kafka, committed records only. Each kill must find the position strictly inside
the log, or the test proves nothing.
"""

import random  # noqa: TID251 -- seeded: when to kill
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.hard_stop import STOPPED_HARD
from tests.kafka.broker import KafkaUnderTest, OwnKafka
from tests.kafka.streams_world import World
from tidings.clock import monotonic_s, pause

RECORDS = 60_000
PER_S = 8_000
SLOW_S = 0.02


@pytest.fixture
def world(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[World]:
    world = World(kafka.bootstrap_servers, prefix, tmp_path)
    yield world
    world.end_workers()


def _advanced(world: World, *, by: int) -> Callable[[], bool]:
    before = world.written()
    return lambda: world.written() >= before + by


def test_all_is_folded_once_and_the_worker_stops_cleanly(world: World) -> None:
    """Without any trouble each record gives one output, and SIGTERM ends the worker with 0."""
    world.publish(RECORDS)
    worker = world.start_worker()
    world.wait_until(world.all_is_folded, "all is folded")
    assert world.terminate(worker) == 0
    world.assert_exact()


def test_kill_9_loses_and_doubles_nothing(world: World) -> None:
    """Five kills at random moments, one of them at least while a transaction is open: 0 lost, 0 doubled."""
    chance = random.Random(3)  # noqa: S311 -- not a secret
    kills = kills_in_a_transaction = 0
    with world.publishing(PER_S):
        while kills < 5 or not kills_in_a_transaction:
            assert kills < 25, "no kill found a transaction open"
            worker = world.start_worker(slow_s=SLOW_S)
            world.wait_until(_advanced(world, by=1), "the worker advances")
            pause(chance.uniform(0.0, 0.5))
            kills_in_a_transaction += _frozen_in_a_transaction(world, worker)
            worker.kill()
            worker.wait()
            kills += 1
            assert world.is_inside(), "the kill found nothing under way"
    worker = world.start_worker()
    world.wait_until(world.all_is_folded, "all is folded")
    assert world.terminate(worker) == 0
    world.assert_exact()


def _frozen_in_a_transaction(world: World, worker: subprocess.Popen[bytes]) -> bool:
    """Freeze the worker, again and again, until it has a transaction open or a few seconds have passed."""
    for _ in range(50):
        worker.send_signal(signal.SIGSTOP)
        if world.an_output_is_open():
            return True
        worker.send_signal(signal.SIGCONT)
        pause(0.02)
    return False


def test_rebalances_lose_and_double_nothing(world: World) -> None:
    """Workers that join, leave and are killed while the log is folded: 0 lost, 0 doubled."""
    with world.publishing(PER_S):
        first = world.start_worker(slow_s=SLOW_S)
        world.wait_until(_advanced(world, by=1), "the first worker advances")
        second = world.start_worker(slow_s=SLOW_S)
        world.wait_until(lambda: "restored" in world.log_of(second), "the second worker gets partitions")
        world.wait_until(_advanced(world, by=1_000), "both advance")
        assert world.terminate(first) == 0
        third = world.start_worker(slow_s=SLOW_S)
        world.wait_until(lambda: "restored" in world.log_of(third), "the third worker gets partitions")
        assert world.is_inside(), "the kill found nothing under way"
        second.kill()
        second.wait()
        world.wait_until(_advanced(world, by=1_000), "the third advances")
    world.wait_until(world.all_is_folded, "all is folded")
    assert world.terminate(third) == 0
    world.assert_exact()


def test_a_worker_frozen_beyond_its_session_is_fenced(world: World) -> None:
    """A worker that sleeps while another takes its partitions writes nothing when it wakes."""
    with world.publishing(PER_S):
        frozen = world.start_worker(slow_s=SLOW_S)
        world.wait_until(_advanced(world, by=1), "the worker advances")
        frozen.send_signal(signal.SIGSTOP)
        successor = world.start_worker(slow_s=SLOW_S)
        world.wait_until(lambda: world.log_of(successor).count("restored") == world.partitions, "it takes over")
        world.wait_until(_advanced(world, by=1), "the successor advances")
        assert world.is_inside(), "the waking found nothing under way"
        frozen.send_signal(signal.SIGCONT)
        assert frozen.wait(60) == STOPPED_HARD
    world.wait_until(world.all_is_folded, "all is folded")
    assert world.terminate(successor) == 0
    world.assert_exact()


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_broker_that_goes_and_comes_costs_nothing(
    own_kafka: OwnKafka, prefix: str, tmp_path: Path, *, kill: bool
) -> None:
    """A broker restart in the middle: the worker goes on or is started again, 0 lost, 0 doubled."""
    world = World(own_kafka.bootstrap_servers, prefix, tmp_path)
    try:
        with world.publishing(PER_S):
            worker = world.start_worker(slow_s=SLOW_S)
            world.wait_until(_advanced(world, by=1), "the worker advances")
            world.wait_until(world.is_inside, "some but not all is folded")
            went_at = monotonic_s()
            own_kafka.kill() if kill else own_kafka.stop()
            pause(2.0)
            own_kafka.start()
            away_s = monotonic_s() - went_at
        while not world.all_is_folded():
            if worker.poll() is not None:
                assert worker.returncode == STOPPED_HARD
                worker = world.start_worker()
            pause(0.2)
        assert world.terminate(worker) == 0
        # However long a loaded machine takes to start a broker: some lines for each of its seconds, and no flood.
        assert sum(world.log_of(each).count("\n") for each in world.workers) < 150 + 40 * away_s
        world.assert_exact()
    finally:
        world.end_workers()
