"""Many customers: what an event costs, what memory a customer takes, and how long a worker takes to read them back.

Customers sign up and wait, each in an execution, for a mail of the far future. Whenever there are ten times as many,
events of customers drawn among all of them are published, which lead to nothing but a longer memory: first in visits,
as people come to a site, many at the same time, then each of somebody else, the worst that can come. At the end the
workers are stopped and started again with nothing but what Kafka has.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from bench.live import LiveSystem, mailing
from schemas.instants import DAY_MS
from streams.connection import Connection
from tidings.clock import monotonic_s, wall_ms
from tidings.seeing.asking import largest, total

PARTITIONS: Final = 4
FEWEST: Final = 1_000
EVENTS: Final = 40_000
"""At each size; more than a worker keeps decoded of any partition."""
VISITORS: Final = 500
"""So many are on the site at the same time."""
A_VISIT: Final = 5
"""So many events has a visit."""
WAIT_MS: Final = 30 * DAY_MS
PATIENCE_S: Final = 3_600.0


class Size(Struct, frozen=True, kw_only=True):
    """What was measured with so many customers."""

    customers: int
    visits_us: float
    """Of the workers for each event of a visit, microseconds of CPU; what they use without events is taken off."""
    drawn_us: float
    """The same where each event is of a customer drawn among all."""
    resident: int
    """Memory of the workers, bytes."""


class Crowd(Struct, frozen=True, kw_only=True):
    """What was measured."""

    workers: int
    empty: int
    """Memory of the workers before anybody came, bytes."""
    sizes: list[Size]
    recovery_s: float
    """The longest recovery of a partition."""
    ready_s: float
    """From the start of the processes to being ready."""
    resident_recovered: int


def run_crowd(
    connection: Connection, folder: Path, *, customers: int, workers: int, say: Callable[[str], None]
) -> Crowd:
    """Measure.

    Args:
        connection: where Kafka is.
        folder: for logs and definitions.
        customers: how many there are in the end; at least 1,000.
        workers: how many processes decide.
        say: is told what is going on.

    Raises:
        LiveFailed: a process ended or stood still, or not everybody was there again after the recovery.
    """
    with LiveSystem(connection, folder, workers=workers, partitions=PARTITIONS) as system:
        system.apply([mailing("wave", "signup", WAIT_MS)])
        system.start()
        system.wait(system.are_ready, "the workers are ready")
        empty, known, sizes, random = system.resident_bytes(), 0, list[Size](), Random(1)
        for wanted in sorted({*_sizes(customers), customers}):
            for number in range(known, wanted):
                system.publish("signup", f"c{number}", wall_ms())
            system.settle(f"{wanted:,} customers have signed up", PATIENCE_S)
            known = wanted
            idle = _idle_share(system)
            visits_us = _cost_us(system, idle, _in_visits(random, known))
            drawn_us = _cost_us(system, idle, (random.randrange(known) for _ in range(EVENTS)))
            resident = system.resident_bytes()
            sizes.append(Size(customers=known, visits_us=visits_us, drawn_us=drawn_us, resident=resident))
            say(told_size(sizes[-1], empty))
        system.stop_workers()
        began = monotonic_s()
        system.start_workers()
        system.wait(system.are_ready, "the workers are ready again", PATIENCE_S)
        ready_s = monotonic_s() - began
        system.wait(lambda: total(system.counted(), "tidings_customers") == known, "everybody is there again")
        counted = system.counted()
        return Crowd(
            workers=workers,
            empty=empty,
            sizes=sizes,
            recovery_s=largest(counted, "tidings_recovery_seconds") or 0.0,
            ready_s=ready_s,
            resident_recovered=system.resident_bytes(),
        )


def _sizes(most: int) -> list[int]:
    sizes = [FEWEST]
    while sizes[-1] * 10 <= most:
        sizes.append(sizes[-1] * 10)
    return sizes


def _in_visits(random: Random, known: int) -> Iterator[int]:
    """Yield whose event comes next: anybody's who is on the site; whoever leaves it is followed by another."""
    visits = [[random.randrange(known), random.randint(1, A_VISIT)] for _ in range(VISITORS)]
    for _ in range(EVENTS):
        visit = random.choice(visits)
        yield visit[0]
        visit[1] -= 1
        if not visit[1]:
            visit[:] = random.randrange(known), A_VISIT


def _cost_us(system: LiveSystem, idle: float, customers: Iterator[int]) -> float:
    """Publish an event of each, and return what the workers needed for one."""
    used, began = system.cpu_s(), monotonic_s()
    for number in customers:
        system.publish("page_viewed", f"c{number}", wall_ms())
    system.settle("the events are decided on", PATIENCE_S)
    return (system.cpu_s() - used - idle * (monotonic_s() - began)) * 1e6 / EVENTS


def _idle_share(system: LiveSystem) -> float:
    """Return how much of a processor the workers use while nobody does anything."""
    used, began = system.cpu_s(), monotonic_s()
    system.wait(lambda: monotonic_s() - began > 3.0, "a moment without events")
    return (system.cpu_s() - used) / (monotonic_s() - began)


def told_size(size: Size, empty: int) -> str:
    """Say what was measured at a size."""
    each = (size.resident - empty) / size.customers
    return (
        f"{size.customers:>9,} customers waiting: {size.visits_us:5.0f} µs of CPU an event in visits of {A_VISIT},"
        f" {size.drawn_us:5.0f} where each is somebody else's, {each:7,.0f} bytes of memory each"
    )


def told(measured: Crowd) -> str:
    """Say what was measured."""
    last = measured.sizes[-1]
    rows = "\n".join(told_size(size, measured.empty) for size in measured.sizes)
    each = (measured.resident_recovered - measured.empty) / last.customers
    back = (
        f"read back by {measured.workers} workers: {last.customers:,} customers in {measured.recovery_s:.1f} s,"
        f" ready {measured.ready_s:.1f} s after the start; {each:,.0f} bytes of memory each then"
    )
    return f"{rows}\n{back}"
