"""`tidings send-test`: one template, as a customer would get it, into a real mailbox."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import TidingsError
from tidings.clock import fresh_bytes, wall_ms
from tidings.commands.preview import (
    AttributesOption,
    CustomerOption,
    FileOption,
    FolderOption,
    PropertiesOption,
    previewed,
    report_unfilled,
)
from tidings.handing_over import hand_over
from tidings.printing import printable
from tidings.sample_mail import is_address, sample_mail, sender_address
from tidings.settings import process_environment, read_settings
from tidings.usage import WrongUsage


def send_test(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="The id of a template for mails.")],
    to: Annotated[str, typer.Option("--to", metavar="ADDRESS", help="Who gets it.")],
    definitions: FolderOption = Path(),
    events: FileOption = None,
    customer: CustomerOption = None,
    attributes: AttributesOption = "{}",
    properties: PropertiesOption = "{}",
) -> None:
    """Send one mail, so that it can be looked at in a real mailbox; its subject says that it is a test.

    It goes to the relay of TIDINGS_SMTP_URL, even where TIDINGS_DELIVERY=off keeps customers from being mailed.
    With TIDINGS_DELIVERY=redirect it goes where all mails go.
    """
    settings = read_settings(process_environment())
    if not is_address(to):
        msg = f"--to {printable(to)!r} is no address of mail, such as ada@garden.example"
        raise WrongUsage(msg)
    found, shown = previewed(template, definitions, events, customer, attributes, properties)
    if found.channel != "email":
        msg = f"{found.id} is for {found.channel}; only mails can be sent as a test"
        raise TidingsError(msg)
    relay = settings.relay()
    recipient = settings.redirect_to if settings.delivery == "redirect" and settings.redirect_to else to
    mail = sample_mail(shown, recipient, wall_ms(), fresh_bytes(16).hex())
    report_unfilled(shown)
    answer = asyncio.run(hand_over(relay, mail, sender_address(shown), recipient))
    typer.echo(f"{relay.host}:{relay.port} took it for {printable(recipient)}: {printable(answer)}")
    if recipient != to:
        typer.echo(f"Not for {printable(to)}: TIDINGS_DELIVERY is redirect.")
