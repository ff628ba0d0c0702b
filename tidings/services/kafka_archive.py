"""Makes the archive of classes that lets Kafka start in a second: `python -m tidings.services.kafka_archive`.

The JVM writes it when a broker ends that has done once what brokers do (AppCDS, JEP 350). It fits one Java and
one class path; with another the JVM does without it, so that a stale or missing archive costs only time.
"""

import sys
import tempfile
from pathlib import Path

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tidings.services import kafka
from tidings.services.errors import ServiceError
from tidings.services.kafka_files import CLASSES
from tidings.settings import process_environment, read_settings

_TOPIC = "rehearsal"


def make_archive(java_home: Path | None) -> None:
    """Run a broker for a moment and keep the classes that it has loaded.

    Raises:
        ServiceError: it doesn't start, or this JVM writes no archive; then nothing is left.
    """
    CLASSES.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="tidings-") as temporary:
        data, archive = Path(temporary) / "kafka", Path(temporary) / CLASSES.name
        started = kafka.start(data, java_home=java_home, new_archive=archive)
        try:
            _rehearse(started.broker.bootstrap_servers)
        finally:
            kafka.stop(data, patience_s=120)
        if not archive.is_file():
            message = "this Java writes no archive of classes"
            raise ServiceError(message)
        # Beside its place first, so that a reader never finds a part of it.
        whole = CLASSES.with_suffix(".new")
        whole.write_bytes(archive.read_bytes())
        whole.replace(CLASSES)


def _rehearse(bootstrap_servers: str) -> None:
    """Have the broker load what a topic, a transaction and a consumer group need."""
    client: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap_servers, "log_level": 0}
    admin = AdminClient(client)
    for created in admin.create_topics([NewTopic(_TOPIC, 1, 1)]).values():
        created.result(30)
    producer = Producer(client | {"transactional.id": _TOPIC})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(_TOPIC, b"once")
    producer.commit_transaction(30)
    consumer = Consumer(client | {"group.id": _TOPIC, "auto.offset.reset": "earliest"})
    consumer.subscribe([_TOPIC])
    consumer.poll(30)
    consumer.close()


def main() -> None:
    """Make the archive; without one Kafka works too, so a failure is told and no error."""
    try:
        make_archive(read_settings(process_environment()).java_home)
    except ServiceError as error:
        sys.stderr.write(f"tidings: no archive of Kafka's classes, Kafka will start slowly: {error}\n")


if __name__ == "__main__":
    main()
