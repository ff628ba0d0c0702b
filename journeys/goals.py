"""Goals: whether an execution has brought about what it was for, and what that is worth.

A goal is a condition, looked at on every event and when time may make it true, or an event. An event counts from the
one on that started the execution, in event time: an order that was placed before the cart was left behind brings
nothing about, and one placed after it does, even if it arrives before the reminders begin or long after they end.
"""

from msgspec import Struct

from journeys.conditions import Clauses, Test, comparisons, compile_condition, compile_where, holds
from journeys.fields import Field, compile_event_field, compile_field, plain
from journeys.flips import Flip, compile_flip
from journeys.profile import PURCHASES, purchase_amount
from journeys.scene import Scene
from schemas.definitions import Condition, GoalEvent, WorkflowSettings
from schemas.events import Event
from schemas.instants import HOUR_MS, Millis, span


class Goal(Struct, frozen=True, kw_only=True):
    """What an execution is for, compiled."""

    test: Test | None
    """None: any event of the type reaches it."""
    event_type: str | None = None
    """None: the goal is a condition."""
    value: Field | None = None
    flip: Flip | None = None
    attribution_ms: Millis = 0
    """How long after its last send an ended execution can still reach it."""
    asks_trigger: bool = False
    """Whether it looks at the event that started the execution."""


def compile_goal(settings: WorkflowSettings, clauses: Clauses) -> Goal | None:
    """Compile the goal of a workflow, if it has one."""
    goal, hours = settings.goal, settings.attribution_window_hours
    if goal is None:
        return None
    attribution_ms = 0 if hours is None else span(hours * HOUR_MS)
    if isinstance(goal, GoalEvent):
        return Goal(
            test=compile_where(goal.where, clauses),
            event_type=goal.event_type,
            value=None if goal.value_field is None else compile_value_field(goal.value_field),
            attribution_ms=attribution_ms,
            asks_trigger=_asks_trigger(goal.where),
        )
    return _compile_condition(goal, attribution_ms, clauses)


def _compile_condition(goal: Condition, attribution_ms: Millis, clauses: Clauses) -> Goal:
    test, flip = compile_condition(goal, clauses), compile_flip(goal, clauses)
    return Goal(test=test, flip=flip, attribution_ms=attribution_ms, asks_trigger=_asks_trigger(goal))


def _asks_trigger(condition: Condition | None) -> bool:
    fields = [part.field or "" for _, part in comparisons(condition)]
    return any(field.removeprefix("customer.").startswith("trigger.") for field in fields)


def compile_value_field(path: str) -> Field:
    """Compile the field of the event with the revenue; a path that doesn't begin with `event.` is a property's.

    Raises:
        ValueError: no such field can exist; the text says what would be right.
    """
    return compile_field(path) if path.startswith("event.") else compile_event_field(path)


def is_reached_by(goal: Goal, event: Event, since: Millis, scene: Scene) -> bool:
    """Tell whether the event, in view, reaches the goal.

    Args:
        goal: of the execution in view.
        event: one that the execution hasn't seen yet.
        since: the instant from which on an event counts.
        scene: with event and execution in view; warnings of a goal that isn't reached are taken off.
    """
    if goal.event_type is not None and (event.type != goal.event_type or event.occurred_at < since):
        return False
    return holds(goal.test, scene)


def worth(goal: Goal, scene: Scene) -> float | None:
    """Return the revenue that the present event brings, by default a purchase's amount; None if it brings none."""
    event = scene.event
    if event is None:
        return None
    if goal.value is None:
        return purchase_amount(scene.event_properties()) if event.type in PURCHASES else None
    found = plain(goal.value(scene))
    if isinstance(found, int | float) and not isinstance(found, bool):
        return found
    scene.warn("the goal's value_field is no number")
    return None
