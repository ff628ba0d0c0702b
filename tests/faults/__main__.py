"""`make faults SEED=n MINUTES=m BROKERS=1|3`: a long experiment; its raw report goes to bench/results/faults/.

The report is NDJSON: first what was asked for, then a line for each fault, last the verdict. The exit code is 0 where
nothing is missing, doubled or different.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import msgspec

from tests.faults.cluster import DISK_MB, Cluster
from tests.faults.laboratory import PARTITIONS, WORKERS, Laboratory, Outcome
from tests.faults.schedule import KINDS, schedule
from tidings.clock import monotonic_s

RESULTS = Path(__file__).parents[2] / "bench" / "results" / "faults"
FAULTS_PER_MINUTE = 4
DISK_MB_PER_FAULT = 16
"""What the traffic of one leaves there, and as much again."""


def main() -> int:
    """Run it, and return the exit code."""
    # Also where a shell has started us in its background, where SIGINT is ignored; and `kill PID` is to clean up too.
    for asked_to_end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked_to_end, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--kind", choices=KINDS, action="append", help="only faults of this kind; may be repeated")
    parser.add_argument("--keep", action="store_true", help="leave the logs for you to read")
    asked = parser.parse_args()
    count = max(1, round(asked.minutes * FAULTS_PER_MINUTE))
    faults = schedule(asked.seed, count, asked.brokers, WORKERS, tuple(asked.kind or KINDS))
    folder = Path(tempfile.mkdtemp(prefix="tidings-faults-"))
    RESULTS.mkdir(parents=True, exist_ok=True)
    part = f"-{'-'.join(asked.kind)}" if asked.kind else ""
    report = RESULTS / f"seed-{asked.seed}-brokers-{asked.brokers}-faults-{count}{part}.ndjson"
    outcomes: list[Outcome] = []
    is_right = False
    began = monotonic_s()
    try:
        disk_mb = DISK_MB + DISK_MB_PER_FAULT * count
        with report.open("wb") as file, Cluster(folder / "kafka", asked.brokers, disk_mb) as cluster:

            def write(**words: object) -> None:
                file.write(msgspec.json.encode(words) + b"\n")
                file.flush()

            def told(outcome: Outcome) -> None:
                outcomes.append(outcome)
                write(record="fault", **msgspec.to_builtins(outcome))
                print(f"{outcome.at_s:7.1f} s  {outcome.fault.kind:15} {_in_words(outcome)}", flush=True)

            write(
                record="asked", seed=asked.seed, brokers=asked.brokers, faults=count, workers=WORKERS,
                partitions=PARTITIONS,
            )  # fmt: skip
            verdict = Laboratory(cluster, folder, asked.seed, faults).run(told)
            struck = [one for one in outcomes if not one.skipped]
            write(
                record="verdict", **msgspec.to_builtins(verdict), is_right=verdict.is_right,
                seconds=round(monotonic_s() - began, 1), kinds=Counter(one.fault.kind for one in struck),
                in_transaction=sum(one.transaction_open for one in struck),
            )  # fmt: skip
            is_right = verdict.is_right
            print(f"{'right' if is_right else 'WRONG'}: {verdict}\nreport: {report.relative_to(RESULTS.parents[2])}")
    except KeyboardInterrupt:
        print("stopped; everything that was started is ended", file=sys.stderr)
        return 130
    except (TimeoutError, AssertionError) as error:
        print(f"faults: {error}", file=sys.stderr)
    finally:
        if is_right and not asked.keep:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"logs: {folder}", file=sys.stderr)
    return 0 if is_right else 1


def _in_words(outcome: Outcome) -> str:
    if outcome.skipped:
        return f"skipped: {outcome.skipped}"
    inside = "in a transaction" if outcome.transaction_open else "between transactions"
    return f"{inside}; decided {outcome.before:,} -> {outcome.after:,}, going on after {outcome.mended_s:.1f} s"


if __name__ == "__main__":
    sys.exit(main())
