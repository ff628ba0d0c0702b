"""When a message goes out and when a wait ends: local wall-clock rules turned into instants.

What a timing asks for repeats by the week, so each rule (business hours, weekdays, best hours, what quiet hours leave)
is a `Week`: for each weekday, Monday first, the windows of local minutes in which it holds. Rules combine
by `both`. The search jumps from the start of one window to the next on the wall clock and looks at the zone only
where it lands; where the offset changed on the way it goes on from the instant of the change. An instant satisfies a
window when its wall clock lies in it, so both passes of an hour that occurs twice do.

A named local time (`at`, `target_time`) is one instant a day: the first after the gap where a clock change skips it,
the first where it occurs twice, and none on a date that a zone leaves out altogether (Samoa, 2011-12-30).
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from msgspec import Struct

from schemas.definitions import FixedTime, Timing, UntilDate, UntilTime
from schemas.events import Json
from schemas.instants import (
    DAY_MS,
    EARLIEST,
    HOUR_MS,
    LATEST,
    MINUTE_MS,
    Millis,
    from_local,
    is_zone,
    local,
    parse_instant,
)

Window = tuple[int, int]
"""Minutes of a local day, from the first up to but not including the second."""
Week = tuple[tuple[Window, ...], ...]
"""Seven days, Monday first; the windows of a day are in order and don't touch."""

_DAY_MINUTES: Final = 24 * 60
ALWAYS: Final[Week] = (((0, _DAY_MINUTES),),) * 7
BUSINESS_HOURS: Final[Week] = (((9 * 60, 17 * 60),),) * 7
WEEKDAYS: Final[Week] = (*ALWAYS[:5], (), ())
_NEVER: Final[Week] = ((),) * 7

_HORIZON_DAYS: Final = 22
"""A rule that holds at all holds once a week; a clock change can spoil one occurrence. Three weeks are enough."""
_MAX_JUMP_DAYS: Final = 5
"""Two changes of one zone are at least 6.9 days apart (tzdata 2026.6), so that a jump meets no more than one."""
_LAST_LOCAL: Final[Millis] = LATEST - 400 * DAY_MS
"""Beyond it the calendar library can't look ahead."""
_CLOCK: Final = re.compile("([01]?[0-9]|2[0-3]):([0-5][0-9])")
_DATE: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


class TimingProblem(ValueError):
    """A timing or wait that doesn't parse or can never hold; the text says what would be right."""


class CompiledTiming(Struct, frozen=True, kw_only=True):
    """A timing, parsed. `week` holds everything asked for besides best hours and the local minute `at`."""

    delay_ms: int
    expires_after_ms: int
    week: Week
    at: int | None
    optimize: bool


class FixedWait(Struct, frozen=True, kw_only=True):
    """Durations, then local dates, then a local minute on the last of them."""

    duration_ms: int
    calendar_days: int
    at: int | None


class TimeWait(Struct, frozen=True, kw_only=True):
    """The next occurrence of a local minute."""

    at: int


class DateWait(Struct, frozen=True, kw_only=True):
    """The first local instant of a date."""

    date: date


class InstantWait(Struct, frozen=True, kw_only=True):
    """An instant, the same in every zone."""

    instant: Millis


CompiledWait = FixedWait | TimeWait | DateWait | InstantWait


# Timing ---------------------------------------------------------------------------------------------------------


def compile_timing(timing: Timing) -> CompiledTiming:
    """Parse a timing.

    `send_immediately` means that nothing is optimized; what else is asked for still holds.

    Raises:
        TimingProblem: `at` doesn't parse, or the rules can never hold together.
    """
    at = None if timing.at is None else parse_clock(timing.at)
    if timing.send_immediately and timing.business_hours_only:
        msg = "send_immediately and business_hours_only exclude each other; keep one"
        raise TimingProblem(msg)
    week = ALWAYS
    if timing.business_hours_only:
        week = both(week, BUSINESS_HOURS)
    if timing.avoid_weekends:
        week = both(week, WEEKDAYS)
    if at is not None and both(week, _minute(at)) == _NEVER:
        msg = f"at {timing.at} lies outside business hours (09:00 to 17:00), so nothing could ever be sent"
        raise TimingProblem(msg)
    if timing.delay_hours >= timing.expires_after_hours:
        msg = (
            f"delay_hours ({timing.delay_hours:g}) isn't below expires_after_hours ({timing.expires_after_hours:g}), "
            "so nothing could ever be sent"
        )
        raise TimingProblem(msg)
    return CompiledTiming(
        delay_ms=_span(timing.delay_hours * HOUR_MS),
        expires_after_ms=_span(timing.expires_after_hours * HOUR_MS),
        week=week,
        at=at,
        optimize=not timing.send_immediately and timing.optimize is not False,
    )


def next_send_time(
    timing: CompiledTiming, start: Millis, zone_name: str, best_hours: frozenset[int], not_after: Millis | None
) -> Millis | None:
    """Find the earliest instant from `start` on at which everything asked for holds.

    An instant that was found still holds when it comes, so a send that is due looks again by asking from `now` on.

    Args:
        timing: what is asked for.
        start: now + `delay_ms` when the step begins; now when a send is timed anew.
        zone_name: a valid zone.
        best_hours: local hours, 0 to 23; empty for what is never optimized. They are given up where no such hour is
            possible under the other rules before `not_after`.
        not_after: the instant at which the send expires, or None.

    Returns:
        The instant, which lies before `not_after`; None where there is none.
    """
    if start > _LAST_LOCAL:
        return None
    limit = start + _HORIZON_DAYS * DAY_MS
    if not_after is not None:
        limit = min(limit, not_after)
    if timing.optimize and best_hours:
        week = _with_hours(timing.week, best_hours)
        if timing.at is None or both(week, _minute(timing.at)) != _NEVER:
            best = _first_instant(week, timing.at, start, limit, zone_name)
            if best is not None:
                return best
    return _first_instant(timing.week, timing.at, start, limit, zone_name)


def can_hold(timing: CompiledTiming) -> bool:
    """Tell whether there is a minute of the week at which everything asked for holds."""
    return (timing.week if timing.at is None else both(timing.week, _minute(timing.at))) != _NEVER


def both(first: Week, second: Week) -> Week:
    """Return the minutes in which two rules hold together."""
    return tuple(
        tuple((max(a, c), min(b, d)) for a, b in windows for c, d in others if max(a, c) < min(b, d))
        for windows, others in zip(first, second, strict=True)
    )


def parse_clock(text: str) -> int:
    """Read a local time such as 09:00 as the minute of the day.

    Raises:
        TimingProblem: not a time from 00:00 to 23:59.
    """
    match = _CLOCK.fullmatch(text)
    if match is None:
        msg = f"{text[:40]!r} isn't a local time from 00:00 to 23:59"
        raise TimingProblem(msg)
    return int(match[1]) * 60 + int(match[2])


@lru_cache(maxsize=4_096)
def _with_hours(week: Week, hours: frozenset[int]) -> Week:
    windows: list[Window] = []
    for hour in sorted(hours):
        if windows and windows[-1][1] == hour * 60:
            windows[-1] = (windows[-1][0], hour * 60 + 60)
        else:
            windows.append((hour * 60, hour * 60 + 60))
    return both(week, (tuple(windows),) * 7)


def _minute(at: int) -> Week:
    return (((at, at + 1),),) * 7


def _first_instant(week: Week, at: int | None, start: Millis, limit: Millis, zone_name: str) -> Millis | None:
    if at is not None:
        return _first_named(week, at, start, limit, zone_name)
    if start >= limit:
        return None
    if week == ALWAYS:
        return start
    return _first_open(week, start, limit, zone_name)


def _first_named(week: Week, at: int, start: Millis, limit: Millis, zone_name: str) -> Millis | None:
    """Find the first instant of the local minute `at`, on a day on which the week is open then."""
    # The day before as well: where a gap ends at midnight, its last minutes lie at the first instant of today.
    day = local(start, zone_name).date() - timedelta(days=1)
    for _ in range(_HORIZON_DAYS + 2):
        named = _named_instant(day, at, zone_name)
        day += timedelta(days=1)
        if named is None or named + MINUTE_MS <= start:
            continue
        instant = max(named, start)
        if instant >= limit:
            return None
        wall = local(instant, zone_name)
        if _is_open(week, wall):
            return instant
    return None


def _named_instant(day: date, at: int, zone_name: str) -> Millis | None:
    """Return the instant of a local minute on a date, or None where the zone leaves the whole date out."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  a wall clock, naive on purpose
    instant = from_local(midnight + timedelta(minutes=at), zone_name)
    if local(instant, zone_name).date() != day:
        next_midnight = from_local(midnight + timedelta(days=1), zone_name)
        if from_local(midnight, zone_name) == next_midnight:
            return None
    return instant


def _first_open(week: Week, start: Millis, limit: Millis, zone_name: str) -> Millis | None:
    """Find the first instant whose wall clock lies in an open window, going from window to window."""
    instant = start
    # Each jump ends at a window, a clock change or some days on, so a few reach the limit.
    while instant < limit:
        wall = local(instant, zone_name)
        if _is_open(week, wall):
            return instant
        instant = _reach(instant, wall, _minutes_to_opening(week, wall), zone_name)
    return None


def _is_open(week: Week, wall: datetime) -> bool:
    minute = wall.hour * 60 + wall.minute
    return any(first <= minute < end for first, end in week[wall.weekday()])


def _minutes_to_opening(week: Week, wall: datetime) -> int:
    """Count from the wall clock's midnight to the next start of a window, or as far as a jump may go."""
    minute, today = wall.hour * 60 + wall.minute, wall.weekday()
    for first, _ in week[today]:
        if first > minute:
            return first
    for days in range(1, _MAX_JUMP_DAYS):
        windows = week[(today + days) % 7]
        if windows:
            return days * _DAY_MINUTES + windows[0][0]
    return _MAX_JUMP_DAYS * _DAY_MINUTES


def _reach(instant: Millis, wall: datetime, minutes: int, zone_name: str) -> Millis:
    """Go on until the wall clock shows so many minutes since its midnight, but no further than a clock change."""
    of_day = ((wall.hour * 60 + wall.minute) * 60 + wall.second) * 1_000 + wall.microsecond // 1_000
    reached = instant + minutes * MINUTE_MS - of_day
    offset = wall.utcoffset()
    if local(reached, zone_name).utcoffset() == offset:
        return reached
    low, high = instant + 1, reached
    while low < high:
        middle = (low + high) // 2
        if local(middle, zone_name).utcoffset() == offset:
            low = middle + 1
        else:
            high = middle
    return low


# Waits ----------------------------------------------------------------------------------------------------------


def compile_wait(configuration: FixedTime | UntilTime | UntilDate) -> CompiledWait:
    """Parse a wait for time.

    Raises:
        TimingProblem: a time or date doesn't parse.
    """
    match configuration:
        case FixedTime():
            return FixedWait(
                duration_ms=_span(
                    (configuration.duration_hours or 0) * HOUR_MS
                    + (configuration.duration_minutes or 0) * MINUTE_MS
                    + (configuration.duration_days or 0) * DAY_MS
                ),
                calendar_days=configuration.calendar_days or 0,
                at=None if configuration.at is None else parse_clock(configuration.at),
            )
        case UntilTime():
            return TimeWait(at=parse_clock(configuration.target_time))
        case UntilDate():
            return _compile_date(configuration.target_date)


def wait_until(wait: CompiledWait, now: Millis, zone_name: str) -> Millis:
    """Return the instant at which a wait that begins now is over; never before now.

    Durations come first, then `calendar_days` count local dates from there; `at` is a local time on the last of
    them, or without `calendar_days` the first such time from there on.
    """
    match wait:
        case FixedWait():
            return _fixed_end(wait, now, zone_name)
        case TimeWait():
            return _next_named(wait.at, now + 1, zone_name)
        case DateWait():
            day = wait.date
            return max(now, from_local(datetime(day.year, day.month, day.day), zone_name))  # noqa: DTZ001  wall clock
        case InstantWait():
            return max(now, wait.instant)


def _compile_date(text: str) -> CompiledWait:
    try:
        if _DATE.fullmatch(text):
            return DateWait(date=date.fromisoformat(text))
        return InstantWait(instant=parse_instant(text))
    except ValueError as error:
        msg = f"target_date: expected a date such as 2026-01-31 or an RFC 3339 time ({error})"
        raise TimingProblem(msg) from None


def _fixed_end(wait: FixedWait, now: Millis, zone_name: str) -> Millis:
    after = min(now + wait.duration_ms, LATEST)
    if wait.calendar_days == 0:
        return after if wait.at is None else _next_named(wait.at, after, zone_name)
    if after > _LAST_LOCAL - wait.calendar_days * DAY_MS:
        return LATEST
    wall = local(after, zone_name).replace(tzinfo=None) + timedelta(days=wait.calendar_days)
    if wait.at is not None:
        wall = wall.replace(hour=wait.at // 60, minute=wait.at % 60, second=0, microsecond=0)
    return max(now, from_local(wall, zone_name))


def _next_named(at: int, start: Millis, zone_name: str) -> Millis:
    """Return the first occurrence of a local minute, as the instant at which it begins, at or after the start."""
    if start > _LAST_LOCAL:
        return LATEST
    day = local(start, zone_name).date() - timedelta(days=1)
    # A zone leaves out one date in a row.
    named = (_named_instant(day + timedelta(days=number), at, zone_name) for number in range(_HORIZON_DAYS))
    return next(instant for instant in named if instant is not None and instant >= start)


def _span(milliseconds: float) -> int:
    """Round a duration; one longer than the calendar is as long as the calendar."""
    return round(min(float(LATEST - EARLIEST), milliseconds))


# Zones ----------------------------------------------------------------------------------------------------------


def customer_zone(preferences: Mapping[str, Json], default: str) -> str:
    """Return the customer's zone: her preference where it is a zone, else the default (a workflow's, or of all)."""
    preferred = preferences.get("timezone")
    return preferred if isinstance(preferred, str) and is_zone(preferred) else default
