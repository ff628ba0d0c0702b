"""`send_event`: what a workflow itself puts on the customer's log.

Such an event is applied inside the decision that made it, after the effects of its cause, so it never travels and
can't be lost or doubled. Its id is made from the visit that sent it. It belongs to the stream `workflow`: it is no
activity of the customer, in no session, and stands between no two of her own events.
"""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from journeys.resolving import compile_value
from journeys.scene import Scene
from schemas.definitions import SendEvent
from schemas.events import CRM_TYPES, ENGAGEMENT_TYPES, MAX_PROPERTIES_BYTES, Event, is_too_deep

SOURCE: Final = "workflow"
VISITOR: Final = "a:"
"""What the id of a customer who is known by an anonymous id begins with."""
RESERVED_TYPES: Final = ENGAGEMENT_TYPES | CRM_TYPES | {"identify", "alias"}
"""What only the world can say: that a mail was opened, that two ids are one person."""

Emit = Callable[[Scene, str], Event | None]
"""Makes the event, under the given id; None where its properties became larger than an event's may be."""


def compile_event(configuration: SendEvent) -> Emit:
    """Compile the event that a step sends.

    Raises:
        ValueError: a reference in its properties names no field that can exist.
    """
    resolve = compile_value(dict(configuration.properties))
    event_type = configuration.event_type

    def make(scene: Scene, event_id: str) -> Event | None:
        properties = resolve(scene)
        assert isinstance(properties, dict)  # noqa: S101 -- an object resolves to an object
        if is_too_deep(properties):
            return None
        encoded = _encode(properties)
        if len(encoded) > MAX_PROPERTIES_BYTES:
            return None
        customer_id = scene.customer.customer_id
        is_visitor = customer_id.startswith(VISITOR)
        return Event(
            event_id=event_id,
            type=event_type,
            occurred_at=scene.now,
            stream="workflow",
            customer_id=None if is_visitor else customer_id,
            anonymous_id=customer_id.removeprefix(VISITOR) if is_visitor else None,
            source=SOURCE,
            properties=Raw(encoded),
            has_address="email" in properties or "phone" in properties,
        )

    return make


_encode: Final = msgspec.json.Encoder().encode
