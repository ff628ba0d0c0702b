"""The rules alone: no Kafka, nothing stored, against the plain reference on the same events, both already decoded.

`python -m bench.memory TRAFFIC DEFINITIONS` prints both as JSON. A fourth of the customers are taken, as one
partition has them.
"""

import gc
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from agents.engine import Engine, customer_name
from bench.log import PARTITIONS
from bench.measured import Lap, Moment
from bench.reference import Reference, Seen, read
from bench.traffic import read_traffic
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.decide import DUE, deadline, decide
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.events import Event, Json, customer_key
from schemas.instants import Millis
from schemas.log import decode_event
from streams.partitions import partition_of
from tables.customers import CustomersTable
from tidings.definitions_folder import load_folder

LAPS: Final = 5
CROWD: Final = 500


class Alone(Struct, frozen=True, kw_only=True):
    """The same events through the rules and through the reference."""

    rules: Lap
    """`decide` with the memory of a partition around it: customers looked up, timers fired, deadlines indexed."""
    decide: Lap
    """`decide` by itself, for the events and for the timers that they find due."""
    crowded: Lap
    """The same among 500 workflows, of which those besides concern none of the events."""
    reference: Lap


class _Folded(NamedTuple):
    """One event: its key, as the rules read it, as the reference does, and when it arrived."""

    key: bytes
    event: Event
    seen: Seen
    at: Millis


def measure(traffic: Path, documents: list[Json]) -> Alone:
    """Fold one partition's events by the rules and by the reference, each `LAPS` times in turns; take the medians."""
    events = list(_events(traffic))
    catalogue = compile_catalogue(definitions_from_documents(documents), 1)
    crowd = compile_catalogue(definitions_from_documents([*documents, *_bystanders(documents)]), 1)
    gc.freeze()

    def by_rules() -> Lap:
        engine, begin = Engine(CustomersTable(), catalogue), Moment.now()
        for key, event, _, at in events:
            engine.take(key, event, at)
        return begin.to(Moment.now(), len(events))

    def by_reference() -> Lap:
        reference, begin = Reference(), Moment.now()
        for line, (_, _, seen, at) in enumerate(events):
            reference.take(seen, at, line)
        return begin.to(Moment.now(), len(events))

    works = (by_rules, lambda: _decide(events, catalogue), lambda: _decide(events, crowd), by_reference)
    laps = [[work() for work in works] for _ in range(LAPS)]
    rules, decided, crowded, reference = (
        sorted(column, key=lambda lap: lap.cpu_s)[LAPS // 2] for column in zip(*laps, strict=True)
    )
    return Alone(rules=rules, decide=decided, crowded=crowded, reference=reference)


def _events(traffic: Path) -> Iterator[_Folded]:
    for arrival in read_traffic(traffic):
        event = decode_event(arrival.value)
        key = customer_key(event)
        if partition_of(key, PARTITIONS) == 0:
            yield _Folded(key, event, read(arrival.value), arrival.at)


def _decide(events: list[_Folded], catalogue: Catalogue) -> Lap:
    """Time the calls of `decide`, each by itself; what looking at the clock costs is taken off again."""
    customers: dict[bytes, Customer] = {}
    due: dict[bytes, Millis | None] = {}
    clock, spent, calls = time.perf_counter_ns, 0, 0
    for key, event, _, at in events:
        customer = customers.get(key)
        if customer is None:
            customer = customers[key] = Customer(customer_id=customer_name(key))
        due_at = due.get(key)
        while due_at is not None and due_at <= at:
            begin = clock()
            decide(customer, DUE, catalogue, due_at)
            spent, calls = spent + clock() - begin, calls + 1
            due_at = deadline(customer, catalogue)
        now = max(at, customer.now)
        begin = clock()
        decide(customer, event, catalogue, now)
        spent, calls = spent + clock() - begin, calls + 1
        due[key] = deadline(customer, catalogue)
    begin = clock()
    for _ in range(calls):
        clock()
    seconds = (spent - (clock() - begin)) / 1e9
    return Lap(wall_s=seconds, cpu_s=seconds, events=len(events))


def _bystanders(documents: list[Json]) -> list[Json]:
    """Make the workflows that are missing to `CROWD`, on types of events that never come."""
    own = [document for document in documents if isinstance(document, dict) and document["kind"] == "workflow"]
    made: list[Json] = []
    for number in range(CROWD - len(own)):
        trigger: Json = {"type": "behavioral", "conditions": {"event_type": f"elsewhere_{number}"}}
        name = f"bystander-{number}"
        made.append({**own[0], "id": name, "name": name, "triggers": [trigger]})
    return made


if __name__ == "__main__":
    gc.set_threshold(1_000_000, 50, 1_000)
    _documents = load_folder(Path(sys.argv[2])).documents
    sys.stdout.buffer.write(msgspec.json.encode(measure(Path(sys.argv[1]), _documents)))
