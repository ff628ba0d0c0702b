"""How to reach the brokers, once, and in the words of each of the three clients.

The struct is filled by the program's settings; nothing here reads the environment. PLAINTEXT needs nothing,
SSL a CA (and a certificate with its key for mutual TLS), SASL a mechanism with user and password.
"""

import ssl
from typing import Literal, TypedDict

import msgspec
from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """Where the brokers are and how to speak with them; paths are files in PEM."""

    bootstrap_servers: str
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None

    def __repr__(self) -> str:
        """Say where it leads, and never the password."""
        return f"Connection({self.bootstrap_servers!r}, {self.security_protocol!r})"


class AiokafkaSettings(TypedDict, total=False):
    """The keyword arguments that every aiokafka client takes."""

    bootstrap_servers: str
    security_protocol: str
    ssl_context: ssl.SSLContext
    sasl_mechanism: str
    sasl_plain_username: str
    sasl_plain_password: str


def ssl_context(connection: Connection) -> ssl.SSLContext | None:
    """Build the TLS context; None where the connection isn't encrypted.

    Raises:
        OSError: a file named in the connection can't be read.
    """
    if connection.security_protocol not in {"SSL", "SASL_SSL"}:
        return None
    context = ssl.create_default_context(cafile=connection.ssl_ca)
    if connection.ssl_cert is not None:
        context.load_cert_chain(connection.ssl_cert, connection.ssl_key)
    return context


def aiokafka_settings(connection: Connection) -> AiokafkaSettings:
    """Return the connection as aiokafka's keyword arguments."""
    settings = AiokafkaSettings(
        bootstrap_servers=connection.bootstrap_servers, security_protocol=connection.security_protocol
    )
    context = ssl_context(connection)
    if context is not None:
        settings["ssl_context"] = context
    if connection.security_protocol.startswith("SASL"):
        settings["sasl_mechanism"] = connection.sasl_mechanism or "PLAIN"
        settings["sasl_plain_username"] = connection.sasl_username or ""
        settings["sasl_plain_password"] = connection.sasl_password or ""
    return settings


def confluent_settings(connection: Connection) -> dict[str, str | int | float | bool]:
    """Return the connection as librdkafka's configuration, for confluent-kafka."""
    named = {
        "bootstrap.servers": connection.bootstrap_servers,
        "security.protocol": connection.security_protocol,
        "sasl.mechanism": connection.sasl_mechanism,
        "sasl.username": connection.sasl_username,
        "sasl.password": connection.sasl_password,
        "ssl.ca.location": connection.ssl_ca,
        "ssl.certificate.location": connection.ssl_cert,
        "ssl.key.location": connection.ssl_key,
    }
    return {name: value for name, value in named.items() if value is not None}


def faust_broker(connection: Connection) -> str:
    """Return the brokers as Faust's URL list."""
    return ";".join(f"kafka://{server.strip()}" for server in connection.bootstrap_servers.split(","))


def faust_credentials(connection: Connection) -> CredentialsT | None:
    """Return the credentials as Faust's object; None for PLAINTEXT."""
    context = ssl_context(connection)
    if connection.security_protocol.startswith("SASL"):
        return SASLCredentials(
            username=connection.sasl_username,
            password=connection.sasl_password,
            mechanism=connection.sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None
