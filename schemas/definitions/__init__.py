"""Definitions: what a user writes in YAML or JSON, as types. One document is one of the kinds below.

Each subject has a file of its own here, and each field a sentence, which editors show and the reference prints
(`schemas.json_schema`). The types say which fields exist, of which type and default; `schemas.reading` turns a document
into them and collects every mistake with its path; `journeys.validation` checks what spans several fields or documents.
A condition that holds for a set of siblings lies in tagged unions, so that a new step type doesn't type-check
until every place handles it.
"""

from typing import Final

from msgspec import Struct

from schemas.definitions.actions import (
    ActionConfiguration,
    AddToSegment,
    Exit,
    RemoveFromSegment,
    SendEvent,
    TriggerWebhook,
    UpdateAttributes,
)
from schemas.definitions.branches import (
    Branch,
    ConditionDecision,
    DecisionConfiguration,
    ScoreBased,
    SegmentBranch,
    SegmentCheck,
    SplitTest,
    Threshold,
    Variant,
)
from schemas.definitions.catalogue import (
    FrequencyCap,
    Lifecycle,
    QuietHours,
    Scoring,
    Segment,
    Settings,
    StageRule,
    Suppression,
)
from schemas.definitions.conditions import AllOf, AnyOf, Comparison, Condition, Negation, Operator, Performed
from schemas.definitions.experiments import (
    Confidence,
    Experiment,
    ExperimentConfig,
    ExperimentConfiguration,
    Metric,
    Share,
    TrafficSplit,
    Variation,
)
from schemas.definitions.messages import (
    ChannelConfiguration,
    EmailConfiguration,
    MessageConfiguration,
    OnOverdue,
    PushConfiguration,
    SmsConfiguration,
    SocialConfiguration,
    Strategy,
    Timing,
)
from schemas.definitions.steps import (
    ActionStep,
    ChannelStep,
    DecisionStep,
    EmailStep,
    ExperimentStep,
    MessageStep,
    PushStep,
    SmsStep,
    SocialStep,
    Step,
    WaitStep,
)
from schemas.definitions.templates import ContentVariant, DynamicContentRule, Engine, Template
from schemas.definitions.triggers import (
    ANYTHING,
    AbsenceCondition,
    AttributeChange,
    DateAttribute,
    EngagementScore,
    EventCondition,
    EventSequence,
    FrequencyThreshold,
    InactivityPeriod,
    LifecycleChange,
    Schedule,
    SegmentChange,
    SequenceItem,
    SessionThreshold,
    Trigger,
    TriggerCondition,
    TriggerType,
)
from schemas.definitions.waits import FixedTime, UntilCondition, UntilDate, UntilEvent, UntilTime, WaitConfiguration
from schemas.definitions.words import Category, Count, Name, NotNegative, Percent, Positive, Stage, Weekday
from schemas.definitions.workflows import GoalEvent, ReEntry, Workflow, WorkflowSettings
from schemas.expectations import WorkflowTest

__all__ = [
    "ANYTHING",
    "NOT_BUILT_YET",
    "AbsenceCondition",
    "ActionConfiguration",
    "ActionStep",
    "AddToSegment",
    "AllOf",
    "AnyDefinition",
    "AnyOf",
    "AttributeChange",
    "Branch",
    "Category",
    "ChannelConfiguration",
    "ChannelStep",
    "Comparison",
    "Condition",
    "ConditionDecision",
    "Confidence",
    "ContentVariant",
    "Count",
    "DateAttribute",
    "DecisionConfiguration",
    "DecisionStep",
    "Definitions",
    "DynamicContentRule",
    "EmailConfiguration",
    "EmailStep",
    "EngagementScore",
    "Engine",
    "EventCondition",
    "EventSequence",
    "Exit",
    "Experiment",
    "ExperimentConfig",
    "ExperimentConfiguration",
    "ExperimentStep",
    "FixedTime",
    "FrequencyCap",
    "FrequencyThreshold",
    "GoalEvent",
    "InactivityPeriod",
    "Lifecycle",
    "LifecycleChange",
    "MessageConfiguration",
    "MessageStep",
    "Metric",
    "Name",
    "Negation",
    "NotNegative",
    "OnOverdue",
    "Operator",
    "Percent",
    "Performed",
    "Positive",
    "PushConfiguration",
    "PushStep",
    "QuietHours",
    "ReEntry",
    "RemoveFromSegment",
    "Schedule",
    "ScoreBased",
    "Scoring",
    "Segment",
    "SegmentBranch",
    "SegmentChange",
    "SegmentCheck",
    "SendEvent",
    "SequenceItem",
    "SessionThreshold",
    "Settings",
    "Share",
    "SmsConfiguration",
    "SmsStep",
    "SocialConfiguration",
    "SocialStep",
    "SplitTest",
    "Stage",
    "StageRule",
    "Step",
    "Strategy",
    "Suppression",
    "Template",
    "Threshold",
    "Timing",
    "TrafficSplit",
    "Trigger",
    "TriggerCondition",
    "TriggerType",
    "TriggerWebhook",
    "UntilCondition",
    "UntilDate",
    "UntilEvent",
    "UntilTime",
    "UpdateAttributes",
    "Variant",
    "Variation",
    "WaitConfiguration",
    "WaitStep",
    "Weekday",
    "Workflow",
    "WorkflowSettings",
]

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
