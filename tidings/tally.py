"""What a simulation or a run amounted to."""

from msgspec import Struct


class Tally(Struct):
    """Counts of what went in and came out."""

    lines: int = 0
    events: int = 0
    dead_letters: int = 0
    sends: int = 0
    decisions: int = 0
    webhook_calls: int = 0

    def in_words(self) -> str:
        """Say it in a line."""
        calls = f", {self.webhook_calls:,} webhook calls" if self.webhook_calls else ""
        return (
            f"{self.lines:,} lines: {self.events:,} events, {self.dead_letters:,} dead letters;"
            f" {self.sends:,} sends, {self.decisions:,} decisions{calls}"
        )
