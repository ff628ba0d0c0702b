"""Whoever goes on from a memory that was taken while a backfill is open knows who is still behind."""

import asyncio
import copy

import pytest
from msgspec.structs import replace

from agents.beginning import Begun, Stood, begin, fold_until
from agents.customers import CustomerFold
from agents.engine import Engine
from agents.following import Followed, Story, follow_records
from agents.what_if import Change, WhatIf
from agents.world import LogRecord
from journeys.backfilling import closed, digest_of, owned_by, slice_of
from journeys.catalogue import RULES_VERSION, Catalogue, compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.decisions import Decision, Effect
from schemas.errors import TidingsError
from schemas.events import Event, Json
from schemas.instants import DAY_MS, EARLIEST, HOUR_MS, Millis
from schemas.log import Backfilled, CatalogueMark, Mark, Stage, Tick, encode_event, encode_mark
from schemas.staging import StagedEntry, encode_staged
from tables.customers import CustomersTable
from tests.journey import HELLO, START, Document, event, mail, wait, workflow

OLD = workflow(mail("old"), id="old", allow_multiple_executions=True)
NEW = workflow(wait("pause", "new", duration_hours=2), mail("new"), id="new", allow_multiple_executions=True)
NAMES = ("ada", "bob", "eve")


def read(*documents: Document) -> Catalogue:
    values: list[Json] = [HELLO, *documents]
    return compile_catalogue(definitions_from_documents(values), 1)


def versions() -> dict[int, Catalogue]:
    """Return what was in force first, and the version that brings the new workflow, with it and without."""
    values: list[Json] = [HELLO, OLD, NEW]
    whole, first = definitions_from_documents(values), read(OLD)
    second = compile_catalogue(whole, 2, {1: first}, backfilled={"new": EARLIEST})
    without = compile_catalogue(closed(whole, "new"), 2, {1: first})
    return {1: first, 2: replace(second, closed=without, backfills="new")}


VERSIONS = versions()


def load(number: int) -> Catalogue:
    return VERSIONS[number]


def signed_up(customer: str, at: Millis) -> tuple[Event, Millis]:
    return event(
        "signup", at, customer_id=customer, event_id=f"{customer}-{at}", properties={"email": f"{customer}@a.example"}
    )


class Written:
    """A log with a backfill in it, as ingest, worker and command write it."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.shadow = Engine(CustomersTable(), read(OLD, NEW))
        self.mark(CatalogueMark(number=1, rules_version=RULES_VERSION, tzdata=""), 0)

    def mark(self, mark: Mark, at: Millis) -> None:
        self._put(None, encode_mark(mark), START + at)

    def sign_up(self, customer: str, at: Millis) -> None:
        """Append an event, which the shadow has had as well."""
        (made, moment), key = signed_up(customer, at), f"c:{customer}".encode()
        list(self.shadow.fire(moment))
        self.shadow.take(key, copy.deepcopy(made), moment)
        self._put(key, encode_event(made), moment)

    def stage(self, customer: str, at: Millis) -> None:
        """Append what a customer is to have, as of the last record."""
        key = f"c:{customer}".encode()
        list(self.shadow.fire(START + at))
        here, there = folded(self.records).customer(key), self.shadow.table.peek(key)
        assert here is not None
        assert there is not None
        values: list[Json] = [HELLO, OLD, NEW]
        owned = owned_by(read(OLD, NEW), definitions_from_documents(values), "new")
        entry = StagedEntry(key.decode(), digest_of(here), encode_staged(slice_of(there, owned)))
        self.mark(Stage(number=2, entries=[entry]), at)

    def _put(self, key: bytes | None, value: bytes, at: Millis) -> None:
        self.records.append(LogRecord(len(self.records), at, key, value, ()))


def folded(records: list[LogRecord]) -> CustomerFold:
    """Return a worker's fold of these records."""

    async def found(number: int) -> Catalogue:
        return load(number)

    fold = CustomerFold("t.", found, 1)
    with asyncio.Runner() as runner:
        runner.run(fold.prepare(records))
        assert list(fold.fold(records))
    return fold


def memory_of(records: list[LogRecord]) -> dict[bytes, bytes]:
    return {key: value for key, value in folded(records).changes() if value is not None}


def written() -> list[LogRecord]:
    """One goes over at once, one after another event of hers, and one is left behind until the end."""
    log = Written()
    for hours, name in enumerate(NAMES):
        log.sign_up(name, hours * HOUR_MS)
    log.mark(CatalogueMark(number=2, rules_version=RULES_VERSION, tzdata=""), 5 * HOUR_MS)
    log.stage("ada", 6 * HOUR_MS)
    for name in NAMES:
        log.sign_up(name, 7 * HOUR_MS)
    log.stage("bob", 8 * HOUR_MS)
    for name in NAMES:
        log.sign_up(name, 9 * HOUR_MS)
    log.mark(Backfilled(number=2), 20 * HOUR_MS)
    for name in NAMES:
        log.sign_up(name, 21 * HOUR_MS)
    log.mark(Tick(), 3 * DAY_MS)
    return log.records


LOG = written()
PLACES = range(4, len(LOG))
"""Where all three are known already."""


def told(steps: list[Followed]) -> list[tuple[object, ...]]:
    """Return what doesn't depend on which refusals were recorded before: a story tells each of them."""
    return [(step.at, [_unhashed(one) for one in step.effects], _unrefused(step.customer)) for step in steps]


def _unhashed(effect: Effect) -> Effect:
    return replace(effect, state_hash=None) if isinstance(effect, Decision) else effect


def _unrefused(customer: Customer) -> Customer:
    return replace(customer, refusals={})


def story(name: str, place: int) -> Story:
    """Follow a customer from a snapshot that was taken before the record at a place; 0: from the beginning."""
    memory = memory_of(LOG[:place]) if place else None
    return follow_records(copy.deepcopy(LOG[place:]), load, f"c:{name}".encode(), None, memory)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", PLACES)
def test_a_story_from_a_snapshot_within_a_backfill_is_that_of_the_whole_log(name: str, place: int) -> None:
    found, expected = told(story(name, place).steps), told(story(name, 0).steps)
    assert found == expected[len(expected) - len(found) :]
    known, whole = story(name, place).customer, story(name, 0).customer
    assert known is not None
    assert whole is not None
    assert _unrefused(known) == _unrefused(whole)


def begun(since: Millis, parts: list[list[LogRecord]], taken: int) -> Begun:
    """Return where everybody stands, each partition from a snapshot that was taken behind so many records."""
    stood: dict[int, Stood] = {}
    for number, records in enumerate(parts):
        early = fold_until([records[:taken]], {}, len(parts), load, since, 0)
        rest = records[early.next_offset :]
        stood[number] = fold_until([rest], early.memory, len(parts), load, since, early.next_offset)
    return begin(stood, load, since)


def changes(since: Millis, taken: int | None) -> list[Change]:
    """Ask what if the new workflow had waited longer from an instant on; `taken` as in `begun`, None: no snapshot."""
    values: list[Json] = [HELLO, OLD, workflow(wait("pause", "new", duration_hours=30), mail("new"), id="new")]

    def edit(number: int, at: Millis) -> Catalogue:
        return compile_catalogue(definitions_from_documents(values), number, VERSIONS, activated_at=at)

    records = copy.deepcopy(LOG)
    known = None if taken is None else begun(since, [records], taken)
    worlds = WhatIf(load, edit, since, begun=known)
    for record in records[0 if known is None else known.next_offsets[0] :]:
        worlds.take(record)
    worlds.finish()
    return worlds.changes()


@pytest.mark.parametrize("hours", [5, 6, 7, 8, 9, 20, 21, 22])
@pytest.mark.parametrize("taken", [4, 5, 6, 9])
def test_a_what_if_that_begins_within_a_backfill_finds_what_one_from_the_beginning_finds(
    hours: int, taken: int
) -> None:
    """The edit comes into force a millisecond behind a record, so that nothing else does just then."""
    since = START + hours * HOUR_MS + 1
    assert changes(since, min(taken, sum(one.timestamp < since for one in LOG))) == changes(since, None)


def test_behind_are_those_of_the_partitions_that_are_still_handing_over() -> None:
    """In one partition nobody has gone over yet, in the other everybody has."""
    other = Written()
    other.sign_up("zoe", HOUR_MS)
    other.mark(CatalogueMark(number=2, rules_version=RULES_VERSION, tzdata=""), 5 * HOUR_MS)
    other.stage("zoe", 6 * HOUR_MS)
    stood = {
        0: Stood(memory=memory_of(LOG[:5]), next_offset=5),
        1: Stood(memory=memory_of(other.records), next_offset=4),
    }
    engine = begin(stood, load, START + 6 * HOUR_MS + 1).world.engine
    assert engine.behind == {b"c:ada", b"c:bob", b"c:eve"}
    assert set(engine.table.keys()) == {b"c:ada", b"c:bob", b"c:eve", b"c:zoe"}


def test_partitions_that_stand_under_other_versions_are_refused() -> None:
    stood = {
        0: Stood(memory=memory_of(LOG[:4]), next_offset=4),
        1: Stood(memory=memory_of(LOG[:5]), next_offset=5),
    }
    with pytest.raises(TidingsError, match="name a time a minute away"):
        begin(stood, load, START + 5 * HOUR_MS)
