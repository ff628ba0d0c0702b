"""What Flink's own tests of its pattern matching expect, where the words of a trigger can say the pattern.

`tests/data/flink-cep.json` names its origin: 17 of 32 cases; the others need a repetition of open length, an optional
stage, strict and relaxed in one pattern, a limit between neighbours, or an event forbidden between two stages only.

Flink reports every match; a trigger fires once for an event and begins anew behind it. So of Flink's matches those
count that begin behind the end of the one before (its strategy "skip past last event"), and of each its last event.
A pattern that ends in "not followed by" is an absence, which fires for the first event. Flink's earliest instant
reads as 0.
"""

from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from schemas.events import Json
from schemas.instants import HOUR_MS, MINUTE_MS
from tests.journey import Document, Journey, absence, is_, sequence, workflow


class Stage(Struct):
    """One stage of a pattern: which events it accepts, and how often it is repeated."""

    name: str
    contiguity: str
    min: int
    accepts: list[int]
    within_ms: int | None = None
    within_previous_ms: int | None = None


class Happened(Struct):
    """An event of a case; its name is its type."""

    name: str
    ts: int


class Case(Struct):
    """One test of Flink's."""

    id: str
    pattern: list[Stage]
    events: list[Happened]
    expected_matches: list[list[int]]


class Origin(Struct):
    """Where the cases come from."""

    left_out: dict[str, list[str]]
    """Those that a trigger can't say, by the word that it lacks."""


class Cases(Struct):
    """The file."""

    origin: Origin
    cases: list[Case]


FILE = msgspec.json.decode((Path(__file__).parents[2] / "data" / "flink-cep.json").read_bytes(), type=Cases)
CASES = FILE.cases


def trigger_of(case: Case) -> Document:
    """Say the pattern in the words of a trigger."""
    positive = [stage for stage in case.pattern if stage.contiguity != "not_followed_by"]
    forbidden = [stage for stage in case.pattern if stage.contiguity == "not_followed_by"]
    within = case.pattern[-1].within_ms or case.pattern[-1].within_previous_ms
    if case.pattern[-1] in forbidden:
        return absence(names(case, positive[0])[0], names(case, forbidden[0])[0], (within or 0) / MINUTE_MS)
    conditions: Document = {"contiguity": "strict" if case.pattern[-1].contiguity == "strict" else "relaxed"}
    if within is not None:
        conditions["within_minutes"] = within / MINUTE_MS
    if forbidden:
        conditions["unless_event"] = names(case, forbidden[0])[0]
    items: list[Json] = [
        {"event_type": "any", "where": is_("event.number", "in", list[Json](stage.accepts))}
        for stage in positive
        for _ in range(stage.min)
    ]
    return sequence(*items, where=None, rest=None, **conditions)


def names(case: Case, stage: Stage) -> list[str]:
    return [case.events[number].name for number in stage.accepts]


def firings_of(case: Case) -> list[int]:
    """Return the events for which a trigger fires: the ends of the matches that begin behind one another."""
    if case.pattern[-1].contiguity == "not_followed_by":
        return [match[0] for match in case.expected_matches]
    found, behind = [], -1
    for match in sorted(case.expected_matches, key=lambda match: match[-1]):
        if match[0] > behind:
            behind = match[-1]
            found.append(behind)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_trigger_fires_where_flink_finds_a_match(case: Case) -> None:
    journey = Journey(workflow(on=[trigger_of(case)], allow_multiple_executions=True))
    typed = {"not_followed_by"} & {stage.contiguity for stage in case.pattern}
    forbidden = {name for stage in case.pattern if stage.contiguity == "not_followed_by" for name in names(case, stage)}
    is_absence = case.pattern[-1].contiguity == "not_followed_by"
    for number, happened in enumerate(case.events):
        type_ = happened.name if is_absence or (typed and happened.name in forbidden) else "any"
        journey.publish(type_, happened.ts, event_id=str(number), number=number)
    journey.advance(to=HOUR_MS)
    found = [int(str((firing.detail or {})["event_id"])) for firing in journey.decisions("trigger_fired")]
    assert found == firings_of(case)


def test_each_of_the_32_cases_is_compared_or_left_out_for_a_reason() -> None:
    compared = {case.id for case in CASES}
    left_out = [case for cases in FILE.origin.left_out.values() for case in cases]
    assert len(compared) == len(CASES) == 17
    assert len(set(left_out)) == len(left_out) == 15
    assert not compared.intersection(left_out)
