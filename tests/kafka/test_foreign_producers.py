"""Producers that know nothing of ours: any partitioner, any format, any rubbish; the ingest makes one log of it."""

import json
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import fastavro
import msgspec
import pytest
from confluent_kafka import Message

from agents.catalogues import publish_catalogue
from schemas.instants import parse_instant
from tests.kafka import worlds
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.foreign_producer import Published, publish
from tests.kafka.processes import PARTITIONS, TOPIC_OF, Processes
from tests.kafka.runs import (
    PUBLIC,
    Record,
    assert_same,
    committed_messages,
    read_by_a_stranger,
    simulated,
)
from tidings.definitions_folder import load_folder
from tidings.event_file import MISTAKES_OF_FILES, read_lines
from tidings.supervisor import Supervisor

SCHEMA_ID = 47_110_000
BEGIN = parse_instant("2026-03-02T09:00:00Z")


@pytest.fixture
def processes(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[Processes]:
    with Supervisor(tmp_path / "log") as supervisor:
        yield Processes(kafka, prefix, tmp_path, supervisor)


def test_any_partitioner_gives_the_records_of_simulate(processes: Processes, tmp_path: Path) -> None:
    """However a producer spreads events over the public topics, what is decided is what `simulate` decides."""
    world = worlds.generated(tmp_path / "world")
    expected = [record for record in simulated(world, tmp_path) if record["record"] != "dead_letter"]
    lines = list(read_lines(world.events))
    first = next(line.clock for line in lines if line.event is not None)
    documents = load_folder(world.definitions).documents
    publish_catalogue(processes.connection, processes.prefix, documents, number=1, at=first, answers_webhooks=True)
    records = [
        Published(
            topic=processes.prefix + ("behavioral-events" if line.event is None else TOPIC_OF[line.event.stream]),
            key=None if line.event is None else (line.event.customer_id or "visitor").encode(),
            value=line.raw,
            at=line.clock,
            headers=[("sequence", struct.pack(">q", line.number))],
        )
        for line in lines
        if line.problem is None or line.problem.error_class not in MISTAKES_OF_FILES
    ]
    places = publish(processes.bootstrap, records)
    assert len({partition for topic, partition, _ in places if topic.endswith(PUBLIC[0])}) >= PARTITIONS
    processes.end_of_events(parse_instant(world.until))
    for command, name in (("ingest", "ingest"), ("worker", "worker-0"), ("worker", "worker-1")):
        processes.start(command, name)
    processes.wait_for("ingest", *PUBLIC)
    processes.wait_for("worker", "customer-log")
    found = read_by_a_stranger(processes.bootstrap, processes.prefix)
    assert_same([record for record in found if record["record"] != "dead_letter"], expected)


def test_what_is_no_event_lies_unchanged_in_the_dead_letters_and_holds_up_nothing(processes: Processes) -> None:
    """Events in JSON and in a producer's own Avro reach the log; rubbish between them is a dead letter, with its reason."""
    _register(processes)
    good = {
        "json": _json(event_id="g1", customer_id="ada", occurred_at=BEGIN),
        "avro": _avro("g2", "bob"),
        "far future": _json(event_id="g3", customer_id="ada", occurred_at="2099-01-01T00:00:00Z"),
        "visitor": _json(event_id="g4", anonymous_id="v1", occurred_at="2026-03-02T10:00:00+01:00"),
    }
    bad: dict[str, bytes | None] = {
        "unreadable": b'{"event_id": "b1", ',
        "no_customer": _json(event_id="b2", occurred_at=BEGIN),
        "bad_time": _json(event_id="b3", customer_id="ada", occurred_at="2026-03-02T10:00:00"),
        "too_large": _json(event_id="b4", customer_id="ada", occurred_at=BEGIN, context={"x": "y" * 1_100_000}),
        "unknown_schema": b"\0" + struct.pack(">I", 2_000_000_001) + b"\x04b5",
        "binary": b"\0",
        "latin": '{"event_id": "é"}'.encode("latin-1"),
        "avro cut short": _avro("b6", "bob")[:9],
        "empty": b"",
        "nothing": None,
        "a list": b"[]",
    }
    topic = f"{processes.prefix}behavioral-events"
    values = [value for pair in zip(bad.values(), [*good.values()] * 3, strict=False) for value in pair]
    records = [
        Published(topic=topic, value=value, key=b"theirs", at=BEGIN + number, headers=[("trace", b"t%d" % number)])
        for number, value in enumerate([*good.values(), *values])
    ]
    places = publish(processes.bootstrap, records)
    processes.end_of_events(BEGIN + 1_000)
    processes.start("ingest", "ingest")
    processes.wait_for("ingest", *PUBLIC)

    log = list(committed_messages(processes.connection, f"{processes.prefix}customer-log"))
    events = [_decoded(message) for message in log if message.key() is not None]
    published = [record.value for record in records]
    times = len([value for value in published if value in good.values()])
    assert len(events) == times
    assert {event["event_id"] for event in events} == {"g1", "g2", "g3", "g4"}
    assert {event.get("customer_id") for event in events} == {"ada", "bob", None}
    avro = next(event for event in events if event["event_id"] == "g2")
    assert (avro["type"], avro["occurred_at"], avro["properties"]) == ("page_viewed", BEGIN, {"path": "/avro"})

    letters = {}
    for message in committed_messages(processes.connection, f"{processes.prefix}dead-letters"):
        headers = headers_of(message)
        letters[headers["topic"], headers["partition"], headers["offset"]] = message, headers
    assert len(letters) == len(bad)
    found_classes = {}
    for record, (where, partition, offset) in zip(records, places, strict=True):
        if record.value in good.values():
            continue
        message, headers = letters[where, str(partition), str(offset)]
        assert (message.value(), message.key()) == (record.value, b"theirs")
        assert message.timestamp()[1] == record.at
        assert record.headers == [("trace", headers["trace"].encode())]
        assert headers["reason"]
        found_classes[record.value] = headers["error_class"]
    for name in ("unreadable", "no_customer", "bad_time", "too_large", "unknown_schema"):
        assert found_classes[bad[name]] == name


def headers_of(message: Message) -> dict[str, str]:
    """Return a message's headers as text."""
    found = dict(message.headers() or [])
    return {name: value.decode() for name, value in found.items() if isinstance(value, bytes)}


def _decoded(message: Message) -> Record:
    return msgspec.json.decode(message.value() or b"", type=Record)


def _json(**fields: object) -> bytes:
    return msgspec.json.encode({"type": "page_viewed", **fields})


THEIR_SCHEMA: dict[str, object] = {
    "type": "record",
    "name": "PageView",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "customer_id", "type": "string"},
        {"name": "type", "type": "string"},
        {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {
            "name": "properties",
            "type": {"type": "record", "name": "Page", "fields": [{"name": "path", "type": "string"}]},
        },
    ],
}


def _avro(event_id: str, customer_id: str) -> bytes:
    body = BytesIO()
    record = {
        "event_id": event_id,
        "customer_id": customer_id,
        "type": "page_viewed",
        "occurred_at": BEGIN * 1_000,
        "properties": {"path": "/avro"},
    }
    fastavro.schemaless_writer(body, fastavro.parse_schema(json.loads(json.dumps(THEIR_SCHEMA))), record)
    return b"\0" + struct.pack(">I", SCHEMA_ID) + body.getvalue()


def _register(processes: Processes) -> None:
    """Write the schema into `_schemas` as a registry would."""
    subject = f"{processes.prefix}behavioral-events-value"
    key = {"keytype": "SCHEMA", "subject": subject, "version": 1, "magic": 1}
    value = {"subject": subject, "version": 1, "id": SCHEMA_ID, "schema": json.dumps(THEIR_SCHEMA), "deleted": False}
    record = Published(topic="_schemas", key=json.dumps(key).encode(), value=json.dumps(value).encode(), at=BEGIN)
    publish(processes.bootstrap, [record])
