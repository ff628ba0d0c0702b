"""How many bytes a customer's state has, stored: of somebody typical with two executions under way.

She signed up with an address and a phone, the CRM knows three things about her, she came to the shop on two days
before, and did thirty things today; the welcome series has gone out to her in part, and a basket that she left behind
is being followed up. The definitions are those of `examples/`.
"""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw, Struct

from agents.engine import Engine
from journeys.catalogue import compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.customer import Customer, Head, encode_customer
from schemas.events import Event, Json, Stream
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tables.customers import CustomersTable
from tidings.definitions_folder import load_folder

EXAMPLES: Final = Path(__file__).resolve().parents[1] / "examples"
BEGIN: Final[Millis] = 1_774_951_200_000
"""2026-03-31, 10 o'clock in UTC."""
TODAY: Final = 30
_BROWSED: Final = (
    "page_viewed",
    "product_viewed",
    "page_viewed",
    "search_performed",
    "product_viewed",
    "product_added",
)
_KEY: Final = b"c:customer-00042"
_encode: Final = msgspec.json.Encoder().encode


class StateSize(Struct, frozen=True, kw_only=True):
    """What the stored state of one customer weighs."""

    state_bytes: int
    executions: int
    events_today: int
    largest: dict[str, int]
    """The fields that weigh most, with their bytes."""


def typical_state() -> StateSize:
    """Weigh the state of a typical customer with two executions."""
    documents = [*load_folder(EXAMPLES / "welcome").documents, *load_folder(EXAMPLES / "cart-abandonment").documents]
    own = {(_kind(document), _name(document)): document for document in documents}
    catalogue = compile_catalogue(definitions_from_documents(list(own.values())), 1)
    engine = Engine(CustomersTable(), catalogue)
    history = _history()
    for number, (at, event_type, stream, properties) in enumerate(history):
        list(engine.fire(at))
        engine.take(_KEY, _event(number, at, event_type, stream, properties), at)
    list(engine.fire(history[-1][0] + HOUR_MS))
    customer = engine.table.get(_KEY)
    assert customer is not None  # noqa: S101 -- her events have just been folded
    head = Head(catalogue=1, deadline=None, last_offset=0)
    fields = {name: _weight(customer, name) for name in customer.__struct_fields__}
    heaviest = sorted(fields, key=lambda name: -fields[name])[:8]
    return StateSize(
        state_bytes=len(encode_customer(customer, head)),
        executions=len(customer.executions),
        events_today=TODAY,
        largest={name: fields[name] for name in heaviest},
    )


def _kind(document: Json) -> str:
    return str(document.get("kind", "workflow")) if isinstance(document, dict) else ""


def _name(document: Json) -> str:
    return str(document.get("id", document.get("name"))) if isinstance(document, dict) else ""


def _weight(customer: Customer, name: str) -> int:
    value = getattr(customer, name)
    return len(msgspec.msgpack.encode(value)) if value else 0


def _history() -> list[tuple[Millis, str, Stream, dict[str, Json]]]:
    """What she did, in order."""
    signup: dict[str, Json] = {"email": "ada@shop.example", "phone": "+15550000042", "source": "website"}
    attributes: dict[str, Json] = {"first_name": "Ada", "plan": "free", "city": "Graz"}
    found: list[tuple[Millis, str, Stream, dict[str, Json]]] = [
        (BEGIN - 2 * DAY_MS, "signup", "behavioral", signup),
        (BEGIN - 2 * DAY_MS + MINUTE_MS, "customer_updated", "crm", {"attributes": attributes}),
    ]
    for day in (2, 1):
        at = BEGIN - day * DAY_MS + HOUR_MS
        found += [(at + place * MINUTE_MS, name, "behavioral", {}) for place, name in enumerate(_BROWSED)]
    for number in range(TODAY - 1):
        name = _BROWSED[number % len(_BROWSED)]
        found.append((BEGIN + number * MINUTE_MS, name, "behavioral", {"product_id": "p17", "price": 12.5}))
    basket: dict[str, Json] = {"cart_id": "b1204", "total": 134.9, "currency": "EUR", "items": 2}
    found.append((BEGIN + TODAY * MINUTE_MS, "cart_updated", "behavioral", basket))
    return found


def _event(number: int, at: Millis, event_type: str, stream: Stream, properties: dict[str, Json]) -> Event:
    return Event(
        event_id=f"{number:016x}",
        type=event_type,
        occurred_at=at,
        received_at=at,
        stream=stream,
        customer_id="customer-00042",
        session_id=f"{at // DAY_MS:x}",
        source="website",
        properties=Raw(_encode(properties)),
        has_address="email" in properties,
    )
