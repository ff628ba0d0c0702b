"""Waits: for a time, or for something to happen."""

from typing import Annotated

from msgspec import Meta, Struct

from schemas.definitions.conditions import Condition
from schemas.definitions.words import Name, NotNegative, Positive


class FixedTime(Struct, frozen=True, kw_only=True, tag_field="type", tag="fixed_time"):
    """Waits for durations, which add up; `calendar_days` count local dates, `at` a local time on the last of them.

    At least one of the durations or `calendar_days` is needed; a wait for a local time alone is an `until_time`.
    """

    duration_hours: NotNegative | None = None
    """Hours to wait; durations add up."""
    duration_minutes: NotNegative | None = None
    """Minutes to wait."""
    duration_days: NotNegative | None = None
    """Days of 24 hours to wait."""
    calendar_days: Annotated[int, Meta(ge=0, le=3_660)] | None = None
    """Local dates to wait, whatever the clock does between."""
    at: str | None = None
    """The local time on the last of the `calendar_days`; default: the time of day at which the wait began."""


class UntilTime(Struct, frozen=True, kw_only=True, tag_field="type", tag="until_time"):
    """Waits for the next local occurrence of a time, strictly after now."""

    target_time: str
    """A local time, such as "09:00"; its next occurrence, strictly after now."""


class UntilDate(Struct, frozen=True, kw_only=True, tag_field="type", tag="until_date"):
    """Waits for a date (its first local instant) or an instant; a past one goes on at once."""

    target_date: str
    """A date or an instant; a past one goes on at once."""


class UntilCondition(Struct, frozen=True, kw_only=True, tag_field="type", tag="until_condition"):
    """Waits until a condition holds; after `timeout_hours` goes to `timeout_next_step`, or on without one.

    It is looked at at once, on every event of the customer, when time alone can make it true, and every
    `check_interval_hours`.
    """

    condition: Condition
    """What it waits for."""
    check_interval_hours: Positive = 6
    """How often it is looked at besides every event and the instants at which time alone can change it."""
    timeout_hours: Positive | None = None
    """For how many hours it waits at most; by default as long as the execution may take."""
    timeout_next_step: Name | None = None
    """The step that follows when the time is over; by default `next_steps`."""


class UntilEvent(Struct, frozen=True, kw_only=True, tag_field="type", tag="until_event"):
    """Waits for an event of the customer; after `timeout_hours` goes to `timeout_next_step`, or on without one."""

    event_type: Name
    """The event it waits for."""
    where: Condition | None = None
    """What has to hold of the event."""
    timeout_hours: Positive | None = None
    """For how many hours it waits at most; by default as long as the execution may take."""
    timeout_next_step: Name | None = None
    """The step that follows when the time is over; by default `next_steps`."""


WaitConfiguration = FixedTime | UntilTime | UntilDate | UntilCondition | UntilEvent
