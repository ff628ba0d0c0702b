"""What links two customers: the records of the log by which one is absorbed by the other.

An event that links two ids (`identify`, `alias`, `customer_merged`) makes several log records: a `MergeOut` to each
one who is absorbed, and the event itself, marked `Awaits`, to the survivor. An `Absorb` is the answer to a
`MergeOut`; what reaches somebody who was absorbed goes on to whoever absorbed her, and `path` says where it was.

The link is the record's first header, in place of the source, so that an ordinary event is told by one look.
Customers are named by their keys in the log, as text.
"""

from typing import Final

import msgspec
from msgspec import Struct

from schemas.events import LINKING_TYPES, Event, customer_key, merged_id

LINK: Final = "link"
"""The first header of a record that links, or that was forwarded."""
MOST_HOPS: Final = 8
"""How many who were absorbed a record may pass; behind them the next one takes it as her own."""


class MergeOut(Struct, frozen=True, kw_only=True, tag_field="link", tag="merge_out", omit_defaults=True):
    """To the one who is absorbed: answer `into` with your state, and forward what comes later. It has no value."""

    into: str
    event_id: str
    answered: bool = False
    """Whether the answer went ahead, because it is known and somebody might wait for it."""


class Awaits(Struct, frozen=True, kw_only=True, tag_field="link", tag="awaits", omit_defaults=True):
    """Marks the event that links: the survivor waits for what these answer, in this order, before she takes it."""

    of: tuple[str, ...]
    event_id: str
    path: tuple[str, ...] = ()


class Absorb(Struct, frozen=True, kw_only=True, tag_field="link", tag="absorb", omit_defaults=True):
    """The answer to a `MergeOut`; its value is the stored form of the state, or empty when there is nothing left."""

    of: str
    event_id: str
    late: bool = False
    """Whether nobody waits for it any more, so that it is taken when it comes."""
    path: tuple[str, ...] = ()


class Forwarded(Struct, frozen=True, kw_only=True, tag_field="link", tag="forwarded"):
    """Marks an event that came under an id which was absorbed."""

    path: tuple[str, ...]


class Ask(Struct, frozen=True, kw_only=True, tag_field="link", tag="ask", omit_defaults=True):
    """To whoever counts a trigger's executions: may one more start for the customer `of`? It has no value."""

    of: str
    ask_id: str
    most: int
    """The limit in force where it was asked."""
    by_event: bool = False


class Grant(Struct, frozen=True, kw_only=True, tag_field="link", tag="grant", omit_defaults=True):
    """The answer to an `Ask`. It has no value."""

    ask_id: str
    granted: bool = False
    by_event: bool = False
    """Whether a record led to the question, and not time."""


class Released(Struct, frozen=True, kw_only=True, tag_field="link", tag="released", omit_defaults=True):
    """To a quarantined customer, from an operator: what was kept of her has its turn now. It has no value."""

    place: str
    """Where the rules had raised, as a key of `quarantines`; where another has come since, nothing is released."""
    with_cause: bool = True
    """Whether also the record on which they raised."""


Link = MergeOut | Awaits | Absorb | Forwarded | Ask | Grant | Released

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Link)


def encode_link(link: Link) -> bytes:
    """Encode a link as the value of its header."""
    return _encoder.encode(link)


def decode_link(value: bytes) -> Link:
    """Decode the value of the header."""
    link: Link = _decoder.decode(value)
    return link


def log_records(event: Event) -> list[tuple[bytes, Link | None]]:
    """List what an event becomes in the log, in order: the key of each record, and its link.

    A `MergeOut` has no value; the record of the event itself is the last.
    """
    key = customer_key(event)
    if event.type not in LINKING_TYPES or event.customer_id is None or _is_hearsay(event):
        return [(key, None)]
    absorbed = _absorbed(event, key)
    if not absorbed:
        return [(key, None)]
    out = MergeOut(into=key.decode(), event_id=event.event_id)
    return [*((one.encode(), out) for one in absorbed), (key, Awaits(of=tuple(absorbed), event_id=event.event_id))]


def _is_hearsay(event: Event) -> bool:
    """Tell whether somebody else than the CRM says that customers were merged."""
    return event.type == "customer_merged" and event.stream != "crm"


def _absorbed(event: Event, key: bytes) -> list[str]:
    """List the keys of those whom an event has absorbed: the visitor it names, and whom the CRM has merged."""
    absorbed = []
    if event.anonymous_id is not None:
        absorbed.append(f"a:{event.anonymous_id}")
    merged = merged_id(event)
    if merged is not None and f"c:{merged}".encode() != key:
        absorbed.append(f"c:{merged}")
    return absorbed
