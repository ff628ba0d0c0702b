"""The wire: records as JSON or Avro, told apart by the first byte.

Avro records are framed as Confluent's clients do: a zero byte, the number of the writer's schema in four bytes,
big-endian, then the record. JSON never begins with a zero byte, so a topic may hold both and nobody announces
which. Where schemas come from is a parameter; nothing here asks a network.

Of an event only the bytes of its producer are certain. They are read with the schema they were written with,
and its fields then taken by name as Avro resolves schemas: fields that we don't know are passed over, those that
are missing take our defaults, whole numbers serve as instants. `properties` and `context` are JSON text in our own
schema (measured: a third of the time of a map of unions) and may be maps or records in a producer's.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from importlib.resources import files
from io import BytesIO
from typing import Final

import msgspec
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.types import Schema

from schemas.decisions import Decision, Send, WebhookCall
from schemas.errors import TidingsError
from schemas.events import MAX_EVENT_BYTES, Envelope, Event, InvalidEvent, Json, convert_envelope, read_envelope
from schemas.instants import format_instant, parse_instant
from schemas.writers import UnusableSchema, Writer, read_writer

SchemaOf = Callable[[int], bytes | None]
"""Returns the text of the schema with this number, None where nobody knows it."""

_MAGIC: Final = 0
_HEAD_BYTES: Final = 5


class UnreadableRecord(TidingsError):
    """A record of one of our own topics that isn't what the topic holds."""


def _text(name: str) -> bytes:
    """Read one of our schemas, as the compact JSON under which it is registered."""
    return msgspec.json.format((files("schemas") / "avro" / f"{name}.avsc").read_bytes(), indent=-1)


EVENT_SCHEMA: Final = _text("event")
SEND_SCHEMA: Final = _text("send")
DECISION_SCHEMA: Final = _text("decision")
WEBHOOK_CALL_SCHEMA: Final = _text("webhook_call")

_EVENT: Final[Schema] = parse_schema(msgspec.json.decode(EVENT_SCHEMA))
_SEND: Final[Schema] = parse_schema(msgspec.json.decode(SEND_SCHEMA))
_DECISION: Final[Schema] = parse_schema(msgspec.json.decode(DECISION_SCHEMA))
_WEBHOOK_CALL: Final[Schema] = parse_schema(msgspec.json.decode(WEBHOOK_CALL_SCHEMA))

_TEXTS: Final = ("event_id", "type", "customer_id", "anonymous_id", "source", "session_id")
_INSTANTS: Final = ("occurred_at", "received_at")
_OBJECTS: Final = ("properties", "context")

_object_decoder: Final = msgspec.json.Decoder(dict[str, Json] | None)
_send_decoder: Final = msgspec.json.Decoder(Send)
_decision_decoder: Final = msgspec.json.Decoder(Decision)
_call_decoder: Final = msgspec.json.Decoder(WebhookCall)
_encode_json: Final = msgspec.json.Encoder().encode

# What fastavro runs into when the bytes aren't what the schema says.
_UNREADABLE: Final = (EOFError, LookupError, ValueError, TypeError, ArithmeticError, AttributeError, RecursionError)


def schema_id(value: bytes) -> int | None:
    """Return the number of the schema that a record was written with; None when it is JSON."""
    if value[:1] != b"\x00":
        return None
    return int.from_bytes(value[1:_HEAD_BYTES], "big")


def frame(number: int, payload: bytes) -> bytes:
    """Put the head before an Avro record."""
    return bytes((_MAGIC,)) + number.to_bytes(_HEAD_BYTES - 1, "big") + payload


# Events -------------------------------------------------------------------------------------------------------


def decode_event(value: bytes, schema_of: SchemaOf) -> Envelope:
    """Decode one public record, JSON or Avro.

    Raises:
        InvalidEvent: `unknown_schema`, or what `read_envelope` raises.
    """
    number = schema_id(value)
    if number is None:
        return read_envelope(value)
    if len(value) > MAX_EVENT_BYTES:
        raise InvalidEvent("too_large", f"the event has more than {MAX_EVENT_BYTES} bytes")
    if len(value) < _HEAD_BYTES:
        raise InvalidEvent("unreadable", f"an Avro record has a head of {_HEAD_BYTES} bytes, this one {len(value)}")
    text = schema_of(number)
    if text is None:
        raise InvalidEvent("unknown_schema", f"no schema is registered under the id {number}")
    writer = read_writer(text)
    if isinstance(writer, UnusableSchema):
        raise InvalidEvent("unreadable", f"schema {number} can't be used: {writer.reason}")
    try:
        record = _read(value, writer.parsed)
    except _UNREADABLE as error:
        raise InvalidEvent("unreadable", f"not a record of schema {number}: {error}"[:300]) from None
    return _envelope(record, writer)


def encode_event(event: Event, number: int) -> bytes:
    """Encode an event under our schema, registered as `number`."""
    record: dict[str, object] = {name: getattr(event, name) for name in (*_TEXTS, *_INSTANTS)}
    record |= {name: bytes(getattr(event, name)).decode() for name in _OBJECTS}
    return _write(record, _EVENT, number)


def _envelope(record: dict[str, object], writer: Writer) -> Envelope:
    fields: dict[str, object] = {name: record[name] for name in (*_TEXTS, *_INSTANTS) if name in record}
    for name, ticks in writer.ticks.items():
        instant = fields.get(name)
        if isinstance(instant, int):
            fields[name] = instant // ticks
    for name in _OBJECTS:
        if name in record:
            fields[name] = _object(record[name], name)
    return convert_envelope(fields)


def _object(value: object, name: str) -> object:
    if not isinstance(value, str):
        return _json(value, name)
    try:
        return _object_decoder.decode(value)
    except msgspec.ValidationError:
        raise InvalidEvent("invalid", f"{name} isn't a JSON object") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidEvent("unreadable", f"{name} isn't JSON: {error}") from None
    except RecursionError:
        raise InvalidEvent("unreadable", f"{name} is nested too deeply") from None


def _json(value: object, path: str) -> Json:
    """Return an Avro value as what JSON can hold.

    Raises:
        InvalidEvent: `invalid`: bytes, or a number that JSON doesn't know.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case dict():
            return {str(key): _json(part, f"{path}.{key}") for key, part in value.items()}
        case list():
            return [_json(part, path) for part in value]
        case Decimal() | float() if math.isfinite(value):
            return float(value)
        case Decimal() | float():
            raise InvalidEvent("invalid", f"{path[:100]} is {value}, which is no number of JSON")
    raise InvalidEvent("invalid", f"{path[:100]} holds bytes, which JSON can't; write them as text")


# Sends, decisions and calls ------------------------------------------------------------------------------------------


def encode_send(send: Send, number: int) -> bytes:
    """Encode a send under our schema, registered as `number`."""
    record: dict[str, object] = msgspec.to_builtins(send)
    record["variants"] = _encode_json(send.variants).decode()
    record["send_at"] = parse_instant(send.send_at)
    record["expires_at"] = None if send.expires_at is None else parse_instant(send.expires_at)
    return _write(record, _SEND, number)


def encode_decision(decision: Decision, number: int) -> bytes:
    """Encode a decision under our schema, registered as `number`."""
    record: dict[str, object] = msgspec.to_builtins(decision)
    record["detail"] = None if decision.detail is None else _encode_json(decision.detail).decode()
    record["at"] = parse_instant(decision.at)
    return _write(record, _DECISION, number)


def encode_webhook_call(call: WebhookCall, number: int) -> bytes:
    """Encode a webhook call under our schema, registered as `number`."""
    record: dict[str, object] = msgspec.to_builtins(call)
    record["payload"] = _encode_json(call.payload).decode()
    record["at"] = parse_instant(call.at)
    record["expires_at"] = None if call.expires_at is None else parse_instant(call.expires_at)
    return _write(record, _WEBHOOK_CALL, number)


def decode_send(value: bytes, schema_of: SchemaOf) -> Send:
    """Decode a send that some version of ours wrote, JSON or Avro.

    Raises:
        UnreadableRecord: it is neither.
    """
    try:
        if schema_id(value) is None:
            return _send_decoder.decode(value)
        record = _own(value, _SEND, schema_of)
        record["variants"] = msgspec.json.decode(str(record["variants"]))
        return msgspec.convert(_with_text(record, "send_at", "expires_at"), Send)
    except (msgspec.MsgspecError, *_UNREADABLE) as error:
        msg = f"not a send: {error}"
        raise UnreadableRecord(msg) from error


def decode_decision(value: bytes, schema_of: SchemaOf) -> Decision:
    """Decode a decision that some version of ours wrote, JSON or Avro.

    Raises:
        UnreadableRecord: it is neither.
    """
    try:
        if schema_id(value) is None:
            return _decision_decoder.decode(value)
        record = _own(value, _DECISION, schema_of)
        detail = record["detail"]
        record["detail"] = None if detail is None else msgspec.json.decode(str(detail))
        return msgspec.convert(_with_text(record, "at"), Decision)
    except (msgspec.MsgspecError, *_UNREADABLE) as error:
        msg = f"not a decision: {error}"
        raise UnreadableRecord(msg) from error


def decode_webhook_call(value: bytes, schema_of: SchemaOf) -> WebhookCall:
    """Decode a webhook call that some version of ours wrote, JSON or Avro.

    Raises:
        UnreadableRecord: it is neither.
    """
    try:
        if schema_id(value) is None:
            return _call_decoder.decode(value)
        record = _own(value, _WEBHOOK_CALL, schema_of)
        record["payload"] = msgspec.json.decode(str(record["payload"]))
        return msgspec.convert(_with_text(record, "at", "expires_at"), WebhookCall)
    except (msgspec.MsgspecError, *_UNREADABLE) as error:
        msg = f"not a webhook call: {error}"
        raise UnreadableRecord(msg) from error


def _own(value: bytes, reader: Schema, schema_of: SchemaOf) -> dict[str, object]:
    number = schema_id(value)
    text = None if number is None else schema_of(number)
    writer = None if text is None else read_writer(text)
    if not isinstance(writer, Writer):
        msg = f"schema {number} is unknown or can't be used"
        raise UnreadableRecord(msg)
    return _read(value, writer.parsed, reader)


def _with_text(record: dict[str, object], *names: str) -> dict[str, object]:
    """Write instants as the text that sends and decisions hold."""
    for name in names:
        instant = record[name]
        record[name] = format_instant(instant) if isinstance(instant, int) else instant
    return record


# Avro ---------------------------------------------------------------------------------------------------------


def _read(value: bytes, writer: Schema, reader: Schema | None = None) -> dict[str, object]:
    stream = BytesIO(value)
    stream.seek(_HEAD_BYTES)
    record = schemaless_reader(stream, writer, reader)
    left = len(value) - stream.tell()
    if left or not isinstance(record, dict):
        # Bytes written with another schema often end early instead of failing.
        msg = f"{left} bytes are left over"
        raise ValueError(msg)
    return record


def _write(record: dict[str, object], schema: Schema, number: int) -> bytes:
    stream = BytesIO()
    schemaless_writer(stream, schema, record)
    return frame(number, stream.getvalue())
