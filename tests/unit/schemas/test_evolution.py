"""Our schemas change so that nobody need be updated at the same time: every release reads every other's records.

`schemas/avro/released/VERSION` holds the schemas as they were released; they are copied there with each release and
never changed after. Registries call the rule FULL_TRANSITIVE.
"""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest

from schemas.decisions import Decision, Effect, Send, WebhookCall
from schemas.events import check_envelope
from schemas.outbound import OUTBOUND_SCHEMAS, avro_encoder, outbound_json
from schemas.topics import DECISIONS, EMAIL_SENDS, WEBHOOK_CALLS
from schemas.wire import EVENT_SCHEMA, decode_event, frame
from tests.avro_resolution import changed_schemas, is_full

AVRO = Path(__file__).parents[3] / "schemas" / "avro"
RELEASED = sorted((AVRO / "released").glob("*/*.avsc"))
NOW = 1_772_442_000_250
AT = "2026-03-02T09:00:00.250Z"

SEND = Send(
    send_id="s", customer_id="c", channel="email", to="a@b.example", subject="é", headers={"X": "y"}, template_id="t",
    workflow_id="w", workflow_version=3, execution_id="e", step_id="p", variants={"a": [1, 2.5, None]},
    category="marketing", send_at=AT, expires_at=AT,
)  # fmt: skip
DECISION = Decision(decision_id="d", customer_id="c", at=AT, kind="send_deferred", detail={"until": AT})
CALL = WebhookCall(
    call_id="i", customer_id="c", at=AT, webhook_url="https://x.example", payload={"n": 1}, workflow_id="w",
    workflow_version=3, execution_id="e", step_id="p",
)  # fmt: skip
EFFECTS: dict[str, Effect] = {EMAIL_SENDS: SEND, DECISIONS: DECISION, WEBHOOK_CALLS: CALL}


def schema_in(path: Path) -> Any:
    return json.loads(path.read_bytes())


def read_as(value: bytes, writer: bytes, reader: Any) -> Any:
    """Read a record as a program that knows another version does: with the writer's schema and its own."""
    parsed = fastavro.parse_schema(json.loads(writer)), fastavro.parse_schema(reader)
    return fastavro.schemaless_reader(BytesIO(value[5:]), *parsed)


def test_there_are_released_schemas_for_each_of_ours() -> None:
    """A release without its schemas would be compared with nothing."""
    ours = {path.name for path in AVRO.glob("*.avsc")}
    folders = {path.parent for path in RELEASED}
    assert folders
    assert any({path.name for path in folder.glob("*.avsc")} == ours for folder in folders)


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_ours_and_every_released_schema_read_each_other(path: Path) -> None:
    """A consumer may be older or newer than the worker that wrote, a worker older or newer than its producers."""
    assert is_full(schema_in(AVRO / path.name), schema_in(path))


@pytest.mark.parametrize("topic", EFFECTS)
@pytest.mark.parametrize("path", RELEASED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_reader_of_a_released_schema_reads_what_is_written_today(path: Path, topic: str) -> None:
    """Field by field, what both versions know is the same."""
    if schema_in(path)["name"] != json.loads(OUTBOUND_SCHEMAS[topic])["name"]:
        return
    effect, schema = EFFECTS[topic], OUTBOUND_SCHEMAS[topic]
    value = avro_encoder(dict.fromkeys(OUTBOUND_SCHEMAS, 7))(effect)
    old, new = read_as(value, schema, schema_in(path)), read_as(value, schema, json.loads(schema))
    assert old == {name: new[name] for name in old}


@pytest.mark.parametrize("topic", EFFECTS)
@pytest.mark.parametrize("name", ["same", "added-with-default", "removed-with-default", "reordered"])
def test_we_read_what_another_version_of_us_wrote(topic: str, name: str) -> None:
    """Older and newer writers alike: what they don't write has its default, what we don't know is passed over."""
    ours = json.loads(OUTBOUND_SCHEMAS[topic])
    theirs = dict(changed_schemas(ours))[name]
    value = avro_encoder(dict.fromkeys(OUTBOUND_SCHEMAS, 7))(EFFECTS[topic])
    record = {"a": "new"} | read_as(value, OUTBOUND_SCHEMAS[topic], ours)
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(theirs), record)
    found = json.loads(outbound_json(topic, frame(9, body.getvalue()), {9: json.dumps(theirs).encode()}.get))
    expected = json.loads(outbound_json(topic, value, {7: OUTBOUND_SCHEMAS[topic]}.get))
    written = {field["name"] for field in theirs["fields"]}
    assert found.keys() == expected.keys()
    assert {key: found[key] for key in found if key in written} == {
        key: expected[key] for key in expected if key in written
    }


@pytest.mark.parametrize("name", ["same", "added-with-default", "removed-with-default", "reordered"])
def test_an_event_of_another_version_is_the_same_event(name: str) -> None:
    """Producers that are older or newer than the ingest lose only what the other side doesn't know."""
    ours = json.loads(EVENT_SCHEMA)
    theirs = dict(changed_schemas(ours))[name]
    record: dict[str, object] = {
        "a": "new", "event_id": "e1", "customer_id": "ada", "anonymous_id": "v1", "type": "signup", "occurred_at": NOW,
        "received_at": None, "source": "website", "session_id": "s", "properties": '{"n": 1}', "context": "{}",
    }  # fmt: skip
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(theirs), record)
    envelope = decode_event(frame(9, body.getvalue()), {9: json.dumps(theirs).encode()}.get)
    event = check_envelope(envelope, "behavioral")
    assert (event.event_id, event.type, event.occurred_at, event.source) == ("e1", "signup", NOW, "website")
    assert json.loads(bytes(event.properties)) == {"n": 1}


def test_the_rule_tells_changes_that_break_readers() -> None:
    """The rule isn't content with everything."""
    schema = json.loads(OUTBOUND_SCHEMAS[EMAIL_SENDS])
    verdicts = {name: is_full(schema, changed) for name, changed in changed_schemas(schema)}
    assert verdicts == {
        "same": True,
        "added-with-default": True,
        "added-without-default": False,
        "removed-with-default": True,
        "removed-without-default": False,
        "reordered": True,
        "retyped": False,
        "made-optional": False,
        "to-bytes": True,
    }
