"""Sequences: does an event complete a required order of events, whatever the order in which they arrive?

Each remembered event carries bits that say which items of the sequence it may stand for (its type is the item's and
its `where` held when it arrived), and one that says that it voids what was begun. Time order is that of
`occurred_at`, and of arrival within one instant.

**Relaxed** (others may stand between). Of all starts that are still live, only one per item matters: the latest
start of a chain that has come so far, because the last event has to follow the first in less than `within_ms`.
So one instant per item says all, an event in order costs one step, and nothing is searched (the dynamic programme
of subsequence matching; compare the runs of SASE, Wu et al., SIGMOD 2006). For late events the newest events are
kept and folded again from `base`, which is where the older ones had led. Behind a match the search begins anew: what
occurred before its last event is never looked at again, so one set of events completes it once.

**Strict** (nothing may stand between). The customer's behavioral events have a timeline of their own, shared by all
strict sequences, in which each has a place; a run is as many neighbours in the sequence's memory as there are items,
with no other place of the timeline between them. An event that isn't behavioral stands between places, and counts
only for the sequences that name its type.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from journeys.scene import Scene
from schemas.customer import SequenceMemory
from schemas.instants import Millis

KEPT_FOR_LATE_EVENTS: Final = 16
"""Events that a sequence keeps, beyond those it needs for events in order."""
SLACK: Final = 8
"""Removed at once, so that not every event moves the lists."""
TIMELINE: Final = 32
"""Places of behavioral events that are kept; more than the items of any sequence."""
PLACES: Final = 64
"""Of one millisecond: even ones for behavioral events, odd ones for those between."""

Test = Callable[[Scene], bool]


class Sequence(Struct, frozen=True, kw_only=True):
    """A sequence, compiled."""

    length: int
    strict: bool
    within_ms: Millis | None
    last: int
    """The bit of the last item; that of the first is 1."""
    void: int
    """The bit of what voids all live starts."""
    standing_for: dict[str, tuple[int, tuple[tuple[int, Test], ...]]]
    """By event type: the bits it has, and those it has where a test holds."""


def compile_sequence(
    items: list[tuple[str, Test | None]], *, strict: bool, within_ms: Millis | None, unless_event: str | None
) -> Sequence:
    """Compile a sequence.

    Args:
        items: at least one type with its test, in their order.
        strict: whether nothing may stand between.
        within_ms: the last item follows the first in less than this.
        unless_event: the type that voids live starts.
    """
    length = len(items)
    void = 1 << length
    bits: dict[str, int] = {} if unless_event is None else {unless_event: void}
    tests: dict[str, list[tuple[int, Test]]] = {}
    for place, (event_type, test) in enumerate(items):
        bits.setdefault(event_type, 0)
        if test is None:
            bits[event_type] |= 1 << place
        else:
            tests.setdefault(event_type, []).append((1 << place, test))
    return Sequence(
        length=length,
        strict=strict,
        within_ms=within_ms,
        last=1 << (length - 1),
        void=void,
        standing_for={event_type: (plain, tuple(tests.get(event_type, ()))) for event_type, plain in bits.items()},
    )


# Relaxed ------------------------------------------------------------------------------------------------------


def advance_relaxed(memory: SequenceMemory, sequence: Sequence, at: Millis, bits: int) -> bool:
    """Place an event and tell whether it completes the sequence.

    Args:
        memory: what is remembered for this sequence; changed in place.
        sequence: a relaxed one.
        at: when the event occurred.
        bits: what it stands for; not 0.
    """
    places, behind = memory.places, memory.behind
    if behind is not None and at < behind:
        return False
    if not places or at >= places[-1]:
        places.append(at)
        memory.bits.append(bits)
        live = memory.live
        if bits == 1 and live:
            live[0] = at
        # Where nothing has begun and this begins nothing, most events that a sequence names end here.
        elif (live or bits & 1 or sequence.length == 1) and _step(live, sequence, at, bits):
            _begin_anew(memory, sequence, len(places))
            return True
    elif _insert(memory, sequence, at, bits):
        return True
    if len(places) > KEPT_FOR_LATE_EVENTS + SLACK:
        _forget_oldest(memory, sequence)
    return False


def _step(live: list[Millis | None], sequence: Sequence, at: Millis, bits: int) -> bool:
    """Advance the chains by one event in order; return True, with the chains as they were, if it completes one."""
    length = sequence.length
    if bits & sequence.last:
        started = at if length == 1 else live[-1] if live else None
        if started is not None and (sequence.within_ms is None or at - started < sequence.within_ms):
            return True
    if bits > 1 and live:
        if bits & sequence.void:
            live.clear()
        else:
            for place in range(length - 2, 0, -1):
                if bits >> place & 1 and (started := live[place - 1]) is not None:
                    live[place] = _latest(live[place], started)
    if bits & 1 and length > 1:
        if live:
            live[0] = _latest(live[0], at)
        else:
            live.append(at)
            live.extend([None] * (length - 2))
    return False


def _latest(known: Millis | None, started: Millis) -> Millis:
    return started if known is None or started > known else known


def _insert(memory: SequenceMemory, sequence: Sequence, at: Millis, bits: int) -> bool:
    """Place a late event, and fold what is kept again."""
    position = bisect_right(memory.places, at)
    memory.places.insert(position, at)
    memory.bits.insert(position, bits)
    memory.live = list(memory.base)
    for number, (place, those) in enumerate(zip(memory.places, memory.bits, strict=True), 1):
        if _step(memory.live, sequence, place, those):
            _begin_anew(memory, sequence, number)
            return True
    return False


def _begin_anew(memory: SequenceMemory, sequence: Sequence, number: int) -> None:
    """Forget the first `number` events, the last of which completed the sequence; those behind it begin anew."""
    memory.behind = memory.places[number - 1]
    del memory.places[:number]
    del memory.bits[:number]
    memory.base.clear()
    memory.live.clear()
    for place, bits in zip(memory.places, memory.bits, strict=True):
        _step(memory.live, sequence, place, bits)


def _forget_oldest(memory: SequenceMemory, sequence: Sequence) -> None:
    """Fold the oldest events into `base`: from now on, what comes later than they did is placed behind them."""
    places, base = memory.places, memory.base
    number = len(places) - KEPT_FOR_LATE_EVENTS
    for place, bits in zip(places[:number], memory.bits[:number], strict=True):
        if base or bits & 1:
            _step(base, sequence, place, bits)
    del places[:number]
    del memory.bits[:number]


# Strict -------------------------------------------------------------------------------------------------------


def add_place(timeline: list[int], at: Millis) -> int:
    """Give a behavioral event its place in the timeline, behind those of the same instant; return it."""
    floor = at * PLACES
    if not timeline or timeline[-1] < floor:
        place = floor + 2
        timeline.append(place)
    else:
        position = bisect_left(timeline, floor + PLACES)
        before = timeline[position - 1] if position else floor
        place = min(max(before, floor) + 2, floor + PLACES - 2)
        timeline.insert(position, place)
    if len(timeline) > TIMELINE + SLACK:
        del timeline[:SLACK]
    return place


def place_between(timeline: list[int], at: Millis) -> int:
    """Return the place of another event: behind the behavioral ones of its instant that are there already."""
    floor = at * PLACES
    position = bisect_left(timeline, floor + PLACES)
    return max(timeline[position - 1] if position else floor, floor) + 1


def advance_strict(
    memory: SequenceMemory, sequence: Sequence, place: int, bits: int, timeline: list[int]
) -> bool:  # fmt: skip
    """Place an event and tell whether it completes a run with its neighbours.

    Args:
        memory: what is remembered for this sequence; changed in place.
        sequence: a strict one.
        place: of the event, in or between the places of the timeline.
        bits: what it stands for; 0 is worth a place only for an event that isn't behavioral.
        timeline: the places of the newest behavioral events, this one's among them.
    """
    places, length = memory.places, sequence.length
    if not places or place >= places[-1]:
        places.append(place)
        memory.bits.append(bits)
        start = len(places) - length
        may_end = bits & sequence.last and start >= 0 and memory.bits[start] & 1
        completes = may_end != 0 and _is_run(memory, sequence, start, timeline)
    else:
        position = bisect_right(places, place)
        places.insert(position, place)
        memory.bits.insert(position, bits)
        starts = range(max(0, position - length + 1), min(position, len(places) - length) + 1)
        completes = any(_is_run(memory, sequence, start, timeline) for start in starts)
    surplus = len(places) - length - KEPT_FOR_LATE_EVENTS
    if surplus > 0:
        del places[: surplus + SLACK]
        del memory.bits[: surplus + SLACK]
    return completes


def _is_run(memory: SequenceMemory, sequence: Sequence, start: int, timeline: list[int]) -> bool:
    """Tell whether the events from `start` on stand for the items, one after the other, with nothing between."""
    end = start + sequence.length
    bits = memory.bits[start:end]
    for item, those in enumerate(bits):
        if not those >> item & 1:
            return False
    if any(those & sequence.void for those in bits[1:-1]):
        return False
    first, last = memory.places[start], memory.places[end - 1]
    if sequence.within_ms is not None and last // PLACES - first // PLACES >= sequence.within_ms:
        return False
    if len(timeline) >= TIMELINE and first < timeline[0]:
        # What stood between isn't known any more.
        return sequence.length == 1
    behavioral = sum(place % 2 == 0 for place in memory.places[start:end])
    return bisect_right(timeline, last) - bisect_left(timeline, first) == behavioral
