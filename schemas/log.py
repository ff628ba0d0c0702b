"""The customer log: which records it holds besides events, and what its headers mean.

An event has a key (`c:` customer or `a:` visitor) and the JSON of `schemas.events.Event` as its value. A record
without a key concerns the whole partition: a catalogue mark, a command, a tick, or the final mark that ends a log with
its own clock.

Headers, all optional but `source`: `source` 28 bytes, where the record came from; `sequence` 8 bytes, the line of a
file; `appended` 8 bytes, the clock of who appended it, epoch milliseconds (a log with its own clock has none, since
nothing is late there). All numbers are big-endian.
"""

import struct
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from schemas.decisions import Channel
from schemas.events import Event
from schemas.instants import Millis
from schemas.staging import StagedEntry

Headers = Sequence[tuple[str, bytes]]
"""As aiokafka hands them over."""

SOURCE: Final = "source"
SEQUENCE: Final = "sequence"
APPENDED: Final = "appended"
POSITION: Final = "position"
"""On outputs, 4 bytes: the place of a record among those of one decision."""
END: Final = "end"
"""On a public record without a value: the end of that partition of a finite input; its timestamp is the end of time."""

_SOURCE: Final = struct.Struct(">16sHqH")
_ORIGIN: Final = struct.Struct(">16sH")
_PLACE_IN_ORIGIN: Final = struct.Struct(">qH")
ORIGIN_BYTES: Final = _ORIGIN.size
"""The first bytes of a packed source: topic and partition. What follows is the place there."""
_NUMBER: Final = struct.Struct(">q")
_PLACE: Final = struct.Struct(">I")
PLACE_BYTES: Final = _PLACE.size


class Source(Struct, frozen=True, order=True):
    """Where a log record came from: topic id, partition and offset of the public record, and the n-th made of it."""

    topic_id: bytes
    partition: int
    offset: int
    nth: int = 0


def pack_source(source: Source) -> bytes:
    """Pack a source; of one origin, later sources compare greater as bytes."""
    return _SOURCE.pack(source.topic_id, source.partition, source.offset, source.nth)


pack_origin: Final = _ORIGIN.pack
"""Pack what the sources of one partition have in common: topic id and partition."""
pack_place_in_origin: Final = _PLACE_IN_ORIGIN.pack
"""Pack what follows the origin in a source: the offset, and the n-th made of it."""


def unpack_source(packed: bytes) -> Source:
    """Unpack a source."""
    return Source(*_SOURCE.unpack(packed))


class CatalogueMark(Struct, frozen=True, kw_only=True, tag_field="mark", tag="catalogue"):
    """From here on, this version is in force. A mark not above the partition's number is ignored."""

    number: int
    rules_version: int
    tzdata: str


class FinalMark(Struct, frozen=True, kw_only=True, tag_field="mark", tag="final"):
    """Time ends here: everything due up to the record's timestamp fires, and nothing follows."""


class Tick(Struct, frozen=True, kw_only=True, tag_field="mark", tag="tick"):
    """Time has come to the record's timestamp for everybody in the partition; `appended` says when that was known."""


class Command(Struct, frozen=True, kw_only=True, tag_field="mark", tag="command"):
    """What an operator asks for: to pause, resume or cancel.

    It concerns one execution (`customer_key` and `execution_id`), every execution of a workflow, what goes out on a
    channel, or, with none of these, everything. Everything and a channel can't be cancelled.
    """

    command_id: str
    action: Literal["pause", "resume", "cancel"]
    customer_key: str | None = None
    """The key of the customer in the log, such as `c:ada`."""
    execution_id: str | None = None
    workflow_id: str | None = None
    channel: Channel | None = None


class Stage(Struct, frozen=True, kw_only=True, tag_field="mark", tag="stage"):
    """Where customers of this partition would stand in the workflow that version `number` backfills."""

    number: int
    entries: list[StagedEntry]


class Backfilled(Struct, frozen=True, kw_only=True, tag_field="mark", tag="backfilled"):
    """The backfill of version `number` is over: who hasn't gone over yet does so without her past."""

    number: int


class Holds(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What commands hold back for everybody."""

    everything: bool = False
    workflows: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    released_at: Millis = -(2**62)
    """When the latest hold ended."""


Mark = CatalogueMark | FinalMark | Tick | Command | Stage | Backfilled
Clock = Literal["wall", "log"]

_encoder: Final = msgspec.json.Encoder()
decode_event: Final = msgspec.json.Decoder(Event).decode
"""Decode the value of a log record with a key: bytes in, an `Event` out."""
_mark_decoder: Final = msgspec.json.Decoder(Mark)


def encode_event(event: Event) -> bytes:
    """Encode an event as the value of a log record."""
    return _encoder.encode(event)


def encode_mark(mark: Mark) -> bytes:
    """Encode a mark as the value of a log record without a key."""
    return _encoder.encode(mark)


def decode_mark(value: bytes) -> Mark:
    """Decode the value of a log record without a key."""
    mark: Mark = _mark_decoder.decode(value)
    return mark


def pack_number(number: int) -> bytes:
    """Pack a header's number."""
    return _NUMBER.pack(number)


def unpack_number(packed: bytes) -> int:
    """Unpack a header's number."""
    number: int = _NUMBER.unpack(packed)[0]
    return number


def pack_place(place: int) -> bytes:
    """Pack the place of a record among those of one decision."""
    return _PLACE.pack(place)


def header(headers: Headers, name: str) -> bytes | None:
    """Return the value of a header, or None."""
    # A loop, because `next` with a generator costs three times as much.
    for found, value in headers:
        if found == name:
            return value
    return None
