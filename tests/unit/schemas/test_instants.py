"""Instants: what reads as one, what doesn't, and how local time becomes one over clock changes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.instants import (
    DAY_MS,
    EARLIEST,
    LATEST,
    format_instant,
    from_local,
    is_zone,
    local,
    parse_instant,
    utc_day,
    zone,
)

CLOCK_CHANGES = json.loads((Path(__file__).parents[2] / "data" / "dst.json").read_text())["local_to_utc"]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.999-00:00", -1),
        ("1970-01-01t00:00:00.5z", 500),
        ("1970-01-01 00:00:00.123456789Z", 123),
        ("1972-06-30T23:59:60Z", 78_796_799_999),
        ("0001-01-01T00:00:00Z", EARLIEST),
        ("9999-12-31T23:59:59.999Z", LATEST),
        ("2024-02-29T12:00:00+05:45", 1_709_187_300_000),
    ],
)
def test_rfc_3339_with_an_offset_is_read(text: str, instant: int) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize("instant", [0, -1, EARLIEST, LATEST])
def test_whole_epoch_milliseconds_are_read(instant: int) -> None:
    assert parse_instant(instant) == instant


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("2026-01-31T09:00:00", "no offset"),
        ("2026-01-31", "no time of day"),
        ("2026-02-30T09:00:00Z", "calendar"),
        ("2026-01-31T24:00:00Z", "calendar"),
        ("2026-01-31T09:00:00+24:00", "calendar"),
        ("0001-01-01T00:00:00+01:00", "outside"),
        ("9999-12-31T23:59:59-01:00", "outside"),
        ("now", "RFC 3339"),
        ("", "RFC 3339"),
        ("٢٠٢٦-01-31T09:00:00Z", "RFC 3339"),
        (LATEST + 1, "milliseconds"),
        (1.5, "expected"),
        (True, "expected"),
        (None, "expected"),
        ([], "expected"),
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(value: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_instant(value)


@pytest.mark.parametrize("instant", [0, -1, 1, 999, EARLIEST, LATEST, 1_700_000_000_123])
def test_what_is_written_reads_as_the_same_instant(instant: int) -> None:
    assert parse_instant(format_instant(instant)) == instant


def test_an_instant_is_written_with_milliseconds_and_z() -> None:
    assert format_instant(1_709_187_300_000) == "2024-02-29T06:15:00.000Z"


@pytest.mark.parametrize(("instant", "day"), [(-1, -1), (0, 0), (DAY_MS - 1, 0), (DAY_MS, 1)])
def test_a_utc_day_begins_at_midnight(instant: int, day: int) -> None:
    assert utc_day(instant) == day


@pytest.mark.parametrize("case", CLOCK_CHANGES, ids=lambda case: f"{case['zone']} {case['local']}")
def test_a_skipped_local_time_is_the_end_of_the_gap_and_a_doubled_one_the_first(case: dict[str, str]) -> None:
    expected = case["first_instant_after_gap"] if case["kind"] == "gap" else case["utc_fold0"]
    assert from_local(datetime.fromisoformat(case["local"]), case["zone"]) == parse_instant(expected)


@pytest.mark.parametrize("case", [case for case in CLOCK_CHANGES if case["kind"] == "gap"], ids=lambda c: c["zone"])
def test_the_wall_clock_at_the_end_of_a_gap_is_the_first_after_it(case: dict[str, str]) -> None:
    instant = parse_instant(case["first_instant_after_gap"])
    assert local(instant, case["zone"]).replace(tzinfo=None) == datetime.fromisoformat(case["first_wall_after_gap"])


@pytest.mark.parametrize("fold", [0, 1])
def test_a_wall_clock_that_says_which_pass_it_means_still_means_the_first(fold: int) -> None:
    wall = datetime(2025, 11, 2, 1, 30, fold=fold)  # noqa: DTZ001 -- a wall clock
    assert from_local(wall, "America/New_York") == parse_instant("2025-11-02T05:30:00Z")


@pytest.mark.parametrize(
    "name", ["", "Nowhere/City", "europe/berlin", "../../etc/passwd", "Europe", "zones", "\x00", "\ud800"]
)
def test_what_is_no_zone_is_refused_by_name(name: str) -> None:
    assert not is_zone(name)
    with pytest.raises(ValueError, match="IANA"):
        zone(name)


@pytest.mark.parametrize("name", ["UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Argentina/Buenos_Aires"])
def test_a_zone_of_the_database_is_known(name: str) -> None:
    assert is_zone(name)
    assert zone(name).key == name


@pytest.mark.parametrize("name", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"])
@pytest.mark.parametrize("instant", [EARLIEST, LATEST, 10**18, -(10**18)])
def test_local_time_at_the_edge_of_the_calendar_stays_in_it(name: str, instant: int) -> None:
    assert 1 <= local(instant, name).year <= 9999


@pytest.mark.parametrize("name", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"])
@pytest.mark.parametrize("wall", [datetime.min, datetime.max])  # noqa: DTZ901 -- wall clocks
def test_a_wall_clock_at_the_edge_of_the_calendar_has_an_instant_in_it(name: str, wall: datetime) -> None:
    assert EARLIEST <= from_local(wall, name) <= LATEST
    assert (
        abs(
            from_local(wall, name)
            - (wall.replace(tzinfo=UTC) - datetime.fromtimestamp(0, UTC)) / timedelta(milliseconds=1)
        )
        <= DAY_MS
    )
