"""The rules alone: no Kafka, nothing stored, against the plain reference on the same events, both already decoded.

`python -m bench decide` prints it as a table; `python -m bench.memory TRAFFIC DEFINITIONS [LAPS]` prints laps as
JSON. A fourth of the customers are taken, as one partition has them.
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
from streams.collecting import collect_seldom
from streams.partitions import partition_of
from tables.customers import CustomersTable
from tidings.definitions_folder import load_folder

LAPS: Final = 5
FEW: Final = 5
CROWD: Final = 500


class AloneLap(Struct, frozen=True, kw_only=True):
    """The same events through the rules and through the reference, one after the other."""

    rules: Lap
    """`decide` with the memory of a partition around it: customers looked up, timers fired, deadlines indexed."""
    decide: Lap
    """`decide` by itself, for the events and for the timers that they find due."""
    reference: Lap
    few: Lap
    """`decide` by itself with 5 of the workflows."""
    crowd: Lap
    """The same 5 among 500 workflows, of which the others concern none of the events."""


class Alone(Struct, frozen=True, kw_only=True):
    """What was measured in memory."""

    laps: list[AloneLap]


class _Folded(NamedTuple):
    """One event: its key, as the rules read it, as the reference does, and when it arrived."""

    key: bytes
    event: Event
    seen: Seen
    at: Millis


def measure(traffic: Path, documents: list[Json], laps: int = LAPS) -> Alone:
    """Fold one partition's events by the rules and by the reference in turns, so that each lap has one mood."""
    events = list(_events(traffic))
    few = _first(documents, FEW)
    whole, five, crowd = map(_compiled, (documents, few, [*few, *_bystanders(few)]))
    gc.freeze()

    def by_rules() -> Lap:
        engine, begin = Engine(CustomersTable(), whole), Moment.now()
        for key, event, _, at in events:
            engine.take(key, event, at)
        return begin.to(Moment.now(), len(events))

    def by_reference() -> Lap:
        reference, begin = Reference(), Moment.now()
        for line, (_, _, seen, at) in enumerate(events):
            reference.take(seen, at, line)
        return begin.to(Moment.now(), len(events))

    def lap() -> AloneLap:
        return AloneLap(
            rules=by_rules(),
            decide=_decide(events, whole),
            reference=by_reference(),
            few=_decide(events, five),
            crowd=_decide(events, crowd),
        )

    return Alone(laps=[lap() for _ in range(laps)])


def _compiled(documents: list[Json]) -> Catalogue:
    return compile_catalogue(definitions_from_documents(documents), 1)


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


def _is_workflow(document: Json) -> bool:
    return isinstance(document, dict) and document["kind"] == "workflow"


def _first(documents: list[Json], count: int) -> list[Json]:
    """Leave out all workflows but the first few."""
    kept = [document for document in documents if _is_workflow(document)][:count]
    return [document for document in documents if not _is_workflow(document) or document in kept]


def _bystanders(documents: list[Json]) -> list[Json]:
    """Make the workflows that are missing to `CROWD`, of several kinds, on types of events that never come."""
    own = [document for document in documents if isinstance(document, dict) and _is_workflow(document)]
    made: list[Json] = []
    for number in range(CROWD - len(own)):
        elsewhere, later = f"elsewhere_{number}", f"later_{number}"
        kinds: tuple[Json, ...] = (
            {"event_type": elsewhere},
            {
                "condition_type": "frequency_threshold",
                "event_type": elsewhere,
                "min_frequency": 3,
                "time_window_minutes": 60,
            },
            {"condition_type": "event_sequence", "required_sequence": [elsewhere, later], "within_minutes": 60},
        )
        trigger: Json = {"type": "behavioral", "conditions": kinds[number % len(kinds)]}
        name = f"bystander-{number}"
        made.append({**own[0], "id": name, "name": name, "triggers": [trigger]})
    return made


if __name__ == "__main__":
    collect_seldom()
    _documents = load_folder(Path(sys.argv[2])).documents
    sys.stdout.buffer.write(msgspec.json.encode(measure(Path(sys.argv[1]), _documents, *map(int, sys.argv[3:]))))
