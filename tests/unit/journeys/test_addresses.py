"""Addresses: what can't be one is refused, what had better not be written to is told of, and refused if asked for."""

import pytest
from email_validator import SPECIAL_USE_DOMAIN_NAMES
from hypothesis import example, given
from hypothesis import strategies as st

from journeys import addresses
from journeys.addresses import email_status
from schemas.instants import DAY_MS
from tests.journey import Journey, is_, mail, trigger, wait, workflow


@pytest.mark.parametrize(
    ("address", "possible"),
    [
        ("ada@shop.example", True),
        ("a.b+c@sub.shop.example", True),
        ("ädä@schön.example", True),
        ("ada", False),
        ("@shop.example", False),
        ("ada@", False),
        ("ada@shop", False),
        ("a@b@shop.example", False),
        ("ada @shop.example", False),
        ("ada@shop.example\nBcc: x@y.example", False),
        ("ada@-shop.example", False),
        ("ada@shop..example", False),
        ("a" * 242 + "@shop.example", False),
        ("a" * 241 + "@shop.example", True),
    ],
)
def test_only_impossible_syntax_is_invalid(address: str, possible: bool) -> None:  # noqa: FBT001
    assert (email_status(address) != "invalid") is possible


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("ada@garden.example", "valid"),
        ("ada@example.com", "valid"),
        ("ada@mail.example.org", "valid"),
        ("Ada.O'Hara+news@gmail.com", "valid"),
        ('"ada b"@shop.com', "valid"),
        ("ada@bücher.de", "valid"),
        ("ada@xn--bcher-kva.de", "valid"),
        ("info@example.com", "role"),
        ("No-Reply+7@shop.com", "role"),
        ("ada@mailinator.com", "disposable"),
        ("ada@Sub.MAILINATOR.com", "disposable"),
        ("info@mailinator.com", "disposable"),
        ("ada@shop.invalid", "undeliverable"),
        ("ada@shop.test", "undeliverable"),
        ("ada@printer.LOCAL", "undeliverable"),
        ("ada@10.0.0.1", "undeliverable"),
        ("a d@shop.invalid", "invalid"),
        ("a..b@shop.com", "invalid"),
        ("ada@[10.0.0.1]", "invalid"),
        ("ada@shop.com.", "invalid"),
        (" ada@shop.com", "invalid"),
        ("Ada <ada@shop.com>", "invalid"),
        ("\ud800@shop.com", "invalid"),
        ("", "invalid"),
    ],
)
def test_an_address_is_judged_by_its_syntax_its_domain_and_its_name(address: str, status: str) -> None:
    assert email_status(address) == status


@given(st.text(max_size=30) | st.from_regex(r"[a-z.+-]{1,9}@[a-z.-]{1,12}\.[a-zA-Z]{1,7}", fullmatch=True))
@example("a@x--y.com")
@example("-@x.co")
def test_the_short_way_and_the_library_agree(address: str) -> None:
    """Plain addresses skip the library; it must find the same of them."""
    parts = address.rpartition("@")
    known = addresses._PLAIN.fullmatch(address) is not None and "--" not in address
    if known and parts[2].rpartition(".")[2].lower() not in SPECIAL_USE_DOMAIN_NAMES:
        assert addresses._ascii_domain(address, anywhere=False) == parts[2].lower()
    assert email_status(address) in addresses.WHY


@pytest.mark.parametrize(
    ("address", "status"),
    [("info@shop.com", "role"), ("a@mailinator.com", "disposable"), ("a@shop.invalid", "undeliverable")],
)
def test_strict_verification_refuses_what_is_otherwise_only_told_of(address: str, status: str) -> None:
    lenient, strict = (
        Journey(workflow(), email=address),
        Journey(workflow(), email=address, address_verification="strict"),
    )
    lenient.publish()
    strict.publish()
    [sent] = lenient.decisions("send_published")
    assert sent.detail is not None
    assert sent.detail["warnings"] == [f"email_status {status}: {addresses.WHY[status]}"]  # type: ignore[index]
    [refused] = strict.decisions("send_suppressed")
    assert refused.reason == "invalid_address"
    assert refused.detail is not None
    assert refused.detail["email_status"] == status
    assert strict.sends() == []


def test_strict_verification_lets_examples_and_good_addresses_pass() -> None:
    for address in ("ada@example.com", "ada@garden.example", "ada@gmail.com"):
        journey = Journey(workflow(), email=address, address_verification="strict")
        journey.publish()
        assert len(journey.sends()) == 1


def test_impossible_syntax_is_refused_with_its_reason() -> None:
    journey = Journey(workflow(), email="ada at shop")
    journey.publish()
    [refused] = journey.decisions("send_suppressed")
    assert (refused.reason, refused.detail) == (
        "invalid_address",
        {"email_status": "invalid", "why": "the syntax of the address is impossible"},
    )


def verified(journey: Journey, at: int, status: str, email: str = "ada@shop.example") -> None:
    journey.publish("address_verified", at, email=email, status=status)


def test_what_an_agent_found_out_is_a_field_until_the_address_changes() -> None:
    journey = Journey(
        workflow(mail(guard=is_("email_status", "ne", "undeliverable")), allow_multiple_executions=True),
        email="ada@shop.example",
    )
    verified(journey, 0, "undeliverable")
    journey.publish("signup", 1)
    assert journey.reasons("send_suppressed") == ["guard"]
    journey.publish("customer_updated", 2, email="ada@other.example")
    journey.publish("signup", 3)
    journey.publish("customer_updated", 4, email="ada@shop.example")
    journey.publish("signup", 5)
    assert [send.to for send in journey.sends()] == ["ada@other.example"]
    verified(journey, 6, "deliverable")
    journey.publish("signup", 7)
    assert len(journey.sends()) == 2


def test_of_two_findings_the_later_one_holds_however_they_arrive() -> None:
    journey = Journey(workflow(wait("w", "mail", duration_hours=24), mail()), address_verification="strict")
    journey.publish("signup")
    journey.publish("address_verified", 20, email="ada@shop.example", status="deliverable")
    journey.publish("address_verified", 10, arrives=30, email="ada@shop.example", status="undeliverable")
    journey.advance(DAY_MS)
    assert len(journey.sends()) == 1


@pytest.mark.parametrize("properties", [{}, {"email": 5, "status": "deliverable"}, {"email": "a@b.c", "status": "?"}])
def test_a_finding_that_says_nothing_changes_nothing(properties: dict[str, object]) -> None:
    journey = Journey(workflow())
    journey.publish("address_verified", envelope={"properties": properties})  # type: ignore[dict-item]
    assert journey.customer().verification is None
    assert journey.decisions() == []


def test_a_finding_is_no_activity() -> None:
    journey = Journey(workflow())
    verified(journey, 0, "undeliverable")
    assert journey.customer().last_activity is None


def test_without_an_address_there_is_no_status() -> None:
    journey = Journey(
        workflow(mail(), on=[trigger("page_viewed", where=is_("email_status", "not_exists"))]), email=None
    )
    journey.publish("page_viewed")
    assert journey.started() == 1


def test_an_impossible_address_gives_way_to_a_possible_one_and_to_no_other() -> None:
    journey = Journey(workflow(), email=None)
    for number, email in enumerate(("ada at shop", "nonsense", "ada@shop.example", "new@shop.example", "worse")):
        journey.publish("page_viewed", number, email=email)
    assert journey.customer().email == "ada@shop.example"
    assert len(journey.decisions("profile_changed")) == 2
