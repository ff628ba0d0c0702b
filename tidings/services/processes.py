"""Starts processes that outlive us, and knows them again.

A pid alone says nothing: it may have been given to another process since. A detached process is therefore
remembered with its start time in clock ticks since boot (field 22 of proc(5)'s stat), and taken for ours only
when that and a word of its command line fit too. Linux only: it reads /proc.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tidings.clock import monotonic_s, pause
from tidings.services.errors import ServiceError

_POLL_S = 0.02


class DetachedProcess(msgspec.Struct, frozen=True, kw_only=True):
    """One process that belongs to nobody's terminal."""

    pid: int
    started_ticks: int
    mark: str
    """An argument of its command line that no other process has, such as the path of its configuration."""


def spawn_detached(argv: Sequence[str], log_file: Path, mark: str) -> DetachedProcess:
    """Start a process in a session of its own, with its output appended to the log file.

    A shell in the middle starts it and ends, so that it becomes the child of init: neither our end nor a
    Ctrl-C at our terminal reaches it, and no zombie of it stays with us.

    Raises:
        ServiceError: it ended at once, or can't be started; nothing of it is left.
    """
    script = 'log="$1"; shift; exec </dev/null; "$@" >>"$log" 2>&1 & echo $!'
    shell = subprocess.run(  # noqa: S603 -- the caller's own program, no shell words of a user in the script
        ["/bin/sh", "-c", script, "sh", str(log_file), *argv],
        stdout=subprocess.PIPE,
        check=True,
        cwd=log_file.parent,
        start_new_session=True,
        text=True,
    )
    pid = int(shell.stdout)
    ticks = _started_ticks(pid)
    if ticks is None:
        message = f"{argv[0]} ended as soon as it was started; its last words are in {log_file}"
        raise ServiceError(message)
    return DetachedProcess(pid=pid, started_ticks=ticks, mark=mark)


def is_alive(process: DetachedProcess) -> bool:
    """Say whether exactly this process still runs."""
    if _started_ticks(process.pid) != process.started_ticks:
        return False
    try:
        command_line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    except OSError:
        return False
    if not command_line:
        # Its memory is gone already, its threads aren't: the same start time must do.
        return _started_ticks(process.pid) == process.started_ticks
    # Between fork and exec it is still the shell, whose command line holds the mark as well.
    return process.mark.encode() in command_line.split(b"\0")


def end(process: DetachedProcess, *, patience_s: float) -> bool:
    """End a process: ask it, and when it hasn't gone within the patience, kill it.

    Returns:
        Whether it went by itself. It is gone in either case.
    """
    if patience_s > 0:
        _send(process, signal.SIGTERM)
        if _is_gone_within(process, patience_s):
            return True
    _send(process, signal.SIGKILL)
    if not _is_gone_within(process, 10):
        message = f"process {process.pid} doesn't die; the kernel holds it (a hanging disk?)"
        raise ServiceError(message)
    return False


def _send(process: DetachedProcess, number: signal.Signals) -> None:
    if is_alive(process):
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


def _is_gone_within(process: DetachedProcess, patience_s: float) -> bool:
    give_up = monotonic_s() + patience_s
    while is_alive(process):
        if monotonic_s() > give_up:
            return False
        pause(_POLL_S)
    return True


def _started_ticks(pid: int) -> int | None:
    """Return when a process started, in ticks since boot; None if there is none, or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the name in brackets and may hold spaces and brackets itself.
    fields = stat.rpartition(")")[2].split()
    state, threads, started = fields[0], int(fields[17]), fields[19]
    # A killed process is a zombie as soon as its first thread is; while others end, it still holds its port.
    return None if state in "ZX" and threads <= 1 else int(started)
