"""Experiments: which variation a customer gets, and what a variation is.

The place of a customer is a hash of her id and the experiment's, so nothing has to be remembered to choose, and two
experiments are independent of each other. An assignment once made is remembered all the same: it stands when the
split changes. A customer takes part from the first decision that differs between the variations, and counts once.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from journeys.branching import share_of, shares_end
from schemas.customer import MAX_ASSIGNMENTS, Customer
from schemas.definitions import (
    ChannelStep,
    Experiment,
    ExperimentConfiguration,
    MessageStep,
    Step,
    Variation,
    Workflow,
)
from schemas.events import Json
from schemas.identity import bucket
from schemas.problems import Problem
from schemas.reading import Node, Reading, read

CONTROL: Final = "control"


class Split(Struct, frozen=True, kw_only=True):
    """How an experiment deals its customers out: variations by name, and where the share of each but the last ends."""

    experiment_id: str
    names: tuple[str, ...]
    ends: list[float]


def split_of(experiment: Experiment) -> Split:
    """Compile the split of an experiment: control first, then the variations as they are listed."""
    shares = experiment.config.traffic_split
    return Split(
        experiment_id=experiment.id,
        names=(CONTROL, *(variation.id for variation in experiment.variations)),
        ends=shares_end((shares.control, *shares.variations)),
    )


def split_of_step(configuration: ExperimentConfiguration, default_id: str) -> Split:
    """Compile the split of an experiment step, by weight."""
    return Split(
        experiment_id=configuration.experiment_id or default_id,
        names=tuple(variant.name for variant in configuration.variants),
        ends=shares_end([variant.weight for variant in configuration.variants]),
    )


def assigned(customer: Customer, split: Split) -> str:
    """Return the customer's variation: the one she has, while there is one of that name, else by her place."""
    known = customer.assignments.get(split.experiment_id)
    if known is not None and known in split.names:
        return known
    return split.names[share_of(split.ends, bucket(customer.customer_id, split.experiment_id))]


def assign(customer: Customer, experiment_id: str, name: str) -> None:
    """Make the assignment stand, of an experiment or a split test; of too many, the oldest is forgotten."""
    assignments = customer.assignments
    if assignments.get(experiment_id) == name:
        return
    assignments[experiment_id] = name
    while len(assignments) > MAX_ASSIGNMENTS:
        oldest = next(iter(assignments))
        del assignments[oldest]
        if oldest in customer.exposed:
            customer.exposed.remove(oldest)


def expose(customer: Customer, experiment_id: str) -> bool:
    """Count the customer as a participant; return False if she is one already."""
    if experiment_id in customer.exposed or experiment_id not in customer.assignments:
        return False
    customer.exposed.append(experiment_id)
    return True


# Variations ---------------------------------------------------------------------------------------------------


def is_workflow(variation: Variation) -> bool:
    """Tell whether a variation is a workflow of its own, not a change of the base."""
    return not variation.steps and not variation.templates


class Varied(Struct, frozen=True, kw_only=True):
    """The base as a variation changes it, and what was read on the way, with paths within the variation."""

    workflow: Workflow
    problems: tuple[Problem, ...]
    nodes: tuple[Node, ...]


def vary(base: Workflow, variation: Variation, path: str = "", file: str = "") -> Varied:
    """Change steps and templates of the base; a configuration replaces the step's as a whole.

    Args:
        base: a sound workflow.
        variation: one that `is_workflow` denies; steps that the base hasn't are passed over.
        path: of the variation in its document.
        file: the document's.
    """
    problems: list[Problem] = []
    nodes: list[Node] = []
    steps: list[Step] = []
    for step in base.steps:
        configuration = variation.steps.get(step.id)
        if step.id not in variation.steps:
            steps.append(_with_templates(step, variation.templates))
            continue
        inner = f"{path}.steps.{step.id}" if path else f"steps.{step.id}"
        document: dict[str, Json] = {"id": step.id, "type": str(step.__struct_config__.tag)}
        reading: Reading[Step] = read({**document, "configuration": configuration}, Step, inner, file=file)  # type: ignore[arg-type]
        problems += [
            replace(one, path=one.path.replace(f"{inner}.configuration", inner, 1)) for one in reading.problems
        ]
        nodes += [replace(one, path=one.path.replace(f"{inner}.configuration", inner, 1)) for one in reading.nodes]
        steps.append(step if reading.value is None else _like(step, reading.value))
    return Varied(workflow=replace(base, steps=tuple(steps)), problems=tuple(problems), nodes=tuple(nodes))


def _like(step: Step, changed: Step) -> Step:
    """Keep of a step what an override leaves alone: what follows, and when it is skipped."""
    return replace(changed, next_steps=step.next_steps, conditional_logic=step.conditional_logic)


def _with_templates(step: Step, templates: dict[str, str]) -> Step:
    configuration = step.configuration
    if isinstance(step, MessageStep):
        named = {channel: templates.get(name, name) for channel, name in step.configuration.templates.items()}
        return replace(step, configuration=replace(step.configuration, templates=named))
    if isinstance(step, ChannelStep):
        name = step.configuration.template_id
        return replace(step, configuration=replace(configuration, template_id=templates.get(name, name)))
    return step


def template_ids(step: Step) -> tuple[str, ...]:
    """Return the templates that a step sends."""
    if isinstance(step, MessageStep):
        return tuple(step.configuration.templates.values())
    return (step.configuration.template_id,) if isinstance(step, ChannelStep) else ()


def differing_steps(base: Workflow, variations: Sequence[Variation]) -> frozenset[str] | None:
    """Return the steps in which the variations differ; None where they differ from the start on."""
    if any(is_workflow(variation) for variation in variations):
        return None
    changed = {name for variation in variations for name in variation.steps}
    swapped = {old for variation in variations for old in variation.templates}
    changed |= {step.id for step in base.steps if swapped.intersection(template_ids(step))}
    return frozenset(changed)
