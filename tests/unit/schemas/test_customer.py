"""A stored state is a head and a customer; one of another format is refused in a sentence."""

import zlib

import pytest

from schemas.customer import (
    FORMAT,
    HEAD_BYTES,
    TIGHT_FORMAT,
    TIGHT_FROM,
    Customer,
    Execution,
    Head,
    UnreadableState,
    Values,
    decode_customer,
    decode_head,
    encode_customer,
    store_customer,
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
    for other in (FORMAT - 1, TIGHT_FORMAT + 1):
        later[stored.index(FORMAT)] = other
        said = f"has format {other}, this version reads {FORMAT} and {TIGHT_FORMAT}: use the version that wrote it"
        with pytest.raises(UnreadableState, match=said):
            decode_head(bytes(later))


@pytest.mark.parametrize("size", [TIGHT_FROM - 1, TIGHT_FROM, TIGHT_FROM + 1])
@pytest.mark.parametrize("is_under_way", [False, True])
def test_a_large_state_of_somebody_in_a_workflow_is_stored_compressed_and_reads_the_same(
    size: int, *, is_under_way: bool
) -> None:
    head = Head(catalogue=3, deadline=5, last_offset=7)
    ada = padded(size, [execution()] if is_under_way else [])
    plain, stored = encode_customer(ada, head), store_customer(ada, head)
    assert len(plain) == HEAD_BYTES + size
    assert decode_head(stored) == head
    assert decode_customer(stored) == decode_customer(plain) == ada
    if is_under_way and size >= TIGHT_FROM:
        assert stored[0] == TIGHT_FORMAT
        assert len(stored) < len(plain)
    else:
        assert stored == plain


def test_compressed_bytes_are_raw_deflate_which_every_later_version_reads() -> None:
    """A state that another zlib has compressed, or the same with more effort, is the same state."""
    ada = padded(TIGHT_FROM, [execution()])
    head = Head(catalogue=3, deadline=None, last_offset=7)
    plain, stored = encode_customer(ada, head), store_customer(ada, head)
    for level in (0, 1, 9):
        squeezing = zlib.compressobj(level, zlib.DEFLATED, -15)
        content = squeezing.compress(plain[HEAD_BYTES:]) + squeezing.flush()
        assert decode_customer(stored[:HEAD_BYTES] + content) == ada


def padded(size: int, executions: list[Execution]) -> Customer:
    """Return somebody whose state has so many bytes."""
    ada = Customer(customer_id="ada", executions=executions, attributes={"note": "n" * 500})
    head = Head(catalogue=1, deadline=None, last_offset=1)
    missing = size + HEAD_BYTES - len(encode_customer(ada, head))
    ada.attributes["note"] = "n" * (500 + missing)
    return ada


def execution() -> Execution:
    return Execution(
        execution_id="x1",
        workflow_id="welcome",
        trigger_id="signup",
        started_at=5,
        expires_at=9,
        trigger=b"",
        branches=[],
        visits={"first": 1},
    )


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
