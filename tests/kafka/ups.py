"""The driver of tests of `tidings up`: starts it as a user would, finds its processes, and sees what they say."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from streams.connection import Connection
from tests.kafka.runs import PROGRAM, committed_messages
from tidings.clock import monotonic_s, pause
from tidings.seeing.addresses import Address, read_addresses
from tidings.seeing.asking import ask_ready

WITHIN_S = 300.0


class Up:
    """A `tidings up` in progress."""

    def __init__(self, folder: Path, env: Mapping[str, str], *words: str) -> None:
        self.folder, self.env = folder, env
        self.prefix = env["TIDINGS_TOPIC_PREFIX"]
        self.log = folder / "up.log"
        with self.log.open("wb") as log:
            argv = [str(PROGRAM), "up", *words]
            self.process = subprocess.Popen(argv, env=env, stdout=log, stderr=log)  # noqa: S603

    def said(self) -> str:
        return self.log.read_text()

    def lines(self) -> int:
        """Count the lines of all its processes."""
        logs = (self.folder / "up").rglob("*.log")
        return sum(len(file.read_text().splitlines()) for file in (self.log, *logs))

    def all_said(self) -> str:
        return "\n".join(file.read_text() for file in (self.log, *sorted((self.folder / "up").rglob("*.log"))))

    def processes(self, name: str) -> list[Address]:
        return [address for address in read_addresses(self.folder, self.prefix) if address.name == name]

    def is_ready(self) -> bool:
        found = self.processes("up")
        health = ask_ready(found[0].url) if found else None
        return health is not None and health.ok

    def wait(self, seen: Callable[[], bool], what: str) -> None:
        deadline = monotonic_s() + WITHIN_S
        while not seen():
            assert self.process.poll() is None, f"it ended before {what}: {self.said()}"
            assert monotonic_s() < deadline, f"not within {WITHIN_S} s: {what}: {self.all_said()}"
            pause(0.1)

    def mailed(self, bootstrap: str) -> set[str]:
        messages = committed_messages(Connection(bootstrap_servers=bootstrap), f"{self.prefix}email-sends")
        return {msgspec.json.decode(message.value() or b"")["customer_id"] for message in messages}

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
