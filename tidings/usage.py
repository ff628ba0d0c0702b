"""Options that can't be, by themselves or beside each other: told as typer tells its own, with exit code 2.

Wrong usage is what no state of the world could make right; what a file or Kafka doesn't hold is a `TidingsError`.
"""

from typing import Final

import typer
from typer._click import Context
from typer.core import TyperGroup

from schemas.errors import TidingsError
from tidings.printing import printable


class WrongUsage(TidingsError, typer.BadParameter):
    """Say what is wrong with the options, and what would be right."""

    def __init__(self, message: str) -> None:
        """Keep the sentence; it may repeat what was typed."""
        super().__init__(printable(message))
        typer.BadParameter.__init__(self, printable(message))

    def format_message(self) -> str:
        """Return the sentence alone: it names the option itself."""
        return self.message


_FOR_PROGRAMMERS: Final = "Value error, "
"""Typer has values checked by pydantic, which says so of what typer itself refuses."""


class Commands(TyperGroup):
    """The program's commands, whose wrong values are told by what is wrong alone."""

    def invoke(self, ctx: Context) -> object:
        """Run the command that was asked for.

        Raises:
            typer.BadParameter: a value can't be.
        """
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix(_FOR_PROGRAMMERS)
            raise
