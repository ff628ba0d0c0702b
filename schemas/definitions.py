"""Definitions: what a user writes in YAML or JSON, as types. One document is one of the kinds below.

These types say which fields exist, of which type and default; `schemas.reading` turns a document into them and
collects every mistake with its path; `journeys.validation` checks what spans several fields or documents.
A condition that holds for a set of siblings lies in tagged unions, so that a new step type doesn't type-check
until every place handles it.
"""

from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta, Struct

from schemas.decisions import Channel
from schemas.events import Json
from schemas.expectations import WorkflowTest

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1, le=1_000)]
"""Any count in a trigger or a `performed`: the number of instants a customer's state may have to keep."""

Percent = Annotated[float, Meta(ge=0, le=100)]

ANYTHING: Final[Json] = "*"
"""Stands in `from` and `to` of a changed attribute for whatever it is."""

Category = Literal["marketing", "transactional"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Stage = Literal["prospect", "lead", "customer", "advocate", "churned"]
"""Of a customer's life, in the order in which they follow each other."""
Operator = Literal[
    "eq",
    "ne",
    "gt",
    "gte",
    "lt",
    "lte",
    "between",
    "in",
    "not_in",
    "contains",
    "not_contains",
    "starts_with",
    "ends_with",
    "matches",
    "exists",
    "not_exists",
    "within_hours",
    "not_within_hours",
    "before",
    "after",
    "in_segment",
    "not_in_segment",
    "performed",
    "not_performed",
]


class Definition(Struct, frozen=True, kw_only=True):
    """What all kinds have in common: nothing but being a value."""


# Conditions ---------------------------------------------------------------------------------------------------


class Comparison(Definition, frozen=True, kw_only=True):
    """`{field, operator, value}`; `in_segment` and `performed` need no field."""

    operator: Operator
    field: Name | None = None
    value: Json = None


class AllOf(Definition, frozen=True, kw_only=True):
    """`{all: […]}`; an empty list holds."""

    all: tuple["Condition", ...]


class AnyOf(Definition, frozen=True, kw_only=True):
    """`{any: […]}`; an empty list doesn't hold."""

    any: tuple["Condition", ...]


class Negation(Definition, frozen=True, kw_only=True):
    """`{not: …}`."""

    negated: "Condition"


Condition = Comparison | AllOf | AnyOf | Negation


# Triggers -----------------------------------------------------------------------------------------------------


class EventCondition(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="event"):
    """Fires when such an event arrives; any other key of the document is an equality, kept in `equals`."""

    event_type: Name
    where: Condition | None = None
    equals: dict[str, Json] = {}


class FrequencyThreshold(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="frequency_threshold"):
    """Fires when the event raises the number of such events in the window that ends with it to `min_frequency`."""

    event_type: Name
    min_frequency: Count = 3
    time_window_minutes: Positive = 60
    where: Condition | None = None


class InactivityPeriod(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="inactivity_period"):
    """Fires once that time has passed since `last_activity`, once per silence."""

    inactivity_hours: Positive = 24
    where: Condition | None = None


class SequenceItem(Definition, frozen=True, kw_only=True):
    """One event of a sequence; a document may write its type alone."""

    event_type: Name
    where: Condition | None = None


class EventSequence(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="event_sequence"):
    """Fires when the event completes the sequence: `strict` with nothing between, or `relaxed`."""

    required_sequence: tuple[SequenceItem, ...]
    contiguity: Literal["strict", "relaxed"] = "strict"
    within_minutes: Positive | None = None
    unless_event: Name | None = None
    where: Condition | None = None


class EngagementScore(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="engagement_score"):
    """Fires when the score reaches the threshold from below."""

    min_engagement_score: Annotated[float, Meta(gt=0, le=100)] = 50
    where: Condition | None = None


class SessionThreshold(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="session_threshold"):
    """Fires when the session reaches the threshold, once a session."""

    metric: Literal["events", "pages", "duration_minutes"]
    min_value: Positive
    where: Condition | None = None


class AbsenceCondition(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="absence"):
    """Fires when the second event has not followed the first in time."""

    event_type: Name
    unless_event: Name
    within_minutes: Positive
    where: Condition | None = None


class SegmentChange(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="segment_change"):
    """Fires when the customer enters or leaves a segment: by its condition, by an action or by the CRM."""

    segment_id: Name
    change: Literal["entered", "left"] = "entered"
    where: Condition | None = None


class LifecycleChange(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="lifecycle_change"):
    """Fires when the lifecycle stage changes so; without `from` or `to` from any, to any."""

    from_: Stage | None = None
    to: Stage | None = None
    where: Condition | None = None


class AttributeChange(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="attribute_change"):
    """Fires when a CRM event or an action changes an attribute so; without one of the three whichever it is.

    `from: null` means that there was none before, `to: null` that it was removed.
    """

    attribute: Name | None = None
    from_: Json = ANYTHING
    to: Json = ANYTHING
    where: Condition | None = None


class DateAttribute(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="date_attribute"):
    """Fires so many days before (below 0) or after the date in an attribute, at a local time; once, or yearly."""

    attribute: Name
    offset_days: Annotated[int, Meta(ge=-3_660, le=3_660)] = 0
    at: str = "09:00"
    recurring: Literal["yearly", "none"] | None = None
    where: Condition | None = None


class Schedule(Definition, frozen=True, kw_only=True, tag_field="condition_type", tag="schedule"):
    """Fires at each time of a cron (five fields) in the customer's zone, for customers who match."""

    cron: Name
    where: Condition | None = None


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


class Trigger(Definition, frozen=True, kw_only=True):
    """A condition that starts an execution. `id` defaults to the position, as text from "0"."""

    type: TriggerType
    conditions: TriggerCondition
    id: Name | None = None
    priority: int = 50
    enabled: bool = True
    cooldown_hours: NotNegative = 0


# Steps --------------------------------------------------------------------------------------------------------


class Timing(Definition, frozen=True, kw_only=True):
    """When a message goes out: the earliest instant at which everything asked for holds in the customer's zone."""

    send_immediately: bool = False
    delay_hours: NotNegative = 0
    business_hours_only: bool = False
    avoid_weekends: bool = False
    optimize: bool | None = None
    at: str | None = None
    expires_after_hours: Positive = 168


OnOverdue = Literal["send", "skip", "reschedule", "exit"]
"""What becomes of a message that fell due during a pause or an outage."""


class ChannelConfiguration(Definition, frozen=True, kw_only=True):
    """One message from a template of the step's channel."""

    channel: ClassVar[Channel]
    template_id: Name
    timing: Timing = Timing()
    category: Category | None = None
    guard: Condition | None = None
    on_overdue: OnOverdue = "send"
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


class MessageConfiguration(Definition, frozen=True, kw_only=True):
    """One message on several channels, one after another; the next one begins when the one before has had its time."""

    templates: dict[Channel, Name]
    timing: Timing = Timing()
    category: Category | None = None
    guard: Condition | None = None
    strategy: Strategy = "all"
    on_overdue: OnOverdue = "send"
    grace_hours: NotNegative = 24


class FixedTime(Definition, frozen=True, kw_only=True, tag_field="type", tag="fixed_time"):
    """Waits for durations, which add up; `calendar_days` count local dates, `at` a local time on the last of them."""

    duration_hours: NotNegative = 0
    duration_minutes: NotNegative = 0
    duration_days: NotNegative = 0
    calendar_days: Annotated[int, Meta(ge=0, le=3_660)] = 0
    at: str | None = None


class UntilTime(Definition, frozen=True, kw_only=True, tag_field="type", tag="until_time"):
    """Waits for the next local occurrence of a time, strictly after now."""

    target_time: str


class UntilDate(Definition, frozen=True, kw_only=True, tag_field="type", tag="until_date"):
    """Waits for a date (its first local instant) or an instant; a past one goes on at once."""

    target_date: str


class UntilCondition(Definition, frozen=True, kw_only=True, tag_field="type", tag="until_condition"):
    """Waits until a condition holds; after `timeout_hours` goes to `timeout_next_step`, or on without one.

    It is looked at at once, on every event of the customer, when time alone can make it true, and every
    `check_interval_hours`.
    """

    condition: Condition
    check_interval_hours: Positive = 6
    timeout_hours: Positive | None = None
    timeout_next_step: Name | None = None


class UntilEvent(Definition, frozen=True, kw_only=True, tag_field="type", tag="until_event"):
    """Waits for an event of the customer; after `timeout_hours` goes to `timeout_next_step`, or on without one."""

    event_type: Name
    where: Condition | None = None
    timeout_hours: Positive | None = None
    timeout_next_step: Name | None = None


WaitConfiguration = FixedTime | UntilTime | UntilDate | UntilCondition | UntilEvent


class Branch(Definition, frozen=True, kw_only=True):
    """A rule, and where the path goes if it is the first that holds."""

    rule: Condition
    next_step: Name


class ConditionDecision(Definition, frozen=True, kw_only=True, tag_field="type", tag="condition"):
    """The first branch whose rule holds, else the default; neither: the path ends."""

    conditions: tuple[Branch, ...]
    default_next_step: Name | None = None


class Variant(Definition, frozen=True, kw_only=True):
    """One way of a split."""

    name: Name
    weight: Positive
    next_step: Name


class SplitTest(Definition, frozen=True, kw_only=True, tag_field="type", tag="split_test"):
    """By weight, the same customer always the same way."""

    variants: tuple[Variant, ...]


class Threshold(Definition, frozen=True, kw_only=True):
    """A score from which on the path goes to `next_step`."""

    min_score: float
    next_step: Name


class ScoreBased(Definition, frozen=True, kw_only=True, tag_field="type", tag="score_based"):
    """The highest threshold reached, else the default."""

    thresholds: tuple[Threshold, ...]
    score_field: Name = "engagement_score"
    default_next_step: Name | None = None


class SegmentBranch(Definition, frozen=True, kw_only=True):
    """A segment, and where its members go."""

    segment_id: Name
    next_step: Name


class SegmentCheck(Definition, frozen=True, kw_only=True, tag_field="type", tag="segment_check"):
    """The first segment that the customer is in, else the default."""

    segments: tuple[SegmentBranch, ...]
    default_next_step: Name | None = None


DecisionConfiguration = ConditionDecision | SplitTest | ScoreBased | SegmentCheck


class UpdateAttributes(Definition, frozen=True, kw_only=True, tag_field="type", tag="update_attributes"):
    """Sets attributes; `${path}` in a value is resolved from customer, trigger, execution and `now`."""

    attributes: dict[str, Json]


class AddToSegment(Definition, frozen=True, kw_only=True, tag_field="type", tag="add_to_segment"):
    """Makes the customer a member."""

    segment_id: Name


class RemoveFromSegment(Definition, frozen=True, kw_only=True, tag_field="type", tag="remove_from_segment"):
    """Ends the membership."""

    segment_id: Name


class Exit(Definition, frozen=True, kw_only=True, tag_field="type", tag="exit"):
    """Ends the execution (reason `exit`)."""


class SendEvent(Definition, frozen=True, kw_only=True, tag_field="type", tag="send_event"):
    """Puts an event on the customer's log; `${path}` in its properties is resolved."""

    event_type: Name
    properties: dict[str, Json] = {}


class TriggerWebhook(Definition, frozen=True, kw_only=True, tag_field="type", tag="trigger_webhook"):
    """Asks another system; `customer_id`, `execution_id` and `workflow_id` are added to the payload.

    `${path}` is resolved in payload and headers, and behind the host of the address. `await_response` waits for the
    answer, whose status is `execution.responses.<step id>`; a status of 400 and above, or none in time, is an error.
    """

    webhook_url: Name
    payload: dict[str, Json] = {}
    headers: dict[str, str] = {}
    await_response: bool = False


ActionConfiguration = UpdateAttributes | AddToSegment | RemoveFromSegment | Exit | SendEvent | TriggerWebhook


class ChannelStep(Definition, frozen=True, kw_only=True):
    """Sends one message on one channel; ends when it is out or refused."""

    id: Name
    configuration: ChannelConfiguration
    next_steps: tuple[Name, ...] = ()
    conditional_logic: Condition | None = None


class EmailStep(ChannelStep, frozen=True, kw_only=True, tag_field="type", tag="email"):
    """Sends one e-mail."""

    configuration: EmailConfiguration


class SmsStep(ChannelStep, frozen=True, kw_only=True, tag_field="type", tag="sms"):
    """Sends one text message."""

    configuration: SmsConfiguration


class PushStep(ChannelStep, frozen=True, kw_only=True, tag_field="type", tag="push"):
    """Sends one push notification."""

    configuration: PushConfiguration


class SocialStep(ChannelStep, frozen=True, kw_only=True, tag_field="type", tag="social"):
    """Sends one message to the customer's account in a social network."""

    configuration: SocialConfiguration


class MessageStep(Definition, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """Sends a message on the customer's active channels; ends when each has been used or refused."""

    id: Name
    configuration: MessageConfiguration
    next_steps: tuple[Name, ...] = ()
    conditional_logic: Condition | None = None


class WaitStep(Definition, frozen=True, kw_only=True, tag_field="type", tag="wait"):
    """Lets time pass, or waits for an event."""

    id: Name
    configuration: WaitConfiguration
    next_steps: tuple[Name, ...] = ()
    conditional_logic: Condition | None = None


class DecisionStep(Definition, frozen=True, kw_only=True, tag_field="type", tag="decision"):
    """Chooses a branch; `next_steps` are refused."""

    id: Name
    configuration: DecisionConfiguration
    next_steps: tuple[Name, ...] = ()
    conditional_logic: Condition | None = None


class ActionStep(Definition, frozen=True, kw_only=True, tag_field="type", tag="action"):
    """Changes something about the customer or the execution."""

    id: Name
    configuration: ActionConfiguration
    next_steps: tuple[Name, ...] = ()
    conditional_logic: Condition | None = None


Confidence = Annotated[float, Meta(gt=0.5, lt=1)]
Metric = Literal["conversion", "revenue"]


class ExperimentConfiguration(Definition, frozen=True, kw_only=True):
    """A split whose variants are measured; the first one is the control."""

    variants: tuple[Variant, ...]
    experiment_id: Name | None = None
    """By default the workflow's id and the step's, with a colon between."""
    goal: Json = None
    confidence_level: Confidence = 0.95
    min_participants: Annotated[int, Meta(ge=1)] = 100
    metric: Metric = "conversion"
    on_winner: Literal["ship", "keep"] = "ship"


class ExperimentStep(Definition, frozen=True, kw_only=True, tag_field="type", tag="experiment"):
    """Chooses a measured branch; `next_steps` are refused."""

    id: Name
    configuration: ExperimentConfiguration
    next_steps: tuple[Name, ...] = ()
    conditional_logic: Condition | None = None


Step = EmailStep | SmsStep | PushStep | SocialStep | MessageStep | WaitStep | DecisionStep | ActionStep | ExperimentStep


# Kinds --------------------------------------------------------------------------------------------------------


class ReEntry(Definition, frozen=True, kw_only=True):
    """Allows another execution once `after_hours` have passed since `from`."""

    after_hours: NotNegative = 0
    from_: Literal["ended", "started", "last_send"] = "ended"


class GoalEvent(Definition, frozen=True, kw_only=True):
    """A goal that is reached by an event, which occurred at or after what started the execution."""

    event_type: Name
    where: Condition | None = None
    value_field: Name | None = None
    """The field of the event with the revenue, such as event.total; of a purchase by default its amount."""


class WorkflowSettings(Definition, frozen=True, kw_only=True):
    """How executions of a workflow behave as a whole."""

    max_execution_time_days: Positive = 30
    allow_multiple_executions: bool = False
    re_entry: ReEntry | None = None
    priority: int = 50
    exit_conditions: tuple[Condition, ...] = ()
    """Any of them ends the execution, on any event of the customer or when time makes it true."""
    goal: Condition | GoalEvent | None = None
    """What ends the execution as converted: a condition, or `{event_type, where, value_field}`."""
    attribution_window_hours: Positive | None = None
    """How long after its last send an execution that has ended can still reach the goal; never by default."""
    execution_key: Name | None = None
    """The field of the event, such as event.properties.order_id, of whose values each has executions of its own."""
    holdout_percent: Percent = 0
    """How many of 100 customers the workflow never starts for, always the same ones."""
    category: Category = "marketing"
    timezone: str | None = None


class Workflow(Definition, frozen=True, kw_only=True, tag_field="kind", tag="workflow"):
    """Triggers, steps and settings. `id` defaults to the slug of the name."""

    name: Name
    steps: tuple[Step, ...]
    triggers: tuple[Trigger, ...] = ()
    id: Name | None = None
    description: str = ""
    enabled: bool = True
    settings: WorkflowSettings = WorkflowSettings()


class ContentVariant(Definition, frozen=True, kw_only=True):
    """One content of a dynamic rule."""

    content: str
    """HTML, in the language of the template; it holds no other dynamic content."""
    condition: Condition | None = None
    """When it is chosen; without one, always."""


class DynamicContentRule(Definition, frozen=True, kw_only=True):
    """Replaces a placeholder by the first variant whose condition holds."""

    content_variants: tuple[ContentVariant, ...]
    """What may stand there; the first whose condition holds does."""
    condition: Condition | None = None
    """When there is anything at all; otherwise the placeholder is removed."""
    placeholder: str | None = None
    """The text that is replaced, by default `{dynamic_content_<id>}`."""


Engine = Literal["fields", "liquid", "mjml", "mjml_liquid"]
"""What a template is written in: `{field}` or Liquid, in HTML or in MJML."""


class Template(Definition, frozen=True, kw_only=True, tag_field="kind", tag="template"):
    """The content of a message; what it is written in says `engine`."""

    id: Name
    """The name that steps call it by."""
    content_template: str
    """The HTML, or the MJML, of an e-mail; the text on other channels."""
    name: str = ""
    """What people call it."""
    channel: Channel = "email"
    """The channel it is for."""
    subject_template: str = ""
    """The subject; on push the title."""
    text_template: str | None = None
    """The text part of an e-mail; made from the HTML when absent."""
    personalization_fields: tuple[Name, ...] = ()
    """Names that must have a value, or the message doesn't go out (`missing_personalization`)."""
    dynamic_content_rules: dict[str, DynamicContentRule] = {}
    """By their id; each replaces its placeholder, by default `{dynamic_content_<id>}`."""
    from_: str | None = None
    """The sender, such as `Shop <hello@shop.example>`; default: `default_from` of the settings."""
    reply_to: str | None = None
    """Where answers go, if not to the sender."""
    preheader: str | None = None
    """What a mailbox shows beside the subject; hidden in the mail itself."""
    engine: Engine = "fields"
    """`{name}` in HTML, Liquid in HTML, `{name}` in MJML, or Liquid in MJML."""
    a_b_test_variants: tuple[str, ...] = ()
    """Candidates for the subject; until one is predicted, the subject is the template's own, else the first of them."""


class Segment(Definition, frozen=True, kw_only=True, tag_field="kind", tag="segment"):
    """A set of customers: those for whom the condition holds, or without one those that actions and the CRM name."""

    id: Name
    name: str = ""
    description: str = ""
    condition: Condition | None = None


class StageRule(Definition, frozen=True, kw_only=True):
    """When a customer comes to a stage; the rules of one stage replace its default, and any of them is enough."""

    stage: Stage
    when: Condition


class Lifecycle(Definition, frozen=True, kw_only=True, tag_field="kind", tag="lifecycle"):
    """The stages of a customer's life, laid over the defaults.

    A signup makes a lead, a purchase a customer, five purchases an advocate, 90 days of inactivity churned.
    """

    rules: tuple[StageRule, ...] = ()


class Scoring(Definition, frozen=True, kw_only=True, tag_field="kind", tag="scoring"):
    """Weights of event types, laid over the defaults, and how fast the sum halves."""

    weights: dict[str, float] = {}
    half_life_hours: Positive = 14 * 24


class FrequencyCap(Definition, frozen=True, kw_only=True):
    """At most `max` marketing messages within any `per_hours`, of one channel or all; `scope: workflow` counts each."""

    max: Annotated[int, Meta(ge=0, le=1_000)]
    per_hours: Positive
    channel: Channel | None = None
    category: Category | None = None
    scope: Literal["customer", "workflow"] = "customer"
    on_cap: Literal["skip", "delay"] = "skip"


class QuietHours(Definition, frozen=True, kw_only=True):
    """Local hours without marketing messages: start included, end not; a window belongs to the day it starts on."""

    start: str
    end: str
    days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    channels: tuple[Channel, ...] = ("email", "sms", "push", "social")


class Suppression(Definition, frozen=True, kw_only=True, tag_field="kind", tag="suppression"):
    """A rule that holds back every `message` step whose moment falls while the condition holds."""

    id: Name
    condition: Condition
    reason: Name | None = None
    """What the decision says; by default the id."""
    alternatives: tuple[Json, ...] = ()
    """What could be done instead: told with the result, for whoever reads it."""


class Settings(Definition, frozen=True, kw_only=True, tag_field="kind", tag="settings"):
    """Catalogue-wide settings."""

    default_timezone: str = "UTC"
    execution_timeout_hours: Positive = 168
    """How long a step waits for an answer."""
    max_concurrent_executions: Annotated[int, Meta(ge=1, le=200)] = 50
    max_event_age_hours: Positive = 72
    data_grace_minutes: NotNegative = 10
    global_holdout_percent: Percent = 0
    """How many of 100 customers no marketing workflow starts for, always the same ones."""
    require_consent: tuple[Channel, ...] = ("sms",)
    quiet_hours: QuietHours | None = None
    address_verification: Literal["syntax", "strict"] = "syntax"
    """`strict` also refuses addresses that are disposable, of a role, or of a domain that can't take mail."""
    frequency_caps: tuple[FrequencyCap, ...] = ()
    channel_spacing_hours: dict[Channel, NotNegative] = {}
    """Laid over the defaults."""
    default_from: str | None = None
    public_url: str | None = None
    """Where message links lead, such as https://links.shop.example; without it they have no value."""


Share = Annotated[float, Meta(ge=0, le=1)]


class TrafficSplit(Definition, frozen=True, kw_only=True):
    """Which share of the customers gets what; the shares add up to 1."""

    control: Share
    variations: tuple[Share, ...]


class ExperimentConfig(Definition, frozen=True, kw_only=True):
    """How an experiment deals its customers out, and how it is measured."""

    traffic_split: TrafficSplit
    goal: Json = None
    """A condition, or `{event_type, where, value_field}`."""
    confidence_level: Confidence = 0.95
    min_participants: Annotated[int, Meta(ge=1)] = 100
    metric: Metric = "conversion"
    on_winner: Literal["ship", "keep"] = "ship"


class ExperimentGoal(Definition, frozen=True, kw_only=True):
    """An event that counts as a conversion, and the field of it that is its value."""

    event_type: Name
    where: Condition | None = None
    value_field: Name | None = None


class Variation(Definition, frozen=True, kw_only=True):
    """A workflow by its id (a text alone means that), or the base with other configurations or templates."""

    id: Name
    steps: dict[str, Json] = {}
    templates: dict[str, Name] = {}


class Experiment(Definition, frozen=True, kw_only=True, tag_field="kind", tag="experiment"):
    """Deals the customers whom a workflow's triggers start out among it (control) and its variations."""

    id: Name
    base_workflow_id: Name
    variations: tuple[Variation, ...]
    config: ExperimentConfig
    name: str = ""
    description: str = ""


AnyDefinition = Workflow | Template | Segment | Scoring | Lifecycle | Suppression | Settings | WorkflowTest | Experiment


class Definitions(Struct, frozen=True, kw_only=True):
    """A complete, valid set of definitions, each kind by id."""

    workflows: dict[str, Workflow]
    templates: dict[str, Template]
    segments: dict[str, Segment]
    suppressions: dict[str, Suppression] = {}
    experiments: dict[str, Experiment] = {}
    scoring: Scoring = Scoring()
    settings: Settings = Settings()
    lifecycle: Lifecycle = Lifecycle()


NOT_BUILT_YET: Final = {
    "kind": ("content_block", "model"),
}
"""Words of SPEC that a definition may not use yet; the error says so, instead of calling them unknown."""
