"""Reading a partition's memory back from its changelog, as far as one wants.

Keys of the fold begin with `c:`, `a:`, `p` and others, but never with `f`: those are the names of the workers who may
write for the partition (`streams/takeover.py`). Batches of raw bytes, decoded on first touch by the fold: 100-137 k
records/s against 5 k of Faust's tables. Where to stop is an offset, so it makes no difference whether the last thing
in the changelog is a record or a marker (where Faust's recovery waits for ever).
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from aiokafka import TopicPartition

from streams.clients import Clients

OWNER: Final = b"f:"
"""Before the name of a worker who may write for the partition; there is no value any more where it may not."""
FETCH_BYTES = 4 * 1024 * 1024
MOST_RECORDS_AT_ONCE = 2_000
PATIENCE_S = 60.0


class Restored(Protocol):
    """Who is given what a changelog holds; a fold, for one."""

    def restore(self, changes: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Take records of the changelog, oldest first."""


class ChangelogReader:
    """One reading of a changelog partition, from its beginning, of what is committed."""

    def __init__(self, fold: Restored, clients: Clients, changelog: TopicPartition) -> None:
        """Prepare; the fold is given what is read."""
        self._fold = fold
        self._changelog = changelog
        self._consumer: Any = clients.consumer(
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=FETCH_BYTES,
            fetch_max_wait_ms=100,
        )
        self.restored = 0
        """Records that the fold was given."""
        self.owners: set[str] = set()
        """Who may write for the partition, as far as it was read."""

    async def __aenter__(self) -> Self:
        """Connect."""
        await self._consumer.start()
        self._consumer.assign([self._changelog])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self._consumer.stop()

    async def stable_end(self) -> int:
        """Return the offset up to which can be read now: where the first open transaction begins, or the end."""
        ends = await self._consumer.end_offsets([self._changelog])
        return int(ends[self._changelog])

    async def read_to(self, end: int) -> None:
        """Read on until the record or marker before `end` has been read.

        Raises:
            aiokafka.errors.KafkaError: the changelog can't be read.
            TimeoutError: nothing came for `PATIENCE_S`; somebody else's open transaction can hold it up.
        """
        loop = asyncio.get_running_loop()
        position, last_at = await self._consumer.position(self._changelog), loop.time()
        while position < end:
            taken = await self._consumer.getmany(self._changelog, timeout_ms=500, max_records=MOST_RECORDS_AT_ONCE)
            self._take(taken.get(self._changelog, ()))
            before, position = position, await self._consumer.position(self._changelog)
            if position > before:
                last_at = loop.time()
            elif loop.time() - last_at > PATIENCE_S:
                raise TimeoutError(f"{self._changelog} gave nothing for {PATIENCE_S:.0f} s before offset {end}")
            await asyncio.sleep(0)

    def _take(self, records: Any) -> None:
        changes = [(record.key, record.value) for record in records if not record.key.startswith(b"f")]
        if len(changes) < len(records):
            for record in records:
                if record.key.startswith(OWNER):
                    name = record.key[len(OWNER) :].decode()
                    (self.owners.add if record.value else self.owners.discard)(name)
        if changes:
            self._fold.restore(changes)
            self.restored += len(changes)
