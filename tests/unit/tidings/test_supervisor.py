"""The supervisor: what stops hard comes back, what refuses doesn't, and nothing outlives it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.hard_stop import REFUSED, STOPPED_HARD
from tidings.clock import monotonic_s, pause
from tidings.supervisor import Change, Ended, Restarted, RestartPolicy, Supervisor, SupervisorError

AT_ONCE = RestartPolicy(first_delay_s=0.0, most_restarts=3)
SLEEP = ["sleep", "600"]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "log", policy=AT_ONCE, patience_s=5) as supervisor:
        yield supervisor


def python(code: str) -> list[str]:
    """Return the command line of a small child."""
    return [sys.executable, "-I", "-S", "-c", code]


def until(seen: Callable[[], bool]) -> None:
    """Wait until something is so, at most 20 seconds."""
    give_up = monotonic_s() + 20
    while not seen():
        assert monotonic_s() < give_up, "it never became so"
        pause(0.01)


def changes_until_over(supervisor: Supervisor, name: str) -> list[Change]:
    """Collect what happens until a child is over."""
    changes: list[Change] = []

    def over() -> bool:
        changes.extend(supervisor.poll())
        return not supervisor.is_running(name)

    until(over)
    return changes


def test_the_delay_doubles_to_its_bound_and_forgets_what_is_long_ago() -> None:
    """Each hard stop within the window doubles the delay, one too many ends it, and older ones don't count."""
    policy = RestartPolicy(first_delay_s=1.0, longest_delay_s=4.0, most_restarts=4, window_s=60.0)
    delays = [policy.delay_s([0.0] * count, 0.0) for count in range(1, 6)]
    assert delays == [1.0, 2.0, 4.0, 4.0, None]
    assert policy.delay_s([0.0] * 9, 59.9) is None
    assert policy.delay_s([0.0] * 9 + [60.0], 60.0) == 1.0


def test_a_child_that_finishes_is_over(supervisor: Supervisor) -> None:
    """Exit code 0 is an end, and what the child said stands in its log."""
    supervisor.start("worker", python("print('done')"))
    assert changes_until_over(supervisor, "worker") == [
        Ended(name="worker", code=0, next="finished", log_file=supervisor.log_file("worker"))
    ]
    assert supervisor.log_file("worker").read_text() == "done\n"


def test_a_log_that_grows_too_long_begins_anew_while_its_process_runs(tmp_path: Path) -> None:
    """What was in it stands beside it, and the process goes on writing into the new one."""
    os.mkfifo(tmp_path / "go")
    code = f"print('x' * 1001, end='', flush=True); open({str(tmp_path / 'go')!r}).read(); print('after')"
    with Supervisor(tmp_path / "log", policy=AT_ONCE, log_bytes=1_000) as supervisor:
        supervisor.start("worker", python(code))
        log = supervisor.log_file("worker")
        until(lambda: log.stat().st_size == 1_001)
        supervisor.poll()
        assert (log.read_text(), log.with_suffix(".log.1").read_text()) == ("", "x" * 1_001)
        (tmp_path / "go").write_text("")
        changes_until_over(supervisor, "worker")
        assert log.read_text() == "after\n"
        log.unlink()
        assert supervisor.poll() == []


@pytest.mark.parametrize("code", [2, REFUSED])
def test_a_child_that_refuses_is_not_started_again(supervisor: Supervisor, code: int) -> None:
    """A code that says that another start won't help is believed."""
    supervisor.start("worker", python(f"raise SystemExit({code})"))
    (change,) = changes_until_over(supervisor, "worker")
    assert isinstance(change, Ended)
    assert (change.code, change.next) == (code, "refused")


def test_a_child_that_stops_hard_again_and_again_is_given_up(supervisor: Supervisor) -> None:
    """A hard stop brings a restart, until it was one too many."""
    supervisor.start("worker", python(f"raise SystemExit({STOPPED_HARD})"))
    changes = changes_until_over(supervisor, "worker")
    ended = [change.next for change in changes if isinstance(change, Ended)]
    assert ended == ["restart", "restart", "restart", "too_often"]
    assert sum(isinstance(change, Restarted) for change in changes) == 3


def test_a_killed_child_runs_again(supervisor: Supervisor) -> None:
    """After kill -9 there is a new process under the old name."""
    first = supervisor.start("worker", SLEEP)
    os.kill(first, signal.SIGKILL)
    changes: list[Change] = []

    def restarted_is_seen() -> bool:
        changes.extend(supervisor.poll())
        return any(isinstance(change, Restarted) for change in changes)

    until(restarted_is_seen)
    ended, restarted = changes
    assert isinstance(ended, Ended)
    assert isinstance(restarted, Restarted)
    assert ended.cause == "SIGKILL"
    assert supervisor.pid("worker") == restarted.pid != first


def test_a_program_that_is_not_there_is_told_in_the_log(supervisor: Supervisor) -> None:
    """What can't be started is an end like another, and its log says why."""
    supervisor.start("worker", ["/nowhere/program"])
    last = changes_until_over(supervisor, "worker")[-1]
    assert isinstance(last, Ended)
    assert last.next == "too_often"
    assert "/nowhere/program: No such file" in supervisor.log_file("worker").read_text()


def test_a_name_is_taken_while_its_child_runs(supervisor: Supervisor) -> None:
    """Two children can't share a name, one after the other may."""
    supervisor.start("worker", SLEEP)
    with pytest.raises(SupervisorError):
        supervisor.start("worker", SLEEP)
    supervisor.stop("worker")
    supervisor.start("worker", SLEEP)


def test_stop_asks_first_and_kills_who_does_not_listen(tmp_path: Path) -> None:
    """A child that ignores SIGTERM is killed after the deadline; one that listens ends by itself."""
    wait = "print('ready', flush=True); time.sleep(600)"
    deaf = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {wait}"
    polite = f"import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); {wait}"
    with Supervisor(tmp_path, patience_s=0.3) as supervisor:
        pids = [supervisor.start("deaf", python(deaf)), supervisor.start("polite", python(polite))]
        until(lambda: all(supervisor.log_file(name).read_text() for name in ("deaf", "polite")))
    assert not any(is_alive(pid) for pid in pids)


def test_who_is_in_a_hurry_waits_for_nobody(tmp_path: Path) -> None:
    """A second Ctrl-C: a child that doesn't listen is killed at once, whatever patience there was."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    with Supervisor(tmp_path, patience_s=600) as supervisor:
        supervisor.start("deaf", python(deaf))
        until(lambda: bool(supervisor.log_file("deaf").read_text()))
        assert supervisor.stop(hurry=lambda: True) == ["deaf"]


def test_what_is_due_waits_until_a_start_makes_sense(supervisor: Supervisor) -> None:
    """While Kafka is away nobody is started again, and everybody is as soon as it is back."""
    first = supervisor.start("worker", SLEEP)
    os.kill(first, signal.SIGKILL)
    until(lambda: bool(supervisor.poll(start_again=False)))
    assert supervisor.poll(start_again=False) == []
    assert supervisor.is_running("worker")
    assert [type(change) for change in supervisor.poll()] == [Restarted]


def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    """Kill -9 of the supervising process leaves no child behind."""
    code = (
        "import sys, time; from pathlib import Path; from tidings.supervisor import Supervisor\n"
        "with Supervisor(Path(sys.argv[1])) as supervisor:\n"
        "    print(supervisor.start('worker', ['sleep', '600']), flush=True); time.sleep(600)"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as parent:  # noqa: S603 -- words of ours only
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        # Killed earlier, the child would end by itself; wait until it has become the program.
        until(lambda: Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"sleep"))
        parent.kill()
    until(lambda: not is_alive(child))


def is_alive(pid: int) -> bool:
    """Say whether a process runs; a zombie doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
