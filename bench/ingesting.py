"""The ingest under measurement: that of `tidings ingest`, with a clock at its first read and each of its commits.

`python -m bench.ingesting BROKERS PREFIX FOLDER LAP_FILE` brings the public topics of a prefix into its log, in
the log's own clock, until SIGTERM, and writes its share of the lap as JSON.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
from faust.types import TP

from bench.measured import Moment, Share
from streams.connection import Connection
from streams.draining import BatchConsumer
from streams.sources import Sources
from streams.vitals import Vitals
from tidings.processes import ingest


class _Marks:
    begin: Moment | None = None
    end: Moment | None = None


def _watch(marks: _Marks) -> None:
    open_partition, commit = BatchConsumer.open, Sources.commit

    def noted_open(consumer: BatchConsumer, tp: TP) -> None:
        marks.begin = marks.begin or Moment.now()
        open_partition(consumer, tp)

    async def noted_commit(sources: Sources, positions: Mapping[TP, int]) -> bool:
        done = await commit(sources, positions)
        marks.end = Moment.now()
        return done

    BatchConsumer.open = noted_open  # type: ignore[method-assign,assignment]
    Sources.commit = noted_commit  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    _brokers, _prefix, _folder, _lap_file = sys.argv[1:]
    _marks = _Marks()
    _watch(_marks)
    ingest(Connection(bootstrap_servers=_brokers), _prefix, Path(_folder), "log", None, Vitals())
    if _marks.begin is None or _marks.end is None:
        sys.exit("nothing was read")
    Path(_lap_file).write_bytes(msgspec.json.encode(Share(_marks.begin, _marks.end)))
