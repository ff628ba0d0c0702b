"""Webhooks in files: recorded, and answered 200 at once unless the file holds answers itself."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from schemas.events import Json
from tests.journey import HELLO, START, Document, action, after, mail, workflow
from tidings.cli import app

ASKS = workflow(
    action("ask", "trigger_webhook", "mail", webhook_url="https://crm.example/x", await_response=True), mail()
)


def event(event_id: str, kind: str, at: int, **properties: Json) -> Document:
    properties = {"email": "ada@shop.example", **properties}
    return {
        "event_id": event_id,
        "customer_id": "ada",
        "type": kind,
        "occurred_at": START + at,
        "properties": properties,
    }


def records(tmp_path: Path, *events: Document) -> list[Document]:
    folder = tmp_path / "definitions"
    folder.mkdir()
    for number, document in enumerate((ASKS, HELLO)):
        (folder / f"{number}.json").write_bytes(msgspec.json.encode(document))
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in events))
    done = CliRunner().invoke(app, ["simulate", "--definitions", str(folder), "--events", str(file)])
    assert done.exit_code == 0, done.output
    return [msgspec.json.decode(line, type=dict[str, Json]) for line in done.stdout.splitlines() if line[:1] == "{"]


def test_a_call_is_a_record_of_its_own_at_its_place_and_answered_at_once(tmp_path: Path) -> None:
    out = records(tmp_path, event("e1", "signup", 0))
    out = [one for one in out if one.get("kind") != "profile_changed"]
    assert [one.get("kind", one["record"]) for one in out[:4]] == [
        "trigger_fired",
        "execution_started",
        "webhook_call",
        "step_completed",
    ]
    call = out[2]
    assert (call["at"], call["webhook_url"], call["step_id"]) == (after(0), "https://crm.example/x", "ask")
    assert [one["send_at"] for one in out if one["record"] == "send"] == [after(0)]


@pytest.mark.parametrize(("status", "sent"), [(201, [after(5)]), (503, [])])
def test_an_answer_in_the_file_is_the_answer(tmp_path: Path, status: int, sent: list[str]) -> None:
    out = records(tmp_path, event("e1", "signup", 0), event("e2", "webhook_answered", 5, status=status))
    assert [one["send_at"] for one in out if one["record"] == "send"] == sent


def test_the_word_alone_is_no_answer(tmp_path: Path) -> None:
    out = records(tmp_path, event("e1", "signup", 0, note="webhook_answered"))
    assert [one["send_at"] for one in out if one["record"] == "send"] == [after(0)]
