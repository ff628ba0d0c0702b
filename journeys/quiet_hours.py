"""Quiet hours: local hours in which no marketing message goes out, as one more rule of the week.

A window stands for every day it is listed on, from its start (included) to its end (not included); one whose end
isn't later than its start goes over midnight into the next day, and still belongs to the day on which it starts.
What is left of the week between all windows is when messages may go out: a `Week`, which combines with business hours
and weekdays like any other. It is the wall clock that is quiet, so both passes of an hour that occurs twice are.

A customer's `preferences.quiet_hours` replace those of the settings as a whole. They come from outside: where they
can't be read, those of the settings hold.
"""

from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import replace

from journeys.timing import CompiledTiming, TimingProblem, Week, both, parse_clock
from schemas.decisions import Channel
from schemas.definitions import QuietHours
from schemas.events import Json

_DAY_MINUTES: Final = 24 * 60
_WEEK_MINUTES: Final = 7 * _DAY_MINUTES
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KNOWN_PREFERENCES: Final = 4_096


def keep_quiet(timing: CompiledTiming, quiet: QuietHours | None, channel: Channel) -> CompiledTiming:
    """Return the timing with quiet hours taken out; the same one where they don't hold for the channel."""
    return timing if quiet is None or channel not in quiet.channels else _keep_quiet(timing, quiet)


@lru_cache(maxsize=_KNOWN_PREFERENCES)
def _keep_quiet(timing: CompiledTiming, quiet: QuietHours) -> CompiledTiming:
    return replace(timing, week=both(timing.week, open_week(quiet)))


@lru_cache(maxsize=_KNOWN_PREFERENCES)
def open_week(quiet: QuietHours) -> Week:
    """Return the local minutes of the week outside the windows.

    Raises:
        TimingProblem: start or end is no local time.
    """
    first, end = parse_clock(quiet.start), parse_clock(quiet.end)
    length = end - first if first < end else _DAY_MINUTES - first + end
    is_quiet = [False] * _WEEK_MINUTES
    for day in set(quiet.days):
        begin = _DAYS.index(day) * _DAY_MINUTES + first
        for minute in range(begin, begin + length):
            is_quiet[minute % _WEEK_MINUTES] = True
    return tuple(_gaps(is_quiet[day * _DAY_MINUTES : (day + 1) * _DAY_MINUTES]) for day in range(len(_DAYS)))


def _gaps(is_quiet: list[bool]) -> tuple[tuple[int, int], ...]:
    """List the runs of minutes that aren't quiet."""
    edges = [
        minute
        for minute in range(_DAY_MINUTES + 1)
        if (minute == 0 or is_quiet[minute - 1]) != (minute == _DAY_MINUTES or is_quiet[minute])
    ]
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def preferred_quiet_hours(preference: Json) -> QuietHours | None:
    """Read a customer's own quiet hours; None where they can't be read."""
    try:
        quiet = msgspec.convert(preference, QuietHours)
        open_week(quiet)
    except (msgspec.ValidationError, TimingProblem):
        return None
    return quiet
