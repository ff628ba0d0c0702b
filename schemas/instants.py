"""Instants are epoch milliseconds, everywhere; text only at the edges (RFC 3339).

Only `zoneinfo` with the pinned `tzdata` knows local time; the zone rules of the machine are never read.
"""

import re
import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

zoneinfo.reset_tzpath(())

Millis = int

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

EARLIEST: Final[Millis] = -62_135_596_800_000
"""0001-01-01T00:00:00Z, the first instant that the calendar library can express."""
LATEST: Final[Millis] = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the last one."""

# An offset is less than a day, so that no wall clock between these leaves the calendar.
_FIRST_LOCAL: Final = EARLIEST + DAY_MS
_LAST_LOCAL: Final = LATEST - DAY_MS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = _EPOCH.replace(tzinfo=None)
_NO_OFFSET: Final = timedelta()
_MILLISECOND: Final = timedelta(milliseconds=1)
# RFC 3339, section 5.6; the calendar itself is checked by `datetime`.
_RFC_3339: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:)(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# What nearly all write, and the calendar library reads by itself as we do.
_COMMON: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_WITHOUT_OFFSET: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)


def parse_instant(value: object) -> Millis:
    """Read an instant: RFC 3339 with an offset, or whole epoch milliseconds.

    Digits beyond milliseconds are cut; a leap second counts as the last millisecond before it.

    Raises:
        ValueError: not an instant, or one outside the years 1 to 9999; the text says what would be right.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        instant = value
    elif isinstance(value, str):
        instant = _parse_text(value)
    else:
        msg = "expected RFC 3339 with an offset, or epoch milliseconds"
        raise ValueError(msg)  # noqa: TRY004 -- what a producer wrote, not how a function was called
    if not EARLIEST <= instant <= LATEST:
        msg = "outside the years 1 to 9999 (epoch times are milliseconds)"
        raise ValueError(msg)
    return instant


def _parse_text(text: str) -> Millis:
    if _COMMON.fullmatch(text):
        try:
            since = datetime.fromisoformat(text) - _EPOCH
        except (ValueError, OverflowError):
            pass
        else:
            return since.days * DAY_MS + since.seconds * SECOND_MS + since.microseconds // 1_000
    match = _RFC_3339.fullmatch(text)
    if match is None:
        if _DATE.fullmatch(text):
            msg = f"{text!r} has no time of day; write {text}T00:00:00Z"
        elif _WITHOUT_OFFSET.fullmatch(text):
            msg = f"{text!r} has no offset from UTC; write {text}Z or {text}+01:00"
        else:
            msg = f"{text[:40]!r} isn't an RFC 3339 time such as 2026-01-31T09:00:00Z"
        raise ValueError(msg)
    day, hour_minute, second, fraction, offset = match.groups()
    millisecond = int((fraction or "0").ljust(3, "0")[:3])
    if second == "60":
        second, millisecond = "59", 999
    offset = "+00:00" if offset in "Zz" else offset
    try:
        moment = datetime.fromisoformat(f"{day}T{hour_minute}{second}{offset}")
        return (moment - _EPOCH) // _MILLISECOND + millisecond
    except (ValueError, OverflowError) as error:
        msg = f"{text[:40]!r} isn't a time of the calendar: {error}"
        raise ValueError(msg) from None


@lru_cache(maxsize=4_096)
def format_instant(instant: Millis) -> str:
    """Write an instant as RFC 3339 in UTC with milliseconds, ending in Z.

    Remembered, because a decision writes the same few instants again and again, and so do many who are due at once.
    """
    day, within = divmod(instant, DAY_MS)
    second, millisecond = divmod(within, SECOND_MS)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{_format_day(day)}T{hour:02d}:{minute:02d}:{second:02d}.{millisecond:03d}Z"


@lru_cache(maxsize=4_096)
def _format_day(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()[:10]


def span(milliseconds: float) -> Millis:
    """Round a duration to milliseconds: nothing above 0 becomes 0, nothing outlasts the calendar."""
    if milliseconds <= 0:
        return 0
    return max(1, round(min(float(LATEST - EARLIEST), milliseconds)))


def later(instant: Millis, milliseconds: Millis) -> Millis:
    """Return the instant so much later, but never one beyond the calendar."""
    return min(instant + milliseconds, LATEST)


def utc_day(instant: Millis) -> int:
    """Count the UTC day of an instant from 1970-01-01."""
    return instant // DAY_MS


@lru_cache(maxsize=1_024)
def zone(name: str) -> zoneinfo.ZoneInfo:
    """Return a zone of the pinned tzdata by its IANA name.

    Raises:
        ValueError: no such zone.
    """
    if not is_zone(name):
        msg = f"{name[:60]!r} is no zone of the IANA database, such as Europe/Berlin"
        raise ValueError(msg)
    return zoneinfo.ZoneInfo(name)


def is_zone(name: str) -> bool:
    """Say whether the pinned tzdata has a zone of this name (names are case-sensitive)."""
    return name in _zone_names()


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    # A set, because the zone reader looks an unknown name up in the file system anew each time it comes.
    return frozenset(zoneinfo.available_timezones())


def local(instant: Millis, zone_name: str) -> datetime:
    """Return the wall clock of a zone at an instant (in the first and last day of the calendar, a day off the edge)."""
    within = min(max(instant, _FIRST_LOCAL), _LAST_LOCAL)
    return (_EPOCH + timedelta(milliseconds=within)).astimezone(zone(zone_name))


def from_local(wall: datetime, zone_name: str) -> Millis:
    """Return the instant of a wall-clock time (naive).

    A time that a clock change skips means the first instant after the gap; one that occurs twice the first.
    """
    first = wall.replace(tzinfo=zone(zone_name), fold=0)
    # Not `astimezone`, which fails where the instant lies outside the calendar.
    instant = (wall - _NAIVE_EPOCH - (first.utcoffset() or _NO_OFFSET)) // _MILLISECOND
    if not _FIRST_LOCAL <= instant <= _LAST_LOCAL:
        return min(max(instant, EARLIEST), LATEST)
    if local(instant, zone_name).replace(tzinfo=None) == wall:
        return instant
    return _end_of_gap(instant, wall, zone_name)


def _end_of_gap(instant: Millis, wall: datetime, zone_name: str) -> Millis:
    """Find the first instant whose wall clock is at or beyond a skipped time, by bisection."""
    low, high = instant - DAY_MS, instant + DAY_MS
    while low < high:
        middle = (low + high) // 2
        if local(middle, zone_name).replace(tzinfo=None) < wall:
            low = middle + 1
        else:
            high = middle
    return low


def as_text(instant: Millis | None) -> str | None:
    """Format an instant, or None."""
    return None if instant is None else format_instant(instant)
