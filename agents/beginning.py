"""Where a what-if begins in the middle of the log: everybody as she stood when an instant came.

Up to there nothing is compared, so each partition is folded by itself, as a worker folds it, from its beginning or from
a snapshot; then all become one world. A partition goes on at its first record from the instant on. What customers had
written to each other before that and what stands behind it in the log is still to be taken, by its time.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from agents.customers import NO_CATALOGUE, POSITION_KEY, CustomerFold, Position
from agents.left_out import NOTHING, refusing_new
from agents.world import LogRecord, World
from journeys.catalogue import Catalogue
from schemas.customer import decode_customer, decode_head
from schemas.errors import TidingsError
from schemas.instants import EARLIEST, Millis, format_instant
from schemas.quarantines import LeftOut

Memory = dict[bytes, bytes]
"""The last value of each key of a partition's changelog."""
Sources = dict[tuple[int, bytes], bytes]
"""By partition of the log and origin, the last source seen of it."""
KEEP_BYTES: Final = 8_000_000
"""Of changed customers, as they are stored: then they are encoded, as a worker does with each transaction."""


class Begun(Struct, frozen=True, kw_only=True):
    """A world, and which records it has had."""

    world: World
    sources: Sources
    next_offsets: dict[int, int]
    """Where each partition goes on."""


class Stood(Struct, frozen=True, kw_only=True):
    """What is known of a partition, and where it goes on."""

    memory: Memory
    next_offset: int


def latest_instant(memory: Memory) -> Millis | None:
    """Return the latest instant that a memory knows of; None where it knows nobody."""
    passed = _position(memory).passed
    known = [decode_customer(value).now for key, value in memory.items() if key[:2] in {b"c:", b"a:"}]
    return max((at for at in (passed, *known) if at is not None), default=None)


def fold_until(
    records: Iterable[list[LogRecord]], memory: Memory, partitions: int, load: Callable[[int], Catalogue],
    since: Millis, next_offset: int, left_out: LeftOut = NOTHING,
) -> Stood:  # fmt: skip
    """Fold a partition as a worker does, up to its first record from an instant on.

    Args:
        records: of the partition, in slices, from `next_offset` on.
        memory: what is known of those before; changed.
        partitions: of the log.
        load: returns the version of the definitions with this number.
        since: the instant.
        next_offset: of the first record.
        left_out: what the rules couldn't do.

    Raises:
        TidingsError: the rules raise where they didn't when it was decided.
    """

    async def loaded(number: int) -> Catalogue:
        return load(number)

    fold = CustomerFold("", loaded, partitions, left_out=left_out)
    fold.restore(memory.items())
    fold.next_offset()
    has_folded = False
    with asyncio.Runner() as runner:
        for some in records:
            count = next((place for place, one in enumerate(some) if one.timestamp >= since), len(some))
            if count:
                has_folded = True
                runner.run(fold.prepare(some[:count]))
                with refusing_new(f"partition {some[0].partition}, behind offset {some[0].offset:,}"):
                    parts = list(fold.fold(some[:count]))
                next_offset = parts[-1].next_offset
                if parts[-1].changed_bytes > KEEP_BYTES:
                    _keep(fold, memory)
            if count < len(some):
                break
    if has_folded:
        # A fold that has had no record would say that it stands where the log begins.
        _keep(fold, memory)
    return Stood(memory=memory, next_offset=next_offset)


def _keep(fold: CustomerFold, memory: Memory) -> None:
    for key, value in fold.changes():
        if value is None:
            memory.pop(key, None)
        else:
            memory[key] = value


def begin(stood: Mapping[int, Stood], load: Callable[[int], Catalogue], since: Millis) -> Begun:
    """Make one world of partitions.

    Raises:
        TidingsError: they don't stand under the same version, or not everywhere on hold.
    """
    positions = {number: _position(one.memory) for number, one in stood.items()}
    if len({(one.catalogue, one.activated_at, one.holds) for one in positions.values()}) > 1:
        raise TidingsError(
            f"--since {format_instant(since)}: definitions came into force just then, or a pause did; name a time a"
            " minute away"
        )
    latest = max(positions.values(), key=lambda one: EARLIEST if one.passed is None else one.passed)
    world = World()
    engine, behind = world.engine, set[bytes]()
    for number, one in stood.items():
        for key, value in one.memory.items():
            if key != POSITION_KEY:
                engine.restore(key, value)
        if positions[number].is_handing_over:
            behind |= _behind(one.memory, latest.catalogue)
    latest.put_in_force(engine, load(latest.catalogue) if latest.catalogue else NO_CATALOGUE)
    engine.behind = behind
    engine.moved_by = max(one.moved_by for one in positions.values())
    engine.index()
    return Begun(
        world=world,
        sources={
            (number, origin): source
            for number, position in positions.items()
            for origin, source in position.seen().items()
        },
        next_offsets={number: one.next_offset for number, one in stood.items()},
    )


def _behind(memory: Memory, number: int) -> set[bytes]:
    """Return who hasn't gone over yet in a partition that is handing over to the version of a number."""
    return {key for key, value in memory.items() if key[:2] in {b"c:", b"a:"} and decode_head(value).catalogue < number}


def _position(memory: Memory) -> Position:
    known = memory.get(POSITION_KEY)
    return Position(next_offset=0) if known is None else msgspec.json.decode(known, type=Position)
