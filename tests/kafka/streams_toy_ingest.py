"""A toy ingest, and a program that runs it: copies every record to the log, with its source in a header."""

import argparse
import asyncio
import logging
from pathlib import Path

from faust.types import TP

from streams.appending import Appender, NewRecord
from streams.connection import Connection
from streams.sources import Sources, run_ingest_worker


class Copying:
    """Append all of a batch to one partition of the log, commit after each."""

    def __init__(self, log_topic: str, slow_s: float) -> None:
        self._log_topic = log_topic
        self._slow_s = slow_s

    async def run(self, sources: Sources, appender: Appender) -> None:
        partitions = await appender.partition_count(self._log_topic)
        async for batch in sources.batches():
            await asyncio.sleep(self._slow_s)
            source = f"{batch.tp.topic}/{batch.tp.partition}/".encode()
            records = [
                NewRecord(
                    key=record.key,
                    value=record.value,
                    timestamp=record.timestamp,
                    headers=[("source", source + b"%d" % record.offset)],
                )
                for record in batch.records
            ]
            target = batch.tp.partition % partitions
            sources.pause(batch.tp)
            await appender.append(self._log_topic, target, records)
            await appender.flush()
            sources.resume(batch.tp)
            await sources.commit({TP(*batch.tp): batch.next_offset})


def main() -> None:
    """Run the ingest until it is stopped or killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--datadir", required=True, type=Path)
    parser.add_argument("--slow-s", type=float, default=0.0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(levelname)s %(message)s")
    prefix = arguments.prefix
    run_ingest_worker(
        app_id=f"{prefix}ingest",
        connection=Connection(bootstrap_servers=arguments.bootstrap),
        topics=[f"{prefix}one", f"{prefix}two"],
        make_ingest=lambda: Copying(f"{prefix}copies", arguments.slow_s),
        datadir=arguments.datadir,
    )


if __name__ == "__main__":
    main()
