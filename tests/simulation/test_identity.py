"""Merges over partitions: whoever works when, and dies when, what comes out is what `simulate` gives.

Each seed is one world (ids, events, links, timers), one interleaving of an ingest and of workers of four partitions,
and their deaths. A failure says its seed.
"""

import io
import random  # noqa: TID251 -- seeded
from typing import Final

import msgspec
import pytest

from agents.engine import Engine
from agents.identity import route
from journeys.catalogue import Catalogue
from schemas.customer import Customer
from schemas.events import check_envelope, read_envelope, stream_of
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tables.customers import CustomersTable
from tests.journey import (
    START,
    Document,
    absence,
    compiled,
    frequency,
    mail,
    sequence,
    silence,
    trigger,
    until_event,
    wait,
    workflow,
)
from tests.simulation.log_model import Application, as_json
from tidings.event_file import Line
from tidings.simulation import simulate

SEEDS: Final = 1_000
PARTITIONS: Final = 4
VISITORS: Final = ("v1", "v2", "v3")
CUSTOMERS: Final = ("ada", "bob")
GAPS: Final = (0, 0, 1, MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS, 30 * HOUR_MS)

DEFINITIONS: Final[tuple[Document, ...]] = (
    workflow(mail("hi", "pause"), wait("pause", "again", duration_hours=2), mail("again"), id="once"),
    workflow(
        until_event("paid", "order_completed", "thanks", timeout_hours=3),
        mail("thanks"),
        id="many",
        on=[trigger("page_viewed")],
        allow_multiple_executions=True,
    ),
    workflow(mail("often"), id="often", on=[frequency("page_viewed", 3, 90)], allow_multiple_executions=True),
    workflow(mail("back"), id="back", on=[silence(24)], allow_multiple_executions=True),
    workflow(mail("known"), id="known", on=[trigger("identify")], re_entry={"after_hours": 1}),
    workflow(
        mail("left"),
        id="left",
        on=[
            absence("page_viewed", "order_completed", 90),
            sequence("signup", "page_viewed"),
            sequence("page_viewed", "order_completed", contiguity="relaxed", within_minutes=600),
        ],
        allow_multiple_executions=True,
        goal={"event_type": "order_completed"},
        attribution_window_hours=30,
    ),
)
CAP: Final[Document] = {"channel": "email", "max": 4, "per_hours": 24, "on_cap": "delay"}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return compiled(*DEFINITIONS, frequency_caps=[CAP])


class World:
    """Draws events of up to five ids; who was absorbed comes no more, if `orderly`."""

    def __init__(self, seed: int, *, orderly: bool) -> None:
        self._chance = random.Random(seed)  # noqa: S311 -- not a secret
        self._orderly = orderly
        self._gone: set[str] = set()
        self._at: Millis = START
        self.lines: list[Document] = []
        for _ in range(self._chance.randrange(4, 40)):
            self._at += self._chance.choice(GAPS)
            document = self._drawn()
            if document is not None:
                self.lines.append({"event_id": f"e{len(self.lines)}", "occurred_at": self._at, **document})
            again = [line for line in self.lines[-3:] if orderly and self._is_there(line)]
            if again and self._chance.random() < 0.1:
                self.lines.append({**self._chance.choice(again), "received_at": self._at})
        self.until = self._at + 3 * DAY_MS

    def _is_there(self, line: Document) -> bool:
        return (line.get("customer_id") or line.get("anonymous_id")) not in self._gone

    def _drawn(self) -> Document | None:
        kind = self._chance.random()
        customers = [name for name in CUSTOMERS if name not in self._gone]
        if kind < 0.3:
            return self._linking(customers)
        if kind < 0.36 and len(customers) > 1:
            survivor, merged = self._chance.sample(customers, 2)
            self._gone |= {merged} if self._orderly else set()
            properties: Document = {"merged_id": merged}
            return {"type": "customer_merged", "customer_id": survivor, "properties": properties}
        who = self._chance.choice([*customers, *(v for v in VISITORS if v not in self._gone)] or ["ada"])
        name = "anonymous_id" if who in VISITORS else "customer_id"
        event_type = self._chance.choice(("signup", "page_viewed", "page_viewed", "order_completed"))
        return {"type": event_type, name: who, "properties": {"email": f"{who}@shop.example", "total": 3}}

    def _linking(self, customers: list[str]) -> Document | None:
        visitor, customer = self._chance.choice(VISITORS), self._chance.choice(customers)
        if self._orderly:
            # She may be named again, also with somebody else; her own events come no more.
            self._gone.add(visitor)
        kind = self._chance.choice(("identify", "identify", "alias"))
        return {"type": kind, "customer_id": customer, "anonymous_id": visitor}

    def read(self) -> list[Line]:
        """Read the lines as a file's reader does."""
        clock, read = 0, []
        for number, document in enumerate(self.lines, 1):
            envelope = read_envelope(msgspec.json.encode(document))
            event = check_envelope(envelope, stream_of(envelope))
            clock = max(clock, event.occurred_at if event.received_at is None else event.received_at)
            read.append(Line(number=number, raw=b"", clock=clock, event=event))
        return read


def simulated(world: World, catalogue: Catalogue) -> list[bytes]:
    """Return the records of `simulate`."""
    written = io.BytesIO()
    simulate(catalogue, world.read(), until=world.until, write=written.write)
    return written.getvalue().splitlines(keepends=True)


def states_of(world: World, catalogue: Catalogue) -> dict[bytes, bytes]:
    """Return every customer's state behind the last line, of one engine that has them all."""
    engine = Engine(CustomersTable(), catalogue)
    for line in world.read():
        assert line.event is not None
        list(engine.fire(line.clock))
        route(engine, line.event, line.clock)
    list(engine.fire(world.until))
    return {key: msgspec.msgpack.encode(engine.table.get(key)) for key in engine.table.keys()}  # noqa: SIM118


@pytest.mark.parametrize("start", range(0, SEEDS, 100))
def test_sends_times_and_states_are_those_of_simulate(start: int, catalogue: Catalogue) -> None:
    """Whoever works when and dies when: the records of `simulate`, byte for byte, and the same states."""
    deaths = 0
    for seed in range(start, start + 100):
        world = World(seed, orderly=True)
        application = Application(catalogue, world.read(), world.until, PARTITIONS, seed)
        application.run()
        expected = simulated(world, catalogue)
        found = application.records()
        assert [as_json(one) for one in found] == [as_json(one) for one in expected], f"seed {seed}"
        assert found == expected, f"seed {seed}"
        assert application.states() == states_of(world, catalogue), f"seed {seed}"
        deaths += application.deaths
    assert deaths > 100, "hardly anybody died"


@pytest.mark.parametrize("start", range(0, SEEDS, 100))
def test_no_event_is_lost_or_counted_twice_whoever_was_absorbed(start: int, catalogue: Catalogue) -> None:
    """Also events under ids that were merged away, and merges in a circle: each event counts once, somewhere."""
    for seed in range(start, start + 100):
        world = World(seed, orderly=False)
        application = Application(catalogue, world.read(), world.until, PARTITIONS, seed)
        application.run()
        counted: dict[str, int] = {}
        for state in application.states().values():
            for event_type, count in msgspec.msgpack.decode(state, type=Customer).counts.items():
                counted[event_type] = counted.get(event_type, 0) + count
        once = {str(line["event_id"]): str(line["type"]) for line in world.lines}
        wanted: dict[str, int] = {}
        for event_type in once.values():
            wanted[event_type] = wanted.get(event_type, 0) + 1
        assert counted == wanted, f"seed {seed}"
