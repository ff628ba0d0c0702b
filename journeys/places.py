"""Starts that wait for a place: `max_executions` counts over all customers, so nobody can grant one to herself.

What would start is kept in the state, in the order in which it fired, and somebody else is asked; until every answer is
there the customer's records wait (`agents/quotas.py`), so what is decided then is what would have been decided at
once. A place counts when it is granted.
"""

from typing import Final

from journeys.catalogue import CompiledTrigger
from journeys.keys import name_of
from journeys.starting import is_first_of_day
from journeys.turn import MAX_CHAIN, Turn
from schemas.customer import Pending
from schemas.events import Json

REASON: Final = "max_executions"
_BY_PLACES: Final = "places\x1f"
"""Begins causes that no event id can be."""


def reserve(
    turn: Turn, trigger: CompiledTrigger, workflow_id: str, event: bytes, key: str | None, detail: dict[str, Json]
) -> None:
    """Let a firing that may start wait for its place.

    Args:
        turn: the decision in the making.
        trigger: has `max_executions`.
        workflow_id: of the workflow that would start, which may be a variation.
        event: the event that starts it, as it is kept; empty without one.
        key: the execution key.
        detail: of the firing.
    """
    assert trigger.places is not None  # noqa: S101 -- the caller told limited triggers by it
    if turn.depth >= MAX_CHAIN:
        turn.record("bound_reached", reason="event_chain", workflow=trigger.workflow, trigger_id=trigger.trigger_id)
        return
    turn.customer.pending.append(
        Pending(
            trigger=trigger.key,
            name=name_of(workflow_id, key),
            cause=turn.cause,
            most=trigger.places,
            depth=turn.depth + 1,
            event=event,
            key=key,
            detail=detail,
        )
    )
    turn.started.add(name_of(workflow_id, key))


def cause_of(pending: list[Pending]) -> str:
    """Return the cause of what is decided when the answers are there: another one than that of the firing."""
    return f"{_BY_PLACES}{pending[0].depth}\x1f{pending[0].cause}"


def refuse(turn: Turn, trigger: CompiledTrigger, pending: Pending) -> None:
    """Record that every place is taken, the first time of the day."""
    if is_first_of_day(turn, trigger, REASON):
        detail: dict[str, Json] = {**pending.detail, "max_executions": pending.most}
        turn.record(
            "trigger_refused", reason=REASON, workflow=trigger.workflow, trigger_id=trigger.trigger_id, detail=detail
        )
