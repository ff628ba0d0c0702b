"""A mail's way to the relay, and in words why it wasn't taken."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Final

import aiosmtplib

from schemas.errors import TidingsError
from tidings.printing import printable
from tidings.relay import Relay

_ANSWER_S: Final = 30.0


class NotHandedOver(TidingsError):
    """The relay didn't take a mail; the text says why, and what to look at."""


class _Client(aiosmtplib.SMTP):
    """Ends its connections itself.

    aiosmtplib leaves the end of TLS to be answered by the relay. One that doesn't, or not before our loop ends, left a
    socket open.
    """

    def close(self) -> None:
        """Say that TLS ends, and don't wait for an answer: the relay has said all that matters."""
        transport = self.transport
        super().close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


async def hand_over(relay: Relay, mail: EmailMessage, sender: str, recipient: str) -> str:
    """Hand a mail to the relay and return its answer.

    Args:
        relay: where to.
        mail: as it is to arrive.
        sender: the address that bounces go to.
        recipient: one address; headers don't matter.

    Raises:
        NotHandedOver: the relay can't be reached or doesn't take it.
    """
    async with _connected(relay) as client:
        _, answer = await client.send_message(mail, sender=sender, recipients=[recipient])
    return answer


async def greet(relay: Relay) -> None:
    """Connect to the relay and log in, and send nothing.

    Raises:
        NotHandedOver: it can't be reached, or refuses us.
    """
    async with _connected(relay):
        pass


@asynccontextmanager
async def _connected(relay: Relay) -> AsyncIterator[aiosmtplib.SMTP]:
    try:
        context = None if relay.encryption == "none" else ssl.create_default_context(cafile=relay.authority)
        client = _Client(
            hostname=relay.host, port=relay.port, username=relay.username, password=relay.password, timeout=_ANSWER_S,
            use_tls=relay.encryption == "tls", start_tls=relay.encryption == "starttls", tls_context=context,
        )  # fmt: skip
        async with client:
            yield client
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        msg = printable(f"the relay {relay.host}:{relay.port} {_in_words(error, relay)}")
        raise NotHandedOver(msg) from None


def _in_words(error: Exception, relay: Relay) -> str:
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return f"refuses user {relay.username!r}: {error.code} {error.message}. See TIDINGS_SMTP_PASSWORD"
        case aiosmtplib.SMTPRecipientsRefused():
            told = error.recipients[0]
            return f"doesn't take mail for {told.recipient}: {told.code} {told.message}"
        case aiosmtplib.SMTPSenderRefused():
            return f"doesn't take mail from {error.sender}: {error.code} {error.message}. See `default_from` (settings)"
        case aiosmtplib.SMTPResponseException():
            return f"says {error.code} {error.message}"
        case aiosmtplib.SMTPTimeoutError() | TimeoutError():
            return f"doesn't answer within {_ANSWER_S:.0f} s. See TIDINGS_SMTP_URL"
        case _ if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
            return f"has no certificate that is trusted here: {error}. See TIDINGS_SMTP_CA"
        case aiosmtplib.SMTPNotSupported() | aiosmtplib.SMTPException() if "STARTTLS" in str(error):
            return "offers no encryption (STARTTLS). smtps:// begins encrypted; TIDINGS_SMTP_TLS=none does without"
        case _:
            return f"can't be used: {error}. See TIDINGS_SMTP_URL"
