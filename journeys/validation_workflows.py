"""Checks of a workflow as a whole: its ids, the paths through its steps, and what is allowed but probably not meant."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, get_args

from journeys.documents import Document, id_of, items_at, step_ids, text_at, trigger_ids
from journeys.graph import (
    Graph,
    fixed_wait_ms,
    graph_of,
    loops_without_wait,
    next_step_ids,
    sends_that_can_run_twice,
    shortest_wait_ms,
    unreachable,
)
from schemas.definitions import (
    AbsenceCondition,
    AnyDefinition,
    DateAttribute,
    EventCondition,
    FixedTime,
    FrequencyThreshold,
    InactivityPeriod,
    Schedule,
    Step,
    TriggerCondition,
    Workflow,
    WorkflowSettings,
)
from schemas.events import Json
from schemas.instants import DAY_MS, MINUTE_MS
from schemas.problems import Problem, Spot, closest, shown, suggestion
from schemas.reading import Node, Reading

_STEP: Final = re.compile(r"(?:.* )?steps\[\d+\]")
_LOOP_BREAKERS: Final = "a fixed_time above 0, calendar_days, an until_time or an until_event in the loop"
_MOST_TYPING_ERRORS: Final = 100
"""Unknown steps for which the one that was meant is looked for: each is compared with all."""
_KEYS_OF_EVENTS: Final = ("where", "event_type", "condition_type")
_KEYS_OF_OTHERS: Final = (
    "min_frequency",
    "time_window_minutes",
    "inactivity_hours",
    "required_sequence",
    "unless_event",
    "within_minutes",
    "contiguity",
    "min_engagement_score",
    "metric",
    "min_value",
    "cron",
)
"""Keys of other trigger conditions, which an event condition would silently take as names of properties."""


def check_workflow(value: Json, spot: Spot, nodes: Sequence[Node]) -> Iterator[Problem]:
    """Check a workflow, sound or not.

    Args:
        value: the raw document.
        spot: its place.
        nodes: the parts of it that could be read. Paths are looked at once every step is among them.
    """
    yield from _check_ids(value, spot)
    if isinstance(value, dict) and value.get("steps") == []:
        yield spot.under("steps").wrong("is empty", "at least one step")
    steps = [node.value for node in nodes if isinstance(node.value, get_args(Step)) and _STEP.fullmatch(node.path)]
    if steps and len(steps) == len(items_at(value, "steps")):
        yield from check_paths(steps, spot, _limit_days(value, nodes))


def _check_ids(value: Json, spot: Spot) -> Iterator[Problem]:
    name, given = text_at(value, "name"), text_at(value, "id")
    if name and id_of(value) is None:
        yield spot.under("id").wrong(f"is missing, and the name {shown(name)} gives none", "an id")
    if given is not None and "/" in given:
        # `workflow/trigger` is the key under which a customer's state remembers a trigger.
        yield spot.under("id").wrong(f"{shown(given)} holds a slash", "an id without one")
    yield from _check_unique("steps", step_ids(value), spot)
    yield from _check_unique("triggers", trigger_ids(value), spot)


def _check_unique(key: str, ids: Sequence[str | None], spot: Spot) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for position, name in enumerate(ids):
        if name is not None and first.setdefault(name, position) != position:
            place = spot.under(key, position, "id")
            yield place.wrong(f"{shown(name)} is the id of {key}[{first[name]}] already", "an id of its own")


# Paths ----------------------------------------------------------------------------------------------------------


def check_paths(steps: Sequence[Step], spot: Spot, limit_days: float | None) -> Iterator[Problem]:
    """Check the paths through sound steps: what no path leads to, loops without time, and how long the way is."""
    position = _positions(steps)
    lost = {target for step in steps for target in next_step_ids(step) if target not in position}
    candidates = sorted(lost)[:_MOST_TYPING_ERRORS]
    meant = {name: near for name in candidates if (near := closest(name, position)) is not None}
    graph = graph_of(steps, meant)
    for step_id in unreachable(steps, graph):
        place = spot.under("steps", position[step_id])
        yield place.wrong(f"no path leads to step {shown(step_id)}", "another step that names it, or to leave it out")
    for loop in loops_without_wait(steps, graph):
        path = " → ".join((*loop, loop[0]))
        yield spot.under("steps", position[loop[0]]).wrong(f"the loop {path} holds no wait", _LOOP_BREAKERS)
    if lost <= meant.keys() and limit_days is not None:
        yield from _check_length(steps, graph, spot, limit_days)


def _positions(steps: Sequence[Step]) -> dict[str, int]:
    """Return where each id stands first."""
    return {step.id: number for number, step in reversed(list(enumerate(steps)))}


def _limit_days(value: Json, nodes: Sequence[Node]) -> float | None:
    """Return `max_execution_time_days`, or None where the settings are broken."""
    if isinstance(value, dict) and "settings" in value:
        return next((n.value.max_execution_time_days for n in nodes if isinstance(n.value, WorkflowSettings)), None)
    return WorkflowSettings().max_execution_time_days


def _check_length(steps: Sequence[Step], graph: Graph, spot: Spot, limit_days: float) -> Iterator[Problem]:
    shortest = shortest_wait_ms(steps, graph)
    if shortest is not None and shortest > limit_days * DAY_MS:
        days = shortest / DAY_MS
        place = spot.under("settings", "max_execution_time_days")
        yield place.wrong(
            f"is {limit_days:g}, but the shortest path waits {days:g} days", f"at least {days:g}, or shorter waits"
        )


# Warnings -------------------------------------------------------------------------------------------------------


def warnings_of(document: Document, reading: Reading[AnyDefinition]) -> Iterator[Problem]:
    """Find what is allowed, but probably not meant."""
    for node in reading.nodes:
        if isinstance(node.value, EventCondition):
            yield from _warn_of_keys(node.value, Spot(document.file, node.path))
    if isinstance(reading.value, Workflow):
        yield from _warn_of_once(reading.value, document.spot)
        yield from _warn_of_twice(reading.value.steps, document.spot)
        yield from _warn_of_haste(reading.value.steps, document.spot)
        yield from _warn_of_settings(reading.value, document.spot)


def _warn_of_keys(condition: EventCondition, spot: Spot) -> Iterator[Problem]:
    for key in condition.equals:
        is_of_others = key in _KEYS_OF_OTHERS
        hint = "another condition_type, unless that is meant" if is_of_others else suggestion(key, _KEYS_OF_EVENTS)
        if hint:
            yield spot.under(key).wrong("is compared with a property of that name", hint)


def _warn_of_once(workflow: Workflow, spot: Spot) -> Iterator[Problem]:
    settings = workflow.settings
    if settings.allow_multiple_executions or settings.re_entry is not None or settings.execution_key is not None:
        return
    for position, trigger in enumerate(workflow.triggers):
        if _fires_again(trigger.conditions):
            kind = trigger.conditions.__struct_config__.tag
            yield spot.under("triggers", position).wrong(
                f"{kind} can fire again and again, but the workflow runs only once in a customer's life",
                "settings.re_entry or settings.allow_multiple_executions, unless once is meant",
            )


def _fires_again(conditions: TriggerCondition) -> bool:
    """Tell whether a condition is made to hold again and again."""
    if isinstance(conditions, DateAttribute):
        return conditions.recurring == "yearly"
    return isinstance(conditions, FrequencyThreshold | InactivityPeriod | AbsenceCondition | Schedule)


def _warn_of_haste(steps: Sequence[Step], spot: Spot) -> Iterator[Problem]:
    """Warn of loops that turn more than once a minute."""
    position, graph = _positions(steps), graph_of(steps)
    waits_ms = {
        step.id: fixed_wait_ms(step.configuration) for step in steps if isinstance(step.configuration, FixedTime)
    }
    for loop in loops_without_wait(steps, graph, MINUTE_MS):
        lasts_ms = sum(waits_ms.get(step_id, 0) for step_id in loop)
        if 0 < lasts_ms < MINUTE_MS:
            path = " → ".join((*loop, loop[0]))
            yield spot.under("steps", position[loop[0]]).wrong(
                f"the loop {path} turns every {lasts_ms / 1_000:g} s", "a minute or more, unless that is meant"
            )


def _warn_of_settings(workflow: Workflow, spot: Spot) -> Iterator[Problem]:
    settings = workflow.settings
    if settings.attribution_window_hours is not None and settings.goal is None:
        yield spot.under("settings", "attribution_window_hours").wrong("has no goal to look for", "settings.goal")
    if settings.execution_key is None:
        return
    for position, trigger in enumerate(workflow.triggers):
        if isinstance(trigger.conditions, InactivityPeriod | Schedule | DateAttribute):
            yield spot.under("triggers", position).wrong(
                "no event fires it, so it never has the execution_key and starts nothing", "a trigger of an event"
            )


def _warn_of_twice(steps: Sequence[Step], spot: Spot) -> Iterator[Problem]:
    position = _positions(steps)
    for step_id in sends_that_can_run_twice(steps, graph_of(steps)):
        yield spot.under("steps", position[step_id]).wrong(
            "two branches that run side by side lead here: it can be sent twice", "one branch, unless twice is meant"
        )
