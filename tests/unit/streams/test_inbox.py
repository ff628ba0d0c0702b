"""What waits of a partition: in order, each offset accounted for, bounded."""

import pytest
from faust.types import TP

from streams.batches import Batch
from streams.inbox import MOST_BYTES_WAITING, MOST_RECORDS_WAITING, BrokenChain, Inbox, size_of
from tests.unit.streams.records import Plain

LOG = TP("log", 0)


class Flow:
    """Remembers whether the partition is held."""

    def __init__(self) -> None:
        self.held = False

    def hold(self) -> None:
        self.held = True

    def release(self) -> None:
        self.held = False


def _inbox(start: int = 0) -> tuple[Inbox, Flow]:
    flow = Flow()
    return Inbox(start, hold=flow.hold, release=flow.release), flow


def _batch(start: int, next_offset: int, *offsets: int, size: int = 1) -> Batch:
    records = [Plain(offset=offset, value=b"x" * size) for offset in offsets]
    return Batch(tp=LOG, generation=1, start=start, next_offset=next_offset, records=records)


def _taken(inbox: Inbox, at_most: int) -> list[int]:
    return [record.offset for record in inbox.take(at_most)]


def test_small_batches_are_taken_together_and_in_order() -> None:
    """A slice spans batches, and the next one begins where it ended."""
    inbox, _ = _inbox()
    inbox.put(_batch(0, 2, 0, 1))
    inbox.put(_batch(2, 5, 2, 3, 4))
    assert _taken(inbox, 3) == [0, 1, 2]
    assert _taken(inbox, 3) == [3, 4]
    assert _taken(inbox, 3) == []


def test_markers_between_and_behind_records_are_passed() -> None:
    """Offsets without a record belong to the chain; the position passed lies behind them."""
    inbox, _ = _inbox(10)
    inbox.put(_batch(10, 14, 10, 12))
    inbox.put(_batch(14, 15))
    assert _taken(inbox, 100) == [10, 12]
    assert inbox.passed == 15


@pytest.mark.parametrize("start", [0, 1, 3])
def test_a_batch_that_is_not_the_next_is_refused(start: int) -> None:
    """A hole, or something twice, is an error and changes nothing."""
    inbox, _ = _inbox()
    inbox.put(_batch(0, 2, 0, 1))
    with pytest.raises(BrokenChain):
        inbox.put(_batch(start, 9, start))
    inbox.put(_batch(2, 3, 2))
    assert _taken(inbox, 100) == [0, 1, 2]


def test_too_many_records_hold_the_partition_until_half_is_folded() -> None:
    """The bound is on records; the partition comes again when half of them are gone."""
    inbox, flow = _inbox()
    inbox.put(_batch(0, MOST_RECORDS_WAITING - 1, *range(MOST_RECORDS_WAITING - 1)))
    held = [flow.held]
    inbox.put(_batch(MOST_RECORDS_WAITING - 1, MOST_RECORDS_WAITING, MOST_RECORDS_WAITING - 1))
    held.append(flow.held)
    inbox.take(MOST_RECORDS_WAITING // 2 - 1)
    held.append(flow.held)
    inbox.take(1)
    held.append(flow.held)
    assert held == [False, True, True, False]


def test_few_large_records_hold_the_partition_too() -> None:
    """The bound is on bytes as well."""
    inbox, flow = _inbox()
    inbox.put(_batch(0, 4, 0, 1, 2, 3, size=MOST_BYTES_WAITING // 4))
    held_when_full = flow.held
    inbox.take(4)
    assert (held_when_full, flow.held) == (True, False)


def test_the_size_of_equal_records_is_exact() -> None:
    """Sampling estimates; of records of one size it gives the sum."""
    assert size_of(_batch(0, 1_000, *range(1_000), size=7)) == 7_000
    assert size_of(_batch(0, 5)) == 0
