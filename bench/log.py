"""The log of the trigger job on Kafka: written as the ingest would write it, without measuring that."""

import asyncio
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from agents.catalogues import publish_catalogue
from bench.traffic import Arrival, read_traffic
from schemas.events import Json, customer_key
from schemas.instants import Millis
from schemas.log import (
    SEQUENCE,
    SOURCE,
    FinalMark,
    Source,
    decode_event,
    encode_mark,
    pack_number,
    pack_source,
)
from schemas.topics import CUSTOMER_LOG, topics
from streams.appending import Appender, NewRecord
from streams.clients import KafkaClients
from streams.connection import Connection
from streams.partitions import partition_of
from streams.topics import committed_offsets, end_offsets, ensure_topics

PARTITIONS = 4
_TOPIC_ID = bytes(16)
_AT_ONCE = 20_000


def write_log(connection: Connection, prefix: str, documents: list[Json], path: Path, end: Millis) -> None:
    """Write topics, catalogue, events and final marks under a prefix."""
    ensure_topics(connection, topics(prefix, PARTITIONS, PARTITIONS, "log"))
    publish_catalogue(connection, prefix, documents, number=1, at=1)  # 0 would be "now" to the client
    asyncio.run(_append(connection, prefix + CUSTOMER_LOG, path, end))


async def _append(connection: Connection, topic: str, path: Path, end: Millis) -> None:
    appender = Appender(KafkaClients(connection))
    await appender.start()
    numbered = enumerate(read_traffic(path), start=1)
    while some := list(islice(numbered, _AT_ONCE)):
        await _append_parted(appender, topic, some)
    final = NewRecord(key=None, value=encode_mark(FinalMark()), timestamp=end)
    await asyncio.gather(*(appender.append(topic, partition, [final]) for partition in range(PARTITIONS)))
    await appender.stop()


async def _append_parted(appender: Appender, topic: str, some: Iterable[tuple[int, Arrival]]) -> None:
    parted: list[list[NewRecord]] = [[] for _ in range(PARTITIONS)]
    for line, arrival in some:
        key = customer_key(decode_event(arrival.value))
        parted[partition_of(key, PARTITIONS)].append(_record(key, line, arrival))
    await asyncio.gather(*(appender.append(topic, partition, records) for partition, records in enumerate(parted)))


def _record(key: bytes, line: int, arrival: Arrival) -> NewRecord:
    """Make the record that the ingest makes of a line: with its source and the line; the log has its own clock."""
    headers = [
        (SOURCE, pack_source(Source(_TOPIC_ID, 0, line))),
        (SEQUENCE, pack_number(line)),
    ]
    return NewRecord(key=key, value=arrival.value, timestamp=arrival.at, headers=headers)


def is_folded(connection: Connection, group: str, topic: str) -> bool:
    """Tell whether a group stands at the end of a topic."""
    done = committed_offsets(connection, group, topic)
    return all(done.get(partition, 0) >= end for partition, end in end_offsets(connection, topic).items())
