"""Running mutants: each in a process of its own, in which nothing was computed before it.

One process loads what the tests need and forgets the rules (`journeys`, and whatever imports them) again. For each
mutant it forks; the child imports the rules anew, the mutant in place of its module, and runs tests until one fails:
first the unit tests of the module and those that reach the changed statement, then, in another child, the laws that
`LAWS` names, none of them made smaller when it fails. A child has so much time of the processor and so much memory; one
that needs more has failed as well.
"""

import contextlib
import gc
import importlib
import io
import os
import resource
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import accumulate
from pathlib import Path
from types import CodeType
from typing import Final

import coverage
import pytest
from hypothesis import Phase, settings

from tests.mutation.mutants import Mutant

UNIT_TESTS: Final = Path("tests/unit/journeys")
_TESTED_WITH: Final = {
    "operators": "conditions", "rising": "thresholds", "occasions": "schedules", "quiet_tests": "quiet"
}  # fmt: skip
"""Modules whose tests are named for another."""
_RULES: Final = ("journeys", "agents", "tidings", "tests.journey", "tests.strategies", "tests.unit", "tests.property")
_CPU_SECONDS: Final = 60
_SECONDS_OF_OTHERS: Final = 6
_MEMORY_BYTES: Final = 4 << 30
_PLAIN: Final = (
    "-q",
    "--plain",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:faulthandler",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",
)
_OPTIONS: Final = (
    *_PLAIN, "-x", "--hypothesis-profile=mutants", "--no-header", "--tb=short"
)  # fmt: skip
_SURVIVED: Final = 0


def prepare(folder: Path) -> None:
    """Load what tests need, and forget the rules again; the folder keeps compiled code, but no mutant's."""
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(folder.resolve() / "compiled")
    sys.path.insert(0, str(Path.cwd()))
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main([*_PLAIN, "--collect-only", str(UNIT_TESTS), "tests/property"])
    for name in [name for name in sys.modules if name.startswith(_RULES) or "conftest" in name]:
        del sys.modules[name]
    plain = settings.get_profile("tidings")
    settings.register_profile("mutants", plain, phases=(Phase.explicit, Phase.generate), database=None, max_examples=60)
    gc.collect()
    gc.freeze()


class Reached:
    """Which unit tests reach which line of a module, and how long the sound code takes for each."""

    def __init__(self, folder: Path) -> None:
        """Read what `record` has written."""
        self._seconds = {}
        for line in (folder / "seconds").read_text().splitlines():
            seconds, node = line.split(" ", 1)
            self._seconds[node] = float(seconds)
        found = coverage.CoverageData(str(folder / "lines"))
        found.read()
        self._lines = {Path(file).stem: found.contexts_by_lineno(file) for file in found.measured_files()}

    def own(self, module: str) -> list[str]:
        """Return the unit tests that are named for a module."""
        return [test for test in self._seconds if test.startswith(_prefix(module))]

    def others(self, module: str, lines: tuple[int, int]) -> list[str]:
        """Return the other tests that reach a line, the fastest first, as many as take `_SECONDS_OF_OTHERS`.

        Of a line that runs at import, those that reach anything in the module.
        """
        by_line = self._lines.get(module, {})
        reaching = {test for line in range(lines[0], lines[1] + 1) for test in by_line.get(line, ())}
        if "" in reaching or not reaching:
            reaching = {test for tests in by_line.values() for test in tests}
        found = [test for test in reaching if test and not test.startswith(_prefix(module))]
        found.sort(key=lambda test: (self._seconds.get(test, 0.0), test))
        taken = accumulate(self._seconds.get(test, 0.0) for test in found)
        return [test for test, seconds in zip(found, taken, strict=True) if seconds <= _SECONDS_OF_OTHERS]


def _prefix(module: str) -> str:
    return f"{UNIT_TESTS}/test_{_TESTED_WITH.get(module, module)}.py::"


def record(folder: Path) -> None:
    """Run the unit tests on the sound code and take down which lines each reaches."""
    folder.mkdir(parents=True, exist_ok=True)

    def run() -> int:
        watching = coverage.Coverage(data_file=folder / "lines", source_pkgs=["journeys"], config_file=False)
        watching.start()
        code = int(pytest.main([*_OPTIONS, str(UNIT_TESTS)], plugins=[_Recorder(watching, folder / "seconds")]))
        watching.stop()
        watching.save()
        return code

    if _wait(_fork(run, folder / "record.log")) != _SURVIVED:
        sys.exit(f"the tests don't pass on the code as it is: {folder / 'record.log'}")


class _Recorder:
    def __init__(self, watching: coverage.Coverage, path: Path) -> None:
        self._watching, self._path, self._lines = watching, path, list[str]()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._watching.switch_context(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._lines.append(f"{report.duration:.4f} {report.nodeid}")

    def pytest_sessionfinish(self) -> None:
        self._path.write_text("\n".join(self._lines))


class _Selection:
    """Keeps the tests that are asked for, in that order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._place = {test: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._place), key=lambda item: self._place[item.nodeid]
        )


class _Source(SourceFileLoader):
    """Gives a mutant's code for its module."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(f"journeys.{mutant.module}", str(Path(f"journeys/{mutant.module}.py").resolve()))
        self._source = mutant.source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._source, self.get_filename(fullname), "exec", dont_inherit=True)
        return code


class _Mutated(MetaPathFinder):
    """Finds a mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self._loader = _Source(mutant)

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        loader = self._loader
        return spec_from_file_location(fullname, loader.path, loader=loader) if fullname == loader.name else None


def start(mutant: Mutant, tests: Sequence[str]) -> int:
    """Fork a process that runs tests on a mutant; return its id."""
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    selection = [_Selection(tests)] if any("::" in test for test in tests) else []

    def run() -> int:
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        sys.meta_path.insert(0, _Mutated(mutant))
        return int(pytest.main([*_OPTIONS, *files], plugins=selection))

    return _fork(run, Path(os.devnull))


def _fork(run: Callable[[], int], log: Path) -> int:
    child = os.fork()
    if child:
        return child
    code = 70
    with contextlib.suppress(BaseException):
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        importlib.invalidate_caches()
        code = run()
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
    os._exit(code)


def _wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_all(
    mutants: Iterable[Mutant],
    stages: Callable[[Mutant], Sequence[Sequence[str]]],
    jobs: int,
    told: Callable[[Mutant, str], None],
) -> None:
    """Run mutants, a few at once.

    Args:
        mutants: in the order in which they begin.
        stages: for a mutant, lists of tests; the next list is run when none of the ones before minded.
        jobs: how many processes at once.
        told: is told of each mutant what became of it: killed (by a test, or by its limits) or survived.
    """
    waiting, running = iter(mutants), dict[int, tuple[Mutant, list[Sequence[str]]]]()

    def begin(mutant: Mutant, rest: list[Sequence[str]]) -> None:
        running[start(mutant, rest[0])] = mutant, rest[1:]

    while True:
        while len(running) < jobs and (mutant := next(waiting, None)) is not None:
            begin(mutant, [tests for tests in stages(mutant) if tests])
        if not running:
            return
        child, status = os.wait()
        mutant, rest = running.pop(child)
        code = os.waitstatus_to_exitcode(status)
        if code == _SURVIVED and rest:
            begin(mutant, rest)
        else:
            told(mutant, "survived" if code == _SURVIVED else "killed")
