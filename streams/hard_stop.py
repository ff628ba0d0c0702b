"""Ending the process at once, when going on could lose or double records.

Faust and aiokafka swallow many errors and live on idle; a process that is gone is seen by its supervisor and
recovers in seconds from what is committed. So whatever breaks a promise ends here: one line, then the exit.
"""

import logging
import os
import sys
import traceback
from typing import Final, NoReturn

from aiokafka.errors import KafkaError

from schemas.errors import TidingsError

log = logging.getLogger("tidings.streams")

STOPPED_HARD = 75
"""Exit code (EX_TEMPFAIL): memory was given up; start the worker again and it recovers."""

_FRAMES: Final = 3

REFUSED = 78
"""Exit code (EX_CONFIG): the worker can't start as things are; starting it again won't help."""


class RefusedToStart(Exception):
    """What is found in Kafka doesn't allow a safe start; the message says what to do."""


def leave() -> NoReturn:
    """End the process after a clean stop, without waiting for tasks of libraries that won't be cancelled."""
    _exit(0)


def stop_hard(reason: str, error: BaseException | None = None) -> NoReturn:
    """Log one line and end the process, without any cleaning up that could touch Kafka.

    A transaction under way stays open until the next owner's `init_transactions` aborts it.
    """
    code = REFUSED if isinstance(error, RefusedToStart) else STOPPED_HARD
    log.critical("stopped hard (exit %d): %s%s", code, reason, f": {_in_words(error)}" if error else "")
    _exit(code)


def _in_words(error: BaseException) -> str:
    """Tell an error; of one that may hold what a customer wrote only its type, and where it arose."""
    if isinstance(error, (RefusedToStart, TidingsError)):
        return str(error)
    if isinstance(error, (KafkaError, OSError)) or type(error).__module__.startswith("streams."):
        return repr(error)
    places = [f"{frame.name}, {frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in _frames(error)]
    return f"{type(error).__name__} in {' < '.join(reversed(places))}" if places else type(error).__name__


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__, limit=-_FRAMES)


def _exit(code: int) -> NoReturn:
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
