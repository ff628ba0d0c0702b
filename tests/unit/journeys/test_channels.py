"""Steps of the single channels: each sends to its own address, under its own consent and suppression."""

import pytest

from journeys.validation import Document as Written
from journeys.validation import validate
from schemas.events import Json
from schemas.instants import MINUTE_MS, Millis
from tests.journey import HELLO, OTHER_CHANNELS, SHORT, Document, Journey, mail, short, workflow

ADDRESSES: Document = {"phone": "+15550100", "push_token": "token-1", "social_id": "@ada"}
ADDRESS_OF = {"sms": "phone", "push": "push_token", "social": "social_id"}


def learn_addresses(journey: Journey, at: Millis = 0, customer: str = "ada") -> None:
    journey.publish("customer_updated", at, customer=customer, envelope={"properties": ADDRESSES})


def reached(*documents: Document, default_from: str | None = None) -> Journey:
    """Begin with a customer who has every address and has consented to text messages."""
    journey = Journey(*documents, default_from=default_from)
    learn_addresses(journey)
    journey.publish("consent_changed", channel="sms", consent="granted")
    return journey


@pytest.mark.parametrize("channel", OTHER_CHANNELS)
def test_a_step_of_a_channel_sends_plain_text_to_the_address_of_that_channel(channel: str) -> None:
    journey = reached(workflow(short(channel)), default_from="Shop <hello@shop.example>")
    journey.publish("signup", 1)
    (send,) = journey.sends()
    assert (send.channel, send.to) == (channel, ADDRESSES[ADDRESS_OF[channel]])
    assert (send.html, send.text, send.from_) == (None, "Hi there & co", None)


@pytest.mark.parametrize("channel", OTHER_CHANNELS)
def test_a_channel_without_an_address_waits_for_it_and_is_then_given_up(channel: str) -> None:
    journey = Journey(workflow(short(channel)), require_consent=[])
    journey.publish("signup")
    journey.publish("signup", customer="bob")
    learn_addresses(journey, MINUTE_MS, "bob")
    journey.advance(60 * MINUTE_MS)
    assert [send.customer_id for send in journey.sends()] == ["bob"]
    assert [(one.customer_id, one.reason) for one in journey.decisions("send_suppressed")] == [("ada", "no_address")]


def test_text_messages_need_a_consent_unless_settings_say_otherwise() -> None:
    required: list[Json] = ["sms"]
    for needed, consent, sent in ((required, None, 0), (required, "granted", 1), ([], None, 1)):
        journey = Journey(workflow(short("sms")), require_consent=needed)
        learn_addresses(journey)
        if consent is not None:
            journey.publish("consent_changed", channel="sms", consent=consent)
        journey.publish("signup", 1)
        assert len(journey.sends()) == sent
        assert journey.reasons("send_suppressed") == ["no_consent"] * (1 - sent)


@pytest.mark.parametrize("channel", OTHER_CHANNELS)
def test_a_suppression_holds_for_its_own_channel_alone(channel: str) -> None:
    journey = reached(workflow(mail("mail", *OTHER_CHANNELS), *[short(name) for name in OTHER_CHANNELS]))
    journey.publish(f"{channel}_bounced", 1)
    journey.publish("signup", 2)
    assert [send.channel for send in journey.sends()] == ["email", *(one for one in OTHER_CHANNELS if one != channel)]
    assert [(one.step_id, one.reason) for one in journey.decisions("send_suppressed")] == [(channel, "bounced")]


@pytest.mark.parametrize(("kind", "template"), [("sms", "hello"), ("email", "sms_hello"), ("push", "social_hello")])
def test_a_template_of_another_channel_is_refused(kind: str, template: str) -> None:
    step: Document = {"id": "s", "type": kind, "configuration": {"template_id": template}}
    values: list[Json] = [{"name": "W", "steps": [step]}, HELLO, *SHORT]
    documents = [Written(file="w.yaml", value=value) for value in values]
    (problem,) = validate(documents).problems
    assert problem.path == "steps[0].configuration.template_id"
    assert problem.expected == f"a template for {kind}"
