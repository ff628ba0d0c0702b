"""A what-if that begins in the middle of the log finds what one from the log's beginning finds."""

import copy

import msgspec
from hypothesis import event, given
from hypothesis import strategies as st

from agents.beginning import Memory, begin, fold_until, latest_instant
from agents.what_if import Change, WhatIf
from agents.world import LogRecord
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.events import Json
from schemas.instants import HOUR_MS, MINUTE_MS, Millis
from schemas.linking import LINK, Absorb, Link, decode_link
from streams.partitions import partition_of
from tests.journey import HELLO, START, Document, mail, wait, workflow
from tests.live_log import Log
from tests.property.test_decide import few, once
from tests.property.test_what_if import LATER, REWORDED, SURE, compiled, log
from tests.property.test_what_if import _addresses as addresses
from tests.strategies import BEGIN, Line, definitions, histories

PARTITIONS = 2


def changes(
    first: Catalogue, second: list[Document], parts: list[list[LogRecord]], since: Millis, taken: int | None
) -> list[Change]:
    """Try an edit from an instant on.

    Args:
        first: what was in force.
        second: the edit.
        parts: the records of each partition.
        since: the instant.
        taken: begin there, each partition with a snapshot taken after so many of its records; None: with the first.
    """
    values: list[Json] = list(second)

    def load(_number: int) -> Catalogue:
        return first

    def edit(number: int, at: Millis) -> Catalogue:
        return compile_catalogue(definitions_from_documents(values), number, {1: first}, activated_at=at)

    begun, places = None, dict.fromkeys(range(len(parts)), 0)
    if taken is not None:
        memories: list[Memory] = [{} for _ in parts]
        stood = {}
        for number, (records, memory) in enumerate(zip(parts, memories, strict=True)):
            early = fold_until([copy.deepcopy(records[:taken])], memory, PARTITIONS, load, since, 0)
            rest = copy.deepcopy(records[early.next_offset :])
            stood[number] = fold_until([rest], early.memory, PARTITIONS, load, since, early.next_offset)
            known = latest_instant(stood[number].memory)
            assert known is None or known < since
        begun = begin(stood, load, since)
        places = begun.next_offsets
    worlds = WhatIf(load, edit, since, begun=begun)
    left = [record for number, records in enumerate(parts) for record in records[places[number] :]]
    for record in sorted(copy.deepcopy(left), key=lambda one: one.timestamp):
        worlds.take(record)
    worlds.finish()
    return worlds.changes()


def parted(records: list[LogRecord]) -> list[list[LogRecord]]:
    """Write a log into partitions; marks into each."""
    parts: list[list[LogRecord]] = [[] for _ in range(PARTITIONS)]
    for record in records:
        numbers = range(PARTITIONS) if record.key is None else (partition_of(record.key, PARTITIONS),)
        for number in numbers:
            offset = len(parts[number])
            parts[number].append(msgspec.structs.replace(record, offset=offset, partition=number))
    return parts


@few
@given(definitions(), definitions(), histories(bad_lines=False), st.integers(1, 100), st.integers(0, 30), st.data())
def test_from_the_middle_on_the_same_differs(
    first: list[Document], second: list[Document], history: list[Line], hours: int, taken: int, data: st.DataObject
) -> None:
    """Whenever the edit comes into force, and whenever the snapshots were taken before that."""
    first, second = [*first, *SURE], [*second, *data.draw(st.sampled_from(([], SURE, LATER, REWORDED)))]
    parts, since = parted(log([*addresses(history), *once(history)])), BEGIN + hours * HOUR_MS
    whole = changes(compiled(first), second, parts, since, None)
    event(f"{min(len(whole), 5)} differ")
    assert changes(compiled(first), second, parts, since, taken) == whole


def test_what_was_on_its_way_between_two_customers_comes_when_they_begin() -> None:
    """A merge was begun before the edit, and its answer stands in the log behind it."""
    first = workflow(wait("pause", "first", duration_hours=1.0), mail("first"), id="w")
    second = [HELLO, workflow(wait("pause", "first", duration_hours=3.0), mail("first"), id="w")]
    made = Log(first)
    made.publish("page_viewed", 0, customer=None, visitor="v")
    made.publish("identify", 9 * MINUTE_MS, customer="ada", visitor="v")
    made.publish("signup", 20 * MINUTE_MS, customer="bob")
    made.publish("signup", 30 * MINUTE_MS, customer="ada")
    made.tick(2 * HOUR_MS)
    made.answer(behind=2)
    records = [LogRecord(one.offset, one.timestamp, one.key, one.value, one.headers) for one in made.records]
    since = START + 15 * MINUTE_MS
    answer = next(place for place, one in enumerate(records) if isinstance(link_of(one), Absorb))
    assert records[answer].timestamp < since <= records[answer - 1].timestamp
    whole = changes(made.catalogue, second, [records], since, None)
    assert {one.customer_id for one in whole} == {"ada", "bob"}
    assert changes(made.catalogue, second, [records], since, 2) == whole


def link_of(record: LogRecord) -> Link | None:
    return decode_link(record.headers[0][1]) if record.headers and record.headers[0][0] == LINK else None
