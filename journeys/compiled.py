"""The hottest functions: as compiled code where `make setup` found a compiler, else as their Python twins.

The twins are the reference. The compiled functions take the common case of each and hand the rest to it unchanged, so
nothing depends on which of the two is here; `tests/property/test_compiled.py` compares them.
"""

from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Final

from journeys import frequency, profile, repeats, sequences
from journeys.quiet_tests import mask
from journeys.scene import decode_object
from journeys.sequences import Sequence as EventSequence
from journeys.watching import CHURNED
from schemas.customer import MAX_COUNTED_TYPES, RECENT_EVENTS, SEEN_EVENTS, Customer, SequenceMemory, Session
from schemas.events import Event
from schemas.identity import event_hash, hash_bytes
from schemas.instants import DAY_MS, EARLIEST, LATEST, Millis
from schemas.waiting import Waiting

observe: Callable[[Customer, Event, float, float, Millis], bool] = profile.observe
seen_before: Callable[[Customer, int, Millis], bool] = repeats.seen_before
add_place: Callable[[list[int], Millis], int] = sequences.add_place
advance_relaxed: Callable[[SequenceMemory, EventSequence, Millis, int], bool] = sequences.advance_relaxed
advance_strict: Callable[[SequenceMemory, EventSequence, int, int, list[int]], bool] = sequences.advance_strict
count_raises: Callable[[list[Millis], Millis, int, int, Millis | None], bool] = frequency.count_raises


def _not_taken(_customer: Customer, event: Event, _plans: tuple[object, ...], _now: Millis) -> int | None:
    return event_hash(event.event_id)


def _not_known(_customer: Customer, _plan: tuple[object, ...]) -> Millis | EllipsisType | None:
    return ...


RunMemory = tuple[
    dict[bytes, Customer],
    dict[bytes, Millis | None],
    dict[bytes, Millis],
    dict[bytes, Millis],
    dict[bytes, Waiting],
    dict[bytes, bytes],
]
"""By key: the customers at hand, who was changed, when each is due, when she is looked at at the latest, what waits.
By origin: the last source seen."""
RunRules = tuple[
    tuple[object, ...],
    tuple[object, ...] | None,
    Callable[[bytes], Event],
    Callable[[bytes, Customer], object],
    str,
    int,
]
"""What types of events do, and what makes somebody due (`journeys.quiet`); what decodes an event; what notes that a
customer was changed; the name of the header with the source, and how many bytes of that are the origin."""


def _none_taken(
    _records: Sequence[object], place: int, _memory: RunMemory, _rules: RunRules
) -> tuple[int, Event | None]:
    return place, None


take_quietly: Callable[[Customer, Event, tuple[object, ...], Millis], int | None] = _not_taken
"""Take an event that leads to nothing and return None; or change nothing and return the hash of its id: then `decide`
goes its way.

The arguments: the customer, changed in place; the event, not looked at yet; what its type does to whom
(`journeys.quiet`); the decision time.
"""
silent_deadline: Callable[[Customer, tuple[object, ...]], Millis | EllipsisType | None] = _not_known
"""Return when somebody is due who waits for nothing but silences; `...` for whoever waits for more."""
take_run: Callable[[Sequence[object], int, RunMemory, RunRules], tuple[int, Event | None]] = _none_taken
"""Take records of the log from a place on for as long as they are events that lead to nothing. Return the place of the
first that isn't one, and its event if it was decoded on the way; of that record nothing was taken.
"""
_TWINS: Final = (observe, seen_before, add_place, advance_relaxed, advance_strict, count_raises)

try:
    # Not there without a compiler.
    from journeys import _hot

    _hot.bind(  # pragma: no cover -- coverage is that of the twins
        (Customer, Event, Session, SequenceMemory, EventSequence),
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
    take_quietly, silent_deadline, take_run = _hot.take_quietly, _hot.silent_deadline, _hot.take_run
    advance_relaxed, advance_strict, count_raises = _hot.advance_relaxed, _hot.advance_strict, _hot.count_raises
