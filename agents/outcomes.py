"""What folding a record leads to: decisions about one customer, and records for others."""

from typing import Final

from msgspec import Struct

from schemas.decisions import Effect
from schemas.instants import Millis
from schemas.linking import Link

SURVIVOR_PLACE: Final = 1 << 16
"""Where the places of the survivor's records on a line begin, behind those of whom she absorbs."""


class Outcome(Struct, frozen=True):
    """What one input led to: the customer, the decision time, and the effects in order (possibly none)."""

    customer_id: str
    now: Millis
    effects: list[Effect]
    by_event: bool = False
    """Whether the record that was taken led to it, and not time."""
    sequence: bytes | None = None
    """Of the record that led to it, where that had waited."""
    first_place: int = 0
    """The place of its first effect: several customers may decide on one line."""


class Letter(Struct, frozen=True, kw_only=True):
    """A record for the log, to another customer."""

    key: bytes
    link: Link
    value: bytes
    at: Millis
    sequence: bytes | None


def latest(*appended: Millis | None) -> Millis | None:
    """Return the clock when the last of what was needed was in the log; None in a log with its own clock."""
    return max((one for one in appended if one is not None), default=None)
