"""`tidings init`: a first folder of definitions, to be changed."""

import shlex
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Final

import typer

from schemas.errors import TidingsError
from tidings.printing import printable

FIRST_FOLDER: Final[Traversable] = files("tidings") / "first_folder"
"""Lies within the program, so that an installed one has it too."""
_FILES: Final = ("settings.yaml", "welcome.yaml", "templates.yaml", "tests.yaml", "events.ndjson")


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that is empty or isn't there yet.", show_default=False)
    ],
) -> None:
    """Make a first folder: a welcome series with its mails, settings, tests and some events."""
    try:
        write_first_folder(folder)
    except OSError as error:
        msg = f"can't make {folder}: {error.strerror}"
        raise TidingsError(msg) from None
    named = printable(shlex.quote(str(folder)))
    typer.echo(f"{printable(str(folder))} has {', '.join(_FILES)}. What to do with it:\n")
    for command, what in (
        (f"tidings validate {named}", "everything that is wrong with it, at once"),
        (f"tidings check {named}", "its tests, and laws tried on generated histories"),
        (f"tidings preview hello --definitions {named}", "a mail, as somebody would get it"),
        (f"tidings simulate --definitions {named} --events {named}/events.ndjson --until 2026-04-01T00:00:00Z", ""),
    ):
        typer.echo(f"    {command}" + (f"   # {what}" if what else ""))
    typer.echo(f"\nThen `tidings up --definitions {named}` runs everything with it;")
    typer.echo(f"`tidings apply {named}` puts an edit in force, and `tidings doctor` says what isn't right around it.")


def write_first_folder(folder: Path) -> None:
    """Write the files of a first folder.

    Raises:
        TidingsError: there is something in the folder already; nothing is written then.
        OSError: it can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"{folder} is there already, and not an empty folder; nothing was written. Name another"
        raise TidingsError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        # Never over what came there meanwhile.
        with (folder / name).open("xb") as file:
            file.write((FIRST_FOLDER / name).read_bytes())
