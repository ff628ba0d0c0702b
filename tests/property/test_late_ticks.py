"""The laws of what is late, over generated worlds: however long after it was due something is decided."""

from collections.abc import Iterator

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agents.engine import Engine
from agents.outcomes import Outcome
from journeys.decide import deadline
from schemas.decisions import encode_effect
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from schemas.log import APPENDED, pack_number
from tests.property.test_decide import arrivals, compiled, engine, few, once
from tests.strategies import UNTIL, Document, Line, definitions, histories

Outages = list[tuple[bool, Millis]]
_outages = st.lists(
    st.tuples(st.booleans(), st.sampled_from((0, MINUTE_MS, MINUTE_MS + 1, HOUR_MS, 5 * HOUR_MS, 3 * DAY_MS))),
    min_size=1,
    max_size=8,
)
"""In turn for each record: whether a tick stands before it, and how late both are."""


def folded(one: Engine, history: list[Line], outages: Outages) -> Iterator[Outcome]:
    """Fold a history as a log that was written late; what is due up to a record has fired behind it."""
    appended = 0
    for nth, arrival in enumerate(arrivals(history)):
        ticks, late = outages[nth % len(outages)]
        appended = max(appended, arrival.at + late)
        if ticks:
            yield from one.fire(arrival.at, appended)
            assert one.table.due.next_due(arrival.at) is None
        yield from one.take(arrival.key, arrival.event, arrival.at, ((APPENDED, pack_number(appended)),))
        customer = one.table.get(arrival.key)
        due_at = None if customer is None else deadline(customer, one.in_force)
        assert due_at is None or due_at > arrival.at
    yield from one.fire(UNTIL, max(appended, UNTIL))


@few
@given(definitions(), histories(), _outages)
def test_what_is_due_up_to_a_record_has_fired_behind_it_and_no_id_comes_twice(
    documents: list[Document], history: list[Line], outages: Outages
) -> None:
    outcomes = folded(engine(compiled(documents)), once(history), outages)
    out = [msgspec.json.decode(encode_effect(effect)) for outcome in outcomes for effect in outcome.effects]
    ids = [record.get("decision_id") or record.get("send_id") or record["call_id"] for record in out]
    assert len(ids) == len(set(ids))


@few
@given(definitions(), histories(), _outages)
def test_no_customers_time_goes_back(documents: list[Document], history: list[Line], outages: Outages) -> None:
    latest: dict[str, Millis] = {}
    for outcome in folded(engine(compiled(documents)), history, outages):
        assert outcome.now >= latest.get(outcome.customer_id, 0)
        latest[outcome.customer_id] = outcome.now
