"""One table of the bounds that SPEC sets to numbers in definitions: which values just pass, and which just don't.

A row names the section of SPEC, the path of the number, values that are refused below it, values that pass (the ends
themselves), and values that are refused above it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from journeys.validation import Document as RawDocument
from journeys.validation import validate
from schemas.events import Json
from tests.journey import (
    HELLO,
    Document,
    absence,
    dated,
    decision,
    frequency,
    is_,
    mail,
    message,
    score,
    sequence,
    session,
    signup,
    silence,
    until_condition,
    until_event,
    wait,
    workflow,
)

TINY: Final = 1e-9
CENTURY_DAYS: Final = 36_500


class Limit(NamedTuple):
    """The range of a number."""

    section: str
    field: str
    document: Document
    """Holds the text `HERE` where the number stands."""
    below: tuple[Json, ...]
    within: tuple[Json, ...]
    above: tuple[Json, ...] = ()


HERE: Final = "HERE"
NOT_BELOW_0: Final[tuple[Json, ...]] = (-1, -TINY)
ABOVE_0: Final[tuple[Json, ...]] = (-1, -TINY, 0)


def settings(**values: Json) -> Document:
    return {"kind": "settings", **values}


def cap(**values: Json) -> Document:
    return settings(frequency_caps=[{"max": 1, "per_hours": 24, **values}])


def on(trigger: Document, **values: Json) -> Document:
    return workflow(on=[trigger], **values)  # type: ignore[arg-type]


def split(**variant: Json) -> Document:
    return workflow(decision("d", "split_test", variants=[{"name": "a", "next_step": "mail", **variant}]), mail())


def performed(**value: Json) -> Document:
    return workflow(mail(when={"operator": "performed", "value": {"event_type": "e", **value}}))


def fixed(**durations: Json) -> Document:
    return workflow(wait("p", "mail", **{"duration_hours": 1, **durations}), mail(), max_execution_time_days=36_500)


LIMITS: Final = (
    Limit("4", "min_frequency", on(frequency("e", HERE, 60)), (-1, 0), (1, 1_000), (1_001,)),  # type: ignore[arg-type]
    Limit("4", "time_window_minutes", on(frequency("e", 3, HERE)), ABOVE_0, (TINY,)),  # type: ignore[arg-type]
    Limit("4", "inactivity_hours", on(silence(HERE)), ABOVE_0, (TINY, CENTURY_DAYS * 24), (CENTURY_DAYS * 24 + 1,)),  # type: ignore[arg-type]
    Limit("4", "absence: within_minutes", on(absence("a", "b", HERE)), ABOVE_0, (TINY,)),  # type: ignore[arg-type]
    Limit("4", "event_sequence: within_minutes", on(sequence("a", "b", within_minutes=HERE)), ABOVE_0, (TINY,)),
    Limit("3", "min_engagement_score", on(score(HERE)), ABOVE_0, (TINY, 100), (100.000001,)),  # type: ignore[arg-type]
    Limit("4", "session_threshold: min_value", on(session("events", HERE)), ABOVE_0, (TINY, 1)),  # type: ignore[arg-type]
    Limit("4", "date_attribute: offset_days", on(dated("d", at="09:00", offset_days=HERE)), (-3_661,), (-3_660, 3_660), (3_661,)),
    Limit("12", "cooldown_hours", on(signup(cooldown_hours=HERE)), NOT_BELOW_0, (0, TINY)),
    Limit("3", "performed: min_count", performed(min_count=HERE), (-1, 0), (1, 1_000), (1_001,)),
    Limit("12", "performed: within_hours", performed(within_hours=HERE), ABOVE_0, (TINY,)),
    Limit("12", "duration_hours", fixed(duration_hours=HERE), NOT_BELOW_0, (TINY, 1)),
    Limit("12", "duration_minutes", fixed(duration_minutes=HERE), NOT_BELOW_0, (0, TINY)),
    Limit("12", "duration_days", fixed(duration_days=HERE), NOT_BELOW_0, (0, TINY)),
    Limit("12", "calendar_days", fixed(calendar_days=HERE), (-1,), (0, 3_660), (3_661,)),
    Limit("12", "until_event: timeout_hours", workflow(until_event("p", "go", "mail", timeout_hours=HERE), mail()), ABOVE_0, (TINY,)),
    Limit("12", "until_condition: timeout_hours", workflow(until_condition("p", is_("a", "exists"), "mail", timeout_hours=HERE), mail()), ABOVE_0, (TINY,)),
    Limit("12", "check_interval_hours", workflow(until_condition("p", is_("a", "exists"), "mail", check_interval_hours=HERE), mail()), ABOVE_0, (TINY,)),
    Limit("12", "delay_hours", workflow(mail(timing={"delay_hours": HERE})), NOT_BELOW_0, (0, TINY, 167)),
    Limit("12", "expires_after_hours", workflow(mail(timing={"send_immediately": True, "expires_after_hours": HERE})), ABOVE_0, (TINY,)),
    Limit("12", "grace_hours", workflow(mail(grace_hours=HERE)), NOT_BELOW_0, (0, TINY)),
    Limit("12", "message: grace_hours", workflow(message("email", grace_hours=HERE)), NOT_BELOW_0, (0, TINY)),
    Limit("12", "max_execution_time_days", workflow(max_execution_time_days=HERE), ABOVE_0, (TINY, CENTURY_DAYS), (CENTURY_DAYS + 1,)),
    Limit("12", "attribution_window_hours", workflow(goal={"event_type": "e"}, attribution_window_hours=HERE), NOT_BELOW_0, (TINY,)),
    Limit("12", "re_entry: after_hours", workflow(re_entry={"after_hours": HERE}), NOT_BELOW_0, (0, TINY)),
    Limit("4", "holdout_percent", workflow(holdout_percent=HERE), NOT_BELOW_0, (0, 100), (100.000001,)),
    Limit("4", "global_holdout_percent", settings(global_holdout_percent=HERE), NOT_BELOW_0, (0, 100), (100.000001,)),
    Limit("4", "weight", split(weight=HERE), ABOVE_0, (TINY, 1)),
    Limit("12", "half_life_hours", {"kind": "scoring", "half_life_hours": HERE}, ABOVE_0, (TINY,)),
    Limit("12", "frequency_caps: max", cap(max=HERE), (-1,), (0, 1_000), (1_001,)),
    Limit("12", "frequency_caps: per_hours", cap(per_hours=HERE), ABOVE_0, (TINY,)),
    Limit("12", "channel_spacing_hours", settings(channel_spacing_hours={"email": HERE}), NOT_BELOW_0, (0, TINY)),
    Limit("12", "execution_timeout_hours", settings(execution_timeout_hours=HERE), ABOVE_0, (TINY,)),
    Limit("3", "max_concurrent_executions", settings(max_concurrent_executions=HERE), (-1, 0), (1, 200), (201,)),
    Limit("12", "max_event_age_hours", settings(max_event_age_hours=HERE), ABOVE_0, (TINY,)),
    Limit("12", "data_grace_minutes", settings(data_grace_minutes=HERE), NOT_BELOW_0, (0, TINY)),
)  # fmt: skip


def filled(value: Json, number: Json) -> Json:
    match value:
        case dict():
            return {key: filled(item, number) for key, item in value.items()}
        case list():
            return [filled(item, number) for item in value]
    return number if value == HERE else value


def cases() -> Iterator[object]:
    for limit in LIMITS:
        for valid, numbers in ((False, limit.below), (True, limit.within), (False, limit.above)):
            for number in numbers:
                word = "passes" if valid else "is refused"
                yield pytest.param(limit, number, valid, id=f"SPEC {limit.section}: {limit.field}: {number} {word}")


@pytest.mark.parametrize(("limit", "number", "valid"), tuple(cases()))
def test_a_number_passes_exactly_within_its_range(limit: Limit, number: Json, valid: bool) -> None:  # noqa: FBT001
    """Just out of its range a number is refused at its path; its ends pass."""
    document = filled(limit.document, number)
    problems = validate([RawDocument(file="a.json", value=value) for value in (document, HELLO)]).problems
    name = limit.field.rpartition(": ")[2]
    assert [problem for problem in problems if name not in problem.path] == []
    assert (problems == ()) is valid, problems
