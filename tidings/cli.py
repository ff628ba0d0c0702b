"""The program `tidings`."""

import signal
import sys
from types import FrameType
from typing import Final

import typer
from confluent_kafka import KafkaException

from schemas.errors import TidingsError
from tidings.commands import dead_letters, kafka, operating
from tidings.commands.catalogue import apply, diff, impact
from tidings.commands.check import check
from tidings.commands.demo import demo
from tidings.commands.doctor import doctor
from tidings.commands.explain import explain
from tidings.commands.init import init
from tidings.commands.operating import pause, resume
from tidings.commands.preview import preview_command
from tidings.commands.processes import ingest, worker
from tidings.commands.publish import publish
from tidings.commands.replay import replay
from tidings.commands.run import run_command
from tidings.commands.schema import schema
from tidings.commands.send_test import send_test
from tidings.commands.simulate import simulate_command
from tidings.commands.status import status
from tidings.commands.up import up
from tidings.commands.validate import validate
from tidings.printing import printable

_SIGNALLED: Final = 128
"""Added to a signal's number, it is the exit code of a process that the signal ended, as shells have it."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tidings: watch what customers do, and send the right message at the right moment, or rightly none.",
)
app.command("init")(init)
app.command("validate")(validate)
app.command("check")(check)
app.command("schema")(schema)
app.command("preview")(preview_command)
app.command("send-test")(send_test)
app.command("simulate")(simulate_command)
app.command("run")(run_command)
app.command("up")(up)
app.command("publish")(publish)
app.command("demo")(demo)
app.command("apply")(apply)
app.command("diff")(diff)
app.command("impact")(impact)
app.command("replay")(replay)
app.command("explain")(explain)
app.command("status")(status)
app.command("doctor")(doctor)
app.command("pause")(pause)
app.command("resume")(resume)
app.command("worker")(worker)
app.command("ingest")(ingest)
app.add_typer(operating.app, name="executions")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(kafka.app, name="kafka")


def main() -> None:
    """Run the command line; what is wrong in the world or in the arguments is told without a traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except TidingsError as error:
        # What is wrong is often repeated, and may be anything; each line of ours is a line.
        said = "\n".join(printable(line) for line in str(error).split("\n"))
        typer.echo(f"tidings: {said}", err=True)
        sys.exit(1)
    except UnicodeEncodeError:
        # Bytes that aren't UTF-8 come from a shell as halves of characters, which no id and no text of ours can hold.
        if all(_is_text(word) for word in sys.argv):
            raise
        typer.echo("tidings: what was said isn't text in UTF-8", err=True)
        sys.exit(1)
    except KafkaException as error:
        typer.echo(f"tidings: Kafka refused or doesn't answer: {error.args[0].str()}", err=True)
        sys.exit(1)


def _is_text(word: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in word)


def _terminate(number: int, _frame: FrameType | None) -> None:
    """End as after an error, so that what a command has started is cleaned up; workers bring their own answer."""
    sys.exit(_SIGNALLED + number)


if __name__ == "__main__":
    main()
