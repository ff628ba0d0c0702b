"""A real SMTP server on loopback, in a thread of its own: what it took, and what it refuses."""

import asyncio
import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

# What it notes of connections that end belongs into no test's output.
for _name in ("mail.log", "mail.debug"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False

USER, PASSWORD = b"ann", b"sword fish%"


class Mailbox:
    """Takes every mail but those for `nobody@`."""

    def __init__(self) -> None:
        """Begin empty."""
        self.port = 0
        self.mails: list[tuple[str, list[str], EmailMessage]] = []
        self.encrypted: list[bool] = []
        self.transports: list[asyncio.Transport] = []
        self.ended = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(  # noqa: N802 -- the server's name for it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse one address."""
        if address.startswith("nobody@"):
            return "550 nobody of that name\x1b[31m lives here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- likewise
        """Keep a mail."""
        mail = message_from_bytes(envelope.content or b"", policy=policy.default)  # type: ignore[arg-type]
        assert isinstance(mail, EmailMessage)
        self.mails.append((str(envelope.mail_from), list(envelope.rcpt_tos), mail))
        self.encrypted.append(session.ssl is not None)
        return "250 taken as 4711"


class LingeringMailbox(Mailbox):
    """Says goodbye, and then neither ends the connection nor hears that the other side does."""

    async def handle_QUIT(self, server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802 -- likewise
        """Hear nothing more, not even that TLS is to end."""
        self.transports[0].pause_reading()
        await server.push("221 I wait")
        await self.ended.wait()
        return "221 Bye"


class _Connection(SMTP):
    """Shows its transports, so that the mailbox can end them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport: the open one, then with STARTTLS that above it."""
        mailbox = self.event_handler
        assert isinstance(mailbox, Mailbox)
        assert isinstance(transport, asyncio.Transport)
        mailbox.transports.append(transport)
        super().connection_made(transport)


@contextmanager
def open_mailbox(
    context: ssl.SSLContext | None = None, *, asks_who: bool = False, lingers: bool = False
) -> Iterator[Mailbox]:
    """Run the server while the block lasts; no connection is left behind, whoever should have ended it.

    Args:
        context: for STARTTLS, which is then required; None: it isn't offered.
        asks_who: whether it takes mails of `USER` alone.
        lingers: whether it leaves a connection open after its goodbye.
    """
    mailbox = LingeringMailbox() if lingers else Mailbox()

    def authenticate(_server: object, _session: object, _envelope: object, _mechanism: str, told: object) -> AuthResult:
        assert isinstance(told, LoginPassword)
        return AuthResult(success=(told.login, told.password) == (USER, PASSWORD), handled=False)

    def connected() -> SMTP:
        return _Connection(
            mailbox, hostname="mailbox.example", tls_context=context, require_starttls=context is not None,
            authenticator=authenticate, auth_required=asks_who, auth_require_tls=context is not None,
        )  # fmt: skip

    listening = threading.Event()

    async def serve() -> None:
        mailbox.loop = asyncio.get_running_loop()
        server = await mailbox.loop.create_server(connected, "127.0.0.1", 0)
        mailbox.port = server.sockets[0].getsockname()[1]
        listening.set()
        async with server:
            await mailbox.ended.wait()
        # Whether a connection has ended by now depends on who was quicker, this thread or that of the test.
        for transport in mailbox.transports:
            transport.abort()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert listening.wait(60)
        yield mailbox
    finally:
        if mailbox.loop is not None:
            mailbox.loop.call_soon_threadsafe(mailbox.ended.set)
        thread.join()
