"""What a step that sends says of its message: template, timing, category, guard."""

from typing import ClassVar, Literal

from msgspec import Struct

from schemas.decisions import Channel
from schemas.definitions.conditions import Condition
from schemas.definitions.words import Category, Name, NotNegative, Positive


class Timing(Struct, frozen=True, kw_only=True):
    """When a message goes out: the earliest instant at which everything asked for holds in the customer's zone."""

    send_immediately: bool = False
    """Now, but outside quiet hours; not together with `business_hours_only`."""
    delay_hours: NotNegative = 0
    """How many hours it is held first."""
    business_hours_only: bool = False
    """From 09:00 to 17:00 local time alone."""
    avoid_weekends: bool = False
    """From Monday to Friday, local time, alone."""
    optimize: bool | None = None
    """Whether to prefer the customer's four best hours; default: unless `send_immediately`."""
    at: str | None = None
    """The local time at which it goes out, such as "09:00"."""
    expires_after_hours: Positive = 168
    """So many hours after the step has begun it is suppressed (reason `expired`)."""


OnOverdue = Literal["send", "skip", "reschedule", "exit"]
"""What becomes of a message that fell due during a pause or an outage."""


class ChannelConfiguration(Struct, frozen=True, kw_only=True):
    """One message from a template of the step's channel."""

    channel: ClassVar[Channel]
    template_id: Name
    """The template of the message, one for this channel."""
    timing: Timing = Timing()
    """When it goes out; by default as soon as it is a good hour for the customer."""
    category: Category | None = None
    """The category of this message, instead of its workflow's."""
    guard: Condition | None = None
    """A condition looked at when the message would go out; false: it is suppressed (reason `guard`)."""
    on_overdue: OnOverdue = "send"
    """What becomes of it when it fell due during a pause or an outage."""
    grace_hours: NotNegative = 24
    """How late `send` still sends; later, it skips."""


class EmailConfiguration(ChannelConfiguration, frozen=True, kw_only=True):
    """One e-mail."""

    channel: ClassVar[Channel] = "email"


class SmsConfiguration(ChannelConfiguration, frozen=True, kw_only=True):
    """One text message."""

    channel: ClassVar[Channel] = "sms"


class PushConfiguration(ChannelConfiguration, frozen=True, kw_only=True):
    """One push notification."""

    channel: ClassVar[Channel] = "push"


class SocialConfiguration(ChannelConfiguration, frozen=True, kw_only=True):
    """One message to the customer's account in a social network."""

    channel: ClassVar[Channel] = "social"


Strategy = Literal["all", "first_available", "until_engaged"]


class MessageConfiguration(Struct, frozen=True, kw_only=True):
    """One message on several channels, one after another; the next one begins when the one before has had its time."""

    templates: dict[Channel, Name]
    """The template of each channel that it may go out on."""
    timing: Timing = Timing()
    """When it goes out; not optimized unless it says so."""
    category: Category | None = None
    """The category of this message, instead of its workflow's."""
    guard: Condition | None = None
    """A condition looked at when the message would go out; false: it is suppressed (reason `guard`)."""
    strategy: Strategy = "all"
    """All active channels, the first of them alone, or the next one only where the one before got no engagement."""
    on_overdue: OnOverdue = "send"
    """What becomes of it when it fell due during a pause or an outage."""
    grace_hours: NotNegative = 24
    """For how many hours after it fell due `send` still sends it; later, it skips."""
