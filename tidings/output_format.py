"""The format of what comes out: where it is chosen, and how schemas are registered before anything is written.

Schemas stand under `<topic>-value`, as Kafka's other tools expect. In the clock of the log, where each run has a prefix
of its own, all runs share `run.<topic>-value`: a thousand runs leave six subjects behind and not six thousand. Readers
find a schema by its number, which is the same.

A registry is asked once, at the start. A worker that can't reach it waits for it, and says so, as it would wait for
Kafka: what it would have decided stays in the log. Later it is never asked again.
"""

import logging
from collections.abc import Mapping
from typing import Final

from schemas.decisions import encode_effect
from schemas.log import Clock
from schemas.outbound import OUTBOUND_SCHEMAS, EncodeEffect, avro_encoder
from schemas.topics import schemas_topic
from streams.connection import Connection
from streams.registry import RememberedSchemas, SchemasUnreachable, open_schemas
from streams.topics import ensure_topics
from tidings.clock import monotonic_s, pause, wall_ms
from tidings.settings import Settings

log: Final = logging.getLogger("tidings.output_format")

_RUNS: Final = "run."
_ASK_AGAIN_S: Final = 1.0
_SAY_AGAIN_S: Final = 60.0


def effect_encoder(settings: Settings, connection: Connection, clock: Clock) -> EncodeEffect:
    """Return how a worker writes what comes out; for Avro it registers the schemas, however long that takes.

    Raises:
        SchemaRefused: the registry doesn't take one of them.
    """
    if settings.output_format == "json":
        return encode_effect
    schemas = open_schemas(settings.schema_registry_url, connection, wall_ms)
    try:
        return avro_encoder(_registered(schemas, settings.topic_prefix, clock))
    finally:
        schemas.close()


def registered_for_a_run(settings: Settings, connection: Connection) -> RememberedSchemas:
    """Return the schemas by which a run is read back; those of its outbound topics are registered if it writes Avro.

    Raises:
        TidingsError: the registry doesn't answer or doesn't take them; nothing was started yet.
    """
    schemas = open_schemas(settings.schema_registry_url, connection, wall_ms)
    if settings.output_format == "avro":
        if settings.schema_registry_url is None:
            ensure_topics(connection, [schemas_topic()])
        register_outbound(schemas, _RUNS)
    return schemas


def register_outbound(schemas: RememberedSchemas, prefix: str) -> Mapping[str, int]:
    """Register the schema of every outbound topic under a prefix, and return their numbers by topic without prefix.

    Raises:
        SchemasUnreachable: nobody could say; doing it again is safe.
        SchemaRefused: the registry doesn't take one of them.
    """
    return {topic: schemas.register(f"{prefix}{topic}-value", schema) for topic, schema in OUTBOUND_SCHEMAS.items()}


def _registered(schemas: RememberedSchemas, prefix: str, clock: Clock) -> Mapping[str, int]:
    said_at: float | None = None
    while True:
        try:
            numbers = register_outbound(schemas, _RUNS if clock == "log" else prefix)
        except SchemasUnreachable as error:
            now = monotonic_s()
            if said_at is None or now - said_at >= _SAY_AGAIN_S:
                said_at = now
                log.warning(
                    "waiting to register the schemas of what comes out; nothing is decided until then: %s", error
                )
            pause(_ASK_AGAIN_S)
        else:
            if said_at is not None:
                log.warning("the schemas of what comes out are registered; going on")
            return numbers
