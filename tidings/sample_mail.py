"""A mail for whoever wants to see a template in a real mailbox: marked as a test, nobody can unsubscribe by it."""

from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Final

from journeys.addresses import email_status
from schemas.errors import TidingsError
from schemas.instants import Millis
from tidings.previewing import Preview

MARK: Final = "[test]"
"""Stands before the subject."""


def sample_mail(shown: Preview, recipient: str, now: Millis, name: str) -> EmailMessage:
    """Make the mail.

    No `List-Unsubscribe`: a mail client that acts upon it would unsubscribe the customer whose data are shown.

    Args:
        shown: what she would get.
        recipient: the address of who gets it instead.
        now: epoch milliseconds.
        name: the left part of its Message-ID; no other mail may have it.

    Raises:
        TidingsError: it has no address to come from.
    """
    mail = EmailMessage(policy=SMTP)
    domain = sender_address(shown).rpartition("@")[2]
    mail["From"] = _one_line(shown.sender or "")
    mail["To"] = recipient
    if shown.content.reply_to:
        mail["Reply-To"] = _one_line(shown.content.reply_to)
    mail["Subject"] = f"{MARK} {_one_line(shown.content.subject)}"
    mail["Date"] = format_datetime(datetime.fromtimestamp(now / 1000, UTC))
    mail["Message-ID"] = f"<{name}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Tidings-Test"] = "true"
    mail.set_content(shown.content.text, cte="quoted-printable")
    if shown.content.html is not None:
        mail.add_alternative(shown.content.html, subtype="html", cte="quoted-printable")
    return mail


def sender_address(shown: Preview) -> str:
    """Return the address that a mail comes from.

    Raises:
        TidingsError: it has none.
    """
    if shown.sender is None:
        msg = "the mail has no sender: set `default_from` in the settings, or `from` in the template"
        raise TidingsError(msg)
    address = parseaddr(_one_line(shown.sender))[1]
    if not is_address(address):
        msg = f"the mail's sender {_one_line(shown.sender)!r} has no address that mails could come from"
        raise TidingsError(msg)
    return address


def is_address(text: str) -> bool:
    """Say whether somebody could be written to there."""
    return text.isprintable() and email_status(text) != "invalid"


def _one_line(text: str) -> str:
    """Leave out what would end a header; values may hold anything."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
