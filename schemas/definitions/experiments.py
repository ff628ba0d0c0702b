"""Experiments: of workflows against each other, and of branches within one."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.definitions.branches import Variant
from schemas.definitions.words import Name
from schemas.events import Json

Confidence = Annotated[float, Meta(gt=0.5, lt=1)]
Metric = Literal["conversion", "revenue"]


class ExperimentConfiguration(Struct, frozen=True, kw_only=True):
    """A split whose variants are measured; the first one is the control."""

    variants: tuple[Variant, ...]
    """The ways, with their weights; the first one is the control."""
    experiment_id: Name | None = None
    """By default the workflow's id and the step's, with a colon between."""
    goal: Json = None
    """What counts as a conversion: a condition, or `{event_type, where, value_field}`."""
    confidence_level: Confidence = 0.95
    """How sure the result has to be before there is a winner."""
    min_participants: Annotated[int, Meta(ge=1)] = 100
    """How many participants there have to be before there is a winner."""
    metric: Metric = "conversion"
    """Whether customers who convert are counted, or their revenue."""
    on_winner: Literal["ship", "keep"] = "ship"
    """Whether new customers get the winner (`ship`) or the split goes on (`keep`)."""


Share = Annotated[float, Meta(ge=0, le=1)]


class TrafficSplit(Struct, frozen=True, kw_only=True):
    """Which share of the customers gets what; the shares add up to 1."""

    control: Share
    """The share of the base workflow, from 0 to 1."""
    variations: tuple[Share, ...]
    """The share of each variation, in their order."""


class ExperimentConfig(Struct, frozen=True, kw_only=True):
    """How an experiment deals its customers out, and how it is measured."""

    traffic_split: TrafficSplit
    """The shares of control and variations, which add up to 1."""
    goal: Json = None
    """A condition, or `{event_type, where, value_field}`."""
    confidence_level: Confidence = 0.95
    """How sure the result has to be before there is a winner."""
    min_participants: Annotated[int, Meta(ge=1)] = 100
    """How many participants there have to be before there is a winner."""
    metric: Metric = "conversion"
    """Whether customers who convert are counted, or their revenue."""
    on_winner: Literal["ship", "keep"] = "ship"
    """Whether new customers get the winner (`ship`) or the split goes on (`keep`)."""


class Variation(Struct, frozen=True, kw_only=True):
    """A workflow by its id (a text alone means that), or the base with other configurations or templates."""

    id: Name
    """The id of a workflow, or with overrides a name of its own."""
    steps: dict[str, Json] = {}
    """Configurations that replace those of the base, by the id of the step."""
    templates: dict[str, Name] = {}
    """Templates that replace those of the base: the old id, and the new one."""


class Experiment(Struct, frozen=True, kw_only=True, tag_field="kind", tag="experiment"):
    """Deals the customers whom a workflow's triggers start out among it (control) and its variations."""

    id: Name
    """Its name; the assignment of a customer is made from it, so another id deals anew."""
    base_workflow_id: Name
    """The workflow whose triggers start it; it is the control."""
    variations: tuple[Variation, ...]
    """What is tried against it: ids of workflows, or overrides of the base."""
    config: ExperimentConfig
    """How customers are dealt out, and how it is measured."""
    name: str = ""
    """What people call it."""
    description: str = ""
    """What it is about, for people."""
