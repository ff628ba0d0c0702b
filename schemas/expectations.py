"""`kind: test`: events, and the messages and decisions that have to come of them.

A test says when things happen after its `start`, or by their time. Events are a producer's: they pass the same checks.
"""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.decisions import Channel, Kind
from schemas.events import Json

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Span = Annotated[float, Meta(ge=0)]

DEFAULT_START = "2026-01-05T09:00:00Z"
"""A Monday, in business hours, and in the first of the default best hours (in UTC)."""
DEFAULT_CUSTOMER = "customer"


class Timed(Struct, frozen=True, kw_only=True):
    """A time after the start of the test; what is given adds up."""

    after_days: Span | None = None
    """Days of 24 hours after the start of the test."""
    after_hours: Span | None = None
    """Hours after the start of the test."""
    after_minutes: Span | None = None
    """Minutes after the start of the test."""


class TriedEvent(Timed, frozen=True, kw_only=True):
    """One event of a test, in the order of arrival; without a time it happens at the start."""

    type: Name
    """What happened, such as `order_completed`."""
    customer_id: Name | None = None
    """Who it happened to; `customer` where neither id is given."""
    anonymous_id: Name | None = None
    """The visitor, where the customer isn't known."""
    event_id: Name | None = None
    """Default: its place among the events of the test."""
    occurred_at: str | None = None
    """When it happened, instead of `after_…`: RFC 3339 with an offset."""
    received_at: str | None = None
    """When it arrived, where that is later."""
    source: str | None = None
    """Where it comes from, such as `website`."""
    session_id: str | None = None
    """The producer's session."""
    topic: str | None = None
    """The public topic, where the type doesn't say it."""
    properties: dict[str, Json] = {}
    """What else is known of it."""
    context: dict[str, Json] = {}
    """User agent, page, locale, campaign."""


class ExpectedSend(Timed, frozen=True, kw_only=True):
    """One message; what isn't named may be anything."""

    template_id: Name | None = None
    """The template it is made of."""
    workflow_id: Name | None = None
    """The workflow that sends it."""
    step_id: Name | None = None
    """The step that sends it."""
    channel: Channel | None = None
    """The channel it goes out on."""
    customer_id: Name | None = None
    """Who gets it."""
    to: str | None = None
    """The address."""
    subject: str | None = None
    """The whole subject."""
    contains: str | None = None
    """A piece of the HTML or of the text."""
    send_at: str | None = None
    """When it goes out, instead of `after_…`: RFC 3339 with an offset."""


class ExpectedDecision(Timed, frozen=True, kw_only=True):
    """One decision; what isn't named may be anything."""

    kind: Kind
    """What was decided."""
    reason: str | None = None
    """Why, such as `cooldown`."""
    workflow_id: Name | None = None
    """The workflow it concerns."""
    step_id: Name | None = None
    """The step it concerns."""
    trigger_id: Name | None = None
    """The trigger it concerns."""
    customer_id: Name | None = None
    """The customer it concerns."""
    at: str | None = None
    """When, instead of `after_…`: RFC 3339 with an offset."""


class WorkflowTest(Struct, frozen=True, kw_only=True, tag_field="kind", tag="test"):
    """A test of workflows: these events lead to these messages and decisions. Run by `tidings check`."""

    id: Name
    """Its name in reports."""
    events: tuple[TriedEvent, ...]
    """What happens, in the order of arrival."""
    description: str = ""
    """What it is about."""
    start: str = DEFAULT_START
    """The beginning of its time: RFC 3339 with an offset."""
    until: str | None = None
    """How far time runs after the last event; by default so far that every execution has ended."""
    sends: tuple[ExpectedSend, ...] | None = None
    """All messages, in order; an empty list: none. Left out: any."""
    decisions: tuple[ExpectedDecision, ...] = ()
    """Decisions that must be made, in this order; others may stand between."""
