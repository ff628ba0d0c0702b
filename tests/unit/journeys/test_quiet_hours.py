"""No marketing message goes out in quiet hours: each boundary of a window, its day, its channels, and who replaces it.

The start of a journey is 2026-01-01, a Thursday, 09:00 UTC.
"""

import pytest

from journeys.quiet_hours import open_week, preferred_quiet_hours
from journeys.validation import Document as File
from journeys.validation import validate
from schemas.definitions import QuietHours
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import HELLO, Document, Journey, after, mail, workflow

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
