"""The wire: Avro and JSON say the same, in our schema and in those of producers; anything else is refused."""

import json
import math
from decimal import Decimal
from io import BytesIO

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.decisions import Channel, Decision, Kind, Send, encode_effect
from schemas.events import MAX_EVENT_BYTES, Event, InvalidEvent, check_envelope
from schemas.instants import EARLIEST, LATEST, format_instant
from schemas.outbound import outbound_json
from schemas.topics import DECISIONS, EMAIL_SENDS
from schemas.wire import (
    DECISION_SCHEMA,
    EVENT_SCHEMA,
    SEND_SCHEMA,
    UnreadableRecord,
    decode_decision,
    decode_event,
    decode_send,
    encode_decision,
    encode_event,
    encode_send,
    frame,
    schema_id,
)
from schemas.writers import UnusableSchema, read_writer

OURS = {7: EVENT_SCHEMA, 8: SEND_SCHEMA, 9: DECISION_SCHEMA}
ENVELOPE = (
    *("event_id", "customer_id", "anonymous_id", "type", "occurred_at"),
    *("received_at", "source", "session_id", "properties", "context"),
)

Field = dict[str, object]


def written(fields: list[Field], record: dict[str, object]) -> tuple[bytes, bytes]:
    """Return a producer's schema with these fields, and a record in it, framed as number 1."""
    schema: Field = {"type": "record", "name": "Theirs", "namespace": "shop.events", "doc": "ours", "fields": fields}
    return json.dumps(schema).encode(), frame(1, payload(schema, record))


def payload(schema: Field, record: dict[str, object]) -> bytes:
    """Write a record in a schema with a library that isn't ours."""
    stream = BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(json.loads(json.dumps(schema))), record)
    return stream.getvalue()


def read(schema: bytes, value: bytes) -> Event:
    """Take a public record the whole way."""
    return check_envelope(decode_event(value, {1: schema}.get), "behavioral")


def text(name: str, *kinds: str) -> Field:
    """Write a field of texts."""
    return {"name": name, "type": ["string", *kinds] if kinds else "string"}


def _field(name: str, kind: object) -> Field:
    return {"name": name, "type": kind}


BASE: list[Field] = [text("event_id"), text("type"), text("customer_id"), {"name": "occurred_at", "type": "long"}]
RECORD: dict[str, object] = {"event_id": "e1", "type": "t", "customer_id": "c1", "occurred_at": 1_000}


# Which is which -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"{}", b" {}", b"\n\t{", b"\xef\xbb\xbf{}", b"[", b"", b"\x01\x00\x00\x00\x01"])
def test_what_doesnt_begin_with_a_zero_byte_is_json(value: bytes) -> None:
    """JSON may begin with white space, and never with the zero byte of an Avro record."""
    assert schema_id(value) is None


@given(number=st.integers(0, 2**32 - 1), payload=st.binary(max_size=20))
def test_a_framed_record_tells_the_number_of_its_schema(number: int, payload: bytes) -> None:
    """The head is what Confluent's clients write: a zero byte and four bytes, big-endian."""
    framed = frame(number, payload)
    assert schema_id(framed) == number
    assert framed == b"\x00" + number.to_bytes(4, "big") + payload


# Events -------------------------------------------------------------------------------------------------------

_names = st.text(st.characters(exclude_characters="\x1f\x00", codec="utf-8"), min_size=1, max_size=20)
_ids = st.none() | _names
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=10,
)
_objects = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), _json, max_size=4)
_raws = _objects.map(lambda value: msgspec.Raw(msgspec.json.encode(value)))
_instants = st.integers(EARLIEST, LATEST)
_events = st.builds(
    Event,
    event_id=_names,
    type=_names,
    occurred_at=_instants,
    stream=st.just("behavioral"),
    customer_id=_names,
    anonymous_id=_ids,
    received_at=st.none() | _instants,
    source=_ids,
    session_id=_ids,
    properties=_raws,
    context=_raws,
)


@given(event=_events)
def test_an_event_is_the_same_in_json_and_in_avro(event: Event) -> None:
    """Both formats have the same names and give the same event."""
    for value in (encode_event(event, 7), msgspec.json.encode({name: getattr(event, name) for name in ENVELOPE})):
        assert check_envelope(decode_event(value, OURS.get), "behavioral") == event


def test_our_schemas_are_avro_with_the_names_of_the_contract() -> None:
    """A foreign Avro library takes them, and their fields are the envelope's, a send's and a decision's."""
    names = [[field["name"] for field in json.loads(schema)["fields"]] for schema in OURS.values()]
    assert set(names[0]) == set(ENVELOPE)
    assert set(names[1]) == {"from" if name == "from_" else name for name in Send.__struct_fields__}
    assert set(names[2]) == set(Decision.__struct_fields__)
    for schema in OURS.values():
        assert fastavro.parse_schema(json.loads(schema))
        assert b"\n" not in schema


@pytest.mark.parametrize(
    ("fields", "record", "expected"),
    [
        pytest.param([], {}, {}, id="without optional fields"),
        pytest.param(
            [text("shop"), {"name": "flags", "type": {"type": "array", "items": "boolean"}}],
            {"shop": "x", "flags": [True]},
            {},
            id="with more fields",
        ),
        pytest.param(
            [text("anonymous_id", "null"), text("properties", "null")],
            {"anonymous_id": None, "properties": None},
            {},
            id="with null",
        ),
        pytest.param(
            [{"name": "source", "type": {"type": "enum", "name": "Source", "symbols": ["app", "web"]}}],
            {"source": "web"},
            {"source": "web"},
            id="with an enum",
        ),
        pytest.param([text("properties")], {"properties": '{"a":[1]}'}, {"properties": {"a": [1]}}, id="JSON text"),
        pytest.param(
            [
                {
                    "name": "properties",
                    "type": {"type": "map", "values": ["null", "boolean", "long", "double", "string"]},
                }
            ],
            {"properties": {"a": None, "b": True, "c": 2**63 - 1, "d": 0.5, "e": "x"}},
            {"properties": {"a": None, "b": True, "c": 2**63 - 1, "d": 0.5, "e": "x"}},
            id="a map of unions",
        ),
        pytest.param(
            [
                {
                    "name": "properties",
                    "type": {
                        "type": "record",
                        "name": "Order",
                        "fields": [
                            {
                                "name": "total",
                                "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
                            },
                            {"name": "lines", "type": {"type": "array", "items": {"type": "map", "values": "int"}}},
                            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
                        ],
                    },
                }
            ],
            {"properties": {"total": Decimal("59.90"), "lines": [{"n": 1}], "at": 5}},
            {"properties": {"total": 59.9, "lines": [{"n": 1}], "at": 5}},
            id="a record",
        ),
        pytest.param(
            [{"name": "received_at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]}],
            {"received_at": 1_999_999},
            {"received_at": 1_999},
            id="microseconds",
        ),
        pytest.param(
            [{"name": "received_at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]}],
            {"received_at": None},
            {},
            id="no microseconds",
        ),
        pytest.param(
            [{"name": "received_at", "type": {"type": "long", "logicalType": "timestamp-millis"}}],
            {"received_at": LATEST},
            {"received_at": LATEST},
            id="milliseconds",
        ),
        pytest.param(
            [text("received_at")], {"received_at": "1970-01-01T01:00:01+01:00"}, {"received_at": 1_000}, id="RFC 3339"
        ),
    ],
)
def test_a_producers_own_schema_is_read(
    fields: list[Field], record: dict[str, object], expected: dict[str, object]
) -> None:
    """Fields go by name, whatever else a producer writes and however it writes them."""
    event = read(*written([*BASE, *fields], RECORD | record))
    base = Event(event_id="e1", type="t", customer_id="c1", occurred_at=1_000, stream="behavioral")
    raws = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in expected.items() if name == "properties"}
    assert event == msgspec.structs.replace(base, **(expected | raws))


@pytest.mark.parametrize(
    ("fields", "record", "error_class", "reason"),
    [
        ([text("properties")], {"properties": "{"}, "unreadable", "properties isn't JSON"),
        ([text("properties")], {"properties": ""}, "unreadable", "properties isn't JSON"),
        ([text("properties")], {"properties": "[]"}, "invalid", "properties isn't a JSON object"),
        ([text("properties")], {"properties": '{"a":' + "[" * 9_999}, "unreadable", "nested too deeply"),
        (
            [{"name": "properties", "type": {"type": "map", "values": "double"}}],
            {"properties": {"a": math.nan}},
            "invalid",
            "properties.a is nan",
        ),
        (
            [{"name": "properties", "type": {"type": "map", "values": "bytes"}}],
            {"properties": {"a": b"x"}},
            "invalid",
            "properties.a holds bytes",
        ),
        ([{"name": "properties", "type": "int"}], {"properties": 1}, "invalid", "properties"),
        ([{"name": "source", "type": "int"}], {"source": 1}, "invalid", "source: expected `str | null`, got `int`"),
        ([{"name": "received_at", "type": "double"}], {"received_at": 1.5}, "invalid", "received_at: expected"),
        ([{"name": "received_at", "type": "long"}], {"received_at": LATEST + 1}, "bad_time", "received_at: outside"),
    ],
)
def test_what_a_producers_record_cant_say_is_refused(
    fields: list[Field], record: dict[str, object], error_class: str, reason: str
) -> None:
    """A field that isn't what the envelope has is refused with the words that JSON is refused with."""
    with pytest.raises(InvalidEvent) as raised:
        read(*written([*BASE, *fields], RECORD | record))
    assert raised.value.error_class == error_class
    assert reason in raised.value.reason


def test_fields_that_are_needed_are_missed() -> None:
    """A producer's schema without an id gives the error that JSON without an id gives."""
    with pytest.raises(InvalidEvent, match="event_id is missing"):
        read(*written([text("type")], {"type": "t"}))


def test_bytes_that_arent_the_schemas_are_refused() -> None:
    """Short, long, damaged and headless records, unknown numbers and unusable schemas each say what they are."""
    schema, value = written(BASE, RECORD)
    for broken, error_class, reason in (
        (value[:3], "unreadable", "a head of 5 bytes, this one 3"),
        (value[:-1], "unreadable", "not a record of schema 1"),
        (value + b"x", "unreadable", "1 bytes are left over"),
        (frame(1, b"\x80" * 40), "unreadable", "not a record of schema 1"),
        (frame(1, b"\x02\xff" + value[7:]), "unreadable", "utf-8"),
        (frame(2, b""), "unknown_schema", "no schema is registered under the id 2"),
        (value + b"x" * MAX_EVENT_BYTES, "too_large", "more than 1048576 bytes"),
    ):
        with pytest.raises(InvalidEvent) as raised:
            read(schema, broken)
        assert (raised.value.error_class, reason in raised.value.reason) == (error_class, True), raised.value
    with pytest.raises(InvalidEvent, match="schema 1 can't be used: it isn't an Avro record"):
        read(b'"string"', value)


@settings(max_examples=400)
@given(
    value=st.binary(max_size=80)
    | st.builds(
        lambda event, at, put: (
            (good := encode_event(event, 7))[: 5 + at % len(good)] + put + good[6 + at % len(good) :]
        ),
        _events,
        st.integers(0, 400),
        st.binary(max_size=3),
    ),
    schema=st.sampled_from(
        [EVENT_SCHEMA, SEND_SCHEMA]
        + [
            written([*BASE, _field("properties", kind)], RECORD | {"properties": value})[0]
            for kind, value in (
                ({"type": "map", "values": ["null", "double", "string", "bytes"]}, {}),
                ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 2}}, []),
                ({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 1}, Decimal(1)),
                ({"type": "map", "values": {"type": "enum", "name": "E", "symbols": ["A"]}}, {}),
            )
        ]
    ),
)
def test_whatever_is_framed_is_an_event_or_refused(value: bytes, schema: bytes) -> None:
    """Any bytes behind a head become an event or `InvalidEvent`; nothing else, and soon."""
    try:
        event = check_envelope(decode_event(frame(7, value), {7: schema}.get), "behavioral")
    except InvalidEvent:
        return
    assert check_envelope(decode_event(encode_event(event, 7), OURS.get), "behavioral") == event


# Schemas of others --------------------------------------------------------------------------------------------


def _schema(kind: object) -> bytes:
    return json.dumps({"type": "record", "name": "R", "fields": [{"name": "a", "type": kind}]}).encode()


def _repeated(record: dict[str, object]) -> list[object]:
    """Return the fields of a record that contains another one 200 times."""
    return [{"name": f"f{n}", "type": record if n == 0 else record["name"]} for n in range(200)]


_LEAF: dict[str, object] = {"type": "record", "name": "Leaf", "fields": [{"name": "a", "type": "null"}]}
_BRANCH: dict[str, object] = {"type": "record", "name": "Branch", "fields": _repeated(_LEAF)}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (b"{", "isn't Avro"),
        (b"null", "isn't an Avro record"),
        (b'["string"]', "isn't an Avro record"),
        (b'{"type":"record"}', "isn't Avro"),
        (b'{"type":"record","name":"R","fields":5}', "isn't Avro"),
        (_schema("Unknown"), "isn't Avro"),
        (_schema([]), "isn't Avro"),
        (_schema({"type": "array"}), "isn't Avro"),
        (_schema({"type": "fixed", "name": "F", "size": "x"}), "isn't Avro"),
        (_schema(["null", "R"]), "R contains itself"),
        (_schema({"type": "map", "values": ["string", "R"]}), "R contains itself"),
        (_schema(["null", "R"])[:-1] + b',"__fastavro_parsed":true}', "R contains itself"),
        (_schema({"type": "array", "items": "null"}), "has 1 values in 0 bytes"),
        (_schema({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}), "has 1 values in 0 bytes"),
        (_schema({"type": "array", "items": ["null", _BRANCH]}), "values in 1 bytes"),
        (_schema({"type": "record", "name": "Tree", "fields": _repeated(_BRANCH)}), "10000 are allowed"),
        (b'{"type":"record","name":"R","fields":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "nested too deeply"),
    ],
)
def test_a_schema_that_a_small_record_could_stop_a_worker_with_is_unusable(schema: bytes, reason: str) -> None:
    """What isn't Avro, contains itself, or has values without bytes is refused before any record is read."""
    writer = read_writer(schema)
    assert isinstance(writer, UnusableSchema)
    assert reason in writer.reason
    assert read_writer(schema) is writer


# Sends and decisions ------------------------------------------------------------------------------------------

_texts = st.text(st.characters(codec="utf-8"), max_size=20)
_optional = st.none() | _texts
_times = _instants.map(format_instant)
_channels: st.SearchStrategy[Channel] = st.sampled_from(["email", "sms", "push", "social"])
_kinds: st.SearchStrategy[Kind] = st.sampled_from(["trigger_fired", "trigger_refused", "conversion"])
_sends = st.builds(
    Send,
    send_id=_texts,
    customer_id=_texts,
    channel=_channels,
    to=_texts,
    from_=_optional,
    reply_to=_optional,
    subject=_optional,
    html=_optional,
    text=_optional,
    headers=st.dictionaries(_texts, _texts, max_size=3),
    template_id=_texts,
    workflow_id=_texts,
    workflow_version=st.integers(0, 2**40),
    execution_id=_texts,
    step_id=_texts,
    variants=_objects,
    category=_texts,
    send_at=_times,
    expires_at=st.none() | _times,
)
_decisions = st.builds(
    Decision,
    decision_id=_texts,
    customer_id=_texts,
    at=_times,
    kind=_kinds,
    workflow_id=_optional,
    workflow_version=st.none() | st.integers(0, 2**40),
    execution_id=_optional,
    step_id=_optional,
    trigger_id=_optional,
    reason=_optional,
    detail=st.none() | _objects,
    state_hash=_optional,
)


@given(send=_sends)
def test_a_send_is_the_same_in_json_and_in_avro(send: Send) -> None:
    """A consumer reads the same send from either format."""
    assert decode_send(encode_send(send, 8), OURS.get) == send
    assert decode_send(encode_effect(send), OURS.get) == send
    assert outbound_json(EMAIL_SENDS, encode_send(send, 8), OURS.get) == encode_effect(send)
    assert outbound_json(EMAIL_SENDS, encode_effect(send), OURS.get) == encode_effect(send)


@given(decision=_decisions)
def test_a_decision_is_the_same_in_json_and_in_avro(decision: Decision) -> None:
    """A consumer reads the same decision from either format."""
    assert decode_decision(encode_decision(decision, 9), OURS.get) == decision
    assert decode_decision(encode_effect(decision), OURS.get) == decision
    assert outbound_json(DECISIONS, encode_decision(decision, 9), OURS.get) == encode_effect(decision)


@given(value=st.binary(max_size=40) | st.binary(max_size=40).map(lambda payload: frame(8, payload)))
def test_what_is_no_send_is_told(value: bytes) -> None:
    """A foreign record on an outbound topic is an error of its own."""
    with pytest.raises(UnreadableRecord):
        decode_send(value, OURS.get)
    with pytest.raises(UnreadableRecord):
        decode_decision(value, {8: DECISION_SCHEMA}.get)


def test_an_older_version_of_our_schema_is_still_read() -> None:
    """A send written before a field was added has that field's default."""
    schema = json.loads(SEND_SCHEMA)
    schema["fields"] = [
        field for field in schema["fields"] if field["name"] not in {"expires_at", "headers", "variants"}
    ]
    record: dict[str, object] = dict.fromkeys([field["name"] for field in schema["fields"]], "x")
    value = frame(1, payload(schema, record | {"channel": "sms", "workflow_version": 3, "send_at": 0}))
    send = decode_send(value, {1: json.dumps(schema).encode()}.get)
    assert (send.expires_at, send.headers, send.variants) == (None, {}, {})
    assert (send.send_at, send.from_, send.workflow_version) == ("1970-01-01T00:00:00.000Z", "x", 3)


def test_a_foreign_reader_finds_instants_as_instants() -> None:
    """Any Avro library reads a decision's time as a time, by the schema alone."""
    decision = Decision(decision_id="d", customer_id="c", at="2026-01-31T09:00:00.250Z", kind="conversion")
    value = encode_decision(decision, 9)
    record = fastavro.schemaless_reader(BytesIO(value[5:]), fastavro.parse_schema(json.loads(DECISION_SCHEMA)), None)
    assert isinstance(record, dict)
    assert record["at"].isoformat() == "2026-01-31T09:00:00.250000+00:00"
