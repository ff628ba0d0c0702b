"""What `tidings up` makes of processes that end, of ports, and of a Kafka that is away; with real small processes."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.errors import TidingsError
from streams.hard_stop import REFUSED, STOPPED_HARD
from tidings.clock import monotonic_s, pause
from tidings.commands.up import ports_of
from tidings.services.ports import free_ports, port_is_free
from tidings.supervisor import RestartPolicy, Supervisor
from tidings.upkeep import Post, Upkeep, UpStopped

AT_ONCE = RestartPolicy(first_delay_s=0.0)
SLEEP = "import time; time.sleep(600)"
READY = """
import http.server, json, os, pathlib

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"ok": True, "state": "working", "reasons": []}).encode())

server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
address = {"name": "worker", "pid": os.getpid(), "url": f"http://127.0.0.1:{server.server_port}", "prefix": "shop.",
           "started_at": 0}
file = pathlib.Path(FOLDER, "processes", f"worker-{os.getpid()}.json")
file.parent.mkdir(exist_ok=True)
file.write_text(json.dumps(address))
server.serve_forever()
"""


class Kept:
    """An upkeep of one small process, and a Kafka that is away when it is said to be."""

    def __init__(self, folder: Path, supervisor: Supervisor, code: str) -> None:
        self.is_away = False
        self.revived = 0
        self.supervisor = supervisor
        post = Post(name="worker", argv=[sys.executable, "-I", "-S", "-c", code], environment={})
        self.upkeep = Upkeep(
            [post],
            supervisor,
            data=folder,
            prefix="shop.",
            kafka_is_away=lambda: self.is_away,
            revive_kafka=self._revive,
        )
        self.upkeep.start()

    def _revive(self) -> None:
        self.revived += 1

    def restarts(self) -> float | None:
        return self.upkeep.registry.get_sample_value("tidings_restarts_total", {"process": "worker"})

    def look_until(self, seen: Callable[[], bool]) -> None:
        give_up = monotonic_s() + 30
        while not seen():
            assert monotonic_s() < give_up, "it never became so"
            self.upkeep.look()
            pause(0.01)


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[[str], Kept]]:
    with Supervisor(tmp_path / "log", policy=AT_ONCE, patience_s=5) as supervisor:
        yield lambda code: Kept(tmp_path, supervisor, code)


@pytest.mark.parametrize("code", [f"raise SystemExit({STOPPED_HARD})", "raise SystemExit(1)", "raise SystemExit(0)"])
def test_whoever_ends_is_started_again(keep: Callable[[str], Kept], code: str) -> None:
    """Hard, because something was missing, or in order, as in a rolling restart."""
    kept = keep(code)
    kept.look_until(lambda: (kept.restarts() or 0) >= 2)


def test_who_refuses_ends_everything_with_the_reason(keep: Callable[[str], Kept]) -> None:
    kept = keep(f"print('run tidings rebuild'); raise SystemExit({REFUSED})")
    with pytest.raises(UpStopped, match="worker can't go on: run tidings rebuild"):
        kept.look_until(lambda: False)


def test_while_kafka_is_away_nobody_is_started_and_then_everybody(keep: Callable[[str], Kept]) -> None:
    kept = keep(SLEEP)
    kept.is_away = True
    first = kept.supervisor.pid("worker")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    kept.look_until(lambda: kept.supervisor.pid("worker") is None)
    kept.look_until(lambda: kept.revived > 5)
    assert kept.restarts() == 0
    kept.is_away = False
    kept.look_until(lambda: kept.restarts() == 1)


def test_who_does_not_answer_is_not_ready(keep: Callable[[str], Kept]) -> None:
    kept = keep(SLEEP)
    kept.upkeep.look()
    assert kept.upkeep.health().reasons == ["worker doesn't answer"]


def test_who_was_ready_before_its_end_is_not_ready_after_it(keep: Callable[[str], Kept], tmp_path: Path) -> None:
    """From the moment the end is noticed, until whoever was started in its place answers."""
    kept = keep(READY.replace("FOLDER", repr(str(tmp_path))))
    kept.look_until(lambda: kept.upkeep.health().ok)
    first = kept.supervisor.pid("worker")
    assert first is not None
    kept.is_away = True
    os.kill(first, signal.SIGKILL)
    kept.look_until(lambda: kept.supervisor.pid("worker") is None)
    kept.upkeep.look()
    assert kept.upkeep.health().reasons == ["worker doesn't answer"]
    kept.is_away = False
    kept.look_until(lambda: kept.upkeep.health().ok)
    assert kept.supervisor.pid("worker") != first


def test_ports_are_free_ones_or_follow_one_another(tmp_path: Path) -> None:
    assert ports_of(0, 3) == ["0", "0", "0"]
    first = next(port for port in free_ports(tmp_path) if port_is_free(port + 1) and port_is_free(port + 2))
    assert ports_of(first, 3) == [str(first), str(first + 1), str(first + 2)]


def test_a_port_of_those_that_is_taken_is_told_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(TidingsError, match=f"port {taken} is taken"):
            ports_of(taken, 2)


@pytest.mark.parametrize(("first", "why"), [(None, "need ports"), (65_534, "beyond 65535")])
def test_ports_that_cannot_be_are_told(first: int | None, why: str) -> None:
    with pytest.raises(TidingsError, match=why):
        ports_of(first, 3)
