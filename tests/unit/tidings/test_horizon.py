"""What can be replayed is told partition by partition, and what follows from it."""

import pytest

from agents.kept_log import KeptPartition, nothing_in
from agents.replaying import Reach
from schemas.instants import parse_instant
from schemas.topics import OUTBOUND_TOPICS
from tidings.horizon import horizon_lines

BEGIN, END = parse_instant("2026-03-01T00:00:00Z"), parse_instant("2026-03-09T00:00:00Z")


def kept(
    start: int = 0, *, partition: int = 0, snapshot: int | None = None, is_empty: bool = False, cut: int = 0
) -> KeptPartition:
    outputs = dict.fromkeys(OUTBOUND_TOPICS, (0, 9)) | {"decisions": (cut, 9)}
    reach = Reach(log_start=start, log_end=1_000, position=1_000, outputs=outputs)
    times = (None, None) if is_empty else (BEGIN, END)
    return KeptPartition(partition=partition, reach=reach, first_at=times[0], last_at=times[1], snapshot=snapshot)


def lines(*partitions: KeptPartition) -> str:
    return "\n".join(horizon_lines("t.customer-log", partitions))


def test_a_whole_log_can_be_asked_everything() -> None:
    said = lines(kept(), kept(partition=1, is_empty=True))
    assert "t.customer-log 0: 1,000 offsets, from its beginning, 2026-03-01T00:00:00.000Z to 2026-03-09" in said
    assert "t.customer-log 1: nothing in it" in said
    assert "replay            possible\n" in said
    for name in ("what-if  ", "backfill "):
        assert f"{name}         possible, from 2026-03-01T00:00:00.000Z on" in said
    assert "explain           possible of everybody" in said


@pytest.mark.parametrize(
    ("snapshot", "begins_at", "said"),
    [
        (None, None, "before it only by a snapshot"),
        (399, None, "its snapshot goes on at 399: too old, for what follows it (1 offset) is gone"),
        (400, 400, "its snapshot goes on at 400, 600 offsets before the end"),
        (401, 401, "its snapshot goes on at 401, 599 offsets before the end"),
    ],
)
def test_behind_a_lost_beginning_only_a_snapshot_goes_on_that_the_log_reaches_back_to(
    snapshot: int | None, begins_at: int | None, said: str
) -> None:
    """One offset too old is too old."""
    one = kept(400, snapshot=snapshot)
    assert one.begins_at == begins_at
    told = lines(one)
    assert said in told
    assert ("replay            impossible" in told) == (begins_at is None)
    assert "backfill          impossible: it needs the whole log, and the beginning of partition 0 is gone" in told
    assert ("what-if           possible with --snapshots, for a --since behind them" in told) == (begins_at is not None)
    assert ("what-if           impossible: of partition 0" in told) == (begins_at is None)
    assert ("explain           impossible" in told) == (begins_at is None)
    assert ("from the snapshot on, with --snapshots" in told) == (begins_at is not None)


def test_what_only_some_partitions_can_be_asked_is_told_with_their_numbers() -> None:
    said = lines(kept(), kept(400, partition=1, snapshot=500), kept(400, partition=2, cut=5))
    assert "replay            of 2 of 3 partitions; of partition 2 the beginning is gone" in said
    assert "beginning of partitions 1, 2 is gone" in said
    assert "explain           of the customers of partitions 0, 1 alone; of partition 1 from the snapshot on" in said
    assert "decisions have lost their beginnings" in said


@pytest.mark.parametrize(
    ("since", "until", "refused"),
    [
        (None, BEGIN, "--until 2026-03-01T00:00:00.000Z: the log begins at 2026-03-01T00:00:00.000Z"),
        (None, BEGIN + 1, None),
        (END + 1, None, "--since 2026-03-09T00:00:00.001Z: the log ends at 2026-03-09T00:00:00.000Z"),
        (END, None, None),
        (BEGIN - 1, END + 1, None),
    ],
)
def test_a_span_of_which_nothing_is_kept_is_refused(since: int | None, until: int | None, refused: str | None) -> None:
    """The end of a span isn't part of it, its beginning is."""
    said = nothing_in([kept(), kept(partition=1, is_empty=True)], since, until)
    assert (said is None) == (refused is None)
    assert (refused or "") in (said or "")


def test_of_an_empty_log_no_span_is_kept() -> None:
    assert "is empty" in (nothing_in([kept(is_empty=True)], BEGIN, END) or "")
