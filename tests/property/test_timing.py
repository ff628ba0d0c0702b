"""Timing against a scan, minute by minute, that knows nothing but the wall clock of each instant."""

from datetime import datetime, timedelta

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
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis, from_local, local, parse_instant

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


def named_instants(at: str, around: Millis, zone: str) -> set[Millis]:
    """The instants at which the local minute begins, on each date that the zone has."""
    hour, minute = map(int, at.split(":"))
    found = set()
    for days in range(-2, SCANNED_DAYS + 3):
        midnight = datetime.combine((local(around, zone) + timedelta(days=days)).date(), datetime.min.time())
        if from_local(midnight, zone) < from_local(midnight + timedelta(days=1), zone):
            found.add(from_local(midnight + timedelta(hours=hour, minutes=minute), zone))
    return found


def scan(
    timing: Timing, quiet: QuietHours | None, start: Millis, zone: str, best_hours: frozenset[int] | None, end: Millis
) -> Millis | None:
    """Look at the start and at each minute behind it."""
    named = None if timing.at is None else named_instants(timing.at, start, zone)
    instant = start
    while instant < end:
        wall = local(instant, zone)
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
    expected = min(instant for instant in named_instants(at, now, zone) if instant > now)
    assert wait_until(compile_wait(UntilTime(target_time=at)), now, zone) == expected


@given(
    st.builds(
        FixedTime,
        duration_hours=st.floats(0, 100),
        duration_minutes=st.integers(0, 100),
        calendar_days=st.integers(0, 40),
        at=st.none() | clocks,
    ),
    near_changes,
    st.sampled_from(ZONES),
)
def test_a_fixed_wait_never_ends_before_now_and_ends_at_its_local_time(
    configuration: FixedTime, now: Millis, zone: str
) -> None:
    end = wait_until(compile_wait(configuration), now, zone)
    assert end >= now
    if configuration.at is not None:
        # A skipped time is later on the wall clock, by the length of the gap; all others are met exactly.
        hour, minute = map(int, configuration.at.split(":"))
        wall = local(end, zone).replace(tzinfo=None)
        assert from_local(wall, zone) == end
        named = wall.replace(hour=hour, minute=minute, second=0, microsecond=0)
        assert from_local(named, zone) == end or from_local(named - timedelta(days=1), zone) == end


@pytest.mark.parametrize("zone", ZONES)
def test_over_two_years_the_send_times_of_each_day_are_those_of_a_scan(zone: str) -> None:
    timing = Timing(at="02:15", optimize=False)
    compiled = compile_timing(timing)
    day = parse_instant("2025-01-01T12:00:00Z")
    for _ in range(730):
        end = day + DAY_MS
        expected = min(
            (instant for instant in named_instants("02:15", day, zone) if day <= instant < end), default=None
        )
        assert next_send_time(compiled, day, zone, frozenset(), end) == expected
        day = end
