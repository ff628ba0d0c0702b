"""Taking a partition over, so that nobody else can write for it any more; and giving it up.

Every worker has one transactional id, its name, which no process but it ever has. Whoever writes for a partition has
written his name into its changelog before (`f:` and the name), and takes it out when he gives the partition up. So:

1. Read the changelog up to where the first open transaction begins. Names stand before what their owners wrote, so
   everybody who may have something open is read by then.
2. Begin an epoch of each name that isn't one's own: what it left open is aborted, and it can write nothing more.
3. Commit the own name, and that the others may no longer. Read on up to there.
4. Is there another name again, from somebody who came at the same time? From 2 on once more.

**Why that is exact.** Between two who take over at once, one name stands behind the other, and its owner reads the
first one and fences it before he goes on: both can't go on. Whatever a fenced owner had committed stands before the
name that is written after fencing it, so it is read. A name stays, also where others come behind it, until its owner
gives up or somebody has fenced it; so nobody who can still write is overlooked.

Who gives a partition up takes his name out behind everything else he wrote for it; so a living worker isn't fenced
because one of its partitions went to another.
"""

from collections.abc import Callable

from aiokafka import TopicPartition

from streams.changelog import OWNER, ChangelogReader, Restored
from streams.clients import Clients
from streams.transactions import Change, Lane


async def take_over(
    source: TopicPartition,
    changelog: TopicPartition,
    *,
    fold: Restored,
    clients: Clients,
    transactions: Lane,
    clock: Callable[[], int],
) -> int:
    """Become the only one who can write for a partition, and give the fold its memory.

    Args:
        source: the partition of the log.
        changelog: where its memory is kept.
        fold: empty.
        clients: makes clients of Kafka.
        transactions: our own.
        clock: now in epoch milliseconds.

    Returns:
        How many records of the changelog the fold was given.

    Raises:
        aiokafka.errors.KafkaError: the brokers can't be reached, or refuse, or somebody has fenced us.
        TimeoutError: somebody else's transaction stays open.
    """
    async with ChangelogReader(fold, clients, changelog) as reader:
        await reader.read_to(await reader.stable_end())
        while True:
            others = sorted(reader.owners - {transactions.name})
            for name in others:
                await transactions.fence_out(name)
            now = clock()
            changes: list[Change] = [(OWNER + name.encode(), None) for name in others]
            changes.append((OWNER + transactions.name.encode(), b"%d" % now))
            written = await transactions.commit(source, (), changes, now=now, offset=None)
            # A retried produce can be acknowledged without its offset; then the name is written again.
            if written < 0:
                continue
            await reader.read_to(written + len(changes))
            if reader.owners == {transactions.name}:
                return reader.restored


async def give_up(source: TopicPartition, *, transactions: Lane, now: int) -> None:
    """Take the own name out of a partition; nothing may be written for it afterwards.

    Raises:
        aiokafka.errors.KafkaError: refused; somebody has fenced us.
    """
    await transactions.commit(source, (), [(OWNER + transactions.name.encode(), None)], now=now, offset=None)
