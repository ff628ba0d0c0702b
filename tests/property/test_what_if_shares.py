"""A what-if folded in shares of the customers finds, byte for byte, what one over all of them finds."""

import copy
from collections.abc import Mapping

import msgspec
from hypothesis import assume, event, given
from hypothesis import strategies as st

from agents.shares import Share, called_by, can_fold_apart, couples_of
from agents.what_if import Change, WhatIf, in_order
from agents.world import LogRecord
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Millis
from schemas.log import APPENDED, Tick, encode_mark, pack_number
from tests.property.test_decide import few, once
from tests.property.test_what_if import LATER, REWORDED, SURE, compiled, log
from tests.property.test_what_if import _addresses as addresses
from tests.property.test_what_if import _answer as answer
from tests.property.test_what_if import _arrival as arrival
from tests.property.test_what_if import simulated as sent
from tests.strategies import BEGIN, UNTIL, Document, Line, definitions, histories

LATENESS = (0, 0, 0, 10, SECOND_MS, 59 * SECOND_MS, MINUTE_MS, MINUTE_MS + 1, 10 * MINUTE_MS, 5 * HOUR_MS)


class Worlds:
    """Two sets of definitions, and one log."""

    def __init__(
        self, first: list[Document], second: list[Document], records: list[LogRecord], since: Millis | None
    ) -> None:
        values: list[Json] = list(second)
        self._second, self._before, self._records, self._since = values, compiled(first), records, since
        self.was_late = False

    def _edit(self, number: int, at: Millis) -> Catalogue:
        earlier = {} if self._since is None else {1: self._before}
        return compile_catalogue(definitions_from_documents(self._second), number, earlier, activated_at=at)

    def _folded(self, share: Share | None, late: Mapping[int, Millis] | None = None) -> WhatIf:
        worlds = WhatIf(lambda _: self._before, self._edit, self._since, share=share, late=late)
        for record in self._records:
            worlds.take(copy.deepcopy(record))
        worlds.finish()
        return worlds

    def whole(self) -> tuple[list[bytes], tuple[int, int]]:
        one = self._folded(None)
        return encoded(one.changes()), one.sends

    def in_shares(self, count: int) -> tuple[list[bytes], tuple[int, int]]:
        """Fold apart, and once more where anything was late."""
        called = called_by(couples_of(self._records))
        shares = [Share(number=number, of=count, called=called) for number in range(count)]
        parts = [self._folded(share) for share in shares]
        late: dict[int, Millis] = {}
        for part in parts:
            for place, due_at in part.late.items():
                late[place] = min(due_at, late.get(place, due_at))
        if late:
            parts = [self._folded(share, late) for share in shares]
        self.was_late = bool(late)
        changes = in_order(change for part in parts for change in part.changes())
        return encoded(changes), (sum(part.sends[0] for part in parts), sum(part.sends[1] for part in parts))


def encoded(changes: list[Change]) -> list[bytes]:
    return [msgspec.json.encode(change) for change in changes]


def live(records: list[LogRecord], data: st.DataObject) -> list[LogRecord]:
    """Let records be appended, in their order, some late; and somebody write ticks, some late."""
    clock, made = 0, list[LogRecord]()
    ticks = sorted(data.draw(st.lists(st.integers(0, (UNTIL - BEGIN) // MINUTE_MS), max_size=12)))
    times = [(record.timestamp, record) for record in records if record.timestamp >= BEGIN]
    tick = encode_mark(Tick())
    times += [(at, LogRecord(0, at, None, tick, ())) for at in (BEGIN + one * MINUTE_MS for one in ticks)]
    for at, record in sorted(times, key=lambda one: one[0]):
        clock = max(clock, at + data.draw(st.sampled_from(LATENESS)))
        headers = (*record.headers, (APPENDED, pack_number(clock)))
        made.append(msgspec.structs.replace(record, headers=headers, offset=len(made)))
    return [record for record in records if record.timestamp < BEGIN] + made


@few
@given(definitions(), definitions(), histories(bad_lines=False) | histories(bad_lines=False, links=True), st.data())
def test_shares_find_together_what_one_fold_finds(
    first: list[Document], second: list[Document], history: list[Line], data: st.DataObject
) -> None:
    """Whoever is linked to whom, whatever came late, and whenever the edit comes into force."""
    first, second = [*first, *SURE], [*second, *data.draw(st.sampled_from(([], SURE, LATER, REWORDED)))]
    history = [*addresses(history), *once(history)]
    sends = list(sent(first, history).values())[:10]
    history = sorted([*history, *(answer(send, number, data) for number, send in enumerate(sends))], key=arrival)
    records = log(history)
    if data.draw(st.booleans()):
        records = live(records, data)
    since = data.draw(st.none() | st.integers(BEGIN, BEGIN + 3 * DAY_MS))
    assume(can_fold_apart([compiled(first), compiled(second)]))
    worlds = Worlds(first, second, records, since)
    assert worlds.in_shares(data.draw(st.sampled_from((2, 3)))) == worlds.whole()
    event(f"late {worlds.was_late}, linked {any(couples_of(records))}")
