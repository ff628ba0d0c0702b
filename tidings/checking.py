"""Running the tests of workflows: events on the virtual clock, and what came of them against what was expected.

Each test has a world of its own: the same engine and the same checks of events as `tidings simulate`.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from journeys.catalogue import Catalogue
from schemas.definitions import Definitions
from schemas.events import WEBHOOK_ANSWERED, Json
from schemas.expectations import (
    DEFAULT_CUSTOMER,
    ExpectedDecision,
    ExpectedSend,
    Timed,
    TriedEvent,
    WorkflowTest,
)
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis, format_instant, later, parse_instant, span
from tidings.event_file import Line, end_of_time, lines_of
from tidings.simulation import simulate

Record = dict[str, Json]

_UNITS: Final = {"after_days": DAY_MS, "after_hours": HOUR_MS, "after_minutes": MINUTE_MS}
_SHOWN: Final = ("send_at", "template_id", "channel", "to", "subject")
_ALIKE: Final = 5


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a test: passed without complaints."""

    test: WorkflowTest
    complaints: tuple[str, ...]


def run_test(test: WorkflowTest, catalogue: Catalogue, definitions: Definitions) -> Outcome:
    """Run one test."""
    lines = list(lines_of(io.BytesIO(written(test))))
    broken = [
        f"event {line.number}: {line.problem.reason}"
        for line in lines
        if line.problem is not None and line.event is None
    ]
    if any(line.event is not None and line.event.type == WEBHOOK_ANSWERED for line in lines):
        catalogue = replace(catalogue, answers_webhooks=False)
    records = outcome_of(lines, catalogue, _until(test, lines, definitions))
    return Outcome(test=test, complaints=(*broken, *_compare(test, records)))


def outcome_of(lines: Sequence[Line], catalogue: Catalogue, until: Millis) -> list[Record]:
    """Return the records that lines lead to."""
    pieces: list[bytes] = []
    simulate(catalogue, lines, until=until, write=pieces.append)
    return [msgspec.json.decode(piece, type=Record) for piece in pieces]


def longest_execution_ms(definitions: Definitions) -> Millis:
    """Return how long an execution can last at most; another may begin with its last event."""
    days = [workflow.settings.max_execution_time_days for workflow in definitions.workflows.values()]
    return span(max(days, default=0.0) * DAY_MS)


def written(test: WorkflowTest) -> bytes:
    """Return the events of a test as a file."""
    return b"".join(
        msgspec.json.encode(_envelope(test, event, number)) + b"\n" for number, event in enumerate(test.events, start=1)
    )


def _envelope(test: WorkflowTest, event: TriedEvent, number: int) -> dict[str, Json]:
    given: dict[str, Json] = msgspec.to_builtins(event)
    fields: dict[str, Json] = {name: value for name, value in given.items() if name not in _UNITS and value is not None}
    if event.customer_id is None and event.anonymous_id is None:
        fields["customer_id"] = DEFAULT_CUSTOMER
    moment = _moment(test, event)
    fields.setdefault("event_id", str(number))
    fields.setdefault("occurred_at", parse_instant(test.start) if moment is None else moment)
    return fields


def _moment(test: WorkflowTest, timed: Timed) -> Millis | None:
    """Return the instant that durations after the start name; None where there are none."""
    given = [(getattr(timed, name), unit) for name, unit in _UNITS.items()]
    if all(value is None for value, _ in given):
        return None
    return later(parse_instant(test.start), span(sum((value or 0.0) * unit for value, unit in given)))


def _until(test: WorkflowTest, lines: Sequence[Line], definitions: Definitions) -> Millis:
    last = max((line.clock for line in lines), default=parse_instant(test.start))
    if test.until is None:
        # Twice: what ends may set off another workflow.
        return later(last, 2 * longest_execution_ms(definitions))
    return end_of_time(max(parse_instant(test.until), last), last)


# Comparing ------------------------------------------------------------------------------------------------------


def _compare(test: WorkflowTest, records: Sequence[Record]) -> Iterator[str]:
    sends = [record for record in records if record["record"] == "send"]
    decisions = [record for record in records if record["record"] == "decision"]
    if test.sends is not None:
        yield from _compare_sends(test, test.sends, sends)
    yield from _find_decisions(test, decisions)


def _compare_sends(test: WorkflowTest, expected: Sequence[ExpectedSend], sends: Sequence[Record]) -> Iterator[str]:
    for number, (wanted, send) in enumerate(zip(expected, sends, strict=False), start=1):
        for difference in _differences(_fields(test, wanted, "send_at"), send):
            yield f"message {number}: {difference}"
    for number, wanted in enumerate(expected[len(sends) :], start=len(sends) + 1):
        yield f"message {number} is missing: {_in_words(_fields(test, wanted, 'send_at'))}"
    for number, send in enumerate(sends[len(expected) :], start=len(expected) + 1):
        yield f"message {number} wasn't expected: {_in_words({name: send[name] for name in _SHOWN})}"


def _find_decisions(test: WorkflowTest, decisions: Sequence[Record]) -> Iterator[str]:
    """Look for the expected decisions in their order; one that isn't found doesn't move the search on."""
    rest = list(decisions)
    for number, wanted in enumerate(test.decisions, start=1):
        fields = _fields(test, wanted, "at")
        found = next((place for place, made in enumerate(rest) if not list(_differences(fields, made))), None)
        if found is not None:
            rest = rest[found + 1 :]
            continue
        alike = [made for made in rest if made["kind"] == wanted.kind][:_ALIKE]
        closest = "; of that kind came " + " and ".join(
            _in_words({name: made[name] for name in ("at", *fields) if name != "kind"}) for made in alike
        )
        yield f"decision {number} wasn't made: {_in_words(fields)}{closest if alike else ''}"


def _fields(test: WorkflowTest, wanted: ExpectedSend | ExpectedDecision, time: str) -> dict[str, Json]:
    """Return what is asked for, its time as records write it."""
    given: dict[str, Json] = msgspec.to_builtins(wanted)
    fields: dict[str, Json] = {name: value for name, value in given.items() if name not in _UNITS and value is not None}
    moment, text = _moment(test, wanted), given[time]
    if isinstance(text, str):
        fields[time] = format_instant(parse_instant(text))
    elif moment is not None:
        fields[time] = format_instant(moment)
    return fields


def _differences(wanted: dict[str, Json], record: Record) -> Iterator[str]:
    for name, value in wanted.items():
        if name == "contains":
            if not any(str(value) in str(record[part] or "") for part in ("html", "text")):
                yield f"neither its HTML nor its text contains {value!r}"
        elif record[name] != value:
            yield f"{name} is {_shown(record[name])}, expected {_shown(value)}"


def _in_words(fields: dict[str, Json]) -> str:
    return ", ".join(f"{name} {_shown(value)}" for name, value in fields.items() if value is not None)


def _shown(value: Json) -> str:
    return str(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
