"""What of the customer log is still kept, and from when on its past can be told.

A fold must begin where a partition begins, or at a snapshot: what came before is known by nothing else. So the past of
a partition can be told from its beginning where that is kept (offset 0), else from a snapshot on that the log reaches
back to, else not at all.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from agents.replaying import Reach, log_record
from agents.snapshots import load_snapshot
from agents.world import LogRecord
from schemas.instants import Millis, format_instant
from schemas.log import APPENDED, header, unpack_number
from schemas.topics import CUSTOMER_LOG
from streams.connection import Connection
from streams.reading import first_and_last


class KeptPartition(Struct, frozen=True, kw_only=True):
    """What is kept of one partition."""

    partition: int
    reach: Reach
    first_at: Millis | None
    """The timestamp of the first record that is kept; None without one."""
    last_at: Millis | None
    """That of the last, or when it was appended, if that is later."""
    snapshot: int | None = None
    """The offset of the log from which its snapshot goes on; None without one."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it is gone."""
        return self.reach.log_start == 0

    @property
    def begins_at(self) -> int | None:
        """The offset at which a replay can begin; None where there is none."""
        if self.snapshot is not None and self.snapshot >= self.reach.log_start:
            return self.snapshot
        return 0 if self.is_whole else None


def kept_log(
    connection: Connection, prefix: str, reaches: Mapping[int, Reach], topic_id: bytes, snapshots: Path | None
) -> list[KeptPartition]:
    """Look at the beginnings and ends of partitions, and at the snapshots in a folder, in order.

    Raises:
        TidingsError: Kafka doesn't answer, or a snapshot can't be read or is of another log.
    """
    stretches = {number: (reach.log_start, reach.log_end) for number, reach in reaches.items()}
    ends = first_and_last(connection, prefix + CUSTOMER_LOG, stretches)
    found = []
    for number, reach in sorted(reaches.items()):
        snapshot = None if snapshots is None else load_snapshot(snapshots, number, topic_id)
        first, last = ends.get(number, (None, None))
        found.append(
            KeptPartition(
                partition=number,
                reach=reach,
                first_at=None if first is None else log_record(first, number).timestamp,
                last_at=None if last is None else _latest(log_record(last, number)),
                snapshot=None if snapshot is None else snapshot.next_offset,
            )
        )
    return found


def _latest(record: LogRecord) -> Millis:
    packed = header(record.headers, APPENDED)
    return record.timestamp if packed is None else max(record.timestamp, unpack_number(packed))


def nothing_in(kept: Sequence[KeptPartition], since: Millis | None, until: Millis | None) -> str | None:
    """Return why a span of time has nothing that is kept, and which would have; None where it may have something."""
    first = min((one.first_at for one in kept if one.first_at is not None), default=None)
    last = max((one.last_at for one in kept if one.last_at is not None), default=None)
    if first is None or last is None:
        return "the customer log is empty: nothing has happened yet"
    if until is not None and until <= first:
        return f"--until {format_instant(until)}: the log begins at {format_instant(first)}; name a later time"
    if since is not None and since > last:
        return f"--since {format_instant(since)}: the log ends at {format_instant(last)}; name an earlier time"
    return None
