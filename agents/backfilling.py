"""Backfill, its shadow: the whole log with a new workflow in it from an instant on, and what that comes to.

The shadow is the edited side of a what-if whose edit is "this workflow, too", in every version that was in force. It
sends nothing; what the new workflow would have sent is kept, so that it can be said what each policy would send.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

from msgspec import Struct

from agents.left_out import NOWHERE, LeftOutBy
from agents.what_if import Change, WhatIf
from agents.world import LogRecord
from journeys.backfilling import LeftBehind, Owned, left_behind, slice_of
from journeys.catalogue import Catalogue
from schemas.customer import Customer
from schemas.instants import DAY_MS, HOUR_MS, Millis, format_instant, parse_instant
from schemas.staging import PastSends, Staged

SOON_MS: Final = DAY_MS
Differs = LeftBehind | Literal["engagement", "room"]
"""What is left behind of a customer; or that the workflow looks at engagement and would have sent her messages, whose
opens and clicks nobody can know; or that she has no room for its executions."""


class Standing(Struct, frozen=True, kw_only=True):
    """Where everybody would be at the hand-over."""

    at: Millis
    known: int
    """Customers of whom anything is known."""
    touched: int
    """Those of whom the workflow would remember anything."""
    under_way: int
    """Customers with an execution that hasn't ended."""
    by_step: dict[str, int]
    """Branches of executions under way, by the step in which they stand."""
    ended: dict[str, int]
    """By reason: the last executions (of each key) that have ended."""
    due_soon: dict[str, int]
    """By step: branches that go on by themselves within 24 hours of the hand-over."""
    without_room: int
    """Executions for which their customer has no room among those she has."""
    past: tuple[Change, ...]
    """What the workflow would have sent by then, by time."""
    others: tuple[Change, ...]
    """What other workflows would have sent else, beside it."""
    differing: dict[str, tuple[Differs, ...]]
    """By customer: why she won't stand, or get, what she would if it had been there from the beginning."""


class Backfill:
    """The log as it was, and with the workflow in it."""

    def __init__(
        self, load: Callable[[int], Catalogue], with_it: Callable[[int, Millis], Catalogue], since: Millis | None,
        *, lag_ms: Millis = 0, left_out: LeftOutBy = NOWHERE,
    ) -> None:  # fmt: skip
        """Begin before the log's first record.

        Args:
            load: returns a version of the definitions as it was in force.
            with_it: returns the same version with the workflow in it, which counts from `since` on.
            since: from when on it would have been there; None: from the first version on.
            lag_ms: as in `WhatIf`.
            left_out: likewise.
        """
        self._worlds = WhatIf(load, with_it, since, follows=True, lag_ms=lag_ms, left_out=left_out)

    def take(self, record: LogRecord) -> None:
        """Take the next record of the log, whose partitions are merged in the order in which they were appended."""
        self._worlds.take(record)

    def finish(self) -> None:
        """Let time pass for all to the end of the log."""
        self._worlds.finish()

    def let_pass(self, now: Millis) -> None:
        """Let time pass by the clock, in a log that is still being written."""
        self._worlds.let_pass(now)

    def customer(self, key: bytes) -> Customer | None:
        """Return who a customer is in the shadow, to be read; None where nothing is known of her."""
        shadow = self._worlds.edited
        return None if shadow is None else shadow.engine.table.peek(key)

    def is_held(self, key: bytes) -> bool:
        """Tell whether a customer's records wait for somebody else in the shadow."""
        shadow = self._worlds.edited
        return shadow is not None and shadow.engine.waiting.is_held(key)

    @property
    def ends_at(self) -> Millis | None:
        """The latest timestamp that the log has; None where it holds nothing."""
        return self._worlds.clock

    def customers(self) -> Iterator[tuple[Customer, Customer | None]]:
        """Yield everybody as she is in the shadow and, where she is known there, in the world as it was."""
        shadow = self._worlds.edited
        if shadow is None:
            return
        for key in sorted(shadow.engine.table.keys()):
            customer = shadow.engine.table.peek(key)
            if customer is not None:
                yield customer, self._worlds.recorded.engine.table.peek(key)

    def staged(self, owned: Owned) -> Iterator[Staged]:
        """Yield what would be handed over, customer by customer; nothing for those whom the workflow never touched."""
        for customer, _ in self.customers():
            staged = slice_of(customer, owned)
            if not staged.is_empty:
                yield staged

    def standing(self, owned: Owned, most_open: int) -> Standing:
        """Count where everybody would be.

        Args:
            owned: what is the workflow's.
            most_open: how many executions a customer may have.
        """
        at = self._worlds.clock or 0
        known = touched = under_way = without_room = 0
        changes, mine = self._worlds.changes(), owned.workflow_id
        past = tuple(one for one in changes if one.workflow_id == mine and one.kind == "added")
        others = tuple(one for one in changes if one.workflow_id != mine)
        unanswered = {one.customer_id for one in past} if self._worlds.is_engaging(mine) else set[str]()
        differing: dict[str, tuple[Differs, ...]] = {}
        by_step: Counter[str] = Counter()
        due_soon: Counter[str] = Counter()
        ended: Counter[str] = Counter()
        for customer, recorded in self.customers():
            known += 1
            staged = slice_of(customer, owned)
            touched += not staged.is_empty
            room = max(most_open - (0 if recorded is None else len(recorded.executions)), 0)
            under_way += bool(staged.executions)
            without_room += max(len(staged.executions) - room, 0)
            reasons: set[Differs] = {*left_behind(customer, recorded, owned)}
            if customer.customer_id in unanswered:
                reasons.add("engagement")
            if len(staged.executions) > room:
                reasons.add("room")
            if reasons:
                differing[customer.customer_id] = tuple(sorted(reasons))
            branches = [visit for execution in staged.executions for visit in execution.branches]
            by_step.update(visit.step_id for visit in branches)
            due_soon.update(
                visit.step_id for visit in branches if visit.due_at is not None and visit.due_at <= at + SOON_MS
            )
            ended.update(one.reason for one in staged.ended.values())
        return Standing(
            at=at, known=known, touched=touched, under_way=under_way, by_step=dict(by_step), ended=dict(ended),
            due_soon=dict(due_soon), without_room=without_room, past=past, others=others,
            differing=differing,
        )  # fmt: skip


def refused_since(since: Millis, *, begins_at: Millis | None = None, ends_at: Millis | None = None) -> str | None:
    """Say why a workflow can't be counted from an instant on; None if it can.

    Args:
        since: the instant, that of the log's first or last record included.
        begins_at: the timestamp of the log's first record, where it is known.
        ends_at: the latest timestamp of the log, where it is known.
    """
    said = format_instant(since)
    if begins_at is not None and since < begins_at:
        first = format_instant(begins_at)
        return f"nothing is known of {said}: the log begins at {first}; say --since {first}, or later"
    if ends_at is not None and since > ends_at:
        last = format_instant(ends_at)
        return f"nothing has come since {said}: the log ends at {last}; say an earlier --since, or `tidings apply` it"
    return None


def sent_at_hand_over(past: Sequence[Change], policy: PastSends, fresh_ms: Millis, at: Millis) -> list[Change]:
    """Return which messages of the past a policy sends at the hand-over.

    Args:
        past: what the workflow would have sent.
        policy: `skip` nothing, `latest` the newest of each customer, `all` every one.
        fresh_ms: one that would have gone out longer ago than this isn't sent; one of exactly this age is.
        at: the hand-over.
    """
    if policy == "skip":
        return []
    fresh = [one for one in past if one.after is not None and at - parse_instant(one.after) <= fresh_ms]
    if policy == "all":
        return fresh
    return list({one.customer_id: one for one in sorted(fresh, key=_when)}.values())


def _when(change: Change) -> tuple[Millis, str]:
    return 0 if change.after is None else parse_instant(change.after), change.send_id


def hours(given: float) -> Millis:
    """Return hours in milliseconds."""
    return round(given * HOUR_MS)
