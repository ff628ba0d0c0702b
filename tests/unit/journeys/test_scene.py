"""What a condition looks at is decoded when it is looked at, and once."""

import msgspec
from msgspec import Raw

from journeys.scene import View
from schemas.events import Event


def view(properties: bytes, context: bytes) -> View:
    event = Event(
        event_id="e", type="t", occurred_at=0, stream="behavioral", customer_id="ada",
        properties=Raw(properties), context=Raw(context),
    )  # fmt: skip
    return View(event)


def test_properties_and_context_are_decoded_once() -> None:
    seen = view(b'{"a":1}', b'{"page":{"url":"x"}}')
    assert seen.properties() == {"a": 1}
    assert seen.properties() is seen.properties()
    assert seen.context() == {"page": {"url": "x"}}
    assert seen.context() is seen.context()


def test_what_was_decoded_is_what_the_event_holds() -> None:
    seen = view(b"{}", b"{}")
    assert msgspec.json.encode(seen.properties()) == b"{}"
    assert seen.context() == {}
