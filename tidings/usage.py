"""Options that can't be, by themselves or beside each other: told as typer tells its own, with exit code 2.

Wrong usage is what no state of the world could make right; what a file or Kafka doesn't hold is a `TidingsError`.
"""

import typer

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
