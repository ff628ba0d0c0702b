"""The lifecycle stage: forward by rules, churned by silence, back by activity, and the word of the CRM."""

import pytest

from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, Millis
from tests.journey import (
    START,
    Document,
    Journey,
    action,
    after,
    compiled,
    is_,
    lifecycle,
    lifecycle_change,
    mail,
    segment,
    wait,
    workflow,
)

SILENCE = 90 * DAY_MS
NEVER = is_("never", "exists")


def journey(*documents: Document, stage: str = "prospect", **settings: Json) -> Journey:
    return Journey(*documents, stage=stage, **settings)  # type: ignore[arg-type]


def stages(one: Journey) -> list[tuple[str, Json]]:
    """Return when the stage changed, and to what."""
    details = [(decision.at, decision.detail or {}) for decision in one.decisions("profile_changed")]
    return [
        (at, detail["to"]) for at, detail in details if detail.get("changed") == ["lifecycle_stage"] and "to" in detail
    ]


def stage(one: Journey) -> str:
    return one.customer().lifecycle_stage


def crm(one: Journey, at: int, to: str) -> None:
    one.publish("customer_updated", at, lifecycle_stage=to)


# Forward --------------------------------------------------------------------------------------------------------


def test_a_signup_makes_a_lead_a_purchase_a_customer_and_five_an_advocate() -> None:
    one = journey()
    one.publish("page_viewed")
    assert stage(one) == "prospect"
    one.publish("signup", 1)
    for number in range(2, 7):
        one.publish("order_completed" if number % 2 else "purchase", number)
    assert stages(one) == [(after(1), "lead"), (after(2), "customer"), (after(6), "advocate")]


def test_stages_move_forward_only() -> None:
    one = journey()
    one.publish("order_completed")
    one.publish("signup", 1)
    assert stages(one) == [(after(0), "customer")]


def test_the_stage_is_settled_before_segments_executions_and_triggers_look() -> None:
    is_customer = is_("lifecycle_stage", "eq", "customer")
    one = journey(
        segment("c", is_customer),
        workflow(mail(when={"operator": "in_segment", "value": "c"}), on=[lifecycle_change(where=is_customer)]),
    )
    one.publish("order_completed")
    assert one.customer().segments == ["c"]
    assert len(one.sends()) == 1


# Churned --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "expected"), [(SILENCE - 1, "lead"), (SILENCE, "churned"), (SILENCE + 1, "churned")])
def test_ninety_days_without_activity_make_churned(at: int, expected: str) -> None:
    one = journey()
    one.publish("signup")
    assert one.deadline() == SILENCE
    one.advance(to=at)
    assert stage(one) == expected
    assert stages(one)[1:] == ([(after(SILENCE), "churned")] if expected == "churned" else [])


def test_only_activity_puts_the_silence_off() -> None:
    one = journey()
    one.publish("signup")
    one.publish("email_delivered", DAY_MS)
    one.publish("customer_updated", 2 * DAY_MS, attributes={"a": 1})
    one.publish("email_opened", 3 * DAY_MS)
    assert one.deadline() == 3 * DAY_MS + SILENCE


def test_activity_at_the_very_instant_comes_after_the_silence() -> None:
    one = journey(stage="customer")
    one.publish("page_viewed")
    one.publish("page_viewed", SILENCE)
    assert stages(one) == [(after(SILENCE), "churned"), (after(SILENCE), "prospect")]


def test_activity_brings_back_the_stage_that_the_rules_give() -> None:
    one = journey()
    one.publish("order_completed")
    one.advance(to=100 * DAY_MS)
    one.publish("customer_updated", 100 * DAY_MS, attributes={"a": 1})
    assert stage(one) == "churned"
    one.publish("email_clicked", 101 * DAY_MS)
    assert stages(one) == [(after(0), "customer"), (after(SILENCE), "churned"), (after(101 * DAY_MS), "customer")]
    assert one.deadline() == 101 * DAY_MS + SILENCE


def test_a_late_event_from_before_the_silence_brings_nobody_back() -> None:
    one = journey()
    one.publish("signup")
    one.advance(to=100 * DAY_MS)
    one.publish("order_completed", -DAY_MS, arrives=100 * DAY_MS)
    assert stage(one) == "churned"
    one.publish("page_viewed", 100 * DAY_MS)
    assert stage(one) == "customer"


@pytest.mark.parametrize(("age", "expected"), [(SILENCE - 1, "lead"), (SILENCE, "churned")])
def test_whose_only_activity_comes_too_late_has_churned_already(age: int, expected: str) -> None:
    one = journey()
    one.publish("signup", -age, arrives=0)
    assert stage(one) == expected


# The CRM --------------------------------------------------------------------------------------------------------


def test_the_crm_sets_the_stage_and_rules_move_it_on_when_something_they_read_changes() -> None:
    one = journey()
    one.publish("order_completed")
    crm(one, 1, "lead")
    one.publish("page_viewed", 2)
    one.publish("signup", 3)
    assert stage(one) == "lead"
    one.publish("order_completed", 4)
    assert stage(one) == "customer"
    crm(one, 5, "advocate")
    one.publish("order_completed", 6)
    assert stage(one) == "advocate"


def test_an_older_word_of_the_crm_doesnt_take_back_what_came_later() -> None:
    one = journey()
    one.publish("order_completed", 10)
    one.publish("customer_updated", 9, arrives=11, lifecycle_stage="lead")
    assert stage(one) == "customer"
    one.publish("customer_updated", 10, arrives=12, lifecycle_stage="lead")
    assert stage(one) == "lead"


@pytest.mark.parametrize(
    ("occurred", "expected"), [(HOUR_MS - 1, "lead"), (HOUR_MS, "customer"), (HOUR_MS + 1, "customer")]
)
def test_a_late_purchase_from_before_the_crms_word_moves_nobody_past_it(occurred: Millis, expected: str) -> None:
    one = journey()
    crm(one, HOUR_MS, "lead")
    one.publish("order_completed", occurred, arrives=2 * HOUR_MS)
    assert stage(one) == expected
    one.publish("order_completed", 3 * HOUR_MS)
    assert stage(one) == "customer"


def test_late_activity_from_before_the_crm_called_her_churned_doesnt_bring_her_back() -> None:
    one = journey()
    one.publish("page_viewed", 0)
    crm(one, HOUR_MS, "churned")
    one.publish("page_viewed", 1, arrives=2 * HOUR_MS)
    assert stage(one) == "churned"
    one.publish("page_viewed", 2 * HOUR_MS)
    assert stage(one) == "prospect"


def test_behind_a_move_by_rules_late_events_from_before_the_crms_word_count_again() -> None:
    one = journey()
    crm(one, HOUR_MS, "lead")
    for number in range(4):
        one.publish("order_completed", 2 * HOUR_MS + number)
    one.publish("order_completed", 1, arrives=3 * HOUR_MS)
    assert stage(one) == "advocate"


def test_when_a_rule_can_come_true_is_known_though_the_event_moves_nothing() -> None:
    """A late purchase from before the CRM's word counts for the time at which a rule will hold."""
    one = journey(lifecycle(advocate=is_("last.purchase", "not_within_hours", 5)))
    crm(one, HOUR_MS, "lead")
    one.publish("purchase", 1, arrives=2 * HOUR_MS)
    one.advance(to=5 * HOUR_MS)
    assert stage(one) == "lead"
    one.advance(to=5 * HOUR_MS + 2)
    assert stage(one) == "advocate"


def test_the_word_of_the_crm_stands_after_a_silence() -> None:
    one = journey()
    one.publish("signup")
    one.advance(to=100 * DAY_MS)
    crm(one, 100 * DAY_MS, "advocate")
    assert one.deadline() is None
    one.advance(to=300 * DAY_MS)
    assert stage(one) == "advocate"
    one.publish("page_viewed", 300 * DAY_MS)
    assert (stage(one), one.deadline()) == ("advocate", 300 * DAY_MS + SILENCE)


def test_whom_the_crm_calls_churned_comes_back_by_activity() -> None:
    one = journey()
    one.publish("signup")
    crm(one, 1, "churned")
    one.publish("email_delivered", 2)
    assert (stage(one), one.deadline()) == ("churned", None)
    one.publish("page_viewed", 3)
    assert stage(one) == "lead"


# Rules of one's own ---------------------------------------------------------------------------------------------


def test_rules_replace_the_default_of_their_stage_alone() -> None:
    one = journey(lifecycle(customer=is_("plan", "eq", "pro")))
    one.publish("signup")
    one.publish("order_completed", 1)
    assert stage(one) == "lead"
    one.publish("customer_updated", 2, attributes={"plan": "pro"})
    assert stage(one) == "customer"
    assert one.deadline() == 1 + SILENCE


def test_of_several_rules_for_a_stage_any_is_enough() -> None:
    rules: list[Json] = [{"stage": "lead", "when": is_(name, "exists")} for name in ("a", "b")]
    one = journey({"kind": "lifecycle", "rules": rules})
    one.publish("customer_updated", attributes={"b": 1})
    assert stage(one) == "lead"


def test_time_alone_can_make_a_rule_true() -> None:
    one = journey(lifecycle(advocate=is_("first_seen", "not_within_hours", 24)))
    one.publish("page_viewed")
    assert one.deadline() == DAY_MS + 1
    one.advance(to=10 * DAY_MS)
    assert stages(one) == [(after(DAY_MS + 1), "advocate")]


def test_a_rule_for_churned_takes_the_place_of_the_ninety_days() -> None:
    one = journey(lifecycle(churned=is_("last_activity", "not_within_hours", 24)))
    one.publish("signup")
    assert one.deadline() == DAY_MS + 1
    one.advance(to=200 * DAY_MS)
    assert stages(one)[1:] == [(after(DAY_MS + 1), "churned")]
    one.publish("page_viewed", 200 * DAY_MS)
    one.advance(to=300 * DAY_MS)
    assert stages(one)[2:] == [(after(200 * DAY_MS), "lead"), (after(201 * DAY_MS + 1), "churned")]


def test_a_rule_for_churned_that_still_holds_keeps_her_there() -> None:
    one = journey(lifecycle(churned=is_("cancelled", "eq", value=True)))
    one.publish("customer_updated", attributes={"cancelled": True})
    one.publish("page_viewed", 1)
    assert stage(one) == "churned"
    one.publish("customer_updated", 2, attributes={"cancelled": False})
    assert stage(one) == "churned"
    one.publish("page_viewed", 3)
    assert stage(one) == "prospect"


def test_a_rule_may_ask_for_a_segment_without_a_condition() -> None:
    one = journey(lifecycle(advocate={"operator": "in_segment", "value": "vip"}))
    one.publish("segment_entered", segment_id="vip")
    assert stage(one) == "advocate"


def test_an_action_can_move_the_stage() -> None:
    steps = [action("set", "update_attributes", attributes={"plan": "pro"})]
    one = journey(lifecycle(customer=is_("plan", "eq", "pro")), workflow(*steps))
    one.publish("signup")
    assert stages(one) == [(after(0), "lead"), (after(0), "customer")]


def test_new_rules_move_those_who_were_there_without_firing() -> None:
    rules = lifecycle(advocate=is_("plan", "eq", "pro"), lead=NEVER)
    starting = workflow(on=[lifecycle_change()])
    one = journey(starting)
    one.publish("customer_updated", attributes={"plan": "pro"})
    one.engine.switch(compiled(rules, starting, number=2), START + HOUR_MS)
    one.advance(to=DAY_MS)
    assert stage(one) == "advocate"
    assert one.started() == 0


# The trigger ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ["lead", "customer", "churned", "customer", "lead"]),
        ({"to": "customer"}, ["customer", "customer"]),
        ({"from": "churned"}, ["customer"]),
        ({"from": "customer", "to": "churned"}, ["churned"]),
        ({"from": "lead", "to": "churned"}, []),
    ],
)
def test_a_change_of_the_stage_fires(conditions: Document, expected: list[str]) -> None:
    one = journey(workflow(on=[lifecycle_change(**conditions)], allow_multiple_executions=True))
    one.publish("signup")
    one.publish("order_completed", 1)
    one.publish("page_viewed", 2 * SILENCE)
    crm(one, 2 * SILENCE + 1, "lead")
    assert [(fired.detail or {})["to"] for fired in one.decisions("trigger_fired")] == expected


def test_the_stage_of_a_churned_customer_wins_her_back() -> None:
    """The journey everybody wants first: 90 days of silence start a mail, activity ends in another stage."""
    one = journey(workflow(wait("p", "mail", duration_hours=1), mail("mail"), on=[lifecycle_change(to="churned")]))
    one.publish("order_completed")
    one.advance(to=SILENCE + HOUR_MS)
    assert one.sent_at() == [after(SILENCE + HOUR_MS)]


def test_a_rule_that_time_makes_true_doesnt_bring_back_who_has_churned() -> None:
    """Activity does; time alone only takes her further away."""
    journey = Journey(lifecycle(advocate=is_("last.signup", "not_within_hours", 24 * 100)), stage="prospect")
    journey.publish("signup")
    journey.advance(to=95 * DAY_MS)
    assert journey.customer().lifecycle_stage == "churned"
    journey.advance(to=101 * DAY_MS)
    assert journey.customer().lifecycle_stage == "churned"
    journey.publish("page_viewed", 102 * DAY_MS)
    assert journey.customer().lifecycle_stage == "advocate"
