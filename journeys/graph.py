"""The steps of a workflow as a graph: what can be reached, what never ends, how long the shortest way takes.

Pure functions of the steps. References that lead nowhere are left out here; `journeys.validation` reports them.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Final, assert_never

from schemas.definitions import (
    ActionStep,
    ChannelStep,
    ConditionDecision,
    DecisionConfiguration,
    DecisionStep,
    Exit,
    ExperimentStep,
    FixedTime,
    MessageStep,
    ScoreBased,
    SegmentCheck,
    SplitTest,
    Step,
    UntilCondition,
    UntilDate,
    UntilEvent,
    UntilTime,
    WaitStep,
)
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis

MAX_LOOPS: Final = 20
"""Loops reported per workflow: their number can grow exponentially with the steps."""
MAX_FAN_OUTS: Final = 100
"""Steps with several next steps that are looked at for branches that meet: each costs a walk over the graph."""


Graph = Mapping[str, tuple[str, ...]]
"""What may follow each step, by id; every id in it is a key of it."""
_NOTHING: Final[Mapping[str, str]] = {}


def next_step_ids(step: Step) -> tuple[str, ...]:
    """Return every step that may come next, in listed order, each once."""
    match step:
        case ChannelStep() | MessageStep():
            targets: Iterable[str | None] = step.next_steps
        case WaitStep(configuration=UntilEvent() | UntilCondition() as until):
            targets = (*step.next_steps, until.timeout_next_step)
        case WaitStep():
            targets = step.next_steps
        case DecisionStep():
            targets = _branches(step.configuration)
        case ExperimentStep():
            targets = [variant.next_step for variant in step.configuration.variants]
        case ActionStep():
            ends_here = isinstance(step.configuration, Exit) and step.conditional_logic is None
            targets = () if ends_here else step.next_steps
        case _:
            assert_never(step)
    return tuple(dict.fromkeys(target for target in targets if target is not None))


def _branches(configuration: DecisionConfiguration) -> tuple[str | None, ...]:
    match configuration:
        case ConditionDecision():
            targets = [branch.next_step for branch in configuration.conditions]
        case SplitTest():
            return tuple(variant.next_step for variant in configuration.variants)
        case ScoreBased():
            targets = [threshold.next_step for threshold in configuration.thresholds]
        case SegmentCheck():
            targets = [segment.next_step for segment in configuration.segments]
        case _:
            assert_never(configuration)
    return (*targets, configuration.default_next_step)


def graph_of(steps: Sequence[Step], meant: Mapping[str, str] = _NOTHING) -> Graph:
    """Return what may follow each step, by id, in listed order.

    Args:
        steps: sound steps; of several with one id the last counts.
        meant: for references that lead nowhere, the step that was probably meant, so that one typing error
            doesn't make everything behind it unreachable as well.
    """
    known = {step.id for step in steps}
    return {
        step.id: tuple(target for name in next_step_ids(step) if (target := meant.get(name, name)) in known)
        for step in steps
    }


def unreachable(steps: Sequence[Step], graph: Graph) -> list[str]:
    """Return the ids of the steps that no path from the first one leads to, in listed order."""
    if not steps:
        return []
    reached = _reached(graph, steps[0].id)
    return [step.id for step in steps if step.id not in reached]


def _reached(graph: Graph, start: str) -> set[str]:
    reached, waiting = {start}, deque([start])
    while waiting:
        for target in graph[waiting.popleft()]:
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return reached


def loops_without_wait(steps: Sequence[Step], graph: Graph, least_ms: Millis = 1) -> list[tuple[str, ...]]:
    """Return loops in which no wait takes as long as that, each as its step ids in order; at most `MAX_LOOPS`.

    A found loop is opened at its last edge before the next is looked for, so loops that share steps are found too.
    """
    standing = {step.id for step in steps if not _lets_time_pass(step, least_ms)}
    open_edges = {
        step_id: {target for target in targets if target in standing}
        for step_id, targets in graph.items()
        if step_id in standing
    }
    order = {step.id: position for position, step in enumerate(steps)}
    loops: list[tuple[str, ...]] = []
    while len(loops) < MAX_LOOPS and (loop := _loop(open_edges, order)) is not None:
        open_edges[loop[-1]].discard(loop[0])
        loops.append(loop)
    return loops


def _loop(graph: Mapping[str, set[str]], order: Mapping[str, int]) -> tuple[str, ...] | None:
    """Find one loop, written from its earliest listed step on."""
    ordered = {step_id: sorted(graph[step_id], key=order.__getitem__) for step_id in graph}
    try:
        TopologicalSorter(ordered).prepare()
    except CycleError as error:
        # graphlib knows predecessors, and its list begins and ends with the same node: reversed, it follows the path.
        backwards: list[str] = list(error.args[1])
        loop = backwards[::-1][1:]
        first = loop.index(min(loop, key=order.__getitem__))
        return tuple(loop[first:] + loop[:first])
    return None


def _lets_time_pass(step: Step, least_ms: Millis) -> bool:
    """Say whether so much lies between two visits of this step, or something that isn't in the workflow's hands."""
    if not isinstance(step, WaitStep):
        return False
    match step.configuration:
        case FixedTime():
            return fixed_wait_ms(step.configuration) >= least_ms
        case UntilTime() | UntilEvent():
            return True
        case UntilDate() | UntilCondition():
            # A date may be past, and a condition may hold already.
            return False
        case _:
            assert_never(step.configuration)


def fixed_wait_ms(wait: FixedTime) -> Millis:
    """Add up the durations of a fixed wait; a calendar day counts 24 hours."""
    days = (wait.duration_days or 0) + (wait.calendar_days or 0)
    return round(days * DAY_MS + (wait.duration_hours or 0) * HOUR_MS + (wait.duration_minutes or 0) * MINUTE_MS)


def shortest_wait_ms(steps: Sequence[Step], graph: Graph) -> Millis | None:
    """Return the least time that fixed and calendar waits take from the first step to an end (Dijkstra).

    A step with `conditional_logic` may be skipped, so it counts nothing. None: no path ends.
    """
    by_id = {step.id: step for step in steps}
    best: dict[str, Millis] = {}
    waiting: list[tuple[Millis, str]] = [(0, steps[0].id)] if steps else []
    while waiting:
        waited, step_id = heapq.heappop(waiting)
        if step_id == _END:
            return waited
        if step_id in best:
            continue
        best[step_id] = waited
        step = by_id[step_id]
        after = waited + _least_wait_ms(step)
        if _may_end(step):
            heapq.heappush(waiting, (after, _END))
        for target in graph[step_id]:
            heapq.heappush(waiting, (after, target))
    return None


_END: Final = ""
"""Sorts before every step id, so that an end wins a tie."""


def _least_wait_ms(step: Step) -> Millis:
    if isinstance(step, WaitStep) and isinstance(step.configuration, FixedTime) and step.conditional_logic is None:
        return fixed_wait_ms(step.configuration)
    return 0


def _may_end(step: Step) -> bool:
    if isinstance(step, ExperimentStep):
        return step.conditional_logic is not None
    if not isinstance(step, DecisionStep):
        return not next_step_ids(step) or (isinstance(step, ActionStep) and isinstance(step.configuration, Exit))
    if step.conditional_logic is not None:
        return True
    return not isinstance(step.configuration, SplitTest) and step.configuration.default_next_step is None


def repeatable(steps: Sequence[Step], graph: Graph) -> set[str]:
    """Return the steps that one execution can come to more than once: in or behind a loop, or where branches meet."""
    parallel = [step for step in steps if not isinstance(step, DecisionStep) and len(step.next_steps) > 1]
    if len(parallel) > MAX_FAN_OUTS:
        return set(graph)
    again = _behind_loops(graph)
    for step in parallel:
        seen: set[str] = set()
        for target in step.next_steps:
            reached = _reached(graph, target) if target in graph else set()
            again |= reached & seen
            seen |= reached
    return again


def _behind_loops(graph: Graph) -> set[str]:
    """Return the steps that lie on or behind a loop: what is left when those without a way in are taken off."""
    ways_in = dict.fromkeys(graph, 0)
    for targets in graph.values():
        for target in targets:
            ways_in[target] += 1
    waiting = [step_id for step_id, count in ways_in.items() if not count]
    left = set(graph)
    while waiting:
        step_id = waiting.pop()
        left.discard(step_id)
        for target in graph[step_id]:
            ways_in[target] -= 1
            if not ways_in[target]:
                waiting.append(target)
    return left


def sends_that_can_run_twice(steps: Sequence[Step], graph: Graph) -> list[str]:
    """Return the message steps that two branches running side by side can both come to, in listed order."""
    parallel = [
        step for step in steps if not isinstance(step, DecisionStep | ExperimentStep) and len(set(step.next_steps)) > 1
    ]
    twice: set[str] = set()
    for step in parallel[:MAX_FAN_OUTS]:
        seen: set[str] = set()
        for target in dict.fromkeys(step.next_steps):
            reached = _reached(graph, target) if target in graph else set()
            twice |= reached & seen
            seen |= reached
    return [step.id for step in steps if step.id in twice and isinstance(step, ChannelStep | MessageStep)]
