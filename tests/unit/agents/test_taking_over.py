"""Another version of the definitions comes into force in the middle of a log: which version decides what."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from agents import engine
from agents.catalogues import same_set
from agents.customers import CustomerFold, Position
from agents.engine import Engine
from journeys.catalogue import Catalogue
from journeys.decide import deadline
from journeys.rescheduling import moves_deadlines
from schemas.customer import HEAD_BYTES
from schemas.instants import HOUR_MS, Millis
from schemas.log import CatalogueMark, FinalMark, Mark, encode_event, encode_mark
from streams.fold import Folded
from tables.customers import CustomersTable
from tests.journey import START, Document, compiled, event, mail, silence, wait, workflow

OLD = workflow(wait("p", "mail", duration_hours=1), mail(), allow_multiple_executions=True)
NEW = workflow(wait("p", "mail", duration_hours=2), mail(), allow_multiple_executions=True)
QUIET = workflow(mail(), id="quiet", on=[silence(3)])


def version(number: int, *documents: Document, before: Catalogue | None = None) -> Catalogue:
    known = {} if before is None else {**before.predecessors, before.number: before}
    return compiled(*documents, number=number, predecessors=known)


class Taken(msgspec.Struct, frozen=True):
    """A record of the log."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def signup(offset: int, at: Millis, customer: str = "ada") -> Taken:
    made, arrives = event(
        at=at, event_id=f"e{offset}", customer_id=customer, properties={"email": f"{customer}@shop.example"}
    )
    return Taken(offset, arrives, b"c:" + customer.encode(), encode_event(made))


def mark(offset: int, at: Millis, what: Mark | int) -> Taken:
    value = CatalogueMark(number=what, rules_version=1, tzdata="x") if isinstance(what, int) else what
    return Taken(offset, START + at, None, encode_mark(value))


class Log:
    """A log, and folds of it that die and are restored from what was committed."""

    def __init__(self, *versions: Catalogue) -> None:
        self.versions = {one.number: one for one in versions}
        self.changelog: list[tuple[bytes, bytes | None]] = []
        self.written: list[tuple[str, str, bytes]] = []

    def fold(self) -> CustomerFold:
        async def load(number: int) -> Catalogue:
            return self.versions[number]

        fold = CustomerFold("t.", load, 1)
        fold.restore(self.changelog)
        return fold

    def run(self, records: list[Taken], *, parts: int | None = None) -> None:
        """Fold what isn't folded yet in a new process, which dies behind so many committed parts."""
        fold = self.fold()
        start = fold.next_offset() or 0
        left = [record for record in records if record.offset >= start]
        asyncio.run(fold.prepare(left))
        for count, part in enumerate(self._parts(fold, left), start=1):
            self.written += [(out.topic, str(out.timestamp - START), out.value) for out in part.outputs]
            self.changelog += fold.changes()
            if count == parts:
                return

    def _parts(self, fold: CustomerFold, records: list[Taken]) -> Iterator[Folded]:
        return fold.fold(records) if records else iter(())

    def sends(self) -> list[tuple[str, int]]:
        """Return when mails went out, in hours since the start, and by which version."""
        decoded = [(at, msgspec.json.decode(value)) for topic, at, value in self.written if topic == "t.email-sends"]
        return [(str(int(at) / HOUR_MS), send["workflow_version"]) for at, send in decoded]

    def position(self) -> Position:
        value = next(value for key, value in reversed(self.changelog) if key == b"p")
        return msgspec.json.decode(value or b"", type=Position)


def test_before_the_first_mark_customers_are_known_and_nothing_starts() -> None:
    """Events that arrive before anything is applied teach the profile; a worker doesn't need definitions to begin."""
    log = Log(version(1, OLD))
    log.run([signup(0, 0), mark(1, 1, 1), signup(2, 2), mark(3, 9 * HOUR_MS, FinalMark())])
    assert [at for at, _ in log.sends()] == [str((HOUR_MS + 2) / HOUR_MS)]


@pytest.mark.parametrize(("at", "sent_by"), [(HOUR_MS - 1, 2), (HOUR_MS, 1), (HOUR_MS + 1, 1)])
def test_what_is_due_by_the_instant_of_a_mark_goes_by_the_version_before(at: Millis, sent_by: int) -> None:
    """A silence is answered by the version whose time it fell into: what is due at the mark itself is still the old's."""
    on = [silence(1)]
    first = version(1, workflow(mail(), id="quiet", on=on))
    second = version(2, workflow(mail("other"), id="quiet", on=on), before=first)
    log = Log(first, second)
    log.run([mark(0, 0, 1), signup(1, 0), mark(2, at, 2), mark(3, 9 * HOUR_MS, FinalMark())])
    assert log.sends() == [("1.0", sent_by)]


def test_an_execution_stays_on_its_version_and_the_next_starts_on_the_new_one() -> None:
    first = version(1, OLD)
    log = Log(first, version(2, NEW, before=first))
    log.run([mark(0, 0, 1), signup(1, 0), mark(2, 1, 2), signup(3, 2, "bob"), mark(4, 9 * HOUR_MS, FinalMark())])
    assert log.sends() == [("1.0", 1), (str((2 * HOUR_MS + 2) / HOUR_MS), 2)]


def test_a_mark_that_is_not_above_the_version_in_force_changes_nothing() -> None:
    first = version(1, OLD)
    second = version(2, NEW, before=first)
    log = Log(first, second)
    log.run([mark(0, 0, 1), mark(1, 1, 2), mark(2, 2, 1), mark(3, 3, 2), signup(4, 4), mark(5, HOUR_MS, FinalMark())])
    assert (log.position().catalogue, log.position().activated_at) == (2, START + 1)


def test_a_version_that_brings_deadlines_forward_is_known_to_whoever_is_restored() -> None:
    """States are stored with the deadline of their day; a worker that restarts under a later version looks again."""
    first = version(1, OLD)
    log = Log(first, version(2, OLD, QUIET, before=first))
    log.run([mark(0, 0, 1), signup(1, 0), mark(2, HOUR_MS + 1, 2)])
    log.run([mark(3, 9 * HOUR_MS, FinalMark())])
    assert log.sends() == [("1.0", 1), ("3.0", 2)]


def test_a_worker_killed_behind_any_part_of_a_mark_ends_as_if_it_had_not_been(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mark over many customers is done in parts; after a crash behind any of them the rest follows, once."""
    first = version(1, OLD)
    second = version(2, NEW, QUIET, before=first)
    monkeypatch.setattr(engine, "LOOKED_AT_ONCE", 10)
    many = [signup(1 + number, number % 3, f"c{number}") for number in range(25)]
    end = len(many) + 1
    records = [mark(0, 0, 1), *many, mark(end, HOUR_MS + 1, 2), mark(end + 1, 9 * HOUR_MS, FinalMark())]
    whole = Log(first, second)
    whole.run(records)
    for parts in range(1, 6):
        killed = Log(first, second)
        killed.run(records, parts=parts)
        killed.run(records, parts=2)
        killed.run(records)
        assert killed.written == whole.written
        assert _without_heads(killed.changelog) == _without_heads(whole.changelog)


def _without_heads(changelog: list[tuple[bytes, bytes | None]]) -> dict[bytes, bytes | None]:
    return {key: value if key == b"p" else (value or b"")[HEAD_BYTES:] for key, value in changelog}


@pytest.mark.parametrize(
    ("documents", "moves"),
    [
        ((NEW,), False),
        ((OLD, workflow(mail(), id="other", on=[{"type": "behavioral", "conditions": {"event_type": "x"}}])), False),
        ((OLD, QUIET), True),
        (
            (
                OLD,
                {"kind": "segment", "id": "big", "condition": {"field": "total_spent", "operator": "gt", "value": 1}},
            ),
            True,
        ),
    ],
)
def test_only_what_waits_for_time_without_an_execution_moves_deadlines(
    documents: tuple[Document, ...],
    moves: bool,  # noqa: FBT001 -- a case of the table
) -> None:
    """Where no deadline is said to move, none does; where one may, everybody is looked at again."""
    first = version(1, OLD)
    second = version(2, *documents, before=first)
    assert moves_deadlines(first, second) is moves
    partition = Engine(CustomersTable(), first)
    made, at = event("signup", 0, event_id="e", customer_id="ada")
    partition.take(b"c:ada", made, at)
    customer = partition.table.get(b"c:ada")
    assert customer is not None
    assert (deadline(customer, first) != deadline(customer, second)) <= moves


def test_a_version_with_the_same_segments_computes_no_membership_anew() -> None:
    big: Document = {
        "kind": "segment",
        "id": "big",
        "condition": {"field": "total_spent", "operator": "gt", "value": 1},
    }
    first = version(1, OLD, big)
    assert version(2, NEW, big, before=first).watch.number == 1


def test_two_sets_are_the_same_in_any_order_and_differ_in_any_value() -> None:
    assert same_set([{"a": 1, "b": 2}, {"c": [1]}], [{"c": [1]}, {"b": 2, "a": 1}])
    assert not same_set([{"c": [1, 2]}], [{"c": [2, 1]}])
