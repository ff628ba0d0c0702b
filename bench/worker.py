"""The worker under measurement: the worker of `tidings worker`, with a clock at its first read and each commit.

`python -m bench.worker BROKERS LOG_PREFIX PREFIX WORKERS FOLDER LAP_FILE` folds the log of one prefix into the topics
of another until SIGTERM, so that one log serves any number of laps, and writes its share of the lap as JSON. Of several
workers nobody begins before all have joined the group: joining isn't measured, and who came first would have to give
partitions back.

The lap begins when the first partition is opened for reading (start, group and recovery of nothing are before it)
and ends with the last transaction that carried anything. Three methods of `streams` are wrapped for that; all are
called per batch or assignment, none per event.
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from aiokafka import TopicPartition
from faust.types import TP

from agents.catalogues import Catalogues
from agents.customers import CustomerFold
from bench.log import PARTITIONS
from bench.measured import Moment, Share
from journeys.catalogue import Catalogue
from journeys.validation import definitions_from_documents
from schemas.topics import CUSTOMER_LOG, CUSTOMERS_CHANGELOG
from streams.changelog import OWNER
from streams.clients import Reader
from streams.connection import Connection
from streams.draining import BatchConsumer
from streams.fold import Output
from streams.topics import partition_counts
from streams.transactions import Lane
from streams.worker import FoldDesk, run_fold_worker
from tidings.clock import fresh_bytes, wall_ms
from tidings.processes import WORKER_GROUP


class _Marks:
    begin: Moment | None = None
    end: Moment | None = None


def _watch(marks: _Marks, share: int) -> None:
    open_partition, commit, assigned = BatchConsumer.open, Lane.commit, FoldDesk.assigned

    def noted_open(consumer: BatchConsumer, tp: TP) -> None:
        marks.begin = marks.begin or Moment.now()
        open_partition(consumer, tp)

    async def noted_commit(
        transactions: Lane,
        source: TopicPartition,
        outputs: Iterable[Output],
        changes: Sequence[tuple[bytes, bytes | None]],
        *,
        now: int,
        offset: int | None,
    ) -> int:
        written = await commit(transactions, source, outputs, changes, now=now, offset=offset)
        if changes and not changes[-1][0].startswith(OWNER):
            marks.end = Moment.now()
        return written

    async def assigned_in_full(desk: FoldDesk, consumer: Reader, partitions: frozenset[TP]) -> None:
        await assigned(desk, consumer, partitions if len(partitions) == share else frozenset())

    FoldDesk.assigned = assigned_in_full  # type: ignore[method-assign,assignment]
    BatchConsumer.open = noted_open  # type: ignore[method-assign,assignment]
    Lane.commit = noted_commit  # type: ignore[method-assign,assignment]


def fold_log(connection: Connection, log_prefix: str, prefix: str, folder: Path) -> None:
    """Fold the log until SIGTERM."""
    catalogues = Catalogues(connection, log_prefix, definitions_from_documents)
    catalogues.load_ahead()
    log = log_prefix + CUSTOMER_LOG
    partitions = partition_counts(connection, [log])[log]

    async def load(number: int) -> Catalogue:
        return await asyncio.to_thread(catalogues.load, number)

    run_fold_worker(
        app_id=prefix + WORKER_GROUP,
        name=fresh_bytes(8).hex(),
        connection=connection,
        source_topic=log,
        changelog_topic=prefix + CUSTOMERS_CHANGELOG,
        make_fold=lambda _: CustomerFold(prefix, load, partitions),
        datadir=folder,
        clock=wall_ms,
    )


if __name__ == "__main__":
    _brokers, _log_prefix, _prefix, _workers, _folder, _lap_file = sys.argv[1:]
    _marks = _Marks()
    _watch(_marks, PARTITIONS // int(_workers))
    fold_log(Connection(bootstrap_servers=_brokers), _log_prefix, _prefix, Path(_folder))
    if _marks.begin is None or _marks.end is None:
        sys.exit("nothing was folded")
    Path(_lap_file).write_bytes(msgspec.json.encode(Share(_marks.begin, _marks.end)))
