"""Validation: from the documents of a folder to a complete, valid `Definitions`, or to everything that is wrong.

Theory: `schemas.reading` reads each document alone and keeps every sound part with its path. All other checks run
over those parts, so a broken document still shows its other mistakes; which ids there are is taken from the raw
documents, so a reference to a broken template isn't called unknown. What passes here compiles.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from journeys.documents import Document, id_of, kind_of, slug, step_ids, text_at, trigger_ids
from journeys.validation_experiments import check_experiments
from journeys.validation_parts import Known, check_part, check_references
from journeys.validation_templates import suspicions
from journeys.validation_timing import check_timings
from journeys.validation_watching import check_circles, check_watched
from journeys.validation_workflows import check_workflow, warnings_of
from schemas.definitions import (
    AnyDefinition,
    Definitions,
    Experiment,
    Lifecycle,
    QuietHours,
    Scoring,
    Segment,
    Settings,
    Suppression,
    Template,
    Workflow,
)
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.expectations import WorkflowTest
from schemas.problems import Problem, Spot, sentence, shown
from schemas.reading import MAX_PROBLEMS, Reading, read, read_definition

__all__ = ["Document", "InvalidDefinitions", "Validated", "definitions_from_documents", "validate"]


class Validated(Struct, frozen=True, kw_only=True):
    """What became of the documents: without problems a complete set, otherwise None; warnings either way.

    Tests are apart, since they are no part of a catalogue.
    """

    definitions: Definitions | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    tests: tuple[WorkflowTest, ...] = ()


class InvalidDefinitions(TidingsError):
    """Definitions that can't be activated; `problems` says everything that is wrong."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems, and write them as lines."""
        self.problems = tuple(problems)
        super().__init__("The definitions are invalid:\n" + "\n".join(f"  {sentence(problem)}" for problem in problems))


def definitions_from_documents(values: Sequence[Json]) -> Definitions:
    """Build the definitions from their stored documents.

    Args:
        values: the raw documents, in the order in which they were stored.

    Raises:
        InvalidDefinitions: this version of the rules doesn't accept them; all problems are in it.
    """
    documents = [Document(file=f"document {number}", value=value) for number, value in enumerate(values, 1)]
    validated = validate(documents)
    if validated.definitions is None:
        raise InvalidDefinitions(validated.problems)
    return validated.definitions


def validate(documents: Sequence[Document]) -> Validated:
    """Check documents alone and together.

    Returns:
        The definitions with all ids filled in, or None and every problem, in the order of the documents (of one
        document at most `MAX_PROBLEMS` of its words and as many of their sense).
    """
    known = _known(documents)
    seen: dict[tuple[str, str], Document] = {}
    problems: list[Problem] = []
    warnings: list[Problem] = []
    values: list[AnyDefinition] = []
    templates: list[tuple[Document, Template]] = []
    segments: list[tuple[Segment, Spot]] = []
    experiments: list[tuple[Experiment, Spot]] = []
    for document in documents:
        reading = read_definition(document.value, document.prefix, file=document.file)
        problems += reading.problems
        problems += _check_id(document, seen)
        problems += islice(_check_parts(document, reading, known), MAX_PROBLEMS)
        warnings += islice(warnings_of(document, reading), MAX_PROBLEMS)
        values += [] if reading.value is None else [reading.value]
        templates += [(document, reading.value)] if isinstance(reading.value, Template) else []
        segments += [(reading.value, document.spot)] if isinstance(reading.value, Segment) else []
        experiments += [(reading.value, document.spot)] if isinstance(reading.value, Experiment) else []
    problems += check_circles(segments)
    problems += check_experiments(experiments, [_with_ids(one) for one in values if isinstance(one, Workflow)], known)
    settings = next((value for value in values if isinstance(value, Settings)), Settings())
    warnings += _warnings_of_templates(templates, settings)
    definitions = None if problems else _collect(values)
    tests = tuple(value for value in values if isinstance(value, WorkflowTest))
    return Validated(definitions=definitions, problems=tuple(problems), warnings=tuple(warnings), tests=tests)


def _warnings_of_templates(templates: Sequence[tuple[Document, Template]], settings: Settings) -> Iterator[Problem]:
    for document, template in templates:
        for flaw in islice(suspicions(template, settings), MAX_PROBLEMS):
            yield document.spot.under(*flaw.path).wrong(flaw.message, flaw.expected)


def _check_parts(document: Document, reading: Reading[AnyDefinition], known: Known) -> Iterator[Problem]:
    local = replace(known, steps=frozenset(name for name in step_ids(document.value) if name is not None))
    for node in reading.nodes:
        yield from check_part(node.value, Spot(document.file, node.path), local)
    for fragment in reading.fragments:
        yield from check_references(fragment.value, Spot(document.file, fragment.path), local)
    yield from check_watched(reading.nodes, document.file, known.kept)
    if kind_of(document.value) == "workflow":
        yield from check_workflow(document.value, document.spot, reading.nodes)
        yield from check_timings(reading.nodes, document.file, known.quiet_hours)


def _known(documents: Sequence[Document]) -> Known:
    templates: dict[str, str | None] = {}
    segments: set[str] = set()
    kept: set[str] = set()
    steps: dict[str, frozenset[str]] = {}
    triggers: dict[str, frozenset[str]] = {}
    for document in documents:
        name, value = id_of(document.value), document.value
        if name is None or not isinstance(value, dict):
            continue
        if kind_of(value) == "template":
            templates[name] = text_at(value, "channel") if "channel" in value else "email"
        elif kind_of(value) == "workflow":
            steps[name] = frozenset(filter(None, step_ids(value)))
            triggers[name] = frozenset(filter(None, trigger_ids(value)))
        elif kind_of(value) == "segment":
            segments.add(name)
            if value.get("condition") is not None:
                kept.add(name)
    return Known(
        workflows=frozenset(steps),
        steps_by_workflow=steps,
        triggers_by_workflow=triggers,
        templates=templates,
        segments=frozenset(segments),
        kept=frozenset(kept),
        quiet_hours=_quiet_hours(documents),
    )


def _quiet_hours(documents: Sequence[Document]) -> QuietHours | None:
    """Return the quiet hours of the settings, if they can be read."""
    for document in documents:
        value = document.value
        if kind_of(value) == "settings" and isinstance(value, dict) and value.get("quiet_hours") is not None:
            return read(value["quiet_hours"], QuietHours).value
    return None


def _check_id(document: Document, seen: dict[tuple[str, str], Document]) -> Iterator[Problem]:
    """Refuse an id given before, and a second document of a kind of which there is one; add this one to `seen`."""
    kind = kind_of(document.value)
    is_single = kind in ("settings", "scoring", "lifecycle")
    name = "" if is_single else id_of(document.value)
    if kind is None or name is None:
        return
    earlier = seen.setdefault((kind, name), document)
    if earlier is document:
        return
    where = f"{earlier.file} {earlier.prefix.strip(': ')}".strip()
    if is_single:
        yield document.spot.under("kind").wrong(f"{kind} is given in {where} already", f"one {kind} document in all")
    else:
        yield document.spot.under("id").wrong(f"{kind} {shown(name)} is given in {where} already", "an id of its own")


def _collect(values: Sequence[AnyDefinition]) -> Definitions:
    workflows = [_with_ids(value) for value in values if isinstance(value, Workflow)]
    return Definitions(
        workflows={workflow.id or "": workflow for workflow in workflows},
        templates={value.id: value for value in values if isinstance(value, Template)},
        segments={value.id: value for value in values if isinstance(value, Segment)},
        suppressions={value.id: value for value in values if isinstance(value, Suppression)},
        experiments={value.id: value for value in values if isinstance(value, Experiment)},
        scoring=next((value for value in values if isinstance(value, Scoring)), Scoring()),
        lifecycle=next((value for value in values if isinstance(value, Lifecycle)), Lifecycle()),
        settings=next((value for value in values if isinstance(value, Settings)), Settings()),
    )


def _with_ids(workflow: Workflow) -> Workflow:
    triggers = tuple(
        trigger if trigger.id is not None else replace(trigger, id=str(position))
        for position, trigger in enumerate(workflow.triggers)
    )
    return replace(workflow, id=workflow.id or slug(workflow.name), triggers=triggers)
