"""A what-if over the whole log: in one process, or in several, of which each folds a share of the customers."""

import os
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agents.beginning import Begun, begin, fold_until, latest_instant
from agents.catalogues import Catalogues, StoredVersion, read_versions
from agents.left_out import NOTHING, NOWHERE, LeftOutBy
from agents.merged_log import merged_log, partition_log
from agents.replaying import Reach, log_record
from agents.shares import Couple, Share, called_by, can_fold_apart, couples_of
from agents.snapshots import load_snapshot
from agents.what_if import Change, WhatIf, in_order
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.editing import Editing, Mode
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import Millis, format_instant
from schemas.topics import CUSTOMER_LOG
from streams.connection import Connection
from streams.reading import read_partition
from tidings.side_by_side import Tell, side_by_side

TELL_EVERY: Final = 1_000
"""Records between two steps of the progress bar."""
WORTH_IT: Final = 100_000
"""Records of a log from which on several processes are quicker than one, which needn't be started."""


class Question(Struct, frozen=True, kw_only=True):
    """What if these definitions had been in force?"""

    connection: Connection
    prefix: str
    reaches: dict[int, Reach]
    documents: list[Json]
    since: Millis | None
    """From when on; None: in place of the first version."""
    until: Millis | None
    mode: Mode
    snapshots: Path | None = None
    """A folder of snapshots, from which partitions go on; only with `since`."""
    topic_id: bytes = b""
    left_out: LeftOutBy = NOWHERE
    """What the rules couldn't do."""

    @property
    def records(self) -> int:
        """How many offsets the log has."""
        return sum(reach.log_end for reach in self.reaches.values())


class Found(Struct, frozen=True, kw_only=True):
    """What came of one share, or of all."""

    changes: list[Change]
    sends: tuple[int, int]
    late: dict[int, Millis] = {}


class _Part(Struct, frozen=True, kw_only=True):
    question: Question
    share: Share | None = None
    late: dict[int, Millis] | None = None


def processes_for(question: Question, asked: int | None) -> tuple[int, str | None]:
    """Return how many processes are to fold, and why it is one where more were to be expected.

    Raises:
        TidingsError: nothing was ever in force, or Kafka doesn't answer.
    """
    versions = _versions(question)
    if question.snapshots is not None:
        return 1, None if asked in {None, 1} else "Folded in one process: what goes on from snapshots isn't parted."
    count = asked or (1 if question.records < WORTH_IT else os.cpu_count() or 1)
    if count == 1:
        return 1, None
    catalogues = Catalogues(question.connection, question.prefix, definitions_from_documents)
    known = [catalogues.load(version.stored.number) for version in versions]
    if can_fold_apart([*known, compile_catalogue(definitions_from_documents(question.documents), 1)]):
        return count, None
    return 1, "Folded in one process: places under `max_executions` are counted over all customers."


def fold(question: Question, processes: int, progress: Callable[[int, int], object]) -> Found:
    """Fold the log, and say what differs.

    Args:
        question: what is asked.
        processes: at once; with more than one, the definitions must let customers be folded apart.
        progress: is called with how many offsets were read, of how many.

    Raises:
        TidingsError: nothing was ever in force, or Kafka doesn't answer.
    """
    if processes == 1:
        total = question.records
        return _fold_part(_Part(question=question), lambda done: progress(done, total))
    return _fold_apart(question, processes, progress)


def _fold_apart(question: Question, processes: int, progress: Callable[[int, int], object]) -> Found:
    read = question.records
    parted = [replace(question, reaches={number: reach}) for number, reach in question.reaches.items()]
    couples = list(side_by_side(_couples, parted, processes, lambda done: progress(done, 2 * read)))
    called = called_by(chain.from_iterable(couples))
    shares = [Share(number=number, of=processes, called=called) for number in range(processes)]

    def folded(late: dict[int, Millis] | None, before: int, total: int) -> list[Found]:
        parts = [_Part(question=question, share=share, late=late) for share in shares]
        return list(
            side_by_side(_fold_part, parts, processes, lambda done: progress(before + done // processes, total))
        )

    found = folded(None, read, 2 * read)
    late: dict[int, Millis] = {}
    for place, due_at in chain.from_iterable(one.late.items() for one in found):
        late[place] = min(due_at, late.get(place, due_at))
    if late:
        found = folded(late, 2 * read, 3 * read)
    return Found(
        changes=in_order(chain.from_iterable(one.changes for one in found)),
        sends=(sum(one.sends[0] for one in found), sum(one.sends[1] for one in found)),
    )


def _couples(question: Question, tell: Tell) -> list[Couple]:
    """Read who is linked to whom in a partition."""
    ((number, reach),) = question.reaches.items()
    records = partition_log(question.connection, question.prefix, number, reach.log_end)
    found = list(couples_of(records))
    tell(reach.log_end)
    return found


def _fold_part(part: _Part, tell: Tell) -> Found:
    question = part.question
    begun = None if question.snapshots is None else _begun(question, question.snapshots)
    worlds, starts = _worlds(part, begun), None if begun is None else begun.next_offsets
    log = merged_log(question.connection, question.prefix, question.reaches, starts)
    for count, record in enumerate(log, start=0 if starts is None else sum(starts.values())):
        if question.until is not None and record.timestamp >= question.until:
            continue
        worlds.take(record)
        if count % TELL_EVERY == 0:
            tell(count)
    worlds.finish(question.until)
    tell(question.records)
    return Found(changes=worlds.changes(), sends=worlds.sends, late=worlds.late)


def _begun(question: Question, folder: Path) -> Begun:
    """Fold every partition up to where the edit comes into force, from a snapshot before that or from its beginning."""
    since = question.since
    assert since is not None  # noqa: S101 -- asked for with the snapshots
    catalogues = Catalogues(question.connection, question.prefix, definitions_from_documents)
    stood = {}
    for number, reach in sorted(question.reaches.items()):
        snapshot = load_snapshot(folder, number, question.topic_id)
        if snapshot is not None and snapshot.next_offset < reach.log_start:
            snapshot = None
        latest = None if snapshot is None else latest_instant(snapshot.memory)
        if snapshot is None or (latest is not None and latest >= since):
            if reach.log_start:
                raise TidingsError(_no_snapshot(question, number, latest))
            snapshot = None
        start, memory = (0, {}) if snapshot is None else (snapshot.next_offset, dict(snapshot.memory))
        read = read_partition(question.connection, question.prefix + CUSTOMER_LOG, number, start, reach.log_end)
        records = ([log_record(message, number) for message in messages] for messages in read)
        left_out = question.left_out.get(number, NOTHING)
        stood[number] = fold_until(records, memory, len(question.reaches), catalogues.load, since, start, left_out)
    return begin(stood, catalogues.load, since)


def _no_snapshot(question: Question, number: int, latest: Millis | None) -> str:
    where = f"partition {number} of {question.prefix}{CUSTOMER_LOG} has lost its beginning"
    if latest is None:
        return f"{where}, and {question.snapshots} has no snapshot from which what is left goes on"
    its = f"its snapshot in {question.snapshots} is of {format_instant(latest)}"
    return f"{where}, and {its}: name a later --since, or the folder of an older one"


def _worlds(part: _Part, begun: Begun | None) -> WhatIf:
    question, since = part.question, part.question.since
    versions = _versions(question)
    definitions = definitions_from_documents(question.documents)
    catalogues = Catalogues(question.connection, question.prefix, definitions_from_documents)

    def edit(number: int, at: Millis) -> Catalogue:
        in_force = _in_force(versions, at)
        earlier = {} if since is None else {one: catalogues.load(one) for one in range(1, number)}
        return compile_catalogue(
            definitions, number, earlier, activated_at=at,
            answers_webhooks=in_force.stored.answers_webhooks, editing=Editing(mode=question.mode),
        )  # fmt: skip

    return WhatIf(
        catalogues.load, edit, since, share=part.share, late=part.late, begun=begun, left_out=question.left_out
    )


def _versions(question: Question) -> list[StoredVersion]:
    versions = read_versions(question.connection, question.prefix)
    if not versions:
        raise TidingsError(f"{question.prefix}definitions holds no version: nothing was ever in force here")
    return versions


def _in_force(versions: list[StoredVersion], at: Millis) -> StoredVersion:
    return next((version for version in reversed(versions) if version.at <= at), versions[0])
