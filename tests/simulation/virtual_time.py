"""A loop in which time is a number: what waits is woken in order, at once, and the same again with the same seed."""

import asyncio
import selectors


class Standstill(Exception):
    """Everybody waits, and nobody for time."""


class _NoSockets(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Standstill
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs on time of its own, which begins at 0."""

    def __init__(self) -> None:
        """Begin at 0."""
        self._sockets = _NoSockets()
        super().__init__(self._sockets)

    def time(self) -> float:
        """Return the time, in seconds."""
        return self._sockets.now
