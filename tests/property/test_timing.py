"""Timing against a scan, minute by minute, that knows nothing but the wall clock of each instant.

The wall clock is `zoneinfo`'s own; what the rules use to turn instants into local times and back has no part in it.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from journeys.quiet_hours import keep_quiet
from journeys.timing import (
    CompiledTiming,
    TimingProblem,
    can_hold,
    compile_timing,
    compile_wait,
    next_send_time,
    wait_until,
)
from schemas.definitions import FixedTime, QuietHours, Timing, UntilTime, Weekday
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis, parse_instant

# Zones with offsets of 30 and 45 minutes, changes of half an hour, of two hours, at midnight, and skipped days.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "Pacific/Chatham",
    "America/Santiago",
    "America/St_Johns",
    "America/Nuuk",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Asia/Gaza",
    "America/Havana",
    "Asia/Kolkata",
    "Pacific/Kiritimati",
)
# Days on which one of these zones changed its clock.
CHANGES = tuple(
    map(
        parse_instant,
        (
            "1993-08-21T12:00:00Z",
            "1994-12-31T10:00:00Z",
            "2006-10-29T02:31:00Z",
            "2011-12-30T10:00:00Z",
            "2025-03-09T05:00:00Z",
            "2025-03-30T01:00:00Z",
            "2025-04-05T15:00:00Z",
            "2025-04-06T03:00:00Z",
            "2025-04-12T00:00:00Z",
            "2025-09-07T04:00:00Z",
            "2025-10-04T15:30:00Z",
            "2025-10-26T01:00:00Z",
            "2025-11-02T06:00:00Z",
        ),
    )
)
SCANNED_DAYS = 3
DAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

near_changes = st.builds(
    lambda change, minutes, rest: change + minutes * MINUTE_MS + rest,
    st.sampled_from(CHANGES),
    st.integers(-3 * 24 * 60, 2 * 24 * 60),
    st.sampled_from([0, 0, 1, 59_999, 30_000]),
)
clocks = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59))
timings = st.builds(
    Timing,
    delay_hours=st.sampled_from([0, 0.5, 7]),
    business_hours_only=st.booleans(),
    avoid_weekends=st.booleans(),
    optimize=st.sampled_from([None, False]),
    at=st.none() | clocks,
)
hours = st.frozensets(st.integers(0, 23), min_size=1, max_size=6)


quiets = st.none() | st.builds(
    QuietHours,
    start=clocks | st.sampled_from(["22:00", "09:00"]),
    end=clocks | st.sampled_from(["08:00", "17:00"]),
    days=st.lists(st.sampled_from(DAYS), max_size=7).map(tuple),
)


def compiled_or_none(timing: Timing, quiet: QuietHours | None = None) -> CompiledTiming | None:
    try:
        compiled = keep_quiet(compile_timing(timing), quiet, "email")
    except TimingProblem:
        return None
    return compiled if can_hold(compiled) else None


def is_quiet(quiet: QuietHours | None, wall: datetime) -> bool:
    """Look whether a window that began today, or yesterday, is still open, on a wall clock of ever equal days."""
    if quiet is None:
        return False
    for days in (0, 1):
        day = wall.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
        begin, end = (day + timedelta(hours=int(text[:2]), minutes=int(text[3:])) for text in (quiet.start, quiet.end))
        end += timedelta(days=1) if end <= begin else timedelta()
        if DAYS[day.weekday()] in quiet.days and begin <= wall.replace(tzinfo=None) < end:
            return True
    return False


def wall_at(instant: Millis, zone: str) -> datetime:
    return datetime.fromtimestamp(instant // 1_000, UTC).astimezone(ZoneInfo(zone))


def clock_at(instant: Millis, zone: str) -> datetime:
    """What a clock on the wall shows, without its offset: the second passes of hours look like the first."""
    return wall_at(instant, zone).replace(tzinfo=None)


def minutes(begin: Millis, end: Millis, step: Millis = MINUTE_MS) -> Iterator[Millis]:
    yield from range(begin // step * step, end, step)


def named_instants(at: str, begin: Millis, end: Millis, zone: str, step: Millis = MINUTE_MS) -> set[Millis]:
    """The instants at which a local minute begins, one a date; where the clock skips it, the first behind the gap."""
    hour, minute = map(int, at.split(":"))
    found: dict[date, Millis] = {}
    dates = set()
    for instant in minutes(begin, end, step):
        clock = clock_at(instant, zone)
        dates.add(clock.date())
        for day in (clock.date() - timedelta(days=1), clock.date()):
            target = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001  a wall clock
            if day in dates and day not in found and clock >= target:
                found[day] = instant
    return set(found.values())


def named_around(at: str, around: Millis, zone: str, days: int = 2) -> set[Millis]:
    """Those of so many days on; the first day of the scan, whose morning it doesn't see, is left out."""
    named = named_instants(at, around - 3 * DAY_MS, around + (days + 1) * DAY_MS, zone)
    return {instant for instant in named if instant > around - 2 * DAY_MS}


def scan(
    timing: Timing, quiet: QuietHours | None, start: Millis, zone: str, best_hours: frozenset[int] | None, end: Millis
) -> Millis | None:
    """Look at the start and at each minute behind it."""
    named = None if timing.at is None else named_around(timing.at, start, zone, SCANNED_DAYS)
    instant = start
    while instant < end:
        wall = clock_at(instant, zone)
        allowed = (
            (not timing.business_hours_only or 9 <= wall.hour < 17)
            and (not timing.avoid_weekends or wall.weekday() < 5)
            and not is_quiet(quiet, wall)
            and (best_hours is None or wall.hour in best_hours)
            and (named is None or any(begin <= instant < begin + MINUTE_MS for begin in named))
        )
        if allowed:
            return instant
        instant = (instant // MINUTE_MS + 1) * MINUTE_MS
    return None


@given(timings, quiets, near_changes, st.sampled_from(ZONES), hours)
@example(
    Timing(at="23:30", optimize=False), None, parse_instant("2025-03-30T01:00:00Z"), "America/Nuuk", frozenset({9})
)
@example(
    Timing(at="10:00", optimize=False), None, parse_instant("2011-12-30T08:00:00Z"), "Pacific/Apia", frozenset({9})
)
@example(
    Timing(optimize=False),
    QuietHours(start="22:00", end="02:30"),
    parse_instant("2025-10-25T23:00:00Z"),
    "Europe/Berlin",
    frozenset({9}),
)
def test_the_send_time_is_the_first_that_a_scan_finds(
    timing: Timing, quiet: QuietHours | None, now: Millis, zone: str, best_hours: frozenset[int]
) -> None:
    compiled = compiled_or_none(timing, quiet)
    if compiled is None:
        return
    start = now + compiled.delay_ms
    end = start + SCANNED_DAYS * DAY_MS
    expected = None if timing.optimize is False else scan(timing, quiet, start, zone, best_hours, end)
    if expected is None:
        expected = scan(timing, quiet, start, zone, None, end)
    assert next_send_time(compiled, start, zone, best_hours, end) == expected


@given(timings, quiets, near_changes, st.sampled_from(ZONES), hours, st.integers(1, 200))
def test_a_send_time_still_holds_when_it_comes(
    timing: Timing, quiet: QuietHours | None, now: Millis, zone: str, best_hours: frozenset[int], expires_hours: int
) -> None:
    compiled = compiled_or_none(timing, quiet)
    if compiled is None:
        return
    not_after = now + expires_hours * HOUR_MS
    found = next_send_time(compiled, now + compiled.delay_ms, zone, best_hours, not_after)
    if found is not None:
        assert now + compiled.delay_ms <= found < not_after
        assert next_send_time(compiled, found, zone, best_hours, not_after) == found


@given(timings, near_changes, st.sampled_from(ZONES), hours)
def test_without_an_expiry_there_is_always_a_send_time_within_eight_days(
    timing: Timing, now: Millis, zone: str, best_hours: frozenset[int]
) -> None:
    compiled = compiled_or_none(timing)
    if compiled is None:
        return
    found = next_send_time(compiled, now, zone, best_hours, None)
    assert found is not None
    assert found - now <= 8 * DAY_MS


@given(clocks, near_changes, st.sampled_from(ZONES))
def test_until_time_is_the_next_named_instant(at: str, now: Millis, zone: str) -> None:
    expected = min(instant for instant in named_around(at, now, zone) if instant > now)
    assert wait_until(compile_wait(UntilTime(target_time=at)), now, zone) == expected


def first_showing(target: datetime, zone: str) -> Millis:
    """Find the first instant at which the clock shows a time, or one behind it, where it is never shown.

    Both the minutes of that time's seconds and whole minutes, at which clocks change, are looked at.
    """
    near = (target - datetime(1970, 1, 1)) // timedelta(milliseconds=1)  # noqa: DTZ001  a wall clock
    phase = near % MINUTE_MS
    looks = sorted({*minutes(near - 26 * HOUR_MS, near + 50 * HOUR_MS)} | {
        instant + phase for instant in minutes(near - 26 * HOUR_MS, near + 50 * HOUR_MS)
    })  # fmt: skip
    return next(
        instant for instant in looks if clock_at(instant, zone) + timedelta(milliseconds=instant % 1_000) >= target
    )


@given(
    st.builds(
        FixedTime,
        duration_hours=st.sampled_from([None, 0, 0.25, 1, 25, 99.5]),
        duration_minutes=st.none() | st.integers(0, 100),
        calendar_days=st.none() | st.integers(0, 40),
        at=st.none() | clocks,
    ),
    near_changes,
    st.sampled_from(ZONES),
)
def test_a_fixed_wait_ends_when_a_scan_says(configuration: FixedTime, now: Millis, zone: str) -> None:
    more = (configuration.duration_hours or 0) * 60 + (configuration.duration_minutes or 0)
    after = now + round(more * MINUTE_MS)
    expected = after
    if configuration.calendar_days:
        target = clock_at(after, zone) + timedelta(days=configuration.calendar_days, milliseconds=after % 1_000)
        if configuration.at is not None:
            hour, minute = map(int, configuration.at.split(":"))
            target = target.replace(hour=hour, minute=minute, second=0, microsecond=0)
        expected = max(now, first_showing(target, zone))
    elif configuration.at is not None:
        expected = min(instant for instant in named_around(configuration.at, after, zone) if instant >= after)
    assert wait_until(compile_wait(configuration), now, zone) == expected


@pytest.mark.parametrize("zone", ZONES)
def test_over_two_years_the_send_times_of_each_day_are_those_of_a_scan(zone: str) -> None:
    """Every quarter of an hour is looked at: clocks change at none but these."""
    compiled = compile_timing(Timing(at="02:15", optimize=False))
    begin = parse_instant("2025-01-01T12:00:00Z")
    named = sorted(named_instants("02:15", begin - 2 * DAY_MS, begin + 732 * DAY_MS, zone, 15 * MINUTE_MS))
    for day in range(begin, begin + 730 * DAY_MS, DAY_MS):
        expected = next((instant for instant in named if day <= instant), None)
        found = next_send_time(compiled, day, zone, frozenset(), day + DAY_MS)
        assert found == (expected if expected is not None and expected < day + DAY_MS else None)
