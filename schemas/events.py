"""Events: the public envelope as producers write it, and the checked form in which the customer log keeps it.

A producer is hostile or careless until proven otherwise: `read_envelope` either returns an event that every
later stage can take without a further check, or raises `InvalidEvent` with a class and a reason for the dead
letter. The check decodes everything once; what leaves it is canonical JSON, so the customer agent may leave
`properties` and `context` undecoded until a rule asks for them.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from schemas.errors import TidingsError
from schemas.instants import Millis, parse_instant

if TYPE_CHECKING:
    Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
else:
    # msgspec takes no recursive alias; for it the type is anything that JSON can hold.
    from typing import Any as Json

Stream = Literal["behavioral", "engagement", "crm", "workflow"]
"""What kind of event it is: by its public topic; `workflow` for those that a workflow's step puts on the log."""

MAX_PROPERTIES_BYTES: Final = 64 * 1024
MAX_CONTEXT_BYTES: Final = 64 * 1024
MAX_ID_CHARACTERS: Final = 255
MAX_DEPTH: Final = 64
"""Levels of objects and lists in properties or context. Deeper JSON decodes or not by how deep the stack already is."""
MAX_EVENT_BYTES: Final = 1024 * 1024
"""A whole public record; anything larger is a dead letter unread."""

MESSAGE_CHANNELS: Final = ("email", "sms", "push", "social")
ENGAGEMENTS: Final = ("delivered", "opened", "clicked", "replied", "bounced", "complained", "unsubscribed")
ENGAGEMENT_TYPES: Final = frozenset(f"{channel}_{what}" for channel in MESSAGE_CHANNELS for what in ENGAGEMENTS)
WEBHOOK_ANSWERED: Final = "webhook_answered"
CRM_TYPES: Final = frozenset(
    {
        "customer_updated",
        "segment_entered",
        "segment_left",
        "consent_changed",
        "customer_deleted",
        "customer_merged",
        "address_verified",  # what an agent found out about an address is nobody's behaviour
        WEBHOOK_ANSWERED,
    }
)
LINKING_TYPES: Final = frozenset({"identify", "alias", "customer_merged"})
"""Of an event with two ids, those that say that both are one person."""
STREAM_OF_TOPIC: Final[dict[str, Stream]] = {
    "behavioral-events": "behavioral",
    "engagement-events": "engagement",
    "crm-events": "crm",
}


class InvalidEvent(TidingsError):
    """The producer's mistake: `error_class` is a word for programs, the text a sentence for the producer."""

    def __init__(self, error_class: str, reason: str) -> None:
        super().__init__(reason)
        self.error_class = error_class
        self.reason = reason


class Event(Struct, kw_only=True, omit_defaults=True, gc=False):
    """A valid event as the customer log holds it: JSON, instants in epoch milliseconds."""

    event_id: str
    type: str
    occurred_at: Millis
    stream: Stream
    customer_id: str | None = None
    anonymous_id: str | None = None
    received_at: Millis | None = None
    source: str | None = None
    session_id: str | None = None
    properties: Raw = Raw(b"{}")
    context: Raw = Raw(b"{}")
    machine: bool = False
    """Whether `properties.machine` is true: a proxy or a scanner made the event. Told apart once, at the check."""
    has_address: bool = False
    """Whether the properties hold an `email` or a `phone`; most don't, and needn't be decoded to see that."""


class Envelope(Struct, kw_only=True):
    """The public envelope as it is read: times still text or number, the stream not yet known."""

    event_id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    occurred_at: str | int | UnsetType = UNSET
    customer_id: str | None = None
    anonymous_id: str | None = None
    received_at: str | int | None = None
    source: str | None = None
    session_id: str | None = None
    properties: dict[str, Json] | None = None
    context: dict[str, Json] | None = None
    topic: str | None = None


_envelope_decoder: Final = msgspec.json.Decoder(Envelope)
_encoder: Final = msgspec.json.Encoder()
_state_encoder: Final = msgspec.msgpack.Encoder()


def read_envelope(value: bytes) -> Envelope:
    """Decode the JSON of one public record or of one line of a file.

    Raises:
        InvalidEvent: too large, not JSON, or a field of another type than the envelope's.
    """
    if len(value) > MAX_EVENT_BYTES:
        raise InvalidEvent("too_large", f"the event has more than {MAX_EVENT_BYTES} bytes")
    try:
        return _envelope_decoder.decode(value)
    except msgspec.ValidationError as error:
        raise InvalidEvent("invalid", _plain(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEvent("unreadable", f"not JSON: {error}") from None
    except RecursionError:
        raise InvalidEvent("unreadable", "the JSON is nested too deeply") from None


def convert_envelope(fields: dict[str, object]) -> Envelope:
    """Make an envelope of fields that another format than JSON held.

    Raises:
        InvalidEvent: a field of another type than the envelope's.
    """
    try:
        return msgspec.convert(fields, Envelope)
    except msgspec.ValidationError as error:
        raise InvalidEvent("invalid", _plain(str(error))) from None


def check_envelope(envelope: Envelope, stream: Stream) -> Event:
    """Turn an envelope into an event that later stages take without a further check.

    Raises:
        InvalidEvent: an id, the customer, the type or a time is missing or wrong, or a part is too large.
    """
    event_id = _required(envelope.event_id, "event_id")
    customer_id = _id(envelope.customer_id, "customer_id")
    anonymous_id = _id(envelope.anonymous_id, "anonymous_id")
    if customer_id is None and anonymous_id is None:
        raise InvalidEvent("no_customer", "customer_id or anonymous_id is needed (1 to 255 characters)")
    properties = envelope.properties or {}
    if envelope.type == "customer_merged":
        _check_merged(properties.get("merged_id"))
    return Event(
        event_id=event_id,
        type=_required(envelope.type, "type"),
        occurred_at=_instant(envelope.occurred_at, "occurred_at"),
        received_at=None if envelope.received_at is None else _instant(envelope.received_at, "received_at"),
        stream=stream,
        customer_id=customer_id,
        anonymous_id=anonymous_id,
        source=_id(envelope.source, "source"),
        session_id=_id(envelope.session_id, "session_id"),
        properties=_object(envelope.properties, "properties", MAX_PROPERTIES_BYTES),
        context=_object(envelope.context, "context", MAX_CONTEXT_BYTES),
        machine=properties.get("machine") is True,
        has_address="email" in properties or "phone" in properties,
    )


def stream_of(envelope: Envelope) -> Stream:
    """Return the stream that an event of a file belongs to: by its `topic`, else by its type and source.

    Raises:
        InvalidEvent: the named topic isn't one of the three public ones.
    """
    if envelope.topic is not None:
        stream = STREAM_OF_TOPIC.get(envelope.topic)
        if stream is None:
            raise InvalidEvent("unknown_topic", f"topic {envelope.topic!r} is none of {', '.join(STREAM_OF_TOPIC)}")
        return stream
    if envelope.type in ENGAGEMENT_TYPES:
        return "engagement"
    if envelope.type in CRM_TYPES or envelope.source == "crm":
        return "crm"
    return "behavioral"


def customer_key(event: Event) -> bytes:
    """Return the key of the event in the customer log; customers and visitors are two name spaces."""
    if event.customer_id is not None:
        return b"c:" + event.customer_id.encode()
    return b"a:" + (event.anonymous_id or "").encode()


class _Merged(Struct):
    merged_id: Json = None


_merged_decoder: Final = msgspec.json.Decoder(_Merged)


def merged_id(event: Event) -> str | None:
    """Return the customer whom the CRM has merged into the event's; None when the event says nothing of the kind."""
    if event.type != "customer_merged":
        return None
    merged = _merged_decoder.decode(event.properties).merged_id
    return merged if isinstance(merged, str) and merged else None


def _required(value: str | UnsetType, name: str) -> str:
    if value is UNSET:
        raise InvalidEvent("invalid", f"{name} is missing")
    text = _id(value, name)
    if text is None:
        raise InvalidEvent("invalid", f"{name} is empty")
    return text


def _id(value: str | UnsetType | None, name: str) -> str | None:
    if value is None or value is UNSET or value == "":
        return None
    if len(value) > MAX_ID_CHARACTERS:
        raise InvalidEvent("invalid", f"{name} has {len(value)} characters; {MAX_ID_CHARACTERS} are allowed")
    if "\x1f" in value or "\x00" in value:
        raise InvalidEvent("invalid", f"{name} holds a control character")
    return value


def _check_merged(merged: Json) -> None:
    if merged is not None and not isinstance(merged, str):
        raise InvalidEvent("invalid", "properties.merged_id has to be text, a customer's id")
    _id(merged, "properties.merged_id")


def _instant(value: str | int | UnsetType, name: str) -> Millis:
    if value is UNSET:
        raise InvalidEvent("bad_time", f"{name} is missing")
    try:
        return parse_instant(value)
    except ValueError as error:
        raise InvalidEvent("bad_time", f"{name}: {error}") from None


def _object(value: dict[str, Json] | None, name: str, limit: int) -> Raw:
    if not value:
        return Raw(b"{}")
    try:
        encoded = _encoder.encode(value)
        # A customer's state is msgpack, whose integers end at 64 bits: what the state can't hold is refused here.
        _state_encoder.encode(value)
    except OverflowError:
        raise InvalidEvent("invalid", f"{name} holds an integer beyond 64 bits; write it as text") from None
    except RecursionError:
        raise InvalidEvent("invalid", _too_deep(name)) from None
    if len(encoded) > limit:
        raise InvalidEvent("too_large", f"{name} has {len(encoded)} bytes of JSON; {limit} are allowed")
    # Nearly all have fewer brackets than levels are allowed, and needn't be walked through.
    if encoded.count(b"{") + encoded.count(b"[") > MAX_DEPTH and is_too_deep(value):
        raise InvalidEvent("invalid", _too_deep(name))
    return Raw(encoded)


def is_too_deep(value: dict[str, Json]) -> bool:
    """Tell whether an object has more than `MAX_DEPTH` levels."""
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        level = [part for whole in level for part in _parts(whole) if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def _parts(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep(name: str) -> str:
    return f"{name} is nested deeper than {MAX_DEPTH} levels"


def _plain(message: str) -> str:
    """Turn msgspec's `… - at `$.field`` into a sentence that names the field first."""
    text, _, path = message.partition(" - at ")
    return f"{path.strip('`').removeprefix('$.') or 'event'}: {text[0].lower()}{text[1:]}" if path else text
