"""`tidings worker` and `tidings ingest`: the two long-running processes, one each."""

from pathlib import Path
from typing import Annotated

import typer

from schemas.log import Clock
from streams.connection import Connection
from tidings import processes
from tidings.commands.options import configure_logging
from tidings.services import kafka
from tidings.services.kafka_files import kafka_data
from tidings.services.reach import require_kafka
from tidings.settings import Settings, process_environment, read_settings

ClockOption = Annotated[
    Clock,
    typer.Option(
        "--clock", help="`log`: time is the records' own, for files and tests; `wall`: time passes by itself."
    ),
]
FolderOption = Annotated[Path | None, typer.Option("--folder", metavar="DIR", help="A folder of this process alone.")]


def worker(clock: ClockOption = "wall", folder: FolderOption = None) -> None:
    """Decide: fold the customer log into sends and decisions, exactly once, until SIGTERM."""
    settings = read_settings(process_environment())
    configure_logging(settings.log_level)
    connection = ready(settings, clock)
    processes.work(connection, settings.topic_prefix, folder or _folder(settings, "worker"), clock)


def ingest(clock: ClockOption = "wall", folder: FolderOption = None) -> None:
    """Bring events from the public topics into the customer log, until SIGTERM."""
    settings = read_settings(process_environment())
    configure_logging(settings.log_level)
    own = folder or _folder(settings, "ingest")
    connection = ready(settings, clock)
    processes.ingest(connection, settings.topic_prefix, own, clock, settings.schema_registry_url)


def ready(settings: Settings, clock: Clock) -> Connection:
    """Return the Kafka of the settings, or the local one if it runs, with every topic in place.

    Raises:
        TidingsError: there is neither, it doesn't answer, or a topic is other than it must be.
    """
    connection = reached(settings)
    processes.make_topics(connection, settings.topic_prefix, settings.partitions, clock)
    return connection


def reached(settings: Settings) -> Connection:
    """Return the Kafka of the settings, or the local one if it runs.

    Raises:
        TidingsError: there is neither, or it doesn't answer.
    """
    local = None
    if settings.bootstrap_servers is None:
        seen = kafka.status(kafka_data(settings.data_dir))
        local = seen.broker.bootstrap_servers if seen.broker and seen.state == "running" else None
    connection = settings.connection(local)
    require_kafka(connection)
    return connection


def _folder(settings: Settings, name: str) -> Path:
    return kafka_data(settings.data_dir).parent / name
