"""The program `tidings`."""

import errno
import inspect
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final

import typer
from confluent_kafka import KafkaException

from schemas.errors import TidingsError
from streams.hard_stop import RefusedToStart
from tidings.commands import dead_letters, kafka, operating
from tidings.commands.backfill import backfill
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
from tidings.commands.rebuild import rebuild_command
from tidings.commands.replay import replay
from tidings.commands.run import run_command
from tidings.commands.schema import schema
from tidings.commands.send_test import send_test
from tidings.commands.simulate import simulate_command
from tidings.commands.status import status
from tidings.commands.up import up
from tidings.commands.validate import validate
from tidings.printing import printable
from tidings.usage import Commands

_SIGNALLED: Final = 128
"""Added to a signal's number, it is the exit code of a process that the signal ended, as shells have it."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says, without the name of a file, where no more can be written."""

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tidings: watch what customers do, and send the right message at the right moment, or rightly none.",
)
_COMMANDS: Final[dict[str, dict[str, Callable[..., object]]]] = {
    "Write and try definitions, without Kafka": {
        "init": init,
        "validate": validate,
        "check": check,
        "schema": schema,
        "preview": preview_command,
        "send-test": send_test,
        "simulate": simulate_command,
    },
    "Run": {
        "up": up,
        "worker": worker,
        "ingest": ingest,
        "rebuild": rebuild_command,
        "publish": publish,
        "run": run_command,
        "demo": demo,
    },
    "Change what is in force": {"diff": diff, "impact": impact, "apply": apply, "pause": pause, "resume": resume},
    "See what happens, happened, and would have": {
        "status": status,
        "explain": explain,
        "replay": replay,
        "backfill": backfill,
        "doctor": doctor,
    },
}
"""By the heading that they have in the help."""
for _heading, _commands in _COMMANDS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_heading)(_command)
app.add_typer(kafka.app, name="kafka", rich_help_panel="Run")
app.add_typer(operating.app, name="executions", rich_help_panel="Change what is in force")
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel="See what happens, happened, and would have")
for _part in (app, kafka.app, operating.app, dead_letters.app):
    for _registered in _part.registered_commands:
        # The source's line ends would stand in the help beside those of the reader's window.
        _paragraphs = inspect.getdoc(_registered.callback) or ""
        _registered.help = "\n\n".join(" ".join(each.split()) for each in _paragraphs.split("\n\n"))


def main() -> None:
    """Run the command line; what is wrong in the world or in the arguments is told without a traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except KeyboardInterrupt:
        # A command's own is answered by typer; this one came while the command line was still being put together.
        sys.exit(_SIGNALLED + signal.SIGINT)
    except (TidingsError, RefusedToStart) as error:
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
    except OSError as error:
        # A file or folder that can't be used is the machine's affair; of anything else we should have thought.
        if error.filename is None and error.errno not in _FULL:
            raise
        what = "a file" if error.filename is None else printable(str(error.filename))
        typer.echo(f"tidings: can't use {what}: {error.strerror}", err=True)
        typer.echo(
            "See who may write there, and whether the disk is full; TIDINGS_DATA_DIR names another folder", err=True
        )
        sys.exit(1)


def _is_text(word: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in word)


def _terminate(number: int, _frame: FrameType | None) -> None:
    """End as after an error, so that what a command has started is cleaned up; workers bring their own answer."""
    sys.exit(_SIGNALLED + number)


if __name__ == "__main__":
    main()
