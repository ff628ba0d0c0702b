"""An operator looks at dead letters, edits one, puts some back and lays others aside, while ingest and worker run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from schemas.events import Json
from tests.journey import Document, mail, wait, workflow
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.live import Live
from tests.kafka.runs import committed_messages
from tests.unit.tidings.test_cli_errors import Say, say
from tidings.clock import wall_ms
from tidings.supervisor import RestartPolicy, Supervisor

HELLO: Document = {"kind": "template", "id": "hello", "subject_template": "Hello", "content_template": "<p>Hi</p>"}
DEFINITIONS = [workflow(wait("p", "mail", duration_minutes=1 / 60), mail()), HELLO]
NOBODY = b'{"event_id": "n", "type": "signup", "source": "website", "occurred_at": "2026-03-02T09:00:00Z"}'
CUT = b'{"event_id": "cut", "type": "signup", '
BINARY = b"\0\0\0\0\x63\x1b[31m\xff binary"
HEADERS: list[tuple[str, str | bytes | None]] = [("trace", b"\x1b[31m1"), ("topic", b"its own"), ("nothing", None)]


__all__ = ["say"]

Desk = Callable[..., tuple[int, str]]


@pytest.fixture
def live(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[Live]:
    with Supervisor(tmp_path / "log", policy=RestartPolicy(most_restarts=1_000)) as supervisor:
        yield Live(kafka, prefix, tmp_path, supervisor)


@pytest.fixture
def desk(live: Live, say: Say, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a function that runs `tidings dead-letters` and returns exit code and what was said."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "TIDINGS_TOPIC_PREFIX"):
        monkeypatch.setenv(name, live.env[name])

    def desk(*words: str) -> tuple[int, str]:
        code, out, err = say("dead-letters", *words)
        return code, out + err

    return desk


def test_dead_letters_are_seen_edited_put_back_once_and_laid_aside(live: Live, desk: Desk, tmp_path: Path) -> None:
    """Nothing is put back twice unless asked for, what is put back is what it was, and time goes on behind it."""
    live.apply("definitions", DEFINITIONS)
    assert _say(desk, "list") == "0 dead letters."
    live.start("ingest")
    live.start("worker")
    at = wall_ms() - 5_000
    _publish(live, [NOBODY, NOBODY, CUT, BINARY], at)
    live.wait(lambda: len(_each(desk)) == 4, "the letters are there")
    groups = [msgspec.json.decode(line) for line in _say(desk, "list", "--json").splitlines()]
    assert {group["error_class"]: group["count"] for group in groups} == {
        "no_customer": 2, "unreadable": 1, "unknown_schema": 1,
    }  # fmt: skip
    names = {letter["error_class"]: str(letter["id"]) for letter in _each(desk)}
    assert f"newest {_each(desk)[0]['at']}" in _say(desk, "list", "--class", "unreadable", "--since", "1h")
    assert _say(desk, "list", "--topic", "crm-events") == "0 dead letters."
    shown = _say(desk, "show", names["unknown_schema"])
    assert "\x1b" not in shown
    assert "00000000  00 00 00 00 63 1b 5b 33" in shown
    assert "header topic: its own" in shown

    # What is put back is what it was, and comes back as what it is.
    refused = desk("retry", "--class", "no_customer")
    assert (refused[0], "say --yes" in refused[1]) == (1, True)
    assert "2 dead letters put back." in _say(desk, "retry", "--class", "no_customer", "--yes")
    live.wait(lambda: len(_each(desk, "--class", "no_customer")) == 2, "they come back")
    public = list(committed_messages(live.connection, f"{live.prefix}behavioral-events"))
    assert [
        (one.key(), one.value(), one.headers(), one.timestamp()[1]) for one in public if one.value() == NOBODY
    ] == [(b"\0key", NOBODY, HEADERS, at)] * 4  # fmt: skip
    assert "2 dead letters discarded." in _say(desk, "discard", "--class", "no_customer", "--yes")
    assert "Nothing to be discarded." in _say(desk, "discard", "--class", "no_customer", "--yes")
    assert _each(desk, "--class", "no_customer") == []
    assert len(_each(desk, "--class", "no_customer", "--settled")) == 4

    # One is edited: who signed up is mailed, by the wall clock, behind a transaction in the public topic.
    file = tmp_path / "letter.json"
    _say(desk, "show", names["unreadable"], "--output", str(file))
    assert file.read_bytes() == CUT
    wrong = desk("retry", names["unreadable"], "--file", str(file))
    assert (wrong[0], "no event either" in wrong[1]) == (1, True)
    event = {"event_id": "cut", "type": "signup", "customer_id": "ada", "source": "website"}
    event |= {"occurred_at": "2099-01-01T00:00:00Z", "properties": {"email": "ada@shop.example"}}  # type: ignore[dict-item]
    file.write_bytes(msgspec.json.encode(event) + b"\n")
    with live.watched():
        _say(desk, "retry", names["unreadable"], "--file", str(file))
        live.wait(lambda: len(live.sends("w", "ada")) == 1, "she is mailed")
    twice = desk("retry", names["unreadable"])
    assert (twice[0], "put back or discarded before; --again" in twice[1]) == (1, True)
    assert "1 dead letter put back." in _say(desk, "retry", names["unreadable"], "--again")
    live.wait(live.all_is_ingested, "it is read")
    assert {letter["error_class"] for letter in _each(desk)} == {"unknown_schema", "unreadable"}


def _publish(live: Live, values: list[bytes], at: int) -> None:
    producer = Producer({"bootstrap.servers": live.bootstrap, "log_level": 0})
    for value in values:
        topic = f"{live.prefix}behavioral-events"
        producer.produce(topic, value=value, key=b"\0key", partition=1, timestamp=at, headers=HEADERS)
    assert producer.flush(60) == 0


def _say(desk: Desk, *words: str) -> str:
    code, said = desk(*words)
    assert code == 0, said
    return said.strip()


def _each(desk: Desk, *words: str) -> list[dict[str, Json]]:
    lines = _say(desk, "list", "--each", "--json", *words).splitlines()
    return [msgspec.json.decode(line, type=dict[str, Json]) for line in lines]
