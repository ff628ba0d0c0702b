"""Reads what came out: the outbound topics up to their ends, committed records only, in the order of `simulate`."""

from collections.abc import Callable, Iterator
from typing import Final

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from schemas.errors import TidingsError
from schemas.log import POSITION, SEQUENCE, Headers, header, unpack_number, unpack_place
from schemas.topics import DEAD_LETTERS, DECISIONS, SEND_TOPICS
from streams.connection import Connection, confluent_settings
from streams.topics import end_offsets
from tidings.clock import monotonic_s
from tidings.records import dead_letter_record, decision_record, send_record
from tidings.tally import Tally

_PATIENCE_S: Final = 30.0
_POLL_MESSAGES: Final = 5_000
_POLL_S: Final = 0.1

Order = tuple[int, bool, int, bytes, int]
"""When it was decided; timers before events; the event's line; a timer's customer; the place in the decision."""


def collect(
    connection: Connection, prefix: str, tally: Tally, progress: Callable[[int, int], object] = lambda _done, _all: None
) -> Iterator[bytes]:
    """Yield the records of a finished run in order, and count them.

    `progress` is called with how many offsets are read, of how many; markers of transactions count as well.

    Raises:
        TidingsError: Kafka can't be read.
    """
    found: dict[Order, bytes] = {}
    dead_letters, decisions = prefix + DEAD_LETTERS, prefix + DECISIONS
    topics = [prefix + name for name in SEND_TOPICS] + [decisions, dead_letters]
    for message in _read(connection, topics, progress):
        name, value, order = message.topic(), message.value() or b"", _order(message)
        if name == decisions:
            found[order] = decision_record(value)
        elif name != dead_letters:
            found[order] = send_record(value)
        else:
            # The ingest repeats itself after a crash; a line has one dead letter.
            headers = _headers(message)
            error_class, reason = header(headers, "error_class") or b"", header(headers, "reason") or b""
            found[order] = dead_letter_record(order[2], error_class.decode(), reason.decode())
    for order in sorted(found):
        record = found[order]
        tally.sends += record.startswith(b'{"record":"send"')
        tally.decisions += record.startswith(b'{"record":"decision"')
        yield record


def _order(message: KafkaMessage) -> Order:
    headers = dict(message.headers() or ())
    sequence, place = headers.get(SEQUENCE), headers.get(POSITION)
    at = message.timestamp()[1]
    position = unpack_place(place) if isinstance(place, bytes) else 0
    if isinstance(sequence, bytes):
        return at, True, unpack_number(sequence), b"", position
    return at, False, 0, _log_key(message.key() or b""), position


def _headers(message: KafkaMessage) -> Headers:
    found = message.headers() or []
    pairs = found.items() if isinstance(found, dict) else found
    return [(name, value) for name, value in pairs if isinstance(value, bytes)]


def _log_key(key: bytes) -> bytes:
    """Return the key that the customer has in the log, by which timers of one instant are ordered."""
    return key if key.startswith(b"a:") else b"c:" + key


def _read(connection: Connection, topics: list[str], progress: Callable[[int, int], object]) -> Iterator[KafkaMessage]:
    """Yield every record that is in the topics now, partition by partition as it comes."""
    remaining = {
        (topic, partition): end
        for topic in topics
        for partition, end in end_offsets(connection, topic).items()
        if end > 0
    }
    total, read = sum(remaining.values()), 0
    consumer = Consumer(
        confluent_settings(connection)
        | {
            "group.id": "unused",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in remaining])
        heard_at = monotonic_s()
        while remaining:
            messages = consumer.consume(_POLL_MESSAGES, _POLL_S)
            heard_at = monotonic_s() if messages else heard_at
            if monotonic_s() - heard_at > _PATIENCE_S:
                msg = "the records can't be read back: Kafka doesn't answer"
                raise TidingsError(msg)
            read += len(messages)
            progress(min(read, total), total)
            for message in messages:
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- its public name
                    remaining.pop((message.topic() or "", message.partition() or 0), None)
                elif error.fatal():
                    msg = f"the records can't be read back: {error.str()}"
                    raise TidingsError(msg)
        progress(total, total)
    finally:
        consumer.close()
