"""Schemas without a registry: read from and written to `_schemas`, the topic a registry would keep them in.

Keys and values are those of Confluent's registry (`SchemaRegistryKey`, `SchemaValue`), so that a registry
put in front of the topic later finds everything under its number. Records of other kinds are passed over.

The number of a new schema is one more than the greatest there is, so registering is reading to the end and then
writing, with nobody between. A transactional id that all share sees to that: who begins later fences who is still
at it, whose record then doesn't become visible.
"""

import threading
from contextlib import suppress
from typing import Final

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from msgspec import Struct

from schemas.topics import SCHEMAS
from streams.connection import Connection, confluent_settings
from streams.registry import SchemasUnreachable

MAX_SCHEMAS: Final = 20_000
_ATTEMPTS: Final = 10
_TRANSACTIONAL_ID: Final = "tidings-schemas"


class _Key(Struct, frozen=True, kw_only=True):
    keytype: str
    subject: str
    version: int
    magic: int = 1


class _Value(Struct, frozen=True, kw_only=True):
    subject: str
    version: int
    id: int
    schema: str
    deleted: bool = False


class _Stored(_Value, frozen=True, kw_only=True):
    schema_type: str | None = msgspec.field(default=None, name="schemaType")


_key_decoder: Final = msgspec.json.Decoder(_Key)
_value_decoder: Final = msgspec.json.Decoder(_Stored)
_encode: Final = msgspec.json.Encoder().encode


class _TopicMissing(SchemasUnreachable):
    """The broker answers, and has no such topic."""


class TopicSchemas:
    """The schemas in `_schemas`, which has to exist (`schemas.topics.schemas_topic`). Any thread may ask."""

    def __init__(self, connection: Connection, answer_s: float = 15.0, topic: str = SCHEMAS) -> None:
        """Connect when first asked; what takes the broker longer than `answer_s` counts as no answer."""
        self._topic = topic
        self._settings = confluent_settings(connection) | {"log_level": 0}
        self._answer_s = answer_s
        self._lock = threading.Lock()
        self._consumer: Consumer | None = None
        self._read_to = OFFSET_BEGINNING
        self._stored: dict[tuple[str, int], _Stored] = {}
        self._by_id: dict[int, bytes] = {}
        self._greatest_id = 0

    def schema(self, schema_id: int) -> bytes | None:
        """Return the schema with a number, reading what was added; None where there is none, or one that isn't Avro.

        Raises:
            SchemasUnreachable: the broker doesn't answer.
        """
        with self._lock:
            if schema_id not in self._by_id:
                # Without the topic nobody has ever registered anything, so a record's number is nonsense.
                with suppress(_TopicMissing):
                    self._read_to_end()
            return self._by_id.get(schema_id)

    def register(self, subject: str, schema: bytes) -> int:
        """Return the number of a schema under a subject; if it has none, write it.

        The same text has the same number under every subject. Compatibility isn't checked.

        Raises:
            SchemasUnreachable: the broker doesn't answer, the topic is missing, or others registered all the while.
        """
        text = schema.decode()
        with self._lock:
            for _ in range(_ATTEMPTS):
                self._read_to_end()
                if (found := self._id_of(subject, text)) is not None:
                    return found
                try:
                    return self._write(subject, text)
                except KafkaException as error:
                    if not _was_fenced(error.args[0]):
                        msg = f"the schema of {subject} couldn't be written to {self._topic}: {error.args[0].str()}"
                        raise SchemasUnreachable(msg) from error
        msg = f"the schema of {subject} couldn't be written to {self._topic}: others write there all the time"
        raise SchemasUnreachable(msg)

    def close(self) -> None:
        """Close the connection; another question opens it again."""
        with self._lock:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None

    def _id_of(self, subject: str, text: str) -> int | None:
        for stored in self._stored.values():
            if stored.subject == subject and stored.schema == text and not stored.deleted:
                return stored.id
        return None

    def _write(self, subject: str, text: str) -> int:
        """Write a schema in a transaction that only commits if nobody has registered since it began."""
        producer = Producer(self._settings | {"transactional.id": _TRANSACTIONAL_ID, "transaction.timeout.ms": 10_000})
        producer.init_transactions(self._answer_s)
        # From here on nobody else commits; what others committed before is read now.
        self._read_to_end()
        if (found := self._id_of(subject, text)) is not None:
            return found
        schema_id = next((each.id for each in self._stored.values() if each.schema == text), self._greatest_id + 1)
        version = 1 + max((version for name, version in self._stored if name == subject), default=0)
        producer.begin_transaction()
        producer.produce(
            self._topic,
            partition=0,
            key=_encode(_Key(keytype="SCHEMA", subject=subject, version=version)),
            value=_encode(_Value(subject=subject, version=version, id=schema_id, schema=text)),
        )
        producer.commit_transaction(self._answer_s)
        return schema_id

    def _read_to_end(self) -> None:
        """Take in what was committed since the last time.

        Raises:
            _TopicMissing: the topic doesn't exist.
            SchemasUnreachable: the broker doesn't answer in time.
        """
        try:
            self._read_between(self._connected())
        except KafkaException as error:
            if _is_missing(error.args[0]):
                msg = f"the topic {self._topic} doesn't exist: create it with one partition and cleanup.policy=compact"
                raise _TopicMissing(msg) from error
            msg = f"{self._topic} can't be read: {error.args[0].str()}"
            raise SchemasUnreachable(msg) from error

    def _read_between(self, consumer: Consumer) -> None:
        partition = TopicPartition(self._topic, 0, self._read_to)
        _, end = consumer.get_watermark_offsets(partition, timeout=self._answer_s, cached=False)
        if end in {0, self._read_to}:
            return
        # Assigned anew each time, because the end of a partition is told once per assignment; and the end must be
        # told, because the last offset may be a transaction's mark, which no reader sees.
        consumer.assign([partition])
        try:
            while not self._is_at_end(consumer.poll(self._answer_s)):
                pass
        finally:
            consumer.unassign()

    def _is_at_end(self, message: Message | None) -> bool:
        if message is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        error = message.error()
        if error is None:
            self._take(message)
            return False
        if error.code() == KafkaError._PARTITION_EOF:
            self._read_to = message.offset() or 0
            return True
        raise KafkaException(error)

    def _connected(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(
                self._settings
                | {
                    "group.id": "tidings-schemas",
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "earliest",
                    # Between two questions nobody polls, for days.
                    "max.poll.interval.ms": 86_400_000,
                }
            )
        return self._consumer

    def _take(self, message: Message) -> None:
        try:
            key = _key_decoder.decode(message.key() or b"")
            value = message.value()
            stored = None if value is None else _value_decoder.decode(value)
        except msgspec.MsgspecError:
            return
        if key.keytype != "SCHEMA":
            return
        if stored is None:
            self._stored.pop((key.subject, key.version), None)
            return
        if len(self._stored) >= MAX_SCHEMAS:
            msg = f"{self._topic} holds more than {MAX_SCHEMAS} schemas: something registers a new one for every record"
            raise SchemasUnreachable(msg)
        self._stored[key.subject, key.version] = stored
        self._greatest_id = max(self._greatest_id, stored.id)
        if stored.schema_type in {None, "AVRO"}:
            # A deleted schema keeps its number: records that were written with it are still there.
            self._by_id.setdefault(stored.id, stored.schema.encode())


def _was_fenced(error: KafkaError) -> bool:
    return bool(error.fatal()) or error.code() in {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH}


def _is_missing(error: KafkaError) -> bool:
    return error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION}
