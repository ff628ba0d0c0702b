"""`tidings apply`, `tidings diff` and `tidings impact`: from a folder of definitions to the version in force."""

import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.catalogues import Catalogues, StoredVersion, apply_catalogue, latest_version
from agents.standing import Standing, read_standing
from journeys.catalogue import RULES_VERSION, Catalogue
from journeys.validation import definitions_from_documents
from schemas.definitions import Definitions
from schemas.editing import Editing, Gone, Mode
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import DAY_MS, Millis, format_instant
from schemas.topics import DEFINITIONS
from streams.connection import Connection
from streams.hard_stop import RefusedToStart
from streams.topics import partition_counts
from tidings.clock import wall_ms
from tidings.commands.moments import AtOption, moment, read_at
from tidings.commands.options import load_valid_folder
from tidings.commands.processes import reached
from tidings.differences import Difference, differences
from tidings.impact import Touched, edited_workflows, grouped, mailed_within, touched
from tidings.processes import make_topics
from tidings.settings import process_environment, read_settings
from tidings.usage import WrongUsage

FolderArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder with definitions: *.yaml, *.yml, *.json.", show_default=False)
]
ModeOption = Annotated[
    Mode,
    typer.Option(
        "--mode",
        help="For executions under way. `pin`: they end on their version. `migrate`: they move to the new one."
        " `drain`: as pin, and of an edited workflow a customer starts no other until hers is over.",
    ),
]
StepMapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--step-map",
        metavar="WORKFLOW/STEP=STEP",
        help="With migrate: the step that now stands for one of before; may be given several times.",
    ),
]
GoneOption = Annotated[
    Gone,
    typer.Option("--gone", help="With migrate, where a step is gone: the execution ends (`exit`), or stays, paused."),
]
CustomersOption = Annotated[
    bool, typer.Option("--customers", help="Write each branch of each customer instead, one JSON object a line.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Don't count and ask how many customers would be mailed.")]
_SIGNS: Final = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_MOST_MAILED: Final = 1_000
"""So many customers may be mailed within a day without a question."""
_MOST_CHANGES: Final = 20
"""Of one definition that are shown."""


def apply(
    folder: FolderArgument,
    mode: ModeOption = "pin",
    step_map: StepMapOption = None,
    gone: GoneOption = "exit",
    at: AtOption = None,
    yes: YesOption = False,
) -> None:
    """Make the definitions in DIR the next version, in force for everything that comes from now on.

    Workers take it up by themselves. What is invalid is refused as a whole; a folder that says what is in force
    already changes nothing. Killed on the way, it has changed nothing either: do it again.
    """
    given_at = read_at(at)
    valid = load_valid_folder(folder)
    settings = read_settings(process_environment())
    console = Console(highlight=False, soft_wrap=True)
    connection, prefix = reached(settings), settings.topic_prefix
    if not partition_counts(connection, [prefix + DEFINITIONS]):
        make_topics(connection, prefix, settings.partitions, "wall")
    when, latest = moment(given_at, connection, prefix), latest_version(connection, prefix)
    editing = read_editing(mode, step_map or [], gone, latest, valid.definitions)
    found = differences([] if latest is None else latest.stored.documents, valid.documents)
    if found and not yes:
        after = next_catalogue(connection, prefix, valid.definitions, editing, when.at)
        ask_before_mailing(console, mailed_within_a_day(read_standing(connection, prefix), after, when.at))
    applied = apply_catalogue(
        connection, prefix, valid.documents, when.at,
        appended=when.appended, editing=editing, behind=_number(latest),
    )  # fmt: skip
    if not applied.is_new:
        console.print(f"Nothing to do: version {applied.number} says the same.")
        _note_rules(console, latest)
        return
    report_differences(console, found)
    console.print(Text(f"Version {applied.number} is in force from {format_instant(applied.at)} on.", "bold green"))


def diff(folder: FolderArgument) -> None:
    """Say what `apply` would change; it changes nothing itself."""
    valid = load_valid_folder(folder)
    settings = read_settings(process_environment())
    console = Console(highlight=False, soft_wrap=True)
    latest = stored_version(reached(settings), settings.topic_prefix)
    documents: list[Json] = [] if latest is None else latest.stored.documents
    found = differences(documents, valid.documents)
    if latest is None:
        console.print("Nothing is in force yet; all of this would be new.")
    report_differences(console, found)
    if latest is not None and not found:
        console.print(f"No difference: version {latest.stored.number} says the same.")


def impact(
    folder: FolderArgument,
    mode: ModeOption = "pin",
    step_map: StepMapOption = None,
    gone: GoneOption = "exit",
    customers: CustomersOption = False,
) -> None:
    """Say whom an edit would touch among the customers under way, and what would become of them; it changes nothing."""
    valid = load_valid_folder(folder)
    settings = read_settings(process_environment())
    console = Console(highlight=False, soft_wrap=True)
    connection, prefix = reached(settings), settings.topic_prefix
    latest = stored_version(connection, prefix)
    if latest is None:
        console.print("Nothing is in force yet, so nobody is under way.")
        return
    editing = read_editing(mode, step_map or [], gone, latest, valid.definitions)
    now = wall_ms()
    after = next_catalogue(connection, prefix, valid.definitions, editing, now)
    standing = read_standing(connection, prefix)
    found = list(touched((customer for _, customer in standing.customers()), after))
    if customers:
        for one in found:
            sys.stdout.buffer.write(msgspec.json.encode(one) + b"\n")
        return
    report_impact(console, found, after)
    console.print(f"Within 24 h {_people(mailed_within_a_day(standing, after, now))} would be mailed.")


def report_impact(console: Console, found: list[Touched], after: Catalogue) -> None:
    """Print how many stand in each step of what is edited, and what would become of them."""
    edited = sorted(edited_workflows(after))
    if not edited:
        console.print("No workflow is edited.")
        return
    console.print(f"Edited: {', '.join(edited)}.")
    if not found:
        console.print("Nobody is under way in any of them.")
        return
    table = Table("workflow", "version", "step", "branches", "what becomes of them", box=None)
    for group, count in grouped(found):
        table.add_row(group.workflow_id, str(group.version), group.step_id, f"{count:,}", group.outcome)
    console.print(table)
    console.print(f"{_people(len({one.customer_id for one in found}))} under way; --customers lists them.")


def next_catalogue(
    connection: Connection, prefix: str, definitions: Definitions, editing: Editing, at: Millis
) -> Catalogue:
    """Compile what would be the next version, with those before it.

    Raises:
        TidingsError: this program can't work by a version before.
    """
    try:
        return Catalogues(connection, prefix, definitions_from_documents).following(definitions, editing, at)
    except RefusedToStart as error:
        raise TidingsError(str(error)) from None


def mailed_within_a_day(standing: Standing, after: Catalogue, now: Millis) -> int:
    """Count the customers who would be mailed within 24 h of the change."""
    before = after.predecessors.get(after.number - 1)
    holds = next((position.holds for position in standing.positions.values() if position.holds is not None), None)
    if before is not None:
        before = replace(before, holds=holds)
    return mailed_within(standing.states, before, after, now, DAY_MS)


def ask_before_mailing(console: Console, mailed: int) -> None:
    """Say how many customers would be mailed, and ask where they are many.

    Raises:
        TidingsError: nobody is there to be asked.
        typer.Exit: the answer is no.
    """
    console.print(f"Within 24 h {_people(mailed)} would be mailed, whatever they do.")
    if mailed <= _MOST_MAILED:
        return
    if not sys.stdin.isatty():
        msg = f"more than {_MOST_MAILED:,}: say --yes if that is meant"
        raise TidingsError(msg)
    if not typer.confirm("Apply?", default=False):
        raise typer.Exit(1)


def _people(count: int) -> str:
    return "1 customer" if count == 1 else f"{count:,} customers"


def stored_version(connection: Connection, prefix: str) -> StoredVersion | None:
    """Return the version in force; None where nothing was ever applied, or the topics aren't there yet."""
    return latest_version(connection, prefix) if partition_counts(connection, [prefix + DEFINITIONS]) else None


def report_differences(console: Console, found: list[Difference]) -> None:
    """Print what is added, removed and changed."""
    for difference in found:
        sign, style = _SIGNS[difference.what]
        console.print(Text(f"{sign} {difference.title}", style))
        for change in difference.changes[:_MOST_CHANGES]:
            console.print(Text(f"    {change}"))
        if len(difference.changes) > _MOST_CHANGES:
            console.print(Text(f"    and {len(difference.changes) - _MOST_CHANGES} more"))


def read_editing(mode: Mode, pairs: list[str], gone: Gone, latest: StoredVersion | None, after: Definitions) -> Editing:
    """Read how executions under way are to be treated.

    Args:
        mode: of `--mode`.
        pairs: of `--step-map`.
        gone: of `--gone`.
        latest: the version in force.
        after: the definitions that follow.

    Raises:
        TidingsError: a step map for another mode than `migrate`, or one that names what doesn't exist.
    """
    if mode != "migrate" and (pairs or gone != "exit"):
        msg = "--step-map and --gone belong to --mode migrate"
        raise WrongUsage(msg)
    before = None if latest is None or not pairs else definitions_from_documents(latest.stored.documents)
    step_map = {}
    for pair in pairs:
        old, sign, target = pair.partition("=")
        workflow_id, slash, step_id = old.partition("/")
        if not (sign and slash and target):
            msg = f"--step-map {pair}: the old step and the new one are wanted, as in welcome/wait_24h=wait_48h"
            raise WrongUsage(msg)
        if before is not None:
            _require_step(pair, "in force", before, workflow_id, step_id)
        _require_step(pair, "to be applied", after, workflow_id, target)
        step_map[old] = target
    return Editing(mode=mode, step_map=step_map, gone=gone)


def _require_step(pair: str, which: str, definitions: Definitions, workflow_id: str, step_id: str) -> None:
    workflow = definitions.workflows.get(workflow_id)
    if workflow is None:
        known = ", ".join(sorted(definitions.workflows)) or "none"
        msg = f"--step-map {pair}: the definitions {which} have no workflow {workflow_id} (there are: {known})"
        raise TidingsError(msg)
    if step_id not in [step.id for step in workflow.steps]:
        known = ", ".join(step.id for step in workflow.steps)
        msg = f"--step-map {pair}: workflow {workflow_id} as {which} has no step {step_id} (there are: {known})"
        raise TidingsError(msg)


def _number(latest: StoredVersion | None) -> int:
    return 0 if latest is None else latest.stored.number


def _note_rules(console: Console, latest: StoredVersion | None) -> None:
    if latest is not None and latest.stored.rules_version != RULES_VERSION:
        before = latest.stored.rules_version
        console.print(f"It was applied under version {before} of the rules; this program has {RULES_VERSION}.")
