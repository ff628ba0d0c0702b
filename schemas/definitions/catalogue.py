"""What holds for a whole catalogue: segments, the lifecycle, scores, suppression, settings."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.decisions import Channel
from schemas.definitions.conditions import Condition
from schemas.definitions.words import Category, Name, NotNegative, Percent, Positive, Rate, Stage, Weekday
from schemas.events import Json


class Segment(Struct, frozen=True, kw_only=True, tag_field="kind", tag="segment"):
    """A set of customers: those for whom the condition holds, or without one those that actions and the CRM name."""

    id: Name
    """Its name in conditions and steps."""
    name: str = ""
    """What people call it."""
    description: str = ""
    """What it is about, for people."""
    condition: Condition | None = None
    """Who is in it, kept up to date on every event and as time passes. None: members come by action and by CRM."""


class StageRule(Struct, frozen=True, kw_only=True):
    """When a customer comes to a stage; the rules of one stage replace its default, and any of them is enough."""

    stage: Stage
    """The stage that the customer comes to."""
    when: Condition
    """The condition of the customer."""


class Lifecycle(Struct, frozen=True, kw_only=True, tag_field="kind", tag="lifecycle"):
    """The stages of a customer's life, laid over the defaults.

    A signup makes a lead, a purchase a customer, five purchases an advocate, 90 days of inactivity churned.
    """

    rules: tuple[StageRule, ...] = ()
    """When a customer comes to which stage; the rules of one stage replace its default."""


class Scoring(Struct, frozen=True, kw_only=True, tag_field="kind", tag="scoring"):
    """Weights of event types, laid over the defaults, and how fast the sum halves."""

    weights: dict[str, float] = {}
    """What an event of a type adds to the score, laid over the defaults; below 0 it takes away."""
    half_life_hours: Positive = 14 * 24
    """After how many hours half of the sum is left; 336 are 14 days."""


class FrequencyCap(Struct, frozen=True, kw_only=True):
    """At most `max` marketing messages within any `per_hours`, of one channel or all; `scope: workflow` counts each."""

    max: Annotated[int, Meta(ge=0, le=1_000)]
    """How many messages may go out; 0: none."""
    per_hours: Positive
    """Within any so many hours; one exactly so long ago no longer counts."""
    channel: Channel | None = None
    """The channel that is counted; by default all together."""
    category: Category | None = None
    """`marketing`, which it is by default as well; transactional messages are never capped."""
    scope: Literal["customer", "workflow"] = "customer"
    """Whether all messages of a customer are counted together, or those of each workflow by themselves."""
    on_cap: Literal["skip", "delay"] = "skip"
    """What becomes of a message without room: it is suppressed, or waits for the first instant with room."""


class QuietHours(Struct, frozen=True, kw_only=True):
    """Local hours without marketing messages: start included, end not; a window belongs to the day it starts on."""

    start: str
    """The first quiet minute, local time, such as "22:00"."""
    end: str
    """The local time at which it is no longer quiet, such as "08:00"."""
    days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    """The days on which a window starts; one over midnight belongs to its first day."""
    channels: tuple[Channel, ...] = ("email", "sms", "push", "social")
    """The channels that are kept quiet."""


class Suppression(Struct, frozen=True, kw_only=True, tag_field="kind", tag="suppression"):
    """A rule that holds back every `message` step whose moment falls while the condition holds."""

    id: Name
    """Its name in decisions."""
    condition: Condition
    """While this holds, `message` steps are held back."""
    reason: Name | None = None
    """What the decision says; by default the id."""
    alternatives: tuple[Json, ...] = ()
    """What could be done instead: told with the result, for whoever reads it."""


class Settings(Struct, frozen=True, kw_only=True, tag_field="kind", tag="settings"):
    """Catalogue-wide settings."""

    default_timezone: str = "UTC"
    """The zone of customers who prefer none, in workflows that name none."""
    execution_timeout_hours: Positive = 168
    """How long a step waits for an answer."""
    max_concurrent_executions: Annotated[int, Meta(ge=1, le=200)] = 50
    """How many executions of one customer may be open at once; a further one is refused."""
    max_event_age_hours: Positive = 72
    """An event older than this starts no workflow; exactly this old it still does."""
    data_grace_minutes: NotNegative = 10
    """How long a message waits for an address or a value that it lacks; then it is suppressed."""
    global_holdout_percent: Percent = 0
    """How many of 100 customers no marketing workflow starts for, always the same ones."""
    require_consent: tuple[Channel, ...] = ("sms",)
    """The channels on which marketing needs granted consent; on others unknown consent passes."""
    quiet_hours: QuietHours | None = None
    """When no marketing goes out; a customer's `preferences.quiet_hours` replace it."""
    best_hours_profile: tuple[Rate, ...] = ()
    """Everybody's opens and clicks per message, by local hour: 24 numbers, that of the hour after midnight first.

    A customer's own history moves her best hours away from it. Default: 0.10 at 9, 10, 14 and 16, 0.05 elsewhere.
    """
    address_verification: Literal["syntax", "strict"] = "syntax"
    """`strict` also refuses addresses that are disposable, of a role, or of a domain that can't take mail."""
    frequency_caps: tuple[FrequencyCap, ...] = ()
    """How many marketing messages may go out within any so many hours."""
    channel_spacing_hours: dict[Channel, NotNegative] = {}
    """How many hours after a channel the next one follows, laid over the defaults: email 2, sms 6, push 1, social 4."""
    default_from: str | None = None
    """The sender of templates that name none."""
    public_url: str | None = None
    """Where message links lead, such as https://links.shop.example; without it they have no value."""
