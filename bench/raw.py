"""The measure of everything: a process that reads the log with aiokafka, decodes each event, and does nothing.

`python -m bench.raw BROKERS TOPIC each|batches` prints a lap as JSON. Neither has a group or transactions.

- `each`: `async for record in consumer` with aiokafka's defaults, as its documentation shows and most programs do.
- `batches`: the fastest that we know: `getmany`, fetches as large as the worker's, uvloop, and the collector of
  cycles as rarely as in the worker. It is what the worker could be if deciding and committing cost nothing.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.log import PARTITIONS
from bench.measured import Lap, Moment
from schemas.log import decode_event
from streams.collecting import collect_seldom
from streams.fetching import FETCH_BYTES, MOST_RECORDS_TAKEN

_LARGE: Final = {
    "max_partition_fetch_bytes": FETCH_BYTES,
    "fetch_max_bytes": 4 * FETCH_BYTES,
    "check_crcs": False,
}


async def read_and_decode(brokers: str, topic: str, *, each: bool) -> Lap:
    """Read the topic from its beginning to its present end."""
    sizes: Mapping[str, Any] = {} if each else _LARGE
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers, enable_auto_commit=False, **sizes)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        return await (_drain_each(consumer, ends) if each else _drain_batches(consumer, ends))
    finally:
        await consumer.stop()


async def _drain_each(consumer: AsyncIterator[Any], ends: dict[TopicPartition, int]) -> Lap:
    begin, events = Moment.now(), 0
    last = {(partition.partition, end - 1) for partition, end in ends.items()}
    async for record in consumer:
        if record.key is not None:
            decode_event(record.value)
            events += 1
        elif (record.partition, record.offset) in last:
            last.remove((record.partition, record.offset))
            if not last:
                break
    return begin.to(Moment.now(), events)


async def _drain_batches(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> Lap:
    begin, events, unfinished = Moment.now(), 0, set(ends)
    while unfinished:
        for partition, records in (await consumer.getmany(timeout_ms=1_000, max_records=MOST_RECORDS_TAKEN)).items():
            for record in records:
                if record.key is not None:
                    decode_event(record.value)
                    events += 1
            if records[-1].offset + 1 >= ends[partition]:
                unfinished.discard(partition)
    return begin.to(Moment.now(), events)


if __name__ == "__main__":
    _brokers, _topic, _how = sys.argv[1:]
    if _how == "batches":
        collect_seldom()
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    _lap = asyncio.run(read_and_decode(_brokers, _topic, each=_how == "each"))
    sys.stdout.buffer.write(msgspec.json.encode(_lap))
