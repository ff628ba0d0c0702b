"""`tidings simulate`: the engine on a virtual clock, from a file to records, without Kafka."""

from pathlib import Path
from typing import Annotated

import typer

from journeys.catalogue import Catalogue, compile_catalogue
from schemas.editing import Editing
from schemas.errors import TidingsError
from schemas.instants import DAY_MS, parse_instant
from tidings.commands.catalogue import ModeOption
from tidings.commands.options import (
    DefinitionsOption,
    EventsOption,
    MaxJumpOption,
    OutputOption,
    UntilOption,
    load_valid_folder,
    read_until,
    record_file,
)
from tidings.event_file import DEFAULT_MAX_JUMP_DAYS, holds_answers, nothing_happened, read_lines
from tidings.simulation import NextVersion, simulate
from tidings.usage import WrongUsage

LaterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--definitions-at",
        metavar="TIME=DIR",
        help="Another version of the definitions, in force from TIME on; may be given several times.",
    ),
]


def simulate_command(
    definitions: DefinitionsOption,
    events: EventsOption,
    until: UntilOption = None,
    output: OutputOption = None,
    max_jump: MaxJumpOption = DEFAULT_MAX_JUMP_DAYS,
    definitions_at: LaterOption = None,
    mode: ModeOption = "pin",
) -> None:
    """Show what a file of events leads to, at once and without Kafka.

    With --definitions-at the definitions change on the way, as `tidings apply` changes them in a live log.
    """
    folder = load_valid_folder(definitions)
    answers_webhooks = not holds_answers(events)
    catalogue = compile_catalogue(folder.definitions, number=1, answers_webhooks=answers_webhooks)
    versions = read_versions(definitions_at or [], catalogue, Editing(mode=mode))
    end = read_until(until)
    with record_file(output, events) as file:
        lines = read_lines(events, max_jump * DAY_MS)
        tally = simulate(catalogue, lines, until=end, write=file.write, versions=versions)
    typer.echo(tally.in_words(), err=True)
    if not tally.events:
        raise TidingsError(nothing_happened(events, tally.lines))


def read_versions(texts: list[str], first: Catalogue, editing: Editing) -> list[NextVersion]:
    """Read the versions of `--definitions-at`, and compile them in the order of their times.

    Raises:
        TidingsError: one isn't TIME=DIR.
    """
    folders = sorted(_time_and_folder(text) for text in texts)
    known, versions = {first.number: first}, []
    for number, (at, folder) in enumerate(folders, start=first.number + 1):
        definitions = load_valid_folder(folder).definitions
        known[number] = compile_catalogue(
            definitions, number, dict(known), activated_at=at, answers_webhooks=first.answers_webhooks, editing=editing
        )
        versions.append(NextVersion(catalogue=known[number], at=at))
    return versions


def _time_and_folder(text: str) -> tuple[int, Path]:
    time, sign, folder = text.partition("=")
    try:
        if sign and folder:
            return parse_instant(time), Path(folder)
    except ValueError as error:
        msg = f"--definitions-at {text}: {error}"
        raise WrongUsage(msg) from None
    msg = f"--definitions-at {text}: a time and a folder are wanted, as in 2026-03-01T09:00:00Z=new-definitions"
    raise WrongUsage(msg)
