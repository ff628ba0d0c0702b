"""What a shadow would write, held against what was written: record by record, topic by topic.

A partition is folded in one order, so what it writes to a topic has one order, and a shadow that makes the same
decisions writes the same records in that order: both are walked in step, and nothing is remembered. Where they are
out of step, records are told apart by their ids, which are made from their causes: a record that only one side has,
and one that both have with different contents, are found whatever stands between.
"""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct

from schemas.instants import Millis
from streams.fold import Output

LOOK_AHEAD: Final = 2_000
"""So many recorded records are searched for one that the shadow has made, where the two are out of step."""


class Span(Struct, frozen=True):
    """The instants from `since` on and before `until`."""

    since: Millis
    until: Millis

    def holds(self, at: Millis) -> bool:
        """Tell whether an instant is among them."""
        return self.since <= at < self.until


ALWAYS: Final = Span(-(2**63), 2**63 - 1)


class Written(Struct, frozen=True):
    """A record of an outbound topic, as it was or would be written; as made by the shadow it has no offset.

    Its headers aren't kept: but for ids, which the value holds as well, they say where it stands among others.
    """

    key: bytes
    value: bytes
    timestamp: Millis
    offset: int = -1


class Difference(Struct, frozen=True, kw_only=True):
    """A record that only one side has (`gone`: only the recorded one, `added`: only the shadow), or that differs."""

    kind: Literal["gone", "added", "changed"]
    topic: str
    record_id: str
    at: Millis
    customer_id: str
    recorded: bytes | None
    replayed: bytes | None
    cause: int | None
    """An offset of the log from which on it was made in the shadow, a slice before its record at most."""


class _Ids(Struct):
    send_id: str = ""
    decision_id: str = ""
    call_id: str = ""


class _Made(Struct, frozen=True):
    written: Written
    cause: int


class TopicComparison:
    """One partition of one outbound topic, on both sides."""

    def __init__(
        self, topic: str, recorded: Iterator[Written], within: Span = ALWAYS, *, start: int = 0, is_cut: bool = False
    ) -> None:
        """Begin at the first recorded record.

        Args:
            topic: its name, without the prefix.
            recorded: what was written, in order.
            within: the instants whose records count.
            start: the first offset of `recorded`.
            is_cut: whether retention has deleted records before the first: what the shadow makes before it meets the
                first can't be held against anything.
        """
        self.topic = topic
        self.is_counting = True
        """Whether what is compared now is among what was asked about; what comes before it must be walked, too."""
        self._within = within
        self.same = 0
        self.unchecked = 0
        self.differences: list[Difference] = []
        self.next_offset = start
        """Behind the last recorded record that was reached."""
        self._recorded = recorded
        self._is_cut = is_cut
        self._ahead: dict[str, Written] = {}
        """Recorded records by id that were passed over, oldest first."""
        self._made: dict[str, _Made] = {}
        """What the shadow has made and the recorded side hasn't shown yet."""
        self._next: Written | None = None
        self._take()

    def is_in_step(self) -> bool:
        """Tell whether everything on either side has met the other so far."""
        return not (self._ahead or self._made)

    def compare(self, output: Output, cause: int) -> None:
        """Hold one record of the shadow against the next recorded one."""
        following = self._next
        if (
            following is not None
            and not self._ahead
            and output.value == following.value
            and output.timestamp == following.timestamp
        ):
            self._is_cut = False
            self._count(following)
            self._take()
            return
        self._out_of_step(Written(output.key or b"", output.value, output.timestamp), cause)

    def _count(self, made: Written) -> None:
        self.same += self.is_counting and self._within.holds(made.timestamp)

    def _take(self) -> Written | None:
        if self._next is not None:
            self.next_offset = self._next.offset + 1
        self._next = next(self._recorded, None)
        return self._next

    def _out_of_step(self, made: Written, cause: int) -> None:
        record_id = _id(made)
        known = self._ahead.pop(record_id, None) or self._search(record_id)
        if known is not None:
            self._is_cut = False
            self._settle(record_id, known, made, cause)
        elif self._is_cut:
            self.unchecked += 1
        else:
            self._made[record_id] = _Made(made, cause)

    def _search(self, record_id: str) -> Written | None:
        """Look ahead for a recorded record, and remember those that are passed over."""
        if self._is_cut:
            following = self._next
            if following is None or _id(following) != record_id:
                return None
        for _ in range(LOOK_AHEAD - len(self._ahead)):
            following = self._next
            if following is None:
                return None
            self._take()
            found = _id(following)
            if found == record_id:
                return following
            if (made := self._made.pop(found, None)) is not None:
                self._settle(found, following, made.written, made.cause)
            else:
                self._ahead[found] = following
        return None

    def _settle(self, record_id: str, recorded: Written, made: Written, cause: int) -> None:
        if _is_same(made, recorded):
            self._count(made)
        else:
            self._differ("changed", record_id, recorded, made, cause)

    def _differ(
        self, kind: Literal["gone", "added", "changed"], record_id: str, recorded: Written | None,
        made: Written | None, cause: int | None,
    ) -> None:  # fmt: skip
        shown = made or recorded
        assert shown is not None  # noqa: S101 -- a difference has at least one side
        if not self.is_counting or not self._within.holds(shown.timestamp):
            return
        self.differences.append(
            Difference(
                kind=kind,
                topic=self.topic,
                record_id=record_id,
                at=shown.timestamp,
                customer_id=shown.key.decode(),
                recorded=None if recorded is None else recorded.value,
                replayed=None if made is None else made.value,
                cause=cause,
            )
        )

    def finish(self, *, before: int, is_whole: bool) -> None:
        """Settle what is left: what has met nothing is added or gone.

        Args:
            before: what log records from this offset on have led to may not have been written yet when the recorded
                side was read, so that it is no difference.
            is_whole: whether the shadow has folded everything that led to the recorded side; if not, only what it has
                passed over is gone.
        """
        while is_whole and self._next is not None:
            following, record_id = self._next, _id(self._next)
            self._take()
            if (made := self._made.pop(record_id, None)) is not None:
                self._settle(record_id, following, made.written, made.cause)
            else:
                self._ahead[record_id] = following
        for record_id, one in self._made.items():
            if one.cause < before:
                self._differ("added", record_id, None, one.written, one.cause)
        for record_id, recorded in self._ahead.items():
            self._differ("gone", record_id, recorded, None, None)
        self._made, self._ahead = {}, {}

    def unmet(self) -> int:
        """Count what either side has and the other hasn't shown yet."""
        return len(self._made) + len(self._ahead)

    def awaits(self) -> bool:
        """Tell whether recorded records are left that the shadow hasn't made."""
        return self._next is not None or bool(self._ahead)


def _is_same(made: Written, recorded: Written) -> bool:
    # The value holds the customer's id, which is the key.
    return made.value == recorded.value and made.timestamp == recorded.timestamp


def record_id(value: bytes) -> str:
    """Return what a record is called by."""
    ids = msgspec.json.decode(value, type=_Ids)
    return ids.send_id or ids.decision_id or ids.call_id


def _id(written: Written) -> str:
    return record_id(written.value)
