"""The hand-over of a backfill: how a partition's customers go over to a workflow that counts as having been there.

    log of a partition      mark of version N    stage    stage    …    backfilled
    a customer                everybody who is known is behind: N, but its new workflow starts nothing for her
                                                 she goes over, if she is still who she was when her slice was cut out
                                                                        who is still behind goes over without a past

Whoever comes new begins with the workflow. Which customers are behind is told by the version in the heads of their
states, so it needs no memory of its own, and a crash at any record repeats that record: who has gone over isn't
behind, and what is staged for her again is nothing.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from agents.outcomes import Outcome
from agents.quarantine import leave_out
from journeys.backfilling import adopt, digest_of
from journeys.decide import deadline
from journeys.uniting import record_alone
from schemas.customer import NEVER, Customer
from schemas.events import Json
from schemas.instants import Millis
from schemas.log import Backfilled, Stage
from schemas.quarantines import HAND_OVER
from schemas.staging import StagedEntry, decode_staged

if TYPE_CHECKING:
    from agents.engine import Engine

OVER_AT_ONCE: Final = 100
"""So many go over between two pauses."""
MISSED: Final = "backfill"


def go_over(engine: "Engine", stage: Stage, at: Millis, *, unseen: bool = False) -> Iterator[Outcome | None]:
    """Let the customers of a mark go over.

    Args:
        engine: of their partition.
        stage: the mark.
        at: its timestamp.
        unseen: whether it doesn't matter who they are by now: in a world in which other things have happened to them.
    """
    if stage.number != engine.in_force.number:
        return
    for count, entry in enumerate(stage.entries, start=1):
        key = entry.key.encode()
        engine.turn = key, HAND_OVER
        if engine.turn in engine.left_out:
            yield from leave_out(engine, engine.turn, engine.left_out[engine.turn], at)
            continue
        customer = engine.table.get(key) if key in engine.behind else None
        if customer is not None and (unseen or _is_the_same(engine, key, customer, entry)):
            yield from _take_over(engine, key, customer, entry, at)
        if count % OVER_AT_ONCE == 0:
            yield None


def _is_the_same(engine: "Engine", key: bytes, customer: Customer, entry: StagedEntry) -> bool:
    return not engine.waiting.is_held(key) and digest_of(customer) == entry.digest


def _take_over(
    engine: "Engine", key: bytes, customer: Customer, entry: StagedEntry, at: Millis
) -> Iterator[Outcome]:  # fmt: skip
    engine.behind.discard(key)
    catalogue, now = engine.in_force, max(at, customer.now)
    effects = adopt(customer, decode_staged(entry.staged), catalogue, now) if entry.staged else []
    # What fell due in between is fired when time comes by next.
    engine.table.touch(key, None if engine.waiting.is_held(key) else deadline(customer, catalogue))
    if effects:
        yield Outcome(customer.customer_id, now, effects)


def end_hand_over(engine: "Engine", mark: Backfilled | None, at: Millis) -> Iterator[Outcome | None]:
    """Let everybody who is still behind go over without her past, and record that; the backfill is over.

    Args:
        engine: of their partition.
        mark: that says so; None where another version comes into force.
        at: the mark's timestamp, or the version's.
    """
    catalogue = engine.in_force
    if mark is not None and mark.number != catalogue.number:
        return
    for count, key in enumerate(sorted(engine.behind), start=1):
        engine.behind.discard(key)
        engine.turn = key, HAND_OVER
        if engine.turn in engine.left_out:
            yield from leave_out(engine, engine.turn, engine.left_out[engine.turn], at)
            continue
        customer = engine.table.get(key)
        if customer is not None:
            engine.table.touch(key, None if engine.waiting.is_held(key) else deadline(customer, catalogue))
            if customer.now > NEVER and customer.first_seen is not None:
                now = max(at, customer.now)
                detail: dict[str, Json] = {"workflow_id": catalogue.backfills}
                cause = f"{catalogue.number}"
                effects = record_alone(customer, "bound_reached", MISSED, detail, cause, catalogue, now)
                yield Outcome(customer.customer_id, now, effects)
        if count % OVER_AT_ONCE == 0:
            yield None
