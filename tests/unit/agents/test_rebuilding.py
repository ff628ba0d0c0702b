"""How a memory that was made again is stored: cut into transactions, killed between any two."""

import pytest

from agents import rebuilding
from agents.customers import POSITION_KEY
from agents.rebuilding import parts

MANY = 2 * rebuilding.RECORDS_A_TRANSACTION + 1


@pytest.mark.parametrize("count", [0, 1, rebuilding.RECORDS_A_TRANSACTION, rebuilding.RECORDS_A_TRANSACTION + 1, MANY])
@pytest.mark.parametrize("left", [(), (b"c:gone",), (POSITION_KEY,), (b"c:gone", b"c:0", POSITION_KEY)])
def test_a_position_stands_only_behind_a_whole_memory(count: int, left: tuple[bytes, ...]) -> None:
    """Whatever the changelog holds and however much is stored: behind each part there is no position, or all is there."""
    memory = {POSITION_KEY: b"new"} | {b"c:%d" % number: b"state" for number in range(count)}
    held = dict.fromkeys(left, b"old")
    for part in parts(left, memory):
        for key, value in part.items():
            if value is None:
                held.pop(key, None)
            else:
                held[key] = value
        assert held == memory or POSITION_KEY not in held
    assert held == memory


def test_no_transaction_is_larger_than_a_record_above_its_bound() -> None:
    """States of a megabyte go four or five at a time, small ones five thousand at a time."""
    large = {b"c:%d" % number: bytes(1024 * 1024) for number in range(10)} | {POSITION_KEY: b"new"}
    assert max(len(part) for part in parts((), large)) <= 5
    small = {b"c:%d" % number: b"" for number in range(MANY)} | {POSITION_KEY: b"new"}
    assert [len(part) for part in parts((), small)] == [5_000, 5_000, 2]
