"""Each thing of Faust, mode and aiokafka that we stand in for, or lean on from the inside, is as we read it.

A new version that changes one of these fails here: read the change, decide whether our part is still needed
and still honoured (docs/decisions/0002-what-is-left-of-faust.md says why each exists), then write the new hash.
The behaviours themselves are tested against a real broker in `tests/kafka/test_streams_*.py`.
"""

import asyncio
import hashlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import aiokafka.producer.sender
import faust
import faust.transport.consumer
import faust.transport.drivers.aiokafka
import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator
from faust.app.base import App, BootStrategy
from faust.serializers.schemas import Schema
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

import streams.transactions
from streams.app import consumer_of, make_app
from streams.batches import Batch, BatchSchema
from streams.connection import Connection
from streams.draining import BatchConsumer
from streams.fetching import BatchThread
from streams.meters import Place
from streams.record_batch import RecordBatch
from streams.tables import NoTables

THREAD = faust.transport.drivers.aiokafka.AIOKafkaConsumerThread
CONSUMER = faust.transport.consumer.Consumer

READ: dict[str, tuple[Callable[..., Any], str]] = {
    "Schema.compile": (Schema.compile, "d46eec5ce3195b2c"),
    "AIOKafkaConsumerThread._create_worker_consumer": (THREAD._create_worker_consumer, "c2701bfc3e6f6cad"),
    "AIOKafkaConsumerThread._fetch_records": (THREAD._fetch_records, "39a2c6c79fc1455a"),
    "AIOKafkaConsumerThread.__post_init__": (THREAD.__post_init__, "913dc7c0d9578e2d"),
    "Consumer._drain_messages": (CONSUMER._drain_messages, "44a2500309e83c63"),
    "Consumer.perform_seek": (CONSUMER.perform_seek, "0e8c130ff4b0afd8"),
    "Consumer.on_partitions_revoked": (CONSUMER.on_partitions_revoked, "d04b7ae72c6fc206"),
    "Consumer.on_partitions_assigned": (CONSUMER.on_partitions_assigned, "29ce96596f05a18c"),
    "aiokafka driver: Consumer._new_consumer_thread": (
        faust.transport.drivers.aiokafka.Consumer._new_consumer_thread,
        "0870ec53dea75083",
    ),
    "ConsumerRebalanceListener": (faust.transport.drivers.aiokafka.ConsumerRebalanceListener, "f3d04f29dfb3f716"),
    "TableManager.on_start": (TableManager.on_start, "365dd25fbc0e0684"),
    "Recovery._resume_streams": (Recovery._resume_streams, "d986a6710c1aca98"),
    "App._on_partitions_revoked": (App._on_partitions_revoked, "d5c895bbe57dc73a"),
    "App._on_partitions_assigned": (App._on_partitions_assigned, "de932b7927db85b3"),
    "App._stop_consumer": (App._stop_consumer, "55854a5de12c3f52"),
    "Fetcher.fetched_records": (Fetcher.fetched_records, "be4348896b9b66af"),
    "Fetcher.seek_to": (Fetcher.seek_to, "f0ba6aba6c22ef83"),
    "Fetcher._get_actions_per_node": (Fetcher._get_actions_per_node, "1dab2cf937d165d0"),
    "FetchResult": (FetchResult, "d7db13f06de8248c"),
    "PartitionRecords": (PartitionRecords, "94aa0da0dbec8d1b"),
    "BatchBuilder": (BatchBuilder, "8050802ca7514186"),
    "MessageAccumulator.flush_for_commit": (MessageAccumulator.flush_for_commit, "39683730fcffc2a4"),
    "MessageAccumulator.add_batch": (MessageAccumulator.add_batch, "5ed1c5b1367ad854"),
    "AddPartitionsToTxnHandler": (aiokafka.producer.sender.AddPartitionsToTxnHandler, "112129b2ac04fe8e"),
}
"""What is stood in for or leaned on, and the beginning of its source's SHA-256."""


@pytest.mark.parametrize("name", READ)
def test_what_we_stand_in_for_is_as_we_read_it(name: str) -> None:
    """The source of each is the one our part was written against."""
    source, expected = READ[name]
    found = hashlib.sha256(inspect.getsource(source).encode()).hexdigest()[:16]
    assert found == expected, f"{name} has changed: see the docstring of this file"


class _Desk:
    async def assigned(self, consumer: BatchConsumer, partitions: frozenset[Any]) -> None:
        raise NotImplementedError

    async def revoked(self) -> None:
        raise NotImplementedError

    def deliver(self, batch: Batch) -> None:
        raise NotImplementedError

    def stuck_for_s(self) -> float:
        return 0.0

    def places(self) -> dict[TP, Place]:
        raise NotImplementedError

    def recovering(self) -> int | None:
        raise NotImplementedError


@contextmanager
def _app(folder: Path) -> Iterator[faust.App]:
    connection = Connection(bootstrap_servers="127.0.0.1:1")
    app = make_app(app_id="app", connection=connection, topics=["log"], desk=_Desk(), datadir=folder)
    try:
        yield app
    finally:
        consumer_of(app).thread.thread_loop.close()


def test_the_app_takes_our_parts(tmp_path: Path) -> None:
    """Consumer, thread, tables and schema of the app that Faust builds are the ones we put in."""

    async def look() -> None:
        with _app(tmp_path) as app:
            consumer = consumer_of(app)
            assert isinstance(consumer.thread, BatchThread)
            assert isinstance(app.tables, NoTables)
            assert not BootStrategy._should_enable_kafka_producer(cast("BootStrategy", app.boot_strategy))
            await consumer.perform_seek()

    asyncio.run(look())


def test_a_batch_passes_the_schema_as_it_is(tmp_path: Path) -> None:
    """What an agent gets is the very batch that the drain made a message of, undecoded."""

    async def pass_through() -> None:
        with _app(tmp_path) as app:
            batch = Batch(tp=TP("log", 0), generation=1, start=3, next_offset=9, records=())
            message = consumer_of(app)._as_message(batch)
            event = await app.topic("log", schema=BatchSchema()).decode(message, propagate=True)
            assert event.value is batch
            assert message.offset == 8

    asyncio.run(pass_through())


def test_nothing_is_acknowledged_to_faust(tmp_path: Path) -> None:
    """The topic of the agent takes no acknowledgements, so that Faust commits nothing itself."""

    async def look() -> None:
        with _app(tmp_path) as app:
            [agent] = app.agents.values()
            assert not agent.channel.acks

    asyncio.run(look())


def test_the_backoff_between_transactions_is_ours() -> None:
    """The sleep after CONCURRENT_TRANSACTIONS is read from the module at the time, where we have set it."""
    assert streams.transactions.BACKOFF_S == aiokafka.producer.sender.BACKOFF_OVERRIDE == 0.002
    handler = aiokafka.producer.sender.AddPartitionsToTxnHandler
    assert "BACKOFF_OVERRIDE" in handler.handle_response.__code__.co_names


def test_a_batch_filled_directly_is_the_batch_that_append_makes() -> None:
    """The bytes of a record batch are the same, whether filled through aiokafka's layer or below it."""

    def builder() -> BatchBuilder:
        return BatchBuilder(10_000, 0, is_transactional=True)

    ours, theirs = RecordBatch(builder()), builder()
    for number in range(50):
        key, value, headers = b"k%d" % number, b"v" * number, [("h", b"%d" % number)]
        assert ours.add((key, value, 1_000 + number, headers))
        assert theirs.append(key=key, value=value, timestamp=1_000 + number, headers=headers)
    closed = ours.closed()
    assert closed.record_count() == theirs.record_count() == 50
    assert bytes(closed._build()) == bytes(theirs._build())


def test_a_full_batch_refuses_and_an_empty_one_takes_anything() -> None:
    """The first record always fits; one beyond the size doesn't, and leaves the batch as it was."""
    batch = RecordBatch(BatchBuilder(200, 0, is_transactional=True))
    assert batch.add((b"k", b"x" * 5_000, 1, []))
    assert not batch.add((b"k", b"x", 1, []))
    assert batch.closed().record_count() == 1
