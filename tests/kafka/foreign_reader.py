"""A stranger: reads what came out with nothing but confluent-kafka, and writes it as `simulate` writes its records.

It imports nothing of Tidings and knows only what README and ARCHITECTURE tell any consumer: the names of the
topics, JSON or Avro values, and the headers `sequence` (8 bytes) and `position` (4 bytes), both big-endian.

    python foreign_reader.py BOOTSTRAP PREFIX [REGISTRY]

With the URL of a registry, Avro is read by confluent-kafka's own client; without, by fastavro and the topic `_schemas`.
"""

import json
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

SENDS = ("email-sends", "sms-sends", "push-sends", "social-sends")
OTHERS = ("decisions", "webhook-calls", "dead-letters")


Decode = Callable[[bytes], dict[str, Any]]


def main(bootstrap: str, prefix: str, registry: str = "") -> None:
    """Print every committed record: sends and decisions as often as they are there, a line's dead letter once."""
    found, letters = [], {}
    decode_avro = confluents(registry) if registry else by_topic(bootstrap)
    decode: Decode = lambda value: decode_avro(value) if value[:1] == b"\0" else json.loads(value)  # noqa: E731
    for message in messages(bootstrap, [prefix + name for name in (*SENDS, *OTHERS)]):
        headers = {name: value for name, value in dict(message.headers() or []).items() if isinstance(value, bytes)}
        at, sequence = message.timestamp()[1], headers.get("sequence")
        key, value = (message.key() or b"").decode(), message.value() or b""
        # A timer's records come before those of events, in the order of the customers' keys in the log.
        cause = (True, int.from_bytes(sequence, "big"), b"") if sequence else (False, 0, log_key(key))
        order = (at, *cause, int.from_bytes(headers.get("position", b""), "big"))
        match (message.topic() or "").removeprefix(prefix):
            case "dead-letters":
                words = {name: headers[name].decode() for name in ("error_class", "reason")}
                letters[order] = {"record": "dead_letter", "line": cause[1], **words}
            case "decisions":
                found.append((order, {"record": "decision", **decode(value)}))
            case "webhook-calls":
                call = {"record": "webhook_call", **decode(value)}
                assert (call["call_id"].encode(), call["customer_id"]) == (headers["call_id"], key)
                found.append((order, call))
            case topic:
                send = {"record": "send", **decode(value)}
                assert (send["send_id"].encode(), send["customer_id"]) == (headers["send_id"], key)
                assert topic == f"{send['channel']}-sends"
                found.append((order, send))
    for _, record in sorted([*found, *letters.items()], key=lambda pair: pair[0]):
        print(json.dumps(record))  # noqa: T201 -- it is a program


def confluents(registry: str) -> Decode:
    """Read Avro as any user of confluent-kafka does."""
    from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415 -- needs an environment of its own
    from confluent_kafka.schema_registry.avro import AvroDeserializer  # noqa: PLC0415
    from confluent_kafka.serialization import MessageField, SerializationContext  # noqa: PLC0415

    deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    return lambda value: as_json(deserialize(value, SerializationContext("any", MessageField.VALUE)))


def by_topic(bootstrap: str) -> Decode:
    """Read Avro with the schemas that lie in `_schemas`; they are read once one is needed."""
    import fastavro  # noqa: PLC0415

    schemas: dict[int, object] = {}

    def decode(value: bytes) -> dict[str, Any]:
        if not schemas:
            for message in messages(bootstrap, ["_schemas"]):
                if b'"SCHEMA"' in (message.key() or b"") and message.value():
                    stored = json.loads(message.value() or b"")
                    schemas[stored["id"]] = fastavro.parse_schema(json.loads(stored["schema"]))
        schema = schemas[int.from_bytes(value[1:5], "big")]
        return as_json(fastavro.schemaless_reader(BytesIO(value[5:]), schema, None))  # type: ignore[arg-type]

    return decode


def as_json(record: object) -> dict[str, Any]:
    """Write what Avro has as instants and as JSON text the way the topics' JSON has it."""
    assert isinstance(record, dict)
    for name, value in record.items():
        if hasattr(value, "isoformat"):
            record[name] = value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        elif name in {"variants", "detail", "payload"} and isinstance(value, str):
            record[name] = json.loads(value)
    return record


def log_key(key: str) -> bytes:
    """Return a customer's key in the customer log: visitors have their mark, customers get theirs."""
    return (key if key.startswith("a:") else f"c:{key}").encode()


def messages(bootstrap: str, topics: list[str]) -> Iterator[Message]:
    """Yield every committed message that the topics hold."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "stranger",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    known = consumer.list_topics(timeout=30).topics
    left = {(topic, partition) for topic in topics for partition in known[topic].partitions}
    consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in left])
    while left:
        for message in consumer.consume(5_000, timeout=0.2):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard((message.topic(), message.partition()))
            else:
                sys.exit(error.str())
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
