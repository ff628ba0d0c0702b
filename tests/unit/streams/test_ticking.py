"""The pace at which the owner of a partition writes records that bring time by."""

import math
from collections.abc import Iterable, Iterator, Sequence

import pytest

from streams.fold import CannotFold, Folded, Output, Record
from streams.ticking import LOOK_AGAIN_S, TICK_EVERY_S, Ticking


class Alarm:
    """A fold with something due at certain instants; a record of time that is folded does all up to it."""

    def __init__(self, *due: int) -> None:
        self.due = sorted(due)
        self.under_way: int | None = None

    def come_back(self) -> None:
        """Fold the record that is under way."""
        assert self.under_way is not None
        self.due = [at for at in self.due if at > (self.under_way or 0)]
        self.under_way = None

    def restore(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None: ...

    def leave_out(self, found: Sequence[CannotFold]) -> None: ...

    def next_offset(self) -> int | None: ...

    async def prepare(self, records: Sequence[Record]) -> None: ...

    def fold(self, records: Sequence[Record]) -> Iterator[Folded]:  # noqa: ARG002
        return iter(())

    def next_time(self) -> int | None:
        return None if self.under_way is not None or not self.due else self.due[0]

    def time_record(self, until: int, now: int) -> Output | None:
        due_at = self.next_time()
        if due_at is None or due_at > until:
            return None
        self.under_way = until
        return Output(topic="log", key=None, value=b"%d" % now, timestamp=until)

    def changes(self) -> Sequence[tuple[bytes, bytes | None]]:
        return ()

    def committed(self) -> None: ...


class Owned:
    """A partition with a clock, in milliseconds, that stands until it is moved."""

    def __init__(self, *due: int, behind: int = 0) -> None:
        self.alarm = Alarm(*due)
        self.clock, self.behind = 0, behind
        self.ticking = Ticking(self.alarm, clock=lambda: self.clock, horizon=lambda: self.clock - self.behind)

    def wait_ms(self) -> float:
        return self.ticking.wait_s(self.clock / 1000) * 1000

    def write(self) -> int | None:
        """Write what there is to write; return its instant."""
        record = self.ticking.take(self.clock / 1000)
        return None if record is None else record.timestamp


@pytest.mark.parametrize(
    ("clock", "wait_ms", "written"), [(0, 500, None), (499, 1, None), (500, 0, 500), (501, 0, 501)]
)
def test_it_waits_to_the_next_deadline_and_not_longer(clock: int, wait_ms: int, written: int | None) -> None:
    owned = Owned(500, 700)
    owned.clock = clock
    assert owned.wait_ms() == pytest.approx(wait_ms)
    assert owned.write() == written


def test_where_nothing_is_due_it_waits_for_ever() -> None:
    assert Owned().wait_ms() == math.inf
    assert Owned().write() is None


def test_while_a_record_is_under_way_no_other_is_written() -> None:
    owned = Owned(500, 600)
    owned.clock = 500
    assert owned.write() == 500
    owned.clock = 10_000
    assert owned.wait_ms() == math.inf
    assert owned.write() is None
    owned.alarm.come_back()
    assert owned.write() == 10_000


def test_two_records_keep_their_distance_and_what_falls_due_within_goes_together() -> None:
    owned, pace_ms = Owned(*range(1_000)), TICK_EVERY_S * 1000
    assert owned.write() == 0
    owned.alarm.come_back()
    assert owned.wait_ms() == pytest.approx(pace_ms)
    owned.clock = int(pace_ms) - 1
    assert owned.write() is None
    owned.clock = int(pace_ms)
    assert owned.write() == owned.clock


@pytest.mark.parametrize(("behind", "pause_s"), [(300, LOOK_AGAIN_S), (999, LOOK_AGAIN_S), (1_000, TICK_EVERY_S)])
def test_no_record_says_more_than_the_sources_have_been_read_to(behind: int, pause_s: float) -> None:
    """Who is behind isn't told when he no longer is, so he looks again soon, or after a while where it's far."""
    owned = Owned(500, behind=behind)
    owned.clock = 500
    assert owned.write() is None
    assert owned.wait_ms() == pytest.approx(pause_s * 1000)
    owned.clock = 500 + behind
    assert owned.write() == 500


@pytest.mark.parametrize("behind", [0, 30, 70])
def test_who_sleeps_as_long_as_told_is_never_late_by_more_than_a_pace(behind: int) -> None:
    owned = Owned(10, 20, 75, 76, 300, 1_000, behind=behind)
    done: dict[int, int] = {}
    for _ in range(100):
        before = list(owned.alarm.due)
        if owned.write() is not None:
            owned.alarm.come_back()
            done |= {at: owned.clock for at in before if at not in owned.alarm.due}
        if owned.wait_ms() == math.inf:
            break
        owned.clock += max(1, math.ceil(owned.wait_ms()))
    assert sorted(done) == [10, 20, 75, 76, 300, 1_000]
    assert all(at + behind <= when <= at + behind + 2 * TICK_EVERY_S * 1000 for at, when in done.items())
