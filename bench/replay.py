"""Replay beside the live worker: each folds the same log once, in turns, and every decision must come out again.

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
from bench.log import PARTITIONS, write_log
from bench.measured import Lap, Moment
from bench.reference import expected
from bench.traffic import read_traffic, traffic
from bench.trigger_job import DEFINITIONS, WrongOutput, fold_lap, remove_laps, run_measured
from journeys.validation import definitions_from_documents
from schemas.topics import CUSTOMER_LOG
from streams.collecting import collect_seldom
from streams.connection import Connection
from tidings.clock import fresh_bytes
from tidings.definitions_folder import load_folder
from tidings.processes import topic_ids

_SPAN_S: Final = 21 * 86_400
"""How much time the traffic covers."""


class ReplayRound(Struct, frozen=True, kw_only=True):
    """One lap of each over one log."""

    live: Lap
    replay: Lap


def run_replay(connection: Connection, cache: Path, laps: int, say: Callable[[str], None]) -> list[ReplayRound]:
    """Measure.

    Raises:
        WrongOutput: something didn't come out again.
        WorkerFailed: a process ended or stood still.
    """
    path = traffic(cache)
    _, end = expected(read_traffic(path))
    events = sum(1 for _ in read_traffic(path))
    documents, rounds = load_folder(DEFINITIONS).documents, list[ReplayRound]()
    for lap in range(1, laps + 1):
        prefix = f"bench-{fresh_bytes(4).hex()}."
        try:
            write_log(connection, prefix, documents, path, end)
            live = fold_lap(connection, prefix, prefix, events, cache, workers=1)
            replay = run_measured("bench.replay", connection.bootstrap_servers, prefix, answer=Lap)
        finally:
            remove_laps(connection, [prefix, prefix])
        say(f"lap {lap} of {laps}: {live.events / live.wall_s:,.0f} events/s live, replay {_rate(replay)}")
        rounds.append(ReplayRound(live=live, replay=replay))
    return rounds


def told(rounds: list[ReplayRound]) -> str:
    """Say what was measured."""
    live = median(one.live.cpu_s / one.live.events for one in rounds) * 1e6
    replay = median(one.replay.cpu_s / one.replay.events for one in rounds) * 1e6
    ratios = sorted((one.live.cpu_s / one.live.events) / (one.replay.cpu_s / one.replay.events) for one in rounds)
    fast = median(_SPAN_S / one.replay.wall_s for one in rounds)
    return (
        f"live {live:.1f} µs of CPU an event, replay {replay:.1f} µs with every decision compared:"
        f" a core replays"
        f" {median(ratios):.2f} times as fast as it decides live (from {ratios[0]:.2f} to {ratios[-1]:.2f}).\n"
        f"One process goes through the traffic {fast:,.0f} times as fast as it happened."
    )


def _rate(lap: Lap) -> str:
    return f"{lap.events / lap.wall_s:,.0f} events/s"


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
