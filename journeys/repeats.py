"""Remembering which events were decided on, so that one that comes again leads to nothing.

What is remembered is bytes, because it is copied, hashed and stored with every state: 8 bytes with an instant in
milliseconds, then for each event, in the order of decisions, the 8 bytes of its id's hash and 4 with how many
milliseconds behind that instant it was decided on.
"""

from collections.abc import Iterable
from struct import Struct
from typing import Final

from schemas.customer import SEEN_EVENTS, Customer
from schemas.instants import DAY_MS, Millis

_BEGIN: Final = Struct(">q")
_ENTRY: Final = Struct(">QI")
_SPAN: Final = 2**32
_HEAD_BYTES, _ENTRY_BYTES, _HASH_BYTES = _BEGIN.size, _ENTRY.size, 8


def seen_before(customer: Customer, identity: int, now: Millis) -> bool:
    """Remember an event, 64 of them for 24 hours; tell whether it was remembered already.

    Args:
        customer: whose event it is.
        identity: the hash of the event's id.
        now: the decision time.
    """
    seen = customer.seen
    if seen:
        customer.seen = seen = _within_a_day(seen, now)
        if _place(seen, identity) >= 0:
            return True
    customer.seen = _with(seen, identity, now)
    return False


def entries(seen: bytes) -> list[tuple[int, Millis]]:
    """Return the hashes of the events that are remembered, each with the time it was decided at, oldest first."""
    if not seen:
        return []
    begin: int = _BEGIN.unpack_from(seen)[0]
    return [(identity, begin + offset) for identity, offset in _ENTRY.iter_unpack(seen[_HEAD_BYTES:])]


def pack(found: Iterable[tuple[int, Millis]]) -> bytes:
    """Remember these: hashes with times, oldest first; the newest 64 of those that 49 days hold."""
    kept = list(found)[-SEEN_EVENTS:]
    if not kept:
        return b""
    last = max(at for _, at in kept)
    kept = [(identity, at) for identity, at in kept if last - at < _SPAN]
    begin = min(at for _, at in kept)
    return _BEGIN.pack(begin) + b"".join(_ENTRY.pack(identity, at - begin) for identity, at in kept)


def latest(seen: bytes) -> Millis | None:
    """Return when the last of them was decided on; None where none is remembered."""
    return entries(seen)[-1][1] if seen else None


def _within_a_day(seen: bytes, now: Millis) -> bytes:
    """Forget what is too old."""
    least = now - DAY_MS - int(_BEGIN.unpack_from(seen)[0])
    place, size = _HEAD_BYTES, len(seen)
    while place < size and _ENTRY.unpack_from(seen, place)[1] <= least:
        place += _ENTRY_BYTES
    if place == _HEAD_BYTES:
        return seen
    return seen[:_HEAD_BYTES] + seen[place:] if place < size else b""


def _place(seen: bytes, identity: int) -> int:
    """Return where an event stands; -1 if it isn't remembered."""
    name = identity.to_bytes(_HASH_BYTES, "big")
    place = seen.find(name, _HEAD_BYTES)
    while place >= 0 and (place - _HEAD_BYTES) % _ENTRY_BYTES:
        place = seen.find(name, place + 1)
    return place


def _with(seen: bytes, identity: int, now: Millis) -> bytes:
    """Append an event, and forget the oldest when there are too many."""
    if not seen:
        return _BEGIN.pack(now) + _ENTRY.pack(identity, 0)
    offset = now - int(_BEGIN.unpack_from(seen)[0])
    if not 0 <= offset < _SPAN:
        return pack([*entries(seen), (identity, now)])
    if len(seen) >= _HEAD_BYTES + SEEN_EVENTS * _ENTRY_BYTES:
        seen = seen[:_HEAD_BYTES] + seen[_HEAD_BYTES + _ENTRY_BYTES :]
    return seen + _ENTRY.pack(identity, offset)
