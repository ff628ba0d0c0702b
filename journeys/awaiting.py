"""Waits that an event or a condition ends: what ends them, when to look again, and when they give up.

A condition is looked at at once, on every event, when time alone may make it true (its flip), and, because an action
elsewhere may have changed what it reads, every `check_interval_hours` from the wait's beginning on. Only events that
occurred at or after the beginning are in its view.
"""

from msgspec import Struct

from journeys.conditions import Clauses, Test, compile_condition, compile_where, holds
from journeys.flips import Flip, compile_flip
from journeys.scene import Scene
from schemas.definitions import UntilCondition, UntilEvent
from schemas.events import Event
from schemas.instants import HOUR_MS, Millis, later, span


class Awaited(Struct, frozen=True, kw_only=True):
    """What a step waits for, compiled."""

    event_type: str | None
    """None: a condition."""
    test: Test | None
    flip: Flip | None = None
    check_ms: Millis | None = None
    timeout_ms: Millis | None = None
    timeout_step: str | None = None

    @property
    def result(self) -> str:
        """Return what a step's history says of a wait that came to what it waited for."""
        return "condition" if self.event_type is None else "event"


def compile_awaited(wait: UntilEvent | UntilCondition, clauses: Clauses) -> Awaited:
    """Compile a wait for an event or a condition."""
    timeout_ms = None if wait.timeout_hours is None else span(wait.timeout_hours * HOUR_MS)
    if isinstance(wait, UntilEvent):
        event_type, test = wait.event_type, compile_where(wait.where, clauses)
        return Awaited(event_type=event_type, test=test, timeout_ms=timeout_ms, timeout_step=wait.timeout_next_step)
    return Awaited(
        event_type=None,
        test=compile_condition(wait.condition, clauses),
        flip=compile_flip(wait.condition, clauses),
        check_ms=span(wait.check_interval_hours * HOUR_MS),
        timeout_ms=timeout_ms,
        timeout_step=wait.timeout_next_step,
    )


def is_met(awaited: Awaited, scene: Scene) -> bool:
    """Tell whether a condition holds without an event; never for a wait that only an event ends."""
    return awaited.event_type is None and holds(awaited.test, scene)


def is_ended_by(awaited: Awaited, event: Event, entered_at: Millis, scene: Scene) -> bool:
    """Tell whether the event, in view, ends a wait; one from before it began is taken out of view and doesn't."""
    if event.occurred_at < entered_at:
        scene.event = None
    if awaited.event_type is not None and (scene.event is None or event.type != awaited.event_type):
        return False
    return holds(awaited.test, scene)


def times_out_at(awaited: Awaited, entered_at: Millis) -> Millis | None:
    """Return when the wait gives up, or None."""
    return None if awaited.timeout_ms is None else later(entered_at, awaited.timeout_ms)


def next_look(awaited: Awaited, entered_at: Millis, now: Millis) -> Millis | None:
    """Return the next instant after `now` at which the wait is looked at for its interval, or gives up."""
    timeout_at = times_out_at(awaited, entered_at)
    if awaited.check_ms is None:
        return timeout_at
    past = (now - entered_at) // awaited.check_ms
    check_at = later(entered_at, (past + 1) * awaited.check_ms)
    return check_at if timeout_at is None else min(check_at, timeout_at)
