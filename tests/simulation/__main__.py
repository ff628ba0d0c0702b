"""Run seeds of the simulation: `python -m tests.simulation SEED` one with its trace, `--seeds N` many from `--from`."""

import argparse
import sys

from tests.simulation.application import Broken
from tests.simulation.judging import judged
from tidings.clock import monotonic_s


def main() -> int:
    """Return 0 where all seeds gave what `simulate` gives, each twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seed", type=int, nargs="?", help="run this one and print its trace")
    parser.add_argument("--digest", action="store_true", help="print a hash of all that happened instead")
    parser.add_argument("--seeds", type=int, default=1_000, help="how many to run")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them")
    asked = parser.parse_args()
    if asked.seed is not None:
        return _one(asked.seed, digest=asked.digest)
    return _many(asked.first, asked.seeds)


def _one(seed: int, *, digest: bool) -> int:
    try:
        verdict = judged(seed)
    except Broken as broken:
        print(*getattr(broken, "__notes__", ()), broken, sep="\n")
        return 1
    if digest:
        print(verdict.digest())
    else:
        print(*verdict.trace, f"seed {seed}: {len(verdict.records)} records, as of `simulate`", sep="\n")
    return 0


def _many(first: int, count: int) -> int:
    began, failed, deaths = monotonic_s(), 0, 0
    for seed in range(first, first + count):
        try:
            verdict, again = judged(seed), judged(seed)
            deaths += verdict.deaths
            if verdict.digest() != again.digest():
                failed += 1
                print(f"seed {seed}: it went another way the second time")
        except Broken as broken:
            failed += 1
            print(broken)
    took = monotonic_s() - began
    print(f"{count} seeds, each twice, {deaths} deaths, {failed} failed; {count / took * 60:,.0f} seeds a minute")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
