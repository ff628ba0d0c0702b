"""Checks of experiments: what they split, that they don't meet, and that every variation is a sound workflow."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from journeys.branching import split_id
from journeys.experiments import CONTROL, is_workflow, template_ids, vary
from journeys.validation_parts import Known, check_part, unknown
from journeys.validation_workflows import check_paths
from schemas.definitions import (
    Condition,
    DecisionStep,
    Experiment,
    ExperimentStep,
    GoalEvent,
    SplitTest,
    Step,
    Variation,
    Workflow,
)
from schemas.events import Json
from schemas.problems import Problem, Spot, shown
from schemas.reading import read

_TOLERANCE: Final = 1e-9
"""Shares are written as decimals, which floats add up to 1 only nearly."""


def check_experiments(
    experiments: Sequence[tuple[Experiment, Spot]], workflows: Sequence[Workflow], known: Known
) -> Iterator[Problem]:
    """Check the experiments of a set of definitions.

    Args:
        experiments: the sound ones, each with its place.
        workflows: the sound ones, with their ids.
        known: the ids that there are, of sound documents or not.
    """
    sound = {workflow.id or "": workflow for workflow in workflows}
    taken: dict[str, str] = {}
    for experiment, spot in experiments:
        yield from _check_split(experiment, spot.under("config", "traffic_split"))
        yield from check_goal(experiment.config.goal, spot.under("config", "goal"), known)
        yield from _check_workflows(experiment, spot, taken, known)
        base = sound.get(experiment.base_workflow_id)
        for place, variation in enumerate(experiment.variations):
            if not is_workflow(variation) and base is not None:
                yield from _check_variation(base, variation, spot.under("variations", place), known)
    yield from _check_step_ids(experiments, sound)


def _check_split(experiment: Experiment, spot: Spot) -> Iterator[Problem]:
    split, count = experiment.config.traffic_split, len(experiment.variations)
    if len(split.variations) != count:
        yield spot.under("variations").wrong(f"has {len(split.variations)} shares", f"{count}, one for each variation")
    total = math.fsum((split.control, *split.variations))
    if abs(total - 1) > _TOLERANCE:
        yield spot.wrong(f"adds up to {total:g}", "shares of control and variations that add up to 1")


def check_goal(goal: Json, spot: Spot, known: Known) -> Iterator[Problem]:
    """Check a goal: an event, or a condition."""
    if goal is None:
        return
    is_event = isinstance(goal, dict) and "event_type" in goal
    form = GoalEvent if is_event else Condition
    reading = read(goal, form, spot.path, file=spot.file)  # type: ignore[arg-type]
    yield from reading.problems
    for node in reading.nodes:
        yield from check_part(node.value, Spot(spot.file, node.path), known)


def _check_workflows(experiment: Experiment, spot: Spot, taken: dict[str, str], known: Known) -> Iterator[Problem]:
    """Check that the workflows are there, and that no other experiment splits them."""
    named = [(experiment.base_workflow_id, spot.under("base_workflow_id"))]
    names: set[str] = {CONTROL}
    for place, variation in enumerate(experiment.variations):
        at = spot.under("variations", place)
        if variation.id in names:
            yield at.under("id").wrong(f"{shown(variation.id)} is a variation already", "a name of its own")
        names.add(variation.id)
        if is_workflow(variation):
            named.append((variation.id, at))
    if not experiment.variations:
        yield spot.under("variations").wrong("is empty", "at least one variation")
    for name, at in named:
        if name not in known.workflows:
            yield unknown("workflow", name, at, known.workflows)
        elif name in taken:
            message = f"workflow {shown(name)} is part of experiment {shown(taken[name])} already"
            yield at.wrong(message, "one experiment for each workflow")
        taken.setdefault(name, experiment.id)


def _check_variation(base: Workflow, variation: Variation, spot: Spot, known: Known) -> Iterator[Problem]:
    steps = {step.id: step for step in base.steps}
    for name in variation.steps:
        if name not in steps:
            yield unknown("step", name, spot.under("steps", name), steps)
    yield from _check_templates(base, variation, spot.under("templates"), known)
    varied = vary(base, variation, spot.path, spot.file)
    yield from varied.problems
    local = replace(known, steps=frozenset(steps))
    for node in varied.nodes:
        yield from check_part(node.value, Spot(spot.file, node.path), local)
    if not varied.problems:
        limit = base.settings.max_execution_time_days
        for problem in check_paths(varied.workflow.steps, spot, limit):
            # The path of such a problem is one of the base; it is this variation that makes it.
            yield replace(problem, path=spot.path)


def _check_templates(base: Workflow, variation: Variation, spot: Spot, known: Known) -> Iterator[Problem]:
    used = {name for step in base.steps for name in template_ids(step)}
    for old, new in variation.templates.items():
        at = spot.under(old)
        if old not in used:
            yield at.wrong(f"the base sends no template {shown(old)}", f"one of {', '.join(sorted(used)) or 'none'}")
        elif new not in known.templates:
            yield unknown("template", new, at, known.templates)
        elif known.templates[new] != known.templates.get(old) and known.templates[new] is not None:
            yield at.wrong(
                f"template {shown(new)} is for {known.templates[new]}", f"a template for {known.templates.get(old)}"
            )


def _check_step_ids(
    experiments: Sequence[tuple[Experiment, Spot]], workflows: Mapping[str, Workflow]
) -> Iterator[Problem]:
    """Refuse an experiment whose id a step uses as well: they would share their assignments."""
    by_steps: dict[str, str] = {}
    for workflow_id, workflow in workflows.items():
        for step in workflow.steps:
            name = _id_of(step, workflow_id)
            if name is not None:
                by_steps.setdefault(name, f"{workflow_id}/{step.id}")
    for experiment, spot in experiments:
        if experiment.id in by_steps:
            message = f"{shown(experiment.id)} is the experiment of step {by_steps[experiment.id]} already"
            yield spot.under("id").wrong(message, "an id of its own")


def _id_of(step: Step, workflow_id: str) -> str | None:
    """Return under which id a step's customers are remembered; None for one that deals nobody out."""
    match step:
        case ExperimentStep(configuration=configuration) if configuration.experiment_id is not None:
            return configuration.experiment_id
        case ExperimentStep() | DecisionStep(configuration=SplitTest()):
            return split_id(workflow_id, step.id)
    return None
