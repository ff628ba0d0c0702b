"""When optimized messages go out, against a plain list of everything that was sent and answered.

The reference shares nothing with the rules: it keeps each send and each answer with its own instant, weighs it by its
age, takes the four best hours by SPEC's formula, and looks for them minute by minute on the wall clock of `zoneinfo`.
"""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis, parse_instant
from tests.journey import START, Journey, mail, trigger, workflow

ZONES: Final = ("UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Europe/Berlin")
GAPS: Final = (0, 1, 7 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS, 14 * HOUR_MS, DAY_MS, 30 * DAY_MS, 88 * DAY_MS)
PROFILES: Final = (
    None,
    [0.1] * 24,
    [hour / 24 for hour in range(24)],
)
WORKFLOWS: Final = (
    workflow(mail("now"), id="now", on=[trigger("now")], allow_multiple_executions=True),
    workflow(
        mail("later", timing={"optimize": True}), id="later", on=[trigger("later")], allow_multiple_executions=True
    ),
)


class Happening(Struct, frozen=True):
    """Something that comes `gap` after what came before, and occurred `late` before it came."""

    gap: Millis
    kind: str
    answers: int | None = None
    """How many sends ago the one went out that is answered; None or too many: nobody knows which."""
    late: Millis = 0


class Observation(Struct, frozen=True):
    """A send or an answer, at its hour of sending."""

    hour: int
    at: Millis
    is_answer: bool


happenings = st.lists(
    st.builds(
        Happening,
        st.sampled_from(GAPS),
        st.sampled_from(("now", "later", "later", "email_opened", "email_clicked", "sms_clicked", "email_replied")),
        st.none() | st.integers(0, 4),
        st.sampled_from((0, 0, HOUR_MS, 3 * DAY_MS, 60 * DAY_MS)),
    ),
    max_size=25,
)


def wall(instant: Millis, zone: str) -> datetime:
    return datetime.fromtimestamp(instant // 1000, UTC).astimezone(ZoneInfo(zone))


def best_of(seen: list[Observation], profile: list[float], now: Millis) -> set[int]:
    rates: list[tuple[float, int]] = []
    for hour in range(24):
        answered, sent = 5 * profile[hour], 5.0
        for one in seen:
            distance = min((hour - one.hour) % 24, (one.hour - hour) % 24)
            if distance <= 2:
                weight = 0.5**distance * 0.5 ** (max(0, now - one.at) / (90 * DAY_MS))
                answered += weight * one.is_answer
                sent += weight * (not one.is_answer)
        rates.append((-round(answered / sent, 9), hour))
    return {hour for _, hour in sorted(rates)[:4]}


def first_at(hours: set[int], start: Millis, zone: str) -> Millis:
    instant = start
    while wall(instant, zone).hour not in hours:
        instant = (instant // MINUTE_MS + 1) * MINUTE_MS
    return instant


def everybody(profile: list[float] | None) -> list[float]:
    return profile or [0.1 if hour in (9, 10, 14, 16) else 0.05 for hour in range(24)]


@given(happenings, st.sampled_from(ZONES), st.sampled_from(PROFILES), st.sampled_from((0, 90 * DAY_MS)))
@example([Happening(0, "email_clicked"), Happening(HOUR_MS, "later")], "Australia/Lord_Howe", None, 0)
def test_optimized_messages_go_out_when_a_list_of_everything_says(
    script: list[Happening], zone: str, profile: list[float] | None, begins: Millis
) -> None:
    rates: list[Json] = [*(profile or ())]
    journey = Journey(*WORKFLOWS, best_hours_profile=rates)
    journey.publish("customer_updated", begins, preferences={"timezone": zone})
    seen: list[Observation] = []
    waiting: list[Millis] = []
    expected: list[Millis] = []
    at = begins

    def send(instant: Millis) -> None:
        expected.append(instant)
        seen.append(Observation(wall(START + instant, zone).hour, instant, is_answer=False))

    for one in script:
        at += one.gap
        for due in sorted(due for due in waiting if due <= at):
            waiting.remove(due)
            send(due)
        known = None if one.answers is None or one.answers >= len(expected) else -1 - one.answers
        journey.advance(at)
        send_id = None if known is None else journey.sends()[known].send_id
        occurred = at - one.late if one.kind.endswith(("opened", "clicked")) else at
        journey.publish(one.kind, occurred, arrives=at, send_id=send_id)
        if one.kind == "now":
            send(at)
        elif one.kind == "later":
            due = first_at(best_of(seen, everybody(profile), at), START + at, zone) - START
            if due == at:
                send(due)
            else:
                waiting.append(due)
        elif one.kind != "email_replied":
            hour = wall(START + occurred, zone).hour
            if known is None:
                seen.append(Observation(hour, occurred, is_answer=False))
            else:
                hour = wall(START + expected[known], zone).hour
            seen.append(Observation(hour, occurred, is_answer=True))
    journey.advance(at + 8 * DAY_MS)
    for due in sorted(waiting):
        send(due)
    assert [parse_instant(sent.send_at) - START for sent in journey.sends()] == expected


@given(happenings, st.data(), st.sampled_from(ZONES))
def test_answers_in_any_order_and_any_number_of_times_give_the_same_hours(
    script: list[Happening], data: st.DataObject, zone: str
) -> None:
    """Each is published under its id as often as it likes, and in another order, before one message is timed."""
    answers = [(index, one.late) for index, one in enumerate(script)]
    shuffled = data.draw(st.permutations([*answers, *answers[::2]]))
    times = []
    for order in (answers, shuffled):
        journey = Journey(*WORKFLOWS)
        journey.publish("customer_updated", preferences={"timezone": zone})
        for index, late in order:
            journey.publish("email_opened", -late, arrives=1, event_id=f"answer{index}", send_id=f"s{index}")
        journey.publish("later", 2)
        journey.advance(2 * DAY_MS)
        times.append(journey.sent_at())
    assert times[0] == times[1]
