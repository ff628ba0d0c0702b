"""No marketing message goes out in quiet hours: each boundary of a window, its day, its channels, and who replaces it.

The start of a journey is 2026-01-01, a Thursday, 09:00 UTC.
"""

import pytest

from journeys.quiet_hours import open_week, preferred_quiet_hours
from journeys.validation import Document as File
from journeys.validation import validate
from schemas.definitions import QuietHours
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis, parse_instant
from tests.journey import HELLO, START, Document, Journey, after, mail, workflow

NIGHT: Document = {"start": "22:00", "end": "08:00"}
BUSINESS: Document = {"business_hours_only": True, "optimize": False}


def sent(at: Millis, quiet: Document, *, timing: Document | None = None, category: Json = "marketing") -> list[str]:
    journey = Journey(workflow(mail(timing=timing, category=category)), quiet_hours=quiet)
    journey.publish("signup", at)
    journey.advance(14 * DAY_MS)
    return journey.sent_at()


@pytest.mark.parametrize(
    ("at", "goes"),
    [
        (13 * HOUR_MS - 1, 13 * HOUR_MS - 1),
        (13 * HOUR_MS, 23 * HOUR_MS),
        (13 * HOUR_MS + 1, 23 * HOUR_MS),
        (15 * HOUR_MS, 23 * HOUR_MS),
        (23 * HOUR_MS - 1, 23 * HOUR_MS),
        (23 * HOUR_MS, 23 * HOUR_MS),
        (23 * HOUR_MS + 1, 23 * HOUR_MS + 1),
    ],
)
def test_the_start_is_quiet_and_the_end_is_not(at: Millis, goes: Millis) -> None:
    """22:00 is 13 hours after the start, 08:00 is 23 hours after it."""
    assert sent(at, NIGHT) == [after(goes)]


@pytest.mark.parametrize(
    ("at", "goes"),
    [
        (2 * HOUR_MS - 1, 2 * HOUR_MS - 1),
        (2 * HOUR_MS, 4 * HOUR_MS),
        (4 * HOUR_MS - 1, 4 * HOUR_MS),
        (4 * HOUR_MS, 4 * HOUR_MS),
    ],
)
def test_a_window_within_a_day_ends_on_it(at: Millis, goes: Millis) -> None:
    assert sent(at, {"start": "11:00", "end": "13:00"}) == [after(goes)]


@pytest.mark.parametrize(
    ("day", "at", "goes"),
    [
        ("thu", 15 * HOUR_MS - 1, 23 * HOUR_MS),
        ("thu", 15 * HOUR_MS, 23 * HOUR_MS),
        ("thu", 37 * HOUR_MS, 37 * HOUR_MS),
        ("fri", 16 * HOUR_MS, 16 * HOUR_MS),
        ("fri", 37 * HOUR_MS, 47 * HOUR_MS),
        ("fri", 39 * HOUR_MS, 47 * HOUR_MS),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_it_starts_on(day: str, at: Millis, goes: Millis) -> None:
    assert sent(at, {**NIGHT, "days": [day]}) == [after(goes)]


def test_a_window_of_sunday_reaches_into_monday() -> None:
    assert sent(4 * DAY_MS - 3 * HOUR_MS, {**NIGHT, "days": ["sun"]}) == [after(4 * DAY_MS - HOUR_MS)]


def test_a_window_that_ends_where_it_starts_lasts_a_day() -> None:
    week = open_week(QuietHours(start="10:00", end="10:00", days=("sat",)))
    assert week == (*(((0, 1440),),) * 5, ((0, 600),), ((600, 1440),))


def test_they_hold_for_the_channels_they_name() -> None:
    assert sent(15 * HOUR_MS, {**NIGHT, "channels": ["sms"]}) == [after(15 * HOUR_MS)]
    assert sent(15 * HOUR_MS, {**NIGHT, "channels": ["sms", "email"]}) == [after(23 * HOUR_MS)]


def test_they_never_hold_for_a_transactional_message() -> None:
    assert sent(15 * HOUR_MS, NIGHT, category="transactional") == [after(15 * HOUR_MS)]
    journey = Journey(workflow(mail(category="transactional")))
    journey.publish("customer_updated", preferences={"quiet_hours": NIGHT})
    journey.publish("signup", 15 * HOUR_MS)
    assert journey.sent_at() == [after(15 * HOUR_MS)]


def test_they_are_in_the_customers_zone() -> None:
    journey = Journey(workflow(), quiet_hours=NIGHT)
    journey.publish("customer_updated", preferences={"timezone": "Asia/Tokyo"})
    journey.publish("signup", 5 * HOUR_MS)
    journey.advance(DAY_MS)
    # 14:00 UTC is 23:00 in Tokyo, whose morning begins at 23:00 UTC.
    assert journey.sent_at() == [after(14 * HOUR_MS)]


# Nights on which the clock changes ---------------------------------------------------------------------------------

SKIPPED = "2026-03-29T00:59:59.999Z", "2026-03-29T01:00:00Z"
"""The last instant before Berlin's clock goes from 02:00 to 03:00, and the first behind it."""


@pytest.mark.parametrize(
    ("zone", "start", "end", "at", "goes"),
    [
        # The end is skipped: the night is over where the gap is.
        ("Europe/Berlin", "22:00", "02:30", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00.000Z"),
        ("Europe/Berlin", "22:00", "02:30", SKIPPED[0], "2026-03-29T01:00:00.000Z"),
        ("Europe/Berlin", "22:00", "02:30", SKIPPED[1], "2026-03-29T01:00:00.000Z"),
        ("America/New_York", "22:00", "02:30", "2026-03-08T06:00:00Z", "2026-03-08T07:00:00.000Z"),
        ("America/St_Johns", "22:00", "02:30", "2026-03-08T05:00:00Z", "2026-03-08T05:30:00.000Z"),
        ("Australia/Lord_Howe", "22:00", "02:15", "2026-10-03T15:00:00Z", "2026-10-03T15:30:00.000Z"),
        ("Pacific/Chatham", "22:00", "03:00", "2026-09-26T13:00:00Z", "2026-09-26T14:00:00.000Z"),
        ("America/Havana", "21:00", "00:30", "2026-03-08T04:30:00Z", "2026-03-08T05:00:00.000Z"),
        # The start is skipped: what is left of the window is quiet.
        ("Europe/Berlin", "02:30", "08:00", SKIPPED[0], "2026-03-29T00:59:59.999Z"),
        ("Europe/Berlin", "02:30", "08:00", SKIPPED[1], "2026-03-29T06:00:00.000Z"),
        ("Australia/Lord_Howe", "02:10", "02:40", "2026-10-03T15:29:59.999Z", "2026-10-03T15:29:59.999Z"),
        ("Australia/Lord_Howe", "02:10", "02:40", "2026-10-03T15:30:00Z", "2026-10-03T15:40:00.000Z"),
        # The whole window is skipped.
        ("Europe/Berlin", "02:15", "02:45", SKIPPED[0], "2026-03-29T00:59:59.999Z"),
        ("Europe/Berlin", "02:15", "02:45", SKIPPED[1], "2026-03-29T01:00:00.000Z"),
        # The end comes twice: it ends, and what the clock shows again is quiet again.
        ("Europe/Berlin", "22:00", "02:30", "2026-10-24T23:30:00Z", "2026-10-25T00:30:00.000Z"),
        ("Europe/Berlin", "22:00", "02:30", "2026-10-25T00:59:59.999Z", "2026-10-25T00:59:59.999Z"),
        ("Europe/Berlin", "22:00", "02:30", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00.000Z"),
        ("America/New_York", "23:00", "01:30", "2026-11-01T05:00:00Z", "2026-11-01T05:30:00.000Z"),
        ("America/New_York", "23:00", "01:30", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00.000Z"),
        ("Australia/Lord_Howe", "22:00", "01:45", "2026-04-04T14:30:00Z", "2026-04-04T14:45:00.000Z"),
        ("Australia/Lord_Howe", "22:00", "01:45", "2026-04-04T15:00:00Z", "2026-04-04T15:15:00.000Z"),
        ("Pacific/Chatham", "22:00", "03:00", "2026-04-04T13:00:00Z", "2026-04-04T13:15:00.000Z"),
        ("Pacific/Chatham", "22:00", "03:00", "2026-04-04T14:00:00Z", "2026-04-04T14:15:00.000Z"),
        ("America/Havana", "21:00", "00:30", "2025-11-02T04:00:00Z", "2025-11-02T04:30:00.000Z"),
        ("America/Havana", "21:00", "00:30", "2025-11-02T05:00:00Z", "2025-11-02T05:30:00.000Z"),
        # The start comes twice: between the two the clock shows a time before it.
        ("Europe/Berlin", "02:30", "08:00", "2026-10-25T00:29:59.999Z", "2026-10-25T00:29:59.999Z"),
        ("Europe/Berlin", "02:30", "08:00", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00.000Z"),
        ("Europe/Berlin", "02:30", "08:00", "2026-10-25T01:30:00Z", "2026-10-25T07:00:00.000Z"),
        ("America/Santiago", "23:30", "08:00", "2026-04-05T02:30:00Z", "2026-04-05T03:00:00.000Z"),
        ("America/Santiago", "23:30", "08:00", "2026-04-05T03:30:00Z", "2026-04-05T12:00:00.000Z"),
        # A night around the change lasts an hour less, or more.
        ("Europe/Berlin", "22:00", "08:00", "2026-03-28T21:00:00Z", "2026-03-29T06:00:00.000Z"),
        ("Europe/Berlin", "22:00", "08:00", "2026-10-24T20:00:00Z", "2026-10-25T07:00:00.000Z"),
        ("Australia/Lord_Howe", "22:00", "08:00", "2026-04-04T11:00:00Z", "2026-04-04T21:30:00.000Z"),
    ],
)
def test_on_a_night_of_a_clock_change_the_clock_on_the_wall_is_quiet(
    zone: str, start: str, end: str, at: str, goes: str
) -> None:
    for days in (["sat"], ["sat", "sun"]):
        # All these nights are from Saturday to Sunday; windows that start behind midnight are Sunday's.
        quiet: Document = {"start": start, "end": end, "days": [*days] if start > end else ["sun"]}
        journey = Journey(workflow(), quiet_hours=quiet, default_timezone=zone)
        began = parse_instant(at) - START
        journey.publish("signup", began)
        journey.advance(began + DAY_MS)
        assert journey.sent_at() == [goes]


# Reasons ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "timing", "reason"),
    [
        (13 * HOUR_MS, {"send_immediately": True}, "quiet_hours"),
        (9 * HOUR_MS, {"send_immediately": True, "delay_hours": 5}, "quiet_hours"),
        (9 * HOUR_MS, {"send_immediately": True, "delay_hours": 3}, "timing"),
        (13 * HOUR_MS, {"optimize": True}, "timing"),
        (13 * HOUR_MS, BUSINESS, "timing"),
        (0, {"at": "08:00", "optimize": False}, "timing"),
    ],
)
def test_the_reason_is_quiet_hours_where_they_change_the_time(at: Millis, timing: Document, reason: str) -> None:
    journey = Journey(workflow(mail(timing=timing)), quiet_hours=NIGHT)
    journey.publish("signup", at)
    [deferred] = journey.decisions("send_deferred")
    assert deferred.reason == reason
    journey.advance(3 * DAY_MS)
    assert deferred.detail is not None
    assert deferred.detail["until"] == journey.sent_at()[0]


def test_with_a_best_hour_in_quiet_hours_the_next_best_hour_is_taken() -> None:
    assert sent(1 * HOUR_MS, {"start": "09:00", "end": "16:00"}, timing={"optimize": True}) == [after(7 * HOUR_MS)]


def test_without_a_best_hour_outside_quiet_hours_the_other_rules_decide() -> None:
    assert sent(1 * HOUR_MS, {"start": "08:00", "end": "17:30"}, timing={"optimize": True}) == [
        after(8 * HOUR_MS + 30 * MINUTE_MS)
    ]


def test_a_message_that_expires_within_quiet_hours_is_suppressed() -> None:
    for expires_after_hours, kept in ((10, 0), (10.001, 1)):
        timing: Document = {"send_immediately": True, "expires_after_hours": expires_after_hours}
        journey = Journey(workflow(mail(timing=timing)), quiet_hours=NIGHT)
        journey.publish("signup", 13 * HOUR_MS)
        journey.advance(2 * DAY_MS)
        assert len(journey.sends()) == kept
        assert journey.reasons("send_suppressed") == ["no_possible_time"] * (1 - kept)


# The customer's own ----------------------------------------------------------------------------------------------


def with_preference(preference: Json, at: Millis) -> Journey:
    journey = Journey(workflow(), quiet_hours=NIGHT)
    journey.publish("customer_updated", preferences={"quiet_hours": preference})
    journey.publish("signup", at)
    journey.advance(DAY_MS)
    return journey


def test_a_preference_replaces_those_of_the_settings_as_a_whole() -> None:
    own: Json = {"start": "11:00", "end": "12:00"}
    assert with_preference(own, 14 * HOUR_MS).sent_at() == [after(14 * HOUR_MS)]
    assert with_preference(own, 2 * HOUR_MS).sent_at() == [after(3 * HOUR_MS)]
    assert with_preference({**NIGHT, "days": []}, 14 * HOUR_MS).sent_at() == [after(14 * HOUR_MS)]
    assert with_preference({**NIGHT, "channels": ["push"]}, 14 * HOUR_MS).sent_at() == [after(14 * HOUR_MS)]
    assert with_preference(None, 14 * HOUR_MS).sent_at() == [after(23 * HOUR_MS)]


@pytest.mark.parametrize(
    "preference",
    ["22:00", 7, True, [], {}, {"start": "22:00"}, {"start": "25:00", "end": "08:00"}, {"start": 22, "end": 8},
     {**NIGHT, "days": ["monday"]}, {**NIGHT, "days": "mon"}, {**NIGHT, "channels": ["fax"]}],
)  # fmt: skip
def test_a_preference_that_cant_be_read_leaves_those_of_the_settings(preference: Json) -> None:
    assert preferred_quiet_hours(preference) is None
    journey = with_preference(preference, 14 * HOUR_MS)
    assert journey.sent_at() == [after(23 * HOUR_MS)]
    assert "quiet_hours" in str((journey.decisions("send_deferred")[0].detail or {})["warnings"])


def test_a_preference_that_comes_while_a_message_waits_is_kept_at_the_moment_of_sending() -> None:
    journey = Journey(workflow(mail(timing={"send_immediately": True, "delay_hours": 3})))
    journey.publish("signup")
    journey.publish("customer_updated", 1, preferences={"quiet_hours": {"start": "12:00", "end": "12:30"}})
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(3 * HOUR_MS + 30 * MINUTE_MS)]
    assert journey.reasons("send_deferred") == ["timing", "quiet_hours"]


def test_what_stands_before_quiet_hours_in_the_order_of_reasons_is_given() -> None:
    journey = Journey(workflow(mail(timing={"send_immediately": True, "delay_hours": 3})))
    journey.publish("signup")
    journey.publish("customer_updated", 1, preferences={"quiet_hours": {"start": "12:00", "end": "12:30"}})
    journey.publish("email_unsubscribed", 2)
    journey.advance(DAY_MS)
    assert [(one.at, one.reason) for one in journey.decisions("send_suppressed")] == [
        (after(3 * HOUR_MS), "unsubscribed")
    ]


# Validation ------------------------------------------------------------------------------------------------------


def problems(quiet: Json, *steps: Document, category: Json = "marketing") -> list[str]:
    documents: list[Json] = [workflow(*steps, category=category), HELLO, {"kind": "settings", "quiet_hours": quiet}]
    found = validate([File(file="x.yaml", value=value) for value in documents]).problems
    return [problem.path for problem in found]


@pytest.mark.parametrize(
    ("quiet", "paths"),
    [
        (NIGHT, []),
        (None, []),
        ({"start": "22", "end": "08:00"}, ["quiet_hours.start"]),
        ({"start": "22:00", "end": "24:00"}, ["quiet_hours.end"]),
        ({"start": "2200", "end": "8"}, ["quiet_hours.start", "quiet_hours.end"]),
        ({"start": "22:00"}, ["quiet_hours.end"]),
        ({**NIGHT, "days": []}, ["quiet_hours.days"]),
        ({**NIGHT, "channels": []}, ["quiet_hours.channels"]),
        ({**NIGHT, "days": ["monday"]}, ["quiet_hours.days[0]"]),
        ({"start": "10:00", "end": "10:00"}, ["quiet_hours"]),
        ({"start": "10:00", "end": "10:00", "days": ["sat", "sun"]}, []),
    ],
)
def test_quiet_hours_are_checked(quiet: Json, paths: list[str]) -> None:
    assert problems(quiet) == paths


@pytest.mark.parametrize(
    ("quiet", "timing", "accepted"),
    [
        ({"start": "09:00", "end": "17:00"}, BUSINESS, False),
        ({"start": "09:01", "end": "17:00"}, BUSINESS, True),
        ({"start": "09:00", "end": "16:59"}, BUSINESS, True),
        ({"start": "09:00", "end": "17:00", "days": ["mon", "tue", "wed", "thu"]}, BUSINESS, True),
        ({"start": "09:00", "end": "17:00", "channels": ["sms"]}, BUSINESS, True),
        (NIGHT, {"at": "22:00", "optimize": False}, False),
        (NIGHT, {"at": "21:59", "optimize": False}, True),
        (NIGHT, {"at": "07:59"}, False),
        (NIGHT, {"at": "08:00"}, True),
        ({"start": "00:00", "end": "00:00", "days": ["mon", "tue", "wed", "thu", "fri"]},
         {"avoid_weekends": True}, False),
        ({"start": "00:00", "end": "00:00", "days": ["mon", "tue", "wed", "thu"]}, {"avoid_weekends": True}, True),
    ],
)  # fmt: skip
def test_a_timing_that_holds_only_in_quiet_hours_is_refused(quiet: Json, timing: Document, accepted: bool) -> None:  # noqa: FBT001
    expected = [] if accepted else ["steps[0].configuration.timing"]
    assert problems(quiet, mail(timing=timing)) == expected
    assert problems(quiet, mail(timing=timing, category="transactional")) == []
    assert problems(quiet, mail(timing=timing), category="transactional") == []
    assert problems(quiet, mail(timing=timing, category="marketing"), category="transactional") == expected


def test_a_timing_that_cant_be_read_is_told_once_and_not_as_one_that_never_holds() -> None:
    assert problems(NIGHT, mail(timing={"at": "nine", "optimize": False})) == ["steps[0].configuration.timing.at"]
    both: Document = {"send_immediately": True, "business_hours_only": True}
    assert problems({"start": "09:00", "end": "17:00"}, mail(timing=both)) == [
        "steps[0].configuration.timing.send_immediately"
    ]
