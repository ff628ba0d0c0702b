"""Dead letters: public records that are no events, unchanged, with headers behind their own that say what is wrong.

And what the rules couldn't do (`schemas/quarantines.py`): records of the customer log, likewise unchanged.

A letter is named after the public record that it was, `topic/partition/offset`: whoever wrote it may have written it
twice, and both are one letter. A topic that is deleted and made again counts from 0 once more, so what was done with a
letter also says by a digest of its bytes which one is meant.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct, json

from schemas.instants import Millis
from schemas.quarantines import HELD_TOO_MANY, LETTER_PLACE, RULES

Header = tuple[str, bytes | None]
Deed = Literal["retried", "discarded"]

HEADERS: Final = ("topic", "partition", "offset", "error_class", "reason")
"""What the ingest adds behind the record's own headers, in this order."""
FOREIGN: Final = "foreign"
"""The error class of a record in the dead letters that doesn't say where it came from."""
_LONGEST_NUMBER: Final = 19


class Letter(Struct, frozen=True, kw_only=True):
    """One dead letter; `at` is the timestamp that its producer gave it, epoch milliseconds."""

    topic: str
    partition: int
    offset: int
    error_class: str
    reason: str
    at: Millis
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    """The record's own, without those that were added."""

    @property
    def id(self) -> str:
        """Name it: `topic/partition/offset` of the public record, of one of the log with the customer's key."""
        place = f"{self.topic}/{self.partition}/{self.offset}"
        return f"{place}/{(self.key or b'').decode(errors='replace')}" if self.is_of_log else place

    @property
    def is_of_log(self) -> bool:
        """Say whether it is no public record, but one of the customer log, or a turn of a customer there."""
        return self.error_class in {RULES, HELD_TOO_MANY}

    @property
    def quarantine(self) -> str | None:
        """Name the place at which its customer was quarantined; None for any other letter."""
        place = next((text for name, text in self.headers if name == LETTER_PLACE), None)
        return None if self.error_class != RULES or place is None else place.decode(errors="replace")

    @property
    def is_foreign(self) -> bool:
        """Say whether it lacks the headers that say where it came from."""
        return self.error_class == FOREIGN

    @property
    def digest(self) -> str:
        """Tell it from another record at the same place of a topic made anew."""
        told = hashlib.sha256(f"{self.at} ".encode())
        told.update(self.key or b"")
        told.update(b"\0")
        told.update(self.value or b"")
        return told.hexdigest()[:32]


class Settled(Struct, frozen=True, kw_only=True):
    """What was done with a letter, and when; the value of its record, whose key is the letter's id."""

    deed: Deed
    at: Millis
    digest: str


class Place(Struct, frozen=True):
    """Where a record of the dead letters itself stands."""

    topic: str
    partition: int
    offset: int


def read_letter(place: Place, at: Millis, key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> Letter:
    """Read a record of the dead letters; one without the headers is named after its own place."""
    own, added = tuple(headers[: -len(HEADERS)]), tuple(headers[-len(HEADERS) :])
    told = [(text or b"").decode(errors="replace") for _, text in added]
    if tuple(name for name, _ in added) == HEADERS and _is_number(told[1]) and _is_number(told[2]):
        return Letter(
            topic=told[0], partition=int(told[1]), offset=int(told[2]), error_class=told[3], reason=told[4],
            at=at, key=key, value=value, headers=own,
        )  # fmt: skip
    return Letter(
        topic=place.topic, partition=place.partition, offset=place.offset, error_class=FOREIGN,
        reason="it doesn't say where it came from", at=at, key=key, value=value, headers=tuple(headers),
    )  # fmt: skip


def encode_settled(settled: Settled) -> bytes:
    """Encode what was done with a letter: JSON, so that a person with a Kafka tool can read it."""
    return json.encode(settled)


def decode_settled(value: bytes) -> Settled:
    """Decode what was done with a letter.

    Raises:
        msgspec.MsgspecError: it is none of ours.
    """
    return json.decode(value, type=Settled)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER
