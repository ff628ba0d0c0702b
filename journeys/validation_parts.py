"""Checks of single parts of definitions: a comparison, a timing, a step's configuration, whatever surrounds it.

What a leaf of this room compiles (fields, operators, timings, templates), the leaf itself judges; here its verdict
gets a place and what would be right.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from journeys.best_hours import HOURS
from journeys.emitting import RESERVED_TYPES
from journeys.fields import compile_field
from journeys.goals import compile_value_field
from journeys.operators import POSITIVE, constant_mistake
from journeys.schedules import ScheduleProblem, compile_cron
from journeys.templates import TemplateProblem, compile_template
from journeys.timing import TimingProblem, compile_timing, compile_wait, parse_clock
from journeys.validation_timing import check_quiet_hours
from journeys.webhooks import header_mistake, url_mistake
from schemas.decisions import Channel
from schemas.definitions import (
    AddToSegment,
    ChannelConfiguration,
    Comparison,
    Condition,
    DateAttribute,
    DecisionStep,
    EventSequence,
    ExperimentConfiguration,
    ExperimentStep,
    FixedTime,
    GoalEvent,
    MessageConfiguration,
    Performed,
    QuietHours,
    RemoveFromSegment,
    Schedule,
    ScoreBased,
    SegmentBranch,
    SegmentChange,
    SendEvent,
    SessionThreshold,
    Settings,
    SplitTest,
    Template,
    Timing,
    TriggerWebhook,
    UntilCondition,
    UntilDate,
    UntilEvent,
    UntilTime,
    UpdateAttributes,
    WorkflowSettings,
)
from schemas.events import MESSAGE_CHANNELS, Json
from schemas.expectations import ExpectedDecision, ExpectedSend, TriedEvent, WorkflowTest
from schemas.instants import is_zone, parse_instant
from schemas.problems import Problem, Spot, shown, suggestion
from schemas.reading import read

ROOTS: Final = (
    "event",
    "trigger",
    "attributes",
    "preferences",
    "session",
    "counts",
    "last",
    "execution",
    "customer",
)
"""What the first part of a dotted field may be."""


MOST_ITEMS: Final = 20
"""Of a sequence: as many as the recent events that are remembered of a customer."""
LARGEST_COUNT: Final = 1_000
_CHANNELS: Final = ", ".join(MESSAGE_CHANNELS)
_LISTED: Final = 10
_MOST_RULES: Final = 200
"""Of one template: the time to compile it grows with their number and its length."""
_REFERENCE: Final = re.compile(r"\$\{([^{}]*)\}")
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f]")
_CLOCK: Final = 'a local time such as "09:00", from 00:00 to 23:59'
_DURATIONS: Final = "one of duration_minutes, duration_hours, duration_days, calendar_days, such as duration_hours: 24"
_CRON: Final = 'five fields that some date matches, such as "0 9 * * mon-fri"'
_ZONE: Final = "a zone of the IANA database, such as Europe/Berlin"
_TIMING_ASPECTS: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("at", ("at", "business_hours_only", "avoid_weekends"), f"{_CLOCK}; in business hours 09:00 to 16:59"),
    ("send_immediately", ("send_immediately", "business_hours_only"), "one of the two"),
    ("delay_hours", ("delay_hours", "expires_after_hours"), "a delay below expires_after_hours"),
)
"""Fields of a timing that can contradict each other: where to report it, who takes part, what would be right."""


class Known(Struct, frozen=True, kw_only=True):
    """The ids that there are, of sound documents or not; of templates their channel, None where it is broken."""

    templates: Mapping[str, str | None]
    segments: frozenset[str]
    kept: frozenset[str] = frozenset()
    """The segments that have a condition."""
    steps: frozenset[str] = frozenset()
    workflows: frozenset[str] = frozenset()
    steps_by_workflow: Mapping[str, frozenset[str]] = {}
    triggers_by_workflow: Mapping[str, frozenset[str]] = {}
    quiet_hours: QuietHours | None = None


def check_part(value: Struct, spot: Spot, known: Known) -> Iterator[Problem]:
    """Check one sound part of a definition, whatever surrounds it."""
    yield from check_references(value, spot, known)
    yield from _check_times(value, spot)
    yield from _check_action(value, spot)
    yield from _check_workflow_settings(value, spot)
    match value:
        case Comparison():
            yield from _check_comparison(value, spot, known)
        case DecisionStep() | ExperimentStep() if value.next_steps:
            yield spot.under("next_steps").wrong("stand on a decision", "next_step in its branches")
        case SplitTest() | ExperimentConfiguration():
            yield from _check_variants(value, spot)
        case ScoreBased():
            yield from _check_thresholds(value, spot)
        case EventSequence():
            yield from _check_sequence(value, spot.under("required_sequence"))
        case SessionThreshold() if value.metric != "duration_minutes" and value.min_value > LARGEST_COUNT:
            yield spot.under("min_value").wrong(f"is {value.min_value:g}", f"a number up to {LARGEST_COUNT}")
        case Settings():
            yield from _check_settings(value, spot)
        case Template():
            yield from _check_template(value, spot)


def check_references(value: Struct, spot: Spot, known: Known) -> Iterator[Problem]:
    """Check the names that a part uses; it may be unsound, then fields that are wrong are passed over."""
    yield from _check_next_steps(value, spot, known)
    yield from _check_expected(value, spot, known)
    match value:
        case ChannelConfiguration(template_id=str() as template_id):
            yield from _check_template_of(template_id, value.channel, spot.under("template_id"), known)
        case MessageConfiguration(templates=dict() as templates):
            yield from _check_templates(templates, spot.under("templates"), known)
        case (
            SegmentBranch(segment_id=str())
            | AddToSegment(segment_id=str())
            | RemoveFromSegment(segment_id=str())
            | SegmentChange(segment_id=str())
        ):
            yield from _check_segment(value.segment_id, spot.under("segment_id"), known)
            if isinstance(value, AddToSegment | RemoveFromSegment) and value.segment_id in known.kept:
                message = f"the members of {shown(value.segment_id)} come by its condition"
                yield spot.under("segment_id").wrong(message, "a segment without a condition")


def _check_expected(value: Struct, spot: Spot, known: Known) -> Iterator[Problem]:
    """Check the names in what a test expects: one with a typing error would never come."""
    if not isinstance(value, ExpectedSend | ExpectedDecision):
        return
    if isinstance(value.workflow_id, str) and value.workflow_id not in known.workflows:
        yield unknown("workflow", value.workflow_id, spot.under("workflow_id"), known.workflows)
    else:
        yield from _check_parts_of(value, spot, known)
    template_id = value.template_id if isinstance(value, ExpectedSend) else None
    if isinstance(template_id, str) and template_id not in known.templates:
        yield unknown("template", template_id, spot.under("template_id"), known.templates)


def _check_parts_of(value: ExpectedSend | ExpectedDecision, spot: Spot, known: Known) -> Iterator[Problem]:
    """Check the step and the trigger that are expected: of the workflow that is named, or else of any."""
    trigger_id = value.trigger_id if isinstance(value, ExpectedDecision) else None
    for what, name, ids in (
        ("step", value.step_id, known.steps_by_workflow),
        ("trigger", trigger_id, known.triggers_by_workflow),
    ):
        if not isinstance(name, str):
            continue
        named = [ids[value.workflow_id]] if isinstance(value.workflow_id, str) else ids.values()
        within = f" in workflow {shown(value.workflow_id)}" if isinstance(value.workflow_id, str) else ""
        if not any(name in one for one in named):
            yield unknown(what, name, spot.under(f"{what}_id"), {each for one in named for each in one}, within)


def _check_times(value: Struct, spot: Spot) -> Iterator[Problem]:
    match value:
        case Timing():
            yield from _check_timing(value, spot)
        case WorkflowTest() | TriedEvent() | ExpectedSend() | ExpectedDecision():
            yield from _check_instants(value, spot)
        case FixedTime():
            yield from _check_fixed_time(value, spot)
        case DateAttribute():
            yield from _check_clock(value.at, spot.under("at"))
        case Schedule():
            yield from _check_cron(value.cron, spot.under("cron"))
        case UntilTime():
            yield from _check_clock(value.target_time, spot.under("target_time"))
        case UntilDate():
            yield from _check_date(value, spot.under("target_date"))
        case UntilEvent() | UntilCondition() if value.timeout_hours is None and value.timeout_next_step is not None:
            yield spot.under("timeout_hours").wrong("is missing, timeout_next_step needs it", "hours above 0")


def _check_fixed_time(wait: FixedTime, spot: Spot) -> Iterator[Problem]:
    if wait.at is not None:
        yield from _check_clock(wait.at, spot.under("at"))
    # A duration of 0 is one that somebody has written down; none at all is a key that was misspelt or forgotten.
    if (wait.duration_hours, wait.duration_minutes, wait.duration_days, wait.calendar_days) == (None,) * 4:
        alone = "" if wait.at is None else f'; for the next {wait.at} alone: type: until_time, target_time: "{wait.at}"'
        yield spot.wrong("has no duration", f"{_DURATIONS}{alone}")


def _check_workflow_settings(value: Struct, spot: Spot) -> Iterator[Problem]:
    match value:
        case WorkflowSettings():
            if value.timezone is not None and not is_zone(value.timezone):
                yield spot.under("timezone").wrong(f"{shown(value.timezone)} is no zone", _ZONE)
            if value.execution_key is not None:
                yield from _check_event_field(value.execution_key, spot.under("execution_key"))
        case GoalEvent(value_field=str() as path):
            yield from _check_value_field(path, spot.under("value_field"))


def _check_value_field(path: str, spot: Spot) -> Iterator[Problem]:
    try:
        compile_value_field(path)
    except ValueError as error:
        yield spot.wrong(str(error), "a field such as event.total")


def _check_event_field(path: str, spot: Spot) -> Iterator[Problem]:
    """Check the field of an event that stands outside a condition."""
    if path.startswith("event."):
        yield from _check_field(path, spot)
    else:
        yield spot.wrong(f"{shown(path)} is no field of the event", f"event. before it, such as event.{path}")


def _check_instants(value: Struct, spot: Spot) -> Iterator[Problem]:
    for key in ("start", "until", "occurred_at", "received_at", "send_at", "at"):
        text = getattr(value, key, None)
        try:
            if text is not None:
                parse_instant(text)
        except ValueError as error:
            yield spot.under(key).wrong(str(error), "RFC 3339 with an offset, such as 2026-01-05T09:00:00Z")


def _check_next_steps(value: Struct, spot: Spot, known: Known) -> Iterator[Problem]:
    for key in ("next_step", "default_next_step", "timeout_next_step"):
        target = getattr(value, key, None)
        if isinstance(target, str) and target not in known.steps:
            yield unknown("step", target, spot.under(key), known.steps)
    targets = getattr(value, "next_steps", ())
    for position, target in enumerate(targets if isinstance(targets, tuple) else ()):
        if target not in known.steps:
            yield unknown("step", target, spot.under("next_steps", position), known.steps)


def unknown(what: str, name: str, spot: Spot, known: Iterable[str], within: str = "") -> Problem:
    """Say that there is no such thing, and what may have been meant."""
    ids = sorted(known)
    hint = suggestion(name, ids)
    listed = ", ".join(ids[:_LISTED])
    expected = f"the id of a {what}{within}" + (
        f"; {hint}" if hint else f", such as {listed}" if listed else "; there is none"
    )
    return spot.wrong(f"there is no {what} {shown(name)}{within}", expected)


def _check_segment(name: str, spot: Spot, known: Known) -> Iterator[Problem]:
    if name not in known.segments:
        yield unknown("segment", name, spot, known.segments)


def _check_template_of(name: str, channel: str, spot: Spot, known: Known) -> Iterator[Problem]:
    if name not in known.templates:
        yield unknown("template", name, spot, known.templates)
    elif known.templates[name] not in (channel, None):
        yield spot.wrong(f"template {shown(name)} is for {known.templates[name]}", f"a template for {channel}")


def _check_templates(templates: Mapping[Channel, str], spot: Spot, known: Known) -> Iterator[Problem]:
    if not templates:
        yield spot.wrong("is empty", f"a template for at least one of {_CHANNELS}")
    yield from _check_channels(templates, spot)
    for channel, name in templates.items():
        if channel in MESSAGE_CHANNELS:
            yield from _check_template_of(name, channel, spot.under(channel), known)


def _check_channels(names: Iterable[str], spot: Spot) -> Iterator[Problem]:
    for name in names:
        if name not in MESSAGE_CHANNELS:
            hint = suggestion(name, MESSAGE_CHANNELS)
            yield spot.under(name).wrong("is no channel", f"one of {_CHANNELS}" + (f"; {hint}" if hint else ""))


def _check_field(field: str, spot: Spot) -> Iterator[Problem]:
    root, dot, _ = field.partition(".")
    if dot and root and root not in ROOTS:
        hint = suggestion(root, ROOTS)
        right = f"one of {', '.join(ROOTS)} before the first dot" + (f"; {hint}" if hint else "")
        yield spot.wrong(f"{shown(field)} begins with no known name", right)
        return
    try:
        compile_field(field)
    except ValueError as error:
        yield spot.wrong(str(error), "a field such as first_name, attributes.plan or event.total")


def _check_comparison(comparison: Comparison, spot: Spot, known: Known) -> Iterator[Problem]:
    positive = POSITIVE.get(comparison.operator, comparison.operator)
    value = spot.under("value")
    if positive == "in_segment":
        if isinstance(comparison.value, str):
            yield from _check_segment(comparison.value, value, known)
        else:
            yield value.wrong(f"is {shown(comparison.value)}", "the id of a segment")
        return
    if positive == "performed":
        yield from _check_performed(comparison, value, known)
        return
    if comparison.field is None:
        yield spot.under("field").wrong(f"is missing, {comparison.operator} needs it", "a field such as total_spent")
    else:
        yield from _check_field(comparison.field, spot.under("field"))
    mistake = constant_mistake(positive, comparison.value)
    if mistake is not None:
        yield value.wrong(f"is {shown(comparison.value)}", f"{comparison.operator} {mistake}")


def _check_performed(comparison: Comparison, spot: Spot, known: Known) -> Iterator[Problem]:
    reading = read(comparison.value, Performed, spot.path, file=spot.file)
    yield from reading.problems
    for node in reading.nodes:
        inner = Spot(spot.file, node.path)
        if isinstance(node.value, Comparison) and not (node.value.field or "").startswith("event."):
            right = "a field of the event that is counted, such as event.total"
            yield inner.under("field").wrong(f"is {shown(node.value.field)}", right)
        else:
            yield from check_part(node.value, inner, known)


def _check_clock(text: str, spot: Spot) -> Iterator[Problem]:
    try:
        parse_clock(text)
    except TimingProblem:
        yield spot.wrong(f"is {shown(text)}", _CLOCK)


def _check_cron(text: str, spot: Spot) -> Iterator[Problem]:
    try:
        compile_cron(text)
    except ScheduleProblem as error:
        yield spot.wrong(f"{shown(text)}: {error}", _CRON)


def _check_timing(timing: Timing, spot: Spot) -> Iterator[Problem]:
    for key, names, right in _TIMING_ASPECTS:
        try:
            compile_timing(Timing(**{name: getattr(timing, name) for name in names}))
        except TimingProblem as error:
            yield spot.under(key).wrong(str(error), right)


def _check_date(wait: UntilDate, spot: Spot) -> Iterator[Problem]:
    try:
        compile_wait(wait)
    except TimingProblem:
        yield spot.wrong(f"is {shown(wait.target_date)}", "a date such as 2026-01-31, or 2026-01-31T09:00:00+01:00")


def _check_variants(split: SplitTest | ExperimentConfiguration, spot: Spot) -> Iterator[Problem]:
    if not split.variants:
        yield spot.under("variants").wrong("is empty", "at least one {name, weight, next_step}")
    names = [variant.name for variant in split.variants]
    for position, name in enumerate(names):
        if name in names[:position]:
            yield spot.under("variants", position, "name").wrong(f"{shown(name)} is there twice", "a name of its own")


def _check_thresholds(decision: ScoreBased, spot: Spot) -> Iterator[Problem]:
    yield from _check_field(decision.score_field, spot.under("score_field"))
    scores = [threshold.min_score for threshold in decision.thresholds]
    for position, score in enumerate(scores):
        if score in scores[:position]:
            place = spot.under("thresholds", position, "min_score")
            yield place.wrong(f"{score:g} is there twice", "each threshold once")


def _check_sequence(sequence: EventSequence, spot: Spot) -> Iterator[Problem]:
    number = len(sequence.required_sequence)
    if not 1 <= number <= MOST_ITEMS:
        yield spot.wrong(f"holds {number} events", f"1 to {MOST_ITEMS} events")


def _check_attributes(value: Json, spot: Spot) -> Iterator[Problem]:
    """Check the `${path}` in values, however deep they lie."""
    match value:
        case str():
            for reference in _REFERENCE.findall(value):
                yield from _check_field(reference, spot)
        case list():
            for position, item in enumerate(value):
                yield from _check_attributes(item, spot.under(position))
        case dict():
            for key, item in value.items():
                yield from _check_attributes(item, spot.under(key))


def _check_action(value: Struct, spot: Spot) -> Iterator[Problem]:
    match value:
        case UpdateAttributes():
            yield from _check_attributes(value.attributes, spot.under("attributes"))
        case SendEvent():
            yield from _check_sent_event(value, spot)
        case TriggerWebhook():
            yield from _check_webhook(value, spot)


def _check_sent_event(event: SendEvent, spot: Spot) -> Iterator[Problem]:
    if event.event_type in RESERVED_TYPES:
        yield spot.under("event_type").wrong(
            f"is {shown(event.event_type)}, which only the world can say", "a type of your own, such as tour_finished"
        )
    yield from _check_attributes(event.properties, spot.under("properties"))


def _check_webhook(webhook: TriggerWebhook, spot: Spot) -> Iterator[Problem]:
    if (mistake := url_mistake(webhook.webhook_url)) is not None:
        right = "an address such as https://crm.example/hooks/1, with ${…} behind its host alone"
        yield spot.under("webhook_url").wrong(f"{shown(webhook.webhook_url)} {mistake}", right)
    yield from _check_attributes(webhook.webhook_url, spot.under("webhook_url"))
    yield from _check_attributes(webhook.payload, spot.under("payload"))
    for name, value in webhook.headers.items():
        place = spot.under("headers", name)
        if (mistake := header_mistake(name)) is not None:
            yield place.wrong(f"{shown(name)} {mistake}", "a name such as X-Shop-Token")
        if _BREAKS.search(value):
            yield place.wrong(f"is {shown(value)}", "one line of text")
        yield from _check_attributes(value, place)


def _check_settings(settings: Settings, spot: Spot) -> Iterator[Problem]:
    if not is_zone(settings.default_timezone):
        yield spot.under("default_timezone").wrong(f"{shown(settings.default_timezone)} is no zone", _ZONE)
    if settings.public_url is not None and not _is_web_address(settings.public_url):
        yield spot.under("public_url").wrong(
            f"is {shown(settings.public_url)}", "an address such as https://shop.example"
        )
    yield from _check_channels(settings.channel_spacing_hours, spot.under("channel_spacing_hours"))
    if len(settings.best_hours_profile) not in (0, HOURS):
        message = f"holds {len(settings.best_hours_profile)} numbers"
        yield spot.under("best_hours_profile").wrong(message, "24, that of the hour after midnight first")
    yield from _check_header(settings.default_from, spot.under("default_from"))
    if settings.quiet_hours is not None:
        yield from check_quiet_hours(settings.quiet_hours, spot.under("quiet_hours"))
    for position, cap in enumerate(settings.frequency_caps):
        if cap.category == "transactional":
            place = spot.under("frequency_caps", position, "category")
            yield place.wrong("is transactional, which is never capped", "marketing, or nothing")


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not re.search(r"[\s\x00-\x1f\x7f]", text)


def _check_header(text: str | None, spot: Spot) -> Iterator[Problem]:
    if text is not None and (_BREAKS.search(text) or not text.strip()):
        yield spot.wrong(f"is {shown(text)}", "one line, such as Shop <hello@shop.example>")


def _check_template(template: Template, spot: Spot) -> Iterator[Problem]:
    yield from _check_header(template.from_, spot.under("from"))
    yield from _check_header(template.reply_to, spot.under("reply_to"))
    if len(template.dynamic_content_rules) > _MOST_RULES:
        rules = spot.under("dynamic_content_rules")
        yield rules.wrong(f"holds {len(template.dynamic_content_rules)} rules", f"at most {_MOST_RULES}")
        return
    try:
        compile_template(template, _any_test)
    except TemplateProblem as error:
        for flaw in error.flaws:
            yield spot.under(*flaw.path).wrong(flaw.message, flaw.expected)


def _any_test(_: Condition) -> Callable[[object], bool]:
    """Stand in for a compiled condition: conditions are checked as parts of their own."""
    return bool
