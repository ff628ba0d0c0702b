"""`tidings run`: a file of events through the real Kafka and workers, with progress, to records."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from schemas.errors import TidingsError
from schemas.instants import DAY_MS, Millis
from streams.connection import Connection
from tidings.collecting import collect
from tidings.commands.options import (
    DefinitionsOption,
    EventsOption,
    MaxJumpOption,
    OutputOption,
    UntilOption,
    ValidFolder,
    load_valid_folder,
    read_until,
    record_file,
)
from tidings.commands.processes import lost_kafka
from tidings.event_file import DEFAULT_MAX_JUMP_DAYS, nothing_happened
from tidings.output_format import registered_for_a_run
from tidings.running import (
    RunPlan,
    Watcher,
    fresh_prefix,
    refuse_taken_prefix,
    remove_folder,
    remove_topics,
    run,
    topic_names,
)
from tidings.services import kafka as local_kafka
from tidings.services.borrowed import borrow_kafka
from tidings.services.kafka_files import kafka_data
from tidings.services.reach import require_kafka
from tidings.settings import Settings, process_environment, read_settings

DEFAULT_PARTITIONS = 4


def run_command(
    definitions: DefinitionsOption,
    events: EventsOption,
    until: UntilOption = None,
    output: OutputOption = None,
    max_jump: MaxJumpOption = DEFAULT_MAX_JUMP_DAYS,
    partitions: Annotated[
        int, typer.Option(min=1, max=256, help="Partitions of the customer log.")
    ] = DEFAULT_PARTITIONS,
    public_partitions: Annotated[
        int, typer.Option(min=1, max=256, help="Partitions of each public topic.")
    ] = DEFAULT_PARTITIONS,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    prefix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Prefix of the topics. Default: run-<8 hex digits>.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the topics (and a local Kafka) for you to look at.")
    ] = False,
) -> None:
    """Send a file of events through Kafka; the records are those of `simulate`."""
    folder = load_valid_folder(definitions)
    end = read_until(until)
    settings = read_settings(process_environment())
    console = Console(stderr=True, highlight=False)
    with borrow_kafka(settings) as kafka, record_file(output, events) as file:
        require_kafka(kafka.connection)
        kafka.keep = keep
        plan = plan_run(
            settings, kafka.connection, folder, events,
            until=end, max_jump_days=max_jump, partitions=partitions, public_partitions=public_partitions,
            workers=workers, prefix=prefix or fresh_prefix(),
        )  # fmt: skip
        try:
            with progress_shown(console) as watcher:
                tally = run(plan, watcher)
            for record in collect(plan.connection, plan.prefix, tally, plan.schema_of):
                file.write(record)
        finally:
            clean_up(console, plan, keep=keep)
        if not keep:
            remove_folder(plan)
    console.print(tally.in_words())
    if not tally.events:
        raise TidingsError(nothing_happened(events, tally.lines))


def plan_run(
    settings: Settings, connection: Connection, folder: ValidFolder, events: Path, *, until: Millis | None,
    max_jump_days: int, partitions: int, public_partitions: int, workers: int, prefix: str,
) -> RunPlan:  # fmt: skip
    """Make the plan of a run, with processes that see the same Kafka as we do.

    Raises:
        TidingsError: the prefix is in use, or can't be one; or the schemas of what comes out can't be registered.
    """
    own = {
        "KAFKA_BOOTSTRAP_SERVERS": connection.bootstrap_servers,
        "TIDINGS_TOPIC_PREFIX": prefix,
        # Nobody looks at processes that live for a file.
        "TIDINGS_METRICS_PORT": "off",
    }
    read_settings(own)
    refuse_taken_prefix(connection, prefix)
    return RunPlan(
        connection=connection,
        prefix=prefix,
        documents=folder.documents,
        events=events,
        until=until,
        max_jump_ms=max_jump_days * DAY_MS,
        partitions=partitions,
        public_partitions=public_partitions,
        workers=workers,
        folder=kafka_data(settings.data_dir).parent / "runs" / prefix.rstrip("."),
        environment={**process_environment(), **own},
        program=Path(sys.executable).parent / "tidings",
        schema_of=registered_for_a_run(settings, connection).schema,
        lost_kafka=lambda: _lost_kafka(settings),
    )


def _lost_kafka(settings: Settings) -> str | None:
    if settings.bootstrap_servers is not None:
        return None
    seen = local_kafka.status(kafka_data(settings.data_dir))
    return lost_kafka(seen) if seen.state == "died" else None


@contextmanager
def progress_shown(console: Console) -> Iterator[Watcher]:
    """Show three bars on a terminal, and the same as lines elsewhere."""
    columns = (
        TextColumn("{task.description:<10}"), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.completed:,.0f}"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=False) as progress:
        publishing = progress.add_task("published", total=None)
        ingesting = progress.add_task("ingested", total=None)
        deciding = progress.add_task("decided", total=None)

        def ingested(done: int, total: int) -> None:
            count = progress.tasks[publishing].completed
            progress.update(publishing, total=count, completed=count)
            progress.update(ingesting, completed=done, total=total)

        yield Watcher(
            published=lambda lines: progress.update(publishing, completed=lines),
            ingested=ingested,
            decided=lambda done, total: progress.update(deciding, completed=done, total=total),
            said=console.print,
        )


def clean_up(console: Console, plan: RunPlan, *, keep: bool) -> None:
    """Delete the run's topics, or say what was kept."""
    if not keep:
        try:
            remove_topics(plan)
        except KafkaException as error:
            # Why the run ended matters more, and is told behind this.
            console.print(f"The topics with the prefix {plan.prefix} are still there: {error.args[0].str()}")
        return
    console.print(f"Kept, at {plan.connection.bootstrap_servers}:", *topic_names(plan), sep="\n  ")
    console.print(f"Groups: {plan.prefix}ingest, {plan.prefix}worker. Logs: {plan.folder / 'log'}")
