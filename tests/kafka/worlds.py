"""Worlds for the tests of `tidings run`: the shipped example, generated ones, and one that is large and cheap."""

import heapq
import random  # noqa: TID251 -- seeded
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis, format_instant, parse_instant
from tests.kafka.runs import World, written_world
from tests.strategies import BEGIN, UNTIL, Document, Line, definitions, histories, workflows

ROOT = Path(__file__).parents[2]
UNTIL_2026 = "2026-04-20T00:00:00Z"
SEEDS = (11, 12, 13, 14, 15, 16, 17, 18)
BUYERS = 2_000

T = TypeVar("T")


def welcome() -> World:
    """Return the welcome series as it ships."""
    folder = ROOT / "examples" / "welcome"
    return World(definitions=folder, events=folder / "events.ndjson", until=UNTIL_2026)


def generated(folder: Path) -> World:
    """Write one folder of several generated workflows, and the histories of several seeds merged into one file."""
    documents = drawn(SEEDS[0], definitions())
    documents += [drawn(number, workflows(f"seed-{number}")) for number in SEEDS]
    documents.append(_on_every_channel())
    documents.append(_asks())
    lines = heapq.merge(
        *(_in_order(number, drawn(number, histories(most_lines=50))) for number in SEEDS),
        key=lambda timed: timed[0],
    )
    events = b"".join(line + b"\n" for _, line in lines)
    return written_world(folder, documents, events, format_instant(UNTIL + 60 * DAY_MS))


def _on_every_channel() -> Document:
    """Return a workflow whose message goes out on whatever channels a customer has, hours apart."""
    templates: Document = {"email": "hello", "push": "push", "sms": "sms", "social": "social"}
    timing: Document = {"send_immediately": True, "expires_after_hours": 1_000}
    return {
        "id": "everywhere",
        "name": "Everywhere",
        "triggers": [{"type": "behavioral", "conditions": {"event_type": name}} for name in ("signup", "page_viewed")],
        "steps": [{"id": "all", "type": "message", "configuration": {"templates": templates, "timing": timing}}],
        "settings": {"allow_multiple_executions": True},
    }


def _asks() -> Document:
    """Return a workflow that asks another system, waits for its answer, and tells a third workflow."""
    ask: Document = {"type": "trigger_webhook", "webhook_url": "https://crm.example/x", "await_response": True}
    tell: Document = {"type": "send_event", "event_type": "cart_updated", "properties": {"total": "${total_spent}"}}
    return {
        "id": "asks",
        "name": "Asks",
        "triggers": [{"type": "behavioral", "conditions": {"event_type": "order_completed"}}],
        "steps": [
            {"id": "ask", "type": "action", "configuration": ask, "next_steps": ["tell"]},
            {"id": "tell", "type": "action", "configuration": tell, "next_steps": []},
        ],
        "settings": {"allow_multiple_executions": True},
    }


def _two_mails(name: str, event_type: str, *, several: bool) -> Document:
    """Return a workflow that sends a mail for an event, and another one two hours later."""
    return {
        "id": name,
        "name": name,
        "triggers": [{"type": "behavioral", "conditions": {"event_type": event_type}}],
        "steps": [
            {"id": "mail", "type": "email", "configuration": {"template_id": "hello"}, "next_steps": ["pause"]},
            {
                "id": "pause",
                "type": "wait",
                "configuration": {"type": "fixed_time", "duration_hours": 2},
                "next_steps": ["again"],
            },
            {"id": "again", "type": "email", "configuration": {"template_id": "hello"}, "next_steps": []},
        ],
        "settings": {"allow_multiple_executions": several},
    }


def _limited(name: str, event_type: str, most: int) -> Document:
    """Return a workflow that sends a mail, and starts so often at most."""
    flow = _two_mails(name, event_type, several=True)
    condition: Document = {"event_type": event_type}
    return flow | {"triggers": [{"type": "behavioral", "conditions": condition, "max_executions": most}]}


HELLO: Document = {
    "kind": "template",
    "id": "hello",
    "subject_template": "Hello",
    "content_template": "<p>Thanks</p>",
}


def merging(folder: Path, people: int) -> World:
    """Write people who come as visitors, say who they are while a workflow goes on, and whom the CRM finds twice.

    Nothing happens any more under an id that was merged away; events of one person may share their instant.
    """
    chance = random.Random(6)  # noqa: S311 -- not a secret
    documents = [
        _two_mails("thanks", "order_completed", several=True),
        _two_mails("welcome", "signup", several=False),
        # Places for everybody, so that nobody's depends on who asks first.
        _limited("plenty", "page_viewed", 10 * people),
    ]
    timed: list[tuple[Millis, Document]] = []
    for number in range(people):
        at = BEGIN + chance.randrange(20 * DAY_MS)
        for one in _one_person(chance, number):
            at += chance.choice((0, 1, 20 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS))
            timed.append((at, one))
    timed.sort(key=lambda entry: entry[0])
    lines = [
        msgspec.json.encode({"event_id": f"e{number}", "occurred_at": at, **event})
        for number, (at, event) in enumerate(timed)
    ]
    return written_world(folder, [*documents, HELLO], b"\n".join(lines) + b"\n", format_instant(timed[-1][0] + DAY_MS))


def _one_person(chance: random.Random, number: int) -> Iterator[Document]:
    visitor: Document = {"anonymous_id": f"v{number}", "properties": {"email": f"{number}@shop.example"}}
    customer: Document = {"customer_id": f"c{number}", "properties": {"total": 5}}
    twin: Document = {"customer_id": f"t{number}", "properties": {"email": f"t{number}@shop.example"}}
    for _ in range(chance.randrange(4)):
        yield visitor | {"type": chance.choice(("page_viewed", "signup", "order_completed"))}
    if chance.random() < 0.5:
        yield customer | {"type": chance.choice(("signup", "order_completed"))}
    yield {"type": chance.choice(("identify", "alias")), "customer_id": f"c{number}", "anonymous_id": f"v{number}"}
    yield customer | {"type": "order_completed"}
    if chance.random() < 0.4:
        yield twin | {"type": "signup"}
        yield twin | {"type": "order_completed"}
        yield customer | {"type": "customer_merged", "properties": {"merged_id": f"t{number}"}}
        yield {"type": "identify", "customer_id": f"c{number}", "anonymous_id": f"v{number}"}
    yield customer | {"type": "page_viewed"}
    if chance.random() < 0.1:
        yield customer | {"type": "customer_deleted"}
        yield customer | {"type": "signup"}


def busy(folder: Path, events: int) -> World:
    """Write many events of many buyers, cheap to make, with a mail for every order and another two hours later."""
    chance = random.Random(5)  # noqa: S311 -- not a secret
    documents = [_two_mails("thanks", "order_completed", several=True), HELLO]
    lines, at = [], BEGIN
    for number in range(events):
        at += chance.randrange(8_000)
        who = f"c{chance.randrange(BUYERS)}"
        event: Document = {
            "event_id": f"e{number}",
            "type": chance.choice(("page_viewed", "page_viewed", "order_completed", "cart_updated")),
            "occurred_at": at,
            "customer_id": who,
            "properties": {"email": f"{who}@shop.example", "total": chance.randrange(50)},
        }
        lines.append(msgspec.json.encode(event))
    return written_world(folder, documents, b"\n".join(lines) + b"\n", format_instant(at + DAY_MS))


def drawn(number: int, strategy: st.SearchStrategy[T]) -> T:
    """Draw one value, always the same for a seed; of several the one with most in it."""
    found: list[T] = []

    @seed(number)
    @settings(
        max_examples=12,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(value: T) -> None:
        found.append(value)

    draw()
    return max(found, key=lambda value: len(msgspec.json.encode(value)))


def _in_order(number: int, lines: list[Line]) -> Iterator[tuple[Millis, bytes]]:
    """Yield a history's lines with the clock at each, ids and customers made this history's own.

    An event that comes again when its id is forgotten is another one here: ids of what it leads to are made of it, and
    would come twice.
    """
    clock, first_at = 0, dict[Json, Millis]()
    for line in lines:
        if isinstance(line, str):
            yield clock, line.encode()
            continue
        event = dict(line)
        for name in ("event_id", "customer_id", "anonymous_id"):
            if isinstance(event.get(name), str):
                event[name] = f"{event[name]}-{number}"
        clock = max(clock, _arrived(event))
        if clock - first_at.setdefault(event["event_id"], clock) >= DAY_MS:
            event["event_id"] = f"{event['event_id']}-{clock}"
        yield clock, msgspec.json.encode(event)


def _arrived(event: Document) -> Millis:
    at = event.get("received_at") or event["occurred_at"]
    if not isinstance(at, str | int):
        raise TidingsError(f"not a time: {at}")
    return parse_instant(at)
