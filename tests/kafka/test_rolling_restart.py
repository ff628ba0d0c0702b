"""Two workers restarted one after the other under load: nothing is lost or doubled, and nobody waits long.

Each is ended in order, as an operator would (`kill PID`), and comes back before the next one goes. Events are published
all the while, until both are back, however long that takes here.
"""

import os
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from agents.catalogues import publish_catalogue
from agents.marking import log_writer
from schemas.events import customer_key
from schemas.instants import parse_instant
from schemas.log import SEQUENCE, SOURCE, FinalMark, Source, encode_event, pack_number, pack_source
from schemas.topics import schemas_topic, topics
from streams.app import SESSION_TIMEOUT_S
from streams.connection import Connection
from streams.partitions import partition_of
from streams.registry import open_schemas
from streams.topics import committed_offsets, end_offsets, ensure_topics
from tests.kafka import worlds
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.runs import assert_same, environment, records, simulated
from tests.kafka.ups import Up
from tidings.clock import monotonic_s, pause, wall_ms
from tidings.collecting import collect
from tidings.event_file import Line, read_lines
from tidings.tally import Tally

EVENTS = 20_000
PARTITIONS = 4
AT_ONCE = 20
"""Two hundred events a second, while it goes on."""
WORKERS = 2


class Rolling:
    """The restarts, a step further whenever it is asked."""

    def __init__(self, up: Up) -> None:
        self._up = up
        self._left = [worker.pid for worker in up.processes("worker")]
        self._before = set(self._left)

    def go_on(self) -> bool:
        """End the next worker once all are ready; say whether everybody was restarted and is ready again."""
        workers = {worker.pid for worker in self._up.processes("worker")}
        if not self._up.is_ready() or len(workers) < len(self._before) or workers & self._gone:
            return False
        if self._left:
            os.kill(self._left.pop(), signal.SIGTERM)
            return False
        return not workers & self._before

    @property
    def _gone(self) -> set[int]:
        return self._before - set(self._left)


@contextmanager
def _gaps(connection: Connection, topic: str) -> Iterator[dict[int, float]]:
    """Note for how long, at most, no decision of a partition could be read between two others."""
    ended, longest = threading.Event(), defaultdict[int, float](float)
    consumer = Consumer(
        {
            "bootstrap.servers": connection.bootstrap_servers,
            "group.id": "unused",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])

    def follow() -> None:
        last: dict[int, float] = {}
        while not ended.is_set():
            message = consumer.poll(0.05)
            if message is None or message.error() is not None:
                continue
            now, number = monotonic_s(), message.partition() or 0
            longest[number] = max(longest[number], now - last.get(number, now))
            last[number] = now

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield longest
    finally:
        ended.set()
        thread.join()
        consumer.close()


@pytest.fixture
def up(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[Up]:
    env = environment(
        tmp_path, kafka.bootstrap_servers, TIDINGS_TOPIC_PREFIX=prefix, TIDINGS_PARTITIONS=str(PARTITIONS)
    )
    connection = Connection(bootstrap_servers=kafka.bootstrap_servers)
    ensure_topics(connection, (*topics(prefix, PARTITIONS, 1, "log"), schemas_topic()))
    up = Up(tmp_path, env, "--workers", str(WORKERS), "--clock", "log")
    yield up
    up.end()


def test_a_rolling_restart_under_load_loses_and_doubles_nothing(up: Up, kafka: KafkaUnderTest, tmp_path: Path) -> None:
    connection = Connection(bootstrap_servers=kafka.bootstrap_servers)
    world = worlds.busy(tmp_path / "world", EVENTS)
    expected = simulated(world, tmp_path)
    lines = list(read_lines(world.events))
    documents = [msgspec.json.decode(file.read_bytes()) for file in sorted(world.definitions.iterdir())]
    publish_catalogue(connection, up.prefix, documents, number=1, at=lines[0].clock, answers_webhooks=True)
    up.wait(up.is_ready, "everything is ready")
    rolling = Rolling(up)
    with _gaps(connection, f"{up.prefix}decisions") as gaps:
        _append_until(connection, f"{up.prefix}customer-log", lines, rolling.go_on)
        with log_writer(connection, up.prefix) as writer:
            writer.mark_all(FinalMark(), parse_instant(world.until))
        up.wait(lambda: _all_is_decided(connection, up.prefix), "everything is decided")
    print(f"longest gaps: {', '.join(f'{gap:.1f} s' for gap in gaps.values())}")  # noqa: T201 -- a figure for who looks
    found = collect(connection, up.prefix, Tally(), open_schemas(None, connection, wall_ms).schema)
    assert_same(records(b"".join(found).decode()), expected)
    assert up.said().count("ended in order") == WORKERS
    assert max(gaps.values()) < SESSION_TIMEOUT_S


def _append_until(connection: Connection, log: str, lines: list[Line], is_over: Callable[[], bool]) -> None:
    """Write events to the log as an ingest does; slowly until it is over, so that the load lasts so long."""
    producer = Producer({"bootstrap.servers": connection.bootstrap_servers, "linger.ms": 5, "log_level": 0})
    over = False
    for line in lines:
        assert line.event is not None
        key = customer_key(line.event)
        source = pack_source(Source(topic_id=b"t" * 16, partition=0, offset=line.number))
        producer.produce(
            log,
            key=key,
            value=encode_event(line.event),
            partition=partition_of(key, PARTITIONS),
            timestamp=line.clock,
            headers=[(SOURCE, source), (SEQUENCE, pack_number(line.number))],
        )
        if line.number % AT_ONCE == 0:
            assert producer.flush(60) == 0
            over = over or is_over()
            if not over:
                assert line.number < len(lines), "the load was over before the restarts were"
                pause(0.1)
    assert producer.flush(60) == 0


def _all_is_decided(connection: Connection, prefix: str) -> bool:
    log = f"{prefix}customer-log"
    return committed_offsets(connection, f"{prefix}worker", log) == end_offsets(connection, log)
