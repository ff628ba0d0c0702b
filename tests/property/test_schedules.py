"""Crons and dates against lists of every local time that they name."""

from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from journeys.schedules import DateRule, ScheduleProblem, compile_cron, next_cron, next_date
from schemas.instants import DAY_MS, MINUTE_MS, Millis, format_instant, from_local, local
from tests.property.test_timing import CHANGES, ZONES

near_changes = st.builds(
    lambda change, minutes, rest: change + minutes * MINUTE_MS + rest,
    st.sampled_from(CHANGES),
    st.integers(-2 * 24 * 60, 2 * 24 * 60),
    st.sampled_from([0, 0, 1, -1, 30_000]),
)
minutes = st.frozensets(st.sampled_from([0, 1, 15, 30, 45, 59]), min_size=1, max_size=3)
hours = st.frozensets(st.integers(0, 23), min_size=1, max_size=24)
weekdays = st.frozensets(st.integers(0, 6), min_size=1, max_size=7)


def listed(numbers: frozenset[int]) -> str:
    return ",".join(str(number) for number in sorted(numbers))


@given(minutes, hours, weekdays, near_changes, st.sampled_from(ZONES))
def test_the_next_of_a_cron_is_the_least_instant_of_all_its_local_times_that_lie_ahead(
    minutes: frozenset[int], hours: frozenset[int], weekdays: frozenset[int], after: Millis, zone: str
) -> None:
    """Weekdays count from Monday here, from Sunday in a cron."""
    cron = compile_cron(f"{listed(minutes)} {listed(hours)} * * {listed(frozenset((d + 1) % 7 for d in weekdays))}")
    first = datetime.combine(local(after, zone).date() - timedelta(days=2), datetime.min.time())
    walls = (first + timedelta(minutes=minute) for minute in range(12 * 24 * 60))
    named = {
        from_local(wall, zone)
        for wall in walls
        if wall.minute in minutes and wall.hour in hours and wall.weekday() in weekdays
    }
    assert next_cron(cron, after, zone) == min(instant for instant in named if instant > after)


@given(near_changes, st.sampled_from(ZONES), st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 0 * * *"]))
def test_from_one_time_of_a_cron_to_the_next_nothing_comes_between(after: Millis, zone: str, text: str) -> None:
    cron = compile_cron(text)
    found = next_cron(cron, after, zone)
    assert found is not None
    assert found > after
    assert next_cron(cron, found - 1, zone) == found
    assert next_cron(cron, (after + found) // 2, zone) == found


@given(
    st.dates(date(1940, 1, 1), date(2030, 12, 31)),
    st.integers(-800, 800),
    st.integers(0, 1_439),
    st.booleans(),
    near_changes,
    st.sampled_from(ZONES),
)
def test_the_next_of_a_date_is_the_least_of_all_its_occasions_that_lie_ahead(
    day: date,
    offset_days: int,
    at: int,
    yearly: bool,  # noqa: FBT001
    after: Millis,
    zone: str,
) -> None:
    rule = DateRule(attribute="day", offset_days=offset_days, at=at, yearly=yearly)
    found = next_date(rule, day.isoformat(), after, zone)
    named = []
    for year in range(day.year, day.year + 100 if yearly else day.year + 1):
        leaps = day.month == 2 and day.day == 29 and (year % 4 != 0 or (year % 100 == 0 and year % 400 != 0))
        occasion = date(year, day.month, 28 if leaps else day.day)
        wall = datetime(occasion.year, occasion.month, occasion.day) + timedelta(days=offset_days, minutes=at)  # noqa: DTZ001
        named.append((from_local(wall, zone), occasion))
    expected = min((one for one in named if one[0] > after), default=None)
    assert (None if found is None else (found.at, found.day)) == expected


@given(st.integers(0, 40), st.sampled_from(ZONES))
def test_an_instant_is_as_good_as_its_local_date(days: int, zone: str) -> None:
    instant = CHANGES[3] + days * DAY_MS
    rule = DateRule(attribute="day", offset_days=1, at=540, yearly=True)
    on_date = next_date(rule, local(instant, zone).date().isoformat(), CHANGES[4], zone)
    assert next_date(rule, format_instant(instant), CHANGES[4], zone) == on_date
    assert next_date(rule, instant, CHANGES[4], zone) == on_date


@given(st.text(max_size=30) | st.text("0123456789*/,-#LW adefijnorstuwv", max_size=30))
def test_any_text_is_a_cron_or_is_refused(text: str) -> None:
    try:
        cron = compile_cron(text)
    except ScheduleProblem:
        return
    assert next_cron(cron, CHANGES[0], "Europe/Berlin") is not None
