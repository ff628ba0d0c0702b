"""The hottest functions: as compiled code where `make setup` found a compiler, else as their Python twins.

The twins are the reference. The compiled functions take the common case of each and hand the rest to it unchanged, so
nothing depends on which of the two is here; `tests/property/test_compiled.py` compares them.
"""

from collections.abc import Callable
from types import EllipsisType
from typing import Final

from journeys import frequency, profile, repeats, sequences
from journeys.quiet_tests import mask
from journeys.scene import decode_object
from journeys.sequences import Sequence
from journeys.watching import CHURNED
from schemas.customer import MAX_COUNTED_TYPES, RECENT_EVENTS, SEEN_EVENTS, Customer, SequenceMemory, Session
from schemas.events import Event
from schemas.identity import event_hash, hash_bytes
from schemas.instants import DAY_MS, EARLIEST, LATEST, Millis

observe: Callable[[Customer, Event, float, float, Millis], bool] = profile.observe
seen_before: Callable[[Customer, int, Millis], bool] = repeats.seen_before
add_place: Callable[[list[int], Millis], int] = sequences.add_place
advance_relaxed: Callable[[SequenceMemory, Sequence, Millis, int], bool] = sequences.advance_relaxed
advance_strict: Callable[[SequenceMemory, Sequence, int, int, list[int]], bool] = sequences.advance_strict
count_raises: Callable[[list[Millis], Millis, int, int, Millis | None], bool] = frequency.count_raises


def _not_taken(_customer: Customer, event: Event, _plans: tuple[object, ...], _now: Millis) -> int | None:
    return event_hash(event.event_id)


def _not_known(_customer: Customer, _plan: tuple[object, ...]) -> Millis | EllipsisType | None:
    return ...


take_quietly: Callable[[Customer, Event, tuple[object, ...], Millis], int | None] = _not_taken
"""Take an event that leads to nothing and return None; or change nothing and return the hash of its id: then `decide`
goes its way.

The arguments: the customer, changed in place; the event, not looked at yet; what its type does to whom
(`journeys.quiet`); the decision time.
"""
silent_deadline: Callable[[Customer, tuple[object, ...]], Millis | EllipsisType | None] = _not_known
"""Return when somebody is due who waits for nothing but silences; `...` for whoever waits for more."""
_TWINS: Final = (observe, seen_before, add_place, advance_relaxed, advance_strict, count_raises)

try:
    # Not there without a compiler.
    from journeys import _hot

    _hot.bind(  # pragma: no cover -- coverage is that of the twins
        (Customer, Event, Session, SequenceMemory, Sequence),
        (profile.ENGAGED, profile.PAGE_VIEWS),
        ("behavioral", CHURNED, "engagement_score"),
        (*_TWINS, hash_bytes, decode_object, mask),
        (
            RECENT_EVENTS,
            SEEN_EVENTS,
            profile.SESSION_GAP_MS,
            DAY_MS,
            sequences.PLACES,
            sequences.TIMELINE,
            sequences.KEPT_FOR_LATE_EVENTS,
            sequences.SLACK,
            MAX_COUNTED_TYPES,
            EARLIEST,
            LATEST,
        ),
    )
except (ImportError, AttributeError, TypeError):
    IS_COMPILED = False
else:  # pragma: no cover -- likewise
    IS_COMPILED = True
    observe, seen_before, add_place = _hot.observe, _hot.seen_before, _hot.add_place
    take_quietly, silent_deadline = _hot.take_quietly, _hot.silent_deadline
    advance_relaxed, advance_strict, count_raises = _hot.advance_relaxed, _hot.advance_strict, _hot.count_raises
