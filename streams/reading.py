"""Reads topics to their ends, once, committed records only: for what is asked for and then done."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from schemas.errors import TidingsError
from streams.connection import Connection, confluent_settings
from streams.topics import end_offsets

POLL_MESSAGES: Final = 500
"""At once: few enough that their memory is used again while it is warm; of 5,000 each costs half as much again."""
POLL_S: Final = 0.05
_SILENT_POLLS: Final = 600
"""Half a minute without a record or an end: Kafka is away."""
_END_WAIT_MS: Final = 20
"""How long a broker holds a fetch that finds nothing: whoever reads to an end is told of it no sooner."""
_NEAR: Final = 1_000
"""So many offsets from an end of a partition have a record; the rest are ends of transactions, or were taken back."""


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
    starts = {place: 0 if last is None else max(0, end - last) for place, end in ends.items() if end > 0}
    total, read = sum(ends.values()), 0
    for messages in _polled(connection, starts, ends):
        read += len(messages)
        progress(min(read, total), total)
        yield from messages
    progress(total, total)


def read_partition(connection: Connection, topic: str, partition: int, start: int, end: int) -> Iterator[list[Message]]:
    """Yield the committed records of a stretch of one partition, in order, as they come.

    Args:
        connection: where Kafka is.
        topic: it must exist.
        partition: of the topic.
        start: the first offset.
        end: the offset behind the last; records may end before it, with the partition.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    if start >= end:
        return
    for messages in _polled(connection, {(topic, partition): start}, {(topic, partition): end}):
        if messages and (messages[-1].offset() or 0) >= end:
            yield [message for message in messages if (message.offset() or 0) < end]
            return
        if messages:
            yield messages


class Tail:
    """Reads a topic on from given offsets, for as long as it is asked to."""

    def __init__(self, connection: Connection, topic: str, starts: Mapping[int, int]) -> None:
        """Begin at the first offset of each partition that is to be read."""
        self._consumer = _consumer(connection)
        self._consumer.assign([TopicPartition(topic, number, start) for number, start in starts.items()])

    def take(self) -> list[Message]:
        """Return the committed records that have come since, each partition in its order; none after a short wait.

        Raises:
            TidingsError: Kafka refuses.
        """
        messages = self._consumer.consume(POLL_MESSAGES, POLL_S)
        _ended(messages)
        return [message for message in messages if message.error() is None]

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()


def first_and_last(
    connection: Connection, topic: str, stretches: Mapping[int, tuple[int, int]]
) -> dict[int, tuple[Message, Message]]:
    """Return the first and the last committed record of a stretch of each partition.

    The first is one with a key, where there is such: marks, which have none, may bear any time.

    Args:
        connection: where Kafka is.
        topic: it must exist.
        stretches: by partition, the first offset and the one behind the last. One without a record near either end
            isn't in what is returned.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    starts = {number: (first, min(end, first + _NEAR)) for number, (first, end) in stretches.items()}
    ends = {number: (max(first, end - _NEAR), end) for number, (first, end) in stretches.items()}
    firsts = {number: _first(messages) for number, messages in _near(connection, topic, starts).items()}
    lasts = {number: messages[-1] for number, messages in _near(connection, topic, ends).items()}
    return {number: (firsts[number], lasts[number]) for number in firsts.keys() & lasts.keys()}


def _first(messages: Sequence[Message]) -> Message:
    return next((message for message in messages if message.key() is not None), messages[0])


def _near(connection: Connection, topic: str, stretches: Mapping[int, tuple[int, int]]) -> dict[int, list[Message]]:
    wanted = {(topic, number): stretch for number, stretch in stretches.items() if stretch[0] < stretch[1]}
    found: dict[int, list[Message]] = {}
    if not wanted:
        return found
    starts, ends = ({place: stretch[side] for place, stretch in wanted.items()} for side in (0, 1))
    for messages in _polled(connection, starts, ends):
        for message in messages:
            number = message.partition() or 0
            if (message.offset() or 0) < stretches[number][1]:
                found.setdefault(number, []).append(message)
    return found


def _consumer(connection: Connection) -> Consumer:
    return Consumer(
        confluent_settings(connection)
        | {
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": _END_WAIT_MS,
            "log_level": 2,
        }
    )


def _polled(
    connection: Connection, starts: Mapping[tuple[str, int], int], ends: Mapping[tuple[str, int], int]
) -> Iterator[list[Message]]:
    """Yield what each poll brings, from these offsets to the ends of their partitions and a little beyond."""
    unfinished, silent = set(starts), 0
    consumer = _consumer(connection)
    try:
        consumer.assign([TopicPartition(*place, start) for place, start in starts.items()])
        while unfinished:
            messages = consumer.consume(POLL_MESSAGES, POLL_S)
            silent = 0 if messages else silent + 1
            if silent > _SILENT_POLLS:
                topics = ", ".join(sorted({topic for topic, _ in starts}))
                raise TidingsError(f"{topics} can't be read: Kafka doesn't answer")
            found = [message for message in messages if message.error() is None]
            unfinished -= _finished(found, ends)
            if len(found) < len(messages):
                unfinished -= _ended(messages)
            yield found
    finally:
        consumer.close()


def _finished(messages: Sequence[Message], ends: Mapping[tuple[str, int], int]) -> set[tuple[str, int]]:
    """Return the partitions of which these are the last records: where records keep coming, no end is ever told."""
    latest = messages[-1:] if len(ends) == 1 else messages
    return {place for message in latest if (message.offset() or 0) >= ends[place := _place(message)] - 1}


def _ended(messages: Sequence[Message]) -> set[tuple[str, int]]:
    """Return the partitions whose end was told.

    Raises:
        TidingsError: Kafka refuses.
    """
    ended = set()
    for message in messages:
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            ended.add(_place(message))
        elif error is not None and not error.retriable():
            raise TidingsError(f"{message.topic()} can't be read: {error.str()}")
    return ended


def _place(message: Message) -> tuple[str, int]:
    return message.topic() or "", message.partition() or 0
