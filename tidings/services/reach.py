"""Asks whether a Kafka can be reached, and tells in words when it can't.

Clients retry for ever what will never work: a wrong password, a certificate of somebody else, a name that
nobody knows. So before anything is started on a Kafka it is asked one question, and the client's own reasons
are turned into a line.
"""

import logging
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streams.connection import Connection, confluent_settings
from tidings.clock import monotonic_s
from tidings.services.errors import ServiceError

_ASK_S: Final = 0.5
_REFUSED_S: Final = 4.0
"""How long an address that refuses every connection is asked: a broker that is being started again does so too."""
_SILENT: Final = logging.getLogger("tidings.services.reach")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


def ask_cluster_id(bootstrap_servers: str, *, timeout_s: float) -> str | None:
    """Ask whoever answers there, unencrypted, for the id of its cluster; None if no Kafka answers in time."""
    # A client of its own for each question: librdkafka remembers the brokers of the cluster it met first.
    return _ask(_client(Connection(bootstrap_servers=bootstrap_servers), lambda _: None), timeout_s)


def require_kafka(connection: Connection, *, timeout_s: float = 15.0) -> str:
    """Return the id of the cluster that a connection leads to.

    Args:
        connection: how to reach it.
        timeout_s: how long it may take to answer; what can't become better is told at once.

    Raises:
        ServiceError: nobody answers, the user is refused, or the certificate isn't trusted.
    """
    errors: list[KafkaError] = []
    try:
        client = _client(connection, errors.append)
    except KafkaException as refusal:
        raise ServiceError(f"The settings for Kafka can't be: {refusal.args[0].str()}") from refusal
    begun = monotonic_s()
    give_up = begun + timeout_s
    while monotonic_s() < give_up:
        cluster = _ask(client, _ASK_S)
        if cluster is not None:
            return cluster
        client.poll(0)
        for error in errors:
            _raise_if_final(error, connection)
        if errors and all(_is_refused(error) for error in errors):
            give_up = min(give_up, begun + _REFUSED_S)
    reason = f": {errors[-1].str()}" if errors else ""
    raise ServiceError(
        f"No Kafka answers at {connection.bootstrap_servers}{reason}\n"
        "Start one (`tidings kafka start`), or correct KAFKA_BOOTSTRAP_SERVERS and TIDINGS_KAFKA_…"
    )


def _client(connection: Connection, on_error: Callable[[KafkaError], None]) -> AdminClient:
    quick: dict[str, str | int | float | bool] = {
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 100,
        "log_level": 0,
    }
    return AdminClient(confluent_settings(connection) | quick, logger=_SILENT, error_cb=on_error)


def _ask(client: AdminClient, timeout_s: float) -> str | None:
    try:
        metadata = client.list_topics(timeout=timeout_s)
    except KafkaException:
        return None
    return metadata.cluster_id if metadata.brokers else None


def _is_refused(error: KafkaError) -> bool:
    all_down = error.code() == KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001 -- librdkafka's own, as below
    return all_down or "Connection refused" in error.str()


def _raise_if_final(error: KafkaError, connection: Connection) -> None:
    where = connection.bootstrap_servers
    match error.code():
        case KafkaError._AUTHENTICATION:  # noqa: SLF001 -- librdkafka's own codes begin with an underscore
            raise ServiceError(
                f"Kafka at {where} refuses user {connection.sasl_username!r} (wrong name, password or mechanism).\n"
                "See TIDINGS_KAFKA_SASL_USERNAME, _SASL_PASSWORD (or _SASL_PASSWORD_FILE) and _SASL_MECHANISM."
            )
        case KafkaError._SSL:  # noqa: SLF001 -- likewise
            raise ServiceError(
                f"No encrypted connection to Kafka at {where}: {error.str()}\n"
                "See TIDINGS_KAFKA_SSL_CA, _SSL_CERT and _SSL_KEY."
            )
        case KafkaError._RESOLVE:  # noqa: SLF001 -- likewise
            raise ServiceError(f"Nobody knows where Kafka's host is: {error.str()}\nSee KAFKA_BOOTSTRAP_SERVERS.")
        case _:
            return
