"""Soak: a steady rate for long, while workers restart, join and leave; whether commits keep up, and memory stays.

Each event is of another customer, and leads to a mail at once. Every minute something happens to a worker, in turns:
one is ended in order and started again, or one more joins for half of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.live import LiveFailed, LiveSystem, mailing, spread
from streams.connection import Connection
from tidings.clock import monotonic_s, pause
from tidings.seeing.report import keeping_up

MINUTES: Final = 30
LOOK_EVERY_S: Final = 5.0
ROW_MINUTES: Final = 5
WORKFLOW: Final = "at-once"


class Row(Struct, frozen=True, kw_only=True):
    """Some minutes of it."""

    minute: int
    """The last of them."""
    late: list[int]
    """Milliseconds from each event to its send, sorted."""
    behind: int
    """The most records of the log that weren't decided at a look."""
    resident_bytes: int
    """Of the workers, at the end."""
    customers: int


class Soak(Struct, frozen=True, kw_only=True):
    """What was measured."""

    per_s: int
    workers: int
    partitions: int
    rows: list[Row]
    sends: int


def run_soak(
    connection: Connection, folder: Path, *, per_s: int, minutes: int, partitions: int, workers: int,
    say: Callable[[str], None],
) -> Soak:  # fmt: skip
    """Measure.

    Args:
        connection: where Kafka is.
        folder: for logs and definitions.
        per_s: events a second; each leads to a mail.
        minutes: how long.
        partitions: of all topics.
        workers: how many processes decide.
        say: is told of each row.

    Raises:
        LiveFailed: a process ended or stood still, or an event had no send, or two.
    """
    rows: list[Row] = []
    with LiveSystem(connection, folder, workers=workers, partitions=partitions) as system:
        system.apply([mailing(WORKFLOW, "page_viewed", None)])
        system.start()
        system.wait(system.are_ready, "the workers are ready")
        told, behind = 0, 0
        with system.watched():
            with system.busy("page_viewed", per_s):
                for minute in range(1, minutes + 1):
                    behind = max(behind, _one_minute(system, minute))
                    if minute % ROW_MINUTES == 0 or minute == minutes:
                        rows.append(_row(system, minute, told, behind))
                        say(row_told(rows[-1]))
                        told, behind = told + len(rows[-1].late), 0
            system.producer.flush()
            system.wait(lambda: system.mailed(WORKFLOW) == len(system.published), "every event has its send")
            pause(1.0)
        sends = len(system.sends(WORKFLOW))
        if sends != len(system.published):
            raise LiveFailed(f"{len(system.published):,} events led to {sends:,} sends")
    return Soak(per_s=per_s, workers=workers, partitions=partitions, rows=rows, sends=sends)


def _one_minute(system: LiveSystem, minute: int) -> int:
    """Let a minute pass with what happens in it; return how far decisions were behind at most."""
    until, behind = monotonic_s() + 60, 0
    if minute % 2:
        system.restart_worker(minute // 2 % system.workers)
    else:
        system.begin_guest()
    while monotonic_s() < until:
        looked = monotonic_s() + LOOK_EVERY_S
        system.wait(lambda looked=looked: monotonic_s() >= looked, "the time is over")  # type: ignore[misc]
        behind = max(behind, keeping_up(system.connection, system.prefix, ())[1].behind)
        if monotonic_s() > until - 30:
            system.end_guest()
    return behind


def _row(system: LiveSystem, minute: int, told: int, behind: int) -> Row:
    # In the order in which they could be read.
    seen = list(system.seen[WORKFLOW].items())[told:]
    late = sorted(times[0][1] - system.published[customer] for customer, times in seen)
    resident, customers = system.resident_bytes(), told + len(seen)
    return Row(minute=minute, late=late, behind=behind, resident_bytes=resident, customers=customers)


def row_told(row: Row) -> str:
    """Say what some minutes were like."""
    return (
        f"minute {row.minute}: {len(row.late):,} sends, {spread(row.late)}; at most {row.behind:,} records behind;"
        f" workers hold {row.resident_bytes / 1e6:,.0f} MB, {row.customers:,} customers"
    )


def told(measured: Soak) -> str:
    """Say what was measured."""
    head = (
        f"{measured.per_s:,} events a second over {measured.partitions} partitions, workers: {measured.workers}, one"
        f" restarted or another joining every minute; {measured.sends:,} sends, each once"
    )
    return "\n".join([head, *map(row_told, measured.rows)])
