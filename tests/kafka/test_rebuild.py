"""`tidings rebuild` after the workers' memory was lost: it is the same again, and they go on as if it had never been."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from agents.customers import POSITION_KEY
from schemas.customer import Head, decode_customer, encode_customer
from streams.connection import Connection
from streams.topics import admin_client, all_folded, delete_topics, end_offsets, members, partition_counts
from tests.kafka import worlds
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.runs import (
    PROGRAM,
    Run,
    assert_same,
    committed_messages,
    environment,
    read_by_a_stranger,
    simulated,
    tidings,
)
from tidings.clock import monotonic_s, pause
from tidings.supervisor import Supervisor

EVENTS = 600
PARTITIONS = 2
WITHIN_S = 600.0
_HEAD = Head(catalogue=0, deadline=None, last_offset=0)


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    runs: list[Run] = []
    yield runs
    for run in runs:
        run.end()


def test_a_lost_memory_is_made_again_from_an_offset_behind_what_was_written(
    kafka: KafkaUnderTest, prefix: str, tmp_path: Path, runs: list[Run]
) -> None:
    """The group was last told half of the log, as at a kill, and the changelog is gone: the same memory, the same sends."""
    world = worlds.busy(tmp_path / "world", EVENTS)
    expected = simulated(world, tmp_path)
    run = Run(world, kafka.bootstrap_servers, prefix, tmp_path, "--keep", f"--partitions={PARTITIONS}")
    runs.append(run)
    assert run.wait(WITHIN_S) == 0, run.said()
    group, changelog, log = f"{prefix}worker", f"{prefix}customers-changelog", f"{prefix}customer-log"
    _wait_for(lambda: members(run.connection, group) == 0)
    env = environment(
        tmp_path, kafka.bootstrap_servers, TIDINGS_TOPIC_PREFIX=prefix, TIDINGS_PARTITIONS=str(PARTITIONS)
    )
    before, ends = _memory(run.connection, changelog), end_offsets(run.connection, log)
    delete_topics(run.connection, [changelog])
    _wait_for(lambda: changelog not in partition_counts(run.connection, [changelog]))
    _tell(run.connection, group, log, {partition: end // 2 for partition, end in ends.items()})
    done = tidings("rebuild", env=env, within_s=WITHIN_S)
    assert done.returncode == 0, done.stderr
    assert f"Rebuilt {PARTITIONS} of {PARTITIONS} partitions; nothing was sent" in done.stdout
    assert "nothing to rebuild" in tidings("rebuild", env=env, within_s=WITHIN_S).stdout
    assert_same(read_by_a_stranger(kafka.bootstrap_servers, prefix), expected)
    with Supervisor(tmp_path / "log") as supervisor:
        argv = [str(PROGRAM), "worker", "--clock", "log", "--folder", str(tmp_path / "again")]
        supervisor.start("worker", argv, environment=env)
        # It may take a while to join, or lose its place for a moment on a busy machine.
        refusal = "end all workers first"
        _wait_for(lambda: refusal in tidings("rebuild", env=env, within_s=WITHIN_S).stderr)
        last = {partition: end - 2 for partition, end in ends.items()}
        _wait_for(lambda: not supervisor.poll() and all_folded(run.connection, group, log, last))
    assert_same(read_by_a_stranger(kafka.bootstrap_servers, prefix), expected)
    assert _memory(run.connection, changelog) == before


def _memory(connection: Connection, changelog: str) -> dict[tuple[int, bytes], bytes]:
    """Return the states of customers that a changelog holds, without what the cut of transactions tells of them."""
    held: dict[tuple[int, bytes], bytes] = {}
    for message in committed_messages(connection, changelog):
        key, value = message.key(), message.value()
        assert isinstance(key, bytes)
        if key == POSITION_KEY or key[:2] not in {b"c:", b"a:"}:
            continue
        if isinstance(value, bytes):
            held[message.partition() or 0, key] = encode_customer(decode_customer(value), _HEAD)
        else:
            held.pop((message.partition() or 0, key), None)
    return held


def _tell(connection: Connection, group: str, log: str, offsets: dict[int, int]) -> None:
    """Let a group without members have committed these offsets."""
    told = [TopicPartition(log, partition, offset) for partition, offset in offsets.items()]
    asked = ConsumerGroupTopicPartitions(group, told)
    [found] = admin_client(connection).alter_consumer_group_offsets([asked]).values()
    found.result()


def _wait_for(seen: Callable[[], bool]) -> None:
    deadline = monotonic_s() + WITHIN_S
    while not seen():
        assert monotonic_s() < deadline
        pause(0.1)
