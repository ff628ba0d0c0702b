"""The catalogue's way into the log, and out of it again.

A version is one record in the compacted topic `definitions` (key: its number; JSON), and a mark in every
partition of the customer log, all written in one transaction. A worker switches a partition's catalogue when it
reads the mark, never before.
"""

import importlib.metadata
from collections.abc import Callable
from typing import Final

import msgspec
from confluent_kafka import KafkaException, Producer
from msgspec import Struct

from journeys.catalogue import RULES_VERSION, Catalogue, compile_catalogue
from schemas.definitions import Definitions
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import Millis
from schemas.log import CatalogueMark, encode_mark
from schemas.topics import CUSTOMER_LOG, DEFINITIONS
from streams.connection import Connection, confluent_settings
from streams.reading import read_to_end
from streams.topics import partition_counts

APPLY_ID: Final = "tidings-apply"
LARGEST_BYTES: Final = 8 * 1024 * 1024
"""Of a version; what the topic takes."""
_PATIENCE_S: Final = 30.0

ReadDefinitions = Callable[[list[Json]], Definitions]


class StoredCatalogue(Struct, frozen=True, kw_only=True):
    """The value of a record in `definitions`."""

    number: int
    documents: list[Json]
    rules_version: int
    tzdata: str
    answers_webhooks: bool = False
    """Whether webhooks are never called and every one is answered at once."""


class CatalogueMissing(TidingsError):
    """A mark names a version that the topic doesn't hold."""


def publish_catalogue(
    connection: Connection, prefix: str, documents: list[Json], number: int, at: Millis,
    *, answers_webhooks: bool = False,
) -> None:  # fmt: skip
    """Write a version and its marks, all or nothing.

    Args:
        connection: where Kafka is.
        prefix: of the topics.
        documents: the valid definitions, as they were read.
        number: the version; a partition ignores a mark that isn't above its own.
        at: the timestamp of the marks, epoch milliseconds.
        answers_webhooks: True where webhooks are never called, and the log doesn't hold their answers either.

    Raises:
        TidingsError: Kafka refused or can't be reached; nothing was written then.
    """
    tzdata = importlib.metadata.version("tzdata")
    stored = StoredCatalogue(
        number=number,
        documents=documents,
        rules_version=RULES_VERSION,
        tzdata=tzdata,
        answers_webhooks=answers_webhooks,
    )
    mark = encode_mark(CatalogueMark(number=number, rules_version=RULES_VERSION, tzdata=tzdata))
    log = prefix + CUSTOMER_LOG
    partitions = partition_counts(connection, [log])[log]
    producer = Producer(
        confluent_settings(connection)
        | {
            "transactional.id": prefix + APPLY_ID,
            "acks": "all",
            "message.max.bytes": LARGEST_BYTES,
            "log_level": 2,
        }
    )
    try:
        producer.init_transactions(_PATIENCE_S)
        producer.begin_transaction()
        producer.produce(
            prefix + DEFINITIONS, key=str(number).encode(), value=msgspec.json.encode(stored), timestamp=at
        )
        for partition in range(partitions):
            producer.produce(log, value=mark, partition=partition, timestamp=at)
        producer.commit_transaction(_PATIENCE_S)
    except KafkaException as error:
        msg = f"the definitions couldn't be applied: {error.args[0].str()}; nothing was changed, so try again"
        raise TidingsError(msg) from None


class Catalogues:
    """The versions that the topic holds, compiled when they are first asked for."""

    def __init__(self, connection: Connection, prefix: str, read_definitions: ReadDefinitions) -> None:
        self._connection = connection
        self._topic = prefix + DEFINITIONS
        self._read_definitions = read_definitions
        self._compiled: dict[int, Catalogue] = {}

    def load(self, number: int) -> Catalogue:
        """Return a version, which knows those before it.

        Raises:
            CatalogueMissing: the topic doesn't hold it.
        """
        if number not in self._compiled:
            for stored, activated_at in sorted(self._read_topic(), key=lambda entry: entry[0].number):
                if stored.number not in self._compiled:
                    definitions = self._read_definitions(stored.documents)
                    self._compiled[stored.number] = compile_catalogue(
                        definitions,
                        stored.number,
                        self._compiled,
                        activated_at=activated_at,
                        answers_webhooks=stored.answers_webhooks,
                    )
        if number not in self._compiled:
            msg = f"{self._topic} holds no version {number}; was the topic deleted? Apply the definitions again"
            raise CatalogueMissing(msg)
        return self._compiled[number]

    def _read_topic(self) -> list[tuple[StoredCatalogue, Millis]]:
        """Return the versions, each with the timestamp that it shares with its marks."""
        return [
            (msgspec.json.decode(value, type=StoredCatalogue), message.timestamp()[1])
            for message in read_to_end(self._connection, [self._topic])
            if (value := message.value()) is not None
        ]
