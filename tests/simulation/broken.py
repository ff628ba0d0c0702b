"""Applications with one promise's mechanism taken out each: the simulation has to find every one of them."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiokafka import TopicPartition

from agents.customers import CustomerFold
from journeys.catalogue import Catalogue
from schemas.topics import CUSTOMERS_CHANGELOG
from tests.simulation.application import Agents
from tests.simulation.simulated_clients import (
    Builder,
    Process,
    Shore,
    SimulatedClients,
    SimulatedConsumer,
    SimulatedProducer,
    Written,
)

_COUNT: Final = itertools.count()


class _Unfenced(SimulatedClients):
    """Whoever begins an epoch of another's transactional id begins one of an id that nobody has."""

    def producer(self, **settings: Any) -> SimulatedProducer:
        name = settings.get("transactional_id")
        own = None if name is None else f"{name}-{self.process.name}-{next(_COUNT)}"
        return SimulatedProducer(self.process, self.shore, own)


class _Uncommitted(SimulatedClients):
    """Recovery reads what was aborted, too."""

    def consumer(self, **settings: Any) -> SimulatedConsumer:
        del settings
        return SimulatedConsumer(self.process, self.shore, committed=False)


class _StatesApart(SimulatedClients):
    """States and position go out in a transaction of their own, behind that of what was decided."""

    def producer(self, **settings: Any) -> SimulatedProducer:
        return _TwoTransactions(self.process, self.shore, settings.get("transactional_id"))


class _TwoTransactions(SimulatedProducer):
    def __init__(self, process: Process, shore: Shore, transactional_id: str | None) -> None:
        super().__init__(process, shore, transactional_id)
        self._later: list[tuple[Builder, str, int]] = []
        self._is_first = True

    async def send_batch(self, batch: Builder, topic: str, *, partition: int) -> asyncio.Task[Written]:
        if topic == CUSTOMERS_CHANGELOG and not self._is_first:
            self._later.append((batch, topic, partition))
            return asyncio.ensure_future(_at_once())
        return await super().send_batch(batch, topic, partition=partition)

    async def send_offsets_to_transaction(self, offsets: Mapping[TopicPartition, int], group: str) -> None:
        if not self._later:
            await super().send_offsets_to_transaction(offsets, group)

    async def commit_transaction(self) -> None:
        # The first one is the fence, whose offset somebody waits for.
        self._is_first = False
        await super().commit_transaction()
        later, self._later = self._later, []
        for batch, topic, partition in later:
            await (await super().send_batch(batch, topic, partition=partition))
        if later:
            await super().commit_transaction()


class _TooSoon(SimulatedClients):
    """The ingest takes a record for written as soon as it is sent."""

    def producer(self, **settings: Any) -> SimulatedProducer:
        name = settings.get("transactional_id")
        make = _Hasty if name is None else SimulatedProducer
        return make(self.process, self.shore, name)


class _Hasty(SimulatedProducer):
    async def send_batch(self, batch: Builder, topic: str, *, partition: int) -> asyncio.Task[Written]:
        await super().send_batch(batch, topic, partition=partition)
        return asyncio.ensure_future(_at_once())


async def _at_once() -> Written:
    return Written(0)


class _ByTheGroup(CustomerFold):
    """The position is the group's, which is told once a second, and not the one that was committed with the states."""

    told: Callable[[], int | None]

    def next_offset(self) -> int | None:
        own, told = super().next_offset(), self.told()
        return None if own is None else told or 0


def _by_the_group(catalogue: Catalogue, partitions: int, told: Callable[[], int | None]) -> CustomerFold:
    async def load(_number: int) -> Catalogue:
        return catalogue

    fold = _ByTheGroup("", load, partitions)
    fold.told = told
    return fold


BROKEN: Final[dict[str, Agents]] = {
    # Who isn't fenced does harm only where he wakes up late and writes before he hears that he is out.
    "nobody is fenced": Agents(clients=_Unfenced, freeze=0.02),
    "recovery reads what was aborted": Agents(clients=_Uncommitted),
    "states go out behind what was decided": Agents(clients=_StatesApart),
    "the ingest doesn't wait for what it appends": Agents(clients=_TooSoon),
    "the position is the group's": Agents(fold=_by_the_group),
}
