"""One customer taken up where a snapshot stands: an engine that knows her, and what holds for everybody beside her.

The others of her partition aren't decoded: what they do to her stands in the log.
"""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct, field

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
    engine = Engine(CustomersTable())
    hers = {key, WAITING_PREFIX + key}
    for name, value in memory.items():
        if name in hers or name.startswith(QUOTA_PREFIX):
            engine.restore(name, value)
    engine.table.index()
    position.put_in_force(engine, load(position.catalogue) if position.catalogue else NO_CATALOGUE)
    for _ in engine.look_again([key]):
        pass
    return Resumed(engine, position.seen())
