"""`tidings explain`: what happened to one customer and why, why not, and what would come next."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from agents.catalogues import Catalogues
from agents.following import Story, ahead, follow_events, follow_log
from agents.replaying import customer_keys
from agents.snapshots import load_snapshot
from journeys.catalogue import compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.decisions import Decision, Send
from schemas.errors import TidingsError
from schemas.events import Event
from schemas.instants import DAY_MS, Millis, as_text, parse_instant
from schemas.topics import CUSTOMER_LOG
from streams.partitions import partition_of
from streams.topics import partition_counts
from tidings.commands.options import load_valid_folder, refuse_no_snapshot
from tidings.commands.processes import reached
from tidings.event_file import DEFAULT_MAX_JUMP_DAYS, holds_answers, read_lines
from tidings.processes import topic_ids
from tidings.settings import process_environment, read_settings
from tidings.telling import standing, step_lines
from tidings.usage import WrongUsage
from tidings.why_not import why_not, workflows_never_begun


def explain(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id; a visitor's as a:ID.")],
    definitions: Annotated[
        Path | None, typer.Option("--definitions", metavar="DIR", help="With --events: without Kafka.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", metavar="FILE", help="Events, as `simulate` has them.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="As things stood then, RFC 3339.")] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", metavar="ID", help="Of this workflow only.")] = None,
    send: Annotated[str | None, typer.Option("--send", metavar="ID", help="What led to this message.")] = None,
    snapshots: Annotated[
        Path | None,
        typer.Option("--snapshots", metavar="DIR", help="Go on from one of these where the log's beginning is gone."),
    ] = None,
) -> None:
    """Say in words what happened to a customer and why; which check kept her out of what never began; what comes next.

    Reads the customer log of TIDINGS_TOPIC_PREFIX, or with --definitions and --events files, and changes nothing.
    """
    key, until = customer_keys([customer])[0], _instant(at)
    if (definitions is None) != (events is None):
        raise WrongUsage("--definitions and --events go together; without both the customer log is read")
    if snapshots is not None and definitions is not None:
        raise WrongUsage("--snapshots are of the customer log: leave out --definitions and --events, or it")
    if definitions is not None and events is not None:
        story = _from_files(definitions, events, key, until)
    else:
        story = _from_log(key, until, snapshots)
    _refuse_nonsense(story, customer, until, workflow)
    for line in told(story, workflow, _execution_of(story, send)):
        typer.echo(line)


def told(story: Story, workflow: str | None = None, execution: str | None = None) -> Iterator[str]:
    """Yield the lines of a story."""
    yield f"{story.customer_id}, up to {as_text(story.at)}"
    yield ""
    if story.is_resumed:
        yield from _beginning(story)
    for step in story.steps:
        yield from step_lines(step, workflow, execution)
    if execution is not None:
        return
    yield ""
    yield "Where she stands"
    yield from (f"  {line}" for line in standing(story))
    never = list(workflows_never_begun(story, workflow))
    if never:
        yield ""
        yield "What never began, and why" + (", as far back as the log goes" if story.is_resumed else "")
        for workflow_id, definition in never:
            yield f"  {workflow_id}"
            yield from (f"    {line}" for line in why_not(story, workflow_id, definition))
    yield ""
    yield "If nothing happens"
    following = [line for step in ahead(story) for line in step_lines(step, workflow, None)]
    yield from (f"  {line}" for line in following or ["nothing comes of it"])


def _beginning(story: Story) -> Iterator[str]:
    """Say that what came first isn't known any more, and where she stood behind it."""
    yield f"What came before {as_text(story.begins_at)} is deleted; a snapshot says where she stood then:"
    yield from (f"  {line}" for line in standing(replace(story, customer=story.begun)))
    if story.steps:
        yield ""


def _from_files(definitions: Path, events: Path, key: bytes, until: Millis | None) -> Story:
    valid = load_valid_folder(definitions)
    catalogue = compile_catalogue(valid.definitions, number=1, answers_webhooks=not holds_answers(events))
    return follow_events(catalogue, _events_of(events), key, until)


def _events_of(events: Path) -> Iterator[tuple[Event, Millis]]:
    for line in read_lines(events, DEFAULT_MAX_JUMP_DAYS * DAY_MS):
        if line.event is not None:
            yield line.event, line.clock


def _from_log(key: bytes, until: Millis | None, snapshots: Path | None) -> Story:
    settings = read_settings(process_environment())
    connection, prefix = reached(settings), settings.topic_prefix
    log = prefix + CUSTOMER_LOG
    count = partition_counts(connection, [log]).get(log)
    if count is None:
        raise TidingsError(f"there is no topic {log}: nothing has run here, or another prefix (TIDINGS_TOPIC_PREFIX)")
    catalogues = Catalogues(connection, prefix, definitions_from_documents)
    snapshot = None
    if snapshots is not None:
        topic_id = topic_ids(connection, [log])[log]
        refuse_no_snapshot(snapshots, count, topic_id)
        snapshot = load_snapshot(snapshots, partition_of(key, count), topic_id)
    return follow_log(connection, prefix, count, catalogues, key, until, snapshot)


def _refuse_nonsense(story: Story, customer: str, until: Millis | None, workflow: str | None) -> None:
    """Make sure that there is something to tell.

    Raises:
        TidingsError: nothing was known at that time, or of that customer, or there is no such workflow.
    """
    if story.begins_at is None:
        when = "" if until is None else f" up to {as_text(until)}; ask for a later --at"
        raise TidingsError(f"nothing had happened yet{when}")
    if not story.steps and story.customer is None:
        near = difflib.get_close_matches(customer, story.others, n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(near)}?" if near else "; a visitor is called a:ID"
        raise TidingsError(f"nothing is known of a customer {customer} up to {as_text(story.at)}{hint}")
    if workflow is not None and workflow not in story.catalogue.workflows:
        known = ", ".join(sorted(story.catalogue.workflows)) or "none"
        raise TidingsError(f"there is no workflow {workflow} in force; there are: {known}")


def _execution_of(story: Story, send: str | None) -> str | None:
    """Return the execution that a message belongs to.

    Raises:
        TidingsError: she got no such message.
    """
    if send is None:
        return None
    sends = [effect for step in story.steps for effect in step.effects if isinstance(effect, Send)]
    found = next((effect for effect in sends if effect.send_id == send), None)
    if found is None:
        suppressed = [
            effect
            for step in story.steps
            for effect in step.effects
            if isinstance(effect, Decision) and send in str(effect.detail)
        ]
        if suppressed:
            return suppressed[0].execution_id
        known = ", ".join(effect.send_id for effect in sends[-5:]) or "none"
        raise TidingsError(f"she got no message {send} by then; the last she got: {known}")
    return found.execution_id


def _instant(text: str | None) -> Millis | None:
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        raise WrongUsage(f"--at: {error}") from None
