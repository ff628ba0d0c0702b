"""The sender's domain: what DNS says to the servers that decide whether our mails are wanted.

MX (somebody reads what comes back), SPF (RFC 7208: who may send), DKIM (RFC 6376: the key of a selector), DMARC (RFC
7489: what to do with what fails; looked up at the domain, then at the one above). Large mailbox providers ask bulk
senders for all of SPF, DKIM and DMARC. A resolver that doesn't know the root knows nothing: then nothing is judged.
"""

from typing import Final

from dns.exception import DNSException
from dns.name import from_text
from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers, Resolver

from tidings.doctor.findings import Finding, doubtful, well, wrong
from tidings.printing import printable

_ANSWER_S: Final = 5.0
_NOWHERE: Final = "DNS can't be reached from here, so it couldn't be looked at"
_ELSEWHERE: Final = "look from a machine that reaches DNS"
_SHOWN: Final = 200


class Unreachable(Exception):
    """No resolver answers; nothing is known."""


def system_resolver() -> Resolver | None:
    """Return the machine's own resolver; None where it has none."""
    try:
        return Resolver()
    except (DNSException, OSError):
        return None


def check_sender(domain: str | None, selector: str | None, resolver: Resolver | None) -> list[Finding]:
    """Look the domain of the sender up.

    Args:
        domain: behind the @ of the address that mails come from; None: nothing names one.
        selector: of DKIM; None: not said.
        resolver: whom to ask; None: nobody.
    """
    if domain is None:
        todo = "set `default_from` in the settings, or say --from"
        return [doubtful("sender", "no address that mails come from", todo)]
    if not _is_name(domain):
        found = "is no name that DNS can hold"
        return [wrong(f"sender {printable(domain)}", found, "see `default_from` in the settings")]
    try:
        if resolver is None or not _knows_anything(resolver):
            return [doubtful(f"sender {domain}", _NOWHERE, _ELSEWHERE)]
        return [
            _mx(domain, resolver),
            _spf(domain, resolver),
            _dkim(domain, selector, resolver),
            _dmarc(domain, resolver),
        ]
    except Unreachable:
        return [doubtful(f"sender {domain}", _NOWHERE, _ELSEWHERE)]


def _is_name(text: str) -> bool:
    try:
        from_text(text)
    except (DNSException, UnicodeError):
        return False
    return True


def _knows_anything(resolver: Resolver) -> bool:
    return bool(_ask(resolver, ".", "NS"))


def _mx(domain: str, resolver: Resolver) -> Finding:
    about, todo = f"MX of {domain}", "add an MX record, so that answers and bounces reach somebody"
    found = _ask(resolver, domain, "MX")
    if not found:
        return doubtful(about, "none", todo)
    if found[0].split()[-1] == ".":
        return doubtful(about, "says that nobody there takes mail (RFC 7505)", todo)
    return well(about, found[0])


def _spf(domain: str, resolver: Resolver) -> Finding:
    about = f"SPF of {domain}"
    found = [text for text in _ask(resolver, domain, "TXT") if text.lower().split(" ")[0] == "v=spf1"]
    if not found:
        return wrong(about, "none", 'add a TXT record "v=spf1 include:… -all" with what your relay names')
    if len(found) > 1:
        return wrong(about, f"{len(found)} records, which counts as an error", "leave one TXT record with v=spf1")
    last = found[0].lower().split()[-1]
    if last in {"+all", "all"}:
        return wrong(about, found[0], "end it with -all or ~all: as it is anybody may send in your name")
    return well(about, found[0])


def _dkim(domain: str, selector: str | None, resolver: Resolver) -> Finding:
    about = f"DKIM of {domain}"
    if selector is None:
        return doubtful(
            about, "couldn't be looked at without its selector", "say --dkim-selector S; your relay names it"
        )
    name = f"{selector}._domainkey.{domain}"
    found = [text for text in _ask(resolver, name, "TXT") if "p=" in text] if _is_name(name) else []
    if not found:
        return wrong(about, f"no key at {printable(name)}", "publish the key that your relay names")
    keys = [part.strip()[2:].strip() for part in found[0].split(";") if part.strip().startswith("p=")]
    if not any(keys):
        return wrong(about, f"the key at {printable(name)} is withdrawn (p= is empty)", "publish the key in use")
    return well(about, f"a key at {printable(name)}")


def _dmarc(domain: str, resolver: Resolver) -> Finding:
    about, parent = f"DMARC of {domain}", domain.partition(".")[2]
    for name in (domain, *([parent] if "." in parent else [])):
        found = [text for text in _ask(resolver, f"_dmarc.{name}", "TXT") if text.lower().startswith("v=dmarc1")]
        if len(found) > 1:
            return wrong(about, f"{len(found)} records, which counts as none", f"leave one TXT record at _dmarc.{name}")
        if found:
            return well(about, found[0])
    todo = f'add a TXT record at _dmarc.{domain}: "v=DMARC1; p=none; rua=mailto:…" to begin with'
    return wrong(about, "none", todo)


def _ask(resolver: Resolver, name: str, kind: str) -> list[str]:
    """Return the records of a name as text, none where there are none.

    Raises:
        Unreachable: nobody answers.
    """
    try:
        answer = resolver.resolve(name, kind, lifetime=_ANSWER_S)
    except (NXDOMAIN, NoAnswer):
        return []
    except NoNameservers as refused:
        raise Unreachable from refused
    except (DNSException, OSError) as error:
        raise Unreachable from error
    if kind != "TXT":
        return sorted(printable(record.to_text()) for record in answer)
    return [printable(b"".join(record.strings).decode(errors="replace"))[:_SHOWN] for record in answer]
