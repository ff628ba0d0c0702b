"""What the processes log: one line for each thing, as JSON for programs or as text for people, to standard error.

No personal data: what is logged are places in topics, counts, versions and names of definitions. An exception's own
words may hold what a customer wrote, so only its type and the place in the program are told; with the level `debug`
everything is.
"""

import logging
import sys
import traceback
from typing import Final, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["text", "json"]
_WIDTH: Final = 8


def configure_logging(level: str, form: LogFormat = "text") -> None:
    """Log to standard error from here on.

    Args:
        level: the least that is told: debug, info, warning, error.
        form: `json`: an object a line, with timestamp, level, logger, event; `text`: the same for people.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    in_words = structlog.processors.format_exc_info if level == "debug" else tell_place
    last: Processor = structlog.processors.JSONRenderer() if form == "json" else as_text
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, in_words, last],
    )
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[stream], force=True)


def tell_place(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and the place where it arose."""
    found = event.pop("exc_info", None)
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__, limit=-1)
        if frames:
            event["at"] = f"{frames[0].name}, {frames[0].filename.rpartition('/')[2]}:{frames[0].lineno}"
    event.pop("stack", None)
    return event


def as_text(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Write an event as a line: time, level, what happened, and what else is known of it."""
    timestamp, level, _ = event.pop("timestamp"), event.pop("level"), event.pop("logger", None)
    said = str(event.pop("event")).replace("\n", "\n    ")
    rest = "".join(f" {name}={value}" for name, value in event.items())
    return f"{timestamp[:19]}Z {level.upper():<{_WIDTH}}{said}{rest}"
