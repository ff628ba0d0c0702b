"""Each check says what is right, what isn't, and what to do; what can't be looked at is said, and judged by nothing."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import msgspec
import pytest
from dns.resolver import Resolver

from tests.unit.tidings.mailbox import open_mailbox
from tests.unit.tidings.test_cli_errors import Say, say
from tidings.doctor.brokers import clock_finding
from tidings.doctor.findings import Finding
from tidings.doctor.machine import check_machine
from tidings.doctor.sender import check_sender
from tidings.doctor.services import check_services
from tidings.settings import Settings, read_settings

__all__ = ["say"]

ROOT = {(".", "NS"): ["a.root-servers.example."]}
GOOD = {
    ("shop.example.", "MX"): ["10 mx.shop.example."],
    ("shop.example.", "TXT"): ['"google-site=x"', '"v=spf1 include:relay.example" " -all"'],
    ("s1._domainkey.shop.example.", "TXT"): ['"v=DKIM1; k=rsa; " "p=MIGf"'],
    ("_dmarc.shop.example.", "TXT"): ['"v=DMARC1; p=none"'],
}


@contextmanager
def dns_server(zone: Mapping[tuple[str, str], list[str]]) -> Iterator[Resolver]:
    """Answer names by a table over UDP, on loopback; yield a resolver that asks there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                asked, who = server.recvfrom(4096)
                if not asked:
                    return
                answer = dns.message.make_response(dns.message.from_wire(asked))
                answer.flags |= dns.flags.RA
                [question] = answer.question
                name, kind = str(question.name), dns.rdatatype.to_text(question.rdtype)
                if texts := zone.get((name, kind)):
                    answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *texts))
                elif not any(known == name for known, _ in zone):
                    answer.set_rcode(dns.rcode.NXDOMAIN)
                server.sendto(answer.to_wire(), who)

        thread = threading.Thread(target=serve)
        thread.start()
        resolver = Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], server.getsockname()[1]
        try:
            yield resolver
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", server.getsockname())
            thread.join()


def examined(zone: Mapping[tuple[str, str], list[str]], selector: str | None = "s1") -> dict[str, Finding]:
    with dns_server(ROOT | dict(zone)) as resolver:
        return {one.about.split(" ")[0]: one for one in check_sender("shop.example", selector, resolver)}


def test_a_domain_whose_records_are_right_is_well() -> None:
    """MX, SPF in two pieces beside another text, the selector's key, DMARC."""
    found = examined(GOOD)
    assert {about: one.state for about, one in found.items()} == dict.fromkeys(("MX", "SPF", "DKIM", "DMARC"), "ok")
    assert found["SPF"].found == "v=spf1 include:relay.example -all"


@pytest.mark.parametrize(
    ("about", "name", "kind", "texts", "state", "words"),
    [
        ("MX", "shop.example.", "MX", [], "warn", "none"),
        ("MX", "shop.example.", "MX", ["0 ."], "warn", "nobody there takes mail"),
        ("SPF", "shop.example.", "TXT", ['"something else"'], "fail", "none"),
        ("SPF", "shop.example.", "TXT", ['"v=spf1 -all"', '"v=spf1 mx -all"'], "fail", "2 records"),
        ("SPF", "shop.example.", "TXT", ['"v=spf1 +all"'], "fail", "+all"),
        ("SPF", "shop.example.", "TXT", ['"v=spf10 -all"'], "fail", "none"),
        ("DKIM", "s1._domainkey.shop.example.", "TXT", [], "fail", "no key at s1._domainkey.shop.example"),
        ("DKIM", "s1._domainkey.shop.example.", "TXT", ['"v=DKIM1; p="'], "fail", "withdrawn"),
        ("DMARC", "_dmarc.shop.example.", "TXT", [], "fail", "none"),
        (
            "DMARC",
            "_dmarc.shop.example.",
            "TXT",
            ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'],
            "fail",
            "counts as none",
        ),
    ],
)
def test_a_record_that_is_missing_or_wrong_is_told_with_what_to_do(
    about: str, name: str, kind: str, texts: list[str], state: str, words: str
) -> None:
    found = examined(GOOD | {(name, kind): texts})[about]
    assert (found.state, words in found.found, bool(found.todo)) == (state, True, True), found


def test_a_subdomain_goes_by_the_policy_above_it() -> None:
    """DMARC is looked up at the domain, then above; nothing is said of a key without its selector."""
    with dns_server(ROOT | GOOD) as resolver:
        found = check_sender("news.shop.example", None, resolver)
    assert [(one.about.split(" ")[0], one.state) for one in found] == [
        ("MX", "warn"), ("SPF", "fail"), ("DKIM", "warn"), ("DMARC", "ok"),
    ]  # fmt: skip


def test_where_dns_knows_nothing_nothing_is_judged() -> None:
    """No resolver, one that doesn't know the root, one that isn't there, names that can't be: said, and no more."""
    with dns_server({}) as closed:
        [walled] = check_sender("shop.example", "s1", closed)
    [alone] = check_sender("shop.example", "s1", None)
    [nobody] = check_sender(None, None, None)
    assert [walled.state, alone.state, nobody.state] == ["warn"] * 3
    assert "DNS can't be reached" in walled.found
    with dns_server(ROOT | GOOD) as resolver:
        for name in ("a..b", "x" * 70 + ".example", ".".join(["long"] * 80), "\ud800.example"):
            assert [one.state for one in check_sender(name, None, resolver)] == ["fail"], name
        assert "no key" in check_sender("shop.example", "a..b", resolver)[2].found


@pytest.mark.parametrize(
    ("apart", "state"),
    [
        (None, "warn"),
        (0, "ok"),
        (500, "ok"),
        (-500, "ok"),
        (501, "warn"),
        (-2000, "warn"),
        (2001, "fail"),
        (-2001, "fail"),
    ],
)
def test_clocks_may_differ_by_as_much_as_a_worker_bears(apart: int | None, state: str) -> None:
    """Half a second is noticed; beyond two seconds no timers fire, as at the worker."""
    assert clock_finding(apart).state == state


def test_the_machine_is_looked_at_also_where_the_folder_is_not_there_yet(tmp_path: Path) -> None:
    """Memory by Linux's own account; without one it is said."""
    account = tmp_path / "meminfo"
    account.write_text("MemTotal: 9 kB\nMemAvailable:   102400 kB\n")
    disk, memory = check_machine(tmp_path / "not" / "there", account)
    assert (disk.about, memory.state) == ("disk", "fail")
    assert check_machine(tmp_path, tmp_path / "nothing")[1].state == "warn"


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Listen on loopback, and answer whoever comes first."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (b"N", "ok", "without TLS"),
        (b"S", "ok", "with TLS"),
        (b"HTTP/1.1 400", "fail", "no Postgres"),
        (b"", "fail", "no Postgres"),
    ],
)
def test_a_postgres_is_known_by_its_answer(answer: bytes, state: str, words: str) -> None:
    """No driver is needed for that, and no password is sent."""
    with answering(answer) as port:
        found = _of("postgres", Settings(database_url=f"postgresql://ann:secret@127.0.0.1:{port}/tidings"))
    assert (found.state, words in found.found, "secret" in found.found) == (state, True, False)


@pytest.mark.parametrize(
    "url", ["mysql://h/db", "postgres://[", "", "postgresql://h:99999/x", "postgresql://127.0.0.1:1/x"]
)
def test_a_postgres_that_cannot_be_is_told(url: str) -> None:
    assert _of("postgres", Settings(database_url=url)).state == "fail"


def test_what_is_not_set_is_said_and_is_no_fault() -> None:
    assert [(one.state, "is not set" in one.found) for one in check_services(Settings())] == [("ok", True)] * 3


def test_the_relay_is_greeted_and_nothing_is_sent() -> None:
    """One that answers is well; one that doesn't, or half of a login, is told."""
    with open_mailbox() as mailbox:
        assert _of("mail", read_settings({"TIDINGS_SMTP_URL": mailbox.url})).state == "ok"
    assert mailbox.mails == []
    gone = _of("mail", read_settings({"TIDINGS_SMTP_URL": mailbox.url}))
    half = _of("mail", read_settings({"TIDINGS_SMTP_URL": "smtp://ann@127.0.0.1"}))
    assert (gone.state, half.state, "needed both" in half.found) == ("fail", "fail", True)


def test_a_registry_that_does_not_answer_is_told() -> None:
    found = _of("schema", Settings(schema_registry_url="http://127.0.0.1:1"))
    assert (found.state, bool(found.todo)) == ("fail", True)


def test_without_a_kafka_the_rest_is_looked_at_all_the_same(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault makes exit code 1; `--json` is an object a line; wrong settings are lines of their own."""
    code, out, _ = say("doctor", "--json")
    found = [msgspec.json.decode(line, type=Finding) for line in out.splitlines()]
    assert (code, found[0].about, found[0].state) == (1, "kafka", "fail")
    assert {"disk", "memory", "postgres", "mail relay", "sender"} <= {one.about for one in found}
    assert all((one.todo is None) == (one.state == "ok") for one in found)
    monkeypatch.setenv("TIDINGS_PARTITION", "3")
    code, out, _ = say("doctor")
    assert (code, "fail settings: TIDINGS_PARTITION: there is no such setting; did you mean" in out) == (1, True)


def _of(about: str, settings: Settings) -> Finding:
    return next(one for one in check_services(settings) if one.about.startswith(about))
