"""One customer taken up where a snapshot stands: an engine that knows her, and what holds for everybody beside her.

The others of her partition aren't decoded: what they do to her stands in the log.
"""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from agents.customers import NO_CATALOGUE, POSITION_KEY, Position
from agents.engine import Engine
from agents.quotas import QUOTA_PREFIX
from journeys.catalogue import Catalogue
from schemas.log import ORIGIN_BYTES
from tables.customers import CustomersTable
from tables.waiting import WAITING_PREFIX


class Resumed(Struct, frozen=True):
    """An engine, and which records it has had already."""

    engine: Engine
    sources: dict[bytes, bytes] = field(default_factory=dict)
    """By origin, the last source seen of it."""

    def has_seen(self, source: bytes | None) -> bool:
        """Tell whether a record with this source is a repeat of one that came before the snapshot."""
        return source is not None and source <= self.sources.get(source[:ORIGIN_BYTES], b"")


def resume(memory: Mapping[bytes, bytes], key: bytes, load: Callable[[int], Catalogue]) -> Resumed:
    """Return an engine that knows one customer as a memory does.

    Args:
        memory: the last value of each key of a partition's changelog.
        key: hers in the log.
        load: returns the version of the definitions with this number.
    """
    position = msgspec.json.decode(memory[POSITION_KEY], type=Position)
    table = CustomersTable()
    engine = Engine(table)
    if key in memory:
        table.restore(key, memory[key])
        table.index()
    if WAITING_PREFIX + key in memory:
        engine.waiting.restore(key, memory[WAITING_PREFIX + key])
    for quota in [one for one in memory if one.startswith(QUOTA_PREFIX)]:
        engine.quotas.restore(quota, memory[quota])
    catalogue = load(position.catalogue) if position.catalogue else NO_CATALOGUE
    engine.catalogue = replace(catalogue, activated_at=position.activated_at, holds=position.holds)
    engine.passed, engine.passed_late, engine.moved_by = position.passed, position.passed_late, position.moved_by
    for _ in engine.look_again([key]):
        pass
    return Resumed(
        engine,
        {bytes.fromhex(origin): bytes.fromhex(origin + place) for origin, place in position.sources.items()},
    )
