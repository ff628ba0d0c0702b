"""`tidings worker` and `tidings ingest`: the two long-running processes, one each."""

import logging
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from schemas.errors import TidingsError
from schemas.log import Clock
from schemas.topics import CUSTOMER_LOG, PUBLIC_TOPICS
from streams.connection import Connection
from streams.hard_stop import RefusedToStart, stop_hard
from streams.registry import SchemaRefused
from tidings import processes
from tidings.commands.kafka import describe
from tidings.logs import LogFormat, configure_logging
from tidings.output_format import effect_encoder
from tidings.seeing.showing import Shown, shown
from tidings.services import kafka
from tidings.services.errors import ServiceError
from tidings.services.kafka_files import kafka_data
from tidings.services.reach import require_kafka
from tidings.settings import Settings, process_environment, read_port, read_settings
from tidings.usage import WrongUsage

ClockOption = Annotated[
    Clock,
    typer.Option(
        "--clock", help="`log`: time is the records' own, for files and tests; `wall`: time passes by itself."
    ),
]
FolderOption = Annotated[Path | None, typer.Option("--folder", metavar="DIR", help="A folder of this process alone.")]
MetricsPortOption = Annotated[
    str | None,
    typer.Option(
        "--metrics-port",
        metavar="PORT",
        help="Port of /metrics, /live and /ready; 0: a free one; off: none. Default: TIDINGS_METRICS_PORT.",
    ),
]
LogFormatOption = Annotated[
    LogFormat | None,
    typer.Option("--log-format", help="Log lines for people or for programs. Default: TIDINGS_LOG_FORMAT."),
]
log = logging.getLogger("tidings.processes")


def worker(
    clock: ClockOption = "wall",
    folder: FolderOption = None,
    metrics_port: MetricsPortOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Decide: fold the customer log into sends and decisions, exactly once, until SIGTERM."""
    settings = settings_of_process(metrics_port, log_format)
    own, prefix = folder or data_folder(settings) / "worker", settings.topic_prefix
    with shown(settings, data_folder(settings), "worker") as process:
        connection = _begin(settings, clock, process)
        try:
            encode = effect_encoder(settings, connection, clock)
        except SchemaRefused as error:
            stop_hard("the schemas of what comes out can't be registered", RefusedToStart(str(error)))
        process.watch(connection, [prefix + CUSTOMER_LOG], clock)
        processes.work(connection, prefix, own, clock, process.vitals, encode)


def ingest(
    clock: ClockOption = "wall",
    folder: FolderOption = None,
    metrics_port: MetricsPortOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Bring events from the public topics into the customer log, until SIGTERM."""
    settings = settings_of_process(metrics_port, log_format)
    own, prefix = folder or data_folder(settings) / "ingest", settings.topic_prefix
    with shown(settings, data_folder(settings), "ingest") as process:
        connection = _begin(settings, clock, process)
        process.watch(connection, [prefix + name for name in PUBLIC_TOPICS], clock)
        processes.ingest(connection, prefix, own, clock, settings.schema_registry_url, process.vitals)


def settings_of_process(metrics_port: str | None, log_format: LogFormat | None) -> Settings:
    """Read the settings, lay what the command line says over them, and log as they say.

    Raises:
        TidingsError: the port is none.
    """
    settings = read_settings(process_environment())
    try:
        port = settings.metrics_port if metrics_port is None else read_port(metrics_port)
    except ValueError as error:
        msg = f"--metrics-port: {error}"
        raise WrongUsage(msg) from None
    settings = replace(settings, metrics_port=port, log_format=log_format or settings.log_format)
    configure_logging(settings.log_level, settings.log_format)
    return settings


def _begin(settings: Settings, clock: Clock, process: Shown) -> Connection:
    if process.url is not None:
        log.info("metrics and health at %s/metrics, /live, /ready", process.url)
    return ready(settings, clock)


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
    if settings.bootstrap_servers is not None:
        connection = settings.connection()
        require_kafka(connection)
        return connection
    seen = kafka.status(kafka_data(settings.data_dir))
    if seen.state in {"died", "foreign"}:
        raise TidingsError(lost_kafka(seen))
    connection = settings.connection(seen.broker.bootstrap_servers if seen.broker and seen.state != "stopped" else None)
    try:
        # One that was silent when it was looked at may be busy; it has time here.
        require_kafka(connection)
    except ServiceError:
        if seen.state == "running":
            raise
        raise TidingsError(lost_kafka(seen)) from None
    return connection


def lost_kafka(seen: kafka.Status) -> str:
    """Say what became of a local Kafka that was started and doesn't answer, and what to do."""
    match seen.state:
        case "died":
            remedy = "start it again with `tidings kafka start`; what was acknowledged is kept"
        case "foreign":
            remedy = "`tidings kafka start` finds ours another port"
        case _:
            log_file = "" if seen.broker is None else f"; its log is {seen.broker.log_file}"
            remedy = f"it may be overloaded or halted{log_file}. `tidings kafka stop` ends it"
    return f"{describe(seen)}\n{remedy}"


def data_folder(settings: Settings) -> Path:
    """Return the folder for what local services and processes keep."""
    return kafka_data(settings.data_dir).parent
