"""Cutting a workflow out of one state, and fitting it into another."""

import pytest

from journeys.backfilling import adopt, obstacles, owned_by, slice_of
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.decisions import Decision
from schemas.definitions import Definitions
from schemas.events import Json
from schemas.instants import HOUR_MS
from schemas.staging import Staged, decode_staged, encode_staged
from tests.journey import (
    HELLO,
    START,
    Document,
    Journey,
    decision,
    frequency,
    is_,
    mail,
    sequence,
    signup,
    step,
    trigger,
    wait,
    workflow,
)

NEW = workflow(
    wait("pause", "late", duration_hours=24),
    mail("late"),
    id="new",
    on=[signup(cooldown_hours=5), frequency("page", 3, 60)],
)
OLD = workflow(wait("pause", duration_hours=48), id="old", on=[signup()])


def read(*documents: Document) -> Definitions:
    values: list[Json] = [HELLO, *documents]
    return definitions_from_documents(values)


def shadowed(*others: Document) -> Staged:
    """Return what a customer has of the new workflow an hour after a signup and two pages."""
    journey = Journey(NEW, *others)
    journey.publish("signup")
    journey.publish("page")
    journey.publish("page")
    journey.advance(to=HOUR_MS)
    whole = read(NEW, *others)
    staged = slice_of(journey.customer(), owned_by(compile_catalogue(whole, 1), whole, "new"))
    return decode_staged(encode_staged(staged))


def live(*others: Document) -> Customer:
    journey = Journey(OLD, *others)
    journey.publish("signup")
    return journey.customer()


def in_force(**settings: Json) -> Catalogue:
    return compile_catalogue(read(NEW, OLD, {"kind": "settings", **settings}), 2)


def test_an_execution_is_adopted_where_it_stands_on_the_version_in_force() -> None:
    customer = live()
    (adopted,) = adopt(customer, shadowed(), in_force(), START + HOUR_MS)
    assert isinstance(adopted, Decision)
    assert (adopted.kind, adopted.workflow_id, adopted.detail) == ("execution_adopted", "new", {"steps": ["pause"]})
    standing = {one.workflow_id: (one.version, one.branches[0].due_at) for one in customer.executions}
    assert standing == {"old": (1, START + 48 * HOUR_MS), "new": (2, START + 24 * HOUR_MS)}


def test_what_its_triggers_remember_comes_along_and_nothing_of_others() -> None:
    customer, staged = live(), shadowed(OLD)
    assert {one.workflow_id for one in staged.executions} == {"new"}
    assert list(staged.cooldowns) == ["new/0"]
    adopt(customer, staged, in_force(), START + HOUR_MS)
    assert customer.cooldowns == {"new/0": START}
    assert [len(instants) for instants in customer.windows.values()] == [2]


def test_adopting_twice_is_adopting_once() -> None:
    customer = live()
    adopt(customer, shadowed(), in_force(), START + HOUR_MS)
    assert adopt(customer, shadowed(), in_force(), START + 2 * HOUR_MS) == []
    assert len(customer.executions) == 2


def test_where_there_is_no_room_an_execution_is_left_out_and_said() -> None:
    customer = live()
    (refused,) = adopt(customer, shadowed(), in_force(max_concurrent_executions=1), START + HOUR_MS)
    assert isinstance(refused, Decision)
    assert (refused.kind, refused.reason) == ("bound_reached", "max_concurrent_executions")
    assert [one.workflow_id for one in customer.executions] == ["old"]


def test_who_was_deleted_meanwhile_adopts_nothing() -> None:
    customer = Customer(customer_id="ada")
    assert adopt(customer, shadowed(), in_force(), START) == []
    assert (customer.executions, customer.cooldowns, customer.windows) == ([], {}, {})


OFTEN: Document = {
    "operator": "performed",
    "value": {"event_type": "page", "min_count": 2, "within_hours": 24, "where": is_("event.price", "gte", 5)},
}
LOOKED: Document = decision(
    "look", "condition", conditions=[{"rule": OFTEN, "next_step": "mail"}], default_next_step="mail"
)
EARNING = workflow(
    LOOKED,
    mail(),
    id="new",
    on=[signup(), sequence("a", "b", contiguity="strict")],
    goal={"event_type": "order_completed"},
    attribution_window_hours=48,
)


def passed_by(*documents: Document, pages: int) -> Journey:
    """Let somebody sign up, get what there is to get, and look at so many pages."""
    journey = Journey(*documents)
    journey.publish("signup")
    for place in range(pages):
        journey.publish("page", place + 1, price=5)
    journey.advance(to=HOUR_MS)
    return journey


def adopted_by(journey: Journey, staged: Staged, whole: Definitions) -> None:
    """Bring the workflow into force beside what was there, and adopt."""
    before = journey.engine.catalogue
    assert before is not None
    journey.engine.switch(compile_catalogue(whole, 2, {1: before}))
    adopt(journey.customer(), staged, compile_catalogue(whole, 2, {1: before}), START + HOUR_MS)


def test_what_is_over_can_still_reach_its_goal_and_be_compared_on_the_version_in_force() -> None:
    """Its executions came to their end in the shadow: attribution and late events go by the version that took over."""
    whole = read(EARNING, OLD)
    staged = slice_of(passed_by(EARNING, OLD, pages=0).customer(), owned_by(compile_catalogue(whole, 1), whole, "new"))
    journey = passed_by(OLD, pages=0)
    adopted_by(journey, staged, whole)
    assert [(one.workflow_id, one.version) for one in journey.customer().attributable] == [("new", 2)]
    assert [(one.workflow_id, one.version) for one in journey.customer().settled] == [("new", 2)]
    journey.publish("order_completed", 2 * HOUR_MS, total=9)
    (conversion,) = journey.decisions("conversion")
    assert (conversion.workflow_id, conversion.workflow_version) == ("new", 2)


def test_a_strict_sequence_that_was_begun_goes_on() -> None:
    """Nobody kept places for one before: those of the shadow are taken over, so the next event is the second."""
    whole = read(EARNING, OLD)
    shadow = Journey(EARNING, OLD)
    shadow.publish("a", 1)
    staged = slice_of(shadow.customer(), owned_by(compile_catalogue(whole, 1), whole, "new"))
    journey = Journey(OLD)
    journey.publish("a", 1)
    adopted_by(journey, staged, whole)
    journey.publish("b", 2 * HOUR_MS)
    assert [one.workflow_id for one in journey.decisions("trigger_fired")] == ["new"]


@pytest.mark.parametrize(("in_shadow", "live_pages"), [(2, 1), (1, 2), (2, 0), (0, 2)])
def test_of_two_memories_of_one_question_the_longer_is_kept(in_shadow: int, live_pages: int) -> None:
    """Another workflow may ask how often something was done, but not for as long."""
    whole = read(EARNING, OLD)
    staged = slice_of(
        passed_by(EARNING, OLD, pages=in_shadow).customer(), owned_by(compile_catalogue(whole, 1), whole, "new")
    )
    asking = workflow({**LOOKED, "id": "ask"}, mail(), id="old")
    customer = passed_by(asking, pages=live_pages).customer()
    adopt(customer, staged, compile_catalogue(whole, 2), START + HOUR_MS)
    assert [len(instants) for instants in customer.clauses.values()] == [2]


HOOK: Document = {
    "id": "hook",
    "type": "action",
    "configuration": {"type": "trigger_webhook", "webhook_url": "https://crm.example/", "await_response": True},
}
EXPERIMENT: Document = {
    "kind": "experiment",
    "id": "x",
    "base_workflow_id": "new",
    "variations": ["old"],
    "config": {"traffic_split": {"control": 0.5, "variations": [0.5]}},
}
MEASURED = step(
    "measured",
    "experiment",
    (),
    {"variants": [{"name": name, "weight": 1, "next_step": "mail"} for name in ("control", "other")]},
)


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([workflow(mail(), id="new", on=[trigger("page", max_executions=9)])], "max_executions"),
        ([workflow(HOOK, id="new")], "step hook awaits a webhook's answer"),
        ([workflow(MEASURED, mail(), id="new")], "step measured is an experiment"),
        ([NEW, OLD, EXPERIMENT], "experiment x"),
    ],
)
def test_what_isnt_decided_by_one_customers_past_is_an_obstacle(documents: list[Document], said: str) -> None:
    (found,) = obstacles(read(*documents), "new")
    assert said in found


def test_an_experiment_among_other_workflows_is_none() -> None:
    others = [workflow(mail(), id=name) for name in ("one", "two")]
    assert obstacles(read(NEW, *others, EXPERIMENT | {"base_workflow_id": "one", "variations": ["two"]}), "new") == []
