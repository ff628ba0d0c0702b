"""`tidings publish`: one event, or some, onto the public topics, as any producer would put them there."""

import sys
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
import typer
from confluent_kafka import KafkaError, Message, Producer

from schemas.errors import TidingsError
from schemas.events import STREAM_OF_TOPIC, Event, InvalidEvent, check_envelope, read_envelope, stream_of
from schemas.instants import format_instant
from streams.connection import Connection, confluent_settings
from streams.topics import partition_counts
from tidings.clock import fresh_bytes, wall_ms
from tidings.commands.processes import reached
from tidings.settings import process_environment, read_settings

EventArgument = Annotated[
    str,
    typer.Argument(
        metavar="EVENT", help="The event as JSON; `-` reads one a line from standard input.", show_default=False
    ),
]
_TOPIC_OF_STREAM: Final = {stream: topic for topic, stream in STREAM_OF_TOPIC.items()}
_PATIENCE_S: Final = 30.0


def publish(event: EventArgument) -> None:
    """Publish an event, as a shop or an app would, and say under which id.

    An event without an id gets one, an event without a time happened now. Everything is checked before anything is
    published. For example:

    tidings publish '{"customer_id": "ada", "type": "signup"}'

    tidings publish - < events.ndjson
    """
    settings = read_settings(process_environment())
    lines = (line for line in sys.stdin if line.strip()) if event == "-" else iter([event])
    events = list(_checked(lines))
    connection, prefix = reached(settings), settings.topic_prefix
    topics = {prefix + topic for topic in _TOPIC_OF_STREAM.values()}
    if missing := topics - partition_counts(connection, topics).keys():
        msg = f"there is no topic {min(missing)}; `tidings up` or `tidings ingest` makes the topics"
        raise TidingsError(msg)
    _produce(connection, prefix, events)
    if len(events) == 1:
        [(one, _)] = events
        typer.echo(f"Published {one.event_id} ({one.type}) to {prefix}{_TOPIC_OF_STREAM[one.stream]}.")
    else:
        typer.echo(f"Published {len(events):,} events.")


def _checked(lines: Iterator[str]) -> Iterator[tuple[Event, bytes]]:
    """Yield each event with the JSON to be published.

    Raises:
        TidingsError: one of them is no event.
    """
    for number, line in enumerate(lines, start=1):
        try:
            written = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeError) as error:
            msg = f"event {number} is no JSON: {error}"
            raise TidingsError(msg) from None
        if not isinstance(written, dict):
            msg = f"event {number} is no JSON object"
            raise TidingsError(msg)
        now = format_instant(wall_ms())
        whole = msgspec.json.encode({"event_id": f"cli-{fresh_bytes(8).hex()}", "occurred_at": now, **written})
        try:
            envelope = read_envelope(whole)
            yield check_envelope(envelope, stream_of(envelope)), whole
        except InvalidEvent as problem:
            msg = f"event {number} is none: {problem.reason}"
            raise TidingsError(msg) from None


def _produce(connection: Connection, prefix: str, events: list[tuple[Event, bytes]]) -> None:
    failures: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer(
        confluent_settings(connection)
        | {
            "enable.idempotence": True,
            "message.timeout.ms": int(_PATIENCE_S * 1000),
            "queue.buffering.max.messages": 0,
            "message.max.bytes": 4 * 1024 * 1024,
            "log_level": 2,
        }
    )
    for event, whole in events:
        key = (event.customer_id or event.anonymous_id or "").encode()
        producer.produce(prefix + _TOPIC_OF_STREAM[event.stream], value=whole, key=key, on_delivery=delivered)
        producer.poll(0)
    left = producer.flush(_PATIENCE_S)
    if failures or left:
        reason = failures[0].str() if failures else "Kafka doesn't answer"
        msg = f"{left + len(failures)} of {len(events)} events couldn't be published: {reason}"
        raise TidingsError(msg)
