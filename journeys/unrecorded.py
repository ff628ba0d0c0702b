"""What is decided and recorded nowhere, counted for whoever watches: repeated events, and refusals after the first.

A decision may not depend on what happened to other customers, so rules write here and never read. Whoever reads takes
the counts away, and they begin anew.
"""

from msgspec import Struct, field

from schemas.staging import LateSend

Made = dict[str, dict[str, LateSend]]
"""By customer and by its id, what a message was made of."""


class Unrecorded(Struct, eq=False):
    """Counts since they were last taken."""

    repeats: int = 0
    """Events whose id was remembered."""
    refusals: dict[str, int] = field(default_factory=dict)
    """Firings that were refused and not recorded, since the same had been that day, by reason."""

    made: Made | None = None
    """What each message was made of; None where nobody asks, which is everywhere but in a shadow."""

    def refuse(self, reason: str) -> None:
        """Count a refusal that isn't recorded."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

    def take(self) -> "Unrecorded":
        """Return the counts, and begin anew."""
        taken = Unrecorded(self.repeats, self.refusals)
        self.repeats, self.refusals = 0, {}
        return taken
