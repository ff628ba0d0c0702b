"""`tidings doctor`: is everything right around it, and what to do where it isn't."""

import sys
from collections.abc import Iterator
from email.utils import parseaddr
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from schemas.log import Clock
from streams.connection import Connection
from tidings.clock import wall_ms
from tidings.doctor.findings import Finding, wrong
from tidings.printing import printable
from tidings.services import kafka
from tidings.services.kafka_files import kafka_data
from tidings.settings import Settings, SettingsError, process_environment, read_settings
from tidings.usage import WrongUsage

_MARKS: Final = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("fail", "bold red")}


def doctor(
    sender: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="ADDRESS", help="Whom mails come from. Default: `default_from` of what is in force."
        ),
    ] = None,
    dkim_selector: Annotated[
        str | None, typer.Option("--dkim-selector", metavar="NAME", help="Under which the relay's key stands in DNS.")
    ] = None,
    clock: Annotated[Clock, typer.Option("--clock", help="Of the log, which decides about topics' settings.")] = "wall",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Look at Kafka, topics, clocks, definitions, the machine, other services and the sender's DNS.

    Each line says ok, warn or fail, and what to do; exit code 1 if anything fails.
    """
    console = Console(highlight=False, soft_wrap=True)
    failed = False
    for finding in examine(_domain(sender), dkim_selector, clock):
        failed = failed or finding.state == "fail"
        if as_json:
            sys.stdout.buffer.write(msgspec.json.encode(finding) + b"\n")
            sys.stdout.buffer.flush()
        else:
            _print(console, finding)
    if failed:
        raise typer.Exit(1)


def examine(domain: str | None, dkim_selector: str | None, clock: Clock) -> Iterator[Finding]:
    """Yield what is found, as it is found."""
    try:
        settings = read_settings(process_environment())
    except SettingsError as error:
        yield from (wrong("settings", problem, "correct the environment") for problem in error.problems)
        return
    # What it asks with isn't needed by other commands, which would start more slowly for it.
    from tidings.doctor.brokers import check_kafka  # noqa: PLC0415
    from tidings.doctor.machine import check_machine  # noqa: PLC0415
    from tidings.doctor.sender import check_sender, system_resolver  # noqa: PLC0415
    from tidings.doctor.services import check_services  # noqa: PLC0415

    connection = _connection(settings)
    if isinstance(connection, Finding):
        yield connection
    else:
        yield from check_kafka(connection, settings.topic_prefix, settings.partitions, clock, wall_ms)
    yield from check_machine(kafka_data(settings.data_dir).parent)
    yield from check_services(settings)
    if domain is None and not isinstance(connection, Finding):
        domain = _domain(_default_from(connection, settings))
    yield from check_sender(domain, dkim_selector, system_resolver())


def _connection(settings: Settings) -> Connection | Finding:
    if settings.bootstrap_servers is not None:
        return settings.connection()
    seen = kafka.status(kafka_data(settings.data_dir))
    if seen.broker is None or seen.state != "running":
        todo = "`tidings kafka start` starts one here; KAFKA_BOOTSTRAP_SERVERS names another"
        return wrong("kafka", "none runs here, and KAFKA_BOOTSTRAP_SERVERS is not set", todo)
    return settings.connection(seen.broker.bootstrap_servers)


def _default_from(connection: Connection, settings: Settings) -> str | None:
    from tidings.doctor.brokers import version_in_force  # noqa: PLC0415 -- as above

    version = version_in_force(connection, settings.topic_prefix)
    documents = [] if version is None else version.stored.documents
    named = (one.get("default_from") for one in documents if isinstance(one, dict) and one.get("kind") == "settings")
    return next((text for text in named if isinstance(text, str)), None)


def _domain(sender: str | None) -> str | None:
    """Return the domain of an address, or of `Name <address>`; what has no @ is a domain itself."""
    if sender is None:
        return None
    address = parseaddr(sender)[1] or sender.strip()
    domain = address.rpartition("@")[2]
    if not domain:
        msg = f"--from {printable(sender)!r} is no address of mail"
        raise WrongUsage(msg)
    return domain


def _print(console: Console, finding: Finding) -> None:
    mark, style = _MARKS[finding.state]
    console.print(Text(mark, style=style), Text(f" {printable(finding.about)}: {printable(finding.found)}"), sep="")
    if finding.todo is not None:
        console.print(Text(f"       {printable(finding.todo)}", style="dim"))
