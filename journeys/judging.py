"""What ends an execution wherever it stands: its goal, then its exit conditions, before its waits are looked at.

An event is looked at by every execution that it concerns: with an execution key, only by those with its key. As time
passes, goal and exit conditions are looked at when a flip says that they may have changed; exit conditions also
whenever else a timer of the customer is due, because nothing may be sent to somebody who should be out. An execution
that has ended can still reach its goal for a while after its last send, by events and by time: that is recorded, and
changes nothing else.

While a stop holds a workflow, no condition ends a wait in it. What time has made true meanwhile is seen at the release,
which is looked at like a change of everything.
"""

from collections.abc import Iterator

from journeys.awaiting import Awaited
from journeys.catalogue import Catalogue, CompiledWorkflow
from journeys.commands import is_held
from journeys.conditions import holds
from journeys.executions import end, look_from, workflow_of, zone_of
from journeys.exits import first_that_holds
from journeys.flips import Flip, soonest
from journeys.goals import Goal, is_reached_by, worth
from journeys.keys import read_key
from journeys.scene import Scene
from journeys.timing import customer_zone
from journeys.turn import Turn
from schemas.customer import Attributable, Customer, Execution, Visit
from schemas.events import Event, Json
from schemas.instants import Millis
from schemas.log import Holds


def concerns(turn: Turn, execution: Execution, event: Event) -> bool:
    """Tell whether an event concerns an execution: one without a key, or with the event's.

    One that was moved to a version without `execution_key` has lost what an event's would be compared with.
    """
    if execution.key is None:
        return True
    workflow = workflow_of(turn, execution)
    if workflow.key is None:
        return True
    look_from(turn, execution, workflow, event)
    return read_key(workflow.key, turn.scene) == execution.key


def judge(turn: Turn, execution: Execution, event: Event) -> None:
    """End the execution if the event reaches its goal, or makes an exit condition hold."""
    workflow = workflow_of(turn, execution)
    if workflow.goal is None and not workflow.exits.tests:
        return
    look_from(turn, execution, workflow, event)
    goal, scene = workflow.goal, turn.scene
    if goal is not None and is_reached_by(goal, event, _since(execution, scene), scene):
        _convert(turn, execution, goal, {"event_id": event.event_id})
        return
    _leave_if_told(turn, execution, workflow, {"event_id": event.event_id})


def _since(execution: Execution, scene: Scene) -> Millis:
    """Return from when on an event counts: from the one on that started the execution."""
    trigger = scene.trigger()
    return execution.started_at if trigger is None else min(execution.started_at, trigger.event.occurred_at)


def judge_in_time(turn: Turn, execution: Execution, since: Millis, *, has_changed: bool) -> None:
    """End the execution if time, as it passed since the customer's last decision, made goal or exit condition hold.

    Args:
        turn: the decision in the making.
        execution: an active one.
        since: the customer's last decision.
        has_changed: whether time has also changed something about her that the goal may look at, as a membership.
    """
    workflow = workflow_of(turn, execution)
    if workflow.goal is None and not workflow.exits.tests:
        return
    look_from(turn, execution, workflow)
    goal = workflow.goal
    if goal is not None and _may_hold(goal, turn.scene, since, has_changed) and holds(goal.test, turn.scene):
        _convert(turn, execution, goal, {})
        return
    _leave_if_told(turn, execution, workflow, {})


def may_hold(turn: Turn, execution: Execution, visit: Visit, since: Millis, has_changed: bool) -> bool:  # noqa: FBT001
    """Tell whether what a branch of the execution waits for may have come with time since then."""
    workflow = workflow_of(turn, execution)
    awaited = workflow.steps[visit.step_id].awaited
    if awaited is None or awaited.event_type is not None or (awaited.flip is None and not has_changed):
        return False
    held = turn.catalogue.holds
    if visit.parked or is_held(execution, held):
        return False
    look_from(turn, execution, workflow)
    is_released = held is not None and since < held.released_at <= turn.due_until
    return _may_hold(awaited, turn.scene, since, has_changed or is_released)


def _may_hold(condition: Awaited | Goal, scene: Scene, since: Millis, has_changed: bool) -> bool:  # noqa: FBT001
    return condition.event_type is None and (has_changed or _has_come(condition.flip, scene, since))


def _has_come(flip: Flip | None, scene: Scene, since: Millis) -> bool:
    """Tell whether a flip lay between the customer's last decision and now."""
    if flip is None:
        return False
    now, scene.now = scene.now, since
    at, scene.now = flip(scene), now
    return at is not None and at <= now


def _convert(turn: Turn, execution: Execution, goal: Goal, cause: dict[str, Json]) -> None:
    detail: dict[str, Json] = {**cause, "value": worth(goal, turn.scene)}
    turn.record("conversion", execution=execution, detail=detail)
    end(turn, execution, "goal", detail)


def _leave_if_told(turn: Turn, execution: Execution, workflow: CompiledWorkflow, cause: dict[str, Json]) -> None:
    position = first_that_holds(workflow.exits, turn.scene)
    if position is not None:
        end(turn, execution, "exit_condition", {**cause, "exit_condition": position})


# Time -----------------------------------------------------------------------------------------------------------


def next_flip(customer: Customer, catalogue: Catalogue) -> Millis | None:
    """Return when time alone may next bring about an end or a goal, or what a branch waits for."""
    scene = Scene(customer=customer, now=customer.now, half_life_ms=catalogue.half_life_ms)
    found: list[Millis] = []
    for execution in customer.executions:
        workflow = catalogue.workflow(execution.workflow_id, execution.version, execution.override)
        flip = None if workflow is None else soonest(_flips(workflow, execution))
        if workflow is None or flip is None:
            continue
        scene.execution, scene.zone = execution, customer_zone(customer.preferences, workflow.zone)
        at = flip(scene)
        found += [] if at is None else [at]
        found += _releases(workflow, execution, catalogue.holds, customer.now)
    return min((*found, *_flips_after_the_end(scene, catalogue)), default=None)


def _releases(workflow: CompiledWorkflow, execution: Execution, held: Holds | None, now: Millis) -> list[Millis]:
    """Return when a stop ended, under which time may have ended a wait that wasn't looked at since; or nothing."""
    if held is None or held.released_at <= now or is_held(execution, held):
        return []
    waits = [workflow.steps[visit.step_id].awaited for visit in execution.branches if not visit.parked]
    return [held.released_at] if any(awaited is not None and awaited.flip is not None for awaited in waits) else []


def _flips_after_the_end(scene: Scene, catalogue: Catalogue) -> Iterator[Millis]:
    """List when time alone may bring about the goals of executions that have ended, as long as they count."""
    for ended in scene.customer.attributable:
        workflow = catalogue.workflow(ended.workflow_id, ended.version)
        if workflow is None or workflow.goal is None or workflow.goal.flip is None:
            continue
        scene.execution, scene.zone = _recalled(ended), customer_zone(scene.customer.preferences, workflow.zone)
        at = workflow.goal.flip(scene)
        if at is not None and at < ended.until:
            yield at


def _flips(workflow: CompiledWorkflow, execution: Execution) -> list[Flip | None]:
    waits = [workflow.steps[visit.step_id].awaited for visit in execution.branches]
    goal = None if workflow.goal is None else workflow.goal.flip
    return [goal, workflow.exits.flip, *(awaited.flip for awaited in waits if awaited is not None)]


# After the end --------------------------------------------------------------------------------------------------


def attribute(turn: Turn, event: Event) -> None:
    """Record the goals that the event reaches for executions that have ended."""
    customer, oldest = turn.customer, turn.now - turn.catalogue.max_event_age_ms
    waiting = [ended for ended in customer.attributable if ended.until > oldest]
    customer.attributable = [ended for ended in waiting if not _is_brought_about(turn, ended, event)]


def attribute_in_time(turn: Turn, since: Millis, *, has_changed: bool) -> None:
    """Record the goals of executions that have ended which time has brought about since the last decision."""
    customer = turn.customer
    customer.attributable = [
        ended for ended in customer.attributable if not _comes_about(turn, ended, since, has_changed)
    ]


def _comes_about(turn: Turn, ended: Attributable, since: Millis, has_changed: bool) -> bool:  # noqa: FBT001
    workflow = turn.catalogue.workflow(ended.workflow_id, ended.version)
    if workflow is None or workflow.goal is None or not ended.since <= turn.now < ended.until:
        return False
    goal, scene = workflow.goal, turn.scene
    scene.execution, scene.event, scene.zone = _recalled(ended), None, zone_of(turn, workflow)
    if not (_may_hold(goal, scene, since, has_changed) and holds(goal.test, scene)):
        return False
    detail: dict[str, Json] = {"value": None, "after_last_send_ms": turn.now - ended.since}
    turn.record("conversion", execution=_recalled(ended), trigger_id=None, detail=detail)
    return True


def _is_brought_about(turn: Turn, ended: Attributable, event: Event) -> bool:
    workflow = turn.catalogue.workflow(ended.workflow_id, ended.version)
    if workflow is None or workflow.goal is None or not ended.since <= event.occurred_at < ended.until:
        return False
    scene = turn.scene
    scene.execution, scene.event, scene.zone = _recalled(ended), event, zone_of(turn, workflow)
    if ended.key is not None and workflow.key is not None and read_key(workflow.key, scene) != ended.key:
        return False
    if not is_reached_by(workflow.goal, event, ended.since, scene):
        return False
    detail: dict[str, Json] = {
        "event_id": event.event_id,
        "value": worth(workflow.goal, scene),
        "after_last_send_ms": event.occurred_at - ended.since,
    }
    turn.record("conversion", execution=_recalled(ended), trigger_id=None, detail=detail)
    return True


def _recalled(ended: Attributable) -> Execution:
    """Return what a record and a goal need of an execution that has ended."""
    return Execution(
        execution_id=ended.execution_id,
        workflow_id=ended.workflow_id,
        version=ended.version,
        trigger_id=ended.trigger_id,
        started_at=ended.since if ended.started_at is None else ended.started_at,
        expires_at=ended.until,
        trigger=ended.trigger,
        key=ended.key,
        branches=[],
        visits={},
    )
