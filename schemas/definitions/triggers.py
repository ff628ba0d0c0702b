"""Triggers, and the conditions on which they fire."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from schemas.definitions.conditions import Condition
from schemas.definitions.words import Count, Name, NotNegative, Positive, Stage
from schemas.events import Json

ANYTHING: Final[Json] = "*"
"""Stands in `from` and `to` of a changed attribute for whatever it is."""


class EventCondition(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="event"):
    """Fires when such an event arrives; any other key of the document is an equality, kept in `equals`."""

    event_type: Name
    """The type of the event, such as `order_completed`."""
    where: Condition | None = None
    """A condition that has to hold besides; any other key is an equality with the field or property of that name."""
    equals: dict[str, Json] = {}


class FrequencyThreshold(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="frequency_threshold"):
    """Fires when the event raises the number of such events in the window that ends with it to `min_frequency`."""

    event_type: Name
    """The type of the event, such as `order_completed`."""
    min_frequency: Count = 3
    """At how many events it fires."""
    time_window_minutes: Positive = 60
    """How many minutes the window lasts that ends with the event: its start is out, its end is in."""
    where: Condition | None = None
    """A condition that has to hold besides."""


class InactivityPeriod(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="inactivity_period"):
    """Fires once that time has passed since `last_activity`, once per silence."""

    inactivity_hours: Positive = 24
    """How many hours a silence has to last."""
    where: Condition | None = None
    """What has to hold of the customer, looked at once, when it is due."""


class SequenceItem(Struct, frozen=True, kw_only=True):
    """One event of a sequence; a document may write its type alone."""

    event_type: Name
    """The type of event."""
    where: Condition | None = None
    """A condition that has to hold of it, looked at when it arrives."""


class EventSequence(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="event_sequence"):
    """Fires when the event completes the sequence: `strict` with nothing between, or `relaxed`."""

    required_sequence: tuple[SequenceItem, ...]
    """The events in order: types, or `{event_type, where}`."""
    contiguity: Literal["strict", "relaxed"] = "strict"
    """`strict`: no other behavioral event stands between them; `relaxed`: others may."""
    within_minutes: Positive | None = None
    """The last follows the first in less than so many minutes; by default in any time."""
    unless_event: Name | None = None
    """The type of an event that, between the first and the last, voids what has begun."""
    where: Condition | None = None
    """A condition that has to hold besides."""


class EngagementScore(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="engagement_score"):
    """Fires when the score reaches the threshold from below."""

    min_engagement_score: Annotated[float, Meta(gt=0, le=100)] = 50
    """The score that has to be reached from below."""
    where: Condition | None = None
    """A condition that has to hold besides."""


class SessionThreshold(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="session_threshold"):
    """Fires when the session reaches the threshold, once a session."""

    metric: Literal["events", "pages", "duration_minutes"]
    """What is counted of a session."""
    min_value: Positive
    """The value that has to be reached."""
    where: Condition | None = None
    """A condition that has to hold besides."""


class AbsenceCondition(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="absence"):
    """Fires when the second event has not followed the first in time."""

    event_type: Name
    """The type of the first event."""
    unless_event: Name
    """The type of the event that has to stay away."""
    within_minutes: Positive
    """For how many minutes after the first event it has to stay away."""
    where: Condition | None = None
    """A condition looked at with the first event, and again of the customer when it fires."""


class SegmentChange(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="segment_change"):
    """Fires when the customer enters or leaves a segment: by its condition, by an action or by the CRM."""

    segment_id: Name
    """The id of the segment."""
    change: Literal["entered", "left"] = "entered"
    """Whether the customer enters or leaves it."""
    where: Condition | None = None
    """A condition that has to hold besides."""


class LifecycleChange(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="lifecycle_change"):
    """Fires when the lifecycle stage changes so; without `from` or `to` from any, to any."""

    from_: Stage | None = None
    """The stage before; none: any."""
    to: Stage | None = None
    """The stage after; none: any."""
    where: Condition | None = None
    """A condition that has to hold besides."""


class AttributeChange(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="attribute_change"):
    """Fires when a CRM event or an action changes an attribute so; without one of the three whichever it is.

    `from: null` means that there was none before, `to: null` that it was removed.
    """

    attribute: Name | None = None
    """The name of the attribute; without one any."""
    from_: Json = ANYTHING
    """Its value before; left out or "*": any, null: there was none."""
    to: Json = ANYTHING
    """Its value after; left out or "*": any, null: it was removed."""
    where: Condition | None = None
    """A condition that has to hold besides."""


class DateAttribute(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="date_attribute"):
    """Fires so many days before (below 0) or after the date in an attribute, at a local time; once, or yearly."""

    attribute: Name
    """The name of the attribute that holds the date."""
    offset_days: Annotated[int, Meta(ge=-3_660, le=3_660)] = 0
    """How many local days after the date; below 0, before it."""
    at: str = "09:00"
    """The local time of that day, such as "09:00"."""
    recurring: Literal["yearly", "none"] | None = None
    """`yearly`: on the date and its anniversaries; `none` (default): once."""
    where: Condition | None = None
    """A condition of the customer, looked at when the time has come."""


class Schedule(Struct, frozen=True, kw_only=True, tag_field="condition_type", tag="schedule"):
    """Fires at each time of a cron (five fields) in the customer's zone, for customers who match."""

    cron: Name
    """Five fields (minute, hour, day of the month, month, day of the week), in the customer's zone."""
    where: Condition | None = None
    """A condition of the customer, looked at when the time has come."""


TriggerCondition = (
    EventCondition
    | FrequencyThreshold
    | InactivityPeriod
    | EventSequence
    | EngagementScore
    | SessionThreshold
    | AbsenceCondition
    | SegmentChange
    | LifecycleChange
    | AttributeChange
    | DateAttribute
    | Schedule
)
TriggerType = Literal["behavioral", "transactional", "time_based", "data_driven", "engagement_based", "lifecycle"]


class Trigger(Struct, frozen=True, kw_only=True):
    """A condition that starts an execution. `id` defaults to the position, as text from "0"."""

    type: TriggerType
    """What kind of trigger it is, for people; `conditions` say what it does."""
    conditions: TriggerCondition
    """What it fires on."""
    id: Name | None = None
    """Default: its position, as text from "0"."""
    priority: int = 50
    """Of several triggers that one event fires, the higher goes first."""
    enabled: bool = True
    """False: it fires nothing."""
    cooldown_hours: NotNegative = 0
    """For how long after the start of an execution this trigger starts no other for the customer."""
    max_executions: Annotated[int, Meta(ge=1)] | None = None
    """So many executions it starts, over all customers and for ever; none: any number."""
