"""Late events and decisions that have been passed: an execution goes back to where it would have gone another way.

A late event that occurred before a decision is learned by what the decision knew (`journeys.hindsight`), and the
decision is looked at again as of its instant. If another way comes out and nothing has come of the decision yet, the
branches that descend from it are given up and the execution takes the other way, from now on. What has had an effect
stays as it was; there, for three days, the decision that would have been is recorded.
"""

from collections.abc import Callable

from msgspec.structs import replace

from journeys.branching import Branching
from journeys.executions import give_up, go_back, workflow_of, zone_of
from journeys.hindsight import DIVERGENCE_MS, behind_of, keep_known
from journeys.scene import Scene
from journeys.turn import Turn
from schemas.customer import Execution, Passed, Settled
from schemas.events import Event, Json
from schemas.instants import Millis, as_text

Learn = Callable[[Turn, Event], object]
"""Takes an event into the customer of a turn, with her stage and her memberships."""


def is_late_for(passed: list[Passed], occurred_at: Millis) -> bool:
    """Tell whether an event occurred before one of the decisions; the latest is the last."""
    return bool(passed) and occurred_at < passed[-1].at


def reopen(turn: Turn, execution: Execution, event: Event, learn: Learn) -> None:
    """Look again at the decisions of an execution that a late event should have reached, and go back where it must."""
    found = []
    for passed in execution.passed:
        if event.occurred_at < passed.at:
            chosen = _look_again(turn, execution, passed, event, learn)
            if chosen.next_step != passed.way:
                found.append((passed, chosen))
    for passed, chosen in found:
        # What went before may have given it up, or may have had an effect.
        if execution in turn.customer.executions and any(passed is one for one in execution.passed):
            _go_back(turn, execution, passed, chosen, event)


def _go_back(turn: Turn, execution: Execution, passed: Passed, chosen: Branching, event: Event) -> None:
    given_up = behind_of(execution.passed, passed.number)
    left = give_up(turn, execution, given_up)
    execution.passed = [one for one in execution.passed if one is passed or one.number not in given_up]
    detail: dict[str, Json] = {**_told(passed, chosen, event), "left": list(left)}
    turn.record("late_reopened", execution=execution, step_id=passed.step_id, detail=detail)
    passed.way = chosen.next_step
    go_back(turn, execution, passed, chosen)


def compare(turn: Turn, event: Event, learn: Learn) -> None:
    """Record which decisions would have been others, had an event come in time; each other way once."""
    customer = turn.customer
    if turn.now - customer.settled[0].at > DIVERGENCE_MS:
        customer.settled = [one for one in customer.settled if turn.now - one.at <= DIVERGENCE_MS]
    for settled in customer.settled:
        if is_late_for(settled.passed, event.occurred_at):
            _compare(turn, settled, event, learn)


def _compare(turn: Turn, settled: Settled, event: Event, learn: Learn) -> None:
    execution, is_elsewhere = _recalled(settled), set[int]()
    for passed in settled.passed:
        if event.occurred_at >= passed.at:
            continue
        chosen = _look_again(turn, execution, passed, event, learn)
        if chosen.next_step == passed.way or passed.number in is_elsewhere:
            continue
        # Behind it, the decisions that were made wouldn't have been.
        is_elsewhere |= behind_of(settled.passed, passed.number)
        if chosen.next_step not in passed.told:
            passed.told.append(chosen.next_step)
            detail: dict[str, Json] = {**_told(passed, chosen, event), "effect_at": as_text(settled.at)}
            turn.record("late_divergence", execution=execution, step_id=passed.step_id, detail=detail)


def _told(passed: Passed, chosen: Branching, event: Event) -> dict[str, Json]:
    return {
        "event_id": event.event_id,
        "occurred_at": as_text(event.occurred_at),
        "decided_at": as_text(passed.at),
        "visit": passed.visit,
        "was": passed.way,
        "next": chosen.next_step,
    }


def _look_again(turn: Turn, execution: Execution, passed: Passed, event: Event, learn: Learn) -> Branching:
    """Let what a decision knew learn a late event, and decide again as of then."""
    workflow = workflow_of(turn, execution)
    step = workflow.steps[passed.step_id]
    # Only such decisions are kept, with the version that made them.
    assert step.choose is not None and step.hindsight is not None  # noqa: S101, PT018
    catalogue, known = turn.catalogue, passed.known
    known.customer_id, known.now = turn.customer.customer_id, passed.at
    scene = Scene(customer=known, now=passed.at, half_life_ms=catalogue.half_life_ms, event=event)
    learn(Turn(customer=known, catalogue=catalogue, now=passed.at, cause=turn.cause, scene=scene), event)
    passed.known = keep_known(known, step.hindsight)
    then = replace(execution, last_event=passed.last_event, responses=passed.responses)
    zone = zone_of(replace(turn, customer=known), workflow)
    return step.choose(
        Scene(customer=known, now=passed.at, half_life_ms=catalogue.half_life_ms, execution=then, zone=zone)
    )


def _recalled(settled: Settled) -> Execution:
    """Return what a decision could see of an execution that has had its effect, and may have ended."""
    return Execution(
        execution_id=settled.execution_id,
        workflow_id=settled.workflow_id,
        version=settled.version,
        trigger_id=settled.trigger_id,
        started_at=settled.started_at,
        expires_at=settled.expires_at,
        trigger=settled.trigger,
        branches=[],
        visits={},
        last_send_at=settled.last_send_at,
        key=settled.key,
        override=settled.override,
    )
