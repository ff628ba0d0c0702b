"""Events as a customer's state keeps them: those that started something, and those that something waits for.

A state holds them for as long as an execution runs, so they are small: msgpack under codes of one letter, without what
has its default, and instants once. Properties and context stay the JSON that they were, so nothing about them changes.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from schemas.events import Event, Stream
from schemas.instants import Millis

NO_EVENT: Final = b""
"""What stands for none: a timer started it."""
_EMPTY: Final = b"{}"
# A code that is in use never gets another meaning.
_CODES: Final = {
    "event_id": "i",
    "type": "t",
    "occurred_at": "o",
    "stream": "s",
    "customer_id": "c",
    "anonymous_id": "a",
    "received_after": "r",
    "source": "f",
    "session_id": "v",
    "properties": "p",
    "context": "x",
    "machine": "m",
    "has_address": "h",
}


class _Kept(Struct, omit_defaults=True, gc=False, rename=_CODES):
    event_id: str
    type: str
    occurred_at: Millis
    stream: Stream = "behavioral"
    customer_id: str | None = None
    anonymous_id: str | None = None
    received_after: Millis | None = None
    source: str | None = None
    session_id: str | None = None
    properties: bytes | None = None
    """None for an empty object."""
    context: bytes | None = None
    machine: bool = False
    has_address: bool = False


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Kept).decode


def keep_event(event: Event) -> bytes:
    """Return the bytes by which an event is kept."""
    properties, context, received_at = bytes(event.properties), bytes(event.context), event.received_at
    return _encode(
        _Kept(
            event_id=event.event_id,
            type=event.type,
            occurred_at=event.occurred_at,
            stream=event.stream,
            customer_id=event.customer_id,
            anonymous_id=event.anonymous_id,
            received_after=None if received_at is None else received_at - event.occurred_at,
            source=event.source,
            session_id=event.session_id,
            properties=None if properties == _EMPTY else properties,
            context=None if context == _EMPTY else context,
            machine=event.machine,
            has_address=event.has_address,
        )
    )


def kept_event(kept: bytes) -> Event:
    """Return the event that is kept in these bytes, of which there are some."""
    found = _decode(kept)
    return Event(
        event_id=found.event_id,
        type=found.type,
        occurred_at=found.occurred_at,
        stream=found.stream,
        customer_id=found.customer_id,
        anonymous_id=found.anonymous_id,
        received_at=None if found.received_after is None else found.occurred_at + found.received_after,
        source=found.source,
        session_id=found.session_id,
        properties=Raw(found.properties or _EMPTY),
        context=Raw(found.context or _EMPTY),
        machine=found.machine,
        has_address=found.has_address,
    )
