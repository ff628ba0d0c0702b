"""The catalogue's way into the log, and out of it again.

A version is one record in the compacted topic `definitions` (key: its number; JSON), and a mark in every
partition of the customer log, all written in one transaction. A worker switches a partition's catalogue when it
reads the mark, never before.
"""

import importlib.metadata
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from agents.marking import LARGEST_BYTES, LogWriter, log_writer
from journeys.backfilling import closed
from journeys.catalogue import RULES_VERSION, Catalogue, compile_catalogue
from schemas.definitions import Definitions
from schemas.editing import Editing
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import HOUR_MS, Millis, format_instant
from schemas.log import Backfilled, CatalogueMark
from schemas.staging import Backfill
from schemas.topics import DEFINITIONS
from streams.connection import Connection
from streams.hard_stop import RefusedToStart
from streams.reading import read_to_end

log = logging.getLogger("tidings.agents.catalogues")

_ROOM_BYTES: Final = 1_024
"""What a record needs besides its value."""
_OVERTAKEN: Final = "somebody else has applied other definitions meanwhile; see `tidings diff`, and apply again"
_canonical: Final = msgspec.json.Encoder(order="deterministic").encode

ReadDefinitions = Callable[[list[Json]], Definitions]


class StoredCatalogue(Struct, frozen=True, kw_only=True):
    """The value of a record in `definitions`."""

    number: int
    documents: list[Json]
    rules_version: int
    tzdata: str
    answers_webhooks: bool = False
    """Whether webhooks are never called and every one is answered at once."""
    editing: Editing = Editing()
    backfill: Backfill | None = None
    """Of a version that brings a workflow which counts as having been there."""

    @property
    def hands_over(self) -> bool:
        """Tell whether it began a backfill that isn't over."""
        return self.backfill is not None and not self.backfill.is_over


class StoredVersion(Struct, frozen=True, kw_only=True):
    """A version, with the timestamp that it shares with its marks."""

    stored: StoredCatalogue
    at: Millis


class Applied(Struct, frozen=True, kw_only=True):
    """What came of an apply: the version in force, and whether it is a new one."""

    number: int
    is_new: bool
    at: Millis


class CatalogueMissing(TidingsError):
    """A mark names a version that the topic doesn't hold."""


def publish_catalogue(
    connection: Connection, prefix: str, documents: list[Json], number: int, at: Millis,
    *, answers_webhooks: bool = False,
) -> None:  # fmt: skip
    """Write a version and its marks, all or nothing.

    Args:
        connection: where Kafka is.
        prefix: of the topics.
        documents: the valid definitions, as they were read.
        number: the version; a partition ignores a mark that isn't above its own.
        at: the timestamp of the marks, epoch milliseconds.
        answers_webhooks: True where webhooks are never called, and the log doesn't hold their answers either.

    Raises:
        TidingsError: Kafka refused or can't be reached; nothing was written then.
    """
    stored = _stored(documents, number, Editing(), answers_webhooks=answers_webhooks)
    with log_writer(connection, prefix) as writer:
        _write(writer, stored, at)


def apply_catalogue(
    connection: Connection, prefix: str, documents: list[Json], at: Millis,
    *, appended: Millis | None = None, editing: Editing | None = None, behind: int | None = None,
) -> Applied:  # fmt: skip
    """Make the definitions the next version, unless they are those in force.

    Whoever applies last fences those before: their transaction is aborted, or has been committed and is seen here. So
    versions have one order, and one that was killed on the way has left nothing behind.

    Args:
        connection: where Kafka is.
        prefix: of the topics.
        documents: the valid definitions, as they were read.
        at: now; the marks' timestamp, where the version before isn't later.
        appended: the clock; None in a log with its own.
        editing: how executions under way are treated.
        behind: the version that must be in force still; None for any.

    Raises:
        TidingsError: Kafka refused, or somebody else has applied meanwhile.
    """
    editing = editing or Editing()
    with log_writer(connection, prefix) as writer:
        latest = latest_version(connection, prefix)
        number = 0 if latest is None else latest.stored.number
        if behind is not None and behind != number:
            raise TidingsError(_OVERTAKEN)
        if latest is not None:
            _refuse_while_open(latest.stored)
        if latest is not None and same_set(latest.stored.documents, documents):
            return Applied(number=number, is_new=False, at=latest.at)
        stored = _stored(documents, number + 1, editing)
        at = at if latest is None else max(at, latest.at)
        _write(writer, stored, at, appended)
        return Applied(number=number + 1, is_new=True, at=at)


def begin_backfill(
    connection: Connection, prefix: str, documents: list[Json], backfill: Backfill, at: Millis,
    *, appended: Millis | None, behind: int,
) -> int:  # fmt: skip
    """Make the definitions the next version, which backfills a workflow; return its number.

    Args:
        connection: where Kafka is.
        prefix: of the topics.
        documents: the valid definitions with the workflow.
        backfill: which, and from when on.
        at: now; as in `apply_catalogue`.
        appended: likewise.
        behind: the version that must be in force still.

    Raises:
        TidingsError: Kafka refused, or somebody else has applied meanwhile; nothing was written then.
    """
    with log_writer(connection, prefix) as writer:
        latest = latest_version(connection, prefix)
        if latest is None or latest.stored.number != behind:
            raise TidingsError(_OVERTAKEN)
        stored = replace(
            _stored(documents, behind + 1, Editing(), answers_webhooks=latest.stored.answers_webhooks),
            backfill=backfill,
        )
        _write(writer, stored, max(at, latest.at), appended)
    return behind + 1


def end_backfill(
    connection: Connection, prefix: str, version: StoredVersion, at: Millis, appended: Millis | None
) -> None:
    """Write that the backfill of a version is over: a mark in every partition, and with the version, all or nothing.

    Raises:
        TidingsError: Kafka refused; nothing was written then.
    """
    stored = version.stored
    assert stored.backfill is not None  # noqa: S101 -- the caller began it
    ended = replace(stored, backfill=replace(stored.backfill, is_over=True))
    with log_writer(connection, prefix) as writer:
        # The version's timestamp is that of its marks.
        writer.put(DEFINITIONS, msgspec.json.encode(ended), version.at, key=str(stored.number).encode())
        writer.mark_all(Backfilled(number=stored.number), at, appended)


def command_of(begun: Backfill) -> str:
    """Return the command that began a backfill, and that goes on with it; its folder isn't kept."""
    past = "" if begun.policy == "skip" else f" --past-sends {begun.policy} --fresh-hours {begun.fresh_ms / HOUR_MS:g}"
    return f"tidings backfill {begun.workflow_id} --since {format_instant(begun.since)} --definitions DIR{past}"


def _refuse_while_open(stored: StoredCatalogue) -> None:
    if stored.backfill is not None and stored.hands_over:
        raise TidingsError(
            f"the backfill of workflow {stored.backfill.workflow_id} isn't over: end it first, by"
            f" the command that began it: {command_of(stored.backfill)}"
        )


def latest_version(connection: Connection, prefix: str) -> StoredVersion | None:
    """Return the version that is in force for what comes next; None before the first.

    Raises:
        TidingsError: the topic can't be read.
    """
    versions = read_versions(connection, prefix)
    return versions[-1] if versions else None


def read_versions(connection: Connection, prefix: str) -> list[StoredVersion]:
    """Return all versions, in order.

    Raises:
        TidingsError: the topic can't be read.
    """
    found: dict[int, StoredVersion] = {}
    for message in read_to_end(connection, [prefix + DEFINITIONS]):
        if (value := message.value()) is not None:
            stored = msgspec.json.decode(value, type=StoredCatalogue)
            # One that began a backfill is written again when that is over.
            found[stored.number] = StoredVersion(stored=stored, at=message.timestamp()[1])
    return [found[number] for number in sorted(found)]


def same_set(first: list[Json], second: list[Json]) -> bool:
    """Tell whether documents say the same; in which order, and in which files, doesn't matter."""
    return sorted(map(_canonical, first)) == sorted(map(_canonical, second))


def _stored(documents: list[Json], number: int, editing: Editing, *, answers_webhooks: bool = False) -> StoredCatalogue:
    return StoredCatalogue(
        number=number,
        documents=documents,
        rules_version=RULES_VERSION,
        tzdata=importlib.metadata.version("tzdata"),
        answers_webhooks=answers_webhooks,
        editing=editing,
    )


def _write(writer: LogWriter, stored: StoredCatalogue, at: Millis, appended: Millis | None = None) -> None:
    value = msgspec.json.encode(stored)
    if len(value) > LARGEST_BYTES - _ROOM_BYTES:
        msg = f"the definitions have {len(value):,} bytes, and Kafka's topic takes {LARGEST_BYTES - _ROOM_BYTES:,}"
        raise TidingsError(msg)
    writer.put(DEFINITIONS, value, at, key=str(stored.number).encode())
    mark = CatalogueMark(number=stored.number, rules_version=stored.rules_version, tzdata=stored.tzdata)
    writer.mark_all(mark, at, appended)


class Catalogues:
    """The versions that the topic holds, compiled when they are first asked for."""

    def __init__(self, connection: Connection, prefix: str, read_definitions: ReadDefinitions) -> None:
        self._connection = connection
        self._prefix = prefix
        self._read_definitions = read_definitions
        self._compiled: dict[int, Catalogue] = {}
        self._reading = threading.Lock()

    def load_ahead(self) -> None:
        """Begin to read and compile what the topic holds, in a thread; whoever asks meanwhile waits for it.

        Reading takes most of a second, in which a worker joins its group and recovers. What is wrong is told to who
        asks.
        """
        threading.Thread(target=self._load_ahead, name="catalogues", daemon=True).start()

    def _load_ahead(self) -> None:
        # Whatever is wrong, whoever asks will meet it too, where it can be told.
        with suppress(Exception), self._reading:
            self._read()

    def _read(self) -> None:
        for version in read_versions(self._connection, self._prefix):
            if version.stored.number not in self._compiled:
                self._compiled[version.stored.number] = self._compile(version)

    def load(self, number: int) -> Catalogue:
        """Return a version, which knows those before it; partitions that ask at once have it read once.

        Raises:
            CatalogueMissing: the topic doesn't hold it.
            RefusedToStart: this program can't work by it, or by one before it.
        """
        if number not in self._compiled:
            with self._reading:
                if number not in self._compiled:
                    self._read()
        if number not in self._compiled:
            topic = self._prefix + DEFINITIONS
            msg = f"{topic} holds no version {number}; was the topic deleted? Apply the definitions again"
            raise CatalogueMissing(msg)
        return self._compiled[number]

    def following(self, definitions: Definitions, editing: Editing, at: Millis) -> Catalogue:
        """Compile what would be the next version.

        Raises:
            RefusedToStart: this program can't work by those before.
        """
        versions = read_versions(self._connection, self._prefix)
        number = versions[-1].stored.number if versions else 0
        if number:
            self.load(number)
        return compile_catalogue(
            definitions, number + 1, dict(self._compiled), activated_at=at, answers_webhooks=False, editing=editing
        )

    def _compile(self, version: StoredVersion) -> Catalogue:
        stored = version.stored
        if stored.rules_version > RULES_VERSION:
            msg = (
                f"version {stored.number} of the definitions was applied by a newer Tidings (rules"
                f" {stored.rules_version}, this program has {RULES_VERSION}): update this worker"
            )
            raise RefusedToStart(msg)
        tzdata = importlib.metadata.version("tzdata")
        if stored.tzdata != tzdata:
            log.warning(
                "version %d was applied with the time zones of tzdata %s, here they are of %s: local times that"
                " differ go by the latter",
                stored.number,
                stored.tzdata,
                tzdata,
            )
        try:
            definitions = self._read_definitions(stored.documents)
        except TidingsError as error:
            msg = f"version {stored.number} of the definitions isn't accepted by this program: {error}"
            raise RefusedToStart(msg) from None
        backfill = stored.backfill
        compiled = self._compiled_as(version, definitions, backfill)
        if backfill is None:
            return compiled
        without = self._compiled_as(version, closed(definitions, backfill.workflow_id), None)
        return replace(compiled, closed=without, backfills=backfill.workflow_id)

    def _compiled_as(self, version: StoredVersion, definitions: Definitions, backfill: Backfill | None) -> Catalogue:
        return compile_catalogue(
            definitions,
            version.stored.number,
            dict(self._compiled),
            activated_at=version.at,
            answers_webhooks=version.stored.answers_webhooks,
            editing=version.stored.editing,
            backfilled=None if backfill is None else {backfill.workflow_id: backfill.since},
        )
