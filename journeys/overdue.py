"""What becomes of a message that fell due while it couldn't go out: during a pause, or an outage.

Its step says so. `send`: it goes out late, but within `grace_hours`; after that it is skipped. `skip`: never late.
`reschedule`: as if the step began now. `exit`: the execution ends. How late it is counts from the instant at which the
message, or the wait before it, was due.
"""

from typing import Final

from msgspec import Struct

from schemas.definitions import OnOverdue
from schemas.instants import Millis

OVERDUE_AFTER_MS: Final = 60_000
"""A timer that is handled no later than this counts as on time."""


class OverdueRule(Struct, frozen=True, kw_only=True):
    """What a message step asks for."""

    on_overdue: OnOverdue
    grace_ms: Millis


def treatment(rule: OverdueRule, due_at: Millis, now: Millis) -> OnOverdue:
    """Return what becomes of a message that was due at an instant before now; `send` only within the grace."""
    if rule.on_overdue == "send" and now - due_at > rule.grace_ms:
        return "skip"
    return rule.on_overdue


def decision_time(due_at: Millis, appended: Millis | None) -> Millis:
    """Return the `now` of a timer: when it was due, or when time itself was appended more than a minute later.

    Args:
        due_at: the timer's instant.
        appended: the clock at the append of the record that brings time by; None in the log's own clock, where
            nothing is late.
    """
    return due_at if appended is None or appended - due_at <= OVERDUE_AFTER_MS else appended
