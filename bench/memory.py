"""The rules alone: no Kafka, nothing stored, against the plain reference on the same events, both already decoded.

`python -m bench.memory TRAFFIC DEFINITIONS` prints both as JSON. A fourth of the customers are taken, as one
partition has them.
"""

import gc
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from agents.engine import Engine
from bench.log import PARTITIONS
from bench.measured import Lap, Moment
from bench.reference import Reference, Seen, read
from bench.traffic import read_traffic
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.events import Event, customer_key
from schemas.instants import Millis
from schemas.log import decode_event
from streams.partitions import partition_of
from tables.customers import CustomersTable
from tidings.definitions_folder import load_folder


class Alone(Struct, frozen=True, kw_only=True):
    """The same events through the rules and through the reference."""

    rules: Lap
    reference: Lap


def measure(traffic: Path, catalogue: Catalogue) -> Alone:
    """Fold one partition's events twice: by the rules, by the reference."""
    events: list[tuple[bytes, Event, Seen, Millis]] = []
    for arrival in read_traffic(traffic):
        event = decode_event(arrival.value)
        key = customer_key(event)
        if partition_of(key, PARTITIONS) == 0:
            events.append((key, event, read(arrival.value), arrival.at))
    gc.freeze()
    engine, reference = Engine(CustomersTable(), catalogue), Reference()

    def by_rules() -> None:
        for key, event, _, at in events:
            engine.take(key, event, at)

    def by_reference() -> None:
        for line, (_, _, seen, at) in enumerate(events):
            reference.take(seen, at, line)

    return Alone(rules=_lap(by_rules, len(events)), reference=_lap(by_reference, len(events)))


def _lap(work: Callable[[], None], events: int) -> Lap:
    begin = Moment.now()
    work()
    return begin.to(Moment.now(), events)


if __name__ == "__main__":
    gc.set_threshold(1_000_000, 50, 1_000)
    _documents = load_folder(Path(sys.argv[2])).documents
    _catalogue = compile_catalogue(definitions_from_documents(_documents), 1)
    sys.stdout.buffer.write(msgspec.json.encode(measure(Path(sys.argv[1]), _catalogue)))
