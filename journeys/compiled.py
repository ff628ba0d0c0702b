"""The hottest functions: as compiled code where `make setup` found a compiler, else as their Python twins.

The twins are the reference. The compiled functions take the common case of each and hand the rest to it unchanged, so
nothing depends on which of the two is here; `tests/property/test_compiled.py` compares them.
"""

from collections.abc import Callable
from typing import Final

from journeys import frequency, profile, repeats, sequences
from journeys.sequences import Sequence
from schemas.customer import RECENT_EVENTS, SEEN_EVENTS, Customer, SequenceMemory, Session
from schemas.events import Event
from schemas.instants import DAY_MS, Millis

observe: Callable[[Customer, Event, float, float, Millis], bool] = profile.observe
seen_before: Callable[[dict[int, Millis], int, Millis], bool] = repeats.seen_before
add_place: Callable[[list[int], Millis], int] = sequences.add_place
advance_relaxed: Callable[[SequenceMemory, Sequence, Millis, int], bool] = sequences.advance_relaxed
advance_strict: Callable[[SequenceMemory, Sequence, int, int, list[int]], bool] = sequences.advance_strict
count_raises: Callable[[list[Millis], Millis, int, int, Millis | None], bool] = frequency.count_raises
_TWINS: Final = (observe, seen_before, add_place, advance_relaxed, advance_strict, count_raises)

try:
    # Not there without a compiler.
    from journeys import _hot

    _hot.bind(  # pragma: no cover -- coverage is that of the twins
        (Customer, Event, Session, SequenceMemory, Sequence),
        (profile.ENGAGED, profile.PAGE_VIEWS),
        "behavioral",
        _TWINS,
        (
            RECENT_EVENTS,
            SEEN_EVENTS,
            profile.SESSION_GAP_MS,
            DAY_MS,
            sequences.PLACES,
            sequences.TIMELINE,
            sequences.KEPT_FOR_LATE_EVENTS,
            sequences.SLACK,
        ),
    )
except (ImportError, AttributeError, TypeError):
    IS_COMPILED = False
else:  # pragma: no cover -- likewise
    IS_COMPILED = True
    observe, seen_before, add_place = _hot.observe, _hot.seen_before, _hot.add_place
    advance_relaxed, advance_strict, count_raises = _hot.advance_relaxed, _hot.advance_strict, _hot.count_raises
