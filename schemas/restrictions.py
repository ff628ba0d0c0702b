"""What an editor can refuse beyond the types of definitions: times of day, lists that may not be empty, and pairs.

`journeys.validation` refuses all of it, and more; this is the part that JSON Schema has words for. Whatever stands
here is at least as lenient as validation: a definition that is right never has a mark in an editor.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from schemas.definitions import (
    Comparison,
    Condition,
    DateAttribute,
    DecisionStep,
    EventSequence,
    Experiment,
    ExperimentConfig,
    ExperimentConfiguration,
    ExperimentStep,
    FixedTime,
    FrequencyCap,
    GoalEvent,
    MessageConfiguration,
    Performed,
    QuietHours,
    Schedule,
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
    Workflow,
    WorkflowSettings,
)
from schemas.events import MESSAGE_CHANNELS, Json
from schemas.expectations import ExpectedDecision, ExpectedSend, TriedEvent, WorkflowTest

Schema = dict[str, Json]

_CLOCK: Final[Schema] = {"pattern": "^([01]?[0-9]|2[0-3]):[0-5][0-9]$"}
_INSTANT: Final[Schema] = {
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
}
_NOT_EMPTY: Final[Schema] = {"minItems": 1}
_CHANNELS: Final[Schema] = {"propertyNames": {"enum": list[Json](MESSAGE_CHANNELS)}}
_ONE_LINE: Final[Schema] = {"pattern": r"^[^\x00-\x1f\x7f]*$"}
_BRANCHES_ONLY: Final[Schema] = {"maxItems": 0}
_ADDRESS: Final[Schema] = {"pattern": "^[hH][tT][tT][pP][sS]?://[^/]"}

FIELDS: Final[Mapping[tuple[type[Struct], str], Schema]] = {
    (Timing, "at"): _CLOCK,
    (FixedTime, "at"): _CLOCK,
    (DateAttribute, "at"): _CLOCK,
    (UntilTime, "target_time"): _CLOCK,
    (QuietHours, "start"): _CLOCK,
    (QuietHours, "end"): _CLOCK,
    (UntilDate, "target_date"): {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].*([Zz]|[+-][0-9]{2}:[0-9]{2}))?$"},
    (Schedule, "cron"): {"pattern": r"^\s*\S+(\s+\S+){4}\s*$"},
    (QuietHours, "days"): _NOT_EMPTY,
    (QuietHours, "channels"): _NOT_EMPTY,
    (Workflow, "steps"): _NOT_EMPTY,
    (Workflow, "id"): {"pattern": "^[^/]*$"},
    (WorkflowSettings, "execution_key"): {"pattern": "^event[.]"},
    (SplitTest, "variants"): _NOT_EMPTY,
    (ExperimentConfiguration, "variants"): _NOT_EMPTY,
    (Experiment, "variations"): _NOT_EMPTY,
    (EventSequence, "required_sequence"): {"minItems": 1, "maxItems": 20},
    (MessageConfiguration, "templates"): {"minProperties": 1} | _CHANNELS,
    (Settings, "channel_spacing_hours"): _CHANNELS,
    (Settings, "best_hours_profile"): {"oneOf": [{"maxItems": 0}, {"minItems": 24, "maxItems": 24}]},
    (Settings, "public_url"): _ADDRESS,
    (Settings, "default_from"): _ONE_LINE | {"minLength": 1},
    (TriggerWebhook, "webhook_url"): _ADDRESS,
    (Template, "from"): _ONE_LINE | {"minLength": 1},
    (Template, "reply_to"): _ONE_LINE | {"minLength": 1},
    (Template, "dynamic_content_rules"): {"maxProperties": 200},
    (DecisionStep, "next_steps"): _BRANCHES_ONLY,
    (ExperimentStep, "next_steps"): _BRANCHES_ONLY,
    (WorkflowTest, "start"): _INSTANT,
    (WorkflowTest, "until"): _INSTANT,
    (TriedEvent, "occurred_at"): _INSTANT,
    (TriedEvent, "received_at"): _INSTANT,
    (ExpectedSend, "send_at"): _INSTANT,
    (ExpectedDecision, "at"): _INSTANT,
    (FrequencyCap, "category"): {"not": {"const": "transactional"}},
}
"""What stands beside the type of a key, by struct and key; of a text, a pattern says nothing about null."""

FORMS: Final[Mapping[tuple[type[Struct], str], object]] = {
    (ExperimentConfig, "goal"): Condition | GoalEvent | None,
    (ExperimentConfiguration, "goal"): Condition | GoalEvent | None,
}
"""The types of keys that are read later than their document, since they may be one of several things."""


def _where(key: str, words: list[Json], then: Schema) -> Json:
    """Say what follows where a key has one of these words."""
    return {"if": {"properties": {key: {"enum": words}}, "required": [key]}, "then": then}


def _valued(schema: Schema, *words: Json) -> Json:
    """Say what the value of some operators has to be."""
    return _where("operator", list(words), {"properties": {"value": schema}, "required": ["value"]})


_TIMEOUT: Final[Json] = {
    "if": {"properties": {"timeout_next_step": {"type": "string"}}, "required": ["timeout_next_step"]},
    "then": {"properties": {"timeout_hours": {"type": "number"}}, "required": ["timeout_hours"]},
}
_DURATIONS: Final = ("duration_hours", "duration_minutes", "duration_days", "calendar_days")
_ORDERED: Final[Schema] = {"type": ["number", "string"]}

STRUCTS: Final[Mapping[type[Struct], list[Json]]] = {
    Timing: [
        _where("send_immediately", [True], {"properties": {"business_hours_only": {"const": False}}}),
    ],
    FixedTime: [{"anyOf": [{"required": [key], "properties": {key: {"type": "number"}}} for key in _DURATIONS]}],
    UntilEvent: [_TIMEOUT],
    UntilCondition: [_TIMEOUT],
    SessionThreshold: [_where("metric", ["events", "pages"], {"properties": {"min_value": {"maximum": 1_000}}})],
    Comparison: [
        _valued(_ORDERED, "gt", "gte", "lt", "lte", "before", "after"),
        _valued({"type": "array", "items": _ORDERED, "minItems": 2, "maxItems": 2}, "between"),
        _valued({"type": "array"}, "in", "not_in"),
        _valued({"type": "string"}, "starts_with", "ends_with", "matches"),
        _valued({"type": "number", "exclusiveMinimum": 0}, "within_hours", "not_within_hours"),
        _valued({"type": "string", "minLength": 1}, "in_segment", "not_in_segment"),
        _valued({"$ref": f"#/$defs/{Performed.__name__}"}, "performed", "not_performed"),
        _where("operator", ["exists", "not_exists"], {"properties": {"value": {"enum": [None, True]}}}),
        {
            "if": {"properties": {"operator": {"pattern": "(in_segment|performed)$"}}, "required": ["operator"]},
            "else": {"properties": {"field": {"type": "string"}}, "required": ["field"]},
        },
    ],
}
"""What several keys of a struct say together."""

MENTIONED: Final[Mapping[type[Struct], tuple[type[Struct], ...]]] = {Comparison: (Performed,)}
"""Structs that only the rules above refer to, by the struct whose rules they are."""
