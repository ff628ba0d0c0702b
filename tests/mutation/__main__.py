"""`make mutants`: which mistakes in triggers, conditions, timing and caps the tests would miss.

    python -m tests.mutation [MODULE ...] [--sample N] [--seed S] [--jobs N] [--again] [--without-laws]

Prints a line for each mutant that lives, and in the end a table. Those of `equivalent.txt` are known to change nothing
that anybody could see; each group says why.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.runner import Reached, prepare, record, run_all

_TRIGGERS: Final = ("tests/property/test_triggers.py",)
LAWS: Final[dict[str, tuple[str, ...]]] = {
    "absences": (*_TRIGGERS, "tests/property/test_late_events.py"),
    "frequency": _TRIGGERS,
    "keys": ("tests/property/test_starting.py",),
    "occasions": ("tests/property/test_schedules.py",),
    "rising": (*_TRIGGERS, "tests/property/test_scoring.py"),
    "schedules": ("tests/property/test_schedules.py",),
    "scoring": (*_TRIGGERS, "tests/property/test_scoring.py", "tests/property/test_flips.py"),
    "sequences": _TRIGGERS,
    "starting": ("tests/property/test_starting.py",),
    "thresholds": _TRIGGERS,
    "holdouts": (),
    "repeats": ("tests/property/test_decide.py",),
    "newest": (),
    "quiet_tests": (),
    "awaiting": ("tests/property/test_reopening.py",),
    "conditions": ("tests/property/test_conditions.py",),
    "exits": ("tests/property/test_starting.py",),
    "flips": ("tests/property/test_flips.py",),
    "operators": ("tests/property/test_conditions.py", "tests/property/test_flips.py"),
    "answer_hours": ("tests/property/test_timing.py",),
    "best_hours": ("tests/property/test_timing.py",),
    "overdue": ("tests/property/test_late_ticks.py",),
    "quiet_hours": ("tests/property/test_timing.py",),
    "timing": ("tests/property/test_timing.py",),
    "caps": ("tests/property/test_caps.py",),
}
"""The modules, and the files of laws that are tried on what the unit tests let live."""
_FOLDER: Final = Path(".mutants")
_RESULTS: Final = _FOLDER / "results.json"
_EQUIVALENT: Final = Path(__file__).with_name("equivalent.txt")
MOST_SURVIVORS: Final = 0.05


def equivalent() -> frozenset[str]:
    """Return the names of the mutants that are known to change nothing; lines that begin with # say why."""
    lines = _EQUIVALENT.read_text().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def sampled(mutants: list[Mutant], size: int | None, seed: int) -> list[Mutant]:
    """Draw so many of the mutants, the same ones for a seed."""
    places = range(len(mutants))
    drawn = sorted(places, key=lambda place: blake2b(f"{seed}:{mutants[place].name}".encode()).digest())[:size]
    return [mutants[place] for place in sorted(drawn)]


def table(mutants: list[Mutant], results: dict[str, str]) -> str:
    """Draw up the table: of each module how many were tried, killed, and live, and how many of these are known."""
    heads = ["| module | mutants | killed | survivors | of these equivalent |", "|---|---|---|---|---|"]
    modules = dict.fromkeys(mutant.module for mutant in mutants)
    counts = {module: Counter(results[one.name] for one in mutants if one.module == module) for module in modules}
    counts["all"] = Counter(results[one.name] for one in mutants)
    return "\n".join([*heads, *(_row(name, count) for name, count in counts.items())])


def _row(name: str, count: Counter[str]) -> str:
    alike = count["equivalent"]
    return f"| {name} | {count.total()} | {count['killed']} | {count['survived'] + alike} | {alike} |"


def main() -> int:
    """Run the mutants that are asked for."""
    asked = argparse.ArgumentParser(prog="python -m tests.mutation", description="Run mutants of the rules.")
    asked.add_argument("modules", nargs="*", metavar="MODULE", help="all of them, when none is named")
    asked.add_argument("--sample", type=int, metavar="N", help="so many of the mutants; all, when left out")
    asked.add_argument("--seed", type=int, default=0, metavar="S", help="of the sample (0)")
    asked.add_argument("--jobs", type=int, default=2, metavar="N", help="processes at once (2)")
    asked.add_argument("--again", action="store_true", help="take what was killed before for killed")
    asked.add_argument("--without-laws", action="store_true", help="run unit tests only")
    options = asked.parse_args()
    modules = options.modules or list(LAWS)
    if unknown := [module for module in modules if module not in LAWS]:
        asked.error(f"no such module: {', '.join(unknown)}; there are {', '.join(LAWS)}")
    mutants = [mutant for module in modules for mutant in mutants_of(module, Path(f"journeys/{module}.py").read_text())]
    mutants = sampled(mutants, options.sample, options.seed)
    results = run(mutants, equivalent(), jobs=options.jobs, again=options.again, with_laws=not options.without_laws)
    print(table(mutants, results))
    unexplained = sum(results[mutant.name] == "survived" for mutant in mutants)
    print(f"{unexplained} of {len(mutants)} live without an explanation")
    return 0 if unexplained <= MOST_SURVIVORS * len(mutants) else 1


def run(mutants: list[Mutant], known: frozenset[str], *, jobs: int, again: bool, with_laws: bool) -> dict[str, str]:
    """Run mutants, but none that is known as equivalent; say by name what became of each, and write it down."""
    prepare(_FOLDER)
    record(_FOLDER)
    reached, told_before = Reached(_FOLDER), _read_results() if again else {}
    results = {name: what for name, what in told_before.items() if what == "killed"}
    results |= dict.fromkeys((mutant.name for mutant in mutants if mutant.name in known), "equivalent")
    waiting = [mutant for mutant in mutants if mutant.name not in results]
    left = len(waiting)

    def stages(mutant: Mutant) -> tuple[Sequence[str], ...]:
        own, others = reached.own(mutant.module), reached.others(mutant.module, mutant.lines)
        return own, others, LAWS[mutant.module] if with_laws else ()

    def told(mutant: Mutant, what: str) -> None:
        nonlocal left
        results[mutant.name], left = what, left - 1
        if what == "survived":
            print(f"{mutant.line}: {mutant.name}", flush=True)
        if left % 50 == 0:
            print(f"{left} left", file=sys.stderr, flush=True)
            _RESULTS.write_bytes(msgspec.json.encode(results))

    run_all(waiting, stages, jobs, told)
    _RESULTS.write_bytes(msgspec.json.encode(results))
    return results


def _read_results() -> dict[str, str]:
    return msgspec.json.decode(_RESULTS.read_bytes(), type=dict[str, str]) if _RESULTS.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
