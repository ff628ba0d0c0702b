"""The scene that conditions look at: one customer at one instant, with the event and the execution in view.

One scene serves a whole decision. The caller moves it on by assigning `event`, `execution`, `now` or `zone`;
what was decoded is kept by the identity of what it was decoded from, so nothing is decoded twice and nothing
stale is read.
"""

from typing import Final

import msgspec
from msgspec import Struct

from schemas.customer import Customer, Execution
from schemas.events import Event, Json
from schemas.instants import Millis
from schemas.kept_events import kept_event


class View:
    """An event whose properties and context are decoded when a rule first asks for them."""

    __slots__ = ("_context", "_properties", "event")

    def __init__(self, event: Event) -> None:
        """Look at an event; nothing is decoded yet."""
        self.event = event
        self._properties: dict[str, Json] | None = None
        self._context: dict[str, Json] | None = None

    def properties(self) -> dict[str, Json]:
        """Return the decoded properties."""
        if self._properties is None:
            self._properties = decode_object(self.event.properties)
        return self._properties

    def context(self) -> dict[str, Json]:
        """Return the decoded context."""
        if self._context is None:
            self._context = decode_object(self.event.context)
        return self._context


class Scene(Struct, kw_only=True, eq=False):
    """What a condition may depend on, and where it says what it noticed."""

    customer: Customer
    now: Millis
    half_life_ms: float
    event: Event | None = None
    """The present event; None outside triggers, exits, goals and waits, where `event.…` is missing."""
    execution: Execution | None = None
    """The execution that is being moved; None while triggers are looked at."""
    zone: str = "UTC"
    """The customer's zone (a valid IANA name), in which a date begins."""
    warnings: list[str] = []
    """What the decision should say: what couldn't be compared, what stood in for what. The caller takes them off."""
    present_view: View | None = None
    trigger_source: bytes | None = None
    trigger_view: View | None = None
    last_source: bytes | None = None
    last_view: View | None = None

    def present(self) -> View | None:
        """Return the present event, or None."""
        event = self.event
        if event is None:
            return None
        view = self.present_view
        if view is None or view.event is not event:
            view = self.present_view = View(event)
        return view

    def trigger(self) -> View | None:
        """Return the event that started the execution; None without an execution, or if a timer started it."""
        source = None if self.execution is None else self.execution.trigger
        if source is not self.trigger_source:
            self.trigger_source, self.trigger_view = source, _decode_view(source)
        return self.trigger_view

    def last_event(self) -> View | None:
        """Return the event that ended the execution's last wait, or None."""
        source = None if self.execution is None else self.execution.last_event
        if source is not self.last_source:
            self.last_source, self.last_view = source, _decode_view(source)
        return self.last_view

    def event_properties(self) -> dict[str, Json]:
        """Return the properties of the present event; empty without one."""
        view = self.present()
        return {} if view is None else view.properties()

    def warn(self, text: str) -> None:
        """Note once what the decision should say."""
        if text not in self.warnings:
            self.warnings.append(text)


decode_object: Final = msgspec.json.Decoder(dict[str, Json]).decode
"""Decodes the properties or the context of an event."""


def _decode_view(source: bytes | None) -> View | None:
    event = kept_event(source) if source else None
    return None if event is None else View(event)
