"""A Kafka of one or three brokers behind proxies, whose parts can be killed, silenced and filled up.

Each broker's log lies in a tmpfs of its own where this machine lets us mount one, so that a disk can be full without
being the machine's. Clients see the proxies' ports only; brokers speak to each other past them. Brokers and proxies are
children of a supervisor: killed, they come back; and they don't outlive us.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tidings.clock import monotonic_s, pause
from tidings.services.java import find_java
from tidings.services.kafka_files import SETTINGS, kafka_argv
from tidings.services.ports import free_ports
from tidings.supervisor import RestartPolicy, Supervisor

DISK_MB: Final = 512
"""Of each broker; more than a run of an hour writes."""
CLUSTER: Final = "5TaxtLi8Q5iFbVnbL1PSfA"
READY_S: Final = 180.0
_PROXY: Final = Path(__file__).parent / "proxy.py"


class Cluster:
    """Brokers with their disks and their proxies."""

    def __init__(self, folder: Path, brokers: int, disk_mb: int = DISK_MB) -> None:
        """Write their configurations, with disks of this size; nothing runs yet."""
        self.brokers, self._folder, self._disk_mb = brokers, folder, disk_mb
        self._java = find_java(None)
        ports = free_ports(folder)
        self._ports = [[next(ports) for _ in range(4)] for _ in range(brokers)]
        self._mounted: list[Path] = []
        self.no_disk = ""
        """Why no disk can be full here; empty where it can."""
        self._supervisor = Supervisor(
            folder / "logs",
            policy=RestartPolicy(first_delay_s=1.0, longest_delay_s=3.0, most_restarts=100_000),
        )

    @property
    def bootstrap_servers(self) -> str:
        """Where clients begin: the proxies."""
        return ",".join(f"127.0.0.1:{proxied}" for proxied, *_ in self._ports)

    def __enter__(self) -> Self:
        """Start everything, and wait until each broker is known."""
        try:
            for number in range(self.brokers):
                self._prepare(number)
            for number, (proxied, direct, *_) in enumerate(self._ports):
                self._start_broker(number)
                self._supervisor.start(f"proxy-{number}", [sys.executable, str(_PROXY), str(proxied), str(direct)])
            self.wait_until_whole()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End everything, and give the disks back."""
        for number in range(self.brokers):
            with suppress(KeyError):
                self.signal_proxy(number, signal.SIGCONT)
        self._supervisor.stop()
        for disk in self._mounted:
            subprocess.run(["umount", "-l", str(disk)], check=False)  # noqa: S603, S607 -- words of ours only

    def poll(self) -> None:
        """Start again what has ended and is due."""
        self._supervisor.poll()

    def signal_broker(self, number: int, what: signal.Signals) -> None:
        """Send a signal to a broker, if it runs."""
        self._signal(f"broker-{number}", what)

    def signal_proxy(self, number: int, what: signal.Signals) -> None:
        """Send a signal to the proxy before a broker."""
        self._signal(f"proxy-{number}", what)

    def leave_in_order(self, number: int) -> None:
        """End a broker as an operator would: it hands its leaderships over first; then start it again."""
        self._supervisor.stop(f"broker-{number}")
        self._start_broker(number)

    def fill(self, number: int) -> None:
        """Leave no byte on a broker's disk."""
        with suppress(OSError), (self._disk(number) / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1 << 20))

    def empty(self, number: int) -> None:
        """Take away what filled a broker's disk."""
        (self._disk(number) / "filler").unlink(missing_ok=True)

    def wait_until_whole(self) -> None:
        """Wait until all brokers are there and every partition is replicated everywhere."""
        give_up = monotonic_s() + READY_S
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        while monotonic_s() < give_up:
            self.poll()
            with suppress(KafkaException):
                seen = admin.list_topics(timeout=2)
                parts = [part for topic in seen.topics.values() for part in topic.partitions.values()]
                if len(seen.brokers) == self.brokers and all(
                    part.leader >= 0 and len(part.isrs) == len(part.replicas) for part in parts
                ):
                    return
            pause(0.2)
        message = f"Kafka isn't whole after {READY_S:.0f} s; its words are in {self._folder / 'logs'}"
        raise TimeoutError(message)

    def _signal(self, name: str, what: signal.Signals) -> None:
        pid = self._supervisor.pid(name)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, what)

    def _disk(self, number: int) -> Path:
        return self._folder / f"disk-{number}"

    def _prepare(self, number: int) -> None:
        disk = self._disk(number)
        disk.mkdir(parents=True)
        argv = ["mount", "-t", "tmpfs", "-o", f"size={self._disk_mb}m", "none", str(disk)]
        mounted = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 -- words of ours only
        if mounted.returncode == 0:
            self._mounted.append(disk)
        else:
            self.no_disk = f"no tmpfs can be mounted: {mounted.stderr.strip()}"
        self._properties(number).write_text("".join(f"{name}={value}\n" for name, value in self._settings(number)))
        argv = kafka_argv(
            self._java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(self._properties(number))
        )
        subprocess.run(argv, capture_output=True, check=True)  # noqa: S603 -- Kafka's own tool

    def _start_broker(self, number: int) -> None:
        self._supervisor.start(f"broker-{number}", kafka_argv(self._java, "kafka.Kafka", str(self._properties(number))))

    def _properties(self, number: int) -> Path:
        return self._folder / f"server-{number}.properties"

    def _settings(self, number: int) -> list[tuple[str, str]]:
        proxied, direct, internal, controller = self._ports[number]
        copies, least = str(self.brokers), str(max(1, self.brokers - 1))
        return list(
            {
                **SETTINGS,
                "node.id": str(number + 1),
                "log.dirs": str(self._disk(number) / "records"),
                "controller.quorum.voters": ",".join(
                    f"{node}@127.0.0.1:{ports[3]}" for node, ports in enumerate(self._ports, 1)
                ),
                "listeners": (
                    f"PLAINTEXT://127.0.0.1:{direct},INTERNAL://127.0.0.1:{internal},"
                    f"CONTROLLER://127.0.0.1:{controller}"
                ),
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{proxied},INTERNAL://127.0.0.1:{internal}",
                "inter.broker.listener.name": "INTERNAL",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
                "default.replication.factor": copies,
                "min.insync.replicas": least,
                "offsets.topic.replication.factor": copies,
                "transaction.state.log.replication.factor": copies,
                "transaction.state.log.min.isr": least,
                "share.coordinator.state.topic.replication.factor": copies,
                "share.coordinator.state.topic.min.isr": least,
                "replica.lag.time.max.ms": "5000",
                "leader.imbalance.check.interval.seconds": "5",
            }.items()
        )
