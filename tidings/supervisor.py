"""Keeps child processes running: `tidings up`, `run` and `demo` have their workers from here.

    with Supervisor(log_folder) as supervisor:
        supervisor.start("worker-0", ["tidings", "worker", ...])
        while not finished():
            for change in supervisor.poll():
                report(change)

A worker that can't keep a promise stops hard (`streams/hard_stop.py`) and recovers when it is started again, so
that restarting is the whole of fault tolerance here. It is bounded: a child that stops again and again is given
up, and one that says that starting it again won't help isn't started again.

No child outlives us. On a clean end each is asked (SIGTERM) and, after a deadline, killed; when we are killed
ourselves the kernel kills them (prctl(2), PR_SET_PDEATHSIG, set between fork and exec by a small Python of its
own: Python's `preexec_fn` isn't safe beside threads). Children are groups of their own, so that a Ctrl-C at our
terminal reaches only us, and we end them in order. Synchronous, for one thread: PR_SET_PDEATHSIG follows the
thread that started the child, so start children from a thread that lives as long as the process. Linux only.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from schemas.errors import TidingsError
from streams.hard_stop import REFUSED
from tidings.clock import monotonic_s, pause

_POLL_S: Final = 0.02
_LOG_BYTES: Final = 16 * 1024 * 1024
_WRONG_USAGE: Final = 2
_FINAL_CODES: Final = frozenset({_WRONG_USAGE, REFUSED})
"""Exit codes after which another start would end in the same way."""

# Dies with its parent from here on, also across exec; if the parent died before, nobody would tell: so look.
_TIED: Final = """
import ctypes, os, sys
PR_SET_PDEATHSIG, SIGKILL = 1, 9
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
os.getppid() == int(sys.argv[1]) or os._exit(1)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
"""


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a child that stopped hard is started again."""

    first_delay_s: float = 0.1
    longest_delay_s: float = 5.0
    most_restarts: int = 10
    window_s: float = 60.0
    """The restarts are counted, and the delay grows, over this last time."""

    def delay_s(self, ends: Sequence[float], now: float) -> float | None:
        """Return how long to wait before the next start; None: it has stopped too often.

        Args:
            ends: when it stopped hard before, the last time included, in seconds of the clock of `now`.
            now: the present.
        """
        recent = sum(1 for end in ends if now - end < self.window_s)
        if recent > self.most_restarts:
            return None
        doubled = self.first_delay_s * 2.0 ** max(recent - 1, 0)
        return min(doubled, self.longest_delay_s)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A child ended.

    `next`: `restart` after `delay_s`; or it is over: `finished` (exit code 0), `refused` (a code that says that
    another start won't help), `too_often`.
    """

    name: str
    code: int
    """Exit code; minus the signal's number if a signal ended it, as `subprocess` has it."""
    next: Literal["restart", "finished", "refused", "too_often"]
    delay_s: float = 0.0
    log_file: Path

    @property
    def cause(self) -> str:
        """Say in words how it ended."""
        return f"exit code {self.code}" if self.code >= 0 else signal.Signals(-self.code).name


class Restarted(msgspec.Struct, frozen=True, kw_only=True):
    """A child runs again."""

    name: str
    pid: int


Change = Ended | Restarted


class SupervisorError(TidingsError):
    """A child can't be started as it was asked for."""


class _Child:
    """One child by its name, over all of its processes."""

    def __init__(self, name: str, argv: Sequence[str], environment: Mapping[str, str] | None, log_file: Path) -> None:
        self.name = name
        self.argv = argv
        self.environment = environment
        self.log_file = log_file
        self.ends: list[float] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.start_at: float | None = None

    def spawn(self) -> int:
        """Start its next process and return the pid."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 -- the caller's own program
                [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                process_group=0,
            )
        self.start_at = None
        return self.process.pid

    def bound_log(self, most: int) -> None:
        """Move a log that has become longer than so many bytes into the file beside it, in place of what is there.

        The process goes on appending to the file that it has. What it writes between the copy and the cut is lost,
        and all of it where the disk is too full for a copy.
        """
        with suppress(FileNotFoundError):
            if self.log_file.stat().st_size > most:
                with suppress(OSError):
                    shutil.copyfile(self.log_file, self.log_file.with_suffix(".log.1"))
                os.truncate(self.log_file, 0)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its group, if it runs."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)


def _is_alive(child: _Child) -> bool:
    return child.process is not None and child.process.poll() is None


class Supervisor:
    """Children that are started again when they stop hard, and that end with us."""

    def __init__(
        self,
        log_folder: Path,
        *,
        policy: RestartPolicy | None = None,
        patience_s: float = 10.0,
        clock: Callable[[], float] = monotonic_s,
        log_bytes: int = _LOG_BYTES,
    ) -> None:
        """Begin without children.

        Args:
            log_folder: where each child's output is appended to `<name>.log`; made when it isn't there.
            policy: when to start again.
            patience_s: how long all children together may take to end by themselves in `stop`.
            clock: seconds that never go back.
            log_bytes: a longer log becomes `<name>.log.1`, and a new one begins.
        """
        log_folder.mkdir(parents=True, exist_ok=True)
        self._log_folder = log_folder
        self._policy = policy or RestartPolicy()
        self._patience_s = patience_s
        self._clock = clock
        self._log_bytes = log_bytes
        self._children: dict[str, _Child] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all children."""
        self.stop()

    def start(self, name: str, argv: Sequence[str], *, environment: Mapping[str, str] | None = None) -> int:
        """Start a child and return its pid.

        Args:
            name: what it is called in changes and in its log's name; free, or that of a child that is over.
            argv: its command line; a program that doesn't exist is seen as an exit code 1, with its log.
            environment: its whole environment; None: ours.

        Raises:
            SupervisorError: a child of this name runs already.
        """
        known = self._children.get(name)
        if known is not None and self.is_running(name):
            message = f"a child called {name} runs already"
            raise SupervisorError(message)
        child = _Child(name, argv, environment, self._log_folder / f"{name}.log")
        self._children[name] = child
        return child.spawn()

    def poll(self, *, start_again: bool = True) -> list[Change]:
        """Notice what ended and start again what is due, without waiting; call it a few times a second.

        Args:
            start_again: whether it makes sense to start anything now; what is due meanwhile is started later.

        Returns:
            What has changed since the last call, in the order in which the children were first started.
        """
        changes: list[Change] = []
        for child in self._children.values():
            child.bound_log(self._log_bytes)
            code = child.process.poll() if child.process is not None else None
            if code is not None:
                child.process = None
                changes.append(self._judge(child, code))
            elif start_again and child.start_at is not None and child.start_at <= self._clock():
                changes.append(Restarted(name=child.name, pid=child.spawn()))
        return changes

    def is_running(self, name: str) -> bool:
        """Say whether a child runs or is about to be started again."""
        child = self._children[name]
        return child.process is not None or child.start_at is not None

    def pid(self, name: str) -> int | None:
        """Return the pid of a child's present process; None while it has none."""
        process = self._children[name].process
        return process.pid if process is not None and process.poll() is None else None

    def log_file(self, name: str) -> Path:
        """Return where a child's output goes."""
        return self._children[name].log_file

    def stop(self, name: str | None = None, *, hurry: Callable[[], bool] = lambda: False) -> list[str]:
        """End one child, or all; when it returns they are gone, and `poll` won't speak of them again.

        Args:
            name: of the child; None: all.
            hurry: asked again and again; once it says yes they are killed at once.

        Returns:
            The names of those who had to be killed.
        """
        children = [self._children[name]] if name is not None else list(self._children.values())
        for child in children:
            child.start_at = None
            child.send(signal.SIGTERM)
        give_up = self._clock() + self._patience_s
        while any(map(_is_alive, children)) and self._clock() < give_up and not hurry():
            pause(_POLL_S)
        killed = [child.name for child in children if _is_alive(child)]
        for child in children:
            child.send(signal.SIGKILL)
            if child.process is not None:
                child.process.wait()
                child.process = None
        return killed

    def _judge(self, child: _Child, code: int) -> Ended:
        """Decide what becomes of a child that ended."""
        if code == 0:
            return Ended(name=child.name, code=code, next="finished", log_file=child.log_file)
        if code in _FINAL_CODES:
            return Ended(name=child.name, code=code, next="refused", log_file=child.log_file)
        now = self._clock()
        child.ends.append(now)
        delay_s = self._policy.delay_s(child.ends, now)
        if delay_s is None:
            return Ended(name=child.name, code=code, next="too_often", log_file=child.log_file)
        child.start_at = now + delay_s
        return Ended(name=child.name, code=code, next="restart", delay_s=delay_s, log_file=child.log_file)
