"""The newest events, as bytes: in the order of time, bounded, and laid out as stored states and the compiled part have it."""

import pytest

from journeys.newest import add_newest, newest_events, set_newest
from schemas.customer import RECENT_EVENTS, Customer
from schemas.instants import EARLIEST, LATEST, Millis

NOW = 1_774_051_200_000


def somebody(*types: str) -> Customer:
    return Customer(customer_id="ada", counts=dict.fromkeys(types, 1))


def test_an_event_is_eight_bytes_its_instant_times_256_and_the_number_of_its_type() -> None:
    customer = somebody("page_viewed", "signup")
    add_newest(customer, "signup", NOW)
    add_newest(customer, "page_viewed", -1)
    assert customer.recent.hex() == "ffffffffffffff00" + f"{NOW:014x}" + "01"


@pytest.mark.parametrize("at", [EARLIEST, -1, 0, 1, LATEST])
def test_any_instant_there_is_can_be_one_of_an_event(at: Millis) -> None:
    customer = somebody("page_viewed", "signup")
    add_newest(customer, "signup", at)
    assert newest_events(customer) == [(at, "signup")]


@pytest.mark.parametrize(("at", "kept"), [(EARLIEST - 1, EARLIEST), (LATEST + 1, LATEST)])
def test_an_instant_beyond_all_is_the_last_there_is(at: Millis, kept: Millis) -> None:
    customer = somebody("signup")
    add_newest(customer, "signup", at)
    assert newest_events(customer) == [(kept, "signup")]


def test_events_of_one_instant_stand_in_the_order_in_which_they_came_and_late_ones_at_their_place() -> None:
    customer = somebody("a", "b", "c", "d")
    for event_type, at in (("a", -9), ("b", 5), ("a", 5), ("d", 9), ("c", 5), ("d", -5)):
        add_newest(customer, event_type, at)
    assert newest_events(customer) == [(-9, "a"), (-5, "d"), (5, "b"), (5, "a"), (5, "c"), (9, "d")]


def test_the_oldest_are_forgotten_and_one_that_is_older_than_all_is_at_once() -> None:
    customer = somebody("a", "b")
    for at in range(RECENT_EVENTS + 5):
        add_newest(customer, "a", at)
    add_newest(customer, "b", 4)
    assert newest_events(customer) == [(at, "a") for at in range(5, RECENT_EVENTS + 5)]
    add_newest(customer, "b", 5)
    assert newest_events(customer) == [(5, "b"), *((at, "a") for at in range(6, RECENT_EVENTS + 5))]


def test_a_type_that_is_not_counted_is_one_of_the_others() -> None:
    customer = somebody("a", "other")
    set_newest(customer, [(3, "a"), (1, "never"), (2, "a")])
    assert newest_events(customer) == [(1, "other"), (2, "a"), (3, "a")]
    set_newest(customer, [])
    assert customer.recent == b""
