"""How far the ingest is, said by itself: the offsets of its group, and the watermark that no tick of a worker may pass.

A word is true when it is said: the ends of our public partitions are asked for, and the instant before the question is
told once what stood before them is acknowledged in the log. So a watermark is behind the clock by what one question and
one answer take where nothing waits, and by the backlog where something does.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust.types import TP

from schemas.instants import Millis
from schemas.topics import WATERMARKS
from streams.appending import Appender, NewRecord
from streams.connection import Connection
from streams.hard_stop import stop_hard
from streams.reading import read_to_end
from streams.sources import Sources
from streams.topics import partition_counts
from streams.watermarks import ReadTo, Watermarks, Word, encode_partitions, encode_word

log = logging.getLogger("tidings.agents")

COMMIT_EVERY_S: Final = 0.5
TELL_EVERY_S: Final = 0.05
"""A timer waits so long at most for the word by which it may fire; within 250 ms it should have."""


@asynccontextmanager
async def telling(
    sources: Sources, appender: Appender, positions: Mapping[TP, int], topic: str, clock: Callable[[], Millis]
) -> AsyncIterator[None]:
    """Say how far we are while the block runs; what is read last is told by whoever reads.

    Args:
        sources: what is read.
        appender: writes to the log, and the words too.
        positions: of each partition the first offset that wasn't given to the appender; whoever reads keeps it up.
        topic: where the words go.
        clock: ours, epoch milliseconds.
    """
    ended = asyncio.Event()
    # Never cancelled: that would cancel what the appender has under way.
    telling_task = asyncio.ensure_future(_tell(sources, appender, positions, topic, clock, ended))
    telling_task.add_done_callback(_stop_if_failed)
    try:
        yield
    finally:
        ended.set()
        await asyncio.wait([telling_task])


def read_to(connection: Connection, prefix: str) -> Millis | None:
    """Return up to when everything that was published is in the log by what ingests have said; None before a word.

    Raises:
        TidingsError: Kafka doesn't answer.
    """
    topic = prefix + WATERMARKS
    if not partition_counts(connection, [topic]):
        return None
    watermarks = Watermarks()
    for message in read_to_end(connection, [topic]):
        watermarks.take(message.key() or b"", message.value() or b"", message.timestamp()[1])
    return watermarks.least(frozenset())


async def _tell(
    sources: Sources,
    appender: Appender,
    positions: Mapping[TP, int],
    topic: str,
    clock: Callable[[], Millis],
    ended: asyncio.Event,
) -> None:
    state, key = ReadTo(sources.starts), encode_partitions(sources.partitions)
    loop = asyncio.get_running_loop()
    committed, committed_at = dict(positions), loop.time()
    while not ended.is_set():
        at = clock()
        try:
            state.ask(at, await sources.ends())
        except (KafkaError, ConsumerStoppedError, TimeoutError) as error:
            log.debug("the ends of the public topics can't be asked for: %r", error)
        given = dict(positions)
        await appender.flush()
        state.flush(given)
        least = state.least()
        if least is not None:
            value = encode_word(Word(read_to=least, said_at=clock()))
            await appender.append(topic, 0, [NewRecord(key=key, value=value, timestamp=at)])
        if given != committed and loop.time() - committed_at >= COMMIT_EVERY_S:
            await sources.commit(given)
            committed, committed_at = given, loop.time()
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), TELL_EVERY_S)


def _stop_if_failed(telling_task: asyncio.Task[None]) -> None:
    if not telling_task.cancelled() and (error := telling_task.exception()) is not None:
        stop_hard("the watermark could not be told", error)
