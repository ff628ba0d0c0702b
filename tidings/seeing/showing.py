"""Makes a long-running process visible: its vitals at an endpoint, its address in a file, its lag beside it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from schemas.log import Clock
from streams.connection import Connection
from streams.vitals import Vitals
from tidings.clock import wall_ms
from tidings.seeing.addresses import Address, write_address
from tidings.seeing.endpoint import Views, open_endpoint
from tidings.seeing.health import Health, liveness, readiness
from tidings.seeing.lag import KafkaWatch
from tidings.settings import Settings


class Shown(Struct, kw_only=True):
    """A process that can be seen; `watch` follows as soon as it is known which Kafka it uses."""

    vitals: Vitals
    url: str | None
    """None where the settings want no endpoint."""
    kafka: KafkaWatch | None = None

    def watch(self, connection: Connection, topics: Sequence[str], clock: Clock) -> None:
        """Begin to compare the process with the ends of the topics that it reads."""
        self.kafka = KafkaWatch(connection, topics, self.vitals, wall_ms, is_live=clock == "wall")
        self.kafka.start()

    def live(self) -> Health:
        """Say whether the process lives."""
        return liveness(self.vitals)

    def ready(self) -> Health:
        """Say whether the process does its work."""
        return readiness(self.vitals, "it hasn't found Kafka yet" if self.kafka is None else self.kafka.problem)


@contextmanager
def shown(settings: Settings, data: Path, name: str) -> Iterator[Shown]:
    """Show a process for the time of the block.

    Args:
        settings: where, and under which prefix.
        data: the folder in which processes of this machine find each other.
        name: `worker` or `ingest`.

    Raises:
        EndpointError: the port is taken.
    """
    process = Shown(vitals=Vitals(), url=None)
    if settings.metrics_port is None:
        yield process
        return
    views = Views(registry=process.vitals.meters.registry, live=process.live, ready=process.ready)
    url = process.url = open_endpoint(settings.metrics_host, settings.metrics_port, views)
    with announced(data, Address(name=name, pid=0, url=url, prefix=settings.topic_prefix, started_at=0)):
        yield process


@contextmanager
def announced(data: Path, address: Address) -> Iterator[None]:
    """Leave this process's address where others find it, for the time of the block; the start is now."""
    file = write_address(data, replace(address, pid=os.getpid(), started_at=wall_ms()))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
