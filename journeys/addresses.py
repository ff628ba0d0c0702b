"""Whether an e-mail address can be written to, as far as that is known without asking the network.

Syntax and domain rules are those of RFC 5321, 5322 and 6761 (email-validator, its look-ups off: nothing here resolves a
name), disposable domains a maintained list of their own, roles the mailboxes of RFC 2142 and their like. What an agent
learns of a domain (has it a mail exchanger?) enters as an event and is laid over this for as long as the address stays.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

from disposable_email_domains import blocklist
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from schemas.customer import Customer, Verification
from schemas.events import Json
from schemas.identity import event_hash
from schemas.instants import Millis

EmailStatus = Literal["valid", "role", "disposable", "undeliverable", "invalid"]

WHY: Final[Mapping[EmailStatus, str]] = {
    "valid": "the address looks right",
    "role": "the address belongs to a role, not to a person",
    "disposable": "the address is of a provider of throw-away addresses",
    "undeliverable": "the domain of the address can't take mail",
    "invalid": "the syntax of the address is impossible",
}
"""What a status means, for a decision."""

FINDINGS: Final = ("deliverable", "undeliverable", "unknown")
"""What an `address_verified` event says of an address."""
LONGEST: Final = 254
"""RFC 5321, 4.5.3.1.3: a path has 256 octets, of which two are its brackets."""
ROLES: Final = frozenset(
    {
        *("abuse", "admin", "administrator", "billing", "contact", "enquiries", "feedback", "help", "hostmaster"),
        *("hr", "info", "inquiries", "jobs", "legal", "mail", "mailer-daemon", "marketing", "no-reply", "noc"),
        *("noreply", "office", "postmaster", "press", "privacy", "root", "sales", "security", "service", "spam"),
        *("support", "sysadmin", "team", "webmaster"),
    }
)
"""RFC 2142, and what companies have made of it."""
_DOCUMENTATION: Final = frozenset({"example", "example.com", "example.net", "example.org"})
"""RFC 2606: for examples and tests; they pass, whatever else is asked for."""


_LETTERS: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN: Final = re.compile(
    rf"{_LETTERS}(?:\.{_LETTERS})*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?\.)+[A-Za-z]{{2,63}}", re.ASCII
)
"""What nearly all addresses look like; the library needs 50 µs to find nothing wrong with one."""


def status_of(customer: Customer) -> EmailStatus | None:
    """Return the status of a customer's address, None without one."""
    address = customer.email
    if address is None:
        return None
    status = email_status(address)
    known = customer.verification
    if known is not None and status != "invalid" and known.undeliverable and known.address == event_hash(address):
        return "undeliverable"
    return status


def take_verification(customer: Customer, at: Millis, properties: Mapping[str, Json]) -> bool:
    """Take what an agent found out about an address; the later finding holds. Return whether the status changed."""
    address, status = properties.get("email"), properties.get("status")
    known = customer.verification
    if not isinstance(address, str) or status not in FINDINGS or (known is not None and at < known.at):
        return False
    before = status_of(customer)
    customer.verification = Verification(address=event_hash(address), at=at, undeliverable=status == "undeliverable")
    return status_of(customer) != before


@lru_cache(maxsize=4_096)
def email_status(address: str) -> EmailStatus:
    """Judge an address by itself."""
    if _PLAIN.fullmatch(address) and len(address) <= LONGEST and "--" not in address:
        return _judge_domain(address, address.rpartition("@")[2].lower())
    name, _, written = address.rpartition("@")
    parent, dot, last = written.rpartition(".")
    if not dot or len(address.encode(errors="replace")) > LONGEST:
        return "invalid"
    # The library calls an address below `.invalid` invalid; its syntax is possible, and that is another question.
    is_reserved = last.lower() in SPECIAL_USE_DOMAIN_NAMES
    domain = _ascii_domain(f"{name}@{parent}.example" if is_reserved else address, anywhere=True)
    if domain is None:
        return "invalid"
    if is_reserved or _ascii_domain(address, anywhere=False) is None:
        return "undeliverable"
    return _judge_domain(address, domain)


def _judge_domain(address: str, domain: str) -> EmailStatus:
    """Judge an address of possible syntax by its domain, then by its name."""
    by_domain = _domain_status(domain)
    if by_domain is not None:
        return by_domain
    name = address.rpartition("@")[0].partition("+")[0]
    return "role" if name.lower() in ROLES else "valid"


@lru_cache(maxsize=4_096)
def _domain_status(domain: str) -> EmailStatus | None:
    """Return what a domain says of all its addresses; None for nothing."""
    labels = domain.split(".")
    if labels[-1] in SPECIAL_USE_DOMAIN_NAMES:
        return "undeliverable"
    under = [".".join(labels[start:]) for start in range(len(labels))]
    return "disposable" if _DOCUMENTATION.isdisjoint(under) and not blocklist.isdisjoint(under) else None


def _ascii_domain(address: str, *, anywhere: bool) -> str | None:
    """Return the domain in ASCII, or None where the syntax (and, unless anywhere, the domain) forbids the address."""
    try:
        parts = validate_email(
            address,
            check_deliverability=False,
            globally_deliverable=not anywhere,
            allow_quoted_local=True,
            allow_smtputf8=True,
        )
    except EmailNotValidError:
        return None
    return parts.ascii_domain.lower()
