"""`tidings check`: tests that pass and fail, and laws that generated histories would break."""

import io
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from journeys.catalogue import compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, parse_instant
from tests.journey import HELLO, Document, mail, wait, workflow
from tidings.checking import Record
from tidings.cli import app
from tidings.event_file import lines_of
from tidings.histories import find_failure, vocabulary
from tidings.laws import World, broken_laws

EXAMPLES = sorted(folder for folder in (Path(__file__).parents[3] / "examples").iterdir() if folder.is_dir())
DOCUMENTS: list[Document] = [workflow(mail("first", "w"), wait("w", "second", duration_hours=2), mail("second")), HELLO]
SIGNUP: Document = {"type": "signup", "properties": {"email": "ada@shop.example"}}


def checked(folder: Path, *documents: Document, options: tuple[str, ...] = ("--histories", "0")) -> tuple[int, str]:
    for number, document in enumerate((*DOCUMENTS, *documents)):
        (folder / f"{number}.json").write_bytes(msgspec.json.encode(document))
    done = CliRunner().invoke(app, ["check", str(folder), *options])
    return done.exit_code, done.output


def expecting(**rest: Json) -> Document:
    return {"kind": "test", "id": "t", "events": [SIGNUP], **rest}


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_every_example_passes_its_tests_and_keeps_the_laws(folder: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(folder), "--histories", "50", "--seed", "1"])
    assert done.exit_code == 0, done.output


def test_what_comes_as_expected_passes(tmp_path: Path) -> None:
    """Messages are all there are, in order; decisions are found among others."""
    sends: list[Json] = [
        {"step_id": "first", "send_at": "2026-01-05T10:00:00+01:00", "to": "ada@shop.example", "subject": "Hi there"},
        {"step_id": "second", "after_hours": 1, "after_minutes": 60, "contains": "Hello"},
    ]
    decisions: list[Json] = [{"kind": "trigger_fired"}, {"kind": "execution_ended", "reason": "completed"}]
    assert checked(tmp_path, expecting(sends=sends, decisions=decisions)) == (0, "passed  t\n1 tests, 0 failed.\n")


@pytest.mark.parametrize(
    ("rest", "complaint"),
    [
        pytest.param({"sends": []}, "message 2 wasn't expected: send_at 2026-01-05T11:00:00.000Z", id="too many"),
        pytest.param({"sends": [{}, {}, {"step_id": "second"}]}, "message 3 is missing: step_id second", id="too few"),
        pytest.param(
            {"sends": [{}, {"after_minutes": 119}]},
            "message 2: send_at is 2026-01-05T11:00:00.000Z, expected 2026-01-05T10:59:00.000Z",
            id="the time",
        ),
        pytest.param(
            {"sends": [{"contains": "Bye"}, {}]}, "neither its HTML nor its text contains 'Bye'", id="content"
        ),
        pytest.param(
            {"decisions": [{"kind": "execution_ended", "reason": "expired"}]},
            "reason expired; of that kind came at 2026-01-05T11:00:00.000Z, reason completed",
            id="a decision",
        ),
        pytest.param(
            {"decisions": [{"kind": "execution_ended"}, {"kind": "trigger_fired"}]},
            "decision 2 wasn't made: kind trigger_fired",
            id="the order of decisions",
        ),
        pytest.param({"events": [{"type": "signup", "topic": "orders"}]}, "event 1: topic 'orders'", id="no event"),
    ],
)
def test_what_comes_otherwise_is_told(tmp_path: Path, rest: dict[str, Json], complaint: str) -> None:
    code, said = checked(tmp_path, expecting(**rest))
    assert code == 1
    assert complaint in said
    assert "1 tests, 1 failed." in said


def test_mistakes_in_a_test_are_mistakes_of_the_folder(tmp_path: Path) -> None:
    """A time without an offset, a template that isn't there, a word that is no kind of decision: all are told."""
    first = expecting(start="2026-01-05T09:00:00", sends=[{"template_id": "helo"}])
    second = expecting(decisions=[{"kind": "sent"}]) | {"id": "u"}
    code, said = checked(tmp_path, first, second)
    assert code == 1
    for told in ("start", "has no offset", "sends[0].template_id", "hello", "decisions[0].kind"):
        assert told in said


def test_generated_histories_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    code, said = checked(tmp_path, options=("--histories", "20", "--seed", "7"))
    assert (code, said.splitlines()[-1]) == (0, "20 generated histories: every law holds (seed 7).")


def test_a_failure_is_shrunk_to_what_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a law that forbids the second mail, what is left of a history is the signup that leads to it."""

    def no_second(world: World) -> list[str]:
        return ["a second mail" for send in world.sends() if send["step_id"] == "second"]

    monkeypatch.setattr("tidings.histories.broken_laws", no_second)
    definitions = definitions_from_documents(list(DOCUMENTS))
    failure = find_failure(definitions, compile_catalogue(definitions, 1), histories=200, number=3, tried=lambda: None)
    assert failure is not None
    [only] = [msgspec.json.decode(line) for line in failure.history.splitlines()]
    assert (only["type"], failure.complaints) == ("signup", ("a second mail",))


def test_the_vocabulary_is_what_definitions_look_at() -> None:
    """Types of triggers and waits, values of their conditions and those beside them, spans to the millisecond."""
    where: Document = {"field": "event.total", "operator": "gte", "value": 50}
    until: Document = {"id": "u", "type": "wait", "configuration": {"type": "until_event", "event_type": "paid"}}
    trigger: Document = {"type": "behavioral", "conditions": {"event_type": "cart", "source": "app", "where": where}}
    words = vocabulary(
        definitions_from_documents(
            [workflow({**until, "next_steps": ["w"]}, wait("w", duration_hours=2), on=[trigger])]
        )
    )
    assert {"cart", "paid"} <= set(words.types)
    assert words.properties == {"total": [49, 50, 51], "source": ["app"]}
    assert {2 * HOUR_MS - 1, 2 * HOUR_MS, 2 * HOUR_MS + 1} <= set(words.steps)


# Laws -----------------------------------------------------------------------------------------------------------


def record(kind: str, at: str, **rest: Json) -> Record:
    common: Record = {"customer_id": "ada", "workflow_id": "w", "execution_id": "x1", "step_id": "first"}
    if kind == "send":
        return (
            {"record": "send", "send_id": "s1", "send_at": at, "channel": "email", "category": "marketing"}
            | common
            | rest
        )
    return {"record": "decision", "decision_id": f"d-{kind}-{at}", "kind": kind, "at": at} | common | rest


def world(*records: Record, events: tuple[Mapping[str, Json], ...] = (), **settings: Json) -> World:
    text = b"".join(
        msgspec.json.encode({"event_id": str(n), "customer_id": "ada", **e}) + b"\n" for n, e in enumerate(events)
    )
    return World(
        definitions=definitions_from_documents([*DOCUMENTS, {"kind": "settings", **settings}]),
        lines=list(lines_of(io.BytesIO(text))),
        records=records,
        until=parse_instant(NOON) + 31 * DAY_MS,
    )


MORNING, NOON, EVENING = "2026-01-05T09:00:00.000Z", "2026-01-05T12:00:00.000Z", "2026-01-05T18:00:00.000Z"
UNSUBSCRIBED: Document = {"type": "email_unsubscribed", "occurred_at": NOON}
GRANTED: Document = {
    "type": "consent_changed",
    "occurred_at": "2026-01-05T13:00:00Z",
    "properties": {"channel": "email", "consent": "granted"},
}
BOUNCED: Document = {"type": "email_bounced", "occurred_at": NOON}


ONE_IN_THREE_HOURS: Document = {"max": 1, "per_hours": 3}
ONE_IN_THREE_HOURS_AND_MORE: Document = {"max": 1, "per_hours": 3.001}
IN_INDIA: Document = {
    "type": "customer_updated",
    "occurred_at": MORNING,
    "properties": {"preferences": {"timezone": "Asia/Kolkata"}},
}
QUIET_AT_NIGHT: Document = IN_INDIA | {
    "properties": {"preferences": {"quiet_hours": {"start": "22:00", "end": "07:00"}}}
}


@pytest.mark.parametrize(
    ("broken", "holds"),
    [
        pytest.param(
            world(record("send", NOON), record("send", EVENING)),
            world(record("send", NOON), record("send", EVENING, send_id="s2")),
            id="each message once",
        ),
        pytest.param(
            world(record("execution_started", NOON)),
            world(record("execution_started", NOON), record("execution_ended", EVENING)),
            id="executions end",
        ),
        pytest.param(
            world(
                *(
                    record(f"execution_{what}", at)
                    for what, at in (("started", NOON), ("ended", NOON), ("ended", EVENING))
                )
            ),
            world(record("execution_started", "2026-01-06T12:00:00.001Z")),
            id="executions end once, those of the last days perhaps later",
        ),
        pytest.param(
            world(record("execution_ended", NOON), record("send", EVENING)),
            world(record("send", EVENING), record("execution_ended", EVENING)),
            id="nothing after the end",
        ),
        pytest.param(
            world(record("send", EVENING), events=(UNSUBSCRIBED,)),
            world(record("send", MORNING), events=(UNSUBSCRIBED,)),
            id="nothing after an unsubscribe",
        ),
        pytest.param(
            world(record("send", EVENING, category="transactional"), events=(BOUNCED, GRANTED)),
            world(record("send", EVENING, category="transactional"), events=(UNSUBSCRIBED,)),
            id="nothing at all after a bounce, which no consent lifts",
        ),
        pytest.param(
            world(record("send", EVENING), events=(GRANTED, {**UNSUBSCRIBED, "occurred_at": "2026-01-05T14:00:00Z"})),
            world(record("send", EVENING), events=(UNSUBSCRIBED, GRANTED)),
            id="a consent lifts an unsubscribe",
        ),
        pytest.param(
            world(
                record("send", MORNING),
                record("send", NOON, send_id="s2"),
                frequency_caps=[ONE_IN_THREE_HOURS_AND_MORE],
            ),
            world(record("send", MORNING), record("send", NOON, send_id="s2"), frequency_caps=[ONE_IN_THREE_HOURS]),
            id="never over a cap, which a message exactly as long ago has left",
        ),
        pytest.param(
            world(record("send", NOON, channel="sms"), frequency_caps=[{"channel": "sms", "max": 0, "per_hours": 1}]),
            world(record("send", NOON, category="transactional"), frequency_caps=[{"max": 0, "per_hours": 1}]),
            id="a cap looks at its channel, and never at what is transactional",
        ),
        pytest.param(
            world(record("send", NOON), quiet_hours={"start": "12:00", "end": "13:00"}),
            world(record("send", NOON), quiet_hours={"start": "13:00", "end": "12:00"}),
            id="never in quiet hours, whose start is in and whose end is out",
        ),
        pytest.param(
            world(record("send", MORNING), quiet_hours={"start": "22:00", "end": "10:00", "days": ["sun"]}),
            world(record("send", MORNING), quiet_hours={"start": "22:00", "end": "10:00", "days": ["mon"]}),
            id="a window over midnight belongs to the day it starts on",
        ),
        pytest.param(
            world(record("send", NOON), events=(IN_INDIA,), quiet_hours={"start": "17:00", "end": "18:00"}),
            world(record("send", NOON), events=(QUIET_AT_NIGHT,), quiet_hours={"start": "12:00", "end": "13:00"}),
            id="in the customer's zone, and her own instead of the settings'",
        ),
    ],
)
def test_a_law_tells_what_breaks_it_from_what_doesnt(broken: World, holds: World) -> None:
    assert broken_laws(broken)
    assert broken_laws(holds) == []
