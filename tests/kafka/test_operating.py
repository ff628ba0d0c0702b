"""An operator asks, stops, lets go on and looks ahead, while a worker runs on a real Kafka."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from schemas.events import check_envelope, read_envelope, stream_of
from schemas.instants import HOUR_MS, parse_instant
from tests.journey import Document, mail, wait, workflow
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.operated import System
from tests.kafka.runs import committed_messages, tidings
from tidings.event_file import Line
from tidings.supervisor import RestartPolicy, Supervisor

BEGIN = parse_instant("2026-03-02T09:00:00Z")
HELLO: Document = {"kind": "template", "id": "hello", "subject_template": "Hello", "content_template": "<p>Hi</p>"}
LATER = [workflow(wait("p", "mail", duration_hours=2), mail()), HELLO]
EDITED = [workflow(wait("p", "mail", duration_hours=3), mail()), HELLO]


@pytest.fixture
def system(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[System]:
    with Supervisor(tmp_path / "log", policy=RestartPolicy(most_restarts=1_000)) as supervisor:
        yield System(kafka, prefix, tmp_path, supervisor)


def test_an_operator_sees_stops_and_lets_go_on_what_runs(system: System, tmp_path: Path) -> None:
    """Status, impact and the stop button: what is stopped doesn't go out, and goes out when it is let go on."""
    first, second = _written(tmp_path / "first", LATER), _written(tmp_path / "second", EDITED)
    said = system.say("apply", str(first), "--at", _at(0))
    assert "Within 24 h 0 customers would be mailed" in said
    assert "Version 1 is in force" in said
    system.start("worker")
    system.append([_signup(number, 1) for number in range(5)])
    system.wait_for_worker()

    seen = system.say("status", "--customers")
    assert "version 1 since" in seen
    assert "haven't come to it" not in seen
    assert "1 running, all decided" in seen
    assert "5 known" in seen
    assert "5 in w, p" in seen

    foreseen = system.say("impact", str(second), "--mode", "migrate")
    assert "Edited: w." in foreseen
    assert "5 customers under way" in foreseen
    assert "is timed anew" in foreseen
    listed = system.say("impact", str(second), "--customers").splitlines()
    assert {msgspec.json.decode(line)["customer_id"] for line in listed} == {f"c{number}" for number in range(5)}

    nobody = tidings("executions", "pause", "--customer", "nobody", env=system.env)
    assert (nobody.returncode, "nothing is known of a customer nobody" in nobody.stderr) == (1, True), nobody.stderr
    assert system.say("pause", "--all", "--at", _at(HOUR_MS)).startswith("Paused: everything.")
    assert system.say("executions", "cancel", "--customer", "c4", "--at", _at(HOUR_MS)).startswith("Cancelled: ")
    system.append([_signup(number, 4 * HOUR_MS) for number in range(5, 8)])
    system.wait_for_worker()
    assert "everything" in system.say("status")
    assert _sends(system) == []
    assert system.say("pause", "--all", "--at", _at(4 * HOUR_MS)).startswith("Paused already")
    assert system.say("executions", "cancel", "--customer", "c4", "--at", _at(4 * HOUR_MS)).startswith("Nothing to ")
    assert "no pause of channel sms" in system.say("resume", "--channel", "sms", "--at", _at(4 * HOUR_MS))
    system.say("resume", "--all", "--at", _at(5 * HOUR_MS))
    system.wait_for_worker()
    assert ["Stopped", "nothing"] in [line.split() for line in system.say("status").splitlines()]
    system.end(BEGIN + 10 * HOUR_MS)
    system.wait_for_worker()
    # The workflow waits two hours. What fell due during the stop goes out as it ends; who came during it begins then.
    assert _sends(system) == [
        *((f"c{number}", 5) for number in range(4)),
        *((f"c{number}", 7) for number in range(5, 8)),
    ]


def _sends(system: System) -> list[tuple[str, int]]:
    """Return who was mailed, and in which hour."""
    sends = [
        msgspec.json.decode(message.value() or b"")
        for message in committed_messages(system.connection, f"{system.prefix}email-sends")
    ]
    return sorted((send["customer_id"], (parse_instant(send["send_at"]) - BEGIN) // HOUR_MS) for send in sends)


def _at(since: int) -> str:
    hours, milliseconds = divmod(since, HOUR_MS)
    assert not milliseconds
    return f"2026-03-02T{9 + hours:02}:00:00Z"


def _signup(number: int, since: int) -> Line:
    written = {
        "event_id": f"e{number}",
        "customer_id": f"c{number}",
        "type": "signup",
        "occurred_at": BEGIN + since,
        "properties": {"email": f"c{number}@shop.example"},
    }
    envelope = read_envelope(msgspec.json.encode(written))
    event = check_envelope(envelope, stream_of(envelope))
    return Line(number=number, raw=b"", clock=BEGIN + since, event=event)


def _written(folder: Path, documents: list[Document]) -> Path:
    folder.mkdir()
    for number, document in enumerate(documents):
        (folder / f"{number}.json").write_bytes(msgspec.json.encode(document))
    return folder
