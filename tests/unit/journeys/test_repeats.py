"""Which events are remembered, looked at without the driver: ids whose bytes look alike, and customers of many weeks.

The compiled part and its twin are held to the same laws.
"""

from collections.abc import Callable

import pytest

from journeys import compiled, repeats
from schemas.customer import Customer
from schemas.instants import DAY_MS, HOUR_MS, Millis

NOW = 1_774_051_200_000
SeenBefore = Callable[[Customer, int, Millis], bool]
twins = pytest.mark.parametrize("seen_before", [compiled.seen_before, repeats.seen_before])


@twins
def test_bytes_that_stand_across_two_ids_are_no_id(seen_before: SeenBefore) -> None:
    """The end of one entry with the beginning of the next reads as an id that never came: it is new, once."""
    customer = Customer(customer_id="ada")
    first, second = 0x01020304_05060708, 0x090A0B0C_0D0E0F10
    # Of the first id four bytes, and the four that say that it came at the first instant.
    across = 0x05060708_00000000
    # The four bytes of the first instant, and of the second id four.
    between = 0x00000000_090A0B0C
    for identity in (first, second):
        assert not seen_before(customer, identity, NOW)
    for identity in (across, between):
        assert not seen_before(customer, identity, NOW)
        assert seen_before(customer, identity, NOW)
    assert [identity for identity, _ in repeats.entries(customer.seen)] == [first, second, across, between]


@twins
def test_who_comes_every_day_for_a_year_is_remembered_as_on_the_first(seen_before: SeenBefore) -> None:
    """An id is known until 24 hours have passed, however long ago the first event of an unbroken row was."""
    customer = Customer(customer_id="ada")
    for number in range(400):
        at = NOW + number * 23 * HOUR_MS
        assert not seen_before(customer, number + 1, at)
        assert seen_before(customer, number + 1, at)
        assert repeats.entries(customer.seen)[-1] == (number + 1, at)
        if number:
            assert repeats.entries(customer.seen)[0] == (number, at - 23 * HOUR_MS)
    at = NOW + 399 * 23 * HOUR_MS
    assert seen_before(customer, 400, at + DAY_MS - 1)
    assert not seen_before(customer, 400, at + DAY_MS)


@twins
def test_of_65_events_of_a_day_the_first_is_new_again(seen_before: SeenBefore) -> None:
    customer = Customer(customer_id="ada")
    for number in range(64):
        assert not seen_before(customer, number + 1, NOW + number)
    assert seen_before(customer, 1, NOW + 64)
    assert not seen_before(customer, 65, NOW + 64)
    assert not seen_before(customer, 1, NOW + 65)
    assert seen_before(customer, 3, NOW + 66)


def test_what_two_customers_remember_together_ends_where_one_record_of_it_would() -> None:
    """Of what lies more than 49 days apart the newer is kept, to the millisecond."""
    span = 2**32
    assert repeats.entries(repeats.pack([(1, NOW), (2, NOW + span - 1)])) == [(1, NOW), (2, NOW + span - 1)]
    assert repeats.entries(repeats.pack([(1, NOW), (2, NOW + span)])) == [(2, NOW + span)]
    assert repeats.pack([]) == b""
    assert repeats.latest(repeats.pack([(1, NOW), (2, NOW + 5)])) == NOW + 5
    assert repeats.latest(b"") is None


@twins
def test_what_is_remembered_is_an_instant_and_of_each_event_its_hash_and_how_much_later_it_came(
    seen_before: SeenBefore,
) -> None:
    """The layout of stored states, which two programs read."""
    customer = Customer(customer_id="ada")
    for identity, at in ((1, NOW), (2**64 - 2, NOW + 258)):
        seen_before(customer, identity, at)
    assert customer.seen.hex() == f"{NOW:016x}" + "0000000000000001" + "00000000" + "f" * 15 + "e" + "00000102"
    assert repeats.pack(repeats.entries(customer.seen)) == customer.seen
    seen_before(customer, 7, NOW + DAY_MS)
    # What has been forgotten leaves the instant as it was, so that nothing has to be counted anew.
    assert customer.seen.hex() == f"{NOW:016x}" + "f" * 15 + "e" + "00000102" + f"{7:016x}" + f"{DAY_MS:08x}"


@pytest.mark.parametrize("kept", [64, 65])
def test_of_too_many_the_newest_64_are_taken_over(kept: int) -> None:
    found = [(number, NOW + number) for number in range(kept)]
    assert repeats.entries(repeats.pack(found)) == found[-64:]


@twins
def test_an_event_that_was_decided_on_before_all_that_is_remembered_is_remembered_too(seen_before: SeenBefore) -> None:
    """Two clocks may disagree where two customers become one."""
    customer = Customer(customer_id="ada")
    seen_before(customer, 1, NOW)
    assert not seen_before(customer, 2, NOW - 5)
    assert seen_before(customer, 2, NOW)
    assert repeats.entries(customer.seen) == [(1, NOW), (2, NOW - 5)]
