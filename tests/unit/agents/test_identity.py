"""Merging over partitions, record by record: what waits, what is given up, and what would go round."""

import msgspec
import pytest

from agents.engine import Engine, customer_name, name_in_hashes
from agents.identity import receive
from agents.outcomes import Outcome
from schemas.customer import Customer, Head, encode_customer
from schemas.decisions import Decision
from schemas.instants import HOUR_MS
from schemas.linking import MOST_HOPS, Absorb, Awaits, Forwarded, Link, MergeOut, encode_link
from schemas.log import encode_event
from schemas.waiting import MOST_HELD, Held
from tables.customers import CustomersTable
from tests.journey import START, compiled, event, mail, wait, workflow

ADA, VISITOR = b"c:ada", b"a:v"
SERIES = workflow(mail("first", "pause"), wait("pause", "second", duration_hours=1), mail("second"))


def engine() -> Engine:
    return Engine(CustomersTable(), compiled(SERIES))


def record(link: Link | None, name: str = "e", at: int = 0, kind: str = "identify", value: bytes | None = None) -> Held:
    made = event(kind, at, event_id=name, customer_id="ada", properties={"email": "ada@shop.example"})[0]
    return Held(START + at, encode_event(made) if value is None else value, b"" if link is None else encode_link(link))


def awaited(name: str = "e", at: int = 0) -> Held:
    return record(Awaits(of=("a:v",), event_id=name), name, at)


def answer(name: str = "e", state: Customer | None = None) -> Held:
    head = Head(catalogue=0, deadline=None, last_offset=0)
    value = b"" if state is None else encode_customer(state, head)
    return record(Absorb(of="a:v", event_id=name), name, value=value)


def visitor() -> Customer:
    return Customer(customer_id="a:v", now=START, counts={"page_viewed": 2}, last={"page_viewed": START})


def decided(outcomes: list[Outcome]) -> list[tuple[str, str | None]]:
    effects = [effect for outcome in outcomes for effect in outcome.effects]
    return [(effect.kind, effect.reason) for effect in effects if isinstance(effect, Decision)]


def counts(one: Engine, key: bytes = ADA) -> dict[str, int]:
    customer = one.table.get(key)
    assert customer is not None
    return customer.counts


def take(one: Engine, name: str, at: int, kind: str = "page_viewed") -> list[Outcome]:
    made, arrives = event(kind, at, event_id=name, customer_id="ada", properties={"email": "ada@shop.example"})
    return one.take(ADA, made, arrives)


def test_a_held_customers_records_and_timers_wait_until_the_answer_comes() -> None:
    """Nothing of hers happens meanwhile, then everything at its own time."""
    one = engine()
    take(one, "s", 0, "signup")
    receive(one, ADA, awaited(at=1))
    assert take(one, "p", 2 * HOUR_MS) == []
    assert list(one.fire(START + 3 * HOUR_MS)) == []
    assert counts(one) == {"signup": 1}
    outcomes = receive(one, ADA, answer(state=visitor()))
    assert [outcome.now - START for outcome in outcomes if outcome.effects][-1] == HOUR_MS
    assert ("send_published", None) not in decided(outcomes[:1])
    assert ("customer_merged", None) in decided(outcomes)
    assert counts(one) == {"signup": 1, "identify": 1, "page_viewed": 3}
    assert one.waiting.entries == {}


def test_an_answer_that_comes_first_is_kept_until_it_is_awaited() -> None:
    one = engine()
    assert receive(one, ADA, answer(state=visitor())) == []
    take(one, "p", 0)
    assert counts(one) == {"page_viewed": 1}
    receive(one, ADA, awaited(at=1))
    assert counts(one) == {"page_viewed": 3, "identify": 1}
    assert one.waiting.entries == {}


def test_an_answer_counts_once_however_often_it_comes() -> None:
    one = engine()
    receive(one, ADA, awaited())
    receive(one, ADA, answer(state=visitor()))
    receive(one, ADA, answer())
    receive(one, ADA, awaited("e2", 1))
    receive(one, ADA, answer("e2"))
    assert counts(one) == {"page_viewed": 2, "identify": 2}
    assert one.waiting.entries == {}


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_beyond_the_bound_she_goes_on_and_absorbs_whenever_the_answer_comes(more: int) -> None:
    one = engine()
    receive(one, ADA, awaited())
    outcomes = [out for number in range(MOST_HELD + more) for out in take(one, f"p{number}", 1 + number)]
    overflown = more > 0
    assert (("held_overflow", None) in decided(outcomes)) == overflown
    assert counts(one).get("page_viewed", 0) == (MOST_HELD + more if overflown else 0)
    outcomes = receive(one, ADA, answer(state=visitor()))
    assert ("customer_merged", None) in decided(outcomes)
    assert counts(one)["page_viewed"] == MOST_HELD + more + 2
    assert one.waiting.entries == {}


def test_who_was_absorbed_answers_with_her_state_then_with_nothing_and_forwards() -> None:
    one = engine()
    receive(one, VISITOR, record(Forwarded(path=()), "p", kind="page_viewed"))
    receive(one, VISITOR, record(MergeOut(into="c:ada", event_id="e"), value=b"", at=1))
    receive(one, VISITOR, record(MergeOut(into="c:ada", event_id="e"), value=b"", at=2))
    made, at = event("page_viewed", 3, event_id="q", anonymous_id="v")
    one.take(VISITOR, made, at)
    first, second, third = one.take_letters()
    assert first.link == second.link == Absorb(of="a:v", event_id="e")
    assert (bool(first.value), second.value) == (True, b"")
    assert (third.key, third.link, third.value) == (ADA, Forwarded(path=("a:v",)), encode_event(made))


def test_two_who_wait_for_each_other_both_go_on_and_neither_is_absorbed() -> None:
    """In a log whose order differs between the two, as with several ingests."""
    one = engine()
    for key, other in ((ADA, "c:bob"), (b"c:bob", "c:ada")):
        receive(one, key, record(Awaits(of=(other,), event_id="e" + other), "e" + other))
    outcomes = []
    for key, other in ((ADA, "c:bob"), (b"c:bob", "c:ada")):
        outcomes += receive(one, key, record(MergeOut(into=other, event_id="e" + key.decode()), value=b"", at=1))
    for letter in one.take_letters():
        outcomes += receive(one, letter.key, Held(letter.at, letter.value, encode_link(letter.link)))
    assert [found for found in decided(outcomes) if found[0] == "merge_refused"] == [("merge_refused", "cycle")] * 2
    assert counts(one) == counts(one, b"c:bob") == {"identify": 1}
    assert one.waiting.entries == {}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (tuple(f"a:{number}" for number in range(MOST_HOPS - 1)), None),
        (tuple(f"a:{number}" for number in range(MOST_HOPS)), "too_many_hops"),
        (("c:ada", "a:v"), "cycle"),
    ],
)
def test_a_record_that_would_go_round_is_taken_by_who_notices(path: tuple[str, ...], reason: str | None) -> None:
    one = engine()
    receive(one, VISITOR, record(MergeOut(into="c:ada", event_id="e"), value=b""))
    one.take_letters()
    outcomes = receive(one, VISITOR, record(Forwarded(path=path), "p", kind="page_viewed"))
    assert decided(outcomes)[:1] == ([("merge_refused", reason)] if reason else [])
    assert counts(one, VISITOR) == ({"page_viewed": 1} if reason else {})
    assert len(one.take_letters()) == (0 if reason else 1)


def test_what_waits_survives_a_restart() -> None:
    one, two = engine(), engine()
    receive(one, ADA, awaited())
    take(one, "p", 1)
    for key, value in one.waiting.take_changes():
        two.waiting.restore(key.removeprefix(b"w:"), value)
    for key, stored in one.table.take_changes(1, 0):
        two.table.restore(key, stored)
    two.table.index()
    receive(two, ADA, answer(state=visitor()))
    assert counts(two) == {"identify": 1, "page_viewed": 3}
    assert two.waiting.take_changes() == [(b"w:c:ada", None)]


@pytest.mark.parametrize(
    ("key", "name", "hashed"),
    [
        (b"c:ada", "ada", None),
        (b"a:x", "a:x", None),
        (b"c:a:x", "a:x", "c:a:x"),
        (b"c:c:a:x", "c:a:x", "c:c:a:x"),
        (b"c:", "", None),
    ],
)
def test_a_customer_with_the_name_of_a_visitor_has_ids_of_her_own(key: bytes, name: str, hashed: str | None) -> None:
    """Causes are hashed by a name that nobody else has, which for nearly all is the id."""
    assert customer_name(key) == name
    assert name_in_hashes(key) == hashed


def test_customer_a_x_and_visitor_x_share_no_id() -> None:
    one = engine()
    ids = []
    for key, customer, anonymous in ((b"c:a:x", "a:x", None), (b"a:x", None, "x")):
        made, at = event(
            "signup",
            0,
            event_id="s",
            properties={"email": "x@shop.example"},
            customer_id=customer,
            anonymous_id=anonymous,
        )
        outcomes = one.take(key, made, at)
        ids += [msgspec.to_builtins(effect) for outcome in outcomes for effect in outcome.effects]
    names = [one.get("send_id") or one["decision_id"] for one in ids]
    assert len(names) == len(set(names))
    assert {one["customer_id"] for one in ids} == {"a:x"}
