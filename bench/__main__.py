"""`make bench`, or `python -m bench [--laps N] [--save]`; ends with 1 when the output isn't the reference's.

`python -m bench timers [--customers N] [--workers N] [--alone]` measures timers by the wall clock, `latency [--rate N]
[--partitions N] [--workers N]` the way from an event to its send, `crowd [--customers N] [--workers N]` what many
customers cost, `backfill [--customers N] [--rate N] [--partitions N] [--workers N]` how long an event waits while a
workflow is backfilled, `through [--laps N] [--workers N]` the job from the public topics on, `soak [--minutes N]
[--rate N] [--workers N]` a steady rate for long with rebalances, `replay [--laps N]` replay, and `decide [--laps N]
[--save]` the rules alone, which needs no Kafka.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench import backfill, crowd, latency, replay, soak, through
from bench.live import LiveFailed
from bench.memory import Alone
from bench.report import machine, report, save, save_alone, told_alone, told_state
from bench.states import states
from bench.timers import CUSTOMERS, run_timers, told
from bench.traffic import traffic
from bench.trigger_job import DEFINITIONS, WorkerFailed, WrongOutput, run_job, run_measured
from schemas.errors import TidingsError
from streams.connection import Connection
from tidings.services.borrowed import borrow_kafka
from tidings.settings import Settings, process_environment, read_settings

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Tidings against reading and decoding alone.")
    parser.add_argument(
        "what",
        nargs="?",
        choices=["job", "decide", "timers", "latency", "crowd", "replay", "through", "soak", "backfill"],
        default="job",
        help="what is measured",
    )
    parser.add_argument(
        "--customers", type=int, default=CUSTOMERS, help="for timers, crowd and backfill (default 100,000)"
    )
    parser.add_argument("--workers", type=int, default=1, help="for timers, latency, crowd and through (default 1)")
    parser.add_argument("--alone", action="store_true", help="for timers: no other traffic while the many fire")
    parser.add_argument(
        "--rate", type=int, default=latency.PER_S, help="events a second for latency, soak and backfill (default 1,000)"
    )
    parser.add_argument("--minutes", type=int, default=soak.MINUTES, help="for soak (default 30)")
    parser.add_argument(
        "--partitions",
        type=int,
        default=Settings().partitions,
        help="for latency, soak and backfill (default: the program's)",
    )
    parser.add_argument("--laps", type=int, default=3, help="how often each is measured, in turns (default 3)")
    parser.add_argument("--save", action="store_true", help="write the figures into bench/results too")
    options = parser.parse_args()
    where = machine()
    if options.what == "decide":
        return decide_alone(options.laps, where, save_too=options.save)
    try:
        with borrow_kafka(read_settings(process_environment())) as kafka:
            cache = ROOT / ".cache" / "bench"
            if options.what != "job":
                print("\n" + _measure(options, kafka.connection, cache))
                return 0
            measured = run_job(kafka.connection, cache, options.laps, say)
    except WrongOutput as error:
        print(f"bench: wrong output: {error}", file=sys.stderr)
        return 1
    except (WorkerFailed, LiveFailed, TidingsError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print("\n" + report(measured, where))
    if options.save:
        save(measured, where, ROOT / "bench" / "results", datetime.now(UTC))
    return 0


def _measure(options: argparse.Namespace, connection: Connection, cache: Path) -> str:
    """Measure what isn't the trigger job, and tell it."""
    crowded = {"customers": options.customers, "workers": options.workers}
    match options.what:
        case "timers":
            return told(run_timers(connection, cache / "timers", **crowded, say=say, alone=options.alone))
        case "latency":
            how = {"per_s": options.rate, "partitions": options.partitions, "workers": options.workers}
            return latency.told(latency.run_latency(connection, cache / "latency", **how, say=say))
        case "soak":
            steady = {"per_s": options.rate, "partitions": options.partitions, "workers": options.workers}
            return soak.told(soak.run_soak(connection, cache / "soak", **steady, minutes=options.minutes, say=say))
        case "backfill":
            beside = {"customers": options.customers, "per_s": options.rate, "partitions": options.partitions}
            went = backfill.run_backfill(connection, cache / "backfill", **beside, workers=options.workers, say=say)
            return backfill.told(went)
        case "crowd":
            return crowd.told(crowd.run_crowd(connection, cache / "crowd", **crowded, say=say))
        case "through":
            return through.told(through.run_through(connection, cache, options.laps, options.workers, say))
        case _:
            return replay.told(replay.run_replay(connection, cache, options.laps, say))


def decide_alone(laps: int, where: str, *, save_too: bool) -> int:
    """Measure the rules in memory, in a process of its own, and weigh a state."""
    path = traffic(ROOT / ".cache" / "bench")
    try:
        alone = run_measured("bench.memory", str(path), str(DEFINITIONS), str(laps), answer=Alone)
    except WorkerFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    sizes = states()
    print(told_alone(alone) + "\n" + told_state(sizes))
    if save_too:
        save_alone(alone, sizes, where, ROOT / "bench" / "results", datetime.now(UTC))
    return 0


def say(text: str) -> None:
    """Say what is going on."""
    print(f"bench: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
