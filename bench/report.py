"""What was measured, as a table that a person understands, and as JSON."""

import platform
import statistics
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from os import cpu_count, getloadavg
from pathlib import Path

import msgspec

from bench.measured import Lap
from bench.memory import Alone, AloneLap
from bench.states import StateSize
from bench.trigger_job import Measured, Round


def machine() -> str:
    """Name the machine and its mood."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    load = getloadavg()[0]
    return f"{cpu_count()} cores of {model}, Python {platform.python_version()}, load before {load:.1f}"


def report(measured: Measured, where: str) -> str:
    """Write the table."""
    rounds = measured.rounds
    rows = [
        _row("read and decode, record by record", rounds, lambda each: each.raw),
        _row("read and decode, in large batches", rounds, lambda each: each.batches),
        _row("Tidings, one worker", rounds, lambda each: each.tidings),
        _row("Tidings, two workers", rounds, lambda each: each.two_workers),
        _ratio("one worker to record by record", rounds, lambda each: each.tidings, lambda each: each.raw),
        _ratio("one worker to large batches", rounds, lambda each: each.tidings, lambda each: each.batches),
        _ratio("two workers to record by record", rounds, lambda each: each.two_workers, lambda each: each.raw),
        _ratio("two workers to large batches", rounds, lambda each: each.two_workers, lambda each: each.batches),
    ]
    job = (
        f"Trigger job: {measured.events:,} events of {measured.event_bytes} bytes, {measured.customers:,} customers,"
        f" 4 partitions; {measured.messages:,} messages and {measured.decisions:,} decisions came out."
    )
    lines = [
        job,
        "",
        f"| {'':33} | events/s, median | lowest to highest  | CPU per event |",
        f"|{'-' * 35}|-----------------:|-------------------:|--------------:|",
        *(f"| {name:33} | {median:>16} | {spread:>18} | {used:>13} |" for name, median, spread, used in rows),
        "",
        told_alone(measured.alone),
        f"Output: OK, all {len(rounds)} laps gave the reference's messages, none doubled, none missing.",
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


def _row(name: str, rounds: list[Round], of: Callable[[Round], Lap]) -> tuple[str, str, str, str]:
    laps = [of(each) for each in rounds]
    speeds = sorted(map(_speed, laps))
    return name, f"{statistics.median(speeds):,.0f}", f"{speeds[0]:,.0f} to {speeds[-1]:,.0f}", f"{_cpu(laps):.1f} µs"


def _ratio(
    name: str, rounds: list[Round], of: Callable[[Round], Lap], to: Callable[[Round], Lap]
) -> tuple[str, str, str, str]:
    """Compare within each round, since the machine's mood is the same there."""
    speeds = sorted(_speed(of(each)) / _speed(to(each)) for each in rounds)
    used = _cpu(to(each) for each in rounds) / _cpu(of(each) for each in rounds)
    return name, f"{statistics.median(speeds):.0%}", f"{speeds[0]:.0%} to {speeds[-1]:.0%}", f"{used:.0%}"


def _speed(lap: Lap) -> float:
    return lap.events / lap.wall_s


def _cpu(laps: Iterable[Lap]) -> float:
    """The median of microseconds of CPU per event."""
    return statistics.median(lap.cpu_s / lap.events * 1e6 for lap in laps)


def told_alone(alone: Alone) -> str:
    """Say what the rules cost without Kafka; ratios are medians of those within laps."""
    laps = alone.laps
    return (
        f"Rules alone, in memory: {_us(lap.rules for lap in laps)} an event; `decide` by itself"
        f" {_us(lap.decide for lap in laps)}; the plain reference on the same events"
        f" {_us(lap.reference for lap in laps)}.\n"
        f"`decide` to the reference: {_within(laps, lambda lap: lap.decide, lambda lap: lap.reference)}."
        f" The rules with the memory around them: {_within(laps, lambda lap: lap.rules, lambda lap: lap.reference)}.\n"
        f"500 workflows to 5, of which the events concern the same: "
        f"{_within(laps, lambda lap: lap.crowd, lambda lap: lap.few)}."
    )


def told_state(sizes: list[StateSize]) -> str:
    """Say what states weigh, a line for each."""
    return "\n".join(
        f"State of a {size.who} customer with {size.executions} executions and {size.events} events:"
        f" {size.state_bytes:,} bytes, {size.plain_bytes:,} before compressing"
        f" ({', '.join(f'{name} {weight:,}' for name, weight in size.largest.items())})."
        for size in sizes
    )


def save_alone(alone: Alone, sizes: list[StateSize], where: str, folder: Path, now: datetime) -> None:
    """Write what was measured in memory into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (
        f"# Decide, {now.astimezone(UTC):%Y-%m-%d}",
        "",
        told_alone(alone),
        told_state(sizes),
        f"Machine: {where}.",
    )
    (folder / "decide.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    measured = {"machine": where, **msgspec.to_builtins(alone), "states": msgspec.to_builtins(sizes)}
    (folder / "decide.json").write_bytes(msgspec.json.format(msgspec.json.encode(measured)) + b"\n")


def _within(laps: list[AloneLap], of: Callable[[AloneLap], Lap], to: Callable[[AloneLap], Lap]) -> str:
    """Compare within each lap, by the wall clock: the calls of `decide` are timed one by one."""
    found = sorted(of(lap).wall_s / to(lap).wall_s for lap in laps)
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def _us(laps: Iterable[Lap]) -> str:
    return f"{_cpu(laps):.1f} µs"
