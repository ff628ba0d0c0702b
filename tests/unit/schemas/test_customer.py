"""A stored state is a head and a customer; one of another format is refused in a sentence."""

import pytest

from schemas.customer import (
    FORMAT,
    Customer,
    Head,
    UnreadableState,
    Values,
    decode_customer,
    decode_head,
    encode_customer,
)
from schemas.definitions import Workflow
from schemas.problems import closest, shown, suggestion


@pytest.mark.parametrize("deadline", [None, 0, -5, 2**60])
def test_a_state_is_read_as_it_was_written(deadline: int | None) -> None:
    ada = Customer(customer_id="ada", attributes={"plan": "pro"})
    head = Head(catalogue=3, deadline=deadline, last_offset=7)
    stored = encode_customer(ada, head)
    assert decode_head(stored) == head
    assert decode_customer(stored) == ada


def test_a_state_of_another_format_says_which_version_reads_it() -> None:
    stored = encode_customer(Customer(customer_id="ada"), Head(catalogue=1, deadline=None, last_offset=1))
    later = bytearray(stored)
    later[stored.index(FORMAT)] = FORMAT + 1
    with pytest.raises(UnreadableState, match=f"has format {FORMAT + 1}, this version reads {FORMAT}"):
        decode_head(bytes(later))


def test_what_was_probably_meant_is_suggested_and_only_for_words_of_ordinary_length() -> None:
    fields = Workflow.__struct_fields__
    assert suggestion("trigers", fields) == "did you mean 'triggers'?"
    assert suggestion("zebra", fields) == ""
    assert closest("t" * 65, ["t" * 64]) is None
    assert closest("t" * 64, ["t" * 63]) == "t" * 63


@pytest.mark.parametrize(("number", "text"), [(10**15, "1000000000000000"), (10**15 + 1, "a very large number")])
def test_a_number_is_shown_up_to_a_size(number: int, text: str) -> None:
    assert shown(number) == text
    assert shown(-number) in (f"-{text}", text)


def test_the_stored_names_of_a_states_keys_are_short_and_each_has_one() -> None:
    maps = [kind for kind in Values.__subclasses__() if not kind.__struct_config__.array_like]
    assert Customer in maps
    for kind in maps:
        stored = kind.__struct_encode_fields__
        assert len(set(stored)) == len(kind.__struct_fields__)
        assert max(map(len, stored)) <= 2, f"{kind.__name__} has a key without a code"
