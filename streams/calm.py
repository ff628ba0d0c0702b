"""Fewer lines from the libraries while a broker is away.

aiokafka logs each attempt of each connection; 10,000 lines while a broker restarts hide the one that matters. Of each
kind of line, one in a while is let through, with the number of those left out, and the while doubles as long as it
repeats. Once it is known that the brokers are away (`set_away`), which is told in one line, the libraries are silent
until they are back.
"""

import logging
import threading

from aiokafka.errors import KafkaError

QUIET_S = 5.0
LONGEST_QUIET_S = 3600.0
LIBRARIES = ("aiokafka", "faust", "mode", "streams")
"""`streams` too: services of Faust's that we subclass log under our modules' names; we log elsewhere."""

_away = threading.Event()


def set_away(*, is_away: bool) -> None:
    """Say whether the brokers are known to be away; libraries have nothing to add meanwhile."""
    (_away.set if is_away else _away.clear)()


class OnceInAWhile(logging.Filter):
    """Let a message through once in `QUIET_S`, then twice that and so on, per logger and text; ours don't pass here."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}
        self._quiet_s: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide about one record; appends the number of those left out before it."""
        kind = (record.name, str(record.msg))
        quiet_s, since_s = self._quiet_s.get(kind, QUIET_S), record.created - self._last.get(kind, 0.0)
        if since_s < quiet_s or _away.is_set():
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        count = self._left_out.pop(kind, 0)
        # What hasn't come for a long while is news again.
        repeats = count > 0 and since_s < 2 * quiet_s
        self._quiet_s[kind] = min(2 * quiet_s, LONGEST_QUIET_S) if repeats else QUIET_S
        self._last[kind] = record.created
        if record.exc_info and isinstance(record.exc_info[1], KafkaError):
            # Where in the library a connection broke is of no use to anybody; that it broke is in the message.
            record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]!r}", ()
            record.exc_info = None
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
