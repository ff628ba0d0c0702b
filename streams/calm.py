"""Fewer lines from the libraries while a broker is away.

aiokafka logs each attempt of each connection; 10,000 lines while a broker restarts hide the one that matters.
Of each kind of line, one in a few seconds is let through, with the number of those left out.
"""

import logging

from aiokafka.errors import KafkaError

QUIET_S = 5.0
LIBRARIES = ("aiokafka", "faust", "mode", "streams")
"""`streams` too: services of Faust's that we subclass log under our modules' names; we log elsewhere."""


class OnceInAWhile(logging.Filter):
    """Let a message through once in `QUIET_S` per logger and text; errors of ours don't pass here."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide about one record; appends the number of those left out before it."""
        kind = (record.name, str(record.msg))
        if record.created - self._last.get(kind, 0.0) < QUIET_S:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        self._last[kind] = record.created
        if record.exc_info and isinstance(record.exc_info[1], KafkaError):
            # Where in the library a connection broke is of no use to anybody; that it broke is in the message.
            record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]!r}", ()
            record.exc_info = None
        count = self._left_out.pop(kind, 0)
        if count:
            record.msg, record.args = f"{record.getMessage()} (and {count} more like it)", ()
        return True


def calm_libraries() -> None:
    """Make the libraries' loggers quiet; safe to call again."""
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        if not any(isinstance(present, OnceInAWhile) for present in handler.filters):
            handler.addFilter(_LibrariesOnly())


class _LibrariesOnly(OnceInAWhile):
    def filter(self, record: logging.LogRecord) -> bool:
        return super().filter(record) if record.name.startswith(LIBRARIES) else True
