"""Events in files: NDJSON, one envelope a line; the file's order is the order of arrival.

The clock of a file is the latest `received_at`, or `occurred_at` where that is missing, of the valid lines so
far. A line that would carry it more than `max_jump_ms` ahead is refused: one wrong year in one line would fire
every timer there is.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from schemas.errors import TidingsError
from schemas.events import (
    MAX_EVENT_BYTES,
    WEBHOOK_ANSWERED,
    Event,
    InvalidEvent,
    check_envelope,
    read_envelope,
    stream_of,
)
from schemas.instants import DAY_MS, Millis, format_instant

DEFAULT_MAX_JUMP_DAYS: Final = 400
_SECONDS_OF_TODAY: Final = 4_000_000_000
"""Milliseconds until the middle of February 1970; as seconds they reach into 2096."""
MISTAKES_OF_FILES: Final = frozenset({"not_text", "unknown_topic", "clock_jump"})
"""Error classes that only a file can have: the same bytes on a public topic might well be an event."""


class EventFileError(TidingsError):
    """The file can't be read, or the time asked for doesn't fit it."""


class Line(Struct, frozen=True, kw_only=True):
    """One line: either an event or the reason why it is none. `clock` is the file's clock behind it."""

    number: int
    raw: bytes
    clock: Millis
    event: Event | None = None
    problem: InvalidEvent | None = None


class EventFile(Struct, frozen=True):
    """A file of events; each time that it is gone through it is read from its beginning."""

    path: Path
    max_jump_ms: Millis

    def __iter__(self) -> Iterator[Line]:
        """Read it line by line; empty lines are passed over.

        Raises:
            EventFileError: the file can't be read.
        """
        try:
            with self.path.open("rb") as file:
                yield from lines_of(file, self.max_jump_ms)
        except OSError as error:
            msg = f"can't read the events in {self.path}: {error.strerror}"
            raise EventFileError(msg) from None


def read_lines(path: Path, max_jump_ms: Millis = DEFAULT_MAX_JUMP_DAYS * DAY_MS) -> EventFile:
    """Return the lines of a file of events."""
    return EventFile(path, max_jump_ms)


def lines_of(file: BinaryIO, max_jump_ms: Millis = DEFAULT_MAX_JUMP_DAYS * DAY_MS) -> Iterator[Line]:
    """Read an open file of events, line by line; empty lines are passed over."""
    clock: _FileClock | None = None
    for number, raw in enumerate(_bounded_lines(file), start=1):
        if raw.isspace() or not raw:
            continue
        line = _read(number, raw.rstrip(b"\r\n"), clock, max_jump_ms)
        if line.event is not None and (clock is None or line.clock > clock.at):
            clock = _FileClock(line.clock, number)
        yield line


def holds_answers(path: Path) -> bool:
    """Tell whether a file says itself how webhooks are answered; otherwise each is answered at once.

    Raises:
        EventFileError: the file can't be read.
    """
    wanted = WEBHOOK_ANSWERED.encode()
    try:
        with path.open("rb") as file:
            return any(_is_answer(raw) for raw in _bounded_lines(file) if wanted in raw)
    except OSError as error:
        msg = f"can't read the events in {path}: {error.strerror}"
        raise EventFileError(msg) from None


def nothing_happened(path: Path, lines: int) -> str:
    """Say that a file holds no event, and how one looks."""
    found = "is empty" if not lines else "has no line that is an event"
    return (
        f"{path} {found}, so nothing happened. A line is one event as JSON, such as\n"
        '  {"event_id": "1", "customer_id": "ada", "type": "signup", "occurred_at": "2026-03-02T09:00:00Z"}'
    )


def _is_answer(raw: bytes) -> bool:
    try:
        return read_envelope(raw).type == WEBHOOK_ANSWERED
    except InvalidEvent:
        return False


def _bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    """Iterate over lines, of which at most one byte more than an event may have is kept."""
    while piece := file.readline(MAX_EVENT_BYTES + 2):
        rest = piece
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(MAX_EVENT_BYTES)
        yield piece


class _FileClock(Struct, frozen=True):
    """Where the clock stands, and the line that has set it so."""

    at: Millis
    line: int


def _read(number: int, raw: bytes, clock: _FileClock | None, max_jump_ms: Millis) -> Line:
    try:
        event, behind = _check(raw, clock, max_jump_ms)
    except InvalidEvent as problem:
        return Line(number=number, raw=raw, clock=0 if clock is None else clock.at, problem=problem)
    return Line(number=number, raw=raw, clock=behind, event=event)


def _check(raw: bytes, clock: _FileClock | None, max_jump_ms: Millis) -> tuple[Event, Millis]:
    """Return the event of a line, and the clock behind it."""
    if raw.startswith(b"\0"):
        # On a topic this byte would announce Avro; a file holds JSON alone.
        raise InvalidEvent("not_text", "not JSON: the line begins with a zero byte")
    envelope = read_envelope(raw)
    event = check_envelope(envelope, stream_of(envelope))
    arrived = event.occurred_at if event.received_at is None else event.received_at
    if clock is None:
        return event, arrived
    if arrived - clock.at > max_jump_ms:
        days = (arrived - clock.at) // DAY_MS
        raise InvalidEvent(
            "clock_jump",
            f"the clock would jump {days} days ahead to {format_instant(arrived)}, from {format_instant(clock.at)} in"
            f" line {clock.line}{_hint(clock.at)}; if that is right, allow it with --max-jump {days + 1}",
        )
    return event, max(clock.at, arrived)


def _hint(before: Millis) -> str:
    """Ask about what is wrong most often with a clock of 1970: seconds where milliseconds belong."""
    return " (are its times seconds? they have to be milliseconds)" if 0 <= before < _SECONDS_OF_TODAY else ""


def end_of_time(until: Millis | None, clock: Millis | None) -> Millis:
    """Return the instant to which time runs: `until`, or the clock behind the last line.

    Raises:
        EventFileError: `until` lies before the last event.
    """
    if until is None:
        return 0 if clock is None else clock
    if clock is not None and until < clock:
        msg = (
            f"--until {format_instant(until)} lies before the last event ({format_instant(clock)}); leave it out or"
            " name a later time"
        )
        raise EventFileError(msg)
    return until
