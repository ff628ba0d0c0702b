"""Topics hold records of any year: what Kafka's defaults would delete or refuse stays in ours."""

import hashlib
import threading

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from schemas.instants import LATEST, Millis, parse_instant
from schemas.topics import TopicSpec, topics
from streams.connection import Connection, confluent_settings
from streams.topics import delete_topics, ensure_topics
from tests.kafka.broker import OwnKafka

YEAR_1997 = parse_instant("1997-01-01T00:00:00Z")
YEAR_2040 = parse_instant("2040-01-01T00:00:00Z")
# The last one is the time of the mark that ends a log.
TIMESTAMPS = (YEAR_1997, YEAR_2040, YEAR_1997, LATEST, YEAR_1997)
# Two such records don't fit into the smallest segment that Kafka allows, so each pair rolls one.
SEGMENT_BYTES = 1024 * 1024
VALUE = hashlib.shake_256(b"no compression makes this smaller").digest(600_000)
DEADLINE_S = 60.0


def test_records_of_1997_and_2040_outlive_the_retention_check(own_kafka: OwnKafka, prefix: str) -> None:
    """In every topic made for the log's clock all records stay, while with Kafka's defaults none of them does."""
    connection = Connection(bootstrap_servers=own_kafka.bootstrap_servers)
    ours = [_with_small_segments(spec) for spec in topics(prefix, partitions=2, public_partitions=3, clock="log")]
    controls = [_with_small_segments(TopicSpec(name=f"{prefix}control-{n}", partitions=1)) for n in range(3)]
    ensure_topics(connection, [*ours, *controls])

    for spec in ours:
        assert _publish(connection, spec.name) == [None] * len(TIMESTAMPS)
    # When the third control, published after the second was emptied, is empty, a whole check came after ours.
    for control in controls:
        refusals = _publish(connection, control.name)
        assert refusals == [None, KafkaError.INVALID_TIMESTAMP] * 2 + [None]
        _wait_until_emptied(connection, control.name)

    for spec in ours:
        assert _timestamps(connection, spec.name) == list(TIMESTAMPS), spec.name
    delete_topics(connection, [spec.name for spec in (*ours, *controls)])


def test_topics_of_either_clock_exist_as_they_were_asked_for(own_kafka: OwnKafka, prefix: str) -> None:
    """Kafka takes every setting, tells it back unchanged, and finds no difference the second time."""
    connection = Connection(bootstrap_servers=own_kafka.bootstrap_servers)
    specs = [
        *topics(prefix + "wall.", partitions=1, public_partitions=1, clock="wall"),
        *topics(prefix + "log.", partitions=1, public_partitions=1, clock="log"),
    ]
    ensure_topics(connection, specs)
    ensure_topics(connection, specs)
    delete_topics(connection, [spec.name for spec in specs])


def _with_small_segments(spec: TopicSpec) -> TopicSpec:
    return msgspec.structs.replace(spec, config=spec.config | {"segment.bytes": str(SEGMENT_BYTES)})


def _publish(connection: Connection, topic: str) -> list[int | None]:
    """Publish a record for each timestamp, one batch each, and return the error codes of those refused."""
    producer = Producer(confluent_settings(connection) | {"message.max.bytes": 2_000_000, "log_level": 3})
    codes: list[int | None] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        codes.append(None if error is None else error.code())

    for number, timestamp in enumerate(TIMESTAMPS):
        producer.produce(topic, partition=0, key=str(number), value=VALUE, timestamp=timestamp, on_delivery=delivered)
        assert producer.flush(DEADLINE_S) == 0
    return codes


def _wait_until_emptied(connection: Connection, topic: str) -> None:
    consumer = Consumer(confluent_settings(connection) | {"group.id": "nobody", "log_level": 3})
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.1)):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=DEADLINE_S, cached=False)
        if low == high > 0:
            consumer.close()
            return
        pause.wait(0.1)
    raise AssertionError(f"{topic} still holds records after {DEADLINE_S:.0f} s")


def _timestamps(connection: Connection, topic: str) -> list[Millis]:
    settings = {"group.id": "nobody", "enable.partition.eof": True, "enable.auto.commit": False, "log_level": 3}
    consumer = Consumer(confluent_settings(connection) | settings)
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while (message := consumer.poll(DEADLINE_S)) is not None and message.error() is None:
        found.append(message.timestamp()[1])
    consumer.close()
    return found
