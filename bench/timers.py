"""Timers by the wall clock: how late one is, and how long so many take that fall due in the same second.

Customers sign up and are mailed a fixed time later, all within one second; others go on with what they do, and are
mailed for it at once, unless the wave is to be alone.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.live import LiveFailed, LiveSystem, mailing, spread
from schemas.instants import Millis
from streams.connection import Connection
from tidings.clock import pause, wall_ms

PARTITIONS: Final = 4
CUSTOMERS: Final = 100_000
LONE: Final = 200
"""Customers whose timers fall due one by one, before the others'."""
OTHERS_PER_S: Final = 200
LONE_WAIT_MS: Final = 5_000


class Timers(Struct, frozen=True, kw_only=True):
    """What was measured; milliseconds."""

    customers: int
    workers: int
    send_bytes: int
    lone_late: list[int]
    """How late sends of single timers could be read."""
    wave_ms: int
    """From the instant at which all were due to when the last send could be read."""
    wave_cpu_s: float
    """Of the workers, meanwhile."""
    at_once_before: list[int]
    """From an event to its committed send, before the wave."""
    at_once_within: list[int]


def run_timers(
    connection: Connection,
    folder: Path,
    customers: int,
    workers: int,
    say: Callable[[str], None],
    *,
    alone: bool = False,
) -> Timers:
    """Measure.

    Args:
        connection: where Kafka is.
        folder: for logs and definitions.
        customers: how many timers fall due in the same second.
        workers: how many processes decide.
        say: is told what is going on.
        alone: whether nobody else does anything while the timers fire.

    Raises:
        LiveFailed: a process ended or stood still, or a send is missing, doubled or early.
    """
    with LiveSystem(connection, folder, workers=workers, partitions=PARTITIONS) as system:
        return _measure(system, customers, say, alone=alone)


def _measure(system: LiveSystem, customers: int, say: Callable[[str], None], *, alone: bool) -> Timers:
    # Signing up takes some 0.4 ms each; the rest is for what comes before the wave.
    wait_ms = 60_000 + customers
    system.apply(
        [
            mailing("at-once", "page_viewed", None),
            mailing("lone", "product_viewed", LONE_WAIT_MS),
            mailing("wave", "signup", wait_ms),
        ]
    )
    system.start()
    with system.watched():
        say(f"{customers:,} customers sign up")
        begin = wall_ms()
        due_at = begin + wait_ms
        for number in range(customers):
            system.publish("signup", f"c{number}", begin + number * 1_000 // customers)
        system.settle("everybody has signed up")
        if wall_ms() > due_at - 15_000:
            raise LiveFailed("signing up took so long that the wave began before its time")
        with ExitStack() as others:
            others.enter_context(system.busy("page_viewed", OTHERS_PER_S))
            say("single timers")
            for number in range(LONE):
                system.publish("product_viewed", f"lone-{number}", wall_ms())
                pause(0.02)
            system.wait(lambda: system.mailed("lone") == LONE, "the single timers have fired")
            if alone:
                others.close()
            say(f"{(due_at - wall_ms()) / 1000:.0f} s until all the others are due")
            system.wait(lambda: wall_ms() >= due_at, "the time has come")
            used = system.cpu_s()
            system.wait(lambda: system.mailed("wave") == customers, "everybody is mailed")
            used = system.cpu_s() - used
            pause(1.0)
    wave, lone, at_once = system.sends("wave"), system.sends("lone"), system.sends("at-once")
    if len(wave) != customers or len(lone) != LONE or any(at < due for due, at in [*wave, *lone]):
        raise LiveFailed("a send came twice, or before its time")
    end = max(at for _, at in wave)
    return Timers(
        customers=customers,
        workers=system.workers,
        send_bytes=system.bytes,
        lone_late=_late(lone),
        # The last of them is due a second after the first.
        wave_ms=end - due_at,
        wave_cpu_s=used,
        at_once_before=_late([times for times in at_once if times[1] < due_at]),
        at_once_within=_late([times for times in at_once if due_at <= times[0] <= end]),
    )


def _late(sends: list[tuple[Millis, Millis]]) -> list[int]:
    return sorted(at - due for due, at in sends)


def told(measured: Timers) -> str:
    """Say what was measured."""
    seconds = measured.wave_ms / 1000
    wave = (
        f"{measured.customers:,} timers due within one second, sends of {measured.send_bytes:,} bytes: the last could"
        f" be read {seconds:.1f} s after the first was due ({measured.customers / seconds:,.0f} a second,"
        f" {measured.wave_cpu_s * 1e6 / measured.customers:.0f} µs of CPU each in workers: {measured.workers})"
    )
    before, within = spread(measured.at_once_before), spread(measured.at_once_within)
    return f"""single timers: {spread(measured.lone_late)} after they were due
{wave}
others' events to their sends: {before} before, and {within} meanwhile"""
