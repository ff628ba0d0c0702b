"""Replay beside what was live: each goes through the same traffic, in turns, and every decision must come out again.

`python -m bench.replay BROKERS PREFIX` is the measured half: it replays all partitions in one process, and prints its
lap as JSON. What counts is the CPU of one process with all its threads, for a replay takes as many cores as there are.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from msgspec import Struct

from agents.catalogues import Catalogues
from agents.replaying import ReplayPlan, reach_of, replay_partition
from agents.standing import read_standing
from bench.log import PARTITIONS
from bench.measured import Lap, Moment, together
from bench.reference import expected
from bench.through import system_lap
from bench.traffic import read_traffic, traffic
from bench.trigger_job import WrongOutput, fold_lap, remove_laps, run_measured
from journeys.validation import definitions_from_documents
from schemas.topics import CUSTOMER_LOG
from streams.collecting import collect_seldom
from streams.connection import Connection
from tidings.clock import fresh_bytes
from tidings.processes import topic_ids

_SPAN_S: Final = 21 * 86_400
"""How much time the traffic covers."""


class ReplayRound(Struct, frozen=True, kw_only=True):
    """One lap of each; the replay is of the log that the system has written."""

    system: Lap
    """All of the system, from the public topics on."""
    worker: Lap
    """The worker of it."""
    behind: Lap
    """A worker alone, over a log that is there in full: its transactions are as large as they get."""
    replay: Lap


def run_replay(connection: Connection, cache: Path, laps: int, say: Callable[[str], None]) -> list[ReplayRound]:
    """Measure.

    Raises:
        WrongOutput: something didn't come out again.
        WorkerFailed: a process ended or stood still.
    """
    path = traffic(cache)
    _, end = expected(read_traffic(path))
    rounds = list[ReplayRound]()
    for lap in range(1, laps + 1):
        prefix, again = (f"bench-{fresh_bytes(4).hex()}." for _ in range(2))
        try:
            events, shares = system_lap(connection, prefix, path, end, cache, workers=1)
            replay = run_measured("bench.replay", connection.bootstrap_servers, prefix, answer=Lap)
            behind = fold_lap(connection, prefix, again, events, cache, workers=1)
        finally:
            remove_laps(connection, [prefix, prefix, again])
        rounds.append(
            ReplayRound(
                system=together(shares, events), worker=together(shares[1:], events), behind=behind, replay=replay
            )
        )
        say(f"lap {lap} of {laps}: {told([rounds[-1]])}")
    return rounds


def told(rounds: list[ReplayRound]) -> str:
    """Say what was measured."""
    replay = median(_us(one.replay) for one in rounds)
    fast = median(_SPAN_S / one.replay.wall_s for one in rounds)
    rows = [
        ("the live system, from the public topics on", [one.system for one in rounds]),
        ("its worker", [one.worker for one in rounds]),
        ("a worker alone, over a log that is there", [one.behind for one in rounds]),
    ]
    head = (
        f"Replay takes {replay:.1f} µs of CPU an event, with every decision compared; one process goes through the"
        f" traffic {fast:,.0f} times as fast as it happened. A core replays as many times as fast as"
    )
    return "\n".join([head, *(_told_row(name, laps, rounds) for name, laps in rows)])


def _told_row(name: str, laps: list[Lap], rounds: list[ReplayRound]) -> str:
    ratios = sorted(_us(lap) / _us(one.replay) for lap, one in zip(laps, rounds, strict=True))
    how_fast = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return f"  {how_fast}: {name}, which takes {median(map(_us, laps)):.1f} µs"


def _us(lap: Lap) -> float:
    return lap.cpu_s / lap.events * 1e6


def _replay(connection: Connection, prefix: str) -> Lap:
    """Replay everything in this process, as one of the processes of `tidings replay` does."""
    collect_seldom()
    log = prefix + CUSTOMER_LOG
    positions = {number: one.next_offset for number, one in read_standing(connection, prefix).positions.items()}
    reaches = reach_of(connection, prefix, positions)
    plan = ReplayPlan(
        connection=connection, prefix=prefix, partitions=PARTITIONS, topic_id=topic_ids(connection, [log])[log]
    )
    catalogues = Catalogues(connection, prefix, definitions_from_documents)
    catalogues.load(1)
    begin = Moment.now()
    results = [replay_partition(plan, number, reach, catalogues) for number, reach in sorted(reaches.items())]
    lap = begin.to(Moment.now(), sum(result.records for result in results))
    if any(result.differences or result.unchecked or result.undecided for result in results):
        raise WrongOutput("a replay differs from what was decided")
    return lap


if __name__ == "__main__":
    _brokers, _prefix = sys.argv[1:]
    sys.stdout.buffer.write(msgspec.json.encode(_replay(Connection(bootstrap_servers=_brokers), _prefix)))
