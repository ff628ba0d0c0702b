"""A test mail reaches a real mailbox, marked as one; without a relay, or where it is refused, it is said why."""

import asyncio
import gc
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.unit.tidings.mailbox import PASSWORD, USER, Mailbox, open_mailbox
from tests.unit.tidings.test_cli_errors import Say, say
from tidings.commands.init import write_first_folder
from tidings.handing_over import greet
from tidings.relay import Relay

__all__ = ["say"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    write_first_folder(folder)
    return folder


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with open_mailbox() as mailbox:
        monkeypatch.setenv("TIDINGS_SMTP_URL", mailbox.url)
        yield mailbox


def test_a_mail_arrives_as_a_customer_would_get_it_marked_as_a_test(say: Say, mailbox: Mailbox, folder: Path) -> None:
    """Sender, both parts and the sample's name; the mark, and nothing by which a click unsubscribes anybody."""
    code, out, err = say("send-test", "hello", "--to", "ann@office.example", "--definitions", str(folder))
    assert (code, "took it for ann@office.example: 250 taken as 4711" in out or "taken as 4711" in out) == (0, True), (
        err
    )
    [(sender, recipients, mail)] = mailbox.mails
    assert (sender, recipients) == ("hello@shop.example", ["ann@office.example"])
    assert (mail["Subject"], mail["From"]) == ("[test] Welcome, Ada", "Your Shop <hello@shop.example>")
    assert mail["To"] == "ann@office.example"
    assert mail["X-Tidings-Test"] == "true"
    assert mail["Message-ID"].endswith("@shop.example>")
    assert mail["Date"] is not None
    assert mail["List-Unsubscribe"] is None
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "Hello Ada" in text.get_content()
    assert "<h1>Hello Ada,</h1>" in html.get_content()


def test_a_customer_of_a_file_and_values_of_ones_own_fill_the_mail(say: Say, mailbox: Mailbox, folder: Path) -> None:
    """Long, foreign and hostile values arrive whole, and end no header."""
    name = "Zoë\r\nBcc: all@shop.example " + "ü" * 200
    words = (
        "--events",
        str(folder / "events.ndjson"),
        "--customer",
        "bram",
        "--attributes",
        f'{{"first_name": {_json(name)}}}',
    )
    code, _, err = say("send-test", "hello", "--to", "ann@office.example", "--definitions", str(folder), *words)
    assert code == 0, err
    [(_, recipients, mail)] = mailbox.mails
    assert recipients == ["ann@office.example"]
    assert mail["Bcc"] is None
    assert str(mail["Subject"]).startswith("[test] Welcome, Zoë Bcc: all@shop.example üüü")


def test_redirect_redirects_also_a_test(
    say: Say, mailbox: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TIDINGS_DELIVERY=redirect all goes to one address, and the answer says so."""
    monkeypatch.setenv("TIDINGS_DELIVERY", "redirect")
    monkeypatch.setenv("TIDINGS_REDIRECT_TO", "all@office.example")
    code, out, err = say("send-test", "hello", "--to", "ann@office.example", "--definitions", str(folder))
    assert (code, "Not for ann@office.example" in out) == (0, True), err
    assert mailbox.mails[0][1] == ["all@office.example"]
    assert mailbox.mails[0][2]["To"] == "all@office.example"


def test_what_the_relay_refuses_is_said_with_its_words_and_without_theirs_that_act(
    say: Say, mailbox: Mailbox, folder: Path
) -> None:
    """The relay's own answer, cleaned for a terminal."""
    code, _, err = say("send-test", "hello", "--to", "nobody@office.example", "--definitions", str(folder))
    assert code == 1
    assert "doesn't take mail for nobody@office.example: 550 nobody of that name�[31m lives here" in err
    assert mailbox.mails == []


def test_without_a_relay_it_is_said_what_to_set(say: Say, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no default; wrong addresses and templates are told before anything is connected."""
    monkeypatch.delenv("TIDINGS_SMTP_URL", raising=False)
    to = ("--to", "ann@office.example", "--definitions", str(folder))
    assert "set TIDINGS_SMTP_URL" in _refused(say, "hello", *to)
    assert "there is no template 'helo'; did you mean" in _refused(say, "helo", *to)
    for address in ("", "ann", "ann@", "a b@c.example", "ann@office.example\r\nBcc: x@y.example", "@x.example"):
        code, _, err = say("send-test", "hello", "--to", address, "--definitions", str(folder))
        assert (code, "is no address of mail" in err) == (2, True), err
    monkeypatch.setenv("TIDINGS_SMTP_URL", "smtp://127.0.0.1:1")
    assert "the relay 127.0.0.1:1 can't be used" in _refused(say, "hello", *to)


def test_a_mail_without_a_sender_is_not_sent(say: Say, mailbox: Mailbox, folder: Path, tmp_path: Path) -> None:
    """Neither settings nor template name one: it is said where to."""
    (tmp_path / "t.yaml").write_text((folder / "templates.yaml").read_text())
    assert "set `default_from`" in _refused(say, "hello", "--to", "a@office.example", "--definitions", str(tmp_path))
    assert mailbox.mails == []


def test_the_way_to_a_relay_is_encrypted_and_the_password_goes_over_that_alone(
    say: Say, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STARTTLS with a certificate that is trusted, or nothing is sent; wrong passwords are told."""
    authority, context = _trusted(tmp_path)
    (tmp_path / "password").write_bytes(PASSWORD + b"\n")
    words = ("hello", "--to", "ann@office.example", "--definitions", str(folder))
    with open_mailbox(context, asks_who=True) as mailbox:
        monkeypatch.setenv("TIDINGS_SMTP_URL", mailbox.url)
        monkeypatch.setenv("TIDINGS_SMTP_TLS", "starttls")
        assert "no certificate that is trusted here" in _refused(say, *words)
        monkeypatch.setenv("TIDINGS_SMTP_CA", str(authority))
        monkeypatch.setenv("TIDINGS_SMTP_USERNAME", USER.decode())
        monkeypatch.setenv("TIDINGS_SMTP_PASSWORD", "wrong")
        assert "refuses user 'ann'" in _refused(say, *words)
        assert mailbox.mails == []
        monkeypatch.delenv("TIDINGS_SMTP_PASSWORD")
        monkeypatch.setenv("TIDINGS_SMTP_PASSWORD_FILE", str(tmp_path / "password"))
        code, _, err = say("send-test", *words)
        assert (code, mailbox.encrypted) == (0, [True]), err


def test_a_relay_without_encryption_is_not_used_when_it_is_asked_for(
    say: Say, mailbox: Mailbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What doesn't offer STARTTLS gets nothing."""
    monkeypatch.setenv("TIDINGS_SMTP_TLS", "starttls")
    words = ("hello", "--to", "ann@office.example", "--definitions", str(folder))
    assert "offers no encryption (STARTTLS)" in _refused(say, *words)
    assert mailbox.mails == []


def test_a_connection_ends_also_where_the_relay_does_not_end_it(tmp_path: Path) -> None:
    """The end of TLS takes two: nobody waits for a relay that says goodbye and nothing more, and no socket stays open."""
    authority, context = _trusted(tmp_path)
    gc.collect()
    with open_mailbox(context, lingers=True) as mailbox, warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(greet(Relay(host="127.0.0.1", port=mailbox.port, encryption="starttls", authority=str(authority))))
        gc.collect()
    assert [str(one.message) for one in left] == []


def _refused(say: Say, *words: str) -> str:
    code, _, err = say("send-test", *words)
    assert code == 1, err
    assert "Traceback" not in err
    return err


def _trusted(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return a file with an authority, and what a server of 127.0.0.1 shows who trusts it."""
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return folder / "ca.pem", context


def _json(text: str) -> str:
    return '"' + text.replace("\r", "\\r").replace("\n", "\\n") + '"'
