"""What the compiled part takes record by record changes nothing about what a partition writes and remembers."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import customers as agent
from agents.customers import CustomerFold
from agents.engine import Engine
from journeys import compiled as hot
from journeys.catalogue import Catalogue
from journeys.compiled import RunMemory, RunRules
from schemas.events import Event
from schemas.instants import Millis
from schemas.log import (
    APPENDED,
    ORIGIN_BYTES,
    SEQUENCE,
    SOURCE,
    CatalogueMark,
    FinalMark,
    Headers,
    Source,
    Tick,
    decode_event,
    encode_event,
    encode_mark,
    pack_number,
    pack_source,
)
from streams.fold import Output
from tables.customers import CustomersTable
from tests.property.test_decide import compiled
from tests.property.test_quiet import NOW, SHOP, events_of_one, quiet_catalogues

pytestmark = pytest.mark.skipif(not hot.IS_COMPILED, reason="nothing is compiled here")

Changes = Sequence[tuple[bytes, bytes | None]]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A record of the log."""

    offset: int
    timestamp: Millis
    key: bytes | None
    value: bytes | None
    headers: Headers


@st.composite
def _logs(draw: st.DrawFn) -> tuple[list[Written], list[int], list[bool]]:
    """Draw a partition's records with several customers, where slices end, and which of them end a transaction."""
    found: list[tuple[Millis, bytes | None, bytes | None, Headers]] = []
    for number, (at, event) in enumerate(draw(events_of_one())):
        key = draw(st.sampled_from((b"c:c", b"c:c", b"c:d", b"a:e")))
        # Most come from one public partition in order; some again, from another, or without a word of where from.
        place = draw(st.sampled_from((number, number, number, number, 0)))
        source = (SOURCE, pack_source(Source(bytes(16), draw(st.sampled_from((0, 0, 0, 1))), place)))
        told: Headers = (source, (APPENDED, pack_number(at)), (SEQUENCE, pack_number(number)))
        headers = draw(st.sampled_from((told, told, told, told[:1], told[1:], told[::-1], ())))
        found.append((at, key, encode_event(event), headers))
        mark = draw(st.sampled_from((None,) * 15 + (Tick(), FinalMark())))
        if mark is not None:
            found.append((at, None, encode_mark(mark), ()))
    first = (1, None, encode_mark(CatalogueMark(number=1, rules_version=1, tzdata="")), ())
    records = [
        Written(offset=offset, timestamp=at, key=key, value=value, headers=headers)
        for offset, (at, key, value, headers) in enumerate([first, *found])
    ]
    ends = sorted({*draw(st.lists(st.integers(1, len(records)), max_size=6)), len(records)})
    return records, ends, draw(st.lists(st.booleans(), min_size=len(ends), max_size=len(ends)))


def _none_taken(
    _records: Sequence[object], place: int, _memory: RunMemory, _rules: RunRules
) -> tuple[int, Event | None]:
    return place, None


def _fold(catalogue: Catalogue, log: tuple[list[Written], list[int], list[bool]]) -> list[tuple[list[Output], Changes]]:
    """Fold a log, and return what each transaction carries; the last ones are written by a fold that was restored."""
    records, ends, commits = log
    fold, outputs, carried = (
        CustomerFold("t.", _load(catalogue), 1),
        list[Output](),
        list[tuple[list[Output], Changes]](),
    )
    begin = 0
    for end, is_committed in zip(ends, commits, strict=True):
        asyncio.run(fold.prepare(records[begin:end]))
        for folded in fold.fold(records[begin:end]):
            outputs += folded.outputs
        begin = end
        if is_committed or end == len(records):
            carried.append((outputs, list(fold.changes())))
            outputs = []
        if is_committed and len(carried) == 2:
            fold = CustomerFold("t.", _load(catalogue), 1)
            fold.restore([change for _, changes in carried for change in changes])
            fold.next_offset()
    return carried


def _load(catalogue: Catalogue) -> agent.LoadCatalogue:
    async def load(_number: int) -> Catalogue:
        return catalogue

    return load


@settings(max_examples=200)
@given(quiet_catalogues(), _logs())
def test_nothing_differs_record_by_record(
    catalogue: Catalogue, log: tuple[list[Written], list[int], list[bool]]
) -> None:
    """Outputs, states, position and the order in which they are written are those of taking each record by itself."""
    with pytest.MonkeyPatch.context() as patched:
        told = _fold(catalogue, log)
        patched.setattr(agent, "take_run", _none_taken)
        assert told == _fold(catalogue, log)


def test_a_run_ends_before_what_is_not_quiet() -> None:
    """Three events that lead to nothing are taken in one call, and a fourth that was seen before isn't."""
    sources = (0, 1, 2, 3, 4, 2)
    records = [
        Written(
            offset=number,
            timestamp=NOW + number,
            key=b"c:c",
            value=encode_event(
                Event(
                    event_id=f"e{number}", type="other", occurred_at=NOW + number, stream="behavioral", customer_id="c"
                )
            ),
            headers=((SOURCE, pack_source(Source(bytes(16), 0, place))),),
        )
        for number, place in enumerate(sources)
    ]
    catalogue = compiled(SHOP)
    engine, known = Engine(CustomersTable(), catalogue), dict[bytes, bytes]()
    # The first makes her a lead, which is no quiet event; the second is the first of its kind under these rules.
    for record in records[:2]:
        assert record.value is not None
        engine.take(b"c:c", decode_event(record.value), record.timestamp)
        source = record.headers[0][1]
        known[source[:ORIGIN_BYTES]] = source
    memory = (*engine.table.at_hand, *engine.table.due.parts, engine.waiting.entries, known)
    quiet = catalogue.quiet
    rules = (quiet.plans, quiet.silences, decode_event, engine.touched, SOURCE, ORIGIN_BYTES)
    assert hot.take_run(records, 2, memory, rules) == (5, None)
    assert known[bytes(ORIGIN_BYTES)] == records[4].headers[0][1]
