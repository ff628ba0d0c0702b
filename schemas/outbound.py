"""Outbound records in one of two formats: JSON, or Avro under a schema that is registered for the topic.

Which one is a setting of the program; whoever decides gets a function from an effect to bytes and doesn't know. The
numbers of the schemas are asked for before anything is decided and hold for the life of a process, so no effect ever
waits for a registry. Read back, a record is the same JSON from either format, byte for byte.
"""

from collections.abc import Callable, Mapping
from typing import Final, assert_never

from schemas.decisions import Decision, Effect, Send, WebhookCall, encode_effect
from schemas.topics import DECISIONS, SEND_TOPIC_OF_CHANNEL, SEND_TOPICS, WEBHOOK_CALLS
from schemas.wire import (
    DECISION_SCHEMA,
    SEND_SCHEMA,
    WEBHOOK_CALL_SCHEMA,
    SchemaOf,
    decode_decision,
    decode_send,
    decode_webhook_call,
    encode_decision,
    encode_send,
    encode_webhook_call,
    schema_id,
)

OUTBOUND_SCHEMAS: Final[Mapping[str, bytes]] = {
    **dict.fromkeys(SEND_TOPICS, SEND_SCHEMA),
    DECISIONS: DECISION_SCHEMA,
    WEBHOOK_CALLS: WEBHOOK_CALL_SCHEMA,
}
"""By topic, without prefix, the schema under which its records are written."""

EncodeEffect = Callable[[Effect], bytes]
"""Returns the bytes of a record on an outbound topic."""


def avro_encoder(numbers: Mapping[str, int]) -> EncodeEffect:
    """Return how effects are written as Avro.

    Args:
        numbers: by topic, without prefix, the number under which its schema is registered; all of `OUTBOUND_SCHEMAS`.
    """
    sends = {channel: numbers[topic] for channel, topic in SEND_TOPIC_OF_CHANNEL.items()}
    decisions, calls = numbers[DECISIONS], numbers[WEBHOOK_CALLS]

    def encode(effect: Effect) -> bytes:
        match effect:
            case Decision():
                return encode_decision(effect, decisions)
            case Send():
                return encode_send(effect, sends[effect.channel])
            case WebhookCall():
                return encode_webhook_call(effect, calls)
        assert_never(effect)

    return encode


def outbound_json(topic: str, value: bytes, schema_of: SchemaOf) -> bytes:
    """Return a record of an outbound topic as JSON, whichever format it was written in.

    Args:
        topic: its name without prefix.
        value: the record's value.
        schema_of: where schemas of Avro records are found.

    Raises:
        UnreadableRecord: it is Avro, and none of ours.
    """
    if schema_id(value) is None:
        return value
    if topic == DECISIONS:
        return encode_effect(decode_decision(value, schema_of))
    if topic == WEBHOOK_CALLS:
        return encode_effect(decode_webhook_call(value, schema_of))
    return encode_effect(decode_send(value, schema_of))
