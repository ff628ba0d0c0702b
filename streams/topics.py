"""Creating topics from data, checking those that exist, and asking where logs and groups stand.

All with confluent-kafka's admin client, synchronously: these run before and beside the streams, never in them.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from schemas.errors import TidingsError
from schemas.topics import TopicSpec
from streams.connection import Connection, confluent_settings

ANSWER_S = 20.0
VISIBLE_WITHIN_S = 30.0
LOOK_EVERY_S = 0.05

PASSING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    # Metadata of the broker that answered was newer or older than that of the one asked.
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError._TRANSPORT,
}
"""What brokers answer for a moment about a topic just created, or a leader that moves."""
COORDINATOR_PASSING = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
"""What brokers answer for a moment about a group, after their start or when its coordinator moves."""


class TopicsDiffer(TidingsError):
    """Topics exist with other settings than they must have; `differences` holds a sentence for each."""

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__("\n".join(differences))
        self.differences = tuple(differences)


class TopicsNotReady(TidingsError):
    """Topics were created, but their partitions have no leaders."""


@lru_cache(maxsize=4)
def admin_client(connection: Connection) -> AdminClient:
    """Return confluent-kafka's admin client for this connection, one for all who ask."""
    return AdminClient({**confluent_settings(connection), "log_level": 2})


def ensure_topics(connection: Connection, specs: Iterable[TopicSpec]) -> None:
    """Create the topics that don't exist, wait until each partition has a leader, and check those that do.

    The replication factor is the broker's default. Nothing is changed in a topic that exists.

    Raises:
        TopicsDiffer: a topic has another number of partitions or another value of a named setting.
        TopicsNotReady: a partition has no leader after `VISIBLE_WITHIN_S`.
        confluent_kafka.KafkaException: the brokers refuse, or can't be reached.
    """
    wanted = {spec.name: spec for spec in specs}
    if not wanted:
        return
    admin = admin_client(connection)
    existing = wanted.keys() & admin.list_topics(timeout=ANSWER_S).topics.keys()
    _create(admin, [spec for name, spec in wanted.items() if name not in existing])
    _wait_for_leaders(admin, wanted)
    differences = _differences(admin, wanted)
    if differences:
        raise TopicsDiffer(differences)


def topic_differences(connection: Connection, specs: Iterable[TopicSpec]) -> tuple[list[str], list[str]]:
    """Compare topics with what they must be, and change nothing.

    Returns:
        the names of those that don't exist, and a sentence for each difference of the others.

    Raises:
        confluent_kafka.KafkaException: the brokers refuse, or can't be reached.
    """
    wanted = {spec.name: spec for spec in specs}
    admin = admin_client(connection)
    there = wanted.keys() & admin.list_topics(timeout=ANSWER_S).topics.keys()
    differences = _differences(admin, {name: wanted[name] for name in there}) if there else []
    return sorted(wanted.keys() - there), differences


def _create(admin: AdminClient, specs: Sequence[TopicSpec]) -> None:
    if not specs:
        return
    new = [
        NewTopic(spec.name, num_partitions=spec.partitions, replication_factor=-1, config=dict(spec.config))
        for spec in specs
    ]
    for created in admin.create_topics(new, operation_timeout=ANSWER_S, request_timeout=ANSWER_S).values():
        try:
            created.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _wait_for_leaders(admin: AdminClient, wanted: Mapping[str, TopicSpec]) -> None:
    without: list[str] = []
    for _ in _looks():
        topics = admin.list_topics(timeout=ANSWER_S).topics
        without = [
            name
            for name in wanted
            if name not in topics
            or not topics[name].partitions
            or any(partition.leader < 0 for partition in topics[name].partitions.values())
        ]
        if not without:
            return
    raise TopicsNotReady(f"no leader after {VISIBLE_WITHIN_S:.0f} s: {', '.join(sorted(without))}")


def _looks() -> Iterator[None]:
    pause = threading.Event()
    for _ in range(int(VISIBLE_WITHIN_S / LOOK_EVERY_S)):
        yield
        pause.wait(LOOK_EVERY_S)


def _differences(admin: AdminClient, wanted: Mapping[str, TopicSpec]) -> list[str]:
    topics = admin.list_topics(timeout=ANSWER_S).topics
    found_configs = admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, name) for name in wanted], request_timeout=ANSWER_S
    )
    differences = []
    for resource, answer in found_configs.items():
        spec = wanted[resource.name]
        count = len(topics[spec.name].partitions)
        if count != spec.partitions:
            differences.append(
                f"topic {spec.name}: has {count} partitions, needs {spec.partitions};"
                " use another prefix, or delete the topic and let it be created anew (its records go with it)"
            )
        found = {entry.name: entry.value for entry in answer.result().values()}
        for setting, value in spec.config.items():
            if found.get(setting) != value:
                differences.append(
                    f"topic {spec.name}: {setting} is {found.get(setting)}, needs {value};"
                    f" change it (kafka-configs.sh --alter --topic {spec.name} --add-config {setting}={value}),"
                    " or use another prefix"
                )
    return differences


def delete_topics(connection: Connection, names: Iterable[str]) -> None:
    """Delete topics and wait until nobody sees them any more; one that doesn't exist is fine.

    Raises:
        confluent_kafka.KafkaException: the brokers refuse, or can't be reached.
    """
    doomed = list(names)
    if not doomed:
        return
    for deleted in admin_client(connection).delete_topics(doomed, request_timeout=ANSWER_S).values():
        try:
            deleted.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    # The controller has deleted them by now; brokers hear of it a moment later.
    for _ in _looks():
        if not partition_counts(connection, doomed):
            return


def partition_counts(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """Return how many partitions each topic has; those that don't exist are left out."""
    topics = admin_client(connection).list_topics(timeout=ANSWER_S).topics
    return {name: len(topics[name].partitions) for name in names if name in topics}


def end_offsets(connection: Connection, topic: str, *, committed: bool = True) -> dict[int, int]:
    """Return for each partition the offset behind its last record (or marker).

    With `committed`, the first record of an open transaction counts as the end.

    Raises:
        confluent_kafka.KafkaException: the topic doesn't exist, or one of its partitions doesn't answer.
    """
    return _offsets(connection, topic, OffsetSpec.latest(), committed=committed)


def first_offsets(connection: Connection, topic: str) -> dict[int, int]:
    """Return for each partition the first offset that it still keeps.

    Raises:
        confluent_kafka.KafkaException: the topic doesn't exist, or one of its partitions doesn't answer.
    """
    return _offsets(connection, topic, OffsetSpec.earliest(), committed=True)


def _offsets(connection: Connection, topic: str, spec: OffsetSpec, *, committed: bool) -> dict[int, int]:
    admin = admin_client(connection)
    partitions = _partitions_of(admin, topic)
    isolation = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    ends: dict[int, int] = {}
    for _ in _looks():
        missing = partitions - ends.keys()
        if not missing:
            return ends
        asked = {TopicPartition(topic, partition): spec for partition in missing}
        answers = admin.list_offsets(asked, isolation_level=isolation, request_timeout=ANSWER_S)
        for tp, answer in answers.items():
            try:
                ends[tp.partition] = answer.result().offset
            except KafkaException as error:
                if error.args[0].code() not in PASSING:
                    raise
    raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE, f"{topic} has partitions without a leader"))


def _partitions_of(admin: AdminClient, topic: str) -> set[int]:
    """Return the numbers of a topic's partitions; one that isn't there must not look like one with nothing in it."""
    found = admin.list_topics(topic, timeout=ANSWER_S).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)
    return set(found.partitions)


def committed_offsets(connection: Connection, group: str, topic: str, *, settled: bool = False) -> dict[int, int]:
    """Return the offsets that a group has committed, by partition; those without one are left out.

    With `settled`, offsets in an open transaction are waited for; of a process that died that can be as long as
    its transactions may last, so who only watches a group's progress takes what was committed before.

    Raises:
        confluent_kafka.KafkaException: the group's coordinator can't be reached, or a transaction stays open.
    """
    asked = [TopicPartition(topic, partition) for partition in _partitions_of(admin_client(connection), topic)]
    for _ in _looks():
        try:
            found = _member(connection, group, settled=settled).committed(asked, timeout=ANSWER_S)
        except KafkaException as error:
            if error.args[0].code() not in COORDINATOR_PASSING:
                raise
            continue
        for tp in found:
            if tp.error is not None:
                raise KafkaException(tp.error)
        return {tp.partition: tp.offset for tp in found if tp.offset >= 0}
    raise KafkaException(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE, f"group {group} has no coordinator"))


def members(connection: Connection, group: str) -> int:
    """Return how many processes are in a group; 0 for one that was never formed.

    Raises:
        confluent_kafka.KafkaException: the group's coordinator can't be reached.
    """
    [described] = admin_client(connection).describe_consumer_groups([group], request_timeout=ANSWER_S).values()
    return len(described.result().members)


@lru_cache(maxsize=8)
def _member(connection: Connection, group: str, *, settled: bool) -> Consumer:
    """Return a consumer that only asks for the group's offsets; without a subscription it never joins.

    The admin client's `list_consumer_group_offsets` ends the process: where a coordinator moves or loads,
    librdkafka (2.16) asks the client's consumer group for a new one, and an admin client has none.
    """
    # Read-committed: the coordinator has the asker wait while offsets are in an open transaction.
    isolation = "read_committed" if settled else "read_uncommitted"
    settings = {"group.id": group, "enable.auto.commit": False, "isolation.level": isolation, "log_level": 2}
    return Consumer(confluent_settings(connection) | settings)


def all_folded(connection: Connection, group: str, topic: str, last: Mapping[int, int]) -> bool:
    """Say whether the group has folded every partition beyond these offsets (of the final marks, say)."""
    told = committed_offsets(connection, group, topic)
    return all(told.get(partition, 0) > offset for partition, offset in last.items())
