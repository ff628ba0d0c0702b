"""The hand-over of a backfill over Kafka: the mark, entries for everybody, and the mark that it is over.

What is cut out is as of the last record that was read, and is worth nothing for whoever has had another since: so it
is read on right before, and whoever didn't go over is tried again. Nothing is kept but in the log: killed at any point,
the same again goes on where the log stands.
"""

from collections import defaultdict
from collections.abc import Callable
from itertools import islice
from typing import Final

import typer
from confluent_kafka import KafkaException
from msgspec import Struct
from rich.console import Console

from agents.catalogues import StoredVersion, begin_backfill, end_backfill, latest_version
from agents.handing_over import HandOver
from agents.marking import log_writer
from agents.merged_log import merged
from agents.replaying import log_record
from agents.world import LogRecord
from journeys.backfilling import Owned
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import format_instant
from schemas.log import Stage, decode_mark
from schemas.staging import Backfill
from schemas.topics import CUSTOMER_LOG
from streams.connection import Connection
from streams.reading import POLL_MESSAGES, Tail
from tidings.clock import monotonic_s, wall_ms
from tidings.commands.moments import Moment, moment
from tidings.commands.showing import folding_shown

LAG_MS: Final = 5_000
"""So far the shadow's time stays behind the clock where no tick says it: what the ingest has read arrives by then."""
AT_ONCE: Final = 1_000
"""So many customers are tried in one transaction: some 100 ms, while which the log's readers wait."""
_ANSWERS_WITHIN_S: Final = 120.0
"""So long nothing may come while something that was written is still to be read."""
_PATIENCE_S: Final = 30.0
"""So long nobody may go over until it is given up."""


class Going(Struct, frozen=True, kw_only=True):
    """What is handed over."""

    connection: Connection
    prefix: str
    asked: Backfill
    owned: Owned
    documents: list[Json]
    known: StoredVersion | None
    """The version that has begun it; None where it isn't begun yet."""
    behind: int
    """The version before."""
    begun_s: float
    leaves_rest: bool


def hand_over(going: Going, work: HandOver, ends: dict[int, int]) -> None:
    """Begin or go on, until everybody has gone over.

    Args:
        going: what is handed over.
        work: stands at the ends.
        ends: by partition, up to where the log was read.

    Raises:
        TidingsError: Kafka refused, another version came in between, or some can't go over now.
    """
    tail = Tail(going.connection, going.prefix + CUSTOMER_LOG, ends)
    try:
        _HandingOver(going, work, tail).run()
    finally:
        tail.close()


class _HandingOver:
    def __init__(self, going: Going, work: HandOver, tail: Tail) -> None:
        self._going, self._work, self._tail = going, work, tail
        self._console = Console(highlight=False, soft_wrap=True)
        self._read = self._stages_read = self._stages_written = 0

    def run(self) -> None:
        going = self._going
        while self._read_on():
            pass
        try:
            self._go_on()
        except (KeyboardInterrupt, SystemExit, KafkaException):
            # Whether it was begun isn't always known; the same again is right either way.
            typer.echo(
                f"The backfill of workflow {going.asked.workflow_id} isn't over. Say the same again, and it goes on"
                " from there",
                err=True,
            )
            raise

    def _go_on(self) -> None:
        going, work = self._going, self._work
        version = going.known or self._begin()
        number = version.stored.number
        self._await(lambda: work.is_marked(number), f"the marks of version {number}")
        everybody = work.left
        with folding_shown("gone over") as progress:
            left = self._bring_over(version, lambda still: progress(everybody - still, everybody))
        if left and not going.leaves_rest:
            raise TidingsError(
                f"{left:,} customers haven't gone over: something of theirs comes all the time, or they wait for"
                " somebody else to be merged, or for a worker to run. Say the same again, and it goes on with them; or"
                " --leave-rest, and they begin without their past"
            )
        when = self._moment()
        end_backfill(going.connection, going.prefix, version, when.at, when.appended)
        self._console.print(
            f"Workflow {going.asked.workflow_id} is in force, in version {number} since {format_instant(version.at)},"
            f" as if it had been there from {format_instant(going.asked.since)} on;"
            f" {monotonic_s() - going.begun_s:.1f} s."
        )
        if left:
            self._console.print(
                f"{left:,} customers begin without their past, as asked; each has a decision that says so."
            )

    def _begin(self) -> StoredVersion:
        going, when = self._going, self._moment()
        begin_backfill(
            going.connection, going.prefix, going.documents, going.asked, when.at,
            appended=when.appended, behind=going.behind,
        )  # fmt: skip
        version = latest_version(going.connection, going.prefix)
        if version is None or version.stored.number != going.behind + 1:
            raise TidingsError("somebody else has applied other definitions meanwhile; see `tidings diff`")
        return version

    def _moment(self) -> Moment:
        if self._work.is_live:
            return moment(None, self._going.connection, self._going.prefix)
        return Moment(at=self._work.shadow.ends_at or 0, appended=None)

    # Going over -----------------------------------------------------------------------------------------------------

    def _bring_over(self, version: StoredVersion, progress: Callable[[int], object]) -> int:
        """Try everybody again and again; return how many are left when nobody goes over any more."""
        work = self._work
        least, since = work.left, monotonic_s()
        progress(least)
        self._refuse_overtaken(version)
        while work.left:
            # Who is behind is looked for once a round: it only ever becomes fewer.
            everybody = iter(work.behind())
            while chosen := list(islice(everybody, AT_ONCE)):
                self._stage(version, chosen)
                self._refuse_overtaken(version)
                left = work.left
                progress(left)
                if left < least:
                    least, since = left, monotonic_s()
                elif monotonic_s() - since > _PATIENCE_S:
                    return left
        return 0

    def _refuse_overtaken(self, version: StoredVersion) -> None:
        if self._work.is_overtaken(version.stored.number):
            raise TidingsError("another version of the definitions came into force meanwhile; see `tidings diff`")

    def _stage(self, version: StoredVersion, chosen: list[tuple[int, bytes]]) -> None:
        """Write what these customers are to have, and read on until it is there."""
        going, work = self._going, self._work
        keys: defaultdict[int, list[bytes]] = defaultdict(list)
        for partition, key in chosen:
            keys[partition].append(key)
        when = self._moment()
        with log_writer(going.connection, going.prefix) as writer:
            while self._read_on():
                pass
            if self._work.is_live:
                work.shadow.let_pass(wall_ms())
            marks = work.cut(keys, going.owned, going.asked, version.stored.number, version.at)
            for partition, stages in marks.items():
                for stage in stages:
                    writer.mark(stage, when.at, when.appended, partition)
        written = sum(map(len, marks.values()))
        self._stages_read, self._stages_written = 0, written
        self._await(lambda: self._stages_read >= self._stages_written, "what was written")

    # Reading --------------------------------------------------------------------------------------------------------

    def _read_on(self) -> bool:
        """Read what has come since; tell whether more waits."""
        messages = self._tail.take()
        self._read += len(messages)
        records: defaultdict[int, list[LogRecord]] = defaultdict(list)
        for message in messages:
            number = message.partition() or 0
            records[number].append(log_record(message, number))
        for record in merged({number: iter(some) for number, some in records.items()}):
            if record.key is None and isinstance(decode_mark(record.value or b""), Stage):
                self._stages_read += 1
            self._work.take(record)
        self._work.fold()
        return len(messages) >= POLL_MESSAGES

    def _await(self, reached: Callable[[], bool], what: str) -> None:
        until = monotonic_s() + _ANSWERS_WITHIN_S
        while not reached():
            before = self._read
            self._read_on()
            if self._read > before:
                until = monotonic_s() + _ANSWERS_WITHIN_S
            elif monotonic_s() > until:
                raise TidingsError(f"{what} can't be read from the log: Kafka doesn't answer; say the same again")
