"""The trigger job end to end: from the public topics through ingest and workers to committed messages.

Everything runs at once, as live: one ingest, one or more workers, the broker. A lap begins when the ingest may read
its first partition, with all events on the public topics, and ends with the last transaction of a worker. Writing the
public topics isn't measured. The reference reads the log that came out, record by record, as in the trigger job.
"""

import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
from confluent_kafka import Producer
from msgspec import Raw, Struct

from agents.catalogues import publish_catalogue
from bench.log import PARTITIONS, is_folded
from bench.measured import Lap, Share, together
from bench.outcome import sent
from bench.reference import expected
from bench.traffic import read_traffic, traffic
from bench.trigger_job import DEFINITIONS, PATIENCE_S, STOP_S, WorkerFailed, compare, read_raw, remove_laps
from schemas.events import STREAM_OF_TOPIC, Event
from schemas.instants import Millis, format_instant
from schemas.log import END, SEQUENCE, decode_event, pack_number
from schemas.topics import BEHAVIORAL_EVENTS, CUSTOMER_LOG, PUBLIC_TOPICS, schemas_topic, topics
from streams.connection import Connection, confluent_settings
from streams.topics import ensure_topics
from tidings.clock import fresh_bytes, monotonic_s, pause
from tidings.definitions_folder import load_folder
from tidings.processes import INGEST_GROUP, WORKER_GROUP

LOOK_EVERY_S = 0.25
_TOPIC_OF_STREAM = {stream: topic for topic, stream in STREAM_OF_TOPIC.items()}


class Through(Struct, frozen=True, kw_only=True):
    """One lap, and the raw reading beside it."""

    raw: Lap
    ingest: Lap
    all: Lap


def run_through(
    connection: Connection, cache: Path, laps: int, workers: int, say: Callable[[str], None]
) -> list[Through]:
    """Measure.

    Raises:
        WrongOutput: a lap's messages aren't those of the reference.
        WorkerFailed: a process ended or stood still.
    """
    path = traffic(cache)
    wanted, end = expected(read_traffic(path))
    found: list[Through] = []
    for _ in range(laps):
        prefix = f"bench-{fresh_bytes(4).hex()}."
        try:
            events, shares = system_lap(connection, prefix, path, end, cache, workers)
            raw = read_raw(connection, prefix, "each")
            compare(wanted, sent(connection, prefix))
            found.append(Through(raw=raw, ingest=together(shares[:1], events), all=together(shares, events)))
            say(f"lap {len(found)} of {laps}: {told([found[-1]])}")
        finally:
            remove_laps(connection, [prefix, prefix])
    return found


def system_lap(
    connection: Connection, prefix: str, path: Path, end: Millis, cache: Path, workers: int
) -> tuple[int, list[Share]]:
    """Publish the traffic on public topics of its own, and let a whole system take it in and decide.

    Returns:
        How many events there are, and the shares of its processes, the ingest's first.

    Raises:
        WorkerFailed: a process ended or stood still.
    """
    ensure_topics(connection, [*topics(prefix, PARTITIONS, PARTITIONS, "log"), schemas_topic()])
    publish_catalogue(connection, prefix, load_folder(DEFINITIONS).documents, number=1, at=1)
    events = _publish(connection, prefix, path, end)
    return events, _lap(connection, prefix, cache / "through" / prefix.rstrip("."), workers)


def _publish(connection: Connection, prefix: str, path: Path, end: Millis) -> int:
    """Put the traffic on the public topics, as a site would, and end marks behind it; return how many events."""
    producer = Producer({**confluent_settings(connection), "linger.ms": 20, "compression.type": "lz4", "log_level": 2})
    line = 0
    for line, arrival in enumerate(read_traffic(path), start=1):
        event = decode_event(arrival.value)
        topic, key = prefix + _TOPIC_OF_STREAM[event.stream], (event.customer_id or "").encode()
        value = _envelope(event)
        headers: list[tuple[str, str | bytes | None]] = [(SEQUENCE, pack_number(line))]
        while True:
            try:
                producer.produce(topic, value=value, key=key, timestamp=arrival.at, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
    for name in PUBLIC_TOPICS:
        for partition in range(PARTITIONS):
            producer.produce(prefix + name, value=b"", partition=partition, timestamp=end, headers=[(END, b"")])
    producer.flush()
    return line


def _envelope(event: Event) -> bytes:
    """Write an event as a site publishes it."""
    return msgspec.json.encode(
        {
            "event_id": event.event_id,
            "type": event.type,
            "customer_id": event.customer_id,
            "occurred_at": format_instant(event.occurred_at),
            "received_at": None if event.received_at is None else format_instant(event.received_at),
            "source": event.source,
            "session_id": event.session_id,
            "properties": Raw(event.properties),
        }
    )


def _lap(connection: Connection, prefix: str, folder: Path, workers: int) -> list[Share]:
    """Let an ingest and workers run from nothing to the end; return their shares, the ingest's first."""
    folder.mkdir(parents=True)
    said = folder / "said.log"
    names = ["ingest", *(f"worker-{number}" for number in range(workers))]
    with said.open("wb") as log, ExitStack() as stack:
        processes = []
        for name in names:
            places = [str(folder / f"data-{name}"), str(folder / f"share-{name}.json")]
            what = ["bench.ingesting", connection.bootstrap_servers, prefix]
            if name != "ingest":
                what = ["bench.worker", connection.bootstrap_servers, prefix, prefix, str(workers)]
            argv = [sys.executable, "-m", *what, *places]
            processes.append(stack.enter_context(subprocess.Popen(argv, stdout=log, stderr=log)))  # noqa: S603
        try:
            _await_end(connection, prefix, processes, said)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(STOP_S)
    shares = [msgspec.json.decode((folder / f"share-{name}.json").read_bytes(), type=Share) for name in names]
    shutil.rmtree(folder)
    return shares


def _await_end(connection: Connection, prefix: str, processes: list[subprocess.Popen[bytes]], said: Path) -> None:
    begin = monotonic_s()
    public = prefix + BEHAVIORAL_EVENTS
    # The ingest commits behind the end marks only when all of the log is written.
    while not (
        is_folded(connection, prefix + INGEST_GROUP, public)
        and is_folded(connection, prefix + WORKER_GROUP, prefix + CUSTOMER_LOG)
    ):
        if any(process.poll() is not None for process in processes) or monotonic_s() - begin > PATIENCE_S:
            raise WorkerFailed(f"the end wasn't reached; see {said}")
        pause(LOOK_EVERY_S)


def told(laps: list[Through]) -> str:
    """Say what was measured."""
    ratios = sorted((lap.raw.wall_s / lap.raw.events) / (lap.all.wall_s / lap.all.events) for lap in laps)
    speeds = statistics.median(lap.all.events / lap.all.wall_s for lap in laps)
    raw = statistics.median(lap.raw.events / lap.raw.wall_s for lap in laps)
    ingest = statistics.median(lap.ingest.cpu_s / lap.ingest.events * 1e6 for lap in laps)
    used = statistics.median(lap.all.cpu_s / lap.all.events * 1e6 for lap in laps)
    spread = f" ({ratios[0]:.0%} to {ratios[-1]:.0%})" if len(laps) > 1 else ""
    return (
        f"{speeds:,.0f} events/s end to end, {statistics.median(ratios):.0%}{spread} of reading and decoding record by"
        f" record ({raw:,.0f}); {used:.1f} µs of CPU an event, {ingest:.1f} of them the ingest's"
    )
