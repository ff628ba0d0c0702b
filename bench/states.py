"""How many bytes a customer's state has, stored: of two with two executions under way.

The typical one is the median of those whom the demo has at 44 instants among its first 1,500 customers (83 states; a
tenth of them weigh a fourth more): her name, address and zone are known, and she ordered twice within the hour, which
began two workflows of `examples/shop`. In the trigger job every execution is over at once, so it has none.

The busy one signed up with an address and a phone, the CRM knows three things about her, she came to the shop on two
days before, and did thirty things today; the welcome series has gone out to her in part, and a basket that she left
behind is being followed up.
"""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw, Struct

from agents.engine import Engine
from journeys.catalogue import compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.customer import Customer, Head, encode_customer, store_customer
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
_Entry = tuple[Millis, str, Stream, dict[str, Json]]


class StateSize(Struct, frozen=True, kw_only=True):
    """What the stored state of one customer weighs."""

    who: str
    state_bytes: int
    """As it is stored, with its head."""
    plain_bytes: int
    """Before it is compressed; the same where it isn't."""
    executions: int
    events: int
    largest: dict[str, int]
    """The fields that weigh most, with their bytes."""


def states() -> list[StateSize]:
    """Weigh the typical state and the busy one."""
    return [
        _weigh("typical", ["shop"], _orders(), BEGIN + DAY_MS),
        _weigh("busy", ["welcome", "cart-abandonment"], _busy(), BEGIN + TODAY * MINUTE_MS + HOUR_MS),
    ]


def _weigh(who: str, folders: list[str], history: list[_Entry], until: Millis) -> StateSize:
    documents = [document for folder in folders for document in load_folder(EXAMPLES / folder).documents]
    own = {(_kind(document), _name(document)): document for document in documents}
    catalogue = compile_catalogue(definitions_from_documents(list(own.values())), 1)
    engine = Engine(CustomersTable(), catalogue)
    for number, (at, event_type, stream, properties) in enumerate(history):
        list(engine.fire(at))
        engine.take(_KEY, _event(number, at, event_type, stream, properties), at)
    list(engine.fire(until))
    customer = engine.table.get(_KEY)
    assert customer is not None  # noqa: S101 -- her events have just been folded
    head = Head(catalogue=1, deadline=None, last_offset=0)
    fields = {name: _weight(customer, name) for name in customer.__struct_fields__}
    heaviest = sorted(fields, key=lambda name: -fields[name])[:8]
    return StateSize(
        state_bytes=len(store_customer(customer, head)),
        plain_bytes=len(encode_customer(customer, head)),
        who=who,
        executions=len(customer.executions),
        events=len(history),
        largest={name: fields[name] for name in heaviest},
    )


def _kind(document: Json) -> str:
    return str(document.get("kind", "workflow")) if isinstance(document, dict) else ""


def _name(document: Json) -> str:
    return str(document.get("id", document.get("name"))) if isinstance(document, dict) else ""


def _weight(customer: Customer, name: str) -> int:
    value = getattr(customer, name)
    return len(msgspec.msgpack.encode(value)) if value else 0


def _orders() -> list[_Entry]:
    """What the typical one did, in order; as the demo tells it."""
    attributes: dict[str, Json] = {"first_name": "Rachel"}
    known: dict[str, Json] = {"email": "rachel.00783@example.com", "attributes": attributes}
    known["preferences"] = {"timezone": "America/Chicago"}
    found: list[_Entry] = [(BEGIN, "customer_updated", "crm", known)]
    for number, (minutes, items, total) in enumerate(((4, 1, 23.99), (54, 4, 54.7)), start=1):
        order: dict[str, Json] = {"order_id": f"00783-{number}", "items": items, "total": total, "currency": "USD"}
        found.append((BEGIN + minutes * MINUTE_MS, "order_completed", "behavioral", order))
    return found


def _busy() -> list[_Entry]:
    """What the busy one did, in order."""
    signup: dict[str, Json] = {"email": "ada@shop.example", "phone": "+15550000042", "source": "website"}
    attributes: dict[str, Json] = {"first_name": "Ada", "plan": "free", "city": "Graz"}
    found: list[_Entry] = [
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
