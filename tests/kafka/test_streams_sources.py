"""The ingest's sources: at least once, in order per partition, with no hole, whatever kills it."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from schemas.topics import TopicSpec
from streams.connection import Connection
from streams.topics import committed_offsets, end_offsets, ensure_topics
from tests.kafka.broker import KafkaUnderTest
from tidings.clock import monotonic_s, pause

ROOT = Path(__file__).parents[2]
TOPICS = ("one", "two")
PARTITIONS = 3


class Copies:
    """Two topics, a toy ingest that copies them, and what it has copied."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.folder = folder
        self.connection = Connection(bootstrap_servers=bootstrap)
        self.workers: list[subprocess.Popen[bytes]] = []
        specs = [TopicSpec(name=prefix + name, partitions=PARTITIONS) for name in TOPICS]
        ensure_topics(self.connection, [*specs, TopicSpec(name=f"{prefix}copies", partitions=2)])

    def publish(self, count: int) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for index in range(count):
            producer.produce(self.prefix + TOPICS[index % 2], value=b"%d" % index, partition=index % PARTITIONS)
        assert producer.flush(30) == 0

    def start(self, *, slow_s: float = 0.0) -> subprocess.Popen[bytes]:
        number = len(self.workers)
        with (self.folder / f"ingest-{number}.log").open("wb") as written:
            worker = subprocess.Popen(  # noqa: S603 -- words of ours only
                [
                    sys.executable,
                    str(ROOT / "tests/kafka/streams_toy_ingest.py"),
                    f"--bootstrap={self.bootstrap}",
                    f"--prefix={self.prefix}",
                    f"--datadir={self.folder / f'data-{number}'}",
                    f"--slow-s={slow_s}",
                ],
                stdout=written,
                stderr=written,
                env={"PYTHONPATH": str(ROOT)},
            )
        self.workers.append(worker)
        return worker

    def committed(self) -> dict[tuple[str, int], int]:
        return {
            (name, partition): offset
            for name in TOPICS
            for partition, offset in committed_offsets(
                self.connection, f"{self.prefix}ingest", self.prefix + name
            ).items()
        }

    def ends(self) -> dict[tuple[str, int], int]:
        return {
            (name, partition): offset
            for name in TOPICS
            for partition, offset in end_offsets(self.connection, self.prefix + name).items()
        }

    def wait_for_all(self) -> None:
        deadline = monotonic_s() + 60
        while self.committed() != self.ends():
            assert monotonic_s() < deadline, (self.folder / f"ingest-{len(self.workers) - 1}.log").read_text()
            pause(0.05)

    def sources(self) -> dict[str, list[int]]:
        """Return the offsets copied of each source partition, in the order of the copies."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": "reader", "enable.partition.eof": True, "log_level": 0}
        )
        consumer.assign([TopicPartition(f"{self.prefix}copies", partition, 0) for partition in range(2)])
        found: dict[str, list[int]] = defaultdict(list)
        ended: set[int | None] = set()
        while len(ended) < 2:
            for message in consumer.consume(10_000, timeout=1):
                error = message.error()
                if error is None:
                    source = dict(message.headers() or ())["source"]
                    assert isinstance(source, bytes)
                    place, offset = source.decode().rsplit("/", 1)
                    found[place].append(int(offset))
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
        consumer.close()
        return found


@pytest.fixture
def copies(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[Copies]:
    copies = Copies(kafka.bootstrap_servers, prefix, tmp_path)
    yield copies
    for worker in copies.workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait()


def test_every_record_is_read_once_in_order_without_trouble(copies: Copies) -> None:
    """Left alone, the ingest reads each record of all topics once, in order, and stops cleanly."""
    copies.publish(6_000)
    worker = copies.start()
    copies.wait_for_all()
    worker.terminate()
    assert worker.wait(30) == 0
    found = copies.sources()
    assert len(found) == len(TOPICS) * PARTITIONS
    assert all(offsets == list(range(1_000)) for offsets in found.values())


def test_kills_repeat_but_never_skip_or_reorder(copies: Copies) -> None:
    """After kills, dropping what isn't beyond the last source position gives each record once, in order."""
    for _ in range(3):
        before = sum(copies.committed().values())
        copies.publish(6_000)
        worker = copies.start(slow_s=0.02)
        deadline = monotonic_s() + 60
        while sum(copies.committed().values()) <= before:
            assert monotonic_s() < deadline
            pause(0.01)
        worker.kill()
        worker.wait()
    worker = copies.start()
    copies.wait_for_all()
    worker.terminate()
    assert worker.wait(30) == 0
    for offsets in copies.sources().values():
        beyond: list[int] = []
        for offset in offsets:
            if not beyond or offset > beyond[-1]:
                beyond.append(offset)
        assert beyond == list(range(3_000))
