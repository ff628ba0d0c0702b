"""When local time itself fires a trigger: at the times of a cron, and on or around a date that a customer has.

Both are read on the wall clock of the customer's zone and turned into instants as every local time is: one that a
clock change skips means the first instant after the gap, one that occurs twice the first. So several times of a cron
that fall into one gap are one instant, and nothing fires twice in a night that has an hour more.

Both are asked for the first instant strictly after another. Nothing needs to be remembered of what has fired: a
customer's own `now` says how far she has come.
"""

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from cronsim import CronSim, CronSimError
from msgspec import Struct

from journeys.timing import parse_clock
from schemas.definitions import DateAttribute
from schemas.events import Json
from schemas.instants import DAY_MS, LATEST, Millis, from_local, local, parse_instant

_FIELDS: Final = 5
_ALPHABET: Final = re.compile(r"[0-9A-Za-z*/,#\- ]+")
_DATE: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LAST_INSTANT: Final[Millis] = LATEST - 100 * 366 * DAY_MS
"""Beyond it, the search for a time half a century ahead would leave the calendar."""
_DAYS_OF_YEAR: Final = 365


class ScheduleProblem(ValueError):
    """A cron that can't be read, or that never comes."""


class Cron(Struct, frozen=True, kw_only=True):
    """A cron expression of five fields: minute, hour, day of the month, month, day of the week."""

    expression: str


class DateRule(Struct, frozen=True, kw_only=True):
    """So many days before or after the date in an attribute, at a local minute, once or every year."""

    attribute: str
    offset_days: int
    at: int
    yearly: bool


class Occasion(Struct, frozen=True):
    """An instant at which a date is due, and that date (of this year, where it recurs)."""

    at: Millis
    day: date


# Crons ----------------------------------------------------------------------------------------------------------


def compile_cron(text: str) -> Cron:
    """Check a cron expression.

    Raises:
        ScheduleProblem: it can't be read, or no date ever matches.
    """
    if len(text.split()) != _FIELDS or not _ALPHABET.fullmatch(text):
        msg = "isn't five fields: minute, hour, day of the month, month, day of the week"
        raise ScheduleProblem(msg)
    try:
        # February the 29th of a leap year lies in any eight years; the fifth Monday of a February in any fifty.
        found = next(CronSim(text, datetime(2000, 1, 1)), None)  # noqa: DTZ001  a wall clock, naive on purpose
    except CronSimError as error:
        raise ScheduleProblem(str(error)) from None
    if found is None:
        msg = "never comes"
        raise ScheduleProblem(msg)
    return Cron(expression=text)


def next_cron(cron: Cron, after: Millis, zone_name: str) -> Millis | None:
    """Return the first instant of a cron strictly after another; None where the calendar ends before."""
    if after > _LAST_INSTANT:
        return None
    wall = local(after, zone_name).replace(tzinfo=None)
    instants = (from_local(named, zone_name) for named in CronSim(cron.expression, wall))
    return next((instant for instant in instants if instant > after), None)


# Dates ----------------------------------------------------------------------------------------------------------


def compile_date(conditions: DateAttribute) -> DateRule:
    """Compile a date trigger.

    Raises:
        TimingProblem: `at` is no local time.
    """
    return DateRule(
        attribute=conditions.attribute.removeprefix("attributes."),
        offset_days=conditions.offset_days,
        at=parse_clock(conditions.at),
        yearly=conditions.recurring == "yearly",
    )


def next_date(rule: DateRule, value: Json, after: Millis, zone_name: str) -> Occasion | None:
    """Return the first occasion of a date strictly after an instant.

    Args:
        rule: which days, and when on them.
        value: of the attribute: a date such as 2026-01-31, or an instant, which means its local date.
        after: epoch milliseconds.
        zone_name: a valid zone.

    Returns:
        The occasion; None for what is no date, and where there is none any more. Where a date recurs, it does from its
        own year on; 29 February is the 28th in years that have no 29th.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    for occasion in _occasions(rule, value, after // DAY_MS, zone_name):
        if occasion.at > after:
            return occasion
    return None


@lru_cache(maxsize=65_536)
def _occasions(rule: DateRule, value: str | int, utc_day: int, zone_name: str) -> tuple[Occasion, ...]:
    """List the occasions that may be the first after an instant of that UTC day: enough of them, in order."""
    day = _day_of(value, zone_name)
    if day is None:
        return ()
    if not rule.yearly:
        occasion = _occasion(rule, day, zone_name)
        return () if occasion is None else (occasion,)
    before = local(utc_day * DAY_MS, zone_name).date().year - abs(rule.offset_days) // _DAYS_OF_YEAR - 1
    first = max(day.year, before)
    years = range(first, min(first + 2 * (abs(rule.offset_days) // _DAYS_OF_YEAR) + 5, date.max.year))
    found = [_occasion(rule, _in_year(day, year), zone_name) for year in years]
    return tuple(occasion for occasion in found if occasion is not None and occasion.at >= utc_day * DAY_MS)[:2]


def _occasion(rule: DateRule, day: date, zone_name: str) -> Occasion | None:
    try:
        wall = datetime(day.year, day.month, day.day) + timedelta(days=rule.offset_days, minutes=rule.at)  # noqa: DTZ001
    except OverflowError:
        return None
    return Occasion(from_local(wall, zone_name), day)


def _in_year(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:
        return day.replace(year=year, day=28)


def _day_of(value: str | int, zone_name: str) -> date | None:
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
        return local(parse_instant(value), zone_name).date()
    except ValueError:
        return None
