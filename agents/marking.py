"""Marks and commands for the customer log, from outside: all of them in one transaction, or none.

Every writer has the same transactional id, so a new one ends whatever one before it left unfinished, and one that is
overtaken on the way can't write any more. The log's readers wait for an open transaction, so Kafka may give up one that
was killed after ten seconds.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.errors import TidingsError
from schemas.instants import Millis
from schemas.log import APPENDED, Mark, encode_mark, pack_number
from schemas.topics import CUSTOMER_LOG
from streams.connection import Connection, confluent_settings
from streams.topics import partition_counts

APPLY_ID: Final = "tidings-apply"
LARGEST_BYTES: Final = 8 * 1024 * 1024
"""Of a record; what the topics take."""
_PATIENCE_S: Final = 30.0
_ABORT_S: Final = 5.0
_GIVEN_UP_AFTER_MS: Final = 10_000
_SILENT: Final = logging.getLogger("tidings.agents.marking")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
# librdkafka's own codes begin with an underscore; a fenced producer is told so once, and is then fatally wrong.
_FENCED: Final = {
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError._FATAL,  # noqa: SLF001
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
}


class LogWriter:
    """What one transaction writes."""

    def __init__(self, producer: Producer, prefix: str, partitions: int) -> None:
        self._producer = producer
        self._prefix = prefix
        self.partitions = partitions

    def mark_all(self, mark: Mark, at: Millis, appended: Millis | None = None) -> None:
        """Put a mark into every partition of the customer log; `appended` is the clock, but in a log with its own."""
        for partition in range(self.partitions):
            self.mark(mark, at, appended, partition)

    def mark(self, mark: Mark, at: Millis, appended: Millis | None, partition: int) -> None:
        """Put a mark into one partition of the customer log."""
        headers: list[tuple[str, str | bytes | None]] = []
        if appended is not None:
            headers.append((APPENDED, pack_number(appended)))
        self._producer.produce(
            self._prefix + CUSTOMER_LOG, value=encode_mark(mark), partition=partition, timestamp=at, headers=headers
        )

    def put(self, topic: str, value: bytes, at: Millis, *, key: bytes) -> None:
        """Write a record to another topic."""
        self._producer.produce(self._prefix + topic, key=key, value=value, timestamp=at)


@contextmanager
def log_writer(connection: Connection, prefix: str) -> Iterator[LogWriter]:
    """Begin the one transaction; it is committed when the block ends, and nothing is written if the block raises.

    Raises:
        TidingsError: Kafka refused or can't be reached, or another writer went ahead.
    """
    log = prefix + CUSTOMER_LOG
    with only_producer(connection, prefix + APPLY_ID) as producer:
        partitions = partition_counts(connection, [log]).get(log)
        if partitions is None:
            msg = f"there is no topic {log}; start `tidings worker` or `tidings ingest` once, which make the topics"
            raise TidingsError(msg)
        with one_transaction(producer):
            yield LogWriter(producer, prefix, partitions)


@contextmanager
def only_producer(connection: Connection, transactional_id: str) -> Iterator[Producer]:
    """Yield a producer that fences out all before it of this id: what they began has ended, well or not.

    Raises:
        TidingsError: Kafka refused or can't be reached, or a later one has fenced this one out.
    """
    settings = {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": _GIVEN_UP_AFTER_MS,
        "acks": "all",
        "message.max.bytes": LARGEST_BYTES,
        "log_level": 0,
    }
    try:
        producer = Producer(confluent_settings(connection) | settings, logger=_SILENT)
        producer.init_transactions(_PATIENCE_S)
        yield producer
    except KafkaException as error:
        raise TidingsError(_in_words(error.args[0])) from None


@contextmanager
def one_transaction(producer: Producer) -> Iterator[None]:
    """Commit what the block writes, all of it; nothing of it if the block raises."""
    committed = False
    try:
        producer.begin_transaction()
        yield
        producer.commit_transaction(_PATIENCE_S)
        committed = True
    finally:
        if not committed:
            _abort(producer)


def _abort(producer: Producer) -> None:
    """Give up what was begun, so that the log's readers needn't wait for it."""
    with suppress(KafkaException):
        producer.abort_transaction(_ABORT_S)


def _in_words(error: KafkaError) -> str:
    if error.code() in _FENCED:
        return "another `tidings` command wrote at the same time; see what it changed, and do it again"
    if error.code() == KafkaError._TIMED_OUT:  # noqa: SLF001 -- likewise
        return "Kafka doesn't answer; it isn't known whether it was written: do it again, twice is the same as once"
    return f"it couldn't be written: {error.str()}; nothing was changed, so try again"
