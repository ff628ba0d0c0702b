"""What several commands ask for in the same way."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from msgspec import Struct
from rich.console import Console

from agents.snapshots import why_nothing_goes_on
from schemas.definitions import Definitions
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.expectations import WorkflowTest
from schemas.instants import Millis, parse_instant
from tidings.commands.validate import report
from tidings.definitions_folder import load_folder
from tidings.usage import WrongUsage

DefinitionsOption = Annotated[
    Path, typer.Option("--definitions", metavar="DIR", help="Folder of workflows, templates and settings.")
]
EventsOption = Annotated[Path, typer.Option("--events", metavar="FILE", help="Events, one JSON object a line.")]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="Run on to this time, RFC 3339. Default: the last event's."),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Where the records go. Default: standard output.")
]
MaxJumpOption = Annotated[
    int, typer.Option("--max-jump", metavar="DAYS", min=1, help="Refuse a line that moves the clock further.")
]


class ValidFolder(Struct, frozen=True, kw_only=True):
    """A folder without problems: its definitions, the documents they were read from, and its tests."""

    definitions: Definitions
    documents: list[Json]
    tests: tuple[WorkflowTest, ...]


def load_valid_folder(folder: Path) -> ValidFolder:
    """Read a folder of definitions; print everything that is wrong with it and exit with 1 if anything is."""
    result = load_folder(folder)
    if result.definitions is None:
        report(Console(stderr=True, highlight=False, soft_wrap=True), result)
        raise typer.Exit(1)
    return ValidFolder(definitions=result.definitions, documents=result.documents, tests=result.tests)


def read_until(text: str | None) -> Millis | None:
    """Read the time of `--until`.

    Raises:
        TidingsError: it isn't one.
    """
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        msg = f"--until: {error}"
        raise WrongUsage(msg) from None


def refuse_unwritable(*files: Path | None) -> None:
    """Make sure that files can be written once there is something to be written, and leave nothing behind.

    Raises:
        TidingsError: one of them can't.
    """
    for file in files:
        if file is None:
            continue
        folder = file.parent
        if file.is_dir():
            raise TidingsError(f"can't write {file}: it is a folder; name a file in it")
        if not folder.is_dir():
            raise TidingsError(f"can't write {file}: there is no folder {folder}; make it, or name another")
        if not os.access(file if file.exists() else folder, os.W_OK):
            raise TidingsError(f"can't write {file}: {os.strerror(errno.EACCES)}; name another place")


def refuse_no_snapshot(folder: Path | None, partitions: int, topic_id: bytes) -> None:
    """Make sure that there is something to go on from, where nothing will be left: else the name is mistyped.

    Args:
        folder: that of `--snapshots`; None where nobody asked for it.
        partitions: of the log.
        topic_id: of the log.

    Raises:
        TidingsError: there isn't.
    """
    why = None if folder is None else why_nothing_goes_on(folder, range(partitions), topic_id)
    if why is not None:
        raise TidingsError(
            f"--snapshots: {why}; name the folder in which `tidings replay --snapshots DIR` left them, or leave the"
            " option out, and the log is folded from its beginning"
        )


@contextmanager
def record_file(output: Path | None, events: Path) -> Iterator[BinaryIO]:
    """Open where records go.

    Raises:
        TidingsError: the file can't be written or is the events' own, or the disk is full.
    """
    if output is not None and output.exists() and events.exists() and output.samefile(events):
        msg = f"--output {output} is the file of events itself; name another"
        raise WrongUsage(msg)
    if output is None and sys.stdout is None:
        msg = "standard output is closed; name a file with --output"
        raise TidingsError(msg)
    try:
        if output is None:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        else:
            with output.open("wb") as file:
                yield file
    except BrokenPipeError:
        # Whoever read standard output has seen enough; Python would complain once more when it closes it.
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115, PTH123 -- stays open until the process ends
        raise typer.Exit from None
    except OSError as error:
        msg = f"can't write the records to {output or 'standard output'}: {error.strerror}"
        raise TidingsError(msg) from None


def write_file(file: Path | None, contents: Callable[[], bytes]) -> None:
    """Write a file that was asked for.

    Raises:
        TidingsError: it can't be written, or the disk is full.
    """
    if file is None:
        return
    try:
        file.write_bytes(contents())
    except OSError as error:
        raise TidingsError(f"can't write {file}: {error.strerror}") from None
