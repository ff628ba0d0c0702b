"""Generated worlds: definitions and histories of events, for every test that states a law over all of them.

Definitions are plain JSON documents that the validator accepts; a history is a list of lines in the order of
arrival, each an event as a producer writes it, or a text that is none. Durations, windows and gaps are drawn from
the same few spans, and event types, segments and attributes from few names: so triggers fire, and what is compared
falls exactly on a boundary, one millisecond before it or behind it, far more often than by chance.
"""

from typing import Final

import msgspec
from hypothesis import strategies as st

from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis, format_instant

Document = dict[str, Json]
Line = Document | str

BEGIN: Final[Millis] = 1_774_051_200_000
"""2026-03-21T00:00:00Z, a Saturday; Europe/Berlin changes its clock on the 29th, New York did on the 8th."""
UNTIL: Final[Millis] = BEGIN + 120 * DAY_MS
"""Later than any history of up to 50 lines with every execution it can start."""
CUSTOMERS: Final = ("ada", "bob", "Zoë")
VISITORS: Final = ("v1",)
ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")
BEHAVIORAL: Final = ("signup", "page_viewed", "order_completed", "cart_updated")
ENGAGEMENT: Final = ("email_opened", "email_clicked", "email_opened", "email_unsubscribed", "push_clicked")
TYPES: Final = (*BEHAVIORAL, "email_opened", "email_clicked", "customer_updated")
SHORT: Final = ("sms", "push", "social")
"""The channels whose messages are nothing but text."""
SEGMENTS: Final = ("vip", "quiet")
KEPT: Final = ("hot", "warm")
"""Segments with a condition."""
STAGES: Final = ("lead", "customer", "advocate", "churned")
PLANS: Final = ("free", "pro")

SPANS_H: Final = (0.5, 1, 2, 6, 24, 48)
"""Hours, of which windows, waits, silences and gaps are made."""
_GAPS: Final = (0, 0, 1, MINUTE_MS, 10 * MINUTE_MS, 30 * MINUTE_MS, *(int(span * HOUR_MS) for span in SPANS_H))
_AGES: Final = (1, 5 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS, 3 * DAY_MS, 10 * DAY_MS)
_NUDGES: Final = (-1, 0, 0, 0, 1)


# Conditions ---------------------------------------------------------------------------------------------------


def _comparison(field: str, operator: str, value: Json) -> Document:
    return {"field": field, "operator": operator, "value": value}


_LEAVES: Final[tuple[Document, ...]] = (
    _comparison("plan", "eq", "pro"),
    _comparison("plan", "ne", "pro"),
    _comparison("engagement_score", "gte", 20),
    _comparison("total_purchases", "gte", 1),
    _comparison("last_engagement", "within_hours", 24),
    _comparison("last_activity", "not_within_hours", 1),
    _comparison("counts.page_viewed", "gt", 2),
    _comparison("email_status", "eq", "undeliverable"),
    _comparison("lifecycle_stage", "in", ["lead", "customer"]),
    _comparison("session.pages", "gte", 2),
    _comparison("trigger.total", "gte", 10),
    _comparison("execution.last_event.total", "gte", 10),
    _comparison("event.total", "exists", None),
    _comparison("plan", "gt", 5),
    {"operator": "in_segment", "value": "vip"},
    {"operator": "performed", "value": {"event_type": "page_viewed", "min_count": 2, "within_hours": 24}},
    {
        "operator": "not_performed",
        "value": {"event_type": "order_completed", "where": _comparison("event.total", "gte", 10)},
    },
)


def conditions() -> st.SearchStrategy[Document]:
    """Draw a condition, of one comparison or nested."""
    return st.recursive(
        st.sampled_from(_LEAVES),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"all": list(parts)}),
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"any": list(parts)}),
            inner.map(lambda part: {"not": part}),
        ),
        max_leaves=3,
    )


_OF_THE_CUSTOMER: Final = tuple(
    leaf for leaf in _LEAVES if not str(leaf.get("field", "")).startswith(("event.", "trigger.", "execution."))
)


def lasting_conditions() -> st.SearchStrategy[Document]:
    """Draw a condition on the customer alone, such as a segment has."""
    return st.recursive(
        st.sampled_from(_OF_THE_CUSTOMER),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"all": list(parts)}),
            inner.map(lambda part: {"not": part}),
        ),
        max_leaves=2,
    )


@st.composite
def _kept(draw: st.DrawFn) -> list[Document]:
    """Draw what is kept up to date by itself: segments with a condition, of which one asks for another; stages."""
    asks: Document = {"all": [{"operator": "in_segment", "value": KEPT[0]}, draw(lasting_conditions())]}
    documents: list[Document] = [
        {"kind": "segment", "id": KEPT[0], "condition": draw(lasting_conditions())},
        {"kind": "segment", "id": KEPT[1], "condition": draw(st.one_of(lasting_conditions(), st.just(asks)))},
    ]
    if draw(st.integers(1, 3)) == 1:
        stages = draw(st.sets(st.sampled_from(STAGES), min_size=1, max_size=2))
        rules: list[Json] = [{"stage": stage, "when": draw(lasting_conditions())} for stage in sorted(stages)]
        documents.append({"kind": "lifecycle", "rules": rules})
    return documents


def _sometimes(key: str, values: st.SearchStrategy[Json], one_in: int = 4) -> st.SearchStrategy[Document]:
    """Draw the key with a value, or nothing."""
    return st.integers(1, one_in).flatmap(
        lambda drawn: st.just({}) if drawn > 1 else values.map(lambda value: {key: value})
    )


# Triggers -----------------------------------------------------------------------------------------------------


CRONS: Final = ("30 2 29 3 *", "0 9 * 3 *", "*/30 1-3 28,29 3 *")
"""They come while histories last, and no more when every execution has to be over."""
TRIGGERS: Final = (
    "event",
    "event",
    "event",
    "frequency_threshold",
    "inactivity_period",
    "event_sequence",
    "event_sequence",
    "engagement_score",
    "session_threshold",
    "absence",
    "segment_change",
    "lifecycle_change",
    "attribute_change",
    "schedule",
    "date_attribute",
)


@st.composite
def _sequences(draw: st.DrawFn) -> Document:
    """Draw the conditions of a sequence of few types, some of whose items ask for more than their type."""
    item: Json = {"event_type": "order_completed", "where": _comparison("event.total", "gte", 10)}
    drawn = draw(
        st.lists(st.sampled_from(("page_viewed", "order_completed", "email_opened", "")), min_size=1, max_size=3)
    )
    items: list[Json] = [name or item for name in drawn]
    sequence: Document = {"condition_type": "event_sequence", "required_sequence": items}
    sequence |= draw(_sometimes("contiguity", st.just("relaxed"), 2))
    sequence |= draw(_sometimes("within_minutes", st.sampled_from(SPANS_H).map(lambda hours: hours * 60), 2))
    return sequence | draw(_sometimes("unless_event", st.sampled_from(TYPES), 3))


@st.composite
def _local_times(draw: st.DrawFn, kind: str) -> Document:
    if kind == "schedule":
        return {"condition_type": kind, "cron": draw(st.sampled_from(CRONS))}
    date: Document = {"condition_type": kind, "attribute": "renewal", "at": draw(st.sampled_from(("09:00", "02:30")))}
    date |= draw(_sometimes("offset_days", st.sampled_from((-1, 1)), 2))
    return date | draw(_sometimes("recurring", st.just("yearly"), 2))


@st.composite
def _triggers(draw: st.DrawFn, *, limits: bool) -> Document:
    kind = draw(st.sampled_from(TRIGGERS))
    match kind:
        case "event":
            conditions_: Document = {"event_type": draw(st.sampled_from(TYPES))}
            conditions_ |= draw(_sometimes("source", st.just("app"), 5))
        case "frequency_threshold":
            conditions_ = {
                "condition_type": kind,
                "event_type": draw(st.sampled_from(("page_viewed", "order_completed", "email_opened"))),
                "min_frequency": draw(st.integers(1, 4)),
                "time_window_minutes": draw(st.sampled_from(SPANS_H)) * 60,
            }
        case "event_sequence":
            conditions_ = draw(_sequences())
        case "engagement_score":
            conditions_ = {"condition_type": kind, "min_engagement_score": draw(st.sampled_from((1, 4, 8.5, 20)))}
        case "session_threshold":
            metric, least = draw(st.sampled_from((("events", 2), ("pages", 2), ("duration_minutes", 30))))
            conditions_ = {"condition_type": kind, "metric": metric, "min_value": least}
        case "absence":
            conditions_ = {
                "condition_type": kind,
                "event_type": draw(st.sampled_from(TYPES)),
                "unless_event": draw(st.sampled_from(TYPES)),
                "within_minutes": draw(st.sampled_from(SPANS_H)) * 60,
            }
        case "segment_change":
            conditions_ = {
                "condition_type": kind,
                "segment_id": draw(st.sampled_from((*KEPT, *SEGMENTS))),
                "change": draw(st.sampled_from(("entered", "left"))),
            }
        case "lifecycle_change" | "attribute_change":
            values = st.sampled_from(STAGES if kind == "lifecycle_change" else (*PLANS, None))
            conditions_ = {
                "condition_type": kind,
                **draw(_sometimes("from", values, 3)),
                **draw(_sometimes("to", values, 3)),
            }
        case "schedule" | "date_attribute":
            conditions_ = draw(_local_times(kind))
        case _:
            conditions_ = {"condition_type": kind, "inactivity_hours": draw(st.sampled_from(SPANS_H))}
    conditions_ |= draw(_sometimes("where", conditions(), 5))
    trigger: Document = {"type": "behavioral", "conditions": conditions_}
    trigger |= draw(_sometimes("priority", st.integers(49, 51)))
    trigger |= draw(_sometimes("cooldown_hours", st.sampled_from(SPANS_H), 3))
    trigger |= draw(_sometimes("enabled", st.just(value=False), 12))
    trigger |= draw(_sometimes("max_executions", st.sampled_from((1, 2, 5)), 4)) if limits else {}
    return trigger


# Steps --------------------------------------------------------------------------------------------------------


@st.composite
def _timings(draw: st.DrawFn) -> Document:
    kind = draw(st.sampled_from(("now", "now", "delay", "business", "at", "optimize")))
    expires: Document = draw(_sometimes("expires_after_hours", st.sampled_from((24, 48, 1)), 4))
    match kind:
        case "now":
            return {"send_immediately": True, **expires}
        case "delay":
            return {"send_immediately": True, "delay_hours": draw(st.sampled_from((0.5, 2, 6)))}
        case "business":
            return {"business_hours_only": True, "avoid_weekends": draw(st.booleans()), "optimize": False, **expires}
        case "at":
            return {"at": draw(st.sampled_from(("09:00", "02:30", "16:59"))), "optimize": False, **expires}
        case _:
            return expires


_FIXED: Final[tuple[Document, ...]] = (
    {"duration_hours": 0.5},
    {"duration_hours": 1},
    {"duration_hours": 6},
    {"duration_hours": 24},
    {"duration_hours": 48},
    {"duration_minutes": 30, "duration_hours": 1},
    {"calendar_days": 1, "at": "09:00"},
    {"calendar_days": 2},
    {"duration_days": 1},
)


@st.composite
def _waits(draw: st.DrawFn) -> Document:
    kind = draw(st.sampled_from(("fixed_time", "fixed_time", "fixed_time", "until_time", "until_date")))
    match kind:
        case "fixed_time":
            return {"type": kind, **draw(st.sampled_from(_FIXED))}
        case "until_time":
            return {"type": kind, "target_time": draw(st.sampled_from(("09:00", "02:30", "23:59")))}
        case _:
            return {"type": kind, "target_date": draw(st.sampled_from(("2026-03-29", "2026-03-20", "2026-04-02")))}


@st.composite
def _steps(draw: st.DrawFn, position: int, following: tuple[str, ...], back: str | None) -> Document:
    """Draw a step that leads to every one of `following`; a wait leads to `back` as well, or instead."""
    kinds = ["email", "email", "short", "message", "wait", "until_event", "until_condition", "decision", "action"]
    if back is not None:
        kinds = ["loop"]
    elif len(following) > 1:
        kinds = [
            "email",
            "short",
            "message",
            "wait",
            "until_event",
            "until_condition",
            "decision",
            "decision",
            "action",
        ]
    kind = draw(st.sampled_from(kinds))
    step: Document = {"id": f"s{position}", "next_steps": list(following)}
    step |= draw(_sometimes("conditional_logic", conditions(), 8)) if kind != "decision" else {}
    match kind:
        case "loop":
            step.pop("conditional_logic", None)
            wait: Document = {"type": "fixed_time", "duration_hours": draw(st.sampled_from((6, 24, 48)))}
            return step | {"type": "wait", "configuration": wait, "next_steps": [back]}
        case "email" | "short" | "message":
            return step | draw(_sending(kind))
        case "wait":
            return step | {"type": "wait", "configuration": draw(_waits())}
        case "until_event" | "until_condition":
            return step | {"type": "wait", "configuration": draw(_awaiting(kind, following))}
        case "action":
            return step | {"type": "action", "configuration": draw(_actions(bool(following)))}
    del step["next_steps"]
    if following and draw(st.integers(1, 5)) == 1:
        variants: list[Json] = [{"name": name, "weight": 1 + len(name) % 2, "next_step": name} for name in following]
        return step | {"type": "experiment", "configuration": {"variants": variants}}
    return step | {"type": "decision", "configuration": draw(_decisions(following))}


@st.composite
def _sending(draw: st.DrawFn, kind: str) -> Document:
    """Draw type and configuration of a step that sends."""
    if kind == "short":
        channel = draw(st.sampled_from(SHORT))
        return {"type": channel, "configuration": {"template_id": channel, "timing": draw(_timings())}}
    if kind == "message":
        return {"type": "message", "configuration": draw(_messages())}
    email: Document = {
        "template_id": draw(st.sampled_from(("hello", "hello", "needy", "liquid", "mjml"))),
        "timing": draw(_timings()),
    }
    email |= draw(_sometimes("guard", conditions(), 5))
    email |= draw(_sometimes("on_overdue", st.sampled_from(("skip", "reschedule", "exit")), 2))
    email |= draw(_sometimes("grace_hours", st.sampled_from((0, 1, 6)), 4))
    email |= draw(_sometimes("category", st.just("transactional"), 5))
    return {"type": "email", "configuration": email}


@st.composite
def _messages(draw: st.DrawFn) -> Document:
    templates: Document = {"email": draw(st.sampled_from(("hello", "needy")))} if draw(st.booleans()) else {}
    templates |= {name: name for name in draw(st.sets(st.sampled_from(SHORT), min_size=0 if templates else 1))}
    configuration: Document = {"templates": dict(sorted(templates.items())), "timing": draw(_timings())}
    configuration |= draw(_sometimes("strategy", st.sampled_from(("first_available", "until_engaged")), 2))
    configuration |= draw(_sometimes("guard", conditions(), 6))
    configuration |= draw(_sometimes("on_overdue", st.sampled_from(("skip", "reschedule", "exit")), 2))
    configuration |= draw(_sometimes("category", st.just("transactional"), 5))
    return configuration


@st.composite
def _awaiting(draw: st.DrawFn, kind: str, following: tuple[str, ...]) -> Document:
    """Draw a wait for an event or a condition."""
    until: Document = {"type": kind}
    if kind == "until_event":
        until |= {"event_type": draw(st.sampled_from(TYPES))}
        until |= draw(_sometimes("where", conditions(), 4))
    else:
        until |= {"condition": draw(conditions())}
        until |= draw(_sometimes("check_interval_hours", st.sampled_from((0.5, 24)), 3))
    until |= draw(_sometimes("timeout_hours", st.sampled_from(SPANS_H), 2))
    if "timeout_hours" in until and following:
        until |= draw(_sometimes("timeout_next_step", st.sampled_from(following), 2))
    return until


def _actions(leads_on: bool) -> st.SearchStrategy[Document]:  # noqa: FBT001
    segments = st.sampled_from(SEGMENTS)
    actions: list[st.SearchStrategy[Document]] = [
        st.just({"type": "update_attributes", "attributes": {"plan": "pro", "seen": "${now}"}}),
        st.just({"type": "update_attributes", "attributes": {"last_total": "${trigger.total}", "plan": None}}),
        segments.map(lambda name: {"type": "add_to_segment", "segment_id": name}),
        segments.map(lambda name: {"type": "remove_from_segment", "segment_id": name}),
        st.booleans().map(
            lambda awaits: {
                "type": "trigger_webhook",
                "webhook_url": "https://crm.example/hooks/${customer_id}",
                "payload": {"plan": "${plan}", "at": "${now}"},
                "headers": {"X-Plan": "${plan}"},
                "await_response": awaits,
            }
        ),
        st.sampled_from(BEHAVIORAL).map(
            lambda name: {"type": "send_event", "event_type": name, "properties": {"total": "${total_spent}"}}
        ),
    ]
    return st.one_of(actions if leads_on else [*actions, st.just({"type": "exit"})])


@st.composite
def _decisions(draw: st.DrawFn, following: tuple[str, ...]) -> Document:
    if not following:
        return {"type": "condition", "conditions": []}
    kind = draw(st.sampled_from(("condition", "split_test", "score_based", "segment_check")))
    default: Document = draw(_sometimes("default_next_step", st.sampled_from(following), 2))
    match kind:
        case "condition":
            branches: list[Json] = [{"rule": draw(conditions()), "next_step": name} for name in following]
            return {"type": kind, "conditions": branches, **default}
        case "split_test":
            variants: list[Json] = [
                {"name": f"v{place}", "weight": draw(st.sampled_from((1, 0.5, 3))), "next_step": name}
                for place, name in enumerate(following)
            ]
            return {"type": kind, "variants": variants}
        case "score_based":
            thresholds: list[Json] = [
                {"min_score": 10 * place + 1, "next_step": name} for place, name in enumerate(following)
            ]
            field: Document = draw(_sometimes("score_field", st.sampled_from(("total_purchases", "plan"))))
            return {"type": kind, "thresholds": thresholds, **default, **field}
    members: list[Json] = [
        {"segment_id": SEGMENTS[place % len(SEGMENTS)], "next_step": name} for place, name in enumerate(following)
    ]
    return {"type": kind, "segments": members, **default}


# Workflows ----------------------------------------------------------------------------------------------------


@st.composite
def workflows(draw: st.DrawFn, name: str, *, limits: bool = False) -> Document:
    """Draw a workflow: a tree of steps, some with a second way in, or a path that a wait leads back to its start.

    Args:
        draw: of Hypothesis.
        name: its id.
        limits: whether its triggers may have `max_executions`.
    """
    size = draw(st.integers(1, 6))
    is_loop = size > 1 and draw(st.integers(1, 5)) == 1
    following: list[list[str]] = [[] for _ in range(size)]
    for position in range(1, size):
        parent = position - 1 if is_loop else draw(st.integers(max(0, position - 3), position - 1))
        following[parent].append(f"s{position}")
    if not is_loop:
        for position in range(size - 2):
            if draw(st.integers(1, 8)) == 1 and following[position] and f"s{size - 1}" not in following[position]:
                following[position].append(f"s{size - 1}")
    steps: list[Json] = [
        draw(_steps(position, tuple(targets), "s0" if is_loop and position == size - 1 else None))
        for position, targets in enumerate(following)
    ]
    return {
        "id": name,
        "name": f"Workflow {name}",
        "triggers": list(draw(st.lists(_triggers(limits=limits), min_size=1, max_size=3))),
        "steps": steps,
        "settings": draw(_workflow_settings()),
    }


@st.composite
def _workflow_settings(draw: st.DrawFn) -> Document:
    # The longest path of waits is 6 · 48 hours.
    settings: Document = {"max_execution_time_days": draw(st.sampled_from((12, 13.5, 20)))}
    settings |= draw(_sometimes("allow_multiple_executions", st.just(value=True), 3))
    re_entry: st.SearchStrategy[Json] = st.fixed_dictionaries(
        {},
        optional={"after_hours": st.sampled_from(SPANS_H), "from": st.sampled_from(("ended", "started", "last_send"))},
    )
    settings |= draw(_sometimes("re_entry", re_entry, 2))
    settings |= draw(_sometimes("priority", st.integers(49, 51)))
    settings |= draw(_sometimes("category", st.just("transactional"), 6))
    settings |= draw(_sometimes("timezone", st.sampled_from(ZONES), 4))
    settings |= draw(_sometimes("exit_conditions", st.lists(conditions(), min_size=1, max_size=2), 4))
    settings |= draw(_sometimes("goal", st.one_of(conditions(), _GOAL_EVENTS), 3))
    settings |= draw(_sometimes("attribution_window_hours", st.sampled_from(SPANS_H), 3)) if "goal" in settings else {}
    keys = st.sampled_from(("event.session_id", "event.properties.total", "event.type"))
    settings |= draw(_sometimes("execution_key", keys, 5))
    settings |= draw(_sometimes("holdout_percent", st.sampled_from((10, 50)), 8))
    return settings


_GOAL_EVENTS: Final = st.fixed_dictionaries(
    {"event_type": st.sampled_from(("order_completed", "email_clicked", "page_viewed"))},
    optional={"where": conditions(), "value_field": st.sampled_from(("total", "event.properties.total"))},
)


TEMPLATES: Final[tuple[Document, ...]] = (
    {
        "kind": "template",
        "id": "hello",
        "subject_template": "Hi {first_name}",
        "content_template": "<p>{plan} {trigger_total}</p>",
    },
    {
        "kind": "template",
        "id": "needy",
        "subject_template": "Your {plan}",
        "content_template": "<p>{plan}</p>",
        "personalization_fields": ["plan"],
    },
    {
        "kind": "template",
        "id": "liquid",
        "engine": "liquid",
        "subject_template": "{{ 'now' | date: '%H:%M' }} {{ plan | default: 'none' }}",
        "content_template": "<p>{% for x in (1..3) %}{{ forloop }}{{ x }}{% endfor %}{{ 7 | divided_by: trigger.total }}"
        "{dynamic_content_last}{{ trigger }}</p>",
        "dynamic_content_rules": {"last": {"content_variants": [{"content": "{{ execution.last_event.total }}"}]}},
    },
    {
        "kind": "template",
        "id": "mjml",
        "engine": "mjml_liquid",
        "content_template": "<mjml><mj-body><mj-section><mj-column><mj-text>{{ first_name }} {{ engagement_score }} "
        "{{ today }}</mj-text></mj-column></mj-section></mj-body></mjml>",
    },
    {"kind": "template", "id": "sms", "channel": "sms", "content_template": "Hi {plan}"},
    {"kind": "template", "id": "push", "channel": "push", "content_template": "Hi {plan}"},
    {"kind": "template", "id": "social", "channel": "social", "content_template": "Hi {plan}"},
)


_QUIET_HOURS: Final[tuple[Document, ...]] = (
    {"start": "17:00", "end": "02:30"},
    {"start": "03:00", "end": "09:00", "days": ["mon", "sat", "sun"]},
    {"start": "10:00", "end": "10:30", "channels": ["sms"]},
)
"""They leave every timing below a minute in which it holds."""


@st.composite
def _caps(draw: st.DrawFn) -> Document:
    cap: Document = {"max": draw(st.integers(0, 3)), "per_hours": draw(st.sampled_from(SPANS_H))}
    cap |= draw(_sometimes("channel", st.sampled_from(("email", "push"))))
    cap |= draw(_sometimes("scope", st.just("workflow")))
    cap |= draw(_sometimes("on_cap", st.just("delay"), 2))
    return cap


_PROFILES: Final[tuple[tuple[float, ...], ...]] = ((0.1,) * 24, tuple(hour / 24 for hour in range(24)))
"""Everybody's best hours: the first four of the day, and the last four."""


@st.composite
def _settings(draw: st.DrawFn) -> Document:
    settings: Document = {"kind": "settings"}
    settings |= draw(_sometimes("default_timezone", st.sampled_from(ZONES), 2))
    settings |= draw(_sometimes("data_grace_minutes", st.sampled_from((0, 1, 30))))
    settings |= draw(_sometimes("max_event_age_hours", st.sampled_from((1, 24)), 3))
    settings |= draw(_sometimes("max_concurrent_executions", st.sampled_from((1, 2, 3)), 3))
    settings |= draw(_sometimes("quiet_hours", st.sampled_from(_QUIET_HOURS).map(dict), 3))
    settings |= draw(_sometimes("best_hours_profile", st.sampled_from(_PROFILES).map(list), 4))
    settings |= draw(_sometimes("frequency_caps", st.lists(_caps(), min_size=1, max_size=2).map(list), 3))
    settings |= draw(_sometimes("address_verification", st.just("strict"), 4))
    settings |= draw(_sometimes("require_consent", st.sampled_from((["email"], [])), 4))
    settings |= draw(_sometimes("channel_spacing_hours", st.sampled_from(({"email": 0.5}, {"push": 0})), 4))
    settings |= draw(_sometimes("global_holdout_percent", st.just(20), 8))
    return settings


@st.composite
def definitions(draw: st.DrawFn, most_workflows: int = 3, *, limits: bool = False) -> list[Document]:
    """Draw the documents of a definitions folder; the validator accepts them.

    Args:
        draw: of Hypothesis.
        most_workflows: how many there are at most.
        limits: whether triggers may have `max_executions`, so that customers wait for each other.
    """
    count = draw(st.integers(1, most_workflows))
    documents = [draw(workflows(f"w{number}", limits=limits)) for number in range(count)]
    documents += [dict(template) for template in TEMPLATES]
    documents += [{"kind": "segment", "id": name} for name in SEGMENTS]
    documents += draw(_kept())
    documents.append(draw(_settings()))
    if count > 1 and draw(st.integers(1, 3)) == 1:
        control = draw(st.sampled_from((0, 0.5, 0.3)))
        split: Document = {"control": control, "variations": [1 - control]}
        documents.append(
            {
                "kind": "experiment",
                "id": "x",
                "base_workflow_id": "w0",
                "variations": ["w1"],
                "config": {"traffic_split": split},
            }
        )
    if draw(st.integers(1, 4)) == 1:
        held: Document = {"condition": draw(conditions()), "alternatives": ["call"]}
        documents.append({"kind": "suppression", "id": "held", **held})
    if draw(st.booleans()):
        documents.append({"kind": "scoring", "weights": {"page_viewed": 4, "cart_updated": -3}, "half_life_hours": 24})
    return documents


# Histories ----------------------------------------------------------------------------------------------------

BAD_LINES: Final = (
    "{",
    "[]",
    '{"event_id":"b1","type":"signup","occurred_at":"2026-03-21T00:00:00Z"}',
    '{"event_id":"b2","type":"signup","occurred_at":"2026-03-21T00:00:00","customer_id":"ada"}',
    '{"event_id":"b3","type":"signup","occurred_at":"2099-01-01T00:00:00Z","customer_id":"ada"}',
    '{"event_id":"","type":"signup","occurred_at":0,"customer_id":"ada"}',
    '{"event_id":"b4","type":"signup","occurred_at":0,"customer_id":"ada","topic":"orders"}',
)
"""Lines that are no events; the one of 2099 would be one as the first line of a file, where no clock jumps."""


@st.composite
def _customers(draw: st.DrawFn) -> Document:
    who = draw(st.sampled_from((*CUSTOMERS, CUSTOMERS[0], CUSTOMERS[0], *VISITORS)))
    return {"anonymous_id": who} if who in VISITORS else {"customer_id": who}


@st.composite
def _bodies(draw: st.DrawFn) -> Document:
    """Draw type, properties and source of an event."""
    kind = draw(
        st.sampled_from((*BEHAVIORAL, *BEHAVIORAL, *ENGAGEMENT, "customer_updated", "customer_updated", "other"))
    )
    properties: Document = draw(_sometimes("machine", st.just(value=True), 12))
    if kind == "other":
        return draw(st.sampled_from(_RARE))
    match kind:
        case "order_completed":
            properties |= {"total": draw(st.sampled_from((5, 9.99, 10, 120.5)))}
        case "customer_updated":
            properties = draw(_updates())
        case "email_opened" | "email_clicked" | "push_clicked":
            # No send has such an id; those that have one are in `test_best_hours.py`.
            properties |= draw(_sometimes("send_id", st.sampled_from(("s1", "s2", 7, None, ["s1"])), 3))
        case "signup" | "page_viewed":
            properties |= draw(_sometimes("email", st.just("first@shop.example"), 2))
    body: Document = {"type": kind, "properties": properties}
    if kind in BEHAVIORAL:
        body |= draw(_sometimes("source", st.sampled_from(("app", "website")), 3))
        body |= draw(_sometimes("session_id", st.sampled_from(("one", "two")), 4))
    return body


@st.composite
def _links(draw: st.DrawFn) -> Document:
    """Draw an event that says that two are one; they may be one already, or have been merged otherwise."""
    kind = draw(st.sampled_from(("identify", "alias", "customer_merged")))
    customer: Document = {"type": kind, "customer_id": draw(st.sampled_from(CUSTOMERS))}
    if kind == "customer_merged":
        # One event that absorbs two has two decisions in one place.
        return customer | {"anonymous_id": None, "properties": {"merged_id": draw(st.sampled_from(CUSTOMERS))}}
    return customer | {"anonymous_id": draw(st.sampled_from(VISITORS))}


_RARE: Final[tuple[Document, ...]] = (
    {"type": "consent_changed", "properties": {"channel": "email", "consent": "granted"}},
    {"type": "consent_changed", "properties": {"channel": "email", "consent": "denied"}},
    {"type": "consent_changed", "properties": {"channel": "sms", "consent": "granted"}},
    {"type": "address_verified", "properties": {"email": "ada@shop.example", "status": "undeliverable"}},
    {"type": "address_verified", "properties": {"email": "ada@shop.example", "status": "deliverable"}},
    {"type": "push_unsubscribed", "properties": {}},
    {"type": "segment_entered", "properties": {"segment_id": "vip"}},
    {"type": "segment_left", "properties": {"segment_id": "vip"}},
    {"type": "page_viewed", "properties": {}, "topic": "crm-events"},
    {"type": "email_complained", "properties": {}},
    {"type": "email_bounced", "properties": {}},
    {"type": "email_bounced", "properties": {"bounce_type": "soft"}},
    {"type": "product_viewed", "properties": {}, "source": "crm"},
    {"type": "customer_deleted", "properties": {}},
)


@st.composite
def _updates(draw: st.DrawFn) -> Document:
    addresses = st.sampled_from(("ada@shop.example", "new@shop.example", None, "no address"))
    properties: Document = draw(_sometimes("email", addresses, 2))
    for name in ("phone", "push_token", "social_id"):
        properties |= draw(_sometimes(name, st.sampled_from(("one", "one", None)), 2))
    properties |= draw(_sometimes("attributes", st.sampled_from(_ATTRIBUTES).map(dict), 2))
    properties |= draw(_sometimes("preferences", st.sampled_from(_PREFERENCES).map(dict), 3))
    properties |= draw(_sometimes("lifecycle_stage", st.sampled_from(("lead", "customer", "advocate")), 3))
    return properties


_ATTRIBUTES: Final[tuple[Document, ...]] = (
    {"plan": "free", "first_name": "Ada"},
    {"plan": "pro"},
    {"plan": None},
    {"plan": 7},
    {"engagement_score": 60},
    {"renewal": "2026-03-29"},
    {"renewal": "1996-03-23"},
)
_PREFERENCES: Final[tuple[Document, ...]] = (
    {"timezone": "Asia/Kathmandu"},
    {"timezone": "nowhere"},
    {"timezone": None},
    {"channels": {"email": False}},
    {"channels": {"push": False, "sms": True}},
    {"channel_priority": ["sms", "push"]},
    {"channel_priority": ["social"]},
    {"channels": None},
    {"quiet_hours": {"start": "22:00", "end": "08:00", "days": ["sat", "sun"]}},
    {"quiet_hours": {"start": "nine"}},
)


@st.composite
def histories(draw: st.DrawFn, most_lines: int = 30, *, bad_lines: bool = True, links: bool = False) -> list[Line]:
    """Draw the lines of a file: several customers, late, early, repeated and machine-made events, bad lines.

    Args:
        draw: of Hypothesis.
        most_lines: how many there are at most.
        bad_lines: whether some are no events.
        links: whether customers turn out to be one; also in circles, and under ids that were merged away.
    """
    lines: list[Line] = []
    arrived = BEGIN + draw(st.integers(0, 23)) * HOUR_MS
    for number in range(draw(st.integers(1, most_lines))):
        arrived += max(0, draw(st.sampled_from(_GAPS)) + draw(st.sampled_from(_NUDGES)))
        choice = draw(st.integers(1, 20))
        events = [line for line in lines if isinstance(line, dict)]
        if choice == 1 and bad_lines and events:
            lines.append(draw(st.sampled_from(BAD_LINES)))
        elif choice <= 3 and events:
            again = dict(draw(st.sampled_from(events)))
            lines.append(again | {"received_at": format_instant(arrived)})
        else:
            body = draw(_links()) if links and choice in {4, 5, 6} else draw(_bodies())
            lines.append(_event(number, arrived, draw(_customers()) | body, draw(_lateness())))
    return lines


def _lateness() -> st.SearchStrategy[Millis]:
    """Draw how long before its arrival an event occurred: mostly not at all, sometimes after it."""
    late = st.tuples(st.sampled_from(_AGES), st.sampled_from(_NUDGES)).map(sum)
    ahead = st.sampled_from((MINUTE_MS, 5 * MINUTE_MS, 5 * MINUTE_MS + 1, DAY_MS)).map(lambda span: -span)
    return st.integers(1, 10).flatmap(lambda drawn: late if drawn <= 2 else ahead if drawn == 3 else st.just(0))


def _event(number: int, arrived: Millis, body: Document, lateness: Millis) -> Document:
    occurred = arrived - lateness
    event: Document = {"event_id": f"e{number}", "occurred_at": occurred if number % 2 else format_instant(occurred)}
    if lateness or number % 3:
        event["received_at"] = format_instant(arrived)
    return event | body


def as_file(lines: list[Line]) -> bytes:
    """Write the lines as an NDJSON file."""
    return b"".join((line.encode() if isinstance(line, str) else msgspec.json.encode(line)) + b"\n" for line in lines)
