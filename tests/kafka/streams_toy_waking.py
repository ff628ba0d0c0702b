"""A toy fold that waits, and a program that runs it: each key is woken once, so long after its latest record.

Run as a process of its own by the tests, so that it can be killed: prints nothing, logs to stderr.
"""

import argparse
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from streams.connection import Connection
from streams.fold import CannotFold, Folded, Output, Record
from streams.worker import run_fold_worker
from tidings.clock import fresh_bytes, wall_ms

WAKE_AFTER_MS = 3_000


class Waking:
    """One output per key, at the first record of time that has come to its instant."""

    def __init__(self, log_topic: str, output_topic: str) -> None:
        self._log_topic = log_topic
        self._output_topic = output_topic
        self._due: dict[bytes, int] = {}
        self._changed: dict[bytes, bytes | None] = {}
        self._position: int | None = None
        self._is_under_way = False

    def restore(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in changes:
            if key == b"p":
                self._position = None if value is None else int(value)
            elif value is None:
                self._due.pop(key, None)
            elif key.startswith(b"c:"):
                self._due[key] = int(value)

    def leave_out(self, found: Sequence[CannotFold]) -> None: ...

    def next_offset(self) -> int | None:
        return self._position

    async def prepare(self, records: Sequence[Record]) -> None: ...

    def fold(self, records: Sequence[Record]) -> Iterator[Folded]:
        outputs = []
        for record in records:
            if record.key is not None:
                self._due[record.key] = record.timestamp + WAKE_AFTER_MS
                self._changed[record.key] = b"%d" % self._due[record.key]
                continue
            self._is_under_way = False
            for key in sorted(key for key, at in self._due.items() if at <= record.timestamp):
                late = record.timestamp - self._due.pop(key)
                self._changed[key] = None
                value = msgspec.json.encode({"offset": record.offset, "number": late})
                outputs.append(Output(topic=self._output_topic, key=key, value=value, timestamp=record.timestamp))
        self._position = records[-1].offset + 1
        self._changed[b"p"] = b"%d" % self._position
        yield Folded(outputs=outputs, next_offset=self._position)

    def next_time(self) -> int | None:
        return None if self._is_under_way else min(self._due.values(), default=None)

    def time_record(self, until: int, now: int) -> Output | None:
        due_at = self.next_time()
        if due_at is None or due_at > until:
            return None
        self._is_under_way = True
        return Output(topic=self._log_topic, key=None, value=b"%d" % now, timestamp=until)

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
    parser.add_argument("--slow-s", type=float)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(levelname)s %(message)s")
    prefix = arguments.prefix
    run_fold_worker(
        app_id=f"{prefix}app",
        name=fresh_bytes(8).hex(),
        connection=Connection(bootstrap_servers=arguments.bootstrap),
        source_topic=f"{prefix}log",
        changelog_topic=f"{prefix}changelog",
        make_fold=lambda _: Waking(f"{prefix}log", f"{prefix}outputs"),
        datadir=arguments.datadir,
        clock=wall_ms,
        horizon=wall_ms,
    )


if __name__ == "__main__":
    main()
