"""Which firings start an execution: each check on its boundary, and the order of the checks."""

import pytest

from schemas.instants import DAY_MS, HOUR_MS, Millis
from tests.journey import Document, Journey, action, after, is_, mail, silence, trigger, until_event, wait, workflow


@pytest.mark.parametrize(("at", "started"), [(HOUR_MS - 1, 1), (HOUR_MS, 2), (HOUR_MS + 1, 2)])
def test_a_cooldown_is_over_when_exactly_that_much_time_has_passed(at: Millis, started: int) -> None:
    journey = Journey(workflow(on=[trigger(cooldown_hours=1)], allow_multiple_executions=True))
    journey.publish("signup")
    journey.publish("signup", at)
    assert journey.started() == started
    assert journey.reasons("trigger_refused") == ["cooldown"] * (2 - started)


def test_a_cooldown_runs_from_the_start_of_the_execution_and_not_from_a_refusal() -> None:
    journey = Journey(workflow(on=[trigger(cooldown_hours=2)], allow_multiple_executions=True))
    for hour in (0, 1, 2, 3, 4):
        journey.publish("signup", hour * HOUR_MS)
    assert [one.at for one in journey.decisions("execution_started")] == [after(h * HOUR_MS) for h in (0, 2, 4)]


def test_a_cooldown_is_the_triggers_own_and_the_customers_own() -> None:
    on = [trigger("a", cooldown_hours=24), trigger("b", cooldown_hours=24)]
    journey = Journey(workflow(on=on, allow_multiple_executions=True))
    journey.publish("a")
    journey.publish("b", 1)
    journey.publish("a", 2, customer="bob")
    assert journey.started() == 3


def test_one_started_execution_per_customer_ever_unless_re_entry_allows_another() -> None:
    journey = Journey(workflow())
    journey.publish("signup")
    journey.publish("signup", 1000 * DAY_MS)
    assert journey.reasons("trigger_refused") == ["re_entry"]


def test_a_running_execution_refuses_another_one() -> None:
    journey = Journey(workflow(wait("p", duration_hours=1), re_entry={}))
    journey.publish("signup")
    journey.publish("signup", HOUR_MS - 1)
    assert journey.reasons("trigger_refused") == ["already_active"]
    journey.publish("signup", HOUR_MS)
    assert journey.started() == 2


def test_any_number_runs_side_by_side_where_that_is_allowed() -> None:
    journey = Journey(workflow(wait("p", duration_hours=1), allow_multiple_executions=True))
    for number in range(4):
        journey.publish("signup", number)
    assert len(journey.customer().executions) == 4


@pytest.mark.parametrize(("source", "since"), [("ended", HOUR_MS), ("started", 0), ("last_send", HOUR_MS // 2)])
@pytest.mark.parametrize("past", [-1, 0, 1])
def test_re_entry_is_open_when_exactly_that_much_has_passed_since(source: str, since: Millis, past: Millis) -> None:
    path = [wait("p", "mail", duration_minutes=30), mail("mail", "q"), wait("q", duration_minutes=30)]
    journey = Journey(workflow(*path, re_entry={"from": source, "after_hours": 5}))
    journey.publish("signup")
    journey.publish("signup", since + 5 * HOUR_MS + past)
    assert journey.started() == (1 if past < 0 else 2)


def test_the_last_send_of_an_execution_without_one_is_its_end() -> None:
    rule: Document = {"from": "last_send", "after_hours": 1}
    journey = Journey(workflow(wait("p", duration_hours=1), re_entry=rule))
    journey.publish("signup")
    journey.publish("signup", 2 * HOUR_MS - 1)
    journey.publish("signup", 2 * HOUR_MS)
    assert [one.at for one in journey.decisions("execution_started")] == [after(0), after(2 * HOUR_MS)]


def test_no_more_executions_run_at_once_than_the_bound_allows() -> None:
    journey = Journey(*[workflow(until_event("u", "go"), id=name) for name in "abc"], max_concurrent_executions=2)
    journey.publish("signup")
    assert journey.reasons("trigger_refused") == ["max_concurrent_executions"]
    assert [execution.workflow_id for execution in journey.customer().executions] == ["a", "b"]


def test_the_first_check_that_fails_gives_the_reason() -> None:
    """Too old goes before cooldown, cooldown before active, active before the bound."""
    busy = workflow(until_event("u", "go"), on=[trigger(cooldown_hours=1)])
    journey = Journey(busy, max_concurrent_executions=1)
    journey.publish("signup")
    journey.publish("signup", HOUR_MS - 1)
    journey.publish("signup", -73 * HOUR_MS, arrives=HOUR_MS - 1)
    journey.publish("signup", HOUR_MS)
    assert journey.reasons("trigger_refused") == ["cooldown", "event_too_old", "already_active"]


def test_a_refusal_is_recorded_the_first_time_in_a_utc_day() -> None:
    journey = Journey(workflow())
    midnight = 15 * HOUR_MS
    for at in (0, 1, 2, midnight - 1, midnight, midnight + 1):
        journey.publish("signup", at)
    assert [one.at for one in journey.decisions("trigger_refused")] == [after(1), after(midnight)]


def test_refusals_of_other_reasons_and_triggers_are_recorded_by_themselves() -> None:
    journey = Journey(workflow(on=[trigger("a", cooldown_hours=1), trigger("b")], re_entry={"after_hours": 3}))
    journey.publish("a")
    journey.publish("a", 1)
    journey.publish("b", 2)
    journey.publish("a", 2 * HOUR_MS)
    recorded = [(one.trigger_id, one.reason) for one in journey.decisions("trigger_refused")]
    assert recorded == [("0", "cooldown"), ("1", "re_entry"), ("0", "re_entry")]


def test_a_silence_starts_one_execution_where_two_triggers_of_a_workflow_fire_at_one_instant() -> None:
    journey = Journey(workflow(on=[silence(1, id="x"), silence(1, id="y")], allow_multiple_executions=True))
    journey.publish("page_viewed")
    journey.advance(HOUR_MS)
    assert journey.started() == 1
    assert journey.reasons("trigger_refused") == ["already_active"]


def test_an_execution_that_ended_within_the_same_event_still_counts_as_the_one_it_started() -> None:
    on = [trigger(id="x"), trigger(id="y")]
    journey = Journey(workflow(action("out", "exit"), on=on, re_entry={}))
    journey.publish("signup")
    assert journey.started() == 1
    assert journey.reasons("trigger_refused") == ["already_active"]


@pytest.mark.parametrize("hours", [0, 48])
def test_an_event_that_comes_again_after_its_id_was_forgotten_starts_nothing_again(hours: int) -> None:
    """Ids are kept for a day; an execution that the event has started, running or ended last, still knows it."""
    journey = Journey(workflow(wait("p", duration_hours=hours + 1), allow_multiple_executions=True))
    for late in (0, 1):
        journey.publish("signup", event_id="e1", arrives=late * 26 * HOUR_MS)
    assert journey.started() == 1
    assert journey.reasons("trigger_refused") == ["already_active"]


def test_a_refused_re_entry_says_which_execution_stands_in_the_way_and_until_when() -> None:
    for settings, told in (({}, "ended_at"), ({"re_entry": {"after_hours": 5}}, "until")):
        journey = Journey(workflow(wait("p", duration_hours=1), **settings))  # type: ignore[arg-type]
        journey.publish("signup")
        journey.publish("signup", 2 * HOUR_MS)
        first = journey.decisions("execution_started")[0]
        (refused,) = journey.decisions("trigger_refused")
        detail = refused.detail or {}
        assert refused.reason == "re_entry"
        assert detail["last_execution_id"] == first.execution_id
        assert detail[told] == after(HOUR_MS if told == "ended_at" else 6 * HOUR_MS)


def test_a_refusal_says_what_stood_in_the_way() -> None:
    """The values of the moment, under names that stay: whoever reads decisions goes by them."""
    journey = Journey(
        workflow(wait("p", duration_hours=90), on=[trigger(cooldown_hours=2)]),
        workflow(wait("p", duration_hours=90), id="many", on=[trigger("b")], allow_multiple_executions=True),
    )
    journey.publish("signup")
    journey.publish("b", event_id="again")
    ids = [one.execution_id for one in journey.decisions("execution_started")]
    journey.publish("signup", HOUR_MS)
    journey.publish("signup", 2 * HOUR_MS)
    journey.publish("b", arrives=30 * HOUR_MS, event_id="again")
    journey.publish("signup", 31 * HOUR_MS - 72 * HOUR_MS - 1, arrives=31 * HOUR_MS)
    of_the_event = {"event_id", "event_type", "occurred_at", "confidence_score"}
    told = [
        (one.reason, {name: value for name, value in (one.detail or {}).items() if name not in of_the_event})
        for one in journey.decisions("trigger_refused")
    ]
    assert told == [
        ("cooldown", {"last_started_at": after(0), "until": after(2 * HOUR_MS)}),
        ("already_active", {"execution_id": ids[0]}),
        ("already_active", {"execution_id": ids[1], "started_by": "the same event"}),
        ("event_too_old", {"max_event_age_ms": 72 * HOUR_MS}),
    ]


def test_refusals_of_former_days_are_forgotten_and_todays_kept() -> None:
    journey = Journey(workflow(on=[trigger("a"), trigger("b")]))
    for event_type, at in (("a", 0), ("a", 1), ("b", 2), ("a", DAY_MS), ("b", DAY_MS + 1), ("b", DAY_MS + 2)):
        journey.publish(event_type, at)
        assert len(set(journey.customer().refusals.values())) <= 1
    assert sorted(journey.customer().refusals) == ["w/0:re_entry", "w/1:re_entry"]
    assert len(journey.decisions("trigger_refused")) == 4


@pytest.mark.parametrize(
    "condition",
    [
        is_("execution.workflow_id", "eq", "w"),
        is_("execution.trigger_id", "eq", "0"),
        is_("execution.execution_key", "eq", "o1"),
        is_("execution.workflow_version", "eq", 1),
        is_("execution.expires_at", "eq", after(30 * DAY_MS + 7)),
        is_("execution.started_at", "eq", after(7)),
        is_("trigger.order_id", "eq", "o1"),
        is_("event.order_id", "eq", "o1"),
    ],
)
def test_exit_conditions_see_the_execution_that_would_start(condition: Document) -> None:
    """What holds at the start refuses it, also where it is about the execution itself."""
    keyed: Document = {"execution_key": "event.properties.order_id", "exit_conditions": [condition]}
    journey = Journey(workflow(wait("p", duration_hours=1), on=[trigger("placed")], **keyed))  # type: ignore[arg-type]
    journey.publish("placed", 7, order_id="o1")
    assert journey.reasons("trigger_refused") == ["exit_condition"]
    assert journey.started() == 0
