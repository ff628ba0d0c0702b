"""The program `tidings`."""

import sys

import typer
from confluent_kafka import KafkaException

from schemas.errors import TidingsError
from tidings.commands import kafka
from tidings.commands.demo import demo
from tidings.commands.processes import ingest, worker
from tidings.commands.run import run_command
from tidings.commands.simulate import simulate_command
from tidings.commands.validate import validate

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tidings: watch what customers do, and send the right message at the right moment, or rightly none.",
)
app.command("validate")(validate)
app.command("simulate")(simulate_command)
app.command("run")(run_command)
app.command("demo")(demo)
app.command("worker")(worker)
app.command("ingest")(ingest)
app.add_typer(kafka.app, name="kafka")


def main() -> None:
    """Run the command line; what is wrong in the world or in the arguments is told without a traceback."""
    try:
        app()
    except TidingsError as error:
        typer.echo(f"tidings: {error}", err=True)
        sys.exit(1)
    except KafkaException as error:
        typer.echo(f"tidings: Kafka refused or doesn't answer: {error.args[0].str()}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
