"""What was measured, as a table that a person understands, and as JSON."""

import platform
import statistics
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from os import cpu_count, getloadavg
from pathlib import Path

import msgspec

from bench.measured import Lap
from bench.trigger_job import Measured, Pair


def machine() -> str:
    """Name the machine and its mood."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    load = getloadavg()[0]
    return f"{cpu_count()} cores of {model}, Python {platform.python_version()}, load before {load:.1f}"


def report(measured: Measured, where: str) -> str:
    """Write the table."""
    pairs, alone = measured.pairs, measured.alone
    best = max(pair.ratio for pair in pairs)
    rows = [
        ("read and decode alone", *_row(pairs, lambda pair: pair.raw)),
        ("Tidings, exactly once", *_row(pairs, lambda pair: pair.tidings)),
    ]
    ratio = statistics.median(pair.ratio for pair in pairs)
    least = min(pair.ratio for pair in pairs)
    cpu = _cpu(pair.raw for pair in pairs) / _cpu(pair.tidings for pair in pairs)
    lines = [
        f"Trigger job: {measured.events:,} events of {measured.event_bytes} bytes, {measured.customers:,} customers,"
        f" 4 partitions; {measured.messages:,} messages and {measured.decisions:,} decisions came out.",
        "",
        "|                       | events/s, median | lowest to highest | CPU per event |",
        "|-----------------------|-----------------:|------------------:|--------------:|",
        *(f"| {name} | {median:>16} | {spread:>17} | {used:>13} |" for name, median, spread, used in rows),
        f"| ratio                 | {ratio:>16.0%} | {f'{least:.0%} to {best:.0%}':>17} | {cpu:>13.0%} |",
        "",
        f"Rules alone, in memory: {_us(alone.rules)} an event; the plain reference on the same events"
        f" {_us(alone.reference)}.",
        f"Output: OK, all {len(pairs)} laps gave the reference's messages, none doubled, none missing.",
        f"Machine: {where}. Other machines, other figures: compare the ratios.",
    ]
    return "\n".join(lines)


def save(measured: Measured, where: str, folder: Path, now: datetime) -> None:
    """Write table and laps into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    head = f"# Trigger job, {now.astimezone(UTC):%Y-%m-%d}\n\n"
    (folder / "trigger_job.md").write_text(f"{head}{report(measured, where)}\n", encoding="utf-8")
    encoded = msgspec.json.encode({"machine": where, **msgspec.to_builtins(measured)})
    (folder / "trigger_job.json").write_bytes(msgspec.json.format(encoded) + b"\n")


def _row(pairs: list[Pair], of: Callable[[Pair], Lap]) -> tuple[str, str, str]:
    laps = [of(pair) for pair in pairs]
    speeds = sorted(lap.events / lap.wall_s for lap in laps)
    return f"{statistics.median(speeds):,.0f}", f"{speeds[0]:,.0f} to {speeds[-1]:,.0f}", f"{_cpu(laps):.1f} µs"


def _cpu(laps: Iterable[Lap]) -> float:
    """The median of microseconds of CPU per event."""
    return statistics.median(lap.cpu_s / lap.events * 1e6 for lap in laps)


def _us(lap: Lap) -> str:
    return f"{lap.cpu_s / lap.events * 1e6:.1f} µs"
