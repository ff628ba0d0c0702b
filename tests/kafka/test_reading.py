"""Reading to the end ends also where records keep coming, as they do in a live system."""

import threading

from confluent_kafka import Producer

from schemas.topics import watermarks_topic
from streams.connection import Connection
from streams.reading import read_to_end
from streams.topics import ensure_topics
from tests.kafka.broker import KafkaUnderTest
from tidings.clock import monotonic_s, pause

WITHIN_S = 180.0


def test_a_topic_that_grows_all_the_time_is_read_to_where_it_ended(kafka: KafkaUnderTest, prefix: str) -> None:
    """Kafka says that an end is reached only when nothing came for a while: an operator's command would hang."""
    connection, topic = Connection(bootstrap_servers=kafka.bootstrap_servers), watermarks_topic(prefix)
    ensure_topics(connection, [topic])
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 0, "log_level": 0})
    ended = threading.Event()

    def write() -> None:
        deadline = monotonic_s() + WITHIN_S
        while not ended.wait(0.002) and monotonic_s() < deadline:
            producer.produce(topic.name, key=b"k", value=b"v")
            producer.flush(5)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        pause(1.0)
        read = sum(1 for _ in read_to_end(connection, [topic.name]))
        assert writing.is_alive()
        assert read > 0
    finally:
        ended.set()
        writing.join()
