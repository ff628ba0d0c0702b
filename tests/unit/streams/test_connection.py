"""One connection, said in three languages."""

import ssl
from pathlib import Path

import pytest
import trustme
from faust.auth import SASLCredentials, SSLCredentials

from streams.connection import (
    Connection,
    aiokafka_settings,
    confluent_settings,
    faust_broker,
    faust_credentials,
)


@pytest.fixture
def secured(tmp_path: Path) -> Connection:
    """A SASL_SSL connection with a CA, a certificate and a key."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("tidings.example")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    return Connection(
        bootstrap_servers="one:9093,two:9093",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="tidings",
        sasl_password="wxyz",
        ssl_ca=str(tmp_path / "ca.pem"),
        ssl_cert=str(tmp_path / "cert.pem"),
        ssl_key=str(tmp_path / "key.pem"),
    )


def test_plaintext_says_nothing_but_where() -> None:
    """Without security no credentials are made for anybody."""
    plain = Connection(bootstrap_servers="one:9092,two:9092")
    assert aiokafka_settings(plain) == {"bootstrap_servers": "one:9092,two:9092", "security_protocol": "PLAINTEXT"}
    assert confluent_settings(plain) == {"bootstrap.servers": "one:9092,two:9092", "security.protocol": "PLAINTEXT"}
    assert faust_broker(plain) == "kafka://one:9092;kafka://two:9092"
    assert faust_credentials(plain) is None


def test_sasl_over_tls_reaches_all_three(secured: Connection) -> None:
    """User, password, mechanism and TLS are said to aiokafka, librdkafka and Faust alike."""
    ours = aiokafka_settings(secured)
    assert ours["sasl_mechanism"] == "SCRAM-SHA-512"
    assert ours["sasl_plain_username"] == "tidings"
    assert ours["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert confluent_settings(secured)["ssl.key.location"] == secured.ssl_key
    credentials = faust_credentials(secured)
    assert isinstance(credentials, SASLCredentials)
    assert credentials.protocol.value == "SASL_SSL"


def test_tls_alone_needs_no_user(secured: Connection) -> None:
    """SSL is a context and nothing else."""
    tls = Connection(bootstrap_servers="one:9093", security_protocol="SSL", ssl_ca=secured.ssl_ca)
    assert "sasl_mechanism" not in aiokafka_settings(tls)
    assert isinstance(faust_credentials(tls), SSLCredentials)


def test_the_password_is_never_shown(secured: Connection) -> None:
    """What is printed or logged of a connection says where it leads, not how."""
    assert "wxyz" not in repr(secured)
