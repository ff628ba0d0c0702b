"""Settings of the relay: where mails go, encrypted unless it is on this machine; no password is ever repeated."""

import pytest

from tidings.relay import Relay
from tidings.settings import SettingsError, read_settings

SECRET = "sw0rdfish"


def relay(url: str, **more: str) -> Relay:
    return read_settings({"TIDINGS_SMTP_URL": url, **more}).relay()


@pytest.mark.parametrize(
    ("url", "more", "host", "port", "encryption"),
    [
        ("smtp://mail.example.com", {}, "mail.example.com", 587, "starttls"),
        ("smtp://mail.example.com:2525", {}, "mail.example.com", 2525, "starttls"),
        ("smtps://mail.example.com/", {}, "mail.example.com", 465, "tls"),
        ("smtp://mail.example.com", {"TIDINGS_SMTP_TLS": "none"}, "mail.example.com", 25, "none"),
        ("smtp://localhost:1025", {}, "localhost", 1025, "none"),
        ("smtp://127.0.0.9", {}, "127.0.0.9", 25, "none"),
        ("smtp://[::1]:1025", {"TIDINGS_SMTP_TLS": "starttls"}, "::1", 1025, "starttls"),
        ("smtp://localhost.example.com", {}, "localhost.example.com", 587, "starttls"),
    ],
)
def test_a_relay_is_spoken_to_encrypted_unless_it_is_on_this_machine(
    url: str, more: dict[str, str], host: str, port: int, encryption: str
) -> None:
    found = relay(url, **more)
    assert (found.host, found.port, found.encryption) == (host, port, encryption)


def test_user_and_password_come_from_the_url_or_from_names_of_their_own() -> None:
    """Percent signs are read; what has its own name goes before the URL; neither is shown."""
    found = relay(f"smtp://ann%40shop:{SECRET}%2F@mail.example.com")
    assert (found.username, found.password) == ("ann@shop", f"{SECRET}/")
    named = relay(f"smtp://ann:{SECRET}@mail.example.com", TIDINGS_SMTP_USERNAME="bo", TIDINGS_SMTP_PASSWORD="other")
    assert (named.username, named.password) == ("bo", "other")
    settings = read_settings({"TIDINGS_SMTP_URL": f"smtp://ann:{SECRET}@mail.example.com"})
    assert SECRET not in repr(found) + repr(settings) + repr(settings.smtp_url)


@pytest.mark.parametrize(
    "environment",
    [
        {"TIDINGS_SMTP_URL": f"http://ann:{SECRET}@mail.example.com"},
        {"TIDINGS_SMTP_URL": f"smtp://ann:{SECRET}@mail.example.com:99999"},
        {"TIDINGS_SMTP_URL": f"smtp://ann:{SECRET}@mail.example.com:0"},
        {"TIDINGS_SMTP_URL": f"smtp://ann:{SECRET}@mail.example.com/inbox"},
        {"TIDINGS_SMTP_URL": f"smtp://ann:{SECRET}@"},
        {"TIDINGS_SMTP_URL": f"smtp://ann:{SECRET}@[mail"},
        {"TIDINGS_SMTP_URL": "mail.example.com:587"},
        {"TIDINGS_SMTP_TLS": "maybe", "TIDINGS_SMTP_URL": "smtp://mail.example.com"},
        {"TIDINGS_SMTP_PASSWORD": SECRET},
        {"TIDINGS_SMTP_PASSWORD_FILE": "/nowhere", "TIDINGS_SMTP_URL": "smtp://mail.example.com"},
        {"TIDINGS_DELIVERY": "on"},
        {"TIDINGS_DELIVERY": "redirect"},
        {"TIDINGS_REDIRECT_TO": "everybody"},
    ],
)
def test_settings_of_mails_that_cannot_be_are_refused_without_the_password(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(environment)
    assert SECRET not in str(caught.value)
    assert "TIDINGS_" in str(caught.value)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TIDINGS_SMTP_URL": f"smtp://ann:{SECRET}@mail.example.com", "TIDINGS_SMTP_TLS": "none"},
        {"TIDINGS_SMTP_URL": "smtp://ann@mail.example.com"},
        {"TIDINGS_SMTP_URL": "smtp://mail.example.com", "TIDINGS_SMTP_PASSWORD": SECRET},
    ],
)
def test_a_relay_that_cannot_be_used_is_told_when_it_is_asked_for(environment: dict[str, str]) -> None:
    """No relay, a password in the open, half of a login: other commands don't mind."""
    with pytest.raises(SettingsError, match="TIDINGS_SMTP_"):
        read_settings(environment).relay()
