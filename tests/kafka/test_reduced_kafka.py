"""What the simulation's reduced Kafka does is what Kafka does: the same operations, and the same seen of both."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import TopicSpec
from streams.clients import Clients, KafkaClients
from streams.connection import Connection
from streams.record_batch import RecordBatch
from streams.topics import ensure_topics
from tests.kafka.broker import KafkaUnderTest
from tests.simulation.reduced_kafka import Broker
from tests.simulation.simulated_clients import Odds, Process, Shore, SimulatedClients
from tests.simulation.virtual_time import VirtualLoop

Seen = list[object]
POLLS = 120
"""Of half a second each, where nothing comes."""
PATIENT_MS = 600_000
"""No transaction expires here unless a script waits for it, however slow the machine."""
KEPT = {"retention.ms": "-1"}
"""The records are of 1970: with Kafka's seven days they are deleted while a script still looks at them."""
Script = Callable[[Clients, str], Awaitable[Seen]]


async def _send(producer: Any, topic: str, *keys: bytes) -> int:
    batch = RecordBatch(producer.create_batch())
    for key in keys:
        batch.add((key, b"v", 1, []))
    return int((await (await producer.send_batch(batch.closed(), topic, partition=0))).offset)


async def _producer(clients: Clients, name: str | None) -> Any:
    settings: dict[str, Any] = {} if name is None else {"transactional_id": name, "transaction_timeout_ms": PATIENT_MS}
    producer = clients.producer(acks="all", linger_ms=0, **settings)
    await producer.start()
    return producer


async def _read(clients: Clients, topic: str, isolation: str, until: bytes) -> Seen:
    """Return offsets and keys, waiting for a key and looking once more whether anything stands behind it."""
    consumer = clients.consumer(isolation_level=isolation, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        place = TopicPartition(topic, 0)
        seen: list[tuple[int, bytes]] = []
        consumer.assign([place])
        for _ in range(POLLS):
            reached = any(key == until for _, key in seen)
            taken = await consumer.getmany(place, timeout_ms=500, max_records=100)
            seen += [(record.offset, record.key) for record in taken.get(place, ())]
            if reached:
                break
        return [*seen, (await consumer.end_offsets([place]))[place]]
    finally:
        await consumer.stop()


async def _committed_and_aborted(clients: Clients, topic: str) -> Seen:
    producer = await _producer(clients, f"{topic}-owner")
    for keys, commits in (((b"a", b"b"), True), ((b"c",), False), ((b"d",), True)):
        await producer.begin_transaction()
        await _send(producer, topic, *keys)
        await (producer.commit_transaction() if commits else producer.abort_transaction())
    await producer.stop()
    committed = await _read(clients, topic, "read_committed", b"d")
    return [committed, await _read(clients, topic, "read_uncommitted", b"d")]


async def _open_transaction(clients: Clients, topic: str) -> Seen:
    owner, plain = await _producer(clients, f"{topic}-owner"), await _producer(clients, None)
    await _send(plain, topic, b"before")
    await owner.begin_transaction()
    await _send(owner, topic, b"open")
    await _send(plain, topic, b"behind")
    hidden = await _read(clients, topic, "read_committed", b"before")
    raw = await _read(clients, topic, "read_uncommitted", b"behind")
    await owner.commit_transaction()
    shown = await _read(clients, topic, "read_committed", b"behind")
    await owner.stop()
    await plain.stop()
    return [hidden, raw, shown]


async def _fenced(clients: Clients, topic: str) -> Seen:
    old = await _producer(clients, f"{topic}-owner")
    await old.begin_transaction()
    await _send(old, topic, b"old")
    new = await _producer(clients, f"{topic}-owner")
    with pytest.raises(KafkaError) as refused:
        await old.commit_transaction()
    with suppress(KafkaError):
        await old.stop()
    await new.begin_transaction()
    offset = await _send(new, topic, b"new")
    await new.commit_transaction()
    await new.stop()
    return [type(refused.value).__name__, offset, await _read(clients, topic, "read_committed", b"new")]


SCRIPTS: tuple[Script, ...] = (_committed_and_aborted, _open_transaction, _fenced)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_same_operations_are_seen_alike(script: Script, kafka: KafkaUnderTest, prefix: str) -> None:
    connection, topic = Connection(bootstrap_servers=kafka.bootstrap_servers), f"{prefix}contract"
    ensure_topics(connection, [TopicSpec(name=topic, partitions=1, config=KEPT)])

    async def really() -> Seen:
        return await script(KafkaClients(connection), topic)

    async def reduced() -> Seen:
        odds = Odds(0)
        odds.left = 0
        process = Process("contract", odds, lambda *_: None)
        return await script(SimulatedClients(process, Shore(Broker({topic: 1}), odds)), topic)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        expected = runner.run(reduced())
    assert asyncio.run(really()) == expected
