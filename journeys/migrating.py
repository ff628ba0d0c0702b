"""Moving executions to another version of their workflow, where a new version was applied with `mode: migrate`.

A branch goes to the step of the same id, or to the one that the step map names. If that step is the same kind of step,
the branch keeps its place: a wait whose length changed is measured anew from when it began, a message keeps the instant
for which it was timed and is rendered, guarded and checked by the new version. If it is another kind of step, the
branch enters it now. A branch whose step is gone is given up, and the execution ends with its last one (`exit`); or the
whole execution stays where it is, on its version, paused (`park`).
"""

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from journeys.awaiting import next_look
from journeys.catalogue import Catalogue, CompiledStep, CompiledWorkflow
from journeys.executions import awaited_by, end, look_from, walk, workflow_of, zone_of
from journeys.timing import wait_until
from journeys.turn import Turn
from schemas.customer import Customer, Execution, Visit
from schemas.editing import Editing
from schemas.events import Json
from schemas.instants import Millis

STEP_GONE: Final = "step_gone"


class Fate(Struct, frozen=True, kw_only=True):
    """What becomes of a branch that stands in a step, and in which step it stands then (None: in none)."""

    what: Literal["moves", "is timed anew", "begins the step anew", "ends", "parks"]
    step_id: str | None = None


def fate(editing: Editing, old: CompiledWorkflow, new: CompiledWorkflow | None, step_id: str) -> Fate:
    """Return what becomes of a branch of a workflow that moves to its new version."""
    target = editing.step_map.get(f"{old.id}/{step_id}", step_id)
    step = None if new is None else new.steps.get(target)
    if step is None:
        return Fate(what="ends" if editing.gone == "exit" else "parks")
    before = old.steps[step_id]
    if _shape(before) != _shape(step):
        return Fate(what="begins the step anew", step_id=target)
    is_timed = before.wait is not None or before.awaited is not None
    same = before.step == step.step or not is_timed
    return Fate(what="moves" if same else "is timed anew", step_id=target)


def _shape(step: CompiledStep) -> tuple[object, ...]:
    """Return what has to be the same for a branch to go on with what it knows."""
    awaited = None if step.awaited is None else step.awaited.event_type is None
    return step.type, step.wait is None, awaited, step.webhook is None


def is_behind(customer: Customer, catalogue: Catalogue) -> bool:
    """Tell whether a customer has an execution that could move to this version."""
    return any(execution.version < catalogue.number for execution in customer.executions)


def migrate(turn: Turn) -> None:
    """Move the customer's executions to the version in force; those that have moved already aren't touched."""
    for execution in list(turn.customer.executions):
        if execution.version < turn.catalogue.number:
            _move(turn, execution)


def _move(turn: Turn, execution: Execution) -> None:
    catalogue = turn.catalogue
    old = workflow_of(turn, execution)
    new = catalogue.workflow(execution.workflow_id, catalogue.number, execution.override)
    fates = [(visit, fate(catalogue.editing, old, new, visit.step_id)) for visit in execution.branches]
    gone: list[Json] = [visit.step_id for visit, one in fates if one.step_id is None]
    if gone and catalogue.editing.gone == "park":
        _park(turn, execution, gone)
    elif new is None or len(gone) == len(fates):
        end(turn, execution, "exit", {"reason": STEP_GONE, "step_ids": gone, "version": catalogue.number})
    else:
        _bring(turn, execution, old, new, fates)


def _park(turn: Turn, execution: Execution, gone: list[Json]) -> None:
    if execution.paused_at is None:
        execution.paused_at = turn.now
        detail: dict[str, Json] = {"reason": STEP_GONE, "step_ids": gone, "version": turn.catalogue.number}
        turn.record("execution_paused", execution=execution, detail=detail)


def _bring(
    turn: Turn, execution: Execution, old: CompiledWorkflow, new: CompiledWorkflow, fates: list[tuple[Visit, Fate]]
) -> None:
    is_edited, before = old.definition != new.definition, execution.version
    execution.version = new.version
    if is_edited:
        # What its decisions knew is of the workflow as it was.
        execution.passed = []
        steps: dict[str, Json] = {visit.step_id: one.step_id for visit, one in fates}
        turn.record("execution_migrated", execution=execution, detail={"from_version": before, "steps": steps})
    execution.branches = [visit for visit, one in fates if one.what in {"moves", "is timed anew"}]
    for visit, one in fates:
        if one.step_id is not None and visit in execution.branches:
            _place(turn, execution, new, visit, one)
    anew = tuple(_entered_anew(fates))
    if anew:
        walk(turn, execution, new, anew)
    look_from(turn, execution, new)


def _entered_anew(fates: list[tuple[Visit, Fate]]) -> Iterator[str]:
    for _, one in fates:
        if one.what == "begins the step anew" and one.step_id is not None:
            yield one.step_id


def _place(turn: Turn, execution: Execution, new: CompiledWorkflow, visit: Visit, one: Fate) -> None:
    """Put a branch into its step of the new version; what would be due by now is due now."""
    if one.step_id is not None and one.step_id != visit.step_id:
        visit.step_id = one.step_id
        # Its ids come of step and visit, so the same pair mustn't come again.
        visit.visit = execution.visits[one.step_id] = execution.visits.get(one.step_id, 0) + 1
    if one.what == "moves" or visit.parked:
        return
    step = new.steps[visit.step_id]
    if step.wait is not None:
        due_at: Millis | None = wait_until(step.wait, visit.entered_at, zone_of(turn, new))
    else:
        due_at = next_look(awaited_by(step), visit.entered_at, turn.now)
    visit.due_at = None if due_at is None else max(due_at, turn.now)
