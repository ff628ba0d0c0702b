"""Visitors who left nothing to write to are forgotten: 90 days after their last event their state is removed.

The last event is the newest of those whose ids are remembered; nothing else is kept for this. A visitor with an
address, or in the middle of a workflow, stays; so does one who was merged or deleted, for what is left of her is
little, and says where her events go or whom to leave alone.
"""

from typing import Final

from journeys.profile import ADDRESSES
from journeys.repeats import latest
from schemas.customer import Customer
from schemas.instants import DAY_MS, Millis

FORGOTTEN: Final = "visitor_forgotten"
FORGET_AFTER_MS: Final[Millis] = 90 * DAY_MS


def forget_due(customer: Customer) -> Millis | None:
    """Return when the state is to be removed; None if it isn't."""
    silent_until = _silent_until(customer)
    # An execution that ended later kept her until now.
    return None if silent_until is None else max(silent_until, customer.now + 1)


def forget_visitor(customer: Customer) -> bool:
    """Forget the customer if the time has come; tell whether it has."""
    silent_until = _silent_until(customer)
    customer.is_forgotten = silent_until is not None and silent_until <= customer.now
    return customer.is_forgotten


def _silent_until(customer: Customer) -> Millis | None:
    if not customer.is_visitor or customer.is_forgotten or customer.executions or customer.bonds is not None:
        return None
    if any(getattr(customer, name) for name in ADDRESSES):
        return None
    decided_at = latest(customer.seen)
    return None if decided_at is None else decided_at + FORGET_AFTER_MS
