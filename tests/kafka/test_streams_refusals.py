"""What the worker refuses, and what it never leaves half done."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import TopicSpec
from streams.changelog import OWNER
from streams.clients import KafkaClients
from streams.fold import Output
from streams.hard_stop import REFUSED
from streams.takeover import give_up, take_over
from streams.topics import TopicsDiffer, delete_topics, end_offsets, ensure_topics, partition_counts
from streams.transactions import Lane
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.cutting import cut
from tests.kafka.streams_world import World
from tidings.clock import wall_ms


@pytest.fixture
def world(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[World]:
    world = World(kafka.bootstrap_servers, prefix, tmp_path, partitions=2)
    yield world
    world.end_workers()


def _remake_changelog(world: World, partitions: int) -> None:
    name = f"{world.prefix}changelog"
    delete_topics(world.connection, [name])
    world.wait_until(lambda: name not in partition_counts(world.connection, [name]), "the changelog is gone")
    ensure_topics(world.connection, [TopicSpec(name=name, partitions=partitions)])


def test_a_lost_changelog_is_refused(world: World) -> None:
    """No position in the changelog, but a committed offset: the worker refuses and names `tidings rebuild`."""
    world.publish(100)
    worker = world.start_worker()
    world.wait_until(world.all_is_folded, "all is folded")
    assert world.terminate(worker) == 0
    _remake_changelog(world, 2)
    again = world.start_worker()
    assert again.wait(60) == REFUSED
    assert "tidings rebuild" in world.log_of(again)
    world.assert_exact()


def test_a_log_that_does_not_begin_at_0_is_refused(world: World) -> None:
    """No position, and the beginning of the log is gone: the worker refuses and names `tidings rebuild`."""
    world.publish(100)
    cut(world.connection, f"{world.prefix}log", 0, before=10)
    worker = world.start_worker()
    assert worker.wait(60) == REFUSED
    assert "tidings rebuild" in world.log_of(worker)


def test_a_changelog_with_another_number_of_partitions_is_refused(world: World) -> None:
    """The changelog must have as many partitions as the log; the worker says both numbers."""
    _remake_changelog(world, 3)
    worker = world.start_worker()
    assert worker.wait(60) == REFUSED
    assert "has 2 partitions" in world.log_of(worker)


def test_a_missing_topic_is_refused(world: World) -> None:
    """A worker whose log doesn't exist says so, and creates nothing."""
    delete_topics(world.connection, [f"{world.prefix}log"])
    worker = world.start_worker()
    assert worker.wait(60) == REFUSED
    assert f"no such topic: {world.prefix}log" in world.log_of(worker)


def _transactions(world: World, name: str) -> Lane:
    prefix = world.prefix
    return Lane(
        KafkaClients(world.connection), app_id=f"{prefix}app", name=prefix + name, changelog_topic=f"{prefix}changelog"
    )


def test_a_transaction_with_a_record_that_is_too_large_leaves_nothing(world: World) -> None:
    """When one batch is refused, `commit` raises for all who are in it, and no committed reader sees anything."""
    prefix = world.prefix

    async def attempt() -> None:
        transactions = _transactions(world, "one")
        await transactions.start()
        small = Output(topic=f"{prefix}outputs", key=b"k", value=b"small", timestamp=wall_ms())
        too_large = [(b"c:1", b"x" * 50_000_000)]
        try:
            one, other = (
                transactions.commit(TopicPartition(f"{prefix}log", n), [small], changes, now=wall_ms(), offset=None)
                for n, changes in enumerate(([], too_large))
            )
            failed = await asyncio.gather(one, other, return_exceptions=True)
            assert all(isinstance(error, KafkaError | TimeoutError) for error in failed), failed
            with pytest.raises((KafkaError, TimeoutError)):
                await transactions.commit(TopicPartition(f"{prefix}log", 0), [small], (), now=wall_ms(), offset=None)
        finally:
            await transactions.stop()

    asyncio.run(attempt())
    assert end_offsets(world.connection, f"{prefix}outputs")[0] == 0


class _Memory:
    """What a reader of a changelog gives back."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes | None] = {}

    def restore(self, changes: Sequence[tuple[bytes, bytes | None]]) -> None:
        self.values.update(changes)


async def _take_over(world: World, transactions: Lane) -> dict[bytes, bytes | None]:
    memory = _Memory()
    await take_over(
        TopicPartition(f"{world.prefix}log", 0),
        TopicPartition(f"{world.prefix}changelog", 0),
        fold=memory,
        clients=KafkaClients(world.connection),
        transactions=transactions,
        clock=wall_ms,
    )
    return memory.values


def test_who_takes_a_partition_over_fences_whoever_has_it(world: World) -> None:
    """Also where his name isn't the last one: nothing he wants to write afterwards is taken, and what he had is read."""
    source = TopicPartition(f"{world.prefix}log", 0)

    async def contend() -> None:
        first, second, third = (_transactions(world, name) for name in ("first", "second", "third"))
        for transactions in (first, second, third):
            await transactions.start()
        await _take_over(world, first)
        await first.commit(source, (), [(b"c:1", b"1")], now=wall_ms(), offset=None)
        # The second dies between writing its name and fencing the first, who goes on.
        await second.commit(source, (), [(OWNER + second.name.encode(), b"1")], now=wall_ms(), offset=None)
        await first.commit(source, (), [(b"c:1", b"2")], now=wall_ms(), offset=None)
        assert await _take_over(world, third) == {b"c:1": b"2"}
        for fenced in (first, second):
            with pytest.raises(KafkaError):
                await fenced.commit(source, (), [(b"c:1", b"3")], now=wall_ms(), offset=None)
        await third.commit(source, (), [(b"c:1", b"4")], now=wall_ms(), offset=None)
        for transactions in (first, second, third):
            with suppress(KafkaError):
                await transactions.stop()

    asyncio.run(contend())


def test_who_gives_a_partition_up_goes_on_with_his_others(world: World) -> None:
    """He isn't fenced by whoever takes it over next."""

    async def hand_over() -> None:
        first, second = _transactions(world, "first"), _transactions(world, "second")
        await first.start()
        await second.start()
        await _take_over(world, first)
        await give_up(TopicPartition(f"{world.prefix}log", 0), transactions=first, now=wall_ms())
        await _take_over(world, second)
        for number, transactions in ((1, first), (0, second)):
            source = TopicPartition(f"{world.prefix}log", number)
            await transactions.commit(source, (), [(b"c:1", b"1")], now=wall_ms(), offset=None)
        await first.stop()
        await second.stop()

    asyncio.run(hand_over())


def test_topics_that_differ_are_named_with_what_to_do(world: World) -> None:
    """Another partition count and another setting are each an error that says found, wanted and a way out."""
    name = f"{world.prefix}log"
    with pytest.raises(TopicsDiffer) as raised:
        ensure_topics(world.connection, [TopicSpec(name=name, partitions=5, config={"retention.ms": "7"})])
    count, setting = sorted(raised.value.differences)
    assert "has 2 partitions, needs 5" in count
    assert "another prefix" in count
    assert "retention.ms is 604800000, needs 7" in setting
    assert "kafka-configs.sh" in setting


def test_topics_that_exist_as_wanted_are_left_alone(world: World) -> None:
    """Asking again for what exists changes nothing and raises nothing."""
    world.publish(10)
    ensure_topics(world.connection, [TopicSpec(name=f"{world.prefix}log", partitions=2)])
    assert sum(world.ends().values()) == 10
