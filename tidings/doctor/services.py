"""What else settings name: a schema registry, a Postgres, a relay for mails."""

import asyncio
import socket
from typing import Final
from urllib.parse import urlsplit

from schemas.errors import TidingsError
from streams.registry_http import RegistrySchemas
from tidings.doctor.findings import Finding, well, wrong
from tidings.settings import Settings

_ANSWER_S: Final = 10.0
_POSTGRES_PORT: Final = 5432
_ASK_FOR_TLS: Final = bytes.fromhex("0000000804d2162f")
"""Postgres' SSLRequest: eight bytes, which it answers with one letter whoever asks (PostgreSQL docs, 55.2.10)."""


def check_services(settings: Settings) -> list[Finding]:
    """Look at each that is set."""
    return [_registry(settings.schema_registry_url), _postgres(settings.database_url), _relay(settings)]


def _registry(url: str | None) -> Finding:
    if url is None:
        return well("schema registry", "SCHEMA_REGISTRY_URL is not set: schemas lie in the topic _schemas")
    try:
        # No registry has this one; that it says so is what is wanted.
        RegistrySchemas(url).schema(2**31 - 1)
    except TidingsError as error:
        return wrong("schema registry", str(error).split("\n")[0], "see SCHEMA_REGISTRY_URL; Avro isn't read meanwhile")
    return well("schema registry", "answers")


def _postgres(url: str | None) -> Finding:
    if url is None:
        return well("postgres", "DATABASE_URL is not set, and nothing needs it yet")
    todo = "see DATABASE_URL (postgresql://user@host:5432/name), and whether it runs"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname if parts.scheme.startswith("postgres") else None, parts.port or _POSTGRES_PORT
    except ValueError:
        host, port = None, 0
    if host is None:
        return wrong("postgres", "DATABASE_URL isn't the URL of a Postgres", todo)
    try:
        with socket.create_connection((host, port), _ANSWER_S) as connection:
            connection.settimeout(_ANSWER_S)
            connection.sendall(_ASK_FOR_TLS)
            answer = connection.recv(1)
    except OSError as error:
        return wrong("postgres", f"{host}:{port} can't be reached: {error.strerror or error}", todo)
    if answer not in {b"S", b"N"}:
        return wrong("postgres", f"what answers at {host}:{port} is no Postgres", todo)
    return well("postgres", f"answers at {host}:{port}, {'with' if answer == b'S' else 'without'} TLS")


def _relay(settings: Settings) -> Finding:
    if settings.smtp_url is None:
        return well("mail relay", "TIDINGS_SMTP_URL is not set: no mails can be handed over")
    # Only here and where mails leave: the library would make every command slower to start.
    from tidings.handing_over import greet  # noqa: PLC0415

    try:
        relay = settings.relay()
        asyncio.run(greet(relay))
    except TidingsError as error:
        return wrong("mail relay", str(error).replace("Settings:\n  ", ""), "see TIDINGS_SMTP_URL and TIDINGS_SMTP_…")
    return well(
        "mail relay", f"{relay.host}:{relay.port} answers ({relay.encryption}); delivery is {settings.delivery}"
    )
