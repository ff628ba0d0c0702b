"""What is cut out for whom: of those who are still behind, with the messages that are their own."""

from collections.abc import Iterator

import pytest

from agents.backfilling import Backfill
from agents.customers import CustomerFold
from agents.handing_over import HandOver
from agents.world import LogRecord
from journeys.backfilling import owned_by
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.unrecorded import Made
from journeys.validation import definitions_from_documents
from schemas.events import Json
from schemas.instants import EARLIEST, HOUR_MS, Millis
from schemas.staging import Backfill as Asked
from schemas.staging import decode_staged
from tests.journey import HELLO, START
from tests.unit.agents.test_resuming import LOG, NEW, OLD, VERSIONS, load

MARKED_AT = START + 5 * HOUR_MS


@pytest.fixture
def work() -> Iterator[HandOver]:
    """Begin with nothing read, two partitions of which one stays empty."""
    made: Made = {}
    values: list[Json] = [HELLO, OLD, NEW]

    def with_it(number: int, at: Millis) -> Catalogue:
        whole = definitions_from_documents(values)
        compiled = compile_catalogue(whole, number, activated_at=at, backfilled={"new": EARLIEST})
        compiled.unrecorded.made = made
        return compiled

    async def found(number: int) -> Catalogue:
        return load(number)

    one = HandOver(Backfill(load, with_it, None), made, [0, 1], lambda _: CustomerFold("t.", found, 1))
    yield one
    one.close()


def read(work: HandOver, records: list[LogRecord]) -> None:
    for record in records:
        work.take(record)
    work.fold()


def cut(work: HandOver, *names: str) -> dict[str, list[str]]:
    """Cut out what these are to have; return by customer when what goes out late for her would have gone, in hours."""
    values: list[Json] = [HELLO, OLD, NEW]
    owned = owned_by(VERSIONS[2], definitions_from_documents(values), "new")
    asked = Asked(workflow_id="new", since=EARLIEST, policy="all", fresh_ms=24 * HOUR_MS)
    marks = work.cut({0: [f"c:{name}".encode() for name in names]}, owned, asked, 2, MARKED_AT)
    entries = [entry for stage in marks.get(0, []) for entry in stage.entries]
    return {
        entry.key: [f"{(late.at - START) / HOUR_MS:g}" for late in decode_staged(entry.staged).late]
        for entry in entries
    }


def test_everybody_is_behind_from_the_mark_on_and_nobody_twice(work: HandOver) -> None:
    read(work, LOG[:4])
    assert (work.left, work.behind()) == (0, [])
    read(work, LOG[4:5])
    assert work.behind() == [(0, b"c:ada"), (0, b"c:bob"), (0, b"c:eve")]
    read(work, LOG[5:6])
    assert (work.left, work.behind()) == (2, [(0, b"c:bob"), (0, b"c:eve")])


def test_a_message_of_the_past_is_cut_out_for_whom_it_was_made(work: HandOver) -> None:
    """Two hours behind her first signup, which were at 0, 1 and 2 hours; time has come to the mark."""
    read(work, LOG[:5])
    assert cut(work, "ada", "bob", "eve") == {"c:ada": ["2"], "c:bob": ["3"], "c:eve": ["4"]}


def test_for_who_has_gone_over_nothing_is_cut_out(work: HandOver) -> None:
    """She went between looking for who is behind and cutting; nor for who never was there."""
    read(work, LOG[:6])
    assert set(cut(work, "ada", "bob", "zoe")) == {"c:bob"}
