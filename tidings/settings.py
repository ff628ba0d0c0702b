"""Reads the environment: once, whole, into one frozen object.

This is the one file that sees `os.environ` (ruff's `banned-api` refuses it elsewhere); everything else gets
what it needs as a parameter. All that is wrong is told at once. A name that begins with TIDINGS_ and means
nothing is an error: a setting with a typing error in its name would otherwise silently be its default.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from schemas.errors import TidingsError
from streams.connection import Connection, SecurityProtocol
from tidings.logs import LogFormat
from tidings.relay import Encryption, Relay, RelayUrl, default_encryption, is_loopback, read_relay_url, relay_port

Delivery = Literal["off", "redirect", "live"]

LOG_LEVELS: Final = ("debug", "info", "warning", "error")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
OutputFormat = Literal["json", "avro"]
_MOST_PARTITIONS: Final = 10_000
_LAST_PORT: Final = 65_535
# Kafka's own rule for topic names; room is left for the longest of our names behind the prefix.
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{0,120}")


class SettingsError(TidingsError):
    """The environment holds settings that can't be; the text has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the problems, in the order of their names."""
        self.problems = problems
        super().__init__("Settings:\n" + "\n".join(f"  {problem}" for problem in problems))


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment says; a field that it doesn't mention has its default."""

    bootstrap_servers: str | None = None
    """Brokers to use, `host:port,…`; None: a local Kafka under the data folder."""
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    schema_registry_url: str | None = None
    output_format: OutputFormat = "json"
    """In which the worker writes sends, decisions and webhook calls."""
    database_url: str | None = None
    topic_prefix: str = "tidings."
    partitions: int = 16
    """Partitions of the customer log, when it is created."""
    data_dir: Path | None = None
    """Where local services keep their files; None: `.tidings` in the checkout."""
    log_level: str = "info"
    log_format: LogFormat = "text"
    metrics_host: str = "127.0.0.1"
    """Where each process can be asked for metrics and health."""
    metrics_port: int | None = 0
    """0: a free one; None: nowhere."""
    java_home: Path | None = None
    smtp_url: RelayUrl | None = None
    """The relay that takes mails; there is no default."""
    smtp_username: str | None = None
    smtp_password: str | None = None
    smtp_tls: Encryption | None = None
    smtp_ca: str | None = None
    delivery: Delivery = "off"
    """Whether what customers are sent leaves: not at all, all of it to one address, or to them."""
    redirect_to: str | None = None

    def __repr__(self) -> str:
        """Say where it leads, and nothing that could hold a password."""
        return f"Settings(bootstrap_servers={self.bootstrap_servers!r}, topic_prefix={self.topic_prefix!r})"

    def connection(self, local: str | None = None) -> Connection:
        """Return how to reach Kafka.

        Args:
            local: where a local Kafka runs; used when the environment names no other.

        Raises:
            SettingsError: there is neither.
        """
        bootstrap_servers = self.bootstrap_servers or local
        if bootstrap_servers is None:
            raise SettingsError(
                ["no Kafka: set KAFKA_BOOTSTRAP_SERVERS, or run `tidings kafka start` (`tidings up` does it too)"]
            )
        return Connection(
            bootstrap_servers=bootstrap_servers,
            security_protocol=self.security_protocol,
            sasl_mechanism=self.sasl_mechanism,
            sasl_username=self.sasl_username,
            sasl_password=self.sasl_password,
            ssl_ca=self.ssl_ca,
            ssl_cert=self.ssl_cert,
            ssl_key=self.ssl_key,
        )

    def relay(self) -> Relay:
        """Return the relay that takes mails.

        Raises:
            SettingsError: there is none, or a password would go to it in the open.
        """
        url = self.smtp_url
        if url is None:
            raise SettingsError(["no relay for mails: set TIDINGS_SMTP_URL, as in smtp://mail.example.com:587"])
        encryption = self.smtp_tls or default_encryption(url)
        username, password = self.smtp_username or url.username, self.smtp_password or url.password
        if password is not None and encryption == "none" and not is_loopback(url.host):
            raise SettingsError(["TIDINGS_SMTP_TLS: the password would go over the network in the open"])
        if (username is None) != (password is None):
            raise SettingsError(["TIDINGS_SMTP_USERNAME and TIDINGS_SMTP_PASSWORD: needed both, or neither"])
        return Relay(
            host=url.host,
            port=relay_port(url, encryption),
            encryption=encryption,
            username=username,
            password=password,
            authority=self.smtp_ca,
        )


def process_environment() -> Mapping[str, str]:
    """Return the variables that this process was started with."""
    return dict(os.environ)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Parse an environment; an empty value counts as none.

    Raises:
        SettingsError: with everything that is wrong, one line each.
    """
    problems = _unknown_names(environment)
    fields: dict[str, object] = {}
    for name, (field, parse) in _NAMES.items():
        text = environment.get(name, "")
        if not text:
            continue
        try:
            if field in fields:
                message = f"give this or {_other_name(field, name)}, not both"
                raise ValueError(message)  # noqa: TRY301 -- told in the same way as what the parsers find
            fields[field] = parse(text)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    problems += _contradictions(fields)
    if problems:
        raise SettingsError(problems)
    return msgspec.convert(fields, Settings)


def _unknown_names(environment: Mapping[str, str]) -> list[str]:
    problems = []
    for name in sorted(environment):
        # TIDINGS_TEST_… belongs to the test suite.
        if not name.startswith("TIDINGS_") or name.startswith("TIDINGS_TEST_") or name in _NAMES:
            continue
        problems.append(f"{name}: there is no such setting; did you mean {_nearest(name)}? README.md lists all")
    return problems


def _nearest(name: str) -> str:
    """Return the name that is most like one; the beginning that ours share says nothing, and some have none."""
    ends = {known.removeprefix("TIDINGS_"): known for known in _NAMES}
    [end] = difflib.get_close_matches(name.removeprefix("TIDINGS_"), ends, n=1, cutoff=0)
    return ends[end]


def _contradictions(fields: Mapping[str, object]) -> list[str]:
    """Find what is right one by one and wrong together."""
    problems = []
    protocol = str(fields.get("security_protocol", "PLAINTEXT"))
    if protocol != "PLAINTEXT" and "bootstrap_servers" not in fields:
        problems.append("TIDINGS_KAFKA_SECURITY_PROTOCOL: a local Kafka has none; set KAFKA_BOOTSTRAP_SERVERS too")
    sasl = {"sasl_mechanism", "sasl_username", "sasl_password"} & fields.keys()
    if protocol.startswith("SASL"):
        for field in ("sasl_username", "sasl_password"):
            if field not in fields:
                problems.append(f"TIDINGS_KAFKA_{field.upper()}: needed with {protocol}")  # noqa: PERF401 -- reads better
    elif sasl:
        problems.append(f"TIDINGS_KAFKA_{min(sasl).upper()}: not used with {protocol}; say SASL_SSL or SASL_PLAINTEXT")
    if ("ssl_cert" in fields) != ("ssl_key" in fields):
        problems.append("TIDINGS_KAFKA_SSL_CERT and TIDINGS_KAFKA_SSL_KEY: needed both, or neither")
    if not protocol.endswith("SSL") and {"ssl_ca", "ssl_cert", "ssl_key"} & fields.keys():
        problems.append(f"TIDINGS_KAFKA_SSL_…: not used with {protocol}; say SSL or SASL_SSL")
    smtp = sorted(name for name in fields if name.startswith("smtp_") and name != "smtp_url")
    if smtp and "smtp_url" not in fields:
        problems.append(f"TIDINGS_{smtp[0].upper()}: for which relay? Set TIDINGS_SMTP_URL too")
    if fields.get("delivery") == "redirect" and "redirect_to" not in fields:
        problems.append("TIDINGS_REDIRECT_TO: needed with TIDINGS_DELIVERY=redirect: who gets all mails?")
    return problems


def _other_name(field: str, name: str) -> str:
    return next(other for other, (of, _) in _NAMES.items() if of == field and other != name)


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            message = f"{text!r} is none of {', '.join(choices)}"
            raise ValueError(message)
        return text

    return parse


def _servers(text: str) -> str:
    for server in text.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdecimal() or "/" in host:
            message = f"{server.strip()!r} isn't host:port"
            raise ValueError(message)
    return text


def _partitions(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= _MOST_PARTITIONS):
        message = f"{text!r} isn't a whole number from 1 to {_MOST_PARTITIONS}"
        raise ValueError(message)
    return int(text)


def read_port(text: str) -> int | None:
    """Read where a process can be asked: a port, 0 for a free one, or `off`, which is None.

    Raises:
        ValueError: it is none of these.
    """
    if text == "off":
        return None
    if not (text.isdecimal() and text.isascii() and int(text) <= _LAST_PORT):
        message = f"{text!r} is no port: 1 to {_LAST_PORT}, 0 for a free one, or off"
        raise ValueError(message)
    return int(text)


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        message = f"{text!r} can't begin a topic's name (letters, digits, '.', '_', '-', at most 120)"
        raise ValueError(message)
    return text


def _address(text: str) -> str:
    name, _, domain = text.rpartition("@")
    if not (name and domain and text.isprintable() and " " not in text):
        message = f"{text!r} is no address of mail"
        raise ValueError(message)
    return text


def _readable_file(text: str) -> str:
    if not Path(text).is_file():
        message = f"there is no file {text}"
        raise ValueError(message)
    return text


def _password_in_file(text: str) -> str:
    try:
        # The one line end that editors and `echo` leave isn't part of the password.
        password = Path(text).read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        message = f"can't read {text}: {error.strerror}"
        raise ValueError(message) from error
    if not password:
        message = f"{text} is empty"
        raise ValueError(message)
    return password


_NAMES: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "KAFKA_BOOTSTRAP_SERVERS": ("bootstrap_servers", _servers),
    "TIDINGS_KAFKA_SECURITY_PROTOCOL": ("security_protocol", _one_of(*get_args(SecurityProtocol))),
    "TIDINGS_KAFKA_SASL_MECHANISM": ("sasl_mechanism", _one_of(*MECHANISMS)),
    "TIDINGS_KAFKA_SASL_USERNAME": ("sasl_username", str),
    "TIDINGS_KAFKA_SASL_PASSWORD": ("sasl_password", str),
    "TIDINGS_KAFKA_SASL_PASSWORD_FILE": ("sasl_password", _password_in_file),
    "TIDINGS_KAFKA_SSL_CA": ("ssl_ca", _readable_file),
    "TIDINGS_KAFKA_SSL_CERT": ("ssl_cert", _readable_file),
    "TIDINGS_KAFKA_SSL_KEY": ("ssl_key", _readable_file),
    "SCHEMA_REGISTRY_URL": ("schema_registry_url", str),
    "TIDINGS_OUTPUT_FORMAT": ("output_format", _one_of(*get_args(OutputFormat))),
    "DATABASE_URL": ("database_url", str),
    "TIDINGS_TOPIC_PREFIX": ("topic_prefix", _prefix),
    "TIDINGS_PARTITIONS": ("partitions", _partitions),
    "TIDINGS_DATA_DIR": ("data_dir", Path),
    "TIDINGS_LOG_LEVEL": ("log_level", _one_of(*LOG_LEVELS)),
    "TIDINGS_LOG_FORMAT": ("log_format", _one_of(*get_args(LogFormat))),
    "TIDINGS_METRICS_HOST": ("metrics_host", str),
    "TIDINGS_METRICS_PORT": ("metrics_port", read_port),
    "JAVA_HOME": ("java_home", Path),
    "TIDINGS_SMTP_URL": ("smtp_url", read_relay_url),
    "TIDINGS_SMTP_USERNAME": ("smtp_username", str),
    "TIDINGS_SMTP_PASSWORD": ("smtp_password", str),
    "TIDINGS_SMTP_PASSWORD_FILE": ("smtp_password", _password_in_file),
    "TIDINGS_SMTP_TLS": ("smtp_tls", _one_of(*get_args(Encryption))),
    "TIDINGS_SMTP_CA": ("smtp_ca", _readable_file),
    "TIDINGS_DELIVERY": ("delivery", _one_of(*get_args(Delivery))),
    "TIDINGS_REDIRECT_TO": ("redirect_to", _address),
}
"""Every variable that Tidings reads: the field that it fills, and how its text is parsed."""
