from collections.abc import Callable
from types import EllipsisType

from journeys.sequences import Sequence
from schemas.customer import Customer, SequenceMemory
from schemas.events import Event
from schemas.instants import Millis

def bind(
    types: tuple[type, ...],
    sets: tuple[frozenset[str], frozenset[str]],
    words: tuple[str, str, str],
    twins: tuple[Callable[..., object], ...],
    bounds: tuple[int, ...],
    /,
) -> None: ...
def observe(customer: Customer, event: Event, weight: float, half_life_ms: float, now: Millis, /) -> bool: ...
def seen_before(seen: dict[int, Millis], identity: int, now: Millis, /) -> bool: ...
def add_place(timeline: list[int], at: Millis, /) -> int: ...
def advance_relaxed(memory: SequenceMemory, sequence: Sequence, at: Millis, bits: int, /) -> bool: ...
def advance_strict(
    memory: SequenceMemory, sequence: Sequence, place: int, bits: int, timeline: list[int], /
) -> bool: ...
def count_raises(
    instants: list[Millis], at: Millis, window_ms: int, wanted: int, forgotten: Millis | None, /
) -> bool: ...
def take_quietly(
    customer: Customer, event: Event, plan: tuple[object, ...], now: Millis, identity: int, mask: int, /
) -> bool: ...
def silent_deadline(customer: Customer, plan: tuple[object, ...], /) -> Millis | EllipsisType | None: ...
