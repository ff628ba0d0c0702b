"""A Kafka behind TLS and passwords: the settings lead to it, and a wrong one is told in words."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import trustme
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from streams.connection import Connection, aiokafka_settings, confluent_settings
from tests.kafka.broker import started_kafka
from tidings.services.errors import ServiceError
from tidings.services.ports import free_ports
from tidings.services.reach import require_kafka
from tidings.settings import read_settings

USER, PASSWORD = "ann", "swordfish"


def listener_properties(port: int, authority: trustme.CA) -> dict[str, str]:
    """Return what makes a broker listen with TLS and passwords too."""
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    key = load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    chain = "".join(blob.bytes().decode() for blob in certificate.cert_chain_pems)
    own = "listener.name.secure."
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
    return {
        "listeners": f"SECURE://127.0.0.1:{port}",
        "listener.security.protocol.map": "SECURE:SASL_SSL",
        f"{own}sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
        f"{own}plain.sasl.jaas.config": f'{plain} required user_{USER}="{PASSWORD}";',
        f"{own}scram-sha-512.sasl.jaas.config": f"{scram} required;",
        f"{own}ssl.keystore.type": "PEM",
        # Kafka reads keys in PKCS #8 only; trustme writes them in the older form.
        f"{own}ssl.keystore.key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        f"{own}ssl.keystore.certificate.chain": chain,
    }


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """Return a connection, as the settings give it, to a Kafka with a listener of that kind."""
    folder = tmp_path_factory.mktemp("secured")
    authority = trustme.CA()
    port = next(free_ports(folder))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    (folder / "password").write_text(f"{PASSWORD}\n")
    with started_kafka(folder / "kafka", listener_properties(port, authority)) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        user = UserScramCredentialUpsertion(USER, scram, PASSWORD.encode())
        for altered in admin.alter_user_scram_credentials([user]).values():
            altered.result(30)
        settings = read_settings(
            {
                "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
                "TIDINGS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                "TIDINGS_KAFKA_SASL_MECHANISM": "PLAIN",
                "TIDINGS_KAFKA_SASL_USERNAME": USER,
                "TIDINGS_KAFKA_SASL_PASSWORD_FILE": str(folder / "password"),
                "TIDINGS_KAFKA_SSL_CA": str(folder / "ca.pem"),
            }
        )
        yield settings.connection()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_records_go_and_come_with_both_clients(secured: Connection, prefix: str, mechanism: str) -> None:
    """What one client writes through the secured way, the other reads through it, either way around."""
    connection = msgspec.structs.replace(secured, sasl_mechanism=mechanism)
    topic = f"{prefix}letters"
    require_kafka(connection)
    admin = AdminClient(confluent_settings(connection))
    for created in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        created.result(30)
    producer = Producer(confluent_settings(connection))
    producer.produce(topic, b"from confluent-kafka")
    assert producer.flush(30) == 0
    assert asyncio.run(read_and_write(connection, topic)) == b"from confluent-kafka"
    consumer = Consumer(confluent_settings(connection) | {"group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    read = [message.value() for message in consumer.consume(2, timeout=30)]
    consumer.close()
    assert read == [b"from confluent-kafka", b"from aiokafka"]


async def read_and_write(connection: Connection, topic: str) -> bytes:
    """Read the first record with aiokafka, and write a second."""
    consumer = AIOKafkaConsumer(topic, **aiokafka_settings(connection), auto_offset_reset="earliest")
    async with asyncio.timeout(30), consumer:
        record = await consumer.getone()
    async with asyncio.timeout(30), AIOKafkaProducer(**aiokafka_settings(connection)) as producer:
        await producer.send_and_wait(topic, b"from aiokafka")
    value: bytes = record.value
    return value


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_told_at_once(secured: Connection, mechanism: str) -> None:
    """A refused user is an error that names the settings, and no password."""
    wrong = msgspec.structs.replace(secured, sasl_mechanism=mechanism, sasl_password="marlin")
    with pytest.raises(ServiceError, match=r"refuses user 'ann'.*\n.*TIDINGS_KAFKA_SASL_USERNAME") as caught:
        require_kafka(wrong)
    assert "marlin" not in str(caught.value)


def test_a_certificate_of_somebody_else_is_told_at_once(secured: Connection, tmp_path: Path) -> None:
    """A broker whose certificate another authority signed isn't spoken to."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with pytest.raises(ServiceError, match=r"No encrypted connection.*\n.*TIDINGS_KAFKA_SSL_CA"):
        require_kafka(msgspec.structs.replace(secured, ssl_ca=str(tmp_path / "other.pem")))


def test_speaking_plainly_to_an_encrypted_port_is_told(secured: Connection) -> None:
    """A forgotten security protocol ends in a message, not in waiting for ever."""
    plain = Connection(bootstrap_servers=secured.bootstrap_servers)
    with pytest.raises(ServiceError, match="No Kafka answers at"):
        require_kafka(plain, timeout_s=2)


def test_nobody_there_is_told(tmp_path: Path) -> None:
    """Where nobody listens, the message says how to start a Kafka."""
    nobody = Connection(bootstrap_servers=f"127.0.0.1:{next(free_ports(tmp_path))}")
    with pytest.raises(ServiceError, match=r"No Kafka answers at .*\n.*tidings kafka start"):
        require_kafka(nobody, timeout_s=1)
