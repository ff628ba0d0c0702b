"""`tidings apply` and `tidings diff`: from a folder of definitions to the version in force."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from agents.catalogues import StoredVersion, apply_catalogue, latest_version
from journeys.catalogue import RULES_VERSION
from schemas.editing import Editing
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import Millis, format_instant, parse_instant
from schemas.topics import DEFINITIONS
from streams.connection import Connection
from streams.topics import partition_counts
from tidings.clock import wall_ms
from tidings.commands.options import load_valid_folder
from tidings.commands.processes import reached
from tidings.differences import Difference, differences
from tidings.processes import make_topics
from tidings.settings import process_environment, read_settings

FolderArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder with definitions: *.yaml, *.yml, *.json.", show_default=False)
]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="From when on, RFC 3339. Default: now. For logs in their own clock."),
]
_SIGNS: Final = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
_MOST_CHANGES: Final = 20
"""Of one definition that are shown."""


def apply(folder: FolderArgument, at: AtOption = None) -> None:
    """Make the definitions in DIR the next version, in force for everything that comes from now on.

    Workers take it up by themselves. What is invalid is refused as a whole; a folder that says what is in force
    already changes nothing. Killed on the way, it has changed nothing either: do it again.
    """
    valid = load_valid_folder(folder)
    settings = read_settings(process_environment())
    console = Console(highlight=False, soft_wrap=True)
    connection, prefix = reached(settings), settings.topic_prefix
    if not partition_counts(connection, [prefix + DEFINITIONS]):
        make_topics(connection, prefix, settings.partitions, "wall")
    latest = latest_version(connection, prefix)
    found = differences([] if latest is None else latest.stored.documents, valid.documents)
    applied = apply_catalogue(
        connection, prefix, valid.documents, read_at(at), editing=Editing(), behind=_number(latest)
    )
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


def read_at(text: str | None) -> Millis:
    """Read the time of `--at`; the clock's where there is none.

    Raises:
        TidingsError: it isn't one.
    """
    try:
        return wall_ms() if text is None else parse_instant(text)
    except ValueError as error:
        msg = f"--at: {error}"
        raise TidingsError(msg) from None


def _number(latest: StoredVersion | None) -> int:
    return 0 if latest is None else latest.stored.number


def _note_rules(console: Console, latest: StoredVersion | None) -> None:
    if latest is not None and latest.stored.rules_version != RULES_VERSION:
        before = latest.stored.rules_version
        console.print(f"It was applied under version {before} of the rules; this program has {RULES_VERSION}.")
