"""The laws of another version in the middle of a log, over generated worlds and all modes."""

import copy

import msgspec
from hypothesis import event, given
from hypothesis import strategies as st

from agents.engine import Engine
from agents.outcomes import Outcome
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.decide import deadline
from journeys.rescheduling import moves_deadlines
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.decisions import Send
from schemas.editing import Editing
from schemas.events import Json
from schemas.instants import HOUR_MS, Millis
from tables.customers import CustomersTable
from tests.property.test_decide import arrivals, few, states
from tests.strategies import BEGIN, UNTIL, Document, Line, definitions, histories

_editings = st.builds(
    Editing, mode=st.sampled_from(("pin", "migrate", "drain")), gone=st.sampled_from(("exit", "park"))
)
_instants = st.integers(0, 200).map(lambda half_hours: BEGIN + half_hours * HOUR_MS // 2)


def catalogues(
    first: list[Document], second: list[Document], editing: Editing, at: Millis
) -> tuple[Catalogue, Catalogue]:
    """Compile two versions."""
    before = compile_catalogue(definitions_from_documents(_values(first)), 1)
    after = compile_catalogue(
        definitions_from_documents(_values(second)), 2, {1: before}, activated_at=at, editing=editing
    )
    return before, after


def _values(documents: list[Document]) -> list[Json]:
    return list(documents)


def fold(one: Engine, history: list[Line], after: Catalogue, at: Millis, *, twice: bool = False) -> list[Outcome]:
    """Fold a history with a mark between its lines, and the mark once more where it is told twice."""
    out: list[Outcome] = []
    is_over = False
    for arrival in arrivals(history):
        if arrival.at >= at and not is_over:
            out += mark(one, after, at, twice=twice)
            is_over = True
        out += one.fire(arrival.at)
        out += one.take(arrival.key, arrival.event, arrival.at)
    return [*out, *([] if is_over else mark(one, after, at, twice=twice)), *one.fire(UNTIL)]


def mark(one: Engine, after: Catalogue, at: Millis, *, twice: bool) -> list[Outcome]:
    out = [outcome for outcome in one.take_over(after, at) if outcome is not None]
    for key in one.table.keys():  # noqa: SIM118 (a table isn't a mapping)
        customer = one.table.get(key)
        assert customer is not None
        due_at = deadline(customer, one.in_force)
        assert due_at is None or due_at > customer.now or due_at > at
        assert one.table.due.deadline(key) == due_at
    if twice:
        out += [outcome for outcome in one.take_over(after, at) if outcome is not None]
    return out


@few
@given(definitions(), definitions(), histories(), _editings, _instants)
def test_after_a_mark_every_deadline_is_known_and_a_mark_told_twice_changes_nothing_more(
    first: list[Document], second: list[Document], history: list[Line], editing: Editing, at: Millis
) -> None:
    """Whatever the edit, the index holds each customer's deadline, sends have ids of their own, and executions end."""
    before, after = catalogues(first, second, editing, at)
    once, again = Engine(CustomersTable(), before), Engine(CustomersTable(), before)
    told = fold(once, copy.deepcopy(history), after, at)
    assert msgspec.json.encode(told) == msgspec.json.encode(fold(again, copy.deepcopy(history), after, at, twice=True))
    assert states(once) == states(again)
    sends = [effect.send_id for outcome in told for effect in outcome.effects if isinstance(effect, Send)]
    assert len(sends) == len(set(sends))
    if editing.mode == "migrate" and editing.gone == "exit":
        versions = {execution.version for customer in _customers(once) for execution in customer.executions}
        event(f"versions {versions}")
        assert versions <= {2}


@few
@given(definitions(), definitions(), histories(), _instants)
def test_where_no_deadline_is_said_to_move_none_does(
    first: list[Document], second: list[Document], history: list[Line], at: Millis
) -> None:
    before, after = catalogues(first, second, Editing(), at)
    one = Engine(CustomersTable(), before)
    for arrival in arrivals(history):
        one.take(arrival.key, arrival.event, arrival.at)
    if moves_deadlines(before, after):
        event("moves")
        return
    event("stays")
    assert all(deadline(customer, before) == deadline(customer, after) for customer in _customers(one))


def _customers(one: Engine) -> list[Customer]:
    found = [one.table.get(key) for key in one.table.keys()]  # noqa: SIM118 (a table isn't a mapping)
    return [customer for customer in found if customer is not None]
