"""`tidings worker` and `tidings ingest`: the two long-running processes, one each."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from schemas.errors import TidingsError
from streams.connection import Connection
from tidings import processes
from tidings.commands.options import configure_logging
from tidings.services import kafka
from tidings.services.kafka_files import kafka_data
from tidings.settings import Settings, process_environment, read_settings

ClockOption = Annotated[
    Literal["wall", "log"],
    typer.Option(
        "--clock", help="`log`: time is the records' own, for files and tests; `wall`: time passes by itself."
    ),
]
FolderOption = Annotated[Path | None, typer.Option("--folder", metavar="DIR", help="A folder of this process alone.")]


def worker(clock: ClockOption = "wall", folder: FolderOption = None) -> None:
    """Decide: fold the customer log into sends and decisions, exactly once, until SIGTERM."""
    if clock == "wall":
        msg = (
            "the wall clock isn't built yet: nothing would fire the timers of a customer without events;"
            " use --clock log, as `tidings run` does"
        )
        raise TidingsError(msg)
    settings = read_settings(process_environment())
    configure_logging(settings.log_level)
    processes.work(connect(settings), settings.topic_prefix, folder or _folder(settings, "worker"))


def ingest(clock: ClockOption = "wall", folder: FolderOption = None) -> None:
    """Bring events from the public topics into the customer log, until SIGTERM."""
    settings = read_settings(process_environment())
    configure_logging(settings.log_level)
    own = folder or _folder(settings, "ingest")
    processes.ingest(connect(settings), settings.topic_prefix, own, clock, settings.schema_registry_url)


def connect(settings: Settings) -> Connection:
    """Return the Kafka of the settings, or the local one if it runs.

    Raises:
        TidingsError: there is neither.
    """
    if settings.bootstrap_servers is not None:
        return settings.connection()
    seen = kafka.status(kafka_data(settings.data_dir))
    return settings.connection(seen.broker.bootstrap_servers if seen.broker and seen.state == "running" else None)


def _folder(settings: Settings, name: str) -> Path:
    return kafka_data(settings.data_dir).parent / name
