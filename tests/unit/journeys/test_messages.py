"""A `message` step: one message on several channels, one after another, none too close to the one before."""

from itertools import pairwise

import pytest

from journeys.validation import Document as Written
from journeys.validation import validate
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import HELLO, SHORT, Document, Journey, after, is_, mail, message, workflow

ADDRESSES: Document = {"phone": "+15550100", "push_token": "token-1", "social_id": "@ada"}
EVERY = ("email", "sms", "push", "social")


def reached(*documents: Document, **settings: Json) -> Journey:
    """Begin with a customer who has every address and has consented to text messages."""
    journey = Journey(*documents, email="ada@shop.example", require_consent=[], **settings)
    journey.publish("customer_updated", envelope={"properties": ADDRESSES})
    return journey


def out(journey: Journey) -> list[tuple[str, str]]:
    return [(send.channel, send.send_at) for send in journey.sends()]


def result(journey: Journey) -> Document:
    """Return what the one completed message step tells."""
    (completed,) = [one for one in journey.decisions("step_completed") if one.step_id == "message"]
    return completed.detail or {}


def statuses(journey: Journey) -> list[tuple[Json, Json, Json]]:
    channels = result(journey)["channels"]
    assert isinstance(channels, list)
    entries = [entry for entry in channels if isinstance(entry, dict)]
    return [(entry["channel"], entry["status"], entry.get("reason")) for entry in entries]


def prefer(journey: Journey, at: Millis = 0, **preferences: Json) -> None:
    journey.publish("customer_updated", at, preferences=preferences)


# Order and spacing ----------------------------------------------------------------------------------------------


def test_the_channels_follow_each_other_in_the_default_order_after_the_spacing_of_the_one_before() -> None:
    journey = reached(workflow(message(*EVERY)))
    journey.publish("signup", 0)
    journey.advance(DAY_MS)
    assert out(journey) == [
        ("email", after(0)),
        ("push", after(2 * HOUR_MS)),
        ("sms", after(3 * HOUR_MS)),
        ("social", after(9 * HOUR_MS)),
    ]


def test_a_channel_goes_exactly_when_the_spacing_is_over_and_not_before() -> None:
    journey = reached(workflow(message("email", "push")))
    journey.publish("signup", 0)
    journey.advance(2 * HOUR_MS - 1)
    assert [channel for channel, _ in out(journey)] == ["email"]
    journey.advance(2 * HOUR_MS)
    assert [channel for channel, _ in out(journey)] == ["email", "push"]


def test_the_customers_order_comes_first_and_the_channels_she_leaves_out_follow_by_default() -> None:
    journey = reached(workflow(message(*EVERY)))
    prefer(journey, channel_priority=["social", "pigeon", "sms", "social", 7])
    journey.publish("signup", 1)
    journey.advance(2 * DAY_MS)
    assert [channel for channel, _ in out(journey)] == ["social", "sms", "email", "push"]


@pytest.mark.parametrize("priority", ["email", {"first": "sms"}, None, []])
def test_an_order_that_is_no_list_is_passed_over(priority: Json) -> None:
    journey = reached(workflow(message("sms", "email")))
    prefer(journey, channel_priority=priority)
    journey.publish("signup", 1)
    journey.advance(DAY_MS)
    assert [channel for channel, _ in out(journey)] == ["email", "sms"]


def test_settings_are_laid_over_the_default_spacings() -> None:
    journey = reached(workflow(message("email", "push", "sms")), channel_spacing_hours={"email": 0, "push": 0.5})
    journey.publish("signup", 0)
    journey.advance(DAY_MS)
    assert out(journey) == [("email", after(0)), ("push", after(0)), ("sms", after(HOUR_MS // 2))]


def test_the_spacing_runs_from_the_actual_send() -> None:
    journey = reached(workflow(message("email", "push", timing={"at": "11:30", "expires_after_hours": 100})))
    journey.publish("signup", 0)
    journey.advance(3 * DAY_MS)
    # 11:30 is the only minute asked for, so the push goes out a day behind the mail and not two hours.
    assert out(journey) == [("email", after(150 * MINUTE_MS)), ("push", after(DAY_MS + 150 * MINUTE_MS))]


def test_a_delay_holds_for_the_first_channel_alone() -> None:
    journey = reached(workflow(message("email", "push", timing={"send_immediately": True, "delay_hours": 5})))
    journey.publish("signup", 0)
    journey.advance(DAY_MS)
    assert out(journey) == [("email", after(5 * HOUR_MS)), ("push", after(7 * HOUR_MS))]


@pytest.mark.parametrize(("optimize", "hours"), [(None, 3), (False, 3), (True, 5)])
def test_a_message_is_not_optimized_unless_that_is_asked_for(optimize: Json, hours: int) -> None:
    timing: Document = {"avoid_weekends": False} if optimize is None else {"optimize": optimize}
    journey = reached(workflow(message("email", timing=timing)))
    journey.publish("signup", 3 * HOUR_MS)
    journey.advance(DAY_MS)
    assert out(journey) == [("email", after(hours * HOUR_MS))]


def test_each_channel_keeps_quiet_hours_by_itself() -> None:
    """It is 09:00 at the start, and mails are held back till noon."""
    mornings: Document = {"start": "08:00", "end": "12:00", "channels": ["email"]}
    journey = reached(workflow(message("email", "push", "sms")), quiet_hours=mornings)
    prefer(journey, channel_priority=["push", "email", "sms"])
    journey.publish("signup", 1)
    journey.advance(DAY_MS)
    assert out(journey) == [("push", after(1)), ("email", after(3 * HOUR_MS)), ("sms", after(5 * HOUR_MS))]
    assert journey.reasons("send_deferred") == ["quiet_hours", "timing"]


# Active channels ------------------------------------------------------------------------------------------------


def test_channels_without_address_consent_or_with_a_suppression_are_not_active_and_leave_no_spacing() -> None:
    journey = Journey(workflow(message(*EVERY)))
    journey.publish("customer_updated", phone="+15550100", push_token="token-1", social_id=None)
    journey.publish("email_bounced")
    journey.publish("signup", 1)
    assert out(journey) == [("push", after(1))]
    assert statuses(journey) == [
        ("push", "sent", None),
        ("email", "inactive", "bounced"),
        ("sms", "inactive", "no_consent"),
        ("social", "inactive", "no_address"),
    ]
    assert journey.decisions("send_suppressed") == []


@pytest.mark.parametrize(("category", "channels"), [("marketing", ["push"]), ("transactional", ["email", "push"])])
def test_a_channel_that_is_switched_off_gets_no_marketing(category: str, channels: list[str]) -> None:
    journey = reached(workflow(message("email", "push"), category=category))
    prefer(journey, channels={"email": False})
    journey.publish("signup", 1)
    journey.advance(DAY_MS)
    assert [channel for channel, _ in out(journey)] == channels


def test_a_channel_that_is_switched_off_meanwhile_never_sends() -> None:
    journey = reached(workflow(message("email", "push", "sms")))
    journey.publish("signup", 0)
    prefer(journey, HOUR_MS, channels={"push": False})
    journey.advance(DAY_MS)
    assert out(journey) == [("email", after(0)), ("sms", after(2 * HOUR_MS))]


def test_without_an_active_channel_nothing_goes_out_and_the_result_says_why() -> None:
    journey = Journey(workflow(message("email", "sms")))
    journey.publish("email_unsubscribed")
    journey.publish("signup", 1)
    assert journey.reasons("send_suppressed") == ["no_active_channel"]
    told = result(journey)
    assert (told["status"], told["result"], told["reason"]) == ("suppressed", "suppressed", "no_active_channel")
    assert statuses(journey) == [("email", "inactive", "unsubscribed"), ("sms", "inactive", "no_consent")]


@pytest.mark.parametrize(("at", "sent"), [(10 * MINUTE_MS - 1, 1), (10 * MINUTE_MS, 0)])
def test_the_first_address_of_all_is_waited_for_as_long_as_any_other_data(at: Millis, sent: int) -> None:
    journey = Journey(workflow(message("email", "push")), email=None)
    journey.publish("signup", 0)
    journey.publish("customer_updated", at, push_token="token-1")
    journey.advance(DAY_MS)
    assert out(journey) == [("push", after(at))] * sent
    assert journey.reasons("send_suppressed") == ["no_active_channel"] * (1 - sent)
    assert journey.reasons("send_deferred") == ["data_grace"]


# Refused channels -----------------------------------------------------------------------------------------------


def test_a_refused_channel_leaves_no_spacing() -> None:
    journey = reached(workflow(message("email", "push")))
    journey.publish("customer_updated", email="impossible")
    journey.publish("signup", 1)
    assert out(journey) == [("push", after(1))]
    assert statuses(journey) == [("email", "suppressed", "invalid_address"), ("push", "sent", None)]
    (refused,) = journey.decisions("send_suppressed")
    assert (refused.reason, (refused.detail or {})["channel"]) == ("invalid_address", "email")


def test_a_needed_value_is_waited_for_once_in_a_message_and_not_once_on_each_channel() -> None:
    needy: Document = {"kind": "template", "id": "n", "channel": "push", "content_template": "{plan}"}
    needy["personalization_fields"] = ["plan"]
    templates: Document = {"email": "needy", "push": "n", "sms": "sms_hello"}
    journey = reached(workflow(message(templates=templates)), needy)
    journey.publish("signup", 0)
    journey.advance(DAY_MS)
    assert out(journey) == [("sms", after(10 * MINUTE_MS))]
    assert journey.reasons("send_suppressed") == ["missing_personalization"] * 2
    assert journey.reasons("send_deferred") == ["data_grace"]


def test_a_guard_is_looked_at_when_each_channel_would_go_out() -> None:
    journey = reached(workflow(message("email", "push", "sms", guard=is_("plan", "ne", "pro"))))
    journey.publish("signup", 0)
    journey.publish("customer_updated", HOUR_MS, attributes={"plan": "pro"})
    journey.advance(DAY_MS)
    assert out(journey) == [("email", after(0))]
    assert statuses(journey) == [
        ("email", "sent", None),
        ("push", "suppressed", "guard"),
        ("sms", "suppressed", "guard"),
    ]


def test_what_expires_before_a_channel_has_its_turn_is_not_sent() -> None:
    timing: Document = {"send_immediately": True, "expires_after_hours": 2}
    journey = reached(workflow(message("email", "push", timing=timing)))
    journey.publish("signup", 0)
    journey.advance(DAY_MS)
    assert statuses(journey) == [("email", "sent", None), ("push", "suppressed", "no_possible_time")]


# Strategies -----------------------------------------------------------------------------------------------------


def test_first_available_sends_on_the_first_channel_that_lets_it_and_ends() -> None:
    journey = reached(workflow(message("email", "push", "sms", strategy="first_available")))
    journey.publish("customer_updated", email="impossible")
    journey.publish("signup", 1)
    assert out(journey) == [("push", after(1))]
    assert statuses(journey) == [
        ("email", "suppressed", "invalid_address"),
        ("push", "sent", None),
        ("sms", "skipped", "first_available"),
    ]


@pytest.mark.parametrize(
    ("event_type", "at", "channels"),
    [
        ("email_opened", 2 * HOUR_MS - 1, ["email"]),
        # An event of the very instant of a timer comes behind it.
        ("email_opened", 2 * HOUR_MS, ["email", "push"]),
        ("email_clicked", 0, ["email"]),
        ("email_delivered", HOUR_MS, ["email", "push"]),
        ("push_clicked", HOUR_MS, ["email", "push"]),
    ],
)
def test_until_engaged_goes_on_only_where_the_channel_before_got_no_answer(
    event_type: str, at: Millis, channels: list[str]
) -> None:
    journey = reached(workflow(message("email", "push", strategy="until_engaged")))
    journey.publish("signup", 0)
    journey.publish(event_type, at, arrives=max(at, 1))
    journey.advance(DAY_MS)
    assert [channel for channel, _ in out(journey)] == channels


def test_an_answer_from_before_the_message_is_none_to_it() -> None:
    journey = reached(workflow(message("email", "push", strategy="until_engaged")))
    journey.publish("email_opened", 0)
    journey.publish("signup", 1)
    journey.advance(DAY_MS)
    assert len(out(journey)) == 2


# Rules of suppression -------------------------------------------------------------------------------------------

RULE: Document = {
    "kind": "suppression",
    "id": "open-ticket",
    "condition": {"field": "ticket", "operator": "eq", "value": "open"},
    "reason": "support_case",
    "alternatives": ["call", {"wait_hours": 24}],
}


def test_a_rule_holds_a_message_back_with_its_own_reason_and_alternatives() -> None:
    journey = reached(workflow(message("email", "push")), RULE)
    journey.publish("customer_updated", attributes={"ticket": "open"})
    journey.publish("signup", 1)
    journey.advance(DAY_MS)
    assert out(journey) == []
    (held,) = journey.decisions("send_suppressed")
    assert held.reason == "support_case"
    assert held.detail == {"rule_id": "open-ticket", "alternatives": ["call", {"wait_hours": 24}]}
    told = result(journey)
    assert (told["status"], told["reason"], told["alternatives"]) == (
        "suppressed",
        "support_case",
        ["call", {"wait_hours": 24}],
    )
    assert statuses(journey) == [("email", "suppressed", "support_case"), ("push", "suppressed", "support_case")]


def test_a_rule_that_begins_to_hold_meanwhile_stops_the_channels_that_are_left() -> None:
    journey = reached(workflow(message("email", "push", "sms")), RULE)
    journey.publish("signup", 0)
    journey.publish("customer_updated", HOUR_MS, attributes={"ticket": "open"})
    journey.advance(DAY_MS)
    assert out(journey) == [("email", after(0))]
    assert statuses(journey)[1:] == [("push", "suppressed", "support_case"), ("sms", "suppressed", "support_case")]


def test_a_rule_holds_nothing_back_but_message_steps() -> None:
    journey = reached(workflow(mail()), RULE)
    journey.publish("customer_updated", attributes={"ticket": "open"})
    journey.publish("signup", 1)
    assert len(out(journey)) == 1


def test_the_reason_of_a_rule_without_one_is_its_id() -> None:
    journey = reached(workflow(message("email")), {key: RULE[key] for key in ("kind", "id", "condition")})
    journey.publish("customer_updated", attributes={"ticket": "open"})
    journey.publish("signup", 1)
    assert journey.reasons("send_suppressed") == ["open-ticket"]


# What comes out -------------------------------------------------------------------------------------------------


def test_one_completed_step_names_the_channels_with_their_times_and_sends() -> None:
    journey = reached(workflow(message("email", "push", then=["mail"]), mail()))
    journey.publish("signup", 0)
    journey.advance(DAY_MS)
    told, sends = result(journey), journey.sends("message")
    assert told["channels"] == [
        {
            "channel": send.channel,
            "template_id": send.template_id,
            "status": "sent",
            "at": send.send_at,
            "send_id": send.send_id,
        }
        for send in sends
    ]
    assert (told["status"], told["result"], told["next"]) == ("sent", "sent", ["mail"])
    assert journey.sent_at("mail") == [after(2 * HOUR_MS)]


def test_each_channel_has_a_send_of_its_own_with_its_own_id_and_content() -> None:
    journey = reached(workflow(message(*EVERY)))
    journey.publish("signup", 0)
    journey.advance(DAY_MS)
    sends = journey.sends()
    assert len({send.send_id for send in sends}) == 4
    assert [send.template_id for send in sends] == ["hello", "push_hello", "sms_hello", "social_hello"]
    assert all(first.execution_id == second.execution_id for first, second in pairwise(sends))


def test_a_deferral_names_the_channel_that_waits() -> None:
    journey = reached(workflow(message("email", "push")))
    journey.publish("signup", 0)
    (deferred,) = journey.decisions("send_deferred")
    assert (deferred.reason, deferred.detail) == ("timing", {"until": after(2 * HOUR_MS), "channel": "push"})


# Validation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("templates", "path", "expected"),
    [
        ({}, "", "a template for at least one of email, sms, push, social"),
        ({"mail": "hello"}, ".mail", "one of email, sms, push, social"),
        ({"email": "sms_hello"}, ".email", "a template for email"),
        ({"push": "nowhere"}, ".push", "the id of a template"),
    ],
)
def test_templates_have_to_fit_their_channels(templates: Document, path: str, expected: str) -> None:
    values: list[Json] = [workflow(message(templates=templates)), HELLO, *SHORT]
    problems = validate([Written(file="w.yaml", value=value) for value in values]).problems
    assert [problem.path for problem in problems] == [f"steps[0].configuration.templates{path}"]
    assert expected in problems[0].expected


def test_spacings_are_of_channels_and_not_negative() -> None:
    value: Json = {"kind": "settings", "channel_spacing_hours": {"email": -1, "fax": 2}}
    problems = validate([Written(file="s.yaml", value=value)]).problems
    assert [problem.path for problem in problems] == ["channel_spacing_hours.email"]
    value = {"kind": "settings", "channel_spacing_hours": {"fax": 2}}
    (problem,) = validate([Written(file="s.yaml", value=value)]).problems
    assert problem.path == "channel_spacing_hours.fax"
