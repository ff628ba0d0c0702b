"""A stranger who publishes Avro with Confluent's own client, under a schema of his own that the registry numbers.

    python foreign_writer.py BOOTSTRAP REGISTRY <lines

Each line is JSON: `topic`, `at` (epoch milliseconds), `number` (of the line in the file), `event`.
"""

import json
import sys
from datetime import datetime

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

ANY = ["null", "boolean", "long", "double", "string"]
MAP = {"type": "map", "values": [*ANY, {"type": "map", "values": [*ANY, {"type": "array", "items": "string"}]}]}
SCHEMA = {
    "type": "record",
    "name": "ShopEvent",
    "namespace": "example.shop",
    "fields": [
        {"name": "event_id", "type": "string"},
        {"name": "type", "type": "string"},
        {"name": "customer_id", "type": ["null", "string"], "default": None},
        {"name": "anonymous_id", "type": ["null", "string"], "default": None},
        {"name": "occurred_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "source", "type": ["null", "string"], "default": None},
        {"name": "session_id", "type": ["null", "string"], "default": None},
        {"name": "properties", "type": MAP, "default": {}},
        {"name": "shop", "type": "string", "default": "garden", "doc": "Nobody else knows this."},
    ],
}


def main(bootstrap: str, registry: str) -> None:
    """Publish the events of standard input, in order."""
    serialize = AvroSerializer(SchemaRegistryClient({"url": registry}), json.dumps(SCHEMA))
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0})
    for line in sys.stdin:
        told = json.loads(line)
        event = {
            name: value for name, value in told["event"].items() if name not in {"topic", "received_at", "context"}
        }
        event["occurred_at"] = datetime.fromisoformat(event["occurred_at"])
        value = serialize(event, SerializationContext(told["topic"], MessageField.VALUE))
        sequence = told["number"].to_bytes(8, "big")
        producer.produce(told["topic"], value=value, timestamp=told["at"], headers={"sequence": sequence})
        producer.poll(0)
    if producer.flush(60):
        sys.exit("not everything was delivered")


if __name__ == "__main__":
    main(*sys.argv[1:])
