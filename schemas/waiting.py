"""What waits at a customer who is being merged, or quarantined: her records, and answers that weren't awaited yet.

It is kept beside her state, under a key of its own, and not in it: what waits depends on how fast partitions are
worked on, and neither a decision nor its `state_hash` may depend on that.
"""

from typing import Final

import msgspec
from msgspec import Struct, field

from schemas.instants import Millis

MOST_HELD: Final = 256
"""Records that may wait behind the event that awaits an answer; then she goes on without it. Of a quarantined
customer so many are kept."""
MOST_ANSWERS: Final = 64


class Held(Struct, array_like=True, frozen=True):
    """One record of the log: what of it matters when its turn comes."""

    at: Millis
    value: bytes
    link: bytes = b""
    """As in its header; empty for an ordinary event."""
    sequence: bytes | None = None
    appended: Millis | None = None


class Shut(Struct, omit_defaults=True):
    """What is kept of a quarantined customer, apart from what waits because of a merge."""

    place: str
    """Where the rules raised, as a key of `quarantines`."""
    records: list[Held] = field(default_factory=list)
    """In the order of the log."""
    has_cause: bool = False
    """Whether the first is the one on which they raised; a timer has no record."""


class Waiting(Struct, omit_defaults=True):
    """What waits at one customer."""

    held: list[Held] = field(default_factory=list)
    """In the order of the log; the first is an event that awaits answers, unless places were asked for."""
    answers: dict[str, bytes] = field(default_factory=dict)
    """Answers that came before they were awaited, by event and key; empty ones say that nothing is left."""
    given_up: list[str] = field(default_factory=list)
    """Answers that are no longer waited for; they are taken when they come."""
    asked: list[str] = field(default_factory=list)
    """Questions for a place that aren't all answered yet."""
    granted: dict[str, bool] = field(default_factory=dict)
    """The answers so far."""
    shut: Shut | None = None
    """Where the rules raised for her: nothing is decided for her until she is released."""

    @property
    def is_over(self) -> bool:
        """Tell whether nothing waits."""
        return not (self.held or self.answers or self.given_up or self.asked or self.shut)


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Waiting)


def encode_waiting(waiting: Waiting) -> bytes:
    """Encode what waits at a customer."""
    return _encoder.encode(waiting)


def decode_waiting(stored: bytes) -> Waiting:
    """Decode what waits at a customer."""
    return _decoder.decode(stored)
