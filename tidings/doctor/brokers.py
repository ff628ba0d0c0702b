"""Kafka: whether it answers, what it speaks, the topics, transactions, its clock, and the definitions in force."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError as WireError
from confluent_kafka import KafkaError, KafkaException, Message

from agents.catalogues import StoredVersion, latest_version
from agents.marking import one_transaction, only_producer
from journeys.documents import id_of, kind_of
from journeys.validation import definitions_from_documents
from schemas.errors import TidingsError
from schemas.instants import Millis, format_instant
from schemas.log import Clock
from schemas.topics import CUSTOMER_LOG, DEFINITIONS, WATERMARKS
from streams.connection import Connection, aiokafka_settings
from streams.horizon import CLOCK_KEY, MOST_APART_MS, apart_ms
from streams.topics import partition_counts, topic_differences
from tidings.doctor.findings import Finding, doubtful, well, wrong
from tidings.processes import wanted_topics
from tidings.services.reach import require_kafka

TRANSACTIONAL_ID: Final = "tidings-doctor"
_TRIED_WITH: Final = "4.4"
# Calls that came with a version (Kafka's `ApiKeys`), newest first.
_SINCE: Final = ((78, "4.0"), (75, "3.8"), (68, "3.7"), (61, "3.1"))
_OLDEST: Final = "3.7"
_NOTICEABLE_MS: Final = 500
_MADE_BY: Final = "`tidings worker`, `ingest` or `apply` makes them"


def check_kafka(
    connection: Connection, prefix: str, partitions: int, clock: Clock, now: Callable[[], Millis]
) -> list[Finding]:
    """Look at Kafka; where it doesn't answer nothing else of it is asked.

    Args:
        connection: how to reach it.
        prefix: of the topics.
        partitions: of the customer log, where it isn't there yet.
        clock: of the log.
        now: ours.
    """
    try:
        cluster = require_kafka(connection)
    except TidingsError as error:
        return [
            wrong(
                "kafka", str(error).split("\n")[0], "start it (`tidings kafka start`), or see KAFKA_BOOTSTRAP_SERVERS"
            )
        ]
    findings = [well("kafka", f"answers at {connection.bootstrap_servers}, cluster {cluster}"), _version(connection)]
    checks: dict[str, Callable[[], list[Finding]]] = {
        "topics": lambda: _topics(connection, prefix, partitions, clock),
        "transactions": lambda: _transactions(connection, prefix, now),
        "definitions": lambda: [_definitions(connection, prefix)],
    }
    for about, check in checks.items():
        try:
            findings += check()
        except KafkaException as error:
            findings.append(
                wrong(about, f"Kafka refuses: {error.args[0].str()}", "see the rights of the user, and Kafka's log")
            )
        except TidingsError as error:
            findings.append(wrong(about, str(error).split("\n")[0], "see Kafka's log, and try again"))
    return findings


def _version(connection: Connection) -> Finding:
    calls = asyncio.run(_calls(connection))
    if not calls:
        return doubtful("kafka version", "couldn't be asked", f"it is tried with {_TRIED_WITH}")
    since = next((version for key, version in _SINCE if key in calls), None)
    found = f"{since} or later, by what it speaks" if since else f"older than {_SINCE[-1][1]}, by what it speaks"
    if since is None or since < _OLDEST:
        return doubtful("kafka version", found, f"Tidings is tried with {_TRIED_WITH}: update Kafka")
    return well("kafka version", found)


async def _calls(reached: Connection) -> frozenset[int]:
    """Return the numbers of the calls that a broker answers."""
    make: Any = AIOKafkaClient
    client = make(**aiokafka_settings(reached))
    try:
        await client.bootstrap()
        for broker in client.cluster.brokers():
            # No client tells the versions otherwise; one broker that answers is enough.
            connection = await client._get_conn(broker.nodeId)  # noqa: SLF001
            if connection is not None:
                return frozenset(connection._versions)  # noqa: SLF001
    except (WireError, OSError):
        return frozenset()
    finally:
        await client.close()
    return frozenset()


def _topics(connection: Connection, prefix: str, partitions: int, clock: Clock) -> list[Finding]:
    wanted = wanted_topics(connection, prefix, partitions, clock)
    missing, differences = topic_differences(connection, wanted)
    if len(missing) == len(wanted) or prefix + CUSTOMER_LOG in missing:
        return [doubtful("topics", f"{prefix}… aren't there yet", _MADE_BY)]
    findings = [wrong("topics", *_split(difference)) for difference in differences]
    if missing:
        named = ", ".join(sorted(missing))
        findings.append(
            doubtful("topics", f"not there yet: {named}", "`tidings worker`, `ingest` or `apply` makes them")
        )
    count = partition_counts(connection, [prefix + CUSTOMER_LOG])[prefix + CUSTOMER_LOG]
    return findings or [well("topics", f"all {len(wanted)} of {prefix}… are as they have to be, {count} partitions")]


def _split(difference: str) -> tuple[str, str]:
    """Part what differs from what to do about it."""
    found, _, todo = difference.partition(";")
    return found, todo.strip() or "change it, or use another prefix"


def _transactions(connection: Connection, prefix: str, now: Callable[[], Millis]) -> list[Finding]:
    topic = prefix + WATERMARKS
    is_there = bool(partition_counts(connection, [topic]))
    apart: list[int] = []
    with only_producer(connection, prefix + TRANSACTIONAL_ID) as producer:
        if is_there:
            # The first record waits for its connection, which hides what is wrong with our clock.
            for _ in range(2):
                sent_at = now()

                def answered(error: KafkaError | None, message: Message, sent_at: Millis = sent_at) -> None:
                    if error is None:
                        apart.append(apart_ms(sent_at, message.timestamp()[1], now()))

                with one_transaction(producer):
                    producer.produce(topic, key=CLOCK_KEY, value=b"%d" % sent_at, on_delivery=answered)
                    producer.flush(10)
    found = "possible" if is_there else "possible (none was written: the topics aren't there yet)"
    return [well("transactions", found), clock_finding(apart[-1] if apart else None)]


def clock_finding(apart: int | None) -> Finding:
    """Say what a difference of the clocks means.

    Args:
        apart: by how many milliseconds ours is ahead of the broker's, negative where behind; None: not compared.
    """
    if apart is None:
        return doubtful("clock", "couldn't be compared with Kafka's", "look again once the topics are there")
    side = "ahead of" if apart > 0 else "behind"
    found, todo = f"{abs(apart):,} ms {side} Kafka's", "set both by NTP (chrony, systemd-timesyncd)"
    if abs(apart) > MOST_APART_MS:
        return wrong("clock", f"{found}: no timers fire from here", todo)
    if abs(apart) > _NOTICEABLE_MS:
        return doubtful("clock", found, todo)
    return well("clock", "agrees with Kafka's" + (f" within {abs(apart)} ms" if apart else ""))


def version_in_force(connection: Connection, prefix: str) -> StoredVersion | None:
    """Return the definitions in force; None where there are none, or they can't be read."""
    with suppress(TidingsError, KafkaException):
        if partition_counts(connection, [prefix + DEFINITIONS]):
            return latest_version(connection, prefix)
    return None


def _definitions(connection: Connection, prefix: str) -> Finding:
    if not partition_counts(connection, [prefix + DEFINITIONS]):
        return doubtful(
            "definitions", "nothing is in force", "`tidings init DIR` makes some, `tidings apply DIR` applies them"
        )
    version = latest_version(connection, prefix)
    if version is None:
        return doubtful(
            "definitions", "nothing is in force", "`tidings init DIR` makes some, `tidings apply DIR` applies them"
        )
    stored = version.stored
    workflows = sorted(str(id_of(one)) for one in stored.documents if kind_of(one) == "workflow")
    told = f"version {stored.number} since {format_instant(version.at)}: {', '.join(workflows) or 'no workflows'}"
    try:
        definitions_from_documents(stored.documents)
    except TidingsError as error:
        return wrong(
            "definitions", f"{told}; this program refuses it: {error}", "correct the definitions and apply them"
        )
    return well("definitions", told)
