"""The long-running processes of the program: worker and ingest, from settings to the movement."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException, TopicCollection
from faust.types import TP

from agents.catalogues import Catalogues
from agents.counting import IngestCounters, WorkerCounters
from agents.customers import CustomerFold
from agents.ingest import LiveIngest, MergingIngest, Surroundings
from journeys.catalogue import Catalogue
from journeys.validation import definitions_from_documents
from schemas.errors import TidingsError
from schemas.log import Clock
from schemas.outbound import EncodeEffect
from schemas.topics import (
    BEHAVIORAL_EVENTS,
    CUSTOMER_LOG,
    CUSTOMERS_CHANGELOG,
    PUBLIC_TOPICS,
    WATERMARKS,
    TopicSpec,
    schemas_topic,
    topics,
    watermarks_topic,
)
from streams.connection import Connection
from streams.horizon import Horizon
from streams.registry import open_schemas
from streams.sources import run_ingest_worker
from streams.topics import admin_client, ensure_topics, partition_counts
from streams.vitals import Vitals
from streams.worker import run_fold_worker
from tidings.clock import fresh_bytes, wall_ms
from tidings.in_hand import FoldsInHand

WORKER_GROUP = "worker"
INGEST_GROUP = "ingest"


def work(
    connection: Connection, prefix: str, datadir: Path, clock: Clock, vitals: Vitals, encode: EncodeEffect
) -> None:
    """Fold the customer log until SIGTERM; see `run_fold_worker` for how the process ends otherwise."""
    horizon = None
    if clock == "wall":
        horizon = Horizon(connection, prefix + WATERMARKS, _public_partitions(connection, prefix), wall_ms)
        horizon.start()
    catalogues = Catalogues(connection, prefix, definitions_from_documents)
    catalogues.load_ahead()
    log = prefix + CUSTOMER_LOG
    # A log that isn't there is told by the movement, in words.
    partitions = partition_counts(connection, [log]).get(log, 1)

    async def load(number: int) -> Catalogue:
        return await asyncio.to_thread(catalogues.load, number)

    folds = FoldsInHand(
        lambda counted: CustomerFold(prefix, load, partitions, encode, counted),
        WorkerCounters(vitals.meters.registry),
        wall_ms,
        horizon,
    )
    vitals.on_note = folds.note
    run_fold_worker(
        app_id=prefix + WORKER_GROUP,
        name=fresh_bytes(8).hex(),
        connection=connection,
        source_topic=log,
        changelog_topic=prefix + CUSTOMERS_CHANGELOG,
        make_fold=folds.make,
        datadir=datadir,
        clock=wall_ms,
        horizon=horizon,
        vitals=vitals,
    )


def _public_partitions(connection: Connection, prefix: str) -> frozenset[TP]:
    counts = partition_counts(connection, [prefix + name for name in PUBLIC_TOPICS])
    return frozenset(TP(topic, partition) for topic, count in counts.items() for partition in range(count))


def ingest(
    connection: Connection, prefix: str, datadir: Path, clock: Clock, registry_url: str | None, vitals: Vitals
) -> None:
    """Bring public records into the customer log until SIGTERM; see `run_ingest_worker`."""
    public = [prefix + name for name in PUBLIC_TOPICS]
    schemas = open_schemas(registry_url, connection, wall_ms)
    around = Surroundings(
        prefix=prefix,
        topic_ids=topic_ids(connection, public),
        schema_of=schemas.known,
        look_up_schema=schemas.schema,
        clock=wall_ms,
        count_dead_letter=IngestCounters(vitals.meters.registry).dead_letter,
    )
    make = MergingIngest if clock == "log" else LiveIngest
    run_ingest_worker(
        app_id=prefix + INGEST_GROUP,
        connection=connection,
        topics=public,
        make_ingest=lambda: make(around),
        datadir=datadir,
        vitals=vitals,
    )


def make_topics(connection: Connection, prefix: str, partitions: int, clock: Clock) -> None:
    """Create the topics that are missing, and check the others; those that exist keep their numbers of partitions.

    Raises:
        TidingsError: a topic has other settings than it must have, or Kafka refuses.
    """
    try:
        ensure_topics(connection, wanted_topics(connection, prefix, partitions, clock))
    except KafkaException as error:
        msg = f"the topics can't be made ready: {error.args[0].str()}"
        raise TidingsError(msg) from None


def wanted_topics(connection: Connection, prefix: str, partitions: int, clock: Clock) -> tuple[TopicSpec, ...]:
    """Return the topics as they have to be, those that exist with the numbers of partitions that they have.

    Raises:
        confluent_kafka.KafkaException: Kafka doesn't answer.
    """
    log, public = prefix + CUSTOMER_LOG, prefix + BEHAVIORAL_EVENTS
    counts = partition_counts(connection, [log, public])
    wanted = topics(prefix, counts.get(log, partitions), counts.get(public, partitions), clock)
    live = [watermarks_topic(prefix)] if clock == "wall" else []
    return (*wanted, *live, schemas_topic())


def topic_ids(connection: Connection, names: list[str]) -> Mapping[str, bytes]:
    """Return the 16 bytes by which Kafka tells each topic from another of the same name.

    Raises:
        TidingsError: a topic doesn't exist.
    """
    found = {}
    for name, described in admin_client(connection).describe_topics(TopicCollection(names)).items():
        try:
            identity = described.result().topic_id
        except KafkaException as error:
            msg = f"topic {name} can't be read: {error.args[0].str()}"
            raise TidingsError(msg) from None
        high, low = identity.get_most_significant_bits(), identity.get_least_significant_bits()
        found[name] = high.to_bytes(8, "big", signed=True) + low.to_bytes(8, "big", signed=True)
    return found
