"""The Kafka that tests speak to: a given one, one in a container, or one that the tests start themselves."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from testcontainers.core.container import DockerContainer

from tidings.services import kafka
from tidings.services.ports import free_ports
from tidings.services.reach import ask_cluster_id

IMAGE = "apache/kafka:4.4.0"
# The retention check comes 30 s after the start and then every 5 minutes; a test must see several.
QUICK_RETENTION = {"log.initial.task.delay.ms": "500", "log.retention.check.interval.ms": "2000"}


class KafkaUnderTest(Protocol):
    """A Kafka that answers."""

    @property
    def bootstrap_servers(self) -> str:
        """Where to connect."""


class GivenKafka:
    """A Kafka that isn't ours: it can be used, and not be stopped."""

    def __init__(self, bootstrap_servers: str) -> None:
        """Remember where it is."""
        self.bootstrap_servers = bootstrap_servers


class OwnKafka:
    """A Kafka that the tests started, and may stop, kill and start again, always at the same address."""

    def __init__(self, folder: Path, properties: Mapping[str, str]) -> None:
        """Start it."""
        self._folder = folder
        self._properties = properties
        self._port: int | None = None
        self.start()

    @property
    def bootstrap_servers(self) -> str:
        """Where to connect."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, if it doesn't run, and wait until it answers."""
        started = kafka.start(self._folder, port=self._port, properties=self._properties)
        self._port = started.broker.port

    def stop(self) -> None:
        """Stop it as an operator would, and wait until it is gone."""
        kafka.stop(self._folder)

    def kill(self) -> None:
        """Kill it with -9, and wait until it is gone."""
        kafka.stop(self._folder, patience_s=0)


@contextmanager
def started_kafka(folder: Path, properties: Mapping[str, str] = QUICK_RETENTION) -> Iterator[OwnKafka]:
    """Start a Kafka that ends with the block, and also when the tests are killed within it."""
    folder.mkdir(parents=True, exist_ok=True)
    # The end of a pipe is the one thing that comes even after kill -9.
    stop = 'cat; exec "$1" -m tidings.cli kafka stop --data "$2" >/dev/null 2>&1'
    watcher = subprocess.Popen(  # noqa: S603 -- words of ours only
        ["/bin/sh", "-c", stop, "sh", sys.executable, str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield OwnKafka(folder, properties)
    finally:
        watcher.communicate()


@contextmanager
def contained_kafka(folder: Path) -> Iterator[GivenKafka]:
    """Start a Kafka in a container; it must tell clients the port of the host, so that is chosen first."""
    port = next(free_ports(folder))
    container = (
        DockerContainer(IMAGE)
        .with_bind_ports(9092, port)
        .with_env("KAFKA_NODE_ID", "1")
        .with_env("KAFKA_PROCESS_ROLES", "broker,controller")
        .with_env("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093")
        .with_env("KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://127.0.0.1:{port}")
        .with_env("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
        .with_env("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT")
        .with_env("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093")
        .with_env("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        .with_env("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
        .with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
        .with_env("KAFKA_MESSAGE_MAX_BYTES", "10485760")
    )
    for name, value in QUICK_RETENTION.items():
        container = container.with_env(f"KAFKA_{name.replace('.', '_').upper()}", value)
    with container:
        bootstrap_servers = f"127.0.0.1:{port}"
        for _ in range(60):
            if ask_cluster_id(bootstrap_servers, timeout_s=1):
                break
        yield GivenKafka(bootstrap_servers)
