"""What is compiled makes of a public record the same bytes as Python does, or leaves it to Python."""

import json

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import compiled
from schemas.events import LINKING_TYPES, InvalidEvent, Stream, check_envelope, customer_key, read_envelope
from schemas.log import encode_event

pytestmark = pytest.mark.skipif(not compiled.IS_COMPILED, reason="nothing is compiled here")

STREAMS: tuple[Stream, ...] = ("behavioral", "engagement", "crm")
VALID: dict[str, object] = {
    "event_id": "e1",
    "type": "order_completed",
    "occurred_at": "2026-01-31T09:00:00+01:00",
    "customer_id": "c1",
}


def translate_in_python(value: bytes, stream: Stream) -> tuple[bytes, bytes] | None:
    """Return what goes to the log; None if that is no record, or may be two."""
    try:
        event = check_envelope(read_envelope(value), stream)
    except InvalidEvent:
        return None
    return None if event.type in LINKING_TYPES else (customer_key(event), encode_event(event))


def agrees(value: bytes, stream: Stream = "behavioral") -> bool:
    """Hold the two against each other; tell whether the compiled one took the record."""
    found = compiled.translate(value, stream)
    assert found is None or found == translate_in_python(value, stream)
    return found is not None


def but(**fields: object) -> bytes:
    """Write the valid event with other fields."""
    return json.dumps(VALID | fields).encode()


def with_properties(text: str) -> bytes:
    """Write the valid event with this JSON as its properties."""
    return but()[:-1] + b', "properties": ' + text.encode() + b"}"


NAMES = st.sampled_from(("machine", "email", "phone", "merged_id", "a", "b", "é", "", "\x7f", '"', "\n"))
NUMBERS = (
    st.integers(-(2**64), 2**65)
    | st.integers(-1000, 1000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(-(10**7), 10**7, places=6).map(float)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.none() | st.dictionaries(NAMES, VALUES, max_size=4)
IDS = st.none() | st.sampled_from(("", "c1", "é", "x" * 255, "x" * 256, "\x1f", "ü" * 128, 7)) | st.text(max_size=6)
DAYS = st.sampled_from(
    ("2026-01-31", "2024-02-29", "2023-02-29", "1900-02-29", "0001-01-01", "9999-12-31", "2026-13-01")
)
CLOCKS = st.sampled_from(("09:00:00", "23:59:59", "00:00:00", "24:00:00", "12:60:00", "12:00:60", "00:00"))
FRACTIONS = st.sampled_from(("", ".1", ".12", ".999", ".9999999", ".123456789", ".1234567890", ".", ",5"))
ZONES = st.sampled_from(("Z", "z", "+00:00", "-00:00", "+23:59", "-23:59", "+24:00", "+01:60", "", "+0100", "+01:00x"))
TIMES = (
    st.none()
    | st.builds("{}T{}{}{}".format, DAYS, CLOCKS, FRACTIONS, ZONES)
    | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
    | st.sampled_from((0, 1_774_051_200_000, -62_135_596_800_000, -62_135_596_800_001, 253_402_300_800_000, 1.5, True))
)
EVENTS = st.fixed_dictionaries(
    {"event_id": IDS, "occurred_at": TIMES},
    optional={
        "type": st.sampled_from(("page_viewed", "é", "", *sorted(LINKING_TYPES))),
        "customer_id": IDS,
        "anonymous_id": IDS,
        "received_at": TIMES,
        "source": IDS,
        "session_id": IDS,
        "topic": IDS,
        "properties": OBJECTS,
        "context": OBJECTS,
        "unknown": VALUES,
    },
).map(lambda fields: VALID | fields)


@given(EVENTS, st.sampled_from(STREAMS), st.booleans(), st.sampled_from((None, (",", ":"), (" ,\t", ":\r\n"))))
def test_events(fields: dict[str, object], stream: Stream, escaped: bool, marks: tuple[str, str] | None) -> None:  # noqa: FBT001
    """However an event is written, sound or not."""
    agrees(json.dumps(fields, ensure_ascii=escaped, separators=marks).encode(), stream)


# fmt: off
PIECES = st.sampled_from([
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"0", b"1", b"-", b"+", b".", b"e", b"E", b"00", b".0", b"-0", b"1.50",
    b"0.001", b"null", b"true", b"nul", b'"a"', b"{}", b"[]", b"\x00", b"\x1f", b" ", b"\n", b"\\u00e9", b'"event_id":"e2"',
    b'"machine":true,', b"\xc3\xa9", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xf4\x90\x80\x80", b"\xc0\x80",
])
# fmt: on
SOUND = with_properties('{"a": 1.50, "l": [1, {"x": null}], "machine": true, "é": "ü", "email": "a@b.c"}')


@settings(max_examples=1_000)
@given(st.lists(st.tuples(st.integers(0, len(SOUND)), st.integers(0, 3), PIECES), max_size=3), st.integers(0, 30))
def test_spoilt_bytes(edits: list[tuple[int, int, bytes]], lost: int) -> None:
    """Whatever is put into a record, overwrites a piece of it, or is lost at its end."""
    value = SOUND
    for place, over, piece in edits:
        value = value[:place] + piece + value[place + over :]
    agrees(value)
    agrees(value[: len(value) - lost])


@given(st.decimals(-1000, 1000, places=9).map(str) | st.from_regex(r"-?\d{1,19}(\.\d{1,16})?", fullmatch=True))
@example("0.0001")
@example("0.00001")
@example("-0.0")
@example("0.000")
@example("999999999999999")
@example("123456789012.125")
@example("9999999999999999.0")
def test_numbers(text: str) -> None:
    """However a number is written."""
    agrees(with_properties('{"a": ' + text + "}"))


@pytest.mark.parametrize(
    "value",
    [
        but(),
        b" \n" + but() + b"\t\r\n",
        but(customer_id=None, anonymous_id="v"),
        but(customer_id="", anonymous_id="v", source="", session_id="s", received_at=1_774_051_200_000),
        but(occurred_at="2026-01-31T09:00:00.123456Z", received_at="2024-02-29T23:59:59-23:59"),
        but(unknown={"a": [1, {"b": None}]}, topic="crm-events"),
        but(properties=None, context={}),
        SOUND,
        but(properties={f"property_{number}": number / 4 for number in range(32)}),
        but(properties={"order": {"id": 123456789012345678, "total": 0.05, "items": [{"sku": "a"}] * 40}}),
    ],
)
def test_plain_records_are_taken(value: bytes) -> None:
    """What most producers send goes the quick way."""
    assert agrees(value)


@pytest.mark.parametrize(
    "value",
    [
        *(but(type=name) for name in sorted(LINKING_TYPES)),
        but(customer_id="\\u00e9"),
        but(event_id=None),
        but(properties={"a": 1e300}),
        but(properties={"a": 2**63}),
        but(properties={f"property_{number}": number for number in range(33)}),
        with_properties('{"a": 1, "a": 2}'),
        with_properties("[" * 100_000),
        with_properties('{"a":' * 40 + "1" + "}" * 40),
        but()[:-1] + b',"event_id":"e2"}',
        but(properties={"a": "x" * 70_000}),
        b"\x00\x00\x00\x00\x07" + but(),
        b"",
    ],
)
def test_the_rest_is_left_to_python(value: bytes) -> None:
    """What isn't plain is told apart, or refused with a reason, where that is said."""
    assert not agrees(value)


@given(st.binary(max_size=40))
def test_hashes(key: bytes) -> None:
    """Both find a key's partition."""
    assert compiled.murmur2 is not None
    assert compiled.murmur2(key) == murmur2(key) & 0xFFFFFFFF
