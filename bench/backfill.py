"""A backfill beside live traffic: how long an event waits for its mail before, and while customers go over.

Customers sign up, and nothing comes of it. Then other customers come at a steady rate, each of whom is mailed at once,
and meanwhile a workflow in which everybody who signed up would be waiting is backfilled. An event of a partition that
stands still waits as long as it does, so no pause is longer than the longest wait.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.latency import last
from bench.live import LiveFailed, LiveSystem, mailing, spread
from schemas.instants import DAY_MS, format_instant
from streams.connection import Connection
from tidings.clock import monotonic_s, pause, wall_ms

BEFORE_S: Final = 20.0
WARM_S: Final = 5.0
"""Not counted: caches fill, connections open."""
BEHIND_S: Final = 5.0
"""What waits behind the hand-over is counted with it."""


class Beside(Struct, frozen=True, kw_only=True):
    """What was measured."""

    customers: int
    per_s: int
    partitions: int
    workers: int
    took_s: float
    """From the command to its end."""
    before: list[int]
    """Milliseconds from each event to its send, sorted, of those without a backfill."""
    during: list[int]
    """And of those while the command ran, and in the seconds behind it."""
    printed: str
    """What the command said."""


def run_backfill(
    connection: Connection,
    folder: Path,
    *,
    customers: int,
    per_s: int,
    partitions: int,
    workers: int,
    say: Callable[[str], None],
) -> Beside:
    """Measure.

    Args:
        connection: where Kafka is.
        folder: for logs and definitions.
        customers: how many have a past.
        per_s: events a second; each leads to a mail.
        partitions: of all topics.
        workers: how many processes decide.
        say: is told what is going on.

    Raises:
        LiveFailed: a process ended or stood still, the backfill was refused, or an event had no send, or two.
    """
    with LiveSystem(connection, folder, workers=workers, partitions=partitions) as system:
        old, new = mailing("at-once", "page_viewed", None), mailing("wave", "signup", 30 * DAY_MS)
        system.apply([old])
        system.start()
        system.wait(system.are_ready, "the workers are ready")
        since = format_instant(wall_ms())
        for number in range(customers):
            system.publish("signup", f"c{number}", wall_ms())
        system.settle(f"{customers:,} customers have signed up")
        say(f"{customers:,} customers have signed up; {per_s:,} events a second from now on")
        with system.watched():
            with system.busy("page_viewed", per_s):
                last(system, WARM_S)
                warm = wall_ms()
                last(system, BEFORE_S)
                began, at = monotonic_s(), wall_ms()
                printed = system.say(
                    "backfill", "wave", "--since", since, "--definitions", str(system.write("new", [old, new]))
                )
                took_s = monotonic_s() - began
                last(system, BEHIND_S)
            system.producer.flush()
            others = {customer: at for customer, at in system.published.items() if customer.startswith("other-")}
            system.wait(lambda: system.mailed("at-once") == len(others), "every event has its send")
            pause(1.0)
        if len(system.sends("at-once")) != len(others):
            raise LiveFailed(f"{len(others):,} events led to {len(system.sends('at-once')):,} sends")
        late = {customer: seen - others[customer] for customer, [(_, seen)] in system.seen["at-once"].items()}
        return Beside(
            customers=customers,
            per_s=per_s,
            partitions=partitions,
            workers=workers,
            took_s=took_s,
            before=sorted(ms for customer, ms in late.items() if warm <= others[customer] < at),
            during=sorted(ms for customer, ms in late.items() if others[customer] >= at),
            printed=printed,
        )


def told(measured: Beside) -> str:
    """Say what was measured."""
    return (
        f"{measured.printed.rstrip()}\n\n"
        f"{measured.customers:,} customers went over in {measured.took_s:.1f} s, beside {measured.per_s:,} events a"
        f" second over {measured.partitions} partitions, workers: {measured.workers}; from an event to its committed"
        " send:\n"
        f"  before       {spread(measured.before)} ({len(measured.before):,} sends)\n"
        f"  meanwhile    {spread(measured.during)} ({len(measured.during):,} sends)"
    )
