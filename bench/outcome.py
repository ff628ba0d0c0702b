"""What came out of a lap: every committed message, as the reference names it, doubled ones twice."""

from collections import Counter
from collections.abc import Iterator

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from bench.log import PARTITIONS, partitions_of
from bench.reference import Start
from schemas.log import SEQUENCE, unpack_number
from schemas.topics import DECISIONS, EMAIL_SENDS
from streams.connection import Connection, confluent_settings


class Sent(msgspec.Struct):
    """The part of a message that tells it from others."""

    customer_id: str
    workflow_id: str


_decode = msgspec.json.Decoder(Sent).decode


def sent(connection: Connection, prefix: str) -> Counter[Start]:
    """Read the committed messages of a lap."""
    return Counter(_start(message) for message in _committed(connection, prefix + EMAIL_SENDS))


def count_decisions(connection: Connection, prefix: str) -> int:
    """Count the committed decisions of a lap."""
    return sum(1 for _ in _committed(connection, prefix + DECISIONS))


def _start(message: Message) -> Start:
    found, (_, at) = _decode(message.value() or b""), message.timestamp()
    line = dict(message.headers() or ()).get(SEQUENCE)
    return Start(found.customer_id, found.workflow_id, at, unpack_number(line) if isinstance(line, bytes) else None)


def _committed(connection: Connection, topic: str) -> Iterator[Message]:
    consumer = Consumer(
        confluent_settings(connection)
        | {
            "group.id": "unused",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.assign(partitions_of(topic))
    unfinished = PARTITIONS
    try:
        while unfinished:
            messages = consumer.consume(10_000, 20.0)
            if not messages:
                raise TimeoutError(f"{topic} can't be read to its end")
            for message in messages:
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- its public name
                    unfinished -= 1
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()
