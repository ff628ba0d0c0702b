"""Places of the customer log that the rules couldn't do, as they stand in the compacted topic `quarantines`.

Whoever folds a log again reads it first and leaves out the same, whatever his rules make of it: what was decided then
stays decided ([why](../docs/decisions/0021-quarantine.md)).
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from schemas.instants import Millis

RULES: Final = "rules"
"""The error class of what the rules raised on, among the dead letters."""
HELD_TOO_MANY: Final = "held_too_many"
"""The error class of what came for a quarantined customer of whom no more is kept."""
LETTER_PLACE: Final = "quarantine"
"""A header of such dead letters: the place, by its name."""
EVENT: Final = ""
COMMAND: Final = "command"
MIGRATION: Final = "migration"
DEADLINE: Final = "deadline"
HAND_OVER: Final = "hand_over"
_TIMER: Final = "due="


def timer(due_at: Millis) -> str:
    """Name the turn of a customer whose timer is due at an instant."""
    return f"{_TIMER}{due_at}"


def is_timer(turn: str) -> bool:
    """Tell whether a turn is that of a timer."""
    return turn.startswith(_TIMER)


def kept(number: int) -> str:
    """Name the turn of a record that was kept, counted from 0, when its customer is released."""
    return f"kept={number}"


def held(outer: str, number: int) -> str:
    """Name the turn of a record that had waited for a merge, counted from 0, within the turn that lets it go on."""
    return f"{outer}{',' if outer else ''}held={number}"


class Place(Struct, frozen=True, order=True):
    """A customer's turn at a record of her partition."""

    offset: int
    """In a log; the line, in a file of events."""
    key: bytes
    """Hers in the log."""
    turn: str = EVENT
    """What was to be done at that record: empty for her own event, else `due=…`, `command`, `kept=…` and the like."""


class Fault(Struct, frozen=True):
    """What went wrong; nothing of what a customer wrote."""

    error: str
    """The exception's type."""
    where: str
    """The file and line of the program."""
    rules_version: int
    offset: int = 0
    """Where it went wrong, as in the place."""

    def told(self, turn: str) -> str:
        """Say it in words; the turn tells by whose doing."""
        what = turn.partition("=")[0] or "event"
        return f"the rules raise {self.error} in {self.where} ({what.replace('_', ' ')})"


Turn = tuple[bytes, str]
"""A customer's key, and what was to be done."""
LeftOut = Mapping[int, Mapping[Turn, Fault]]
"""By offset the turns to be left out."""


def encode_place(place: Place) -> bytes:
    """Name a place: the key of its record, whose partition is that of the log."""
    return b"%d:%s:%s" % (place.offset, place.turn.encode(), place.key)


def decode_place(name: bytes) -> Place:
    """Read the name of a place.

    Raises:
        ValueError: it is none.
    """
    offset, turn, key = name.split(b":", 2)
    return Place(int(offset), key, turn.decode())


def encode_fault(fault: Fault) -> bytes:
    """Encode what went wrong: JSON, so that a person with a Kafka tool can read it."""
    return msgspec.json.encode(fault)


def decode_fault(value: bytes) -> Fault:
    """Decode what went wrong.

    Raises:
        msgspec.MsgspecError: it is none of ours.
    """
    return msgspec.json.decode(value, type=Fault)
