"""Worker and ingest in the clock of the log, driven by an operator's commands as a user would give them."""

import signal
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from confluent_kafka import Message, Producer

from agents.marking import log_writer
from schemas.events import customer_key
from schemas.instants import Millis, format_instant
from schemas.log import SOURCE, FinalMark, Source, decode_mark, encode_event, pack_source
from schemas.topics import schemas_topic, topics
from streams.connection import Connection
from streams.partitions import partition_of
from streams.topics import committed_offsets, end_offsets, ensure_topics
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.foreign_producer import Published, publish
from tests.kafka.runs import PROGRAM, PUBLIC, committed_messages, environment, tidings
from tidings.clock import monotonic_s, pause
from tidings.event_file import Line
from tidings.supervisor import Supervisor

PARTITIONS = 3
WITHIN_S = 300.0


class System:
    """Worker and ingest in the clock of the log, and the commands of an operator."""

    def __init__(self, kafka: KafkaUnderTest, prefix: str, folder: Path, supervisor: Supervisor) -> None:
        """Make the topics; one public partition each, so that their order is the publisher's."""
        self.bootstrap, self.prefix, self.folder = kafka.bootstrap_servers, prefix, folder
        self.connection = Connection(bootstrap_servers=self.bootstrap)
        self.supervisor = supervisor
        self.env: Mapping[str, str] = environment(folder, self.bootstrap, TIDINGS_TOPIC_PREFIX=prefix)
        ensure_topics(self.connection, (*topics(prefix, PARTITIONS, 1, "log"), schemas_topic()))

    def start(self, command: str) -> None:
        """Start `tidings worker` or `tidings ingest`."""
        argv = [str(PROGRAM), command, "--clock", "log", "--folder", str(self.folder / command)]
        self.supervisor.start(command, argv, environment=self.env)

    def kill(self, name: str) -> None:
        """Kill a process; it is started again."""
        self.supervisor._children[name].send(signal.SIGKILL)

    def apply(self, folder: Path, at: Millis, *more: str) -> str:
        """Apply a folder, and return what was said."""
        return self.say("apply", str(folder), "--at", format_instant(at), "--yes", *more)

    def say(self, *words: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        done = tidings(*words, env=self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def publish(self, lines: list[Line]) -> None:
        """Publish events."""
        topic = self.prefix + PUBLIC[0]
        publish(self.bootstrap, [Published(topic=topic, value=line.raw, key=b"x", at=line.clock) for line in lines])

    def append(self, lines: list[Line]) -> None:
        """Write events to the customer log themselves; the merge of an ingest keeps few of them until more come."""
        log = f"{self.prefix}customer-log"
        producer = Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})
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
                headers=[(SOURCE, source)],
            )
        assert producer.flush(60) == 0

    def end(self, at: Millis) -> None:
        """Let time run to its end."""
        with log_writer(self.connection, self.prefix) as writer:
            writer.mark_all(FinalMark(), at)

    def logged(self) -> int:
        """Count the offsets of the customer log."""
        return sum(end_offsets(self.connection, f"{self.prefix}customer-log").values())

    def wait_for_log(self, offsets: int) -> None:
        """Wait until the log has so many offsets."""
        self._wait(lambda: self.logged() >= offsets, f"{offsets} offsets in the log")

    def wait_for_worker(self) -> None:
        """Wait until everything in the log is decided."""
        log = f"{self.prefix}customer-log"
        self._wait(
            lambda: (
                committed_offsets(self.connection, f"{self.prefix}worker", log) == end_offsets(self.connection, log)
            ),
            "the worker at the log's end",
        )

    def wait_for_ends(self) -> None:
        """Wait until every partition of the log has its final mark."""
        self._wait(lambda: all(map(_is_final, self.log().values())), "the final marks")

    def _wait(self, seen: Callable[[], bool], what: str) -> None:
        deadline = monotonic_s() + WITHIN_S
        while not seen():
            self.supervisor.poll()
            assert monotonic_s() < deadline, f"not within {WITHIN_S} s: {what}"
            pause(0.02)

    def log(self) -> dict[int, list[Message]]:
        """Return the customer log, by partition."""
        found: dict[int, list[Message]] = defaultdict(list)
        for message in committed_messages(self.connection, f"{self.prefix}customer-log"):
            found[message.partition() or 0].append(message)
        return {partition: sorted(found[partition], key=lambda one: one.offset() or 0) for partition in sorted(found)}


def _is_final(messages: list[Message]) -> bool:
    last = messages[-1]
    return last.key() is None and isinstance(decode_mark(last.value() or b""), FinalMark)
