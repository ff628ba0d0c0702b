"""Absences: a second event that hasn't followed a first one in time (a cart that is left, a form never sent).

The first event begins to wait, one at a time per trigger and execution key; a later first one begins anew. The
second cancels what waits if it occurred from the first one's time up to the deadline, so a second that came early
but occurred after the deadline doesn't, and one that came late but occurred in time does. What the second event
has cancelled must stay cancelled when the first arrives after it: the instants of the newest second events are kept
for that, and those of the newest first ones, because an earlier one would have given way to them.

A deadline that is past when its first event arrives is set a little ahead, so that a second that is late as well
can still cancel. A first event too old to start anything doesn't begin to wait.
"""

from bisect import insort
from collections.abc import Callable, Collection
from typing import Final

from msgspec import Struct

from schemas.customer import Absence, Customer
from schemas.instants import MINUTE_MS, Millis, later

LATE_DEADLINE_MS: Final = 5 * MINUTE_MS
KEPT_SECOND_EVENTS: Final = 16
"""By trigger: the instants of second events, for first ones that arrive after them."""
KEPT_FIRST_EVENTS: Final = 4
"""By trigger, where there are no execution keys: the first events that earlier ones give way to when they are late."""
MAX_ABSENCES: Final = 200
"""What waits for one customer, over all triggers and execution keys."""


class AwaitedAbsence(Struct, frozen=True, kw_only=True):
    """What an absence trigger waits for, compiled."""

    memory: str
    """Under which the customer's state remembers it."""
    first: str
    second: str
    within_ms: Millis


def cancel(customer: Customer, awaited: AwaitedAbsence, at: Millis, execution_key: str | None) -> None:
    """Let a second event end what waits for it."""
    customer.absences = [
        absence
        for absence in customer.absences
        if absence.trigger != awaited.memory
        or absence.execution_key != execution_key
        or not absence.since <= at <= absence.since + awaited.within_ms
    ]


def remember(customer: Customer, awaited: AwaitedAbsence, at: Millis, execution_key: str | None) -> None:
    """Remember a second event for first ones that are still to come; after `begin`, where it is a first one too."""
    known = customer.second_events.setdefault(awaited.memory, [])
    insort(known, (at, execution_key or ""))
    del known[:-KEPT_SECOND_EVENTS]


def begin(
    customer: Customer,
    awaited: AwaitedAbsence,
    at: Millis,
    execution_key: str | None,
    encode: Callable[[], bytes],
    known_triggers: Collection[str],
    now: Millis,
) -> bool:
    """Let a first event begin to wait.

    Args:
        customer: changed in place.
        awaited: the trigger's.
        at: when the event occurred; not too old to start anything.
        execution_key: of the event, None where the workflow has none.
        encode: makes what is kept of the event, which will have started the execution.
        known_triggers: the memories of all absence triggers in force; what waits for others is forgotten.
        now: the decision time.

    Returns:
        False when nothing more may wait for this customer.
    """
    waiting = [absence for absence in customer.absences if absence.trigger in known_triggers]
    for absence in waiting:
        if absence.trigger == awaited.memory and absence.execution_key == execution_key:
            if at < absence.since:
                return True
            waiting.remove(absence)
            break
    customer.absences = waiting
    deadline = later(at, awaited.within_ms)
    if _is_answered(customer, awaited, at, deadline, execution_key):
        return True
    if len(waiting) >= MAX_ABSENCES:
        return False
    waiting.append(
        Absence(
            trigger=awaited.memory,
            execution_key=execution_key,
            since=at,
            due_at=deadline if deadline > now else now + LATE_DEADLINE_MS,
            event=encode(),
        )
    )
    return True


def _is_answered(
    customer: Customer, awaited: AwaitedAbsence, at: Millis, deadline: Millis, execution_key: str | None
) -> bool:
    """Tell whether a first event needn't wait: a second answers it, or a further first one has begun anew since."""
    if execution_key is None:
        firsts = customer.first_events.setdefault(awaited.memory, [])
        superseded = any(at < other < deadline for other in firsts)
        insort(firsts, at)
        del firsts[:-KEPT_FIRST_EVENTS]
        if superseded:
            return True
    seconds = customer.second_events.get(awaited.memory, ())
    return any(at <= other <= deadline and key == (execution_key or "") for other, key in seconds)
