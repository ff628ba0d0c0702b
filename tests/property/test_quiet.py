"""What the compiled part takes in one piece changes nothing about what is decided, remembered and due."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.engine import Engine
from journeys import compiled as hot
from journeys.catalogue import Catalogue
from journeys.decide import deadline
from journeys.quiet import NEVER_QUIET
from schemas.customer import Customer
from schemas.decisions import encode_effect
from schemas.events import Event, Json, Stream, customer_key
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tables.customers import CustomersTable
from tests.journey import Document, frequency, mail, score, sequence, session, silence, trigger, workflow
from tests.property.test_decide import arrivals, compiled, encoded
from tests.strategies import Line, definitions, histories

pytestmark = pytest.mark.skipif(not hot.IS_COMPILED, reason="nothing is compiled here")

NOW: Millis = 1_774_051_200_000
HELLO: Document = {"kind": "template", "id": "hello", "subject_template": "x", "content_template": "x"}
TYPES = ("product_viewed", "product_added", "order_completed", "page_viewed", "signup", "other")
# What decides: an instant, a session, a window, a day, what makes churned.
GAPS = (0, 1, 700, 20_000, MINUTE_MS, 10 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, DAY_MS, 95 * DAY_MS)
LATE = (0, 0, 0, 0, 0, 0, 0, 0, 1, MINUTE_MS, 2 * HOUR_MS, 100 * DAY_MS, -MINUTE_MS, -HOUR_MS)
DEAR: Document = {"field": "event.price", "operator": "gte", "value": 50}


@st.composite
def quiet_catalogues(draw: st.DrawFn) -> Catalogue:
    """Rules of the kinds that the compiled part knows, a few of each, some with a test."""
    types, tests = st.sampled_from(TYPES), st.sampled_from((None, None, DEAR))
    triggers: list[Document] = []
    for _ in range(draw(st.integers(0, 3))):
        items: list[Json] = [
            draw(types) if test is None else {"event_type": draw(types), "where": test}
            for test in draw(st.lists(tests, min_size=1, max_size=4))
        ]
        conditions: Document = {"contiguity": draw(st.sampled_from(("relaxed", "strict")))}
        conditions |= draw(st.sampled_from(({}, {"within_minutes": 10}, {"within_minutes": 60})))
        conditions |= draw(st.sampled_from(({}, {"unless_event": "order_completed"})))
        triggers.append(sequence(*items, where=draw(tests), **conditions))  # type: ignore[arg-type]  # no key is `rest`
    for _ in range(draw(st.integers(0, 2))):
        minutes = draw(st.sampled_from((1, 30, 60)))
        triggers.append(frequency(draw(types), draw(st.integers(1, 6)), minutes, where=draw(tests)))
    triggers += draw(st.sampled_from(([], [score(3)], [score(5.5), score(20)], [score(100)])))
    triggers += draw(st.sampled_from(([], [], [session("events", 3)], [session("duration_minutes", 15)])))
    triggers += draw(st.sampled_from(([], [silence(24)], [silence(3), silence(900)])))
    triggers += draw(st.sampled_from(([], [trigger("other", where=DEAR)])))
    written = [workflow(mail(), id=f"w{place}", on=[one]) for place, one in enumerate(triggers)]
    return compiled([*written, HELLO])


def events_of_one() -> st.SearchStrategy[list[tuple[Millis, Event]]]:
    """Draw what a customer does, with the clock at each; some late, some ahead, some again, some with an address."""
    one = st.tuples(
        st.sampled_from(GAPS), st.sampled_from(LATE), st.sampled_from(TYPES),
        st.sampled_from(("behavioral",) * 8 + ("engagement", "crm")), st.sampled_from((b"{}", b'{"price": 60}', b'{"price": "?"}')),
        st.sampled_from((None, None, "s1", "s2")), st.integers(0, 60), st.booleans(),
    )  # fmt: skip

    def written(drawn: list[tuple[Millis, Millis, str, Stream, bytes, str | None, int, bool]]) -> list[tuple[Millis, Event]]:  # fmt: skip
        found, now = list[tuple[Millis, Event]](), NOW
        for gap, late, event_type, stream, properties, visit, number, has_address in drawn:
            now += gap
            event = Event(
                event_id=f"e{number}", type=event_type, occurred_at=now - late, stream=stream, customer_id="c",
                session_id=visit, properties=msgspec.Raw(properties), has_address=has_address and number % 20 == 0,
                machine=number % 30 == 0,
            )  # fmt: skip
            found.append((now, event))
        return found

    return st.lists(one, max_size=80).map(written)


def _assert_same(catalogue: Catalogue, found: list[tuple[bytes, Millis, Event]]) -> None:
    """Fold in lockstep with and without the quiet path: effects, states and deadlines are the same after each event."""
    one = Engine(CustomersTable(), catalogue)
    other = Engine(CustomersTable(), replace(catalogue, quiet=NEVER_QUIET))
    for key, at, event in found:
        told = [
            [(outcome.now, [encode_effect(effect) for effect in outcome.effects]) for outcome in outcomes]
            for outcomes in (each.take(key, msgspec.structs.replace(event), at) for each in (one, other))
        ]
        assert told[0] == told[1]
        assert encoded(one, key) == encoded(other, key)
        assert one.table.due.deadline(key) == other.table.due.deadline(key)


@settings(max_examples=300)
@given(quiet_catalogues(), events_of_one())
def test_nothing_differs_where_most_is_quiet(catalogue: Catalogue, events: list[tuple[Millis, Event]]) -> None:
    """In worlds of the rules that the compiled part knows."""
    _assert_same(catalogue, [(customer_key(event), at, event) for at, event in events])


@settings(max_examples=60)
@given(definitions(), histories(bad_lines=False))
def test_nothing_differs_in_any_world(documents: list[Document], history: list[Line]) -> None:
    """Also where executions, segments, stages and everything else are in play."""
    _assert_same(compiled(documents), [(arrival.key, arrival.at, arrival.event) for arrival in arrivals(history)])


# One by one ---------------------------------------------------------------------------------------------------

SHOP = [
    workflow(mail(), id="seen", on=[frequency("product_viewed", 3, 30, where=DEAR)]),
    workflow(mail(), id="bought", on=[sequence("product_viewed", "product_added", within_minutes=60)]),
    workflow(mail(), id="warm", on=[score(50)]),
    HELLO,
]


def _known(catalogue: Catalogue) -> Customer:
    engine = Engine(CustomersTable(), catalogue)
    for number, name in enumerate(("signup", "product_viewed", "other")):
        engine.take(
            b"c",
            Event(event_id=f"k{number}", type=name, stream="behavioral", occurred_at=NOW + number, customer_id="c"),
            NOW + number,
        )
    customer = engine.table.get(b"c")
    assert customer is not None
    return customer


def _taken(customer: Customer, event: Event, now: Millis) -> bool:
    return hot.take_quietly(customer, event, compiled(SHOP).quiet.plans, now) is None


def _event(**changes: Json) -> Event:
    plain = Event(event_id="new", type="product_viewed", stream="behavioral", occurred_at=NOW + 10, customer_id="c")
    return msgspec.structs.replace(plain, **changes)


@pytest.mark.parametrize("changes", [{}, {"type": "other"}, {"type": "unheard_of"}, {"session_id": "s"}])
def test_what_most_events_are_is_taken(changes: dict[str, Json]) -> None:
    """Or the path would prove nothing."""
    customer = _known(compiled(SHOP))
    assert _taken(customer, _event(**changes), NOW + 10)
    assert customer.now == NOW + 10


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": "k1"}, {"type": "product_added"}, {"type": "order_completed"}, {"occurred_at": NOW + 11},
        {"occurred_at": NOW - 91 * DAY_MS}, {"stream": "crm"}, {"stream": "engagement"}, {"machine": True},
        {"has_address": True}, {"occurred_at": True}, {"occurred_at": -1}, {"occurred_at": 2**62}, {"type": None},
        {"properties": msgspec.Raw(b'{"price": "?"}')},
    ],
)  # fmt: skip
def test_what_may_lead_to_something_is_left_alone(changes: dict[str, Json]) -> None:
    """Whatever the compiled part doesn't know stays as it was, to the byte."""
    customer = _known(compiled(SHOP))
    before = msgspec.msgpack.encode(customer)
    assert not _taken(customer, _event(**changes), NOW + 10)
    assert msgspec.msgpack.encode(customer) == before


@pytest.mark.parametrize("spoilt", ["counts", "seen", "sequences", "score", "executions"])
def test_a_state_that_isnt_what_it_should_be_is_left_alone(spoilt: str) -> None:
    """A value of another type is no crash."""
    customer = _known(compiled(SHOP))
    setattr(customer, spoilt, "?")
    assert not _taken(customer, _event(), NOW + 10)


def test_the_deadline_is_that_of_the_rules() -> None:
    """Of somebody who waits for nothing but silences."""
    catalogue = compiled([*SHOP, workflow(mail(), id="gone", on=[silence(24)])])
    customer = _known(catalogue)
    plan = catalogue.quiet.silences
    assert plan is not None
    assert hot.silent_deadline(customer, plan) == NOW + 2 + DAY_MS == deadline(customer, catalogue)
    customer.is_visitor = True
    assert hot.silent_deadline(customer, plan) is ...
