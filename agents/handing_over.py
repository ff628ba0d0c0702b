"""The hand-over of a backfill, from the side that prepares it: who would stand where, as of the end of what was read.

The log is folded twice. A replica of every partition's fold says who everybody is, to the byte, and who hasn't gone
over yet; a shadow says where she would stand. From both, as of the same records, come entries for the log: a slice, and
the digest of the customer to whom it belongs. If something of hers comes before the entry does, the entry is nothing,
and the replica, which reads the entry as the workers do, says so. So nothing has to be asked of a worker, nothing is
remembered outside of the log, and whoever does the same again after a crash goes on where the log stands.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from agents.backfilling import Backfill
from agents.customers import CustomerFold
from agents.engine import appended_at
from agents.left_out import refusing_new
from agents.replaying import KEEP_BYTES, SLICE
from agents.world import LogRecord
from journeys.backfilling import Owned, digest_of, slice_of, to_be_sent
from schemas.instants import Millis
from schemas.log import Stage
from schemas.staging import Backfill as Asked
from schemas.staging import LateSend, StagedEntry, encode_staged

ENTRIES_A_MARK: Final = 100
"""A worker takes them in one go, so they are few; and a mark is never large."""


class HandOver:
    """The replica of every partition, and the shadow."""

    def __init__(
        self, shadow: Backfill, made: Mapping[str, Mapping[str, LateSend]], partitions: Sequence[int],
        begin: Callable[[int], CustomerFold],
    ) -> None:  # fmt: skip
        """Begin before the log's first record.

        Args:
            shadow: the log with the workflow in it.
            made: what its catalogues note of the messages they make, by customer and id.
            partitions: of the log.
            begin: makes a fold of a partition that remembers nothing.
        """
        self.shadow, self._made = shadow, made
        self._folds = {number: begin(number) for number in partitions}
        self._unfolded: dict[int, list[LogRecord]] = {number: [] for number in partitions}
        self._runner = asyncio.Runner()
        self.is_live = False
        """Whether records say when they were appended: time passes by the clock then."""

    def take(self, record: LogRecord) -> None:
        """Take the next record of the log; `fold` follows before anything is asked."""
        self.shadow.take(record)
        self.is_live = self.is_live or appended_at(record.headers) is not None
        waiting = self._unfolded[record.partition]
        waiting.append(record)
        if len(waiting) >= SLICE:
            self._fold(record.partition)

    def fold(self) -> None:
        """Bring every replica to where the shadow stands."""
        for number, waiting in self._unfolded.items():
            if waiting:
                self._fold(number)

    def _fold(self, number: int) -> None:
        fold, records = self._folds[number], self._unfolded[number]
        self._unfolded[number] = []
        self._runner.run(fold.prepare(records))
        changed_bytes = 0
        with refusing_new(f"partition {number}, behind offset {records[0].offset:,}"):
            for part in fold.fold(records):
                changed_bytes = part.changed_bytes
        if changed_bytes > KEEP_BYTES:
            fold.changes()

    def is_marked(self, number: int) -> bool:
        """Tell whether every partition has read the mark of a version."""
        return all(fold.version >= number for fold in self._folds.values())

    def is_overtaken(self, number: int) -> bool:
        """Tell whether a later version than this is in force somewhere."""
        return any(fold.version > number for fold in self._folds.values())

    @property
    def left(self) -> int:
        """How many haven't gone over yet."""
        return sum(len(fold.behind) for fold in self._folds.values())

    def behind(self) -> list[tuple[int, bytes]]:
        """Return who hasn't gone over yet, by partition and key, in order."""
        return [(number, key) for number, fold in sorted(self._folds.items()) for key in sorted(fold.behind)]

    def cut(
        self, keys: Mapping[int, Iterable[bytes]], owned: Owned, asked: Asked, number: int, mark_at: Millis
    ) -> dict[int, list[Stage]]:
        """Cut out what these customers are to have, as of the last record that was folded.

        Args:
            keys: by partition; who has gone over, or is known to be waiting for somebody else, is left out.
            owned: what is the workflow's.
            asked: which of its messages of the past are to go out.
            number: the version that brings it.
            mark_at: the timestamp of that version.

        Returns:
            By partition, marks to be written, of bounded size.
        """
        found: dict[int, list[Stage]] = {}
        for partition, some in keys.items():
            entries = [
                entry for key in some if (entry := self._entry(partition, key, owned, asked, mark_at)) is not None
            ]
            found[partition] = [
                Stage(number=number, entries=entries[place : place + ENTRIES_A_MARK])
                for place in range(0, len(entries), ENTRIES_A_MARK)
            ]
        return found

    def _entry(
        self, partition: int, key: bytes, owned: Owned, asked: Asked, mark_at: Millis
    ) -> StagedEntry | None:  # fmt: skip
        fold = self._folds[partition]
        if key not in fold.behind:
            return None
        here, there = fold.customer(key), self.shadow.customer(key)
        if here is None or fold.is_held(key) or self.shadow.is_held(key):
            return None
        digest = digest_of(here)
        if there is None:
            return StagedEntry(key.decode(), digest)
        staged = slice_of(there, owned)
        made = self._made.get(there.customer_id, {}).values()
        past = [one for one in made if one.execution.workflow_id == owned.workflow_id]
        staged.late = to_be_sent(past, asked.policy, asked.fresh_ms, mark_at)
        return StagedEntry(key.decode(), digest, b"" if staged.is_empty else encode_staged(staged))

    def close(self) -> None:
        """End what was begun for the folds."""
        self._runner.close()
