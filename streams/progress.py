"""Noticing that something which should move doesn't.

Faust answers OK while an agent is stuck, a task has died or the drain has ended; so whoever should make progress
counts, and the counts are looked at.
"""


class Progress:
    """Since when a count stands still although it is due to grow."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._count = -1
        self._since_s = 0.0

    def stuck_for_s(self, count: int, *, due: bool, now_s: float) -> float:
        """Look at the count, and return for how many seconds it hasn't grown while it was due."""
        if count != self._count or not due:
            self._count = count
            self._since_s = now_s
        return now_s - self._since_s
