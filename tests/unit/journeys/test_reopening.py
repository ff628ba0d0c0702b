"""Late events and decisions that have been passed: what is reopened, what is only told, and what neither."""

import msgspec
import pytest

from schemas.customer import MAX_PASSED, MAX_SETTLED
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import (
    Document,
    Journey,
    action,
    after,
    decision,
    is_,
    mail,
    segment,
    step,
    until_event,
    wait,
    workflow,
)

OPENED: Document = is_("last_engagement", "within_hours", 48)


def branch(rule: Document, *, name: str = "choice", yes: str = "yes", no: str | None = "no") -> Document:
    ways: list[Json] = [{"rule": rule, "next_step": yes}]
    return decision(name, "condition", conditions=ways, default_next_step=no)


def choosing(rule: Document = OPENED, settings: Document | None = None) -> Journey:
    """Decide an hour after the signup; each way waits a day before its mail."""
    steps = (wait("first", "choice", duration_hours=1), branch(rule))
    ways = (wait("yes", "glad", duration_days=1), wait("no", "sorry", duration_days=1), mail("glad"), mail("sorry"))
    journey = Journey(workflow(*steps, *ways) | {"settings": settings or {}})
    journey.publish("signup")
    journey.advance(to=HOUR_MS)
    return journey


# Going back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("occurred", "is_reopened"), [(HOUR_MS - 1, True), (HOUR_MS, False), (HOUR_MS + 1, False)])
def test_an_event_reopens_a_decision_if_it_occurred_before_it(occurred: Millis, *, is_reopened: bool) -> None:
    journey = choosing()
    journey.publish("email_opened", occurred, arrives=2 * HOUR_MS)
    assert len(journey.decisions("late_reopened")) == is_reopened
    journey.advance(to=3 * DAY_MS)
    assert [send.step_id for send in journey.sends()] == ["glad" if is_reopened else "sorry"]


def test_the_execution_goes_back_to_the_decision_and_on_from_now() -> None:
    """The branch that was taken is given up without a trace but for its entry; the other one begins now."""
    journey = choosing()
    journey.publish("email_opened", MINUTE_MS, arrives=2 * HOUR_MS, event_id="late")
    (reopened,) = journey.decisions("late_reopened")
    assert reopened.step_id == "choice"
    assert reopened.detail == {
        "event_id": "late",
        "occurred_at": after(MINUTE_MS),
        "decided_at": after(HOUR_MS),
        "visit": 1,
        "was": "no",
        "next": "yes",
        "left": ["no"],
    }
    (execution,) = journey.customer().executions
    assert [visit.step_id for visit in execution.branches] == ["yes"]
    assert [(entry.step_id, entry.result) for entry in execution.history] == [
        ("first", "elapsed"),
        ("choice", "default"),
        ("no", "late_reopened"),
        ("choice", "matched"),
    ]
    journey.advance(to=3 * DAY_MS)
    assert journey.sent_at() == [after(DAY_MS + 2 * HOUR_MS)]


def test_what_happened_behind_the_decision_is_not_seen_by_it() -> None:
    """An event in time, behind the decision, is known; a late one that changes nothing must not let it count."""
    journey = choosing()
    journey.publish("email_opened", 90 * MINUTE_MS)
    journey.publish("page_viewed", MINUTE_MS, arrives=2 * HOUR_MS)
    assert not journey.decisions("late_reopened")


def test_late_events_add_up() -> None:
    journey = choosing(is_("counts.page_viewed", "gte", 3))
    journey.publish("page_viewed", 70 * MINUTE_MS)
    for number in range(3):
        assert not journey.decisions("late_reopened")
        journey.publish("page_viewed", number, arrives=2 * HOUR_MS + number)
    assert len(journey.decisions("late_reopened")) == 1


def test_a_decision_can_be_reopened_more_than_once() -> None:
    """Each late event is looked at as of the decision, also when it has been reopened."""
    even: Document = {"any": [is_("counts.a", "eq", 1), is_("counts.a", "eq", 3)]}
    journey = choosing(even)
    for number in range(3):
        journey.publish("a", number, arrives=2 * HOUR_MS + number)
    assert [one.detail and one.detail["next"] for one in journey.decisions("late_reopened")] == ["yes", "no", "yes"]
    journey.advance(to=3 * DAY_MS)
    assert [send.step_id for send in journey.sends()] == ["glad"]


@pytest.mark.parametrize(
    ("rule", "late"),
    [
        (is_("last_activity", "within_hours", 0.5), ("page_viewed", {})),
        (is_("engagement_score", "gte", 25), ("order_completed", {})),
        (is_("total_spent", "gte", 10), ("order_completed", {"total": 10})),
        (is_("counts.page_viewed", "gte", 1), ("page_viewed", {})),
        (is_("last.page_viewed", "exists"), ("page_viewed", {})),
        (is_("session.pages", "gte", 1), ("page_viewed", {})),
        (is_("plan", "eq", "pro"), ("customer_updated", {"attributes": {"plan": "pro"}})),
        (is_("attributes.plan", "eq", "pro"), ("customer_updated", {"attributes": {"plan": "pro"}})),
        (is_("preferences.color", "eq", "red"), ("customer_updated", {"preferences": {"color": "red"}})),
        (is_("phone", "exists"), ("customer_updated", {"phone": "+491"})),
        (is_("email_status", "eq", "role"), ("customer_updated", {"email": "info@shop.example"})),
        (is_("lifecycle_stage", "eq", "customer"), ("order_completed", {})),
        (is_("first_seen", "before", after(0)), ("page_viewed", {})),
        ({"operator": "in_segment", "value": "vip"}, ("segment_entered", {"segment_id": "vip"})),
        ({"operator": "in_segment", "value": "spender"}, ("order_completed", {"total": 10})),
        ({"operator": "in_segment", "value": "inner"}, ("order_completed", {"total": 10})),
        (is_("segments", "contains", "spender"), ("order_completed", {"total": 10})),
        (
            {
                "operator": "performed",
                "value": {"event_type": "a", "within_hours": 2, "where": is_("event.x", "eq", 1)},
            },
            ("a", {"x": 1}),
        ),
        ({"operator": "not_performed", "value": {"event_type": "signup", "min_count": 2}}, ("nothing", {})),
    ],
)
def test_whatever_a_decision_reads_late_events_reach_it(rule: Document, late: tuple[str, Document]) -> None:
    """Each part of the profile and of the history is as it would have been; what the rule asks afterwards is so."""
    steps = (
        wait("first", "choice", duration_hours=1),
        branch(rule),
        wait("yes", duration_days=1),
        wait("no", duration_days=1),
    )
    segments = (
        segment("spender", is_("total_spent", "gte", 10)),
        segment("inner", {"all": [{"operator": "in_segment", "value": "spender"}]}),
    )
    journey = Journey(workflow(*steps), *segments)
    in_time = Journey(workflow(*steps), *segments)
    at = -MINUTE_MS if rule.get("field") == "first_seen" else 59 * MINUTE_MS
    for one in (journey, in_time):
        one.publish("signup")
    name, properties = late
    in_time.publish(name, at, arrives=59 * MINUTE_MS, envelope={"properties": properties})
    in_time.advance(to=HOUR_MS)
    journey.advance(to=HOUR_MS)
    journey.publish(name, at, arrives=2 * HOUR_MS, envelope={"properties": properties})
    standing = [[visit.step_id for visit in one.customer().executions[0].branches] for one in (journey, in_time)]
    assert standing == [["yes"], ["yes"]]


def test_a_score_is_as_of_the_decision() -> None:
    """A threshold that the sum has come below since then was reached then."""
    thresholds: list[Json] = [{"min_score": 24.9, "next_step": "yes"}]
    choice = decision("choice", "score_based", thresholds=thresholds, default_next_step="no")
    steps = (
        wait("first", "choice", duration_hours=1),
        choice,
        wait("yes", duration_days=9),
        wait("no", duration_days=9),
    )
    journey = Journey(workflow(*steps))
    journey.publish("other")
    journey.publish("signup", 1)
    journey.advance(to=DAY_MS)
    journey.publish("order_completed", HOUR_MS, arrives=5 * DAY_MS)
    (reopened,) = journey.decisions("late_reopened")
    assert reopened.detail is not None
    assert reopened.detail["next"] == "yes"


def test_splits_keep_nothing() -> None:
    variants: list[Json] = [{"name": name, "weight": 1, "next_step": name} for name in ("yes", "no")]
    split = decision("choice", "split_test", variants=variants)
    journey = Journey(workflow(split, wait("yes", duration_days=1), wait("no", duration_days=1)))
    journey.publish("signup")
    assert not journey.customer().executions[0].passed


def test_of_decisions_in_a_row_the_first_that_differs_counts_and_those_behind_it_are_made_anew() -> None:
    steps = (
        wait("first", "outer", duration_hours=1),
        branch(is_("counts.a", "gte", 1), name="outer", yes="wait", no="inner"),
        branch(is_("counts.b", "gte", 1), name="inner", yes="yes", no="no"),
        wait("wait", "inner", duration_hours=1),
        wait("yes", duration_days=1),
        wait("no", duration_days=1),
    )
    journey = Journey(workflow(*steps))
    journey.publish("signup")
    journey.advance(to=HOUR_MS)
    journey.publish("b", 1, arrives=2 * HOUR_MS)
    assert standing(journey) == ["yes"]
    journey.publish("a", 1, arrives=3 * HOUR_MS)
    assert standing(journey) == ["wait"]
    journey.advance(to=4 * HOUR_MS)
    assert standing(journey) == ["yes"]
    reopened = [(one.step_id, one.detail and one.detail["left"]) for one in journey.decisions("late_reopened")]
    assert reopened == [("inner", ["no"]), ("outer", ["yes"])]


def test_only_the_branches_behind_the_decision_are_given_up() -> None:
    steps = (
        wait("first", "choice", "beside", duration_hours=1),
        branch(OPENED),
        wait("beside", duration_days=2),
        wait("yes", duration_days=1),
        step("no", "wait", ("left", "right"), {"type": "fixed_time", "duration_minutes": 1}),
        wait("left", duration_days=1),
        wait("right", duration_days=1),
    )
    journey = Journey(workflow(*steps))
    journey.publish("signup")
    journey.advance(to=2 * HOUR_MS)
    assert standing(journey) == ["beside", "left", "right"]
    journey.publish("email_opened", 1, arrives=2 * HOUR_MS)
    assert standing(journey) == ["beside", "yes"]


def test_a_way_that_ends_the_path_ends_the_execution() -> None:
    steps = (wait("first", "choice", duration_hours=1), branch(is_("counts.a", "eq", 0), no=None))
    journey = Journey(workflow(*steps, wait("yes", duration_days=1)))
    journey.publish("signup")
    journey.publish("a", 1, arrives=2 * HOUR_MS)
    assert journey.reasons("execution_ended") == ["completed"]


def test_a_way_that_had_ended_is_gone_back_to_while_the_execution_goes_on() -> None:
    steps = (
        wait("first", "choice", "beside", duration_hours=1),
        branch(OPENED, no=None),
        wait("beside", duration_days=2),
    )
    journey = Journey(workflow(*steps, wait("yes", duration_days=1)))
    journey.publish("signup")
    journey.publish("email_opened", 1, arrives=2 * HOUR_MS)
    assert standing(journey) == ["beside", "yes"]


def test_ways_that_meet_in_one_step_are_one_way() -> None:
    ways: list[Json] = [{"rule": OPENED, "next_step": "same"}]
    choice = decision("choice", "condition", conditions=ways, default_next_step="same")
    journey = Journey(workflow(wait("first", "choice", duration_hours=1), choice, wait("same", duration_days=1)))
    journey.publish("signup")
    journey.publish("email_opened", 1, arrives=2 * HOUR_MS)
    assert not journey.decisions("late_reopened")


def test_an_event_too_old_to_start_anything_reopens_all_the_same() -> None:
    steps = (wait("first", "choice", duration_hours=1), branch(is_("counts.a", "gte", 1)))
    journey = Journey(workflow(*steps, wait("yes", duration_days=9), wait("no", duration_days=9)))
    journey.publish("signup")
    journey.publish("a", 1, arrives=5 * DAY_MS)
    assert standing(journey) == ["yes"]


def test_a_repeated_event_reopens_nothing() -> None:
    journey = choosing(is_("counts.a", "eq", 1))
    journey.publish("a", 1, arrives=2 * HOUR_MS, event_id="same")
    assert journey.publish("a", 1, arrives=2 * HOUR_MS, event_id="same") == []


def test_goal_and_exit_go_before_reopening() -> None:
    enders: tuple[Document, ...] = ({"goal": {"event_type": "email_opened"}}, {"exit_conditions": [OPENED]})
    for settings in enders:
        journey = choosing(settings=settings)
        journey.publish("email_opened", 1, arrives=2 * HOUR_MS)
        assert not journey.decisions("late_reopened")
        assert not journey.customer().executions


def test_reopening_goes_before_waits() -> None:
    """What a branch waits for doesn't move it on any more once it is given up."""
    steps = (wait("first", "choice", duration_hours=1), branch(OPENED), until_event("no", "email_opened", "sorry"))
    journey = Journey(workflow(*steps, wait("yes", duration_days=1), mail("sorry")))
    journey.publish("signup")
    journey.publish("email_opened", HOUR_MS - 1, arrives=2 * HOUR_MS)
    assert standing(journey) == ["yes"]
    assert not journey.sends()


def test_a_paused_execution_keeps_the_other_way_for_its_release() -> None:
    journey = choosing()
    journey.command("pause", 90 * MINUTE_MS, customer="ada")
    journey.publish("email_opened", 1, arrives=2 * HOUR_MS)
    assert standing(journey) == ["yes"]
    journey.advance(to=5 * DAY_MS)
    assert not journey.sends()
    journey.command("resume", 5 * DAY_MS, customer="ada")
    journey.advance(to=6 * DAY_MS)
    assert [send.step_id for send in journey.sends()] == ["glad"]


def test_what_a_decision_saw_of_its_execution_is_as_of_then() -> None:
    """The event that ended a later wait isn't the one that the decision looked at."""
    rule: Document = {"all": [is_("execution.last_event.x", "eq", 1), is_("counts.late", "gte", 1)]}
    steps = (
        until_event("first", "a", "choice"),
        branch(rule, no="second"),
        until_event("second", "b", "no"),
        wait("no", duration_days=1),
        wait("yes", duration_days=1),
    )
    journey = Journey(workflow(*steps))
    journey.publish("signup")
    journey.publish("a", HOUR_MS, x=1)
    journey.publish("b", 2 * HOUR_MS, x=2)
    assert standing(journey) == ["no"]
    journey.publish("late", 1, arrives=3 * HOUR_MS)
    assert standing(journey) == ["yes"]


def test_decisions_to_be_reopened_are_bounded() -> None:
    """Of a loop, the newest passes can be reopened."""
    steps = (wait("again", "choice", duration_hours=1), branch(is_("counts.a", "gte", 1), yes="out", no="again"))
    journey = Journey(workflow(*steps, wait("out", duration_days=1)))
    journey.publish("signup")
    journey.advance(to=30 * HOUR_MS)
    (execution,) = journey.customer().executions
    assert len(execution.passed) == MAX_PASSED
    journey.publish("a", 1, arrives=30 * HOUR_MS)
    (reopened,) = journey.decisions("late_reopened")
    assert reopened.detail is not None
    assert reopened.detail["decided_at"] == after((30 - MAX_PASSED + 1) * HOUR_MS)


# Effects --------------------------------------------------------------------------------------------------------


EFFECTS: dict[str, Document] = {
    "mail": mail("no", "end"),
    "webhook": action("no", "trigger_webhook", "end", webhook_url="https://a.example"),
    "attributes": action("no", "update_attributes", "end", attributes={"a": 1}),
    "segment": action("no", "add_to_segment", "end", segment_id="vip"),
    "event": action("no", "send_event", "end", event_type="done"),
}


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)
def test_what_has_had_an_effect_is_told_and_not_reopened(effect: Document) -> None:
    steps = (wait("first", "choice", duration_hours=1), branch(OPENED), wait("yes", duration_days=1), effect)
    journey = Journey(workflow(*steps, wait("end", duration_days=5)))
    journey.publish("signup")
    journey.advance(to=HOUR_MS)
    journey.publish("email_opened", 1, arrives=2 * HOUR_MS, event_id="late")
    assert standing(journey) == ["end"]
    assert not journey.decisions("late_reopened")
    (told,) = journey.decisions("late_divergence")
    assert (told.step_id, told.workflow_id) == ("choice", "w")
    assert told.execution_id == journey.customer().executions[0].execution_id
    assert told.detail == {
        "event_id": "late",
        "occurred_at": after(1),
        "decided_at": after(HOUR_MS),
        "visit": 1,
        "was": "no",
        "next": "yes",
        "effect_at": after(HOUR_MS),
    }


@pytest.mark.parametrize(
    "harmless",
    [
        mail("no", "end", timing={"delay_hours": 1, "optimize": False}),
        mail("no", "end", guard=is_("plan", "eq", "pro")),
        action("no", "update_attributes", "end", attributes={"plan": None}),
    ],
)
def test_what_was_put_off_or_suppressed_or_changed_nothing_had_no_effect(harmless: Document) -> None:
    steps = (wait("first", "choice", duration_hours=1), branch(OPENED), wait("yes", duration_days=1), harmless)
    journey = Journey(workflow(*steps, wait("end", duration_days=5)))
    journey.publish("signup")
    journey.advance(to=HOUR_MS)
    journey.publish("email_opened", 1, arrives=2 * HOUR_MS - 1)
    assert standing(journey) == ["yes"]


@pytest.mark.parametrize(
    ("age", "is_told"), [(72 * HOUR_MS - 1, True), (72 * HOUR_MS, True), (72 * HOUR_MS + 1, False)]
)
def test_an_effect_is_compared_for_72_hours(age: Millis, *, is_told: bool) -> None:
    """Also behind the execution's end."""
    journey = Journey(workflow(wait("first", "choice", duration_hours=1), branch(OPENED), mail("yes"), mail("no")))
    journey.publish("signup")
    journey.advance(to=HOUR_MS)
    assert journey.reasons("execution_ended") == ["completed"]
    journey.publish("email_opened", 1, arrives=HOUR_MS + age)
    assert len(journey.decisions("late_divergence")) == is_told
    assert bool(journey.customer().settled) == is_told


def test_each_other_way_is_told_once() -> None:
    rules: list[Json] = [
        {"rule": is_("counts.a", "gte", 3), "next_step": "three"},
        {"rule": is_("counts.a", "gte", 1), "next_step": "one"},
    ]
    choice = decision("choice", "condition", conditions=rules, default_next_step="none")
    steps = (wait("first", "choice", duration_hours=1), choice, mail("one"), mail("three"), mail("none"))
    journey = Journey(workflow(*steps))
    journey.publish("signup")
    for number in range(5):
        journey.publish("a", number, arrives=2 * HOUR_MS + number)
    told = [one.detail and one.detail["next"] for one in journey.decisions("late_divergence")]
    assert told == ["one", "three"]


def test_behind_a_decision_that_would_have_been_another_none_is_told() -> None:
    steps = (
        wait("first", "outer", duration_hours=1),
        branch(OPENED, name="outer", yes="yes", no="inner"),
        branch(OPENED, name="inner", yes="yes", no="no"),
        mail("yes"),
        mail("no"),
    )
    journey = Journey(workflow(*steps))
    journey.publish("signup")
    journey.publish("email_opened", 1, arrives=2 * HOUR_MS)
    assert [one.step_id for one in journey.decisions("late_divergence")] == ["outer"]


def test_of_decisions_before_one_effect_those_before_the_event_are_not_compared() -> None:
    """What the first has decided the event couldn't change: it hadn't occurred."""
    never = is_("counts.page_viewed", "gte", 1)
    steps = (branch(never, yes="pause", no="pause"), wait("pause", "second", duration_hours=2))
    ends = (branch(never, name="second", yes="glad", no="sorry"), mail("glad"), mail("sorry"))
    journey = Journey(workflow(*steps, *ends))
    journey.publish("signup")
    journey.advance(to=2 * HOUR_MS)
    journey.publish("page_viewed", HOUR_MS, arrives=3 * HOUR_MS)
    assert [one.step_id for one in journey.decisions("late_divergence")] == ["second"]


def test_a_decision_before_an_earlier_effect_is_compared_with_those_before_a_later_one() -> None:
    """A parallel branch that decided early and acted late is found as well."""
    steps = (
        wait("first", "early", "late", duration_hours=1),
        branch(OPENED, name="early", yes="yes", no="no"),
        wait("late", "second", duration_hours=1),
        branch(OPENED, name="second", yes="yes", no="no"),
        mail("yes"),
        wait("no", "mail", duration_hours=1),
        mail("mail"),
    )
    journey = Journey(workflow(*steps))
    journey.publish("signup")
    journey.advance(to=5 * HOUR_MS)
    journey.publish("email_opened", 1, arrives=5 * HOUR_MS)
    assert [one.step_id for one in journey.decisions("late_divergence")] == ["early", "second"]


def test_what_a_decision_asked_of_the_starting_event_is_known_behind_the_end() -> None:
    rule: Document = {"all": [is_("trigger.total", "gte", 10), OPENED]}
    journey = Journey(workflow(wait("first", "choice", duration_hours=1), branch(rule), mail("yes"), mail("no")))
    journey.publish("signup", total=10)
    journey.publish("email_opened", 1, arrives=2 * HOUR_MS)
    assert len(journey.decisions("late_divergence")) == 1


def test_what_is_kept_for_comparison_is_bounded() -> None:
    again = workflow(
        branch(is_("counts.a", "gte", 1), no="no"), mail("yes"), mail("no"), allow_multiple_executions=True
    )
    journey = Journey(again)
    for number in range(MAX_SETTLED + 5):
        journey.publish("signup", number)
    assert len(journey.customer().settled) == MAX_SETTLED


def test_a_reopened_way_sends_under_an_id_of_its_own() -> None:
    """A step that is entered again is another visit."""
    even: Document = {"any": [is_("counts.a", "eq", 1), is_("counts.a", "eq", 3)]}
    steps = (
        wait("first", "choice", duration_hours=1),
        branch(even),
        mail("yes", timing={"delay_hours": 24, "optimize": False}),
    )
    journey = Journey(workflow(*steps, wait("no", duration_days=1)))
    journey.publish("signup")
    for number in range(3):
        journey.publish("a", number, arrives=2 * HOUR_MS + number)
    (visit,) = journey.customer().executions[0].branches
    assert (visit.step_id, visit.visit) == ("yes", 2)


def test_a_decision_costs_the_state_little() -> None:
    """What a decision on the last engagement takes along is less than a hundred bytes."""
    journey = choosing()
    (execution,) = journey.customer().executions
    assert len(msgspec.msgpack.encode(execution.passed)) < 100


def standing(journey: Journey) -> list[str]:
    return [visit.step_id for execution in journey.customer().executions for visit in execution.branches]
