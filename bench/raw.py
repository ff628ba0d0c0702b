"""The measure of everything: a process that reads the log with aiokafka, decodes each event, and does nothing.

`python -m bench.raw BROKERS TOPIC` prints a lap as JSON. No group, no transactions, fetches as large as those of
the worker, the same event loop and the same rarely running collector of cycles.
"""

import asyncio
import gc
import sys

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.log import PARTITIONS
from bench.measured import Lap, Moment
from schemas.log import decode_event
from streams.fetching import FETCH_BYTES, MOST_RECORDS_TAKEN


async def read_and_decode(brokers: str, topic: str) -> Lap:
    """Read the topic from its beginning to its present end."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=brokers,
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_bytes=4 * FETCH_BYTES,
        check_crcs=False,
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        return await _drain(consumer, ends)
    finally:
        await consumer.stop()


async def _drain(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> Lap:
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
    gc.set_threshold(100_000, 50, 1_000)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    lap = asyncio.run(read_and_decode(*sys.argv[1:]))
    sys.stdout.buffer.write(msgspec.json.encode(lap))
