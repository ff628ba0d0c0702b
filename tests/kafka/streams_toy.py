"""A toy fold, and a program that runs it: counts the records of each key and numbers its outputs.

Run as a process of its own by the tests, so that it can be killed: prints nothing, logs to stderr.
"""

import argparse
import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from streams.connection import Connection
from streams.fold import CannotFold, Folded, Output, Record
from streams.worker import run_fold_worker
from tidings.clock import fresh_bytes, wall_ms


class Counting:
    """One output per record: its source offset and its number among the records of its key."""

    def __init__(self, output_topic: str, *, slow_s: float = 0.0) -> None:
        self._output_topic = output_topic
        self._counts: dict[bytes, int] = {}
        self._changed: dict[bytes, bytes | None] = {}
        self._position: int | None = None
        self._slow_s = slow_s

    def restore(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            if value is None:
                self._counts.pop(key, None)
            elif key == b"p":
                self._position = int(value)
            else:
                self._counts[key] = int(value)

    def leave_out(self, found: Sequence[CannotFold]) -> None: ...

    def next_offset(self) -> int | None:
        return self._position

    async def prepare(self, records: Sequence[Record]) -> None:  # noqa: ARG002
        await asyncio.sleep(self._slow_s)

    def fold(self, records: Sequence[Record]) -> Iterator[Folded]:
        outputs = []
        for record in records:
            key = record.key or b""
            number = self._counts.get(key, 0) + 1
            self._counts[key] = number
            self._changed[key] = b"%d" % number
            value = msgspec.json.encode({"offset": record.offset, "number": number})
            outputs.append(Output(topic=self._output_topic, key=key, value=value, timestamp=record.timestamp))
        self._position = records[-1].offset + 1
        self._changed[b"p"] = b"%d" % self._position
        yield Folded(outputs=outputs, next_offset=self._position)

    def next_time(self) -> int | None:
        return None

    def time_record(self, until: int, now: int) -> Output | None:  # noqa: ARG002
        return None

    def changes(self) -> Sequence[tuple[bytes, bytes | None]]:
        changed, self._changed = self._changed, {}
        return list(changed.items())

    def committed(self) -> None:
        """Nothing hangs on it here."""


def main() -> None:
    """Run the worker until it is stopped or killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--datadir", required=True, type=Path)
    parser.add_argument("--slow-s", type=float, default=0.0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(levelname)s %(message)s")
    prefix = arguments.prefix
    run_fold_worker(
        app_id=f"{prefix}app",
        name=fresh_bytes(8).hex(),
        connection=Connection(bootstrap_servers=arguments.bootstrap),
        source_topic=f"{prefix}log",
        changelog_topic=f"{prefix}changelog",
        make_fold=lambda _: Counting(f"{prefix}outputs", slow_s=arguments.slow_s),
        datadir=arguments.datadir,
        clock=wall_ms,
    )


if __name__ == "__main__":
    main()
