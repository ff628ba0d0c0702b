"""Whether a message may go out: at its moment everything is looked at again, and the first reason counts."""

import pytest

from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import Document, Journey, after, is_, mail, workflow

LATER: Document = {"send_immediately": True, "delay_hours": 24}


def suppressed(journey: Journey) -> list[str | None]:
    return journey.reasons("send_suppressed")


# Data that is missing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "sent"), [(10 * MINUTE_MS - 1, 1), (10 * MINUTE_MS, 0)])
def test_an_address_that_comes_within_the_grace_is_sent_to_when_it_comes(at: Millis, sent: int) -> None:
    journey = Journey(workflow(), email=None)
    journey.publish("signup")
    journey.publish("customer_updated", at, email="late@shop.example")
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(at)] * sent
    assert suppressed(journey) == ["no_address"] * (1 - sent)
    assert journey.reasons("send_deferred") == ["data_grace"]


def test_a_needed_value_is_waited_for_and_then_missed() -> None:
    journey = Journey(workflow(mail(template="needy")))
    journey.publish("signup")
    journey.publish("customer_updated", 1, attributes={"other": 1})
    journey.advance(DAY_MS)
    assert [(one.at, one.reason) for one in journey.decisions("send_suppressed")] == [
        (after(10 * MINUTE_MS), "missing_personalization")
    ]


def test_without_a_grace_nothing_is_waited_for() -> None:
    journey = Journey(workflow(), email=None, data_grace_minutes=0)
    journey.publish("signup")
    assert suppressed(journey) == ["no_address"]


def test_what_waits_for_data_is_suppressed_at_once_for_another_reason() -> None:
    journey = Journey(workflow(), email=None)
    journey.publish("signup")
    journey.publish("email_unsubscribed", 1)
    assert suppressed(journey) == ["unsubscribed"]


def test_what_waited_for_data_is_timed_anew() -> None:
    """Business hours end at 17:00, eight hours after the start."""
    business: Document = {"business_hours_only": True, "optimize": False}
    journey = Journey(workflow(mail(timing=business)), email=None)
    at = 8 * HOUR_MS
    journey.publish("signup", at - 1)
    journey.publish("customer_updated", at, email="late@shop.example")
    journey.advance(2 * DAY_MS)
    assert journey.sent_at() == [after(DAY_MS)]


def test_the_grace_ends_with_the_message() -> None:
    short: Document = {"send_immediately": True, "expires_after_hours": 0.1}
    journey = Journey(workflow(mail(timing=short)), email=None)
    journey.publish("signup")
    journey.publish("customer_updated", 6 * MINUTE_MS, email="late@shop.example")
    journey.advance(DAY_MS)
    assert [(one.at, one.reason) for one in journey.decisions("send_suppressed")] == [(after(6 * MINUTE_MS), "expired")]


def test_a_message_that_was_timed_anew_after_its_grace_goes_out_at_its_time_and_not_at_an_event() -> None:
    business: Document = {"business_hours_only": True, "optimize": False}
    journey = Journey(workflow(mail(timing=business)), email=None)
    at = 8 * HOUR_MS
    journey.publish("signup", at - 1)
    journey.publish("customer_updated", at, email="late@shop.example")
    journey.publish("page_viewed", at + 1)
    assert journey.sends() == []


# Timing ----------------------------------------------------------------------------------------------------------


def test_a_message_is_timed_anew_when_the_zone_has_changed_meanwhile() -> None:
    business: Document = {"business_hours_only": True, "optimize": False, "delay_hours": 4}
    journey = Journey(workflow(mail(timing=business)))
    journey.publish("signup")
    journey.publish("customer_updated", 1, preferences={"timezone": "Asia/Tokyo"})
    journey.advance(2 * DAY_MS)
    # 13:00 UTC is 22:00 in Tokyo; business begins there at 00:00 UTC.
    assert journey.sent_at() == [after(15 * HOUR_MS)]
    assert journey.reasons("send_deferred") == ["timing", "timing"]


def test_a_message_without_a_possible_instant_before_it_expires_is_suppressed_at_once() -> None:
    never: Document = {"at": "08:59", "expires_after_hours": 23.9, "optimize": False}
    journey = Journey(workflow(mail(timing=never)))
    journey.publish("signup")
    assert suppressed(journey) == ["no_possible_time"]


def test_by_default_a_message_goes_to_a_best_hour() -> None:
    journey = Journey(workflow(mail(timing={"optimize": True})))
    journey.publish("signup", 3 * HOUR_MS)
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(5 * HOUR_MS)]


def test_a_transactional_message_is_not_optimized() -> None:
    journey = Journey(workflow(mail(timing={"optimize": True}, category="transactional")))
    journey.publish("signup", 3 * HOUR_MS)
    assert journey.sent_at() == [after(3 * HOUR_MS)]


# Consent and suppression -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "marketing", "transactional"),
    [
        ("email_bounced", "bounced", "bounced"),
        ("email_complained", "complained", "complained"),
        ("email_unsubscribed", "unsubscribed", None),
        ("email_opened", None, None),
    ],
)
def test_unsubscribes_hold_back_marketing_bounces_and_complaints_everything(
    kind: str, marketing: str | None, transactional: str | None
) -> None:
    def both(name: str, category: str) -> Document:
        return workflow(mail(timing=LATER), id=name, category=category)

    journey = Journey(both("m", "marketing"), both("t", "transactional"))
    journey.publish("signup")
    journey.publish(kind, 1)
    journey.advance(DAY_MS)
    assert suppressed(journey) == [reason for reason in (marketing, transactional) if reason]


def test_a_soft_bounce_holds_nothing_back() -> None:
    journey = Journey(workflow())
    journey.publish("email_bounced", bounce_type="soft")
    journey.publish("signup", 1)
    assert len(journey.sends()) == 1


def test_a_consent_lifts_an_unsubscribe_but_no_bounce_and_no_complaint() -> None:
    for kind, sent in (("email_unsubscribed", 1), ("email_bounced", 0), ("email_complained", 0)):
        journey = Journey(workflow())
        journey.publish(kind)
        journey.publish("consent_changed", 1, channel="email", consent="granted")
        journey.publish("signup", 2)
        assert len(journey.sends()) == sent, kind


@pytest.mark.parametrize(
    ("required", "consent", "sent"),
    [
        ([], None, 1),
        ([], "granted", 1),
        ([], "denied", 0),
        (["email"], None, 0),
        (["email"], "granted", 1),
        (["email"], "denied", 0),
    ],
)
def test_unknown_consent_passes_unless_it_is_required(required: list[Json], consent: str | None, sent: int) -> None:
    journey = Journey(workflow(), require_consent=required)
    if consent is not None:
        journey.publish("consent_changed", channel="email", consent=consent)
    journey.publish("signup", 1)
    assert len(journey.sends()) == sent
    assert suppressed(journey) == ["no_consent"] * (1 - sent)


def test_a_channel_that_is_switched_off_gets_no_marketing() -> None:
    journey = Journey(workflow(), workflow(id="t", category="transactional"))
    journey.publish("customer_updated", preferences={"channels": {"email": False}})
    journey.publish("signup", 1)
    assert [send.workflow_id for send in journey.sends()] == ["t"]
    assert suppressed(journey) == ["no_consent"]


def test_a_guard_is_looked_at_when_the_message_would_go_out() -> None:
    journey = Journey(workflow(mail(timing=LATER, guard=is_("plan", "ne", "pro"))))
    journey.publish("signup")
    journey.publish("customer_updated", 1, attributes={"plan": "pro"})
    journey.advance(DAY_MS)
    assert suppressed(journey) == ["guard"]


def test_the_first_reason_counts_suppression_consent_address_guard_personalization() -> None:
    held = mail(template="needy", guard=is_("plan", "eq", "pro"))
    for unsubscribed, off, address, passes, reason in (
        (True, True, False, False, "unsubscribed"),
        (False, True, False, False, "no_consent"),
        (False, False, False, False, "no_address"),
        (False, False, True, False, "guard"),
        (False, False, True, True, "missing_personalization"),
    ):
        one = held if not passes else mail(template="needy")
        journey = Journey(workflow(one), email="a@b.example" if address else None, data_grace_minutes=0)
        if off:
            journey.publish("customer_updated", preferences={"channels": {"email": False}})
        if unsubscribed:
            journey.publish("email_unsubscribed", 1)
        journey.publish("signup", 2)
        assert suppressed(journey) == [reason]


# The message -----------------------------------------------------------------------------------------------------


def test_the_content_is_rendered_from_the_data_of_the_moment_of_sending() -> None:
    journey = Journey(workflow(mail(timing=LATER)))
    journey.publish("signup")
    journey.publish("customer_updated", 1, attributes={"first_name": "Ada"})
    journey.advance(DAY_MS)
    assert [send.subject for send in journey.sends()] == ["Hi Ada"]


def test_a_send_says_when_it_was_due_and_when_it_would_have_expired() -> None:
    journey = Journey(workflow(mail(timing={"send_immediately": True, "expires_after_hours": 2})))
    journey.publish("signup")
    send = journey.sends()[0]
    assert (send.send_at, send.expires_at) == (after(0), after(2 * HOUR_MS))
    assert (send.to, send.category, send.workflow_id, send.step_id) == ("ada@shop.example", "marketing", "w", "mail")
