"""Latency: from the public topic to a committed send, at a steady rate.

Events are published at a rate, each by another customer, and each leads to a mail at once. The time of an event is that
at which it was handed to the producer; of a send, when a stranger who reads what is committed has it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.live import LiveFailed, LiveSystem, mailing, spread
from streams.connection import Connection
from tidings.clock import monotonic_s, pause

PER_S: Final = 1_000
SECONDS: Final = 60.0
WARM_S: Final = 10.0
"""Not counted: caches fill, connections open."""


class Latency(Struct, frozen=True, kw_only=True):
    """What was measured."""

    per_s: int
    partitions: int
    workers: int
    late: list[int]
    """Milliseconds from each event to its send, sorted."""
    cpu: float
    """How much of one processor the workers used."""


def run_latency(
    connection: Connection, folder: Path, *, per_s: int, partitions: int, workers: int, say: Callable[[str], None]
) -> Latency:
    """Measure.

    Args:
        connection: where Kafka is.
        folder: for logs and definitions.
        per_s: events a second; each leads to a mail.
        partitions: of all topics.
        workers: how many processes decide.
        say: is told what is going on.

    Raises:
        LiveFailed: a process ended or stood still, or an event had no send, or two.
    """
    with LiveSystem(connection, folder, workers=workers, partitions=partitions) as system:
        system.apply([mailing("at-once", "page_viewed", None)])
        system.start()
        system.wait(system.are_ready, "the workers are ready")
        say(f"{per_s:,} events a second for {WARM_S + SECONDS:.0f} s")
        with system.watched():
            with system.busy("page_viewed", per_s):
                last(system, WARM_S)
                warm, used, began = system.mailed("at-once"), system.cpu_s(), monotonic_s()
                last(system, SECONDS)
                used, lasted = system.cpu_s() - used, monotonic_s() - began
            system.producer.flush()
            system.wait(lambda: system.mailed("at-once") == len(system.published), "every event has its send")
            pause(1.0)
        if len(system.sends("at-once")) != len(system.published):
            raise LiveFailed(f"{len(system.published):,} events led to {len(system.sends('at-once')):,} sends")
        # In the order in which they could be read; the first are from before everything was warm.
        seen = list(system.seen["at-once"].items())[warm:]
        late = sorted(at - system.published[customer] for customer, [(_, at)] in seen)
        return Latency(per_s=per_s, partitions=partitions, workers=workers, late=late, cpu=used / lasted)


def last(system: LiveSystem, seconds: float) -> None:
    """Let so much time go by, while every process lives."""
    until = monotonic_s() + seconds
    system.wait(lambda: monotonic_s() >= until, "the time is over")


def told(measured: Latency) -> str:
    """Say what was measured."""
    return (
        f"{measured.per_s:,} events a second over {measured.partitions} partitions, workers: {measured.workers};"
        f" from an event to its committed send: {spread(measured.late)} ({len(measured.late):,} sends;"
        f" {measured.cpu:.0%} of one processor in workers)"
    )
