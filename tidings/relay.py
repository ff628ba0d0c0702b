"""The relay: the SMTP server that takes mails from us.

There is no default: mails leave only where somebody has said where to. The way is encrypted (STARTTLS, or TLS from the
first byte) unless the relay is on this machine, and a password never goes over an open one.
"""

import ipaddress
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from msgspec import Struct

Encryption = Literal["starttls", "tls", "none"]
_PORTS: Final[dict[Encryption, int]] = {"starttls": 587, "tls": 465, "none": 25}


class RelayUrl(Struct, frozen=True, kw_only=True):
    """What a URL says of a relay."""

    host: str
    port: int | None
    is_tls: bool
    """From the first byte on (smtps)."""
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        """Say where it leads, and never the password."""
        return f"RelayUrl({self.host!r}, {self.port!r})"


class Relay(Struct, frozen=True, kw_only=True):
    """Where mails go, and how."""

    host: str
    port: int
    encryption: Encryption
    username: str | None = None
    password: str | None = None
    authority: str | None = None
    """A file in PEM with the certificates to trust; None: the system's."""

    def __repr__(self) -> str:
        """Say where it leads, and never the password."""
        return f"Relay({self.host!r}, {self.port!r}, {self.encryption!r})"


def read_relay_url(text: str) -> RelayUrl:
    """Read `smtp://host:port` or `smtps://host:port`, with user and password where there are.

    Raises:
        ValueError: it isn't one; the text doesn't repeat it, since it may hold a password.
    """
    wanted = "expected smtp://host:port or smtps://host:port"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(wanted) from None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or port == 0:
        raise ValueError(wanted)
    if parts.path.strip("/") or parts.query or parts.fragment:
        msg = f"{wanted}, and nothing behind the port"
        raise ValueError(msg)
    return RelayUrl(
        host=parts.hostname,
        port=port,
        is_tls=parts.scheme == "smtps",
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def default_encryption(url: RelayUrl) -> Encryption:
    """Return how the way is encrypted unless something else is said."""
    if url.is_tls:
        return "tls"
    return "none" if is_loopback(url.host) else "starttls"


def relay_port(url: RelayUrl, encryption: Encryption) -> int:
    """Return the port, by default the usual one."""
    return url.port or _PORTS[encryption]


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by its name or number; nothing is looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
