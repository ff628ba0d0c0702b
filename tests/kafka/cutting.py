"""Deletes the beginning of a log, as retention would."""

from confluent_kafka import KafkaException, TopicPartition

from streams.connection import Connection
from streams.topics import admin_client
from tidings.clock import monotonic_s, pause

WITHIN_S = 60


def cut(connection: Connection, topic: str, partition: int, before: int) -> None:
    """Delete the records of a partition before an offset; a client that is new may have to ask for the leader again."""
    deadline = monotonic_s() + WITHIN_S
    while True:
        [deleted] = admin_client(connection).delete_records([TopicPartition(topic, partition, before)]).values()
        try:
            deleted.result()
        except KafkaException:
            if monotonic_s() > deadline:
                raise
            pause(0.05)
        else:
            return
