"""Where a group stands is told at once, also while a transaction with its next offsets is open."""

from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.topics import TopicSpec
from streams.connection import Connection, confluent_settings
from streams.topics import committed_offsets, delete_topics, ensure_topics
from tests.kafka.broker import KafkaUnderTest


def test_offsets_in_an_open_transaction_are_waited_for_only_on_request(kafka: KafkaUnderTest, prefix: str) -> None:
    """A process that died leaves such a transaction behind for a while; `status` and `run` must not stand still."""
    connection = Connection(bootstrap_servers=kafka.bootstrap_servers)
    topic, group = f"{prefix}log", f"{prefix}app"
    ensure_topics(connection, [TopicSpec(name=topic, partitions=1)])
    settings = confluent_settings(connection) | {"log_level": 3}
    producer = Producer(settings | {"transactional.id": f"{prefix}writer"})
    metadata = Consumer(settings | {"group.id": group}).consumer_group_metadata()
    producer.init_transactions()

    def hand_in(offset: int) -> None:
        producer.begin_transaction()
        producer.send_offsets_to_transaction([TopicPartition(topic, 0, offset)], metadata)

    hand_in(3)
    assert committed_offsets(connection, group, topic) == {}
    producer.commit_transaction()
    assert committed_offsets(connection, group, topic, settled=True) == {0: 3}

    hand_in(7)
    assert committed_offsets(connection, group, topic) == {0: 3}
    with ThreadPoolExecutor() as pool:
        settled = pool.submit(committed_offsets, connection, group, topic, settled=True)
        producer.commit_transaction()
        assert settled.result() == {0: 7}
    assert committed_offsets(connection, group, topic) == {0: 7}
    delete_topics(connection, [topic])
