"""Reads topics from beginning to end, once, committed records only: for what is asked for and then done."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from schemas.errors import TidingsError
from streams.connection import Connection, confluent_settings
from streams.topics import end_offsets

POLL_MESSAGES: Final = 5_000
POLL_S: Final = 0.1
_SILENT_POLLS: Final = 300
"""Half a minute without a record or an end: Kafka is away."""


def read_to_end(
    connection: Connection,
    topics: Sequence[str],
    progress: Callable[[int, int], object] = lambda _read, _all: None,
    *,
    last: int | None = None,
) -> Iterator[Message]:
    """Yield every committed record that is in the topics now, each partition in its order.

    Args:
        connection: where Kafka is.
        topics: they must exist.
        progress: is called with how many offsets were read, of how many; markers of transactions count as well.
        last: begin so many offsets before the end of each partition; None: at its beginning.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    ends = {(topic, partition): end for topic in topics for partition, end in end_offsets(connection, topic).items()}
    unfinished = {place for place, end in ends.items() if end > 0}
    total, read, silent = sum(ends.values()), 0, 0
    consumer = Consumer(
        confluent_settings(connection)
        | {
            "group.id": "unused",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    try:
        starts = {place: 0 if last is None else max(0, ends[place] - last) for place in unfinished}
        consumer.assign([TopicPartition(*place, starts[place]) for place in unfinished])
        while unfinished:
            messages = consumer.consume(POLL_MESSAGES, POLL_S)
            silent = 0 if messages else silent + 1
            if silent > _SILENT_POLLS:
                raise TidingsError(f"{', '.join(topics)} can't be read: Kafka doesn't answer")
            read += len(messages)
            progress(min(read, total), total)
            for message in messages:
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    unfinished.discard((message.topic() or "", message.partition() or 0))
                elif not error.retriable():
                    raise TidingsError(f"{message.topic()} can't be read: {error.str()}")
        progress(total, total)
    finally:
        consumer.close()
