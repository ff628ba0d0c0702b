"""Events: each mistake of a producer has its class and its sentence, and whatever comes in is an event or refused."""

import json
import sys

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.events import (
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    MAX_PROPERTIES_BYTES,
    Envelope,
    Event,
    InvalidEvent,
    Json,
    Stream,
    check_envelope,
    customer_key,
    read_envelope,
    stream_of,
)
from schemas.log import decode_event, encode_event

VALID: dict[str, object] = {
    "event_id": "e1",
    "type": "order_completed",
    "occurred_at": "2026-01-31T09:00:00+01:00",
    "customer_id": "c1",
}


def read(value: bytes) -> Event:
    """Take a public record the whole way."""
    return check_envelope(read_envelope(value), "behavioral")


def taken(value: bytes) -> Event | InvalidEvent:
    """Take a record of a file the whole way, or return why not."""
    try:
        envelope = read_envelope(value)
        return check_envelope(envelope, stream_of(envelope))
    except InvalidEvent as error:
        return error


def but(**fields: object) -> bytes:
    """Write the valid event with other fields."""
    return json.dumps(VALID | fields).encode()


def without(*names: str) -> bytes:
    """Write the valid event without some fields."""
    return json.dumps({name: value for name, value in VALID.items() if name not in names}).encode()


def with_properties(text: bytes) -> bytes:
    """Write the valid event with this JSON as its properties."""
    return without()[:-1] + b', "properties": ' + text + b"}"


def nested(levels: int) -> bytes:
    """Write an object of lists in lists, so many levels deep."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


REFUSED = [
    # not JSON
    (b"", "unreadable", "not JSON"),
    (b"{", "unreadable", "not JSON"),
    (without() + b" x", "unreadable", "trailing characters"),
    (b"\xef\xbb\xbf" + without(), "unreadable", "not JSON"),
    (b"\x89PNG\r\n", "unreadable", "not JSON"),
    (without().replace(b'"e1"', b"'e1'"), "unreadable", "not JSON"),
    (with_properties(b'{"a": NaN}'), "unreadable", "not JSON"),
    (with_properties(b'{"a": Infinity}'), "unreadable", "not JSON"),
    (with_properties(b'{"a": "\xff"}'), "unreadable", "utf-8"),
    (with_properties(b'{"a": "\xed\xa0\x80"}'), "unreadable", "utf-8"),
    (with_properties(b'{"a": "\\ud800"}'), "unreadable", "not JSON"),
    (with_properties(b'{"a": "\\udc00\\ud800"}'), "unreadable", "surrogate"),
    (with_properties(b'{"a": "\x01"}'), "unreadable", "invalid character"),
    (but(event_id="\ud800"), "unreadable", "surrogate"),
    (with_properties(nested(100_000)), "unreadable", "nested too deeply"),
    # JSON, but no event
    (b"null", "invalid", "object"),
    (b"[]", "invalid", "object"),
    (b"{}", "invalid", "event_id is missing"),
    (without("event_id"), "invalid", "event_id is missing"),
    (without("type"), "invalid", "type is missing"),
    (but(event_id=""), "invalid", "event_id is empty"),
    (but(type=""), "invalid", "type is empty"),
    (but(event_id=None), "invalid", "event_id: expected `str`, got `null`"),
    (but(event_id=5), "invalid", "event_id: expected `str`, got `int`"),
    (but(customer_id=5), "invalid", "customer_id: expected `str | null`, got `int`"),
    (but(source=["web"]), "invalid", "source: expected `str | null`, got `array`"),
    (but(event_id="e" * 256), "invalid", "event_id has 256 characters; 255 are allowed"),
    (but(customer_id="c" * 256), "invalid", "customer_id has 256 characters; 255 are allowed"),
    (but(type="t" * 256), "invalid", "type has 256 characters; 255 are allowed"),
    (but(session_id="s" * 256), "invalid", "session_id has 256 characters; 255 are allowed"),
    (but(customer_id="a\x1fb"), "invalid", "customer_id holds a control character"),
    (but(anonymous_id="a\x00"), "invalid", "anonymous_id holds a control character"),
    (but(properties=[]), "invalid", "properties: expected `object | null`, got `array`"),
    (but(context="x"), "invalid", "context: expected `object | null`, got `str`"),
    (with_properties(b'{"a": 1e400}'), "invalid", "out of range"),
    (with_properties(b'{"a": ' + b"9" * 5_000 + b"}"), "invalid", "out of range"),
    (but(properties={"a": 2**64}), "invalid", "properties holds an integer beyond 64 bits"),
    (but(context={"a": [{"b": -(2**63) - 1}]}), "invalid", "context holds an integer beyond 64 bits"),
    (with_properties(nested(MAX_DEPTH + 1)), "invalid", "properties is nested deeper than 64 levels"),
    (with_properties(nested(900)), "invalid", "properties is nested deeper than 64 levels"),
    (but(type="customer_merged", properties={"merged_id": 5}), "invalid", "merged_id has to be text"),
    # nobody's
    (without("customer_id"), "no_customer", "customer_id or anonymous_id is needed"),
    (but(customer_id="", anonymous_id=None), "no_customer", "customer_id or anonymous_id is needed"),
    # no time
    (without("occurred_at"), "bad_time", "occurred_at is missing"),
    (but(occurred_at=""), "bad_time", "occurred_at: '' isn't an RFC 3339 time"),
    (but(occurred_at="2026-01-31T09:00:00"), "bad_time", "has no offset from UTC; write 2026-01-31T09:00:00Z"),
    (but(occurred_at="2026-01-31"), "bad_time", "has no time of day; write 2026-01-31T00:00:00Z"),
    (but(occurred_at="1769846400000"), "bad_time", "isn't an RFC 3339 time"),
    (but(occurred_at="2026-02-30T09:00:00Z"), "bad_time", "isn't a time of the calendar"),
    (but(occurred_at="10000-01-01T00:00:00Z"), "bad_time", "isn't an RFC 3339 time"),
    (but(occurred_at="0000-01-01T00:00:00Z"), "bad_time", "isn't a time of the calendar"),
    (but(occurred_at="0001-01-01T00:00:00+14:00"), "bad_time", "outside the years 1 to 9999"),
    (but(occurred_at="9999-12-31T23:59:59-14:00"), "bad_time", "outside the years 1 to 9999"),
    (but(occurred_at="2026-01-31T09:00:00+24:00"), "bad_time", "isn't a time of the calendar"),
    (but(occurred_at=253_402_300_800_000), "bad_time", "outside the years 1 to 9999"),
    (but(occurred_at=10**30), "bad_time", "outside the years 1 to 9999"),
    (but(received_at="yesterday"), "bad_time", "received_at: 'yesterday' isn't an RFC 3339 time"),
    (but(occurred_at=None), "invalid", "occurred_at: expected `int | str`, got `null`"),
    (but(occurred_at=True), "invalid", "occurred_at: expected `int | str`, got `bool`"),
    (but(occurred_at=1.5), "invalid", "occurred_at: expected `int | str`, got `float`"),
    # too much
    (but(properties={"a": "x" * MAX_PROPERTIES_BYTES}), "too_large", "properties has 65544 bytes of JSON; 65536 are"),
    (but(context={"a": "x" * MAX_PROPERTIES_BYTES}), "too_large", "context has 65544 bytes of JSON; 65536 are"),
    (without().ljust(MAX_EVENT_BYTES + 1), "too_large", "the event has more than 1048576 bytes"),
]


@pytest.mark.parametrize(("value", "error_class", "reason"), REFUSED, ids=lambda part: repr(part)[:60])
def test_each_mistake_has_its_class_and_its_sentence(value: bytes, error_class: str, reason: str) -> None:
    """An event that can't be taken is refused with a word for programs and a sentence for the producer."""
    with pytest.raises(InvalidEvent) as raised:
        read(value)
    assert raised.value.error_class == error_class
    assert reason in raised.value.reason
    assert len(raised.value.reason) < 300


@pytest.mark.parametrize(
    "value",
    [
        b" \r\n\t" + without() + b"\n",
        without().ljust(MAX_EVENT_BYTES),
        but(event_id="e" * 255, customer_id="ü" * 255),
        but(customer_id=" "),
        but(customer_id=None, anonymous_id="a"),
        but(anonymous_id="a", unknown_field={"x": [1]}),
        but(occurred_at=-62_135_596_800_000),
        but(occurred_at="9999-12-31T23:59:59.999Z"),
        but(properties=None, context=None, source="", session_id=""),
        but(properties={"a": "x" * (MAX_PROPERTIES_BYTES - 8)}),
        but(properties={"a": [2**64 - 1, -(2**63), -0.0, 1e-320]}),
        but(properties={"a": ["[" * 100, {"": None}]}),
        with_properties(nested(MAX_DEPTH)),
        with_properties(b'{"a": "\\ud83d\\ude00\\u0000"}'),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_lies_within_the_bounds_is_taken(value: bytes) -> None:
    """Exactly the bound is still allowed, and what isn't known is passed over."""
    event = read(value)
    assert decode_event(encode_event(event)) == event


def test_fields_are_taken_as_they_are_and_times_as_milliseconds() -> None:
    """The checked event says what the envelope said."""
    event = read(
        but(
            anonymous_id="a1",
            received_at=1_769_846_400_500,
            source="website",
            session_id="s1",
            properties={"total": 59.9, "items": [{"sku": "A"}]},
            context={"locale": "de"},
        )
    )
    assert event == Event(
        event_id="e1",
        type="order_completed",
        occurred_at=1_769_846_400_000,
        stream="behavioral",
        customer_id="c1",
        anonymous_id="a1",
        received_at=1_769_846_400_500,
        source="website",
        session_id="s1",
        properties=msgspec.Raw(b'{"total":59.9,"items":[{"sku":"A"}]}'),
        context=msgspec.Raw(b'{"locale":"de"}'),
    )


def test_of_a_name_written_twice_the_last_counts() -> None:
    """Two values under one name are one, wherever they stand, so that all who read later see the same."""
    event = read(with_properties(b'{"a": 1, "b": {"x": 1, "x": 2}, "a": 3}')[:-1] + b', "customer_id": "c2"}')
    assert event.customer_id == "c2"
    assert bytes(event.properties) == b'{"a":3,"b":{"x":2}}'


@pytest.mark.parametrize(
    ("fields", "stream"),
    [
        ({}, "behavioral"),
        ({"type": "email_opened"}, "engagement"),
        ({"type": "sms_unsubscribed"}, "engagement"),
        ({"type": "customer_merged"}, "crm"),
        ({"type": "anything", "source": "crm"}, "crm"),
        ({"type": "email_opened", "source": "crm"}, "engagement"),
        ({"type": "email_opened", "topic": "behavioral-events"}, "behavioral"),
        ({"topic": "crm-events"}, "crm"),
    ],
)
def test_an_event_of_a_file_belongs_to_a_topic(fields: dict[str, object], stream: Stream) -> None:
    """The topic that it names decides, else its type, else its source."""
    assert stream_of(read_envelope(but(**fields))) == stream


def test_a_topic_that_isnt_public_is_refused() -> None:
    """A file can't write to the customer log."""
    with pytest.raises(InvalidEvent, match="'customer-log' is none of behavioral-events"):
        stream_of(read_envelope(but(topic="customer-log")))


def test_customers_and_visitors_are_two_name_spaces() -> None:
    """A visitor who calls herself like a customer isn't the customer."""
    assert customer_key(read(but(anonymous_id="x"))) == b"c:c1"
    assert customer_key(read(but(customer_id=None, anonymous_id="c1"))) == b"a:c1"


# Whatever comes in --------------------------------------------------------------------------------------------

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
_fields = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.text(max_size=300) | _values,
        "type": st.text(max_size=20) | _values,
        "occurred_at": st.integers() | st.datetimes().map(lambda moment: moment.isoformat() + "Z") | _values,
        "customer_id": st.text(max_size=300) | _values,
        "anonymous_id": st.text(max_size=20) | _values,
        "received_at": st.integers() | _values,
        "source": _values,
        "session_id": _values,
        "properties": st.dictionaries(st.text(max_size=8), _values, max_size=6) | _values,
        "context": _values,
        "topic": _values,
    },
)
_events = st.builds(lambda fields, keep: json.dumps((VALID if keep else {}) | fields).encode(), _fields, st.booleans())
_mutations = st.builds(
    lambda value, at, cut, put: value[: at % (len(value) + 1)] + put + value[at % (len(value) + 1) + cut :],
    _events,
    st.integers(0, 2_000),
    st.integers(0, 3),
    st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"}", b"[", b",", b"\\u", b"\\ud800", b"1e999", b"\x00"]),
)


@settings(max_examples=600)
@given(value=st.binary(max_size=60) | _events | _mutations)
@example(value=with_properties(nested(5_000)))
@example(value=with_properties(b'{"a": ' + b"9" * 400 + b"}"))
def test_whatever_comes_in_is_an_event_or_refused(value: bytes) -> None:
    """Bytes become an event that is the same after writing and reading it, or `InvalidEvent`; nothing else."""
    event = taken(value)
    if isinstance(event, InvalidEvent):
        assert event.error_class in {"unreadable", "invalid", "no_customer", "bad_time", "too_large", "unknown_topic"}
        return
    assert decode_event(encode_event(event)) == event
    assert customer_key(event)[:2] in {b"c:", b"a:"}
    for part in (event.properties, event.context):
        decoded = msgspec.json.decode(part)
        assert isinstance(decoded, dict)
        assert msgspec.json.encode(decoded) == bytes(part)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(decoded)) == decoded


def test_what_is_nested_deeper_than_can_be_written_is_refused_by_a_reason() -> None:
    """An envelope may come from elsewhere than JSON."""
    deep: Json = None
    for _ in range(50_000):
        deep = [deep]
    envelope = Envelope(event_id="e", type="t", occurred_at=0, customer_id="c", properties={"a": deep})
    with pytest.raises(InvalidEvent, match="nested deeper"):
        check_envelope(envelope, "behavioral")


@pytest.mark.parametrize("calls", [0, 3])
def test_however_deep_something_is_nested_it_is_refused_by_a_reason(calls: int) -> None:
    """Also where the depth at which it can still be read isn't one at which it can be written."""

    def below(calls: int, level: int) -> Event:
        return below(calls - 1, level) if calls else read(with_properties(nested(level)))

    for level in range(MAX_DEPTH + 1, sys.getrecursionlimit() + 10):
        with pytest.raises(InvalidEvent):
            below(calls, level)
