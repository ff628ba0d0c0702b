"""Reads what came out: the outbound topics up to their ends, committed records only, in the order of `simulate`."""

import struct
from collections.abc import Callable, Iterator
from typing import Final, cast

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from schemas.errors import TidingsError
from schemas.log import PLACE_BYTES, POSITION, SEQUENCE, Headers, header, pack_number, pack_place, unpack_number
from schemas.topics import DEAD_LETTERS, DECISIONS, SEND_TOPICS
from streams.connection import Connection, confluent_settings
from streams.topics import end_offsets
from tidings.clock import monotonic_s
from tidings.records import dead_letter_record, decision_record, send_record
from tidings.tally import Tally

_PATIENCE_S: Final = 30.0
_POLL_MESSAGES: Final = 5_000
_POLL_S: Final = 0.1

_ORDER: Final = struct.Struct(">QB8s")
_SHIFT: Final = 2**63
"""Added to instants, so that those before 1970 sort first."""
_KEY_END: Final = 0
"""Ends the customer's key; no id holds this byte."""
NO_SEQUENCE: Final = pack_number(0)
NO_PLACE: Final = pack_place(0)


def collect(
    connection: Connection, prefix: str, tally: Tally, progress: Callable[[int, int], object] = lambda _done, _all: None
) -> Iterator[bytes]:
    """Yield the records of a finished run in order, and count them.

    `progress` is called with how many offsets are read, of how many; markers of transactions count as well.

    Raises:
        TidingsError: Kafka can't be read.
    """
    entries: list[bytes] = []
    dead_lines: set[bytes] = set()
    dead_letters, decisions = prefix + DEAD_LETTERS, prefix + DECISIONS
    topics = [prefix + name for name in SEND_TOPICS] + [decisions, dead_letters]
    for message in _read(connection, topics, progress):
        name, value, order = message.topic(), message.value() or b"", _order(message)
        if name == decisions:
            entries.append(order + decision_record(value))
        elif name != dead_letters:
            entries.append(order + send_record(value))
        elif order not in dead_lines:
            # The ingest repeats itself after a crash; a line has one dead letter.
            dead_lines.add(order)
            entries.append(order + _dead_letter(_headers(message)))
    entries.sort()
    for entry in entries:
        record = entry[entry.index(_KEY_END, _ORDER.size) + 1 + PLACE_BYTES :]
        tally.sends += record.startswith(b'{"record":"send"')
        tally.decisions += record.startswith(b'{"record":"decision"')
        yield record


def _order(message: KafkaMessage) -> bytes:
    """Return bytes that sort as records do: by time, timers before events, line or customer, place in the decision.

    A record is sorted with them before it, as one value: hundreds of thousands of tuples would take the garbage
    collector longer to look through than Kafka takes to bring the records.
    """
    headers = _headers(message)
    sequence, place = header(headers, SEQUENCE), header(headers, POSITION) or NO_PLACE
    key = b"" if sequence else _log_key(message.key() or b"")
    fixed = _ORDER.pack(message.timestamp()[1] + _SHIFT, sequence is not None, sequence or NO_SEQUENCE)
    return fixed + key + bytes((_KEY_END,)) + place


def _dead_letter(headers: Headers) -> bytes:
    line = unpack_number(header(headers, SEQUENCE) or NO_SEQUENCE)
    error_class, reason = header(headers, "error_class") or b"", header(headers, "reason") or b""
    return dead_letter_record(line, error_class.decode(), reason.decode())


def _headers(message: KafkaMessage) -> Headers:
    # librdkafka's messages hold pairs of text and bytes; its stubs allow for what a producer may give as well.
    return cast("Headers", message.headers() or ())


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
