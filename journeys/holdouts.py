"""Holdouts: customers for whom nothing starts, so that what the messages achieve can be measured.

Who is held out is the published formula of splits (SPEC 7), so anybody can compute it: the global holdout with the
salt `holdout`, a workflow's with `holdout:{workflow_id}`. Transactional workflows are in no global holdout: nobody
should wait for the receipt of an order because of a measurement.
"""

from typing import Final

from schemas.definitions import Category
from schemas.events import Json
from schemas.identity import bucket

GLOBAL_SALT: Final = "holdout"
_DIGITS: Final = 9


def held_out(
    customer_id: str, workflow_id: str, category: Category, percent: float, global_percent: float
) -> dict[str, Json] | None:
    """Return the values by which the customer is held out, the global holdout first; None if she isn't."""
    if global_percent and category != "transactional":
        found = _within(customer_id, GLOBAL_SALT, global_percent)
        if found is not None:
            return {"holdout": "global", **found}
    if percent:
        found = _within(customer_id, f"{GLOBAL_SALT}:{workflow_id}", percent)
        if found is not None:
            return {"holdout": workflow_id, **found}
    return None


def _within(customer_id: str, salt: str, percent: float) -> dict[str, Json] | None:
    place = bucket(customer_id, salt)
    # Rounded, because 0.07 / 100 as a float is more than 0.0007, and that place lies behind the end.
    return {"place": place, "percent": percent} if place < round(percent / 100, _DIGITS) else None
