"""What came out of a lap: every committed message, as the reference names it, doubled ones twice."""

from collections import Counter

import msgspec
from confluent_kafka import Message

from bench.reference import Start
from schemas.log import SEQUENCE, unpack_number
from schemas.topics import DECISIONS, EMAIL_SENDS
from streams.connection import Connection
from streams.reading import read_to_end


class Sent(msgspec.Struct):
    """The part of a message that tells it from others."""

    customer_id: str
    workflow_id: str


_decode = msgspec.json.Decoder(Sent).decode


def sent(connection: Connection, prefix: str) -> Counter[Start]:
    """Read the committed messages of a lap."""
    return Counter(_start(message) for message in read_to_end(connection, [prefix + EMAIL_SENDS]))


def count_decisions(connection: Connection, prefix: str) -> int:
    """Count the committed decisions of a lap."""
    return sum(1 for _ in read_to_end(connection, [prefix + DECISIONS]))


def _start(message: Message) -> Start:
    found, (_, at) = _decode(message.value() or b""), message.timestamp()
    line = dict(message.headers() or ()).get(SEQUENCE)
    return Start(found.customer_id, found.workflow_id, at, unpack_number(line) if isinstance(line, bytes) else None)
