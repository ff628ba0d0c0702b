"""The traffic of the trigger job: a shop's visits in 21 days, the same bytes for the same seed, made once.

Few customers come often and most come seldom; a visit is a burst of events seconds apart. One event in a hundred
reaches us up to an hour late, and one in two hundred twice, so that order and repetition are part of what is
measured. The file has a line for each record of the log: when it arrived, a space, the event as the log holds it.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Raw

from schemas.events import Event, Stream
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from schemas.log import encode_event

SEED: Final = 20_261_122
FORMAT: Final = 2
"""Raised when the same seed gives other bytes, so that no old file is read."""
CUSTOMERS: Final = 21_000
DAYS: Final = 21
BEGIN: Final[Millis] = 1_767_225_600_000
"""2026-01-01."""
LATE: Final = 0.01
REPEATED: Final = 0.005
_MOST_VISITS: Final = 60
_WEIGHT_OF_TYPE: Final = {
    "page_viewed": 44,
    "product_viewed": 28,
    "search_performed": 11,
    "product_added": 8,
    "email_opened": 3,
    "checkout_started": 3,
    "order_completed": 2,
    "payment_failed": 1,
}
_CATEGORIES: Final = ("records", "books", "instruments", "tickets", "clothing")
_CITIES: Final = ("Lisbon", "Oslo", "Graz", "Leeds", "Lyon", "Turin", "Ghent", "Kobe")
_encode: Final = msgspec.json.Encoder().encode


class Arrival(NamedTuple):
    """One record of the log: its timestamp and its value."""

    at: Millis
    value: bytes


def traffic(folder: Path) -> Path:
    """Return the file of arrivals, made if it isn't there."""
    path = folder / f"traffic-{SEED}-{CUSTOMERS}-{FORMAT}.txt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            file.writelines(b"%d %b\n" % arrival for arrival in sorted(_arrivals(random.Random(SEED))))
        unfinished.rename(path)
    return path


def read_traffic(path: Path) -> Iterator[Arrival]:
    """Iterate over the arrivals, in order."""
    with path.open("rb") as file:
        for line in file:
            at, _, value = line.rstrip(b"\n").partition(b" ")
            yield Arrival(int(at), value)


def _arrivals(chance: random.Random) -> Iterator[Arrival]:
    for number in range(CUSTOMERS):
        first = True
        for start in _visits(chance):
            for event in _visit(chance, number, start, first=first):
                late = not first and chance.random() < LATE
                delay = chance.randrange(HOUR_MS) if late else 0 if first else chance.randrange(50, 3_000)
                arrival = Arrival(event.occurred_at + delay, encode_event(event))
                yield arrival
                if chance.random() < REPEATED:
                    yield arrival._replace(at=arrival.at + chance.randrange(10 * MINUTE_MS))
                first = False


def _visits(chance: random.Random) -> list[Millis]:
    count = min(_MOST_VISITS, int(chance.paretovariate(1.25)))
    return sorted(BEGIN + chance.randrange(DAYS * DAY_MS) for _ in range(count))


def _visit(chance: random.Random, number: int, start: Millis, *, first: bool) -> Iterator[Event]:
    at, session = start, f"{number:05d}-{start:x}"
    interest = chance.choice(_CATEGORIES)
    if first:
        yield _event(chance, number, "signup", at, session, interest)
    types, weights = list(_WEIGHT_OF_TYPE), list(_WEIGHT_OF_TYPE.values())
    while True:
        at += 1_000 + int(chance.expovariate(1 / 40_000))
        yield _event(chance, number, chance.choices(types, weights)[0], at, session, interest)
        if chance.random() < 0.18:
            return


def _event(chance: random.Random, number: int, type_: str, at: Millis, session: str, interest: str) -> Event:
    stream: Stream = "engagement" if type_.startswith("email_") else "behavioral"
    return Event(
        event_id=f"{chance.getrandbits(64):016x}",
        type=type_,
        occurred_at=at,
        received_at=at + 40,
        stream=stream,
        customer_id=f"customer-{number:05d}",
        session_id=session,
        source="website",
        properties=Raw(_encode(_properties(chance, number, type_, interest))),
        has_address=type_ == "signup",
    )


def _properties(chance: random.Random, number: int, type_: str, interest: str) -> dict[str, object]:
    match type_:
        case "signup":
            return {"email": f"customer-{number:05d}@shop.example", "phone": f"+1555{number:07d}", "plan": "free"}
        case "product_viewed" | "product_added":
            category = interest if chance.random() < 0.7 else chance.choice(_CATEGORIES)
            price = chance.randrange(500, 20_000) / 100
            product = f"p{chance.randrange(5_000)}"
            return {"product_id": product, "category": category, "price": price, "currency": "EUR"}
        case "checkout_started" | "order_completed" | "payment_failed":
            total = chance.randrange(1_000, 30_000) / 100
            return {"order_id": f"o{chance.getrandbits(32)}", "total": total, "currency": "EUR", "items": 2}
        case "search_performed":
            return {"query": f"{interest} from {chance.choice(_CITIES)}", "results": chance.randrange(200)}
        case "email_opened":
            return {"send_id": f"s{chance.getrandbits(96):024x}", "client": "webmail"}
        case _:
            path = f"/{interest}/{chance.randrange(900)}"
            return {"path": path, "referrer": "https://search.example/", "width": 1440}
