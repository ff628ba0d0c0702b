"""A Kafka for the time of a command: the one the settings name, or a local one that is started if need be.

Several commands of one checkout share the local Kafka; who started it doesn't matter, the last one out stops it,
unless it ran before them all. Each holds a shared lock on a file; who gets the exclusive one is alone.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from msgspec import Struct

from streams.connection import Connection
from tidings.services import kafka
from tidings.services.kafka_files import kafka_data
from tidings.settings import Settings


class Borrowed(Struct):
    """A Kafka to use; set `keep` to leave a local one running behind."""

    connection: Connection
    keep: bool = False


@contextmanager
def borrow_kafka(settings: Settings) -> Iterator[Borrowed]:
    """Give a Kafka for the time of a `with` block.

    Raises:
        ServiceError: none is named and a local one can't be started.
    """
    if settings.bootstrap_servers is not None:
        yield Borrowed(settings.connection())
        return
    data = kafka_data(settings.data_dir)
    data.mkdir(parents=True, exist_ok=True)
    with (data / "borrowers.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        started = kafka.start(data, java_home=settings.java_home)
        marker = data / "started-by-borrower"
        if not started.already_running:
            marker.touch()
        borrowed = Borrowed(settings.connection(started.broker.bootstrap_servers))
        try:
            yield borrowed
        finally:
            if borrowed.keep:
                marker.unlink(missing_ok=True)
            elif marker.exists() and _is_alone(lock):
                marker.unlink(missing_ok=True)
                kafka.stop(data)


def _is_alone(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
