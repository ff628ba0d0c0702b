"""Reads what came out: the outbound topics up to their ends, committed records only, in the order of `simulate`."""

import struct
from collections.abc import Callable, Iterator
from typing import Final, cast

from confluent_kafka import Message as KafkaMessage

from schemas.log import PLACE_BYTES, POSITION, SEQUENCE, Headers, header, pack_number, pack_place, unpack_number
from schemas.outbound import outbound_json
from schemas.quarantines import HELD_TOO_MANY, RULES
from schemas.topics import DEAD_LETTERS, DECISIONS, SEND_TOPICS, WEBHOOK_CALLS
from schemas.wire import SchemaOf
from streams.connection import Connection
from streams.reading import read_to_end
from tidings.records import dead_letter_record, decision_record, send_record, webhook_record
from tidings.tally import Tally

_ORDER: Final = struct.Struct(">QB8s")
_SHIFT: Final = 2**63
"""Added to instants, so that those before 1970 sort first."""
_KEY_END: Final = 0
"""Ends the customer's key; no id holds this byte."""
NO_SEQUENCE: Final = pack_number(0)
NO_PLACE: Final = pack_place(0)


def collect(
    connection: Connection,
    prefix: str,
    tally: Tally,
    schema_of: SchemaOf,
    progress: Callable[[int, int], object] = lambda _done, _all: None,
) -> Iterator[bytes]:
    """Yield the records of a finished run in order, and count them.

    `schema_of` knows the schemas of what was written as Avro. `progress` is called with how many offsets are read,
    of how many; markers of transactions count as well.

    Raises:
        TidingsError: Kafka can't be read, or a schema isn't to be had.
    """
    entries: list[bytes] = []
    dead_lines: set[bytes] = set()
    dead_letters, decisions, calls = (prefix + name for name in (DEAD_LETTERS, DECISIONS, WEBHOOK_CALLS))
    topics = [*(prefix + name for name in SEND_TOPICS), decisions, calls, dead_letters]
    for message in read_to_end(connection, topics, progress):
        name, order = message.topic() or "", _order(message)
        value = message.value() or b""
        if name != dead_letters:
            value = outbound_json(name.removeprefix(prefix), value, schema_of)
        if name == decisions:
            entries.append(order + decision_record(value))
        elif name == calls:
            entries.append(order + webhook_record(value))
        elif name != dead_letters:
            entries.append(order + send_record(value))
        elif _is_of_file(_headers(message)) and order not in dead_lines:
            # The ingest repeats itself after a crash; a line has one dead letter.
            dead_lines.add(order)
            entries.append(order + _dead_letter(_headers(message)))
    entries.sort()
    for entry in entries:
        record = entry[entry.index(_KEY_END, _ORDER.size) + 1 + PLACE_BYTES :]
        tally.sends += record.startswith(b'{"record":"send"')
        tally.decisions += record.startswith(b'{"record":"decision"')
        tally.webhook_calls += record.startswith(b'{"record":"webhook_call"')
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


def _is_of_file(headers: Headers) -> bool:
    """Tell whether a line itself was no event; what the rules couldn't do stands among the decisions."""
    return (header(headers, "error_class") or b"").decode() not in {RULES, HELD_TOO_MANY}


def _headers(message: KafkaMessage) -> Headers:
    # librdkafka's messages hold pairs of text and bytes; its stubs allow for what a producer may give as well.
    return cast("Headers", message.headers() or ())


def _log_key(key: bytes) -> bytes:
    """Return the key that the customer has in the log, by which timers of one instant are ordered."""
    return key if key.startswith(b"a:") else b"c:" + key
