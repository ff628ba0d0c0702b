"""Rebuild: the memory of a partition, lost with its changelog, made again from the customer log; nothing is published.

- reads: `customer-log`, the outbound topics, `definitions`, and what is left of `customers-changelog`
- writes: `customers-changelog` and the group's offset, in transactions of its own, as the partition's owner; the
  position comes last
- guarantee: the memory is that behind the last transaction of which anything was written, so that the worker that
  goes on from it neither repeats a decision nor leaves one out
- a crash leaves no position but an offset of the group, with which no worker starts: the same once more

How far a partition was folded stood in its changelog. The group's offset, told once a second, may lie behind it: from
there on the log is folded part by part, as long as the outbound topics still hold what comes out.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from msgspec import Struct

from agents.catalogues import Catalogues
from agents.customers import POSITION_KEY, Position
from agents.replaying import Reach, ReplayPlan, Shadow, reach_of, slices
from schemas.errors import TidingsError
from schemas.instants import Millis
from schemas.topics import CUSTOMER_LOG, CUSTOMERS_CHANGELOG, OUTBOUND_TOPICS
from streams.changelog import OWNER
from streams.clients import KafkaClients
from streams.reading import read_partition
from streams.takeover import give_up, take_over
from streams.topics import end_offsets, first_offsets, members
from streams.transactions import Lane

ENDED_WITHIN_S: Final = 60.0
"""A broker aborts what a dead worker left open after 10 s, and looks for that every 10."""
LOOK_EVERY_S: Final = 0.5
RECORDS_A_TRANSACTION: Final = 5_000
BYTES_A_TRANSACTION: Final = 4 * 1024 * 1024


class Rebuilt(Struct, frozen=True, kw_only=True):
    """What came of one partition."""

    partition: int
    next_offset: int
    """Where its worker will go on."""
    records: int
    """Of the log, folded again."""
    stored: int
    """Customers, and what else is remembered of the partition."""


class Rebuild(Struct, frozen=True, kw_only=True):
    """What is rebuilt, from what, and under whose name."""

    plan: ReplayPlan
    group: str
    """The workers' group."""
    name: str
    """The transactional id; no process has ever had it."""
    catalogues: Catalogues
    clock: Callable[[], Millis]

    @property
    def changelog(self) -> str:
        """The topic's name."""
        return self.plan.prefix + CUSTOMERS_CHANGELOG


def needs_rebuilding(rebuild: Rebuild, partition: int) -> bool:
    """Tell whether a worker would refuse to go on with a partition, or would begin with it from nothing."""
    connection, log = rebuild.plan.connection, rebuild.plan.prefix + CUSTOMER_LOG
    first, end = first_offsets(connection, log)[partition], end_offsets(connection, log)[partition]
    position = _position(_stored(rebuild, partition))
    return end > 0 if position is None else not first <= position <= end


def rebuild_partition(
    rebuild: Rebuild, partition: int, told: int, progress: Callable[[int, int], object] = lambda _done, _all: None
) -> Rebuilt:
    """Make a partition's memory again, and store it.

    Args:
        rebuild: what it is made from.
        partition: one that needs it.
        told: the offset that the group has committed; 0 for none.
        progress: is called with how many offsets of the log are folded, of how many.

    Raises:
        TidingsError: a worker runs, the beginning of the log is gone, the rules lead to something else than was
            written, or Kafka doesn't answer. The partition then still needs rebuilding.
    """
    refuse_beside_workers(rebuild)
    plan, before = rebuild.plan, _position(_stored(rebuild, partition))
    try:
        with asyncio.Runner() as runner:
            runner.run(_all_is_ended(rebuild, partition))
            reach = reach_of(plan.connection, plan.prefix, {partition: told})[partition]
            if told > reach.log_end:
                raise TidingsError(_log_is_another(rebuild, partition, reach))
            shadow = Shadow(plan, partition, reach, rebuild.catalogues)
            records = _fold(runner, shadow, plan, partition, reach, progress)
            _refuse_differences(shadow, partition)
            memory = shadow.memory()
            runner.run(_store(rebuild, partition, memory, before, told))
    except (KafkaError, TimeoutError) as error:
        msg = (
            f"partition {partition}: somebody else has taken it, or Kafka doesn't answer ({type(error).__name__});"
            " end all workers and run `tidings rebuild` again"
        )
        raise TidingsError(msg) from None
    next_offset = _position(memory)
    assert next_offset is not None  # noqa: S101 -- a fold's changes hold its position
    return Rebuilt(partition=partition, next_offset=next_offset, records=records, stored=len(memory) - 1)


def refuse_beside_workers(rebuild: Rebuild) -> None:
    """Make sure that no worker has anything in hand.

    Raises:
        TidingsError: one has, or had so lately that Kafka still counts on it.
    """
    count = members(rebuild.plan.connection, rebuild.group)
    if count:
        msg = (
            f"{count} of the group {rebuild.group} still run: end all workers first (one that was killed is counted"
            " until its session is over, some seconds)"
        )
        raise TidingsError(msg)


def _fold(
    runner: asyncio.Runner, shadow: Shadow, plan: ReplayPlan, partition: int, reach: Reach,
    progress: Callable[[int, int], object],
) -> int:  # fmt: skip
    """Fold up to what the group has told, and from there on as long as something was written; count the records."""
    count, told = 0, max(shadow.start, reach.position)
    for records in slices(plan, partition, shadow.start, told):
        shadow.take(runner, records)
        count += len(records)
        shadow.keep()
        progress(shadow.next_offset, told)
        if shadow.differs_everywhere():
            return count
    for records in slices(plan, partition, told, reach.log_end):
        for record in records:
            if not shadow.awaits():
                return count
            shadow.take_what_was_written(runner, record)
            count += 1
    return count


def _refuse_differences(shadow: Shadow, partition: int) -> None:
    for comparison in shadow.comparisons.values():
        comparison.finish(before=shadow.next_offset + 1, is_whole=True)
    found = sum(len(comparison.differences) for comparison in shadow.comparisons.values())
    if found:
        msg = (
            f"partition {partition}: the log leads to other decisions or sends than were written ({found:,} differ), so"
            " that its memory can't be made again: was it folded by another release? Rebuild with that one, or see"
            f" what differs with `tidings replay --partition {partition}`"
        )
        raise TidingsError(msg)


async def _all_is_ended(rebuild: Rebuild, partition: int) -> None:
    """Wait until what a worker that died has left open is aborted, or its fate would not be known.

    Its name stood in the changelog, which may be lost, so it can't be hurried.

    Raises:
        TimeoutError: somebody writes for longer than a worker may.
    """
    topics = [rebuild.plan.prefix + name for name in (CUSTOMER_LOG, *OUTBOUND_TOPICS)]
    async with asyncio.timeout(ENDED_WITHIN_S):
        while any(_is_open(rebuild, topic, partition) for topic in topics):  # noqa: ASYNC110 -- the broker tells nobody
            await asyncio.sleep(LOOK_EVERY_S)


def _is_open(rebuild: Rebuild, topic: str, partition: int) -> bool:
    connection = rebuild.plan.connection
    return end_offsets(connection, topic)[partition] < end_offsets(connection, topic, committed=False)[partition]


class _Nothing:
    """In place of a fold: what is left of the memory is looked at by key."""

    def restore(self, changes: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Leave it."""


async def _store(rebuild: Rebuild, partition: int, memory: dict[bytes, bytes], before: int | None, told: int) -> None:
    """Write the memory in place of what is left; the position in the last transaction.

    Raises:
        TidingsError: meanwhile somebody else has stored a position.
    """
    clients = KafkaClients(rebuild.plan.connection)
    source = TopicPartition(rebuild.plan.prefix + CUSTOMER_LOG, partition)
    transactions = Lane(
        clients, app_id=rebuild.group, name=f"{rebuild.name}-{partition}", changelog_topic=rebuild.changelog
    )
    try:
        await transactions.start()
        await take_over(
            source,
            TopicPartition(rebuild.changelog, partition),
            fold=_Nothing(),
            clients=clients,
            transactions=transactions,
            clock=rebuild.clock,
        )
        # From here on nobody else's transaction can come between; what came before it is seen.
        left = _stored(rebuild, partition)
        refuse_beside_workers(rebuild)
        if _position(left) != before:
            msg = f"partition {partition}: somebody else has rebuilt it meanwhile"
            raise TidingsError(msg)
        for part in parts({key for key in left if not key.startswith(OWNER)}, memory):
            is_last = POSITION_KEY in part and part[POSITION_KEY] is not None
            offset = _position(memory) if is_last else told
            await transactions.commit(source, (), list(part.items()), now=rebuild.clock(), offset=offset)
        await give_up(source, transactions=transactions, now=rebuild.clock())
    finally:
        # Also at Ctrl-C: aiokafka complains on the terminal of a producer that is left open.
        await transactions.stop()


def parts(left: Collection[bytes], memory: dict[bytes, bytes]) -> Iterator[dict[bytes, bytes | None]]:
    """Cut what is to be stored into what a transaction takes, in order.

    The position of before goes in the first, and the new one comes in the last: who is killed in between leaves none.

    Args:
        left: the keys that the changelog still holds.
        memory: what it is to hold, the position included.
    """
    gone = sorted(set(left) - memory.keys() - {POSITION_KEY})
    changes: list[tuple[bytes, bytes | None]] = [(key, None) for key in gone]
    changes += [(key, value) for key, value in memory.items() if key != POSITION_KEY]
    part, size = dict[bytes, bytes | None](), 0
    if POSITION_KEY in left and changes:
        part[POSITION_KEY] = None
    for key, value in changes:
        if len(part) >= RECORDS_A_TRANSACTION or size >= BYTES_A_TRANSACTION:
            yield part
            part, size = {}, 0
        part[key] = value
        size += len(key) + len(value or b"")
    if part.get(POSITION_KEY, b"") is None:
        yield part
        part = {}
    yield part | {POSITION_KEY: memory[POSITION_KEY]}


def _stored(rebuild: Rebuild, partition: int) -> dict[bytes, bytes]:
    """Read what the changelog holds of a partition."""
    connection, topic, stored = rebuild.plan.connection, rebuild.changelog, dict[bytes, bytes]()
    first, end = first_offsets(connection, topic)[partition], end_offsets(connection, topic)[partition]
    for messages in read_partition(connection, topic, partition, first, end):
        for message in messages:
            key, value = message.key(), message.value()
            if not isinstance(key, bytes):
                continue
            if isinstance(value, bytes):
                stored[key] = value
            else:
                stored.pop(key, None)
    return stored


def _position(stored: dict[bytes, bytes]) -> int | None:
    value = stored.get(POSITION_KEY)
    return None if value is None else msgspec.json.decode(value, type=Position).next_offset


def _log_is_another(rebuild: Rebuild, partition: int, reach: Reach) -> str:
    return (
        f"partition {partition} of {rebuild.plan.prefix}{CUSTOMER_LOG} ends at offset {reach.log_end:,}, but the group"
        f" was at {reach.position:,}: it isn't the log that was folded, or has lost its end"
    )
