"""`tidings kafka`: a local Kafka for whoever has none."""

from pathlib import Path
from typing import Annotated

import typer

from tidings.services import kafka
from tidings.services.kafka_files import kafka_data
from tidings.services.reach import require_kafka
from tidings.settings import Settings, process_environment, read_settings

app = typer.Typer(no_args_is_help=True, help="Start, stop and watch a local Kafka.")

_Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder of this Kafka. Default: kafka/ in TIDINGS_DATA_DIR, or .tidings/kafka in the checkout.",
    ),
]


@app.command()
def start(
    data: _Data = None,
    port: Annotated[
        int | None, typer.Option(min=1024, max=65535, help="Port to listen on. Default: last time's, or a free one.")
    ] = None,
) -> None:
    """Start Kafka and return when it answers; it runs on until `tidings kafka stop`."""
    settings = read_settings(process_environment())
    started = kafka.start(_folder(data, settings), port=port, java_home=settings.java_home)
    verb = "already running" if started.already_running else "running"
    typer.echo(f"Kafka {verb} at {started.broker.bootstrap_servers} (log: {started.broker.log_file})")


@app.command()
def stop(data: _Data = None) -> None:
    """Stop Kafka; its records stay."""
    broker = kafka.stop(_folder(data, read_settings(process_environment())))
    typer.echo("Kafka wasn't running." if broker is None else f"Kafka stopped (was at {broker.bootstrap_servers}).")


@app.command()
def status(data: _Data = None) -> None:
    """Say whether Kafka answers, and where; the exit code is 0 only if it does.

    With KAFKA_BOOTSTRAP_SERVERS set (and no --data) that Kafka is asked, with all security settings.
    """
    settings = read_settings(process_environment())
    if settings.bootstrap_servers is not None and data is None:
        cluster = require_kafka(settings.connection())
        typer.echo(f"Kafka answers at {settings.bootstrap_servers} (cluster {cluster}).")
        return
    seen = kafka.status(_folder(data, settings))
    typer.echo(describe(seen))
    if seen.state != "running":
        raise typer.Exit(1)


def describe(seen: kafka.Status) -> str:
    """Say in a line what was seen."""
    if seen.broker is None:
        return "Kafka isn't running."
    at = seen.broker.bootstrap_servers
    match seen.state:
        case "running":
            return f"Kafka runs at {at} (pid {seen.broker.process.pid}, cluster {seen.broker.cluster_id})."
        case "stopped":
            return f"Kafka isn't running (it was at {at})."
        case "died":
            return f"Kafka ended without being asked. {seen.reason}"
        case "silent":
            return f"Kafka's process {seen.broker.process.pid} lives, but doesn't answer at {at}."
        case "foreign":
            return f"Another Kafka broker answers at {at}."


def _folder(data: Path | None, settings: Settings) -> Path:
    return data or kafka_data(settings.data_dir)
