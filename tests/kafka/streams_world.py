"""The driver of the movement's tests: a log, workers that can be killed, and what came out, read by a stranger."""

import itertools
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from schemas.topics import TopicSpec
from streams.connection import Connection
from streams.topics import committed_offsets, end_offsets, ensure_topics
from tidings.clock import monotonic_s, pause

ROOT = Path(__file__).parents[2]
KEYS = 200
MOST_UNDER_WAY = 50_000
"""Records that wait to be acknowledged; the client's queue takes twice as many."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One output of the toy fold."""

    offset: int
    number: int


class World:
    """A prefix of topics on one Kafka, with the toy workers that read and write them."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path, *, partitions: int = 4) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.folder = folder
        self.partitions = partitions
        self.connection = Connection(bootstrap_servers=bootstrap)
        self.workers: list[subprocess.Popen[bytes]] = []
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "linger.ms": 5, "enable.idempotence": True, "log_level": 0}
        )
        self._indexes = itertools.count()
        self._published: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        ensure_topics(
            self.connection,
            [
                TopicSpec(name=f"{prefix}log", partitions=partitions),
                TopicSpec(name=f"{prefix}changelog", partitions=partitions, config={"cleanup.policy": "compact"}),
                TopicSpec(name=f"{prefix}outputs", partitions=partitions),
            ],
        )

    def publish(self, count: int) -> None:
        """Append records to the log, spread over keys and partitions."""
        for _ in range(count):
            self._publish_one()
        assert self._producer.flush(60) == 0

    @contextmanager
    def publishing(self, per_s: int) -> Iterator[None]:
        """Append records all the time while the block runs, and one more to each partition behind it."""
        ended = threading.Event()

        def publish() -> None:
            while not ended.wait(0.01):
                for _ in range(per_s // 100):
                    self._publish_one()

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.publish(self.partitions)

    def _publish_one(self) -> None:
        while len(self._producer) >= MOST_UNDER_WAY:
            # The broker is away, for as long as a loaded machine takes to start it.
            self._producer.poll(0.1)
        index = next(self._indexes)
        self._producer.produce(
            f"{self.prefix}log",
            key=b"c:%d" % (index % KEYS),
            value=b"%d" % index,
            partition=index % KEYS % self.partitions,
            on_delivery=self._remember,
        )
        if index % 100 == 0:
            self._producer.poll(0)

    def _remember(self, error: KafkaError | None, message: Message) -> None:
        assert error is None
        self._published[message.partition() or 0].append((message.offset() or 0, message.key() or b""))

    def start_worker(self, *, slow_s: float = 0.0, toy: str = "streams_toy.py") -> subprocess.Popen[bytes]:
        """Start a worker process; its log lies in the test's folder."""
        number = len(self.workers)
        with (self.folder / f"worker-{number}.log").open("wb") as written:
            worker = subprocess.Popen(  # noqa: S603 -- words of ours only
                [
                    sys.executable,
                    str(ROOT / "tests/kafka" / toy),
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

    def end_workers(self) -> None:
        """Kill whatever still runs."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()

    def log_of(self, worker: subprocess.Popen[bytes]) -> str:
        """Return what a worker has logged."""
        return (self.folder / f"worker-{self.workers.index(worker)}.log").read_text()

    def folded(self) -> int:
        """Return how many records the group says it has folded."""
        told = committed_offsets(self.connection, f"{self.prefix}app", f"{self.prefix}log")
        return sum(
            sum(1 for offset, _ in list(records) if offset < told.get(partition, 0))
            for partition, records in list(self._published.items())
        )

    @property
    def published(self) -> int:
        """How many records the log has."""
        return sum(map(len, list(self._published.values())))

    def all_is_folded(self) -> bool:
        return self.folded() == self.published

    def written(self) -> int:
        """Return how many offsets of the outputs are committed or aborted; grows with each transaction."""
        return sum(end_offsets(self.connection, f"{self.prefix}outputs").values())

    def an_output_is_open(self) -> bool:
        """Say whether a transaction that has written outputs is neither committed nor aborted."""
        topic = f"{self.prefix}outputs"
        return end_offsets(self.connection, topic) != end_offsets(self.connection, topic, committed=False)

    def is_inside(self) -> bool:
        """Say whether some but not all records of the log have a committed output."""
        return 0 < sum(map(len, self.outputs().values())) < self.published

    def outputs(self) -> dict[int, list[tuple[bytes, Found]]]:
        """Return what a reader of committed records finds, by partition, in order."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": f"{self.prefix}reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "log_level": 3,
            }
        )
        consumer.assign([TopicPartition(f"{self.prefix}outputs", p, 0) for p in range(self.partitions)])
        found: dict[int, list[tuple[bytes, Found]]] = defaultdict(list)
        ended: set[int] = set()
        while len(ended) < self.partitions:
            for message in consumer.consume(10_000, timeout=1):
                error = message.error()
                if error is None:
                    output = msgspec.json.decode(message.value() or b"", type=Found)
                    found[message.partition() or 0].append((message.key() or b"", output))
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition() or 0)
        consumer.close()
        return found

    def assert_exact(self) -> None:
        """Check that each record gave one output, in the log's order, numbered without a gap per key."""
        outputs = self.outputs()
        for partition, records in self._published.items():
            expected, counts = [], defaultdict[bytes, int](int)
            for offset, key in sorted(records):
                counts[key] += 1
                expected.append((key, Found(offset=offset, number=counts[key])))
            got = outputs[partition]
            doubled = len(got) - len({found.offset for _, found in got})
            lost = len({offset for offset, _ in records} - {found.offset for _, found in got})
            assert (lost, doubled) == (0, 0), f"partition {partition}: {lost} lost, {doubled} doubled"
            assert got == expected

    def wait_until(self, reached: Callable[[], bool], what: str, *, within_s: float = 180.0) -> None:
        """Look again and again until it is so; fail with the workers' last words if it never is."""
        deadline = monotonic_s() + within_s
        while not reached():
            if monotonic_s() > deadline:
                words = "\n".join(self.log_of(worker)[-1500:] for worker in self.workers[-3:])
                raise AssertionError(f"not within {within_s} s: {what}; {self.folded()}/{self.published}\n{words}")
            pause(0.02)

    def ends(self) -> dict[int, int]:
        """Return the ends of the log."""
        return end_offsets(self.connection, f"{self.prefix}log")

    @staticmethod
    def terminate(worker: subprocess.Popen[bytes]) -> int:
        """Ask a worker to stop, and return its exit code."""
        worker.send_signal(signal.SIGTERM)
        return worker.wait(30)
