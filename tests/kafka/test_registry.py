"""Schemas by number: the same answers from the topic, and from a registry in front of it."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Consumer, Producer

from schemas.errors import TidingsError
from schemas.topics import SCHEMAS, schemas_topic
from schemas.wire import DECISION_SCHEMA, EVENT_SCHEMA
from streams.connection import Connection, confluent_settings
from streams.registry import MAX_KNOWN, UNKNOWN_FOR_MS, RememberedSchemas, SchemaRefused, SchemasUnreachable
from streams.registry_http import RegistrySchemas
from streams.registry_topic import TopicSchemas
from streams.topics import ensure_topics
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.rest_registry import served_registry

NOBODY = 2_000_000_000


@pytest.fixture
def connection(kafka: KafkaUnderTest) -> Connection:
    """Return the way to a Kafka that has the topic of schemas."""
    connection = Connection(bootstrap_servers=kafka.bootstrap_servers)
    ensure_topics(connection, [schemas_topic()])
    return connection


# The topic ----------------------------------------------------------------------------------------------------


def test_a_registered_schema_is_found_by_everybody(connection: Connection, prefix: str) -> None:
    """A schema keeps its number under every subject and in every process, and another schema gets another."""
    one, other = TopicSchemas(connection), TopicSchemas(connection)
    number = one.register(f"{prefix}events-value", EVENT_SCHEMA)
    assert other.register(f"{prefix}events-value", EVENT_SCHEMA) == number
    assert other.register(f"{prefix}more-events-value", EVENT_SCHEMA) == number
    different = one.register(f"{prefix}events-value", DECISION_SCHEMA)
    assert different != number
    assert other.schema(different) == DECISION_SCHEMA
    assert other.schema(number) == EVENT_SCHEMA
    assert other.schema(NOBODY) is None
    one.close()
    other.close()


def test_those_who_register_at_once_get_different_numbers(connection: Connection, prefix: str) -> None:
    """No number is given twice and no version overwritten, however many register at the same time."""
    texts = [_record(f"{prefix}{n}") for n in range(6)]

    def register(text: bytes) -> int:
        source = TopicSchemas(connection)
        for _ in range(20):
            try:
                return source.register(f"{prefix}busy-value", text)
            except SchemasUnreachable:
                continue
            finally:
                source.close()
        raise AssertionError("never registered")

    with ThreadPoolExecutor(len(texts)) as threads:
        numbers = list(threads.map(register, texts))
    reader = TopicSchemas(connection)
    assert [reader.schema(number) for number in numbers] == texts
    versions = {key["version"] for key, _ in _records(connection) if key["subject"] == f"{prefix}busy-value"}
    assert versions == set(range(1, len(texts) + 1))
    reader.close()


def test_records_are_those_of_aserved_registry(connection: Connection, prefix: str) -> None:
    """Key and value are Confluent's, field by field."""
    source = TopicSchemas(connection)
    number = source.register(f"{prefix}value", EVENT_SCHEMA)
    key, value = next((key, value) for key, value in _records(connection) if key["subject"] == f"{prefix}value")
    assert list(key.items()) == [("keytype", "SCHEMA"), ("subject", f"{prefix}value"), ("version", 1), ("magic", 1)]
    assert value == {
        "subject": f"{prefix}value",
        "version": 1,
        "id": number,
        "schema": EVENT_SCHEMA.decode(),
        "deleted": False,
    }
    source.close()


def test_what_a_registry_wrote_is_read(connection: Connection, prefix: str) -> None:
    """Schemas of a registry are found, deleted ones too; other records and other kinds of schema are passed over."""
    source = TopicSchemas(connection)
    ahead = source.register(f"{prefix}value", _record(prefix)) + 1_000
    deleted = {"id": ahead, "schema": "text of it", "deleted": True, "guid": "c0ffee", "ts": 1}
    protobuf = {"id": ahead + 1, "schema": "message X {}", "schemaType": "PROTOBUF"}
    producer = Producer(confluent_settings(connection))
    for subject, value in ((prefix + "deleted", deleted), (prefix + "protobuf", protobuf)):
        key = {"keytype": "SCHEMA", "subject": subject, "version": 7, "magic": 1}
        producer.produce(SCHEMAS, json.dumps(value | {"subject": subject, "version": 7}), json.dumps(key))
    producer.produce(SCHEMAS, b"", json.dumps({"keytype": "NOOP", "magic": 0}))
    producer.produce(SCHEMAS, b"{", b"not JSON")
    assert producer.flush(30) == 0
    assert source.schema(ahead) == b"text of it"
    assert source.schema(ahead + 1) is None
    assert source.register(f"{prefix}next-value", _record(f"{prefix}next")) > ahead + 1
    source.close()


def test_without_the_topic_every_number_is_unknown(connection: Connection, prefix: str) -> None:
    """A record that names a schema where nobody keeps any is a dead letter, and who registers is told what to do."""
    source = TopicSchemas(connection, topic=f"{prefix}schemas")
    assert source.schema(1) is None
    with pytest.raises(SchemasUnreachable, match="create it with one partition"):
        source.register("value", EVENT_SCHEMA)
    source.close()


def test_a_broker_that_is_away_is_no_unknown_schema() -> None:
    """Who can't ask must not say that nobody knows the schema: the event would become a dead letter."""
    source = TopicSchemas(Connection(bootstrap_servers="127.0.0.1:1"), answer_s=0.5)
    with pytest.raises(SchemasUnreachable, match="_schemas can't be read"):
        source.schema(1)
    source.close()


# A registry ---------------------------------------------------------------------------------------------------


def test_a_registry_gives_the_same_answers(connection: Connection, prefix: str) -> None:
    """Through its REST interface a schema has the number and the text that it has in the topic."""
    behind = TopicSchemas(connection)
    with served_registry(behind) as url:
        source = RegistrySchemas(url)
        number = source.register(f"{prefix}a/b value", EVENT_SCHEMA)
        assert behind.register(f"{prefix}a/b value", EVENT_SCHEMA) == number
        assert source.schema(number) == EVENT_SCHEMA
        assert source.schema(NOBODY) is None
        with pytest.raises(SchemaRefused, match="not Avro"):
            source.register(f"{prefix}value", b"not Avro")
        source.close()
    behind.close()


@pytest.mark.parametrize("path", ["/proxy", "/html", "/down"])
def test_only_the_registrys_own_word_counts(path: str) -> None:
    """A proxy's 404, a page of HTML and a registry in trouble don't make a schema unknown."""
    with served_registry(None) as url:
        source = RegistrySchemas(url.replace("//", "//user:secret@") + path)
        with pytest.raises(SchemasUnreachable) as raised:
            source.schema(1)
        assert "secret" not in str(raised.value)
        source.close()


@pytest.mark.parametrize("number", [0, 2**31, 2**32 - 1])
def test_a_number_that_no_registry_gives_is_unknown_without_asking(number: int) -> None:
    """A producer's nonsense must not look like a registry in trouble, on which everybody waits."""
    source = RegistrySchemas("http://127.0.0.1:1")
    assert source.schema(number) is None
    source.close()


def test_a_registry_that_is_away_is_no_unknown_schema() -> None:
    """A refused connection is an error that says which registry, without its password."""
    source = RegistrySchemas("http://user:secret@127.0.0.1:1")
    with pytest.raises(SchemasUnreachable, match=r"http://127\.0\.0\.1:1 doesn't answer"):
        source.schema(1)
    source.close()


@pytest.mark.parametrize("url", ["", "registry:8081", "ftp://registry", "http://", "http://[::1"])
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    """The mistake is told before anything is asked."""
    with pytest.raises(TidingsError, match="SCHEMA_REGISTRY_URL"):
        RegistrySchemas(url)


# Memory -------------------------------------------------------------------------------------------------------


class _Counting:
    """A source that says every schema it is told to, and counts the questions."""

    def __init__(self) -> None:
        self.schemas: dict[int, bytes] = {}
        self.asked: list[int] = []

    def schema(self, schema_id: int) -> bytes | None:
        self.asked.append(schema_id)
        return self.schemas.get(schema_id)

    def register(self, subject: str, schema: bytes) -> int:
        self.schemas[len(subject)] = schema
        return len(subject)

    def close(self) -> None:
        self.schemas.clear()


def test_a_known_schema_is_asked_for_once_and_an_unknown_one_again_after_a_while() -> None:
    """What is known stays known; that a number is unknown is believed for a bounded time only."""
    now = [1_000_000]
    source = _Counting()
    remembered = RememberedSchemas(source, lambda: now[0])
    assert remembered.schema(1) is None
    source.schemas[1] = b"one"
    now[0] += UNKNOWN_FOR_MS - 1
    assert remembered.schema(1) is None
    now[0] += 1
    assert remembered.known(1) is None
    assert [remembered.schema(1), remembered.schema(1), remembered.known(1)] == [b"one"] * 3
    assert source.asked == [1, 1]


def test_a_clock_set_back_forgets_what_was_unknown() -> None:
    """A number must not stay unknown for years because the clock was wrong for a moment."""
    now = [1_000_000_000]
    source = _Counting()
    remembered = RememberedSchemas(source, lambda: now[0])
    assert remembered.schema(1) is None
    source.schemas[1] = b"one"
    now[0] = 5
    assert remembered.schema(1) == b"one"


def test_registering_ends_that_a_number_is_unknown() -> None:
    """Who registers a schema finds it at once."""
    remembered = RememberedSchemas(_Counting(), lambda: 0)
    assert remembered.schema(3) is None
    assert remembered.register("abc", b"text") == 3
    assert remembered.schema(3) == b"text"


def test_memory_is_bounded() -> None:
    """Those used last are remembered, and no more than `MAX_KNOWN`."""
    source = _Counting()
    source.schemas = {number: b"%d" % number for number in range(MAX_KNOWN + 1)}
    remembered = RememberedSchemas(source, lambda: 0)
    for number in [*range(MAX_KNOWN), 0, MAX_KNOWN]:
        assert remembered.schema(number) == b"%d" % number
    assert [remembered.known(number) is None for number in (0, 1, 2, MAX_KNOWN)] == [False, True, False, False]


# What the tests need ------------------------------------------------------------------------------------------


def _record(name: str) -> bytes:
    fields = [{"name": "a", "type": "string", "doc": name}]
    return json.dumps({"type": "record", "name": "Some", "fields": fields}).encode()


def _records(connection: Connection) -> list[tuple[dict[str, object], dict[str, object]]]:
    """Read the schemas of the topic with a program that isn't ours."""
    settings = {"group.id": "nobody", "auto.offset.reset": "earliest", "enable.partition.eof": True}
    consumer = Consumer(confluent_settings(connection) | settings)
    consumer.subscribe([SCHEMAS])
    found = []
    while (message := consumer.poll(30)) is not None and message.error() is None:
        if b'"SCHEMA"' in (message.key() or b""):
            found.append((json.loads(message.key() or b""), json.loads(message.value() or b"")))
    consumer.close()
    return found
