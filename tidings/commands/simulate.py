"""`tidings simulate`: the engine on a virtual clock, from a file to records, without Kafka."""

import typer

from journeys.catalogue import compile_catalogue
from schemas.instants import DAY_MS
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
from tidings.event_file import DEFAULT_MAX_JUMP_DAYS, holds_answers, read_lines
from tidings.simulation import simulate


def simulate_command(
    definitions: DefinitionsOption,
    events: EventsOption,
    until: UntilOption = None,
    output: OutputOption = None,
    max_jump: MaxJumpOption = DEFAULT_MAX_JUMP_DAYS,
) -> None:
    """Show what a file of events leads to, at once and without Kafka."""
    folder = load_valid_folder(definitions)
    catalogue = compile_catalogue(folder.definitions, number=1, answers_webhooks=not holds_answers(events))
    end = read_until(until)
    with record_file(output, events) as file:
        lines = read_lines(events, max_jump * DAY_MS)
        tally = simulate(catalogue, lines, until=end, write=file.write)
    typer.echo(tally.in_words(), err=True)
