"""Execution keys: executions side by side, one for each order, and what concerns them."""

import pytest

from journeys.keys import MAX_KEYS, SEPARATOR
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS
from tests.journey import Document, Journey, after, is_, mail, trigger, until_event, wait, workflow

KEY = "event.properties.order_id"
PLACED = [trigger("order_placed")]


def keys(journey: Journey) -> list[str | None]:
    return [execution.key for execution in journey.customer().executions]


def keyed(*steps: Document, **settings: Json) -> Document:
    return workflow(*(steps or (until_event("u", "shipped"),)), on=PLACED, execution_key=KEY, **settings)  # type: ignore[arg-type]


def test_one_execution_runs_per_key_side_by_side() -> None:
    journey = Journey(keyed())
    for number, order in enumerate(("one", "two", "one", "three")):
        journey.publish("order_placed", number, order_id=order)
    assert keys(journey) == ["one", "two", "three"]
    assert journey.reasons("trigger_refused") == ["already_active"]
    assert len({one.execution_id for one in journey.decisions("execution_started")}) == 3


def test_the_start_says_its_key_and_conditions_can_read_it() -> None:
    by_key = mail("mail", when=is_("execution.execution_key", "eq", "one"))
    journey = Journey(keyed(by_key))
    journey.publish("order_placed", order_id="one")
    journey.publish("order_placed", 1, order_id="two")
    assert [one.detail for one in journey.decisions("execution_started")] == [
        {"execution_key": "one"},
        {"execution_key": "two"},
    ]
    assert len(journey.sends()) == 1


@pytest.mark.parametrize(
    "properties", [{}, {"order_id": None}, {"order_id": ""}, {"order_id": []}, {"order_id": "x" * 256}]
)
def test_an_event_without_a_key_starts_nothing(properties: Document) -> None:
    journey = Journey(keyed())
    journey.publish("order_placed", envelope={"properties": properties})
    assert journey.reasons("trigger_refused") == ["no_key"]


@pytest.mark.parametrize(
    ("first", "second", "same"), [("7", 7, True), (7, 7.0, True), (7.5, "7.5", True), (7, 8, False)]
)
def test_a_key_is_its_text(first: Json, second: Json, same: bool) -> None:  # noqa: FBT001
    journey = Journey(keyed())
    journey.publish("order_placed", order_id=first)
    journey.publish("order_placed", 1, order_id=second)
    assert len(journey.customer().executions) == (1 if same else 2)


def test_waits_end_only_with_events_of_their_key() -> None:
    journey = Journey(keyed(until_event("u", "shipped", "mail"), mail()))
    journey.publish("order_placed", order_id="one")
    journey.publish("order_placed", 1, order_id="two")
    journey.publish("shipped", 2)
    journey.publish("shipped", 3, order_id="three")
    assert journey.sends() == []
    journey.publish("shipped", 4, order_id="two")
    assert keys(journey) == ["one"]


def test_goals_and_exit_conditions_look_only_at_events_of_their_key() -> None:
    journey = Journey(
        keyed(goal={"event_type": "paid"}, exit_conditions=[is_("event.type", "eq", "cancelled")]),
    )
    for number, order in enumerate(("one", "two", "three")):
        journey.publish("order_placed", number, order_id=order)
    journey.publish("paid", 4)
    journey.publish("cancelled", 5, order_id="four")
    assert keys(journey) == ["one", "two", "three"]
    journey.publish("paid", 6, order_id="two")
    journey.publish("cancelled", 7, order_id="one")
    assert keys(journey) == ["three"]
    assert journey.reasons("execution_ended") == ["goal", "exit_condition"]


def test_a_goal_after_the_end_counts_only_for_its_key() -> None:
    journey = Journey(keyed(mail(), goal={"event_type": "paid"}, attribution_window_hours=24))
    journey.publish("order_placed", order_id="one")
    journey.publish("order_placed", 1, order_id="two")
    journey.publish("paid", 2)
    journey.publish("paid", 3, order_id="two")
    ids = [one.execution_id for one in journey.decisions("execution_started")]
    assert [one.execution_id for one in journey.decisions("conversion")] == ids[1:]


def test_a_message_that_lacks_data_takes_it_from_an_event_without_the_key() -> None:
    journey = Journey(keyed(mail()), email=None)
    journey.publish("order_placed", order_id="one")
    journey.publish("customer_updated", 1, email="ada@shop.example")
    assert journey.sent_at() == [after(1)]


def test_re_entry_is_per_key_and_the_cooldown_the_customers() -> None:
    journey = Journey(keyed(mail(), re_entry={"after_hours": 24}))
    journey.publish("order_placed", order_id="one")
    journey.publish("order_placed", HOUR_MS, order_id="two")
    journey.publish("order_placed", DAY_MS, order_id="one")
    journey.publish("order_placed", DAY_MS + 1, order_id="two")
    assert [one.at for one in journey.decisions("execution_started")] == [after(at) for at in (0, HOUR_MS, DAY_MS)]
    assert journey.reasons("trigger_refused") == ["re_entry"]
    cooling = Journey(workflow(mail(), on=[trigger("order_placed", cooldown_hours=1)], execution_key=KEY))
    cooling.publish("order_placed", order_id="one")
    cooling.publish("order_placed", 1, order_id="two")
    assert cooling.reasons("trigger_refused") == ["cooldown"]


def test_the_key_that_ended_first_is_forgotten_beyond_the_bound_and_that_is_said() -> None:
    journey = Journey(keyed(mail()))
    for number in range(MAX_KEYS + 1):
        journey.publish("order_placed", number, order_id=number)
    assert len(journey.customer().ended) == MAX_KEYS
    assert [(one.reason, one.detail) for one in journey.decisions("bound_reached")] == [
        ("execution_keys", {"forgotten": "0", "workflow_id": "w"})
    ]
    journey.publish("order_placed", MAX_KEYS + 1, order_id="5")
    assert journey.reasons("trigger_refused") == ["re_entry"]
    journey.publish("order_placed", MAX_KEYS + 2, order_id="0")
    assert journey.started() == MAX_KEYS + 2


def test_a_key_that_is_known_or_under_way_makes_nobody_be_forgotten() -> None:
    """Keys of executions that run count, and so do those of other workflows; a known one needs no room."""
    kept = keyed(until_event("u", "shipped"), re_entry={})
    other = {**workflow(mail(), id="v", on=[trigger("paid")], execution_key=KEY), "name": "v"}
    journey = Journey(kept, other)
    for number in range(MAX_KEYS - 10):
        journey.publish("order_placed", number, order_id=number)
        journey.publish("shipped", number, order_id=number)
    for number in range(9):
        journey.publish("paid", 1_000 + number, order_id=number)
    journey.publish("order_placed", 2_000, order_id="running")
    journey.publish("order_placed", 2_001, order_id="7")
    assert journey.decisions("bound_reached") == []
    journey.publish("shipped", 2_002, order_id="7")
    journey.publish("order_placed", 2_003, order_id="one more")
    assert [one.detail for one in journey.decisions("bound_reached")] == [{"forgotten": "0", "workflow_id": "w"}]


def test_absences_wait_for_each_key_alone_and_start_one_execution_each() -> None:
    absent: Document = {
        "type": "behavioral",
        "conditions": {
            "condition_type": "absence",
            "event_type": "order_placed",
            "unless_event": "paid",
            "within_minutes": 60,
        },
    }
    journey = Journey(workflow(wait("p", duration_hours=1), on=[absent], execution_key=KEY))
    for order in ("one", "two", "three"):
        journey.publish("order_placed", order_id=order)
    journey.publish("paid", 1, order_id="two")
    journey.publish("paid", 2)
    journey.advance(HOUR_MS)
    assert keys(journey) == ["one", "three"]
    assert len({execution.execution_id for execution in journey.customer().executions}) == 2


def test_true_is_the_key_true() -> None:
    journey = Journey(keyed())
    journey.publish("order_placed", order_id=True)
    journey.publish("order_placed", 1, order_id="true")
    journey.publish("order_placed", 2, order_id=False)
    assert keys(journey) == ["true", "false"]


def test_no_key_is_forgotten_while_its_execution_runs() -> None:
    journey = Journey(keyed(), max_concurrent_executions=MAX_KEYS)
    for number in range(MAX_KEYS + 1):
        journey.publish("order_placed", number, order_id=number)
    assert len(journey.customer().executions) == MAX_KEYS
    assert journey.decisions("bound_reached") == []
    assert journey.reasons("trigger_refused") == ["max_concurrent_executions"]


def test_a_key_of_which_an_execution_runs_isnt_forgotten() -> None:
    """Also where it has ended before, longest ago of all: the one after it goes."""
    journey = Journey(keyed(re_entry={"after_hours": 0}))
    for number in range(MAX_KEYS):
        journey.publish("order_placed", number, order_id=number)
        journey.publish("shipped", number, order_id=number)
    journey.publish("order_placed", HOUR_MS, order_id=0)
    journey.publish("order_placed", HOUR_MS, order_id="new")
    assert [(one.detail or {})["forgotten"] for one in journey.decisions("bound_reached")] == ["1"]
    assert keys(journey) == ["0", "new"]


def test_a_key_may_hold_what_parts_names_and_keys() -> None:
    """Where it is forgotten, it is named whole."""
    journey = Journey(keyed(mail()))
    for number in range(MAX_KEYS + 1):
        journey.publish("order_placed", number, order_id=f"a{SEPARATOR}{number}")
    assert [one.detail for one in journey.decisions("bound_reached")] == [
        {"forgotten": f"a{SEPARATOR}0", "workflow_id": "w"}
    ]
