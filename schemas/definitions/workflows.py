"""Workflows: triggers, steps, and how their executions behave."""

from typing import Literal

from msgspec import Struct

from schemas.definitions.conditions import Condition
from schemas.definitions.steps import Step
from schemas.definitions.triggers import Trigger
from schemas.definitions.words import Category, Name, NotNegative, Percent, Positive


class ReEntry(Struct, frozen=True, kw_only=True):
    """Allows another execution once `after_hours` have passed since `from`."""

    after_hours: NotNegative = 0
    """How many hours have to have passed."""
    from_: Literal["ended", "started", "last_send"] = "ended"
    """Since when: the end, the start or the last message of the execution before."""


class GoalEvent(Struct, frozen=True, kw_only=True):
    """A goal that is reached by an event: of an execution, by one that occurred at or after what started it."""

    event_type: Name
    """The type of the event, such as `order_completed`."""
    where: Condition | None = None
    """A condition that has to hold besides."""
    value_field: Name | None = None
    """The field of the event with the revenue, such as event.total; of a purchase by default its amount."""


class WorkflowSettings(Struct, frozen=True, kw_only=True):
    """How executions of a workflow behave as a whole."""

    max_execution_time_days: Positive = 30
    """An execution that takes longer is cancelled (reason `expired`)."""
    allow_multiple_executions: bool = False
    """True: any number of executions of a customer, side by side. False: one ever, unless `re_entry` allows
    another."""
    re_entry: ReEntry | None = None
    """When a customer may enter again, where `allow_multiple_executions` is false."""
    priority: int = 50
    """Of several workflows that one event or instant concerns, the higher goes first."""
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
    """Transactional messages aren't optimized, capped or kept quiet, and need no consent."""
    timezone: str | None = None
    """The zone of customers who prefer none; default: `default_timezone` of the settings."""


class Workflow(Struct, frozen=True, kw_only=True, tag_field="kind", tag="workflow"):
    """Triggers, steps and settings. `id` defaults to the slug of the name."""

    name: Name
    """What people call it."""
    steps: tuple[Step, ...]
    """What it does; the first is where it begins."""
    triggers: tuple[Trigger, ...] = ()
    """What starts it; without any, an experiment, an API call or an event sent by another workflow does."""
    id: Name | None = None
    """Default: the slug of the name, lower case with hyphens."""
    description: str = ""
    """What it is about, for people."""
    enabled: bool = True
    """False: it starts nothing new; what runs goes on."""
    settings: WorkflowSettings = WorkflowSettings()
    """How its executions behave as a whole."""
