"""Purchases as events: what the shop's website and CRM would have sent, had they been ours in 1997.

Only what the data says happened: one `order_completed` a purchase, and before a customer's first one the
`customer_updated` with which the CRM makes her known. No opens, no clicks. What the data doesn't say and a message
needs (first name, address, zone, hour of the day) is a hash of the customer or the order, so the file is the same
on every machine.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Final

import msgspec

from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import MINUTE_MS, SECOND_MS, Millis, format_instant, from_local
from tidings.demo.purchases import Purchase

_NAMES: Final = [
    "Aaron",
    "Alice",
    "Amber",
    "Andre",
    "Angela",
    "Anita",
    "Ben",
    "Beth",
    "Brian",
    "Carla",
    "Carlos",
    "Carol",
    "Chris",
    "Claire",
    "Dana",
    "Daniel",
    "David",
    "Debra",
    "Diana",
    "Donna",
    "Edward",
    "Elena",
    "Emily",
    "Eric",
    "Erin",
    "Frank",
    "Gina",
    "Grace",
    "Greg",
    "Hannah",
    "Heather",
    "Helen",
    "Holly",
    "Irene",
    "Jack",
    "Jamal",
    "James",
    "Janet",
    "Jason",
    "Jenny",
    "Joan",
    "Joel",
    "Jorge",
    "Judy",
    "Julia",
    "Karen",
    "Keith",
    "Kevin",
    "Kim",
    "Laura",
    "Leon",
    "Linda",
    "Lisa",
    "Louis",
    "Lucy",
    "Marcus",
    "Maria",
    "Mark",
    "Martha",
    "Megan",
    "Miguel",
    "Mike",
    "Mona",
    "Nancy",
    "Nathan",
    "Nina",
    "Olivia",
    "Oscar",
    "Pam",
    "Patrick",
    "Paul",
    "Paula",
    "Peter",
    "Rachel",
    "Ralph",
    "Rita",
    "Robert",
    "Rosa",
    "Ruth",
    "Sam",
    "Sandra",
    "Sara",
    "Scott",
    "Sean",
    "Sheila",
    "Simon",
    "Sonia",
    "Steve",
    "Susan",
    "Teresa",
    "Tim",
    "Tina",
    "Tom",
    "Tony",
    "Tracy",
    "Vera",
    "Victor",
    "Walter",
    "Wendy",
    "Yolanda",
]
# Roughly as the population of the United States spread over them.
_ZONES: Final = (
    ("America/New_York", 48),
    ("America/Chicago", 29),
    ("America/Denver", 7),
    ("America/Los_Angeles", 16),
)
# How many of a hundred orders come in at each local hour: few at night, most at lunch and after work.
_ORDERS_BY_HOUR: Final = (1, 1, 0, 0, 0, 0, 1, 2, 3, 5, 6, 7, 8, 7, 6, 6, 6, 6, 6, 7, 8, 7, 5, 2)
_WRITE_EVERY: Final = 2_000

Entry = tuple[Millis, int, dict[str, Json]]
"""When it occurred, its place where instants are equal, and the event."""

_encoder: Final = msgspec.json.Encoder()


def write_events(path: Path, purchases: Iterable[Purchase], progress: Callable[[int, int], object]) -> int:
    """Write the events of purchases in the order of time; return how many.

    Args:
        path: an NDJSON file as `simulate` and `run` read it; written anew.
        purchases: those of one customer one after the other, as in the data set.
        progress: is called with how many are written, of how many.

    Raises:
        TidingsError: the file can't be written.
    """
    entries = sorted(_entries(purchases), key=lambda entry: entry[:2])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for number, (at, _, event) in enumerate(entries, start=1):
                file.write(_encoder.encode({**event, "occurred_at": format_instant(at)}) + b"\n")
                if number % _WRITE_EVERY == 0:
                    progress(number, len(entries))
    except OSError as error:
        msg = f"can't write the events to {path}: {error.strerror}"
        raise TidingsError(msg) from None
    progress(len(entries), len(entries))
    return len(entries)


def _entries(purchases: Iterable[Purchase]) -> Iterator[Entry]:
    place = 0
    for orders in _by_customer(purchases):
        customer = orders[0].customer
        zone_name = zone_of(customer)
        timed = sorted(
            (ordered_at(order, number, zone_name), number, order) for number, order in enumerate(orders, start=1)
        )
        first_at = timed[0][0]
        known_at = first_at - (2 + _chance(f"known {customer}") % 8) * MINUTE_MS
        yield known_at, place, _known(customer, zone_name)
        for at, number, order in timed:
            place += 1
            yield at, place, _order(order, number)
        place += 1


def _by_customer(purchases: Iterable[Purchase]) -> Iterator[list[Purchase]]:
    orders: list[Purchase] = []
    for purchase in purchases:
        if orders and orders[0].customer != purchase.customer:
            yield orders
            orders = []
        orders.append(purchase)
    if orders:
        yield orders


def zone_of(customer: str) -> str:
    """Return the zone a customer lives in."""
    place = _chance(f"zone {customer}") % 100
    return next(
        name for (name, _), above in zip(_ZONES, accumulate(w for _, w in _ZONES), strict=True) if place < above
    )


def ordered_at(purchase: Purchase, number: int, zone_name: str) -> Millis:
    """Return when the customer's `number`-th purchase was made: on its day, at an hour and a second of chance."""
    chance = _chance(f"order {purchase.customer} {number}")
    hour = next(hour for hour, above in enumerate(accumulate(_ORDERS_BY_HOUR)) if chance % 100 < above)
    second = chance // 100 % 3_600
    return _instant(purchase.day, hour, zone_name) + second * SECOND_MS


@lru_cache(maxsize=2**16)
def _instant(day: date, hour: int, zone_name: str) -> Millis:
    return from_local(datetime.combine(day, time(hour)), zone_name)


def _known(customer: str, zone_name: str) -> dict[str, Json]:
    name = _NAMES[_chance(f"name {customer}") % len(_NAMES)]
    return {
        "event_id": f"crm-{customer}",
        "type": "customer_updated",
        "occurred_at": None,
        "customer_id": customer,
        "source": "crm",
        "properties": {
            "email": f"{name.lower()}.{customer}@example.com",
            "attributes": {"first_name": name},
            "preferences": {"timezone": zone_name},
        },
    }


def _order(order: Purchase, number: int) -> dict[str, Json]:
    return {
        "event_id": f"order-{order.customer}-{number}",
        "type": "order_completed",
        "occurred_at": None,
        "customer_id": order.customer,
        "source": "website",
        "properties": {
            "order_id": f"{order.customer}-{number}",
            "items": order.cds,
            "total": order.cents / 100,
            "currency": "USD",
        },
    }


def _chance(cause: str) -> int:
    return int.from_bytes(blake2b(cause.encode(), digest_size=6).digest(), "big")
