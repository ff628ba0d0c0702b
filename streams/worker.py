"""The worker that folds the log: as many partitions as the group gives it, each with an owner of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import faust
from confluent_kafka import KafkaException
from faust.types import TP

from streams.app import Desk, make_app, run_app, settled
from streams.batches import Batch
from streams.clients import Clients, KafkaClients, Reader
from streams.connection import Connection
from streams.fold import Fold
from streams.hard_stop import RefusedToStart, stop_hard
from streams.meters import Meters, Place
from streams.owner import Owner
from streams.topics import partition_counts
from streams.transactions import DISTANCE_S, Lane
from streams.vitals import Vitals


def run_fold_worker(
    *,
    app_id: str,
    name: str,
    connection: Connection,
    source_topic: str,
    changelog_topic: str,
    make_fold: Callable[[int], Fold],
    datadir: Path,
    clock: Callable[[], int],
    horizon: Callable[[], int] | None = None,
    vitals: Vitals | None = None,
) -> None:
    """Fold the partitions of `source_topic` that the group `app_id` gives this process, until SIGTERM.

    Args:
        app_id: the consumer group, and the beginning of each transactional id.
        name: of this process; no other one has ever had it.
        connection: where the brokers are.
        source_topic: the log; it must exist.
        changelog_topic: compacted, with as many partitions as the log; it must exist.
        make_fold: makes the empty fold of a partition, whenever the partition is assigned or begun anew.
        datadir: a folder of this process alone; made if it isn't there.
        clock: returns now in epoch milliseconds.
        horizon: returns up to when everything that was published is in the log, in epoch milliseconds; None where the
            log has its own clock, so that no records are written by which time passes.
        vitals: for whoever watches this process.

    Returns after a clean stop. In every other case the process ends: with exit code `STOPPED_HARD` (75) when
    starting it again recovers, with `REFUSED` (78) when a person has to do something first.
    """
    known = vitals or Vitals()

    def make() -> tuple[faust.App, Desk]:
        desk = FoldDesk(
            app_id,
            name,
            KafkaClients(connection),
            changelog_topic,
            make_fold,
            clock,
            horizon,
            known.meters,
            lambda: settled(app),
        )
        app = make_app(app_id=app_id, connection=connection, topics=[source_topic], desk=desk, datadir=datadir)
        return app, desk

    _check_partition_counts(connection, source_topic, changelog_topic)
    run_app(make, known)


def _check_partition_counts(connection: Connection, source_topic: str, changelog_topic: str) -> None:
    try:
        counts = partition_counts(connection, [source_topic, changelog_topic])
    except KafkaException as error:
        stop_hard("the brokers can't be reached", error)
    missing = {source_topic, changelog_topic} - counts.keys()
    if missing:
        stop_hard("can't start", RefusedToStart(f"no such topic: {', '.join(sorted(missing))}; create it first"))
    if counts[source_topic] != counts[changelog_topic]:
        found = (
            f"{source_topic} has {counts[source_topic]} partitions and its changelog {changelog_topic}"
            f" {counts[changelog_topic]}; they must be as many, since memory is kept per partition"
        )
        stop_hard("can't start", RefusedToStart(found))


MOST_LANES = 2
"""Of a worker: its partitions share them, so that transactions are neither too many nor hold each other up."""


class FoldDesk:
    """Gives each partition of an assignment an owner."""

    def __init__(
        self,
        app_id: str,
        name: str,
        clients: Clients,
        changelog_topic: str,
        make_fold: Callable[[int], Fold],
        clock: Callable[[], int],
        horizon: Callable[[], int] | None,
        meters: Meters,
        settle: Callable[[], Awaitable[None]],
        stop: Callable[[str, BaseException | None], object] = stop_hard,
    ) -> None:
        """Begin without partitions; most arguments are as in `run_fold_worker`.

        Args:
            app_id: the group.
            name: of this process.
            clients: makes the clients of Kafka.
            changelog_topic: where memory is kept.
            make_fold: makes the empty fold of a partition.
            clock: now in epoch milliseconds.
            horizon: as there.
            meters: where is counted what happens here.
            settle: returns when whoever assigns is through with his part of the rebalance.
            stop: ends the process.
        """
        self._app_id = app_id
        self._name = name
        self._assignments = 0
        self._lanes: list[Lane] = []
        self._clients = clients
        self._settle = settle
        self._stop = stop
        self._changelog_topic = changelog_topic
        self._make_fold = make_fold
        self._clock = clock
        self._horizon = horizon
        self._meters = meters
        self._was_assigned = False
        self._owners: dict[TP, Owner] = {}

    async def assigned(self, consumer: Reader, partitions: frozenset[TP]) -> None:
        """Begin with these partitions."""
        self._was_assigned = True
        # A name of its own for each assignment: whoever has fenced one of them has nothing to fear from it for ever.
        self._assignments += 1
        count = min(len(partitions), MOST_LANES)
        self._lanes = [
            Lane(
                self._clients,
                app_id=self._app_id,
                name=f"{self._app_id}-{self._name}-{self._assignments}-{number}",
                changelog_topic=self._changelog_topic,
                distance_s=DISTANCE_S * count,
                timed=self._meters.transactions.observe,
            )
            for number in range(count)
        ]
        for number, tp in enumerate(sorted(partitions)):
            owner = Owner(
                tp,
                clients=self._clients,
                transactions=self._lanes[number % count],
                changelog_topic=self._changelog_topic,
                make_fold=partial(self._make_fold, tp.partition),
                consumer=consumer,
                clock=self._clock,
                settled=self._settle,
                horizon=self._horizon,
                meters=self._meters,
            )
            self._owners[tp] = owner
            owner.begin().add_done_callback(self._stop_if_failed)

    async def revoked(self) -> None:
        """Finish with all partitions."""
        owners, self._owners = self._owners, {}
        self._was_assigned = False
        # All at once: who is about to open his partition would open it to its next owner.
        for owner in owners.values():
            owner.stop()
        await asyncio.gather(*(owner.close() for owner in owners.values()))
        lanes, self._lanes = self._lanes, []
        await asyncio.gather(*(lane.stop() for lane in lanes))

    def deliver(self, batch: Batch) -> None:
        """Hand a batch on to whoever reads its partition."""
        owner = self._owners.get(batch.tp)
        if owner is not None:
            owner.deliver(batch)

    def stuck_for_s(self) -> float:
        """Return for how long there has been work without progress, in seconds."""
        now = asyncio.get_running_loop().time()
        since = [owner.busy_since for owner in self._owners.values() if owner.busy_since is not None]
        return now - min(since, default=now)

    def places(self) -> dict[TP, Place]:
        """Return how far each partition is that is read."""
        return {tp: place for tp, owner in self._owners.items() if (place := owner.place) is not None}

    def recovering(self) -> int | None:
        """Return how many partitions are ours and not read yet; None before any were assigned."""
        return sum(owner.place is None for owner in self._owners.values()) if self._was_assigned else None

    def _stop_if_failed(self, life: asyncio.Task[None]) -> None:
        if not life.cancelled() and (error := life.exception()) is not None:
            self._stop("a partition could not go on", error)
