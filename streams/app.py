"""The Faust app: group, assignment, transport and one agent that hands batches on.

What is left of Faust, and why, stands in docs/decisions/0002-what-is-left-of-faust.md. The app knows nothing
of folds or of the ingest: whoever owns partitions is a `Desk`, told of assignments and given batches.

The process ends hard (`streams/hard_stop.py`) when the desk raises, when Faust's app stops or crashes by
itself, or when the drain, the agent or the desk makes no progress (`streams/vitals.py`); none of these would be
noticed otherwise.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol

import faust
import uvloop
from aiokafka.errors import KafkaError
from faust.types import TP, StreamT
from yarl import URL

from streams.batches import Batch, BatchSchema
from streams.calm import calm_libraries
from streams.collecting import collect_in_portions, collect_seldom
from streams.connection import Connection, faust_broker, faust_credentials
from streams.draining import BatchConsumer, BatchTransport
from streams.hard_stop import leave, stop_hard
from streams.meters import Place
from streams.progress import Progress
from streams.tables import NoTables
from streams.vitals import NOTED_EVERY_S, Vitals

log = logging.getLogger("tidings.streams")

SESSION_TIMEOUT_S = 6.0
HEARTBEAT_S = 1.5
REBALANCE_TIMEOUT_S = 20.0
REQUEST_TIMEOUT_S = 40.0
FOR_EVER_S = 10 * 365 * 86400.0
CLEAN_STOP_S = 15.0
LEAVE_AFTER_S = 3.0
"""What is left of libraries after a clean stop may take so long to end; nothing of ours is held by then."""


class Desk(Protocol):
    """Who owns partitions between assignment and revocation; all calls come from the app's loop."""

    async def assigned(self, consumer: BatchConsumer, partitions: frozenset[TP]) -> None:
        """Begin with these partitions; must return soon, since no heartbeat is sent meanwhile."""

    async def revoked(self) -> None:
        """Finish with all partitions; batches come no more."""

    def deliver(self, batch: Batch) -> None:
        """Take a batch of an opened partition; must not wait."""

    def stuck_for_s(self) -> float:
        """Return for how long there has been work without progress."""

    def places(self) -> dict[TP, Place]:
        """Return how far each partition is that is read."""

    def recovering(self) -> int | None:
        """Return how many partitions are ours and aren't read yet; None before any were assigned."""


def make_app(*, app_id: str, connection: Connection, topics: Sequence[str], desk: Desk, datadir: Path) -> faust.App:
    """Build the app that reads `topics` in the group `app_id` and tells `desk`."""
    datadir.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        app_id,
        broker=faust_broker(connection),
        broker_credentials=faust_credentials(connection),
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_rebalance_timeout=REBALANCE_TIMEOUT_S,
        broker_request_timeout=REQUEST_TIMEOUT_S,
        # Faust acknowledges nothing here, so that its detectors of stuck commits would cry for ever.
        broker_commit_livelock_soft_timeout=FOR_EVER_S,
        stream_processing_timeout=FOR_EVER_S,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        reply_create_topic=False,
        datadir=datadir,
        web_enabled=False,
        autodiscover=False,
        store="memory://",
        TableManager=NoTables,
    )
    transport = BatchTransport([URL(url) for url in faust_broker(connection).split(";")], app)
    transport.connection = connection
    app.transport = transport
    # Nothing is sent through Faust: its producer would be a connection without use.
    app.boot_strategy.enable_kafka_producer = False
    _connect(app, list(topics), desk)
    return app


def consumer_of(app: faust.App) -> BatchConsumer:
    """Return the app's consumer, which is ours by the transport that `make_app` gives it."""
    consumer = app.consumer
    if not isinstance(consumer, BatchConsumer):
        raise TypeError(f"the app reads with {consumer!r}, not in batches")
    return consumer


async def settled(app: faust.App) -> None:
    """Wait until Faust is through with its part of a rebalance.

    It empties its queues at the very end of that, and gives no signal behind it; a partition opened before
    would lose what came first.
    """
    while app.rebalancing:  # noqa: ASYNC110 -- a flag of Faust's
        await asyncio.sleep(0.01)


def _connect(app: faust.App, topics: list[str], desk: Desk) -> None:
    async def receive(stream: StreamT[Batch]) -> None:
        consumer = consumer_of(app)
        async for batch in stream:
            consumer.received += 1
            try:
                desk.deliver(batch)
            except Exception as error:  # noqa: BLE001 -- Faust would acknowledge it and restart the agent
                stop_hard("a batch could not be taken", error)

    async def on_revoked(app: faust.App, /, *_: Any, **__: Any) -> None:
        consumer_of(app).close_all()
        await _or_stop_hard(desk.revoked(), "giving partitions back failed")

    async def on_assigned(app: faust.App, /, *assigned: Any, **_: Any) -> None:
        [partitions] = assigned
        await _or_stop_hard(desk.assigned(consumer_of(app), frozenset(partitions)), "taking partitions failed")

    topic = app.topic(*topics, schema=BatchSchema(), acks=False)
    app.agent(topic, name="receive")(receive)
    app.on_partitions_revoked.connect(on_revoked)
    app.on_partitions_assigned.connect(on_assigned)


async def _or_stop_hard(work: Coroutine[Any, Any, None], failure: str) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 -- Faust would crash its app and live on, idle
        stop_hard(failure, error)


def run_app(make: Callable[[], tuple[faust.App, Desk]], vitals: Vitals) -> None:
    """Run an app until SIGTERM or SIGINT, then stop it cleanly; call it once, from the main thread.

    `make` is called inside the running loop; `vitals` are kept up. Returns after a clean stop, and ends the process
    with 0 if it still lives `LEAVE_AFTER_S` later; in every other case it ends with `STOPPED_HARD` or `REFUSED`.
    """
    calm_libraries()
    # Where little happens, `collect_in_portions` is there first.
    collect_seldom()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    with asyncio.Runner() as runner:
        runner.run(_serve(make, vitals))


async def _serve(make: Callable[[], tuple[faust.App, Desk]], vitals: Vitals) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app, desk = make()
    starting = asyncio.ensure_future(app.start())
    starting.add_done_callback(_stop_if_failed)
    watching = asyncio.ensure_future(_watch(app, desk, vitals))
    collecting = asyncio.ensure_future(collect_in_portions())
    vitals.watch()
    await stop.wait()
    watching.cancel()
    collecting.cancel()
    vitals.end()
    await _stop_cleanly(app, desk)
    # Faust's start and the threads of clients that lost their broker can swallow their end and be waited for.
    going = threading.Timer(LEAVE_AFTER_S, leave)
    going.daemon = True
    going.start()


def _stop_if_failed(starting: asyncio.Future[None]) -> None:
    if starting.cancelled():
        return
    error = starting.exception()
    if isinstance(error, KafkaError):
        stop_hard("the brokers can't be reached", error)
    if error is not None:
        stop_hard("the app did not start", error)


async def _watch(app: faust.App, desk: Desk, vitals: Vitals) -> None:
    consumer = consumer_of(app)
    reading, handing_on = Progress(), Progress()
    while True:
        await asyncio.sleep(NOTED_EVERY_S)
        now_s = asyncio.get_running_loop().time()
        if app.should_stop or app.crashed:
            stop_hard("Faust stopped by itself", app.crash_reason)
        reads = app._fetcher.started and not app.rebalancing
        waits = consumer.delivered > consumer.received
        stuck_s, stuck_on = max(
            (reading.stuck_for_s(consumer.turns, due=reads, now_s=now_s), "nothing is read any more"),
            (handing_on.stuck_for_s(consumer.received, due=waits, now_s=now_s), "batches don't reach the agent"),
            (desk.stuck_for_s(), "a batch isn't finished"),
        )
        vitals.note(desk.places(), desk.recovering(), stuck_s, stuck_on)


async def _stop_cleanly(app: faust.App, desk: Desk) -> None:
    log.info("stopping")
    try:
        async with asyncio.timeout(CLEAN_STOP_S):
            consumer_of(app).close_all()
            await desk.revoked()
            await app.stop()
    except TimeoutError:
        # All partitions are given back by then, or the broker is away; nothing that could be lost is held.
        log.warning("the consumer did not stop in %.0f s; leaving", CLEAN_STOP_S)
        stop_hard("a clean stop took too long")
    log.info("stopped")
