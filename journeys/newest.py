"""The newest events of a customer: when each occurred, and of which type.

They are kept as bytes, 8 for each event in their order, because they are copied, hashed and stored with every state:
the instant times 256, and the number of its type, which is the place of the type among the counted ones. Of a type
beyond those that are counted, only that is known.
"""

from collections.abc import Iterable
from typing import Final

from schemas.customer import RECENT_EVENTS, Customer
from schemas.instants import EARLIEST, LATEST, Millis

OTHER_TYPES: Final = "other"
_BYTES: Final = 8
_NUMBERS: Final = 256


def add_newest(customer: Customer, counted_as: str, at: Millis) -> None:
    """Take an event in, behind those of its instant, and forget the oldest of too many.

    Args:
        customer: who did it.
        counted_as: the type under which it has been counted.
        at: when it occurred.
    """
    newest, counts = customer.recent, customer.counts
    at = min(max(at, EARLIEST), LATEST)
    entry = (at * _NUMBERS + list(counts).index(counted_as)).to_bytes(_BYTES, "big", signed=True)
    if newest and at < _instant(newest, len(newest) - _BYTES):
        place = len(newest) - _BYTES
        while place and at < _instant(newest, place - _BYTES):
            place -= _BYTES
        newest = newest[:place] + entry + newest[place:]
    else:
        newest += entry
    customer.recent = newest[-RECENT_EVENTS * _BYTES :]


def newest_events(customer: Customer) -> list[tuple[Millis, str]]:
    """Return when the newest events occurred, and their types, oldest first."""
    types, newest = list(customer.counts), customer.recent
    numbers = (
        int.from_bytes(newest[place : place + _BYTES], "big", signed=True) for place in range(0, len(newest), _BYTES)
    )
    return [(at, types[number]) for at, number in (divmod(each, _NUMBERS) for each in numbers)]


def set_newest(customer: Customer, events: Iterable[tuple[Millis, str]]) -> None:
    """Replace the newest events, given in their order; types that aren't counted become `other`."""
    customer.recent = b""
    for at, event_type in events:
        add_newest(customer, event_type if event_type in customer.counts else OTHER_TYPES, at)


def _instant(newest: bytes, place: int) -> Millis:
    return int.from_bytes(newest[place : place + _BYTES], "big", signed=True) // _NUMBERS
