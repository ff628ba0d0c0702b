"""The whole customer log as one: its partitions merged in the order in which records were appended.

A log with its own clock is merged by time and line, which is how its ingest wrote it. Within a partition the order is
the log's, whatever the clocks said.
"""

from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush

from agents.replaying import Reach, log_record
from agents.world import LogRecord
from schemas.log import APPENDED, SEQUENCE, header, unpack_number
from schemas.topics import CUSTOMER_LOG
from streams.connection import Connection
from streams.reading import read_partition

_Head = tuple[int, bytes, int, LogRecord]


def merged_log(
    connection: Connection, prefix: str, reaches: Mapping[int, Reach], starts: Mapping[int, int] | None = None
) -> Iterator[LogRecord]:
    """Yield every committed record of the log, as far as it reached.

    Args:
        connection: where Kafka is.
        prefix: of the topics.
        reaches: how far each partition reached.
        starts: by partition, its first offset that is read; None: all from their beginnings.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    yield from merged(
        {
            number: partition_log(
                connection, prefix, number, reach.log_end, start=0 if starts is None else starts[number]
            )
            for number, reach in reaches.items()
        }
    )


def merged(sources: Mapping[int, Iterator[LogRecord]]) -> Iterator[LogRecord]:
    """Yield the records of some partitions in the order in which they were appended."""
    heads = [_head(record) for source in sources.values() if (record := next(source, None)) is not None]
    heapify(heads)
    while heads:
        record = heappop(heads)[3]
        yield record
        following = next(sources[record.partition], None)
        if following is not None:
            heappush(heads, _head(following))


def partition_log(
    connection: Connection, prefix: str, partition: int, end: int, *, start: int = 0
) -> Iterator[LogRecord]:
    """Yield every committed record of one partition of the log, from an offset on, up to another.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    for messages in read_partition(connection, prefix + CUSTOMER_LOG, partition, start, end):
        for message in messages:
            yield log_record(message, partition)


def _head(record: LogRecord) -> _Head:
    appended = header(record.headers, APPENDED)
    at = record.timestamp if appended is None else unpack_number(appended)
    return at, header(record.headers, SEQUENCE) or b"", record.partition, record
