"""Time comes by in a log to which nobody writes any more, once, whoever owns its partitions meanwhile."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.kafka.broker import KafkaUnderTest
from tests.kafka.streams_world import KEYS, World

LATEST_MS = 30_000


@pytest.fixture
def world(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[World]:
    world = World(kafka.bootstrap_servers, prefix, tmp_path)
    yield world
    world.end_workers()


def woken(world: World) -> list[bytes]:
    return sorted(key for key, _ in chain.from_iterable(world.outputs().values()))


@pytest.mark.parametrize("ends", ["stopped", "killed"])
def test_who_waits_is_woken_once_by_whoever_owns_her_partition_then(world: World, ends: str) -> None:
    """The first worker ends while keys wait; nobody writes anything behind that, and the second wakes them."""
    world.publish(KEYS)
    first = world.start_worker(toy="streams_toy_waking.py")
    world.wait_until(world.all_is_folded, "all is folded")
    if ends == "stopped":
        assert world.terminate(first) == 0
    else:
        first.kill()
        first.wait()
    second = world.start_worker(toy="streams_toy_waking.py")
    world.wait_until(lambda: len(woken(world)) >= KEYS, "everybody is woken")
    assert world.terminate(second) == 0
    outputs = list(chain.from_iterable(world.outputs().values()))
    assert woken(world) == sorted(b"c:%d" % number for number in range(KEYS))
    assert all(0 <= found.number <= LATEST_MS for _, found in outputs)
