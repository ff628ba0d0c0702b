"""How an execution moves: waits and their ends, side by side and breadth first, loops, expiry."""

from typing import get_args

import pytest

from schemas.customer import STEP_TYPES
from schemas.definitions import Step
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import (
    Document,
    Journey,
    action,
    after,
    compiled,
    decision,
    is_,
    mail,
    step,
    until_event,
    wait,
    workflow,
)


@pytest.mark.parametrize(("to", "sent"), [(HOUR_MS - 1, 0), (HOUR_MS, 1)])
def test_a_fixed_wait_is_over_after_exactly_its_durations(to: Millis, sent: int) -> None:
    journey = Journey(workflow(wait("p", "mail", duration_minutes=30, duration_hours=0.5), mail()))
    journey.publish("signup")
    journey.advance(to)
    assert journey.sent_at() == [after(HOUR_MS)] * sent


def test_a_wait_ends_at_its_instant_however_late_time_comes_by() -> None:
    journey = Journey(workflow(wait("p", "mail", duration_hours=1), mail()))
    journey.publish("signup")
    journey.advance(30 * DAY_MS - 1)
    assert journey.sent_at() == [after(HOUR_MS)]


def test_the_next_occurrence_of_a_time_is_strictly_after_now() -> None:
    until = step("p", "wait", ["mail"], {"type": "until_time", "target_time": "09:00"})
    journey = Journey(workflow(until, mail()))
    journey.publish("signup")
    journey.advance(2 * DAY_MS)
    assert journey.sent_at() == [after(DAY_MS)]


@pytest.mark.parametrize(
    ("date", "at"),
    [("2025-12-31", 0), ("2026-01-01", 0), ("2026-01-02", 15 * HOUR_MS), ("2026-01-01T09:00:00.001Z", 1)],
)
def test_a_wait_for_a_date_ends_at_its_first_instant_and_at_once_for_a_past_one(date: str, at: Millis) -> None:
    until = step("p", "wait", ["mail"], {"type": "until_date", "target_date": date})
    journey = Journey(workflow(until, mail()))
    journey.publish("signup")
    journey.advance(2 * DAY_MS)
    assert journey.sent_at() == [after(at)]


def test_local_times_are_the_customers_then_the_workflows_then_the_default() -> None:
    until = step("p", "wait", ["mail"], {"type": "until_time", "target_time": "12:00"})
    one = workflow(until, mail(), timezone="Europe/Berlin")
    journey = Journey(one, default_timezone="America/New_York")
    journey.publish("customer_updated", preferences={"timezone": "Asia/Kathmandu"})
    journey.publish("signup")
    journey.publish("signup", customer="bob")
    journey.advance(DAY_MS)
    sent = {send.customer_id: send.send_at for send in journey.sends()}
    # 12:00 in Berlin is 11:00 UTC; in Kathmandu it is already past, the next is 06:15 UTC.
    assert sent == {"bob": after(2 * HOUR_MS), "ada": after(21 * HOUR_MS + 15 * MINUTE_MS)}


# until_event -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "ended"), [(HOUR_MS - 1, False), (HOUR_MS, True), (HOUR_MS + 1, True)])
def test_an_event_counts_that_occurred_at_or_after_the_step_began(at: Millis, ended: bool) -> None:  # noqa: FBT001
    journey = Journey(workflow(wait("p", "u", duration_hours=1), until_event("u", "go", "mail"), mail()))
    journey.publish("signup")
    journey.advance(2 * HOUR_MS)
    journey.publish("go", at, arrives=3 * HOUR_MS)
    assert len(journey.sends()) == ended


def test_a_timeout_goes_to_its_step_or_on_without_one() -> None:
    elsewhere = until_event("u", "go", "mail", timeout_hours=1, timeout_next_step="late")
    journey = Journey(
        workflow(elsewhere, mail(), mail("late")),
        workflow(until_event("u", "go", "on", timeout_hours=1), mail("on"), id="v"),
    )
    journey.publish("signup")
    journey.advance(HOUR_MS)
    assert [send.step_id for send in journey.sends()] == ["late", "on"]


def test_without_a_timeout_a_wait_for_an_event_ends_with_the_execution() -> None:
    journey = Journey(workflow(until_event("u", "go", "mail"), mail(), max_execution_time_days=2))
    journey.publish("signup")
    journey.advance(2 * DAY_MS)
    assert journey.reasons("execution_ended") == ["expired"]


def test_a_waits_where_looks_at_the_event_and_at_the_execution() -> None:
    where: Document = {"all": [is_("event.total", "gt", 5), is_("trigger.total", "eq", 1)]}
    journey = Journey(workflow(until_event("u", "go", "mail", where=where), mail()))
    journey.publish("signup", total=1)
    journey.publish("go", 1, total=5)
    journey.publish("go", 2, total=6)
    assert journey.sent_at() == [after(2)]


# Paths -----------------------------------------------------------------------------------------------------------


def test_steps_that_follow_at_once_run_breadth_first_in_listed_order() -> None:
    def pass_on(name: str, *then: str) -> Document:
        return action(name, "add_to_segment", *then, segment_id="vip")

    steps = [pass_on("a", "b", "c"), pass_on("b", "d"), pass_on("c", "e"), pass_on("d"), pass_on("e")]
    journey = Journey(workflow(*steps))
    journey.publish("signup")
    assert journey.path() == ["a", "b", "c", "d", "e"]


def test_an_execution_ends_when_all_branches_have() -> None:
    steps = [
        action("a", "add_to_segment", "p", "q", segment_id="vip"),
        wait("p", duration_hours=1),
        wait("q", duration_hours=2),
    ]
    journey = Journey(workflow(*steps))
    journey.publish("signup")
    journey.advance(5 * HOUR_MS)
    assert [(one.at, one.reason) for one in journey.decisions("execution_ended")] == [(after(2 * HOUR_MS), "completed")]


def test_a_step_that_two_branches_reach_runs_once_per_branch_under_ids_of_its_own() -> None:
    fork = action("a", "add_to_segment", "p", "q", segment_id="vip")
    journey = Journey(workflow(fork, wait("p", "m", duration_hours=1), wait("q", "m", duration_hours=1), mail("m")))
    journey.publish("signup")
    journey.advance(HOUR_MS)
    assert [(one.detail or {})["visit"] for one in journey.decisions("step_completed") if one.step_id == "m"] == [1, 2]
    assert len({send.send_id for send in journey.sends()}) == 2


def test_a_message_ends_its_step_only_when_it_is_out() -> None:
    later: Document = {"send_immediately": True, "delay_hours": 1}
    journey = Journey(workflow(mail("one", "two", timing=later), mail("two")))
    journey.publish("signup")
    assert journey.path() == []
    journey.advance(HOUR_MS)
    assert journey.sent_at() == [after(HOUR_MS), after(HOUR_MS)]


def test_a_step_is_skipped_where_its_logic_does_not_hold_and_its_next_steps_follow() -> None:
    journey = Journey(workflow(mail("a", "b", when=is_("plan", "eq", "pro")), mail("b")))
    journey.publish("signup")
    assert [((one.detail or {})["result"], one.step_id) for one in journey.decisions("step_completed")] == [
        ("skipped", "a"),
        ("sent", "b"),
    ]


def test_an_exit_ends_all_branches() -> None:
    steps = [
        action("a", "add_to_segment", "p", "x", "m", segment_id="vip"),
        wait("p", duration_hours=1),
        action("x", "exit"),
        mail("m"),
    ]
    journey = Journey(workflow(*steps))
    journey.publish("signup")
    assert journey.reasons("execution_ended") == ["exit"]
    assert journey.sends() == []
    assert journey.customer().executions == []


def test_a_loop_goes_round_until_the_execution_expires() -> None:
    journey = Journey(workflow(mail("m", "p"), wait("p", "m", duration_days=1), max_execution_time_days=3))
    journey.publish("signup")
    journey.advance(10 * DAY_MS)
    assert journey.sent_at() == [after(day * DAY_MS) for day in (0, 1, 2)]
    assert [(one.at, one.reason) for one in journey.decisions("execution_ended")] == [(after(3 * DAY_MS), "expired")]


@pytest.mark.parametrize(("doublings", "reason"), [(9, "completed"), (10, "error")])
def test_a_step_entered_for_the_1000th_time_within_one_instant_ends_the_execution(doublings: int, reason: str) -> None:
    """Each fork leads to the next one twice, so the last step is entered 2 to the power of their number times."""

    def pass_on(name: str, *then: str) -> Document:
        return action(name, "add_to_segment", *then, segment_id="vip")

    steps: list[Document] = []
    for number in range(doublings):
        steps += [
            pass_on(f"f{number}", f"l{number}", f"r{number}"),
            pass_on(f"l{number}", f"f{number + 1}"),
            pass_on(f"r{number}", f"f{number + 1}"),
        ]
    journey = Journey(workflow(*steps, pass_on(f"f{doublings}")))
    journey.publish("signup")
    ended = journey.decisions("execution_ended")[0]
    assert ended.reason == reason
    if reason == "error":
        assert (ended.detail or {})["reason"] == "loop"
        assert journey.path().count(f"f{doublings}") == 999
    assert journey.customer().executions == []


@pytest.mark.parametrize(("turns", "active"), [(998, 1), (999, 0)])
def test_a_loop_that_events_of_one_instant_turn_ends_with_the_1000th_entry(turns: int, active: int) -> None:
    journey = Journey(workflow(until_event("u", "go", "u")))
    journey.publish("signup")
    for _ in range(turns):
        journey.publish("go")
    assert len(journey.customer().executions) == active
    if not active:
        detail = journey.decisions("execution_ended")[0].detail
        assert detail == {"reason": "loop", "step_id": "u"}


def test_entries_of_another_instant_are_counted_anew() -> None:
    journey = Journey(workflow(until_event("u", "go", "u")))
    journey.publish("signup")
    for number in range(1_500):
        journey.publish("go", number // 900)
    assert len(journey.customer().executions) == 1


def test_an_execution_whose_branches_multiply_ends_with_the_201st_open_one() -> None:
    journey = Journey(workflow(wait("p", "p", "p", duration_hours=1)))
    journey.publish("signup")
    journey.advance(7 * HOUR_MS)
    assert len(journey.customer().executions[0].branches) == 128
    journey.advance(8 * HOUR_MS)
    ended = journey.decisions("execution_ended")[0]
    assert (ended.reason, ended.detail) == ("error", {"reason": "branches", "step_id": "p"})


@pytest.mark.parametrize(("to", "reason"), [(2 * DAY_MS - 1, []), (2 * DAY_MS, ["expired"])])
def test_an_execution_expires_at_exactly_its_longest_time(to: Millis, reason: list[str]) -> None:
    journey = Journey(workflow(until_event("u", "go"), max_execution_time_days=2))
    journey.publish("signup")
    journey.advance(to)
    assert journey.reasons("execution_ended") == reason


def test_at_its_expiry_an_execution_sends_nothing_more() -> None:
    journey = Journey(workflow(wait("p", "mail", duration_days=2), mail(), max_execution_time_days=2))
    journey.publish("signup")
    journey.advance(3 * DAY_MS)
    assert journey.sends() == []
    assert journey.reasons("execution_ended") == ["expired"]


def test_every_step_leaves_an_entry_with_when_it_was_entered_and_left() -> None:
    journey = Journey(workflow(wait("p", "u", duration_hours=1), until_event("u", "go", "v"), until_event("v", "go")))
    journey.publish("signup")
    journey.publish("go", 2 * HOUR_MS)
    history = journey.customer().executions[0].history
    told = [(entry.step_id, STEP_TYPES[entry.kind], entry.entered_after, entry.took, entry.result) for entry in history]
    assert told == [("p", "wait", 0, HOUR_MS, "elapsed"), ("u", "wait", HOUR_MS, HOUR_MS, "event")]


def test_every_type_of_step_has_a_number_in_histories() -> None:
    assert set(STEP_TYPES) == {each.__struct_config__.tag for each in get_args(Step)}


def test_the_history_of_a_long_loop_is_bounded() -> None:
    journey = Journey(workflow(wait("p", "p2", duration_hours=1), wait("p2", "p", duration_hours=1)))
    journey.publish("signup")
    journey.advance(20 * DAY_MS)
    assert len(journey.customer().executions[0].history) == 100


def test_an_ended_execution_leaves_a_summary() -> None:
    journey = Journey(workflow(mail("m", "p"), wait("p", duration_hours=1)))
    journey.publish("signup")
    journey.advance(HOUR_MS)
    ended = journey.customer().ended["w"]
    assert (ended.reason, ended.ended_at - ended.started_at, ended.last_send_at) == (
        "completed",
        HOUR_MS,
        ended.started_at,
    )


def test_a_decision_without_a_matching_branch_or_default_ends_the_path() -> None:
    rules: list[Json] = [{"rule": is_("plan", "eq", "pro"), "next_step": "mail"}]
    journey = Journey(workflow(decision("d", "condition", conditions=rules), mail()))
    journey.publish("signup")
    assert journey.reasons("execution_ended") == ["completed"]
    assert (journey.decisions("step_completed")[0].detail or {})["result"] == "none"


# Versions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("versions", [2, 3])
def test_what_an_execution_counts_goes_on_being_counted_under_later_definitions(versions: int) -> None:
    """It runs to its end on its version: a `performed` that later versions don't know is remembered for it."""
    seen: Document = {
        "operator": "performed",
        "value": {"event_type": "page_viewed", "min_count": 2, "within_hours": 24},
    }
    ways: list[Json] = [{"rule": seen, "next_step": "mail"}]
    choice = decision("choice", "condition", conditions=ways)
    old = compiled(workflow(wait("first", "choice", duration_days=2), choice, mail()))
    known = {1: old}
    journey = Journey()
    journey.engine.switch(old)
    journey.publish("signup")
    for number in range(2, versions + 1):
        known[number] = compiled(workflow(mail()), number=number, predecessors=dict(known))
        journey.engine.switch(known[number])
    for hour in (30, 31):
        journey.publish("page_viewed", hour * HOUR_MS)
    journey.advance(to=2 * DAY_MS)
    assert [(send.step_id, send.workflow_version) for send in journey.sends()] == [("mail", 1)]
