"""A stranger who publishes: nothing but confluent-kafka, a random partitioner, and the two headers that files need."""

from collections.abc import Callable, Iterable

import msgspec
from confluent_kafka import KafkaError, Message, Producer

Headers = list[tuple[str, str | bytes | None]]


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One record to publish: `at` is epoch milliseconds."""

    topic: str
    value: bytes | None
    at: int
    key: bytes | None = None
    headers: Headers = []


def publish(bootstrap: str, records: Iterable[Published]) -> list[tuple[str, int, int]]:
    """Publish the records in order, and return where each is: topic, partition, offset."""
    # A random partitioner changes its mind only when it isn't made to stick to a partition.
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "random",
            "sticky.partitioning.linger.ms": 0,
            "enable.idempotence": True,
            "message.max.bytes": 4 * 1024 * 1024,
            "linger.ms": 5,
            "log_level": 0,
        }
    )
    written: list[tuple[int, tuple[str, int, int]]] = []
    for number, record in enumerate(records):
        producer.produce(
            record.topic,
            value=record.value,
            key=record.key,
            timestamp=record.at,
            headers=record.headers,
            on_delivery=_remember(written, number),
        )
        producer.poll(0)
    assert producer.flush(60) == 0
    return [place for _, place in sorted(written)]


def _remember(
    written: list[tuple[int, tuple[str, int, int]]], number: int
) -> Callable[[KafkaError | None, Message], None]:
    def remember(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        written.append((number, (message.topic() or "", message.partition() or 0, message.offset() or 0)))

    return remember


def publish_ends(bootstrap: str, partitions: dict[str, int], at: int) -> None:
    """Publish an end mark to every partition of these topics."""
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    for topic, count in partitions.items():
        for partition in range(count):
            producer.produce(topic, value=b"", partition=partition, timestamp=at, headers=[("end", b"")])
    assert producer.flush(60) == 0
