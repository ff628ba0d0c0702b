"""Puts a file of events on the public topics, as a producer outside would, but with the file's clock and order."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage
from msgspec import Struct

from schemas.errors import TidingsError
from schemas.events import STREAM_OF_TOPIC, Event
from schemas.instants import Millis
from schemas.log import END, SEQUENCE, pack_number
from schemas.topics import BEHAVIORAL_EVENTS, DEAD_LETTERS, PUBLIC_TOPICS
from streams.connection import Connection, confluent_settings
from tidings.event_file import MISTAKES_OF_FILES, Line, end_of_time, read_lines
from tidings.tally import Tally

_TOPIC_OF_STREAM: Final = {stream: topic for topic, stream in STREAM_OF_TOPIC.items()}
_POLL_EVERY: Final = 500


class Public(Struct, frozen=True, kw_only=True):
    """Where the events go: the prefix of the topics, and how many partitions the public ones have."""

    connection: Connection
    prefix: str
    public_partitions: int
    partitions: int
    patience_s: float
    """How long a record may take to be written, a broker that is away included."""


def publish_file(
    public: Public,
    events: Path,
    *,
    until: Millis | None,
    max_jump_ms: Millis,
    progress: Callable[[int], object],
) -> Tally:
    """Publish every line, then an end mark to each public partition that carries the end of time.

    Lines that can't be events go out as well, for the ingest to find; those that only a file can get wrong go to
    the dead letters at once. `progress` is called with the number of lines so far.

    Raises:
        EventFileError: the file can't be read, or `until` lies before its last event.
        TidingsError: Kafka took too long or refused.
    """
    publisher = _Publisher(public)
    tally, clock = Tally(), None
    for line in read_lines(events, max_jump_ms):
        publisher.publish(line)
        tally.lines += 1
        if line.event is None:
            tally.dead_letters += 1
        else:
            tally.events += 1
            clock = line.clock
        if tally.lines % _POLL_EVERY == 0:
            progress(tally.lines)
    publisher.end(end_of_time(until, clock))
    progress(tally.lines)
    return tally


class _Publisher:
    """A producer that remembers the first record that couldn't be written."""

    def __init__(self, public: Public) -> None:
        self._public = public
        self._failure: KafkaError | None = None
        self._producer = Producer(
            confluent_settings(public.connection)
            | {
                "enable.idempotence": True,
                "linger.ms": 20,
                "compression.type": "lz4",
                "message.max.bytes": 4 * 1024 * 1024,
                "message.timeout.ms": int(public.patience_s * 1_000),
                "queue.buffering.max.messages": 100_000,
                "log_level": 2,
            }
        )

    def publish(self, line: Line) -> None:
        headers: list[tuple[str, str | bytes | None]] = [(SEQUENCE, pack_number(line.number))]
        if line.event is not None:
            topic = _TOPIC_OF_STREAM[line.event.stream]
            self._produce(topic, _key(line.event), line.raw, line.clock, headers)
        elif line.problem is not None and line.problem.error_class in MISTAKES_OF_FILES:
            headers += [
                ("error_class", line.problem.error_class.encode()),
                ("reason", line.problem.reason.encode(errors="replace")),
            ]
            self._produce(DEAD_LETTERS, None, line.raw, line.clock, headers)
        else:
            self._produce(BEHAVIORAL_EVENTS, None, line.raw, line.clock, headers)

    def end(self, at: Millis) -> None:
        """Write the end marks behind everything else, and wait until all is written."""
        self._flush()
        for topic in PUBLIC_TOPICS:
            for partition in range(self._public.public_partitions):
                self._produce(topic, None, b"", at, [(END, b"")], partition)
        self._flush()

    def _produce(
        self, topic: str, key: bytes | None, value: bytes, at: Millis, headers: list[tuple[str, str | bytes | None]],
        partition: int = -1,
    ) -> None:  # fmt: skip
        while True:
            try:
                self._producer.produce(
                    self._public.prefix + topic,
                    value=value,
                    key=key,
                    partition=partition,
                    on_delivery=self._delivered,
                    timestamp=at,
                    headers=headers,
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                self._raise_failure()
                return

    def _delivered(self, error: KafkaError | None, _message: KafkaMessage) -> None:
        self._failure = self._failure or error

    def _flush(self) -> None:
        self._producer.flush(self._public.patience_s)
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            msg = f"an event couldn't be published: {KafkaException(self._failure).args[0].str()}"
            raise TidingsError(msg)


def _key(event: Event) -> bytes:
    return (event.customer_id or event.anonymous_id or "").encode()
