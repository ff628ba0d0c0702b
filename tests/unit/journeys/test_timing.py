"""When a message goes out and when a wait ends, on each boundary and over clock changes."""

import json
from pathlib import Path

import pytest

from journeys.best_hours import DEFAULT_BEST_HOURS
from journeys.quiet_hours import keep_quiet
from journeys.timing import (
    ALWAYS,
    BUSINESS_HOURS,
    WEEKDAYS,
    TimingProblem,
    both,
    compile_timing,
    compile_wait,
    customer_zone,
    next_send_time,
    parse_clock,
    wait_until,
)
from schemas.definitions import FixedTime, QuietHours, Timing, UntilDate, UntilTime
from schemas.instants import LATEST, format_instant, parse_instant

CASES = json.loads((Path(__file__).parents[2] / "data" / "dst.json").read_text())
WALL_TIMES: list[dict[str, str]] = [case for case in CASES["next_wall_time"] if case["weekdays"] is None]
WAITS: list[dict[str, str]] = CASES["wait"]
NEVER_BEST: frozenset[int] = frozenset()

# 2026-03-27 is a Friday; on Sunday the 29th Berlin's clocks go from 02:00 to 03:00.


def send_time(
    timing: Timing,
    now: str,
    zone: str = "UTC",
    best_hours: frozenset[int] = DEFAULT_BEST_HOURS,
    not_after: str | None = None,
) -> str | None:
    compiled = compile_timing(timing)
    limit = None if not_after is None else parse_instant(not_after)
    found = next_send_time(compiled, parse_instant(now) + compiled.delay_ms, zone, best_hours, limit)
    return None if found is None else format_instant(found).replace(".000Z", "Z")


def wait(configuration: FixedTime | UntilTime | UntilDate, now: str, zone: str = "UTC") -> str:
    return format_instant(wait_until(compile_wait(configuration), parse_instant(now), zone)).replace(".000Z", "Z")


# Timing


def test_immediately_is_now() -> None:
    assert send_time(Timing(send_immediately=True), "2026-03-28T03:00:00.001Z") == "2026-03-28T03:00:00.001Z"


def test_a_delay_counts_even_when_sending_immediately() -> None:
    assert send_time(Timing(send_immediately=True, delay_hours=1.5), "2026-03-28T03:00:00Z") == "2026-03-28T04:30:00Z"


def test_immediately_still_avoids_weekends_when_asked_to() -> None:
    timing = Timing(send_immediately=True, avoid_weekends=True)
    assert send_time(timing, "2026-03-28T03:00:00Z") == "2026-03-30T00:00:00Z"


@pytest.mark.parametrize(
    ("now", "sent"),
    [
        ("2026-03-27T08:59:59.999Z", "2026-03-27T09:00:00Z"),
        ("2026-03-27T09:00:00Z", "2026-03-27T09:00:00Z"),
        ("2026-03-27T10:59:59.999Z", "2026-03-27T10:59:59.999Z"),
        ("2026-03-27T11:00:00Z", "2026-03-27T14:00:00Z"),
        ("2026-03-27T14:30:00Z", "2026-03-27T14:30:00Z"),
        ("2026-03-27T15:00:00Z", "2026-03-27T16:00:00Z"),
        ("2026-03-27T17:00:00Z", "2026-03-28T09:00:00Z"),
    ],
)
def test_unless_told_otherwise_a_send_waits_for_the_next_best_hour(now: str, sent: str) -> None:
    assert send_time(Timing(), now) == sent


@pytest.mark.parametrize("timing", [Timing(optimize=False), Timing(send_immediately=True, optimize=True)])
def test_a_send_that_is_not_optimized_ignores_best_hours(timing: Timing) -> None:
    assert send_time(timing, "2026-03-27T20:00:00Z") == "2026-03-27T20:00:00Z"


def test_without_best_hours_nothing_is_optimized() -> None:
    assert send_time(Timing(), "2026-03-27T20:00:00Z", best_hours=NEVER_BEST) == "2026-03-27T20:00:00Z"


@pytest.mark.parametrize(
    ("now", "sent"),
    [
        ("2026-03-27T08:59:59.999Z", "2026-03-27T09:00:00Z"),
        ("2026-03-27T09:00:00Z", "2026-03-27T09:00:00Z"),
        ("2026-03-27T16:59:59.999Z", "2026-03-27T16:59:59.999Z"),
        ("2026-03-27T17:00:00Z", "2026-03-28T09:00:00Z"),
    ],
)
def test_business_hours_include_their_start_and_exclude_their_end(now: str, sent: str) -> None:
    assert send_time(Timing(business_hours_only=True, optimize=False), now) == sent


@pytest.mark.parametrize(
    ("now", "sent"),
    [
        ("2026-03-27T23:59:59.999Z", "2026-03-27T23:59:59.999Z"),
        ("2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z"),
        ("2026-03-29T23:59:59.999Z", "2026-03-30T00:00:00Z"),
    ],
)
def test_a_weekend_runs_from_saturday_to_monday_at_midnight(now: str, sent: str) -> None:
    assert send_time(Timing(avoid_weekends=True, optimize=False), now) == sent


@pytest.mark.parametrize("start", ["2026-03-27T07:00:00Z", "2026-03-27T09:00:00Z"])
def test_a_named_time_that_the_customers_own_quiet_hours_forbid_every_day_never_comes(start: str) -> None:
    """However far off it expires, and whether the time of the first day has passed or not."""
    quiet = QuietHours(start="07:30", end="08:30")
    timing = keep_quiet(compile_timing(Timing(at="08:00", optimize=False)), quiet, "email")
    assert next_send_time(timing, parse_instant(start), "UTC", NEVER_BEST, None) is None


def test_where_no_minute_is_open_no_time_comes() -> None:
    timing = keep_quiet(compile_timing(Timing(optimize=False)), QuietHours(start="00:00", end="00:00"), "email")
    assert next_send_time(timing, parse_instant("2026-03-27T07:00:00Z"), "Europe/Berlin", NEVER_BEST, None) is None


def test_rules_hold_in_the_customers_zone() -> None:
    timing = Timing(business_hours_only=True, avoid_weekends=True)
    assert send_time(timing, "2026-03-27T16:00:00Z", "Europe/Berlin") == "2026-03-30T07:00:00Z"
    assert send_time(timing, "2026-03-27T16:00:00Z", "Asia/Kathmandu") == "2026-03-30T03:15:00Z"
    assert send_time(timing, "2026-03-29T22:00:00Z", "Pacific/Chatham") == "2026-03-30T00:15:00Z"


def test_a_named_time_is_that_local_minute() -> None:
    timing = Timing(at="09:30", optimize=False)
    assert send_time(timing, "2026-03-27T09:29:59.999Z") == "2026-03-27T09:30:00Z"
    assert send_time(timing, "2026-03-27T09:30:59.999Z") == "2026-03-27T09:30:59.999Z"
    assert send_time(timing, "2026-03-27T09:31:00Z") == "2026-03-28T09:30:00Z"


def test_a_named_time_outside_the_best_hours_goes_before_them() -> None:
    assert send_time(Timing(at="11:00"), "2026-03-27T00:00:00Z") == "2026-03-27T11:00:00Z"


def test_best_hours_that_business_hours_exclude_are_given_up() -> None:
    timing = Timing(business_hours_only=True)
    assert send_time(timing, "2026-03-27T03:00:00Z", best_hours=frozenset({2, 3, 20, 21})) == "2026-03-27T09:00:00Z"


def test_best_hours_that_come_too_late_are_given_up() -> None:
    assert send_time(Timing(), "2026-03-27T17:00:00Z", not_after="2026-03-28T09:00:00Z") == "2026-03-27T17:00:00Z"
    assert send_time(Timing(), "2026-03-27T17:00:00Z", not_after="2026-03-28T09:00:00.001Z") == "2026-03-28T09:00:00Z"


@pytest.mark.parametrize("timing", [Timing(avoid_weekends=True), Timing(at="01:00"), Timing(business_hours_only=True)])
def test_no_possible_instant_before_the_expiry_is_none(timing: Timing) -> None:
    assert send_time(timing, "2026-03-28T02:00:00Z", not_after="2026-03-28T09:00:00Z") is None


def test_an_expiry_that_has_come_is_none() -> None:
    now = "2026-03-27T09:00:00Z"
    assert send_time(Timing(send_immediately=True), now, not_after=now) is None
    assert send_time(Timing(send_immediately=True), now, not_after="2026-03-27T09:00:00.001Z") == now


def test_a_named_time_that_is_skipped_is_the_end_of_the_gap() -> None:
    timing = Timing(at="02:30", optimize=False)
    assert send_time(timing, "2026-03-28T23:30:00Z", "Europe/Berlin") == "2026-03-29T01:00:00Z"


def test_a_named_time_that_occurs_twice_is_the_first() -> None:
    timing = Timing(at="02:30", optimize=False)
    assert send_time(timing, "2026-10-25T00:31:00Z", "Europe/Berlin") == "2026-10-26T01:30:00Z"


def test_an_hour_that_occurs_twice_is_a_best_hour_both_times() -> None:
    two = frozenset({2})
    assert send_time(Timing(), "2026-10-25T00:59:59Z", "Europe/Berlin", two) == "2026-10-25T00:59:59Z"
    assert send_time(Timing(), "2026-10-25T01:30:00Z", "Europe/Berlin", two) == "2026-10-25T01:30:00Z"


def test_samoa_had_no_30_december_2011() -> None:
    timing = Timing(business_hours_only=True, optimize=False)
    assert send_time(timing, "2011-12-30T04:00:00Z", "Pacific/Apia") == "2011-12-30T19:00:00Z"


def test_at_the_end_of_the_calendar_nothing_is_sent() -> None:
    assert next_send_time(compile_timing(Timing()), LATEST - 1, "UTC", DEFAULT_BEST_HOURS, None) is None


def test_an_endless_delay_never_ends() -> None:
    compiled = compile_timing(Timing(delay_hours=1e300, expires_after_hours=float("inf")))
    assert next_send_time(compiled, compiled.delay_ms, "UTC", DEFAULT_BEST_HOURS, None) is None


@pytest.mark.parametrize("case", WALL_TIMES, ids=lambda case: f"{case['zone']} {case['after']}")
def test_the_next_wall_time_over_clock_changes(case: dict[str, str]) -> None:
    assert wait(UntilTime(target_time=case["wall"]), case["after"], case["zone"]) == case["next"]
    assert send_time(Timing(at=case["wall"], optimize=False), case["after"], case["zone"]) == case["next"]


def test_the_next_wall_time_on_a_weekday_over_clock_changes() -> None:
    [case] = [case for case in CASES["next_wall_time"] if case["weekdays"] == [0, 1, 2, 3, 4]]
    timing = Timing(at=case["wall"], avoid_weekends=True)
    assert send_time(timing, case["after"], case["zone"]) == case["next"]


@pytest.mark.parametrize(
    ("timing", "complaint"),
    [
        (Timing(at="24:00"), "00:00 to 23:59"),
        (Timing(at="9"), "00:00 to 23:59"),
        (Timing(at="09:00:00"), "00:00 to 23:59"),
        (Timing(at="0\uff19:00"), "00:00 to 23:59"),
        (Timing(at="17:00", business_hours_only=True), "business hours"),
        (Timing(send_immediately=True, business_hours_only=True), "exclude each other"),
        (Timing(delay_hours=168), "expires_after_hours"),
    ],
)
def test_a_timing_that_can_never_hold_is_refused(timing: Timing, complaint: str) -> None:
    with pytest.raises(TimingProblem, match=complaint):
        compile_timing(timing)


def test_a_clock_time_is_a_minute_of_the_day() -> None:
    assert [parse_clock(text) for text in ("00:00", "9:05", "23:59")] == [0, 545, 1439]


def test_rules_combine_to_the_minutes_that_both_allow() -> None:
    assert both(ALWAYS, WEEKDAYS) == WEEKDAYS
    assert both(BUSINESS_HOURS, WEEKDAYS) == (*BUSINESS_HOURS[:5], (), ())
    split = (((0, 600), (700, 800), (1000, 1440)),) * 7
    assert both(BUSINESS_HOURS, split) == (((540, 600), (700, 800), (1000, 1020)),) * 7


# Waits


@pytest.mark.parametrize("case", WAITS, ids=lambda case: f"{case['zone']} {case['start']}")
def test_24_hours_are_not_a_calendar_day(case: dict[str, str]) -> None:
    assert wait(FixedTime(duration_hours=24), case["start"], case["zone"]) == case["wait_24_hours"]
    assert wait(FixedTime(calendar_days=1), case["start"], case["zone"]) == case["wait_1_calendar_day"]


def test_durations_add_up() -> None:
    configuration = FixedTime(duration_days=1, duration_hours=1.5, duration_minutes=0.5)
    assert wait(configuration, "2026-01-01T00:00:00Z") == "2026-01-02T01:30:30Z"


def test_calendar_days_count_from_where_the_durations_end() -> None:
    configuration = FixedTime(duration_hours=2, calendar_days=1, at="09:00")
    assert wait(configuration, "2026-01-01T21:59:59Z") == "2026-01-02T09:00:00Z"
    assert wait(configuration, "2026-01-01T22:00:00Z") == "2026-01-03T09:00:00Z"


def test_without_calendar_days_a_local_time_is_the_first_from_the_durations_on() -> None:
    assert wait(FixedTime(duration_days=1, at="09:00"), "2026-01-01T09:00:00Z") == "2026-01-02T09:00:00Z"
    assert wait(FixedTime(duration_days=1, at="09:00"), "2026-01-01T09:00:00.001Z") == "2026-01-03T09:00:00Z"


def test_a_calendar_day_later_in_a_gap_is_the_end_of_the_gap() -> None:
    assert wait(FixedTime(calendar_days=1), "2026-03-28T01:30:00Z", "Europe/Berlin") == "2026-03-29T01:00:00Z"
    assert (
        wait(FixedTime(calendar_days=1, at="10:00"), "2011-12-29T20:00:00Z", "Pacific/Apia") == "2011-12-30T10:00:00Z"
    )


def test_until_time_is_strictly_after_now() -> None:
    configuration = UntilTime(target_time="09:00")
    assert wait(configuration, "2026-01-01T08:59:59.999Z") == "2026-01-01T09:00:00Z"
    assert wait(configuration, "2026-01-01T09:00:00Z") == "2026-01-02T09:00:00Z"


def test_until_a_date_is_its_first_local_instant() -> None:
    assert wait(UntilDate(target_date="2026-06-01"), "2026-01-01T00:00:00Z", "Asia/Kolkata") == "2026-05-31T18:30:00Z"
    assert (
        wait(UntilDate(target_date="2025-09-07"), "2025-01-01T00:00:00Z", "America/Santiago") == "2025-09-07T04:00:00Z"
    )


def test_until_an_instant_is_the_same_in_every_zone() -> None:
    configuration = UntilDate(target_date="2026-06-01T12:00:00+02:00")
    assert wait(configuration, "2026-01-01T00:00:00Z", "Asia/Kolkata") == "2026-06-01T10:00:00Z"


@pytest.mark.parametrize("past", ["2025-12-31", "2026-01-01", "2026-01-01T11:59:59Z", "0001-01-01"])
def test_a_past_date_goes_on_at_once(past: str) -> None:
    assert wait(UntilDate(target_date=past), "2026-01-01T12:00:00Z") == "2026-01-01T12:00:00Z"


@pytest.mark.parametrize(
    "configuration",
    [
        UntilTime(target_time="25:00"),
        UntilDate(target_date="2026-02-30"),
        UntilDate(target_date="2026-02-01T09:00:00"),
        UntilDate(target_date="tomorrow"),
        FixedTime(calendar_days=1, at="noon"),
    ],
)
def test_a_wait_that_does_not_parse_is_refused(configuration: FixedTime | UntilTime | UntilDate) -> None:
    with pytest.raises(TimingProblem):
        compile_wait(configuration)


@pytest.mark.parametrize(
    "configuration",
    [
        FixedTime(duration_hours=float("inf")),
        FixedTime(duration_days=1e12, at="09:00"),
        FixedTime(duration_days=2_911_000, calendar_days=3_660),
    ],
)
def test_a_wait_beyond_the_calendar_ends_with_it(configuration: FixedTime) -> None:
    assert wait_until(compile_wait(configuration), parse_instant("2026-01-01T00:00:00Z"), "UTC") == LATEST


# Zones


def test_the_customers_preference_goes_before_the_default() -> None:
    assert customer_zone({"timezone": "Asia/Kolkata"}, "Europe/Berlin") == "Asia/Kolkata"
    assert customer_zone({}, "Europe/Berlin") == "Europe/Berlin"


@pytest.mark.parametrize("wrong", [None, 5, "", "CEST+2", ["UTC"], {"a": 1}])
def test_a_preference_that_is_no_zone_is_ignored(wrong: int | str | list[str] | dict[str, int] | None) -> None:
    assert customer_zone({"timezone": wrong}, "Europe/Berlin") == "Europe/Berlin"  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("best_hours", "sent"),
    [
        # 02:30 lies in the best hour on every day but the 29th, on which there is none: the next day's is the first.
        ({2}, "2026-03-30T00:30:00Z"),
        # On the 29th alone 02:30 means the first instant of the best hour, which would be a day to wait for.
        ({3}, "2026-03-28T01:30:00Z"),
        (set(), "2026-03-28T01:30:00Z"),
    ],
)
def test_a_time_of_day_outside_the_best_hours_isnt_held_back_for_the_day_on_which_clocks_change(
    best_hours: set[int], sent: str
) -> None:
    now = "2026-03-29T00:00:00Z" if best_hours == {2} else "2026-03-27T12:00:00Z"
    assert send_time(Timing(at="02:30"), now, "Europe/Berlin", frozenset(best_hours)) == sent
