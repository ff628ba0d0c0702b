"""Topics as data: what a topic must look like, so that creating it and checking it are one rule.

A record's timestamp is the time of an event, not of its append, and may lie in 1997 or at the end of time.
Kafka judges by that timestamp what to refuse (`message.timestamp.*.max.ms`), when to begin a new segment
(`segment.ms`) and what is old enough to delete (`retention.ms`): with its defaults records of 1997 are gone
within minutes, records two hours ahead are refused, and a merge of years makes a segment of every few records.
So the first two are as wide as they can be everywhere, and in the `log` clock nothing is deleted by age.
Names and bounds of the settings: Kafka's `LogConfig` of 4.4.
"""

from typing import Final

import msgspec

from schemas.decisions import Channel
from schemas.instants import DAY_MS
from schemas.log import Clock

BEHAVIORAL_EVENTS: Final = "behavioral-events"
ENGAGEMENT_EVENTS: Final = "engagement-events"
CRM_EVENTS: Final = "crm-events"
CUSTOMER_LOG: Final = "customer-log"
CUSTOMERS_CHANGELOG: Final = "customers-changelog"
DEFINITIONS: Final = "definitions"
EMAIL_SENDS: Final = "email-sends"
SMS_SENDS: Final = "sms-sends"
PUSH_SENDS: Final = "push-sends"
SOCIAL_SENDS: Final = "social-sends"
DECISIONS: Final = "decisions"
WEBHOOK_CALLS: Final = "webhook-calls"
DEAD_LETTERS: Final = "dead-letters"
DEAD_LETTERS_SETTLED: Final = "dead-letters-settled"
QUARANTINES: Final = "quarantines"
WATERMARKS: Final = "watermarks"
SCHEMAS: Final = "_schemas"

PUBLIC_TOPICS: Final = (BEHAVIORAL_EVENTS, ENGAGEMENT_EVENTS, CRM_EVENTS)
SEND_TOPICS: Final = (EMAIL_SENDS, SMS_SENDS, PUSH_SENDS, SOCIAL_SENDS)
OUTBOUND_TOPICS: Final = (*SEND_TOPICS, DECISIONS, WEBHOOK_CALLS)
SEND_TOPIC_OF_CHANNEL: Final[dict[Channel, str]] = {
    "email": EMAIL_SENDS,
    "sms": SMS_SENDS,
    "push": PUSH_SENDS,
    "social": SOCIAL_SENDS,
}

_MIB: Final = 1024 * 1024
_LONGEST_MS: Final = str(2**63 - 1)
_RETENTION_DAYS: Final = {
    **dict.fromkeys((*PUBLIC_TOPICS, *SEND_TOPICS, WEBHOOK_CALLS, DEAD_LETTERS), 30),
    DECISIONS: 90,
    CUSTOMER_LOG: 400,
    QUARANTINES: 400,
}
"""What is kept live. The customer log's is the horizon of replay; the longest is when a deleted customer is gone."""

_EVENT_TIME: Final = {
    "message.timestamp.type": "CreateTime",
    "message.timestamp.before.max.ms": _LONGEST_MS,
    "message.timestamp.after.max.ms": _LONGEST_MS,
    "segment.ms": _LONGEST_MS,
}
_COMPACTED: Final = {
    "cleanup.policy": "compact",
    # The active segment is never compacted: with Kafka's 1 GiB a worker would recover through 1 GiB a partition
    # before compaction saved anything.
    "segment.bytes": str(64 * _MIB),
    "min.cleanable.dirty.ratio": "0.2",
    # How long a tombstone outlives its compaction, by the broker's clock: longer than any recovery takes.
    "delete.retention.ms": str(DAY_MS),
    "min.compaction.lag.ms": "0",
}


class TopicSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One topic as it has to be: its name, how many partitions it has, and the settings that matter to us.

    `config` holds Kafka's own names and texts (`cleanup.policy`: `compact`); settings that aren't named are
    left to the broker and not compared.
    """

    name: str
    partitions: int
    config: dict[str, str] = msgspec.field(default_factory=dict)


def topics(prefix: str, partitions: int, public_partitions: int, clock: Clock) -> tuple[TopicSpec, ...]:
    """Return every topic of one application, under its prefix.

    Args:
        prefix: what comes before each name, its last character (`tidings.`) included.
        partitions: of the customer log; changelog, outbound topics and dead letters have as many, because what
            a partition of the log leads to is written to the same partition number.
        public_partitions: of each of the three public topics.
        clock: `wall` deletes by age, `log` deletes nothing.
    """
    public = dict.fromkeys(PUBLIC_TOPICS, public_partitions)
    inner = dict.fromkeys((CUSTOMER_LOG, *OUTBOUND_TOPICS, DEAD_LETTERS), partitions)
    events = tuple(
        TopicSpec(name=prefix + name, partitions=count, config=_deleted_by_age(name, clock))
        for name, count in (public | inner).items()
    )
    changelog = TopicSpec(
        name=prefix + CUSTOMERS_CHANGELOG,
        partitions=partitions,
        config=_EVENT_TIME | _COMPACTED | {"max.message.bytes": str(8 * _MIB)},
    )
    # As long as the log, whose places it names: behind that, nobody folds them again.
    quarantines = TopicSpec(
        name=prefix + QUARANTINES,
        partitions=partitions,
        config=_COMPACTED | _deleted_by_age(QUARANTINES, clock) | {"cleanup.policy": "compact,delete"},
    )
    # One partition: the versions of the catalogue have one order.
    definitions = TopicSpec(
        name=prefix + DEFINITIONS,
        partitions=1,
        config=_EVENT_TIME | _COMPACTED | {"max.message.bytes": str(8 * _MIB), "compression.type": "zstd"},
    )
    return (*events, changelog, quarantines, definitions)


def watermarks_topic(prefix: str) -> TopicSpec:
    """Return the topic in which the ingest says how far it is; only the `wall` clock has one.

    Its timestamps are the broker's, so that it is known how old a word is, whatever the clock of who said it. The last
    word about each set of partitions is kept; segments are small, because who starts reads it from its beginning.
    """
    config = _COMPACTED | {"segment.bytes": str(_MIB), "message.timestamp.type": "LogAppendTime"}
    return TopicSpec(name=prefix + WATERMARKS, partitions=1, config=config)


def dead_letters_settled_topic(prefix: str) -> TopicSpec:
    """Return the topic that remembers which dead letters were put back or discarded; made when the first one is."""
    return TopicSpec(name=prefix + DEAD_LETTERS_SETTLED, partitions=1, config=_COMPACTED | {"segment.bytes": str(_MIB)})


def schemas_topic() -> TopicSpec:
    """Return the topic of Avro schemas as schema registries lay it out: no prefix, one partition, compacted.

    It is shared by every application of a Kafka, so whoever deletes an application's topics leaves it alone.
    """
    return TopicSpec(name=SCHEMAS, partitions=1, config={"cleanup.policy": "compact"})


def _deleted_by_age(name: str, clock: Clock) -> dict[str, str]:
    retention_ms = -1 if clock == "log" else _RETENTION_DAYS[name] * DAY_MS
    config = _EVENT_TIME | {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
        "retention.bytes": "-1",
        "max.message.bytes": str(_max_message_bytes(name)),
    }
    if name == DEAD_LETTERS:
        # A broken producer repeats itself; dead letters are rare enough for the broker to compress.
        config["compression.type"] = "zstd"
    return config


def _max_message_bytes(name: str) -> int:
    # A public record is refused beyond 1 MiB by the ingest, not by the broker: the producer gets a dead letter.
    # A dead letter is such a record with headers; what the customer agent writes is bounded by its transactions.
    if name in PUBLIC_TOPICS:
        return 2 * _MIB
    return 4 * _MIB if name == DEAD_LETTERS else 8 * _MIB
