"""Up to when everything that was published is in the log, for the owners of the log's partitions.

A thread of its own follows what the readers of sources say (`streams/watermarks.py`); librdkafka's clients keep
connected by themselves, so that a broker that is away costs nothing but time standing still. Now and then it also has a
record appended whose timestamp is the broker's clock: where ours is more than `MOST_APART_MS` from it, nobody may say
what time it is here, and time stands still too.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from faust.types import TP

from streams.connection import Connection, confluent_settings
from streams.watermarks import Watermarks

log = logging.getLogger("tidings.streams")

MOST_APART_MS: Final = 2_000
COMPARE_EVERY_S: Final = 10.0
POLL_S: Final = 0.25
ANSWER_S: Final = 10.0
CLOCK_KEY: Final = b"clock"
STANDSTILL: Final = -(2**62)
"""Before anything that can be due."""
_SILENT: Final = logging.getLogger("tidings.streams.horizon")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


def apart_ms(sent_at: int, appended: int, answered_at: int) -> int:
    """Return by how much our clock is surely wrong, by a record that the broker appended in between.

    Args:
        sent_at: our clock before.
        appended: the broker's clock at the append.
        answered_at: our clock behind.

    Returns:
        milliseconds, negative where ours is behind; 0 where both may be the same.
    """
    if appended > answered_at:
        return answered_at - appended
    return max(0, sent_at - appended)


class Horizon:
    """The instant that time may come to, as of now; call it."""

    def __init__(self, connection: Connection, topic: str, partitions: frozenset[TP], clock: Callable[[], int]) -> None:
        """Know nothing: time stands still until somebody has spoken about every partition.

        Args:
            connection: where the brokers are.
            topic: where the words are; it has one partition and the broker's timestamps.
            partitions: the sources.
            clock: now in epoch milliseconds.
        """
        self._connection = connection
        self._topic = topic
        self._partitions = partitions
        self._clock = clock
        self._watermarks = Watermarks()
        self._compared_at: int | None = None
        self.read_to: int | None = None
        """Up to when everything that was published is in the log, epoch milliseconds; None while that isn't known."""
        self.apart_ms: int | None = None
        """By how much our clock is ahead of the broker's (behind: negative); None before they were compared."""

    def __call__(self) -> int:
        """Return the instant, in epoch milliseconds."""
        read_to = self.read_to
        if read_to is None or self.apart_ms is None or abs(self.apart_ms) > MOST_APART_MS:
            return STANDSTILL
        return read_to

    def start(self) -> None:
        """Follow in a thread that ends with the process."""
        threading.Thread(target=self._follow, name="horizon", daemon=True).start()

    def _follow(self) -> None:
        settings = confluent_settings(self._connection) | {"log_level": 0}
        reading = {"group.id": "unused", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        consumer = Consumer(settings | reading, logger=_SILENT)
        producer = Producer(settings | {"acks": "all", "linger.ms": 0, "message.timeout.ms": 5_000}, logger=_SILENT)
        consumer.assign([TopicPartition(self._topic, 0, 0)])
        # The first record waits for its connection, which hides what is wrong with our clock.
        self._compare(producer)
        while True:
            try:
                self._compare_now_and_then(producer)
                message = consumer.poll(POLL_S)
            except KafkaException as error:
                log.debug("the watermarks can't be read: %s", error)
                continue
            if message is not None and message.error() is None:
                self._take(message)

    def _take(self, message: Message) -> None:
        self._watermarks.take(message.key() or b"", message.value() or b"", message.timestamp()[1])
        self.read_to = self._watermarks.least(self._partitions)

    def _compare_now_and_then(self, producer: Producer) -> None:
        now = self._clock()
        if self._compared_at is None or abs(now - self._compared_at) >= COMPARE_EVERY_S * 1000:
            self._compared_at = now
            self._compare(producer)

    def _compare(self, producer: Producer) -> None:
        sent_at = self._clock()

        def answered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                self._note(apart_ms(sent_at, message.timestamp()[1], self._clock()))

        producer.produce(self._topic, key=CLOCK_KEY, value=b"%d" % sent_at, on_delivery=answered)
        producer.flush(ANSWER_S)

    def _note(self, found: int) -> None:
        was, is_apart = abs(self.apart_ms or 0) > MOST_APART_MS, abs(found) > MOST_APART_MS
        self.apart_ms = found
        if is_apart and not was:
            side = "ahead of" if found > 0 else "behind"
            log.error(
                "our clock is %.1f s %s the broker's: no timers fire here until it is right", abs(found) / 1e3, side
            )
        elif was and not is_apart:
            log.warning("our clock agrees with the broker's again: timers fire")
