"""Experiments: who gets what, what a variation changes, and when a customer takes part."""

from fractions import Fraction
from hashlib import md5

import pytest

from journeys.catalogue import Catalogue
from journeys.experiments import assign
from journeys.validation import Document as Raw
from journeys.validation import validate
from schemas.customer import MAX_ASSIGNMENTS, Customer
from schemas.events import Json
from schemas.instants import HOUR_MS
from tests.journey import (
    HELLO,
    NEEDY,
    SHORT,
    Document,
    Journey,
    after,
    compiled,
    decision,
    is_,
    mail,
    message,
    signup,
    step,
    trigger,
    until_condition,
    wait,
    workflow,
)

OTHER: Document = {"kind": "template", "id": "other", "content_template": "<p>Other</p>"}


def experiment(*variations: Json, control: float = 0.5, id: str = "x", **config: Json) -> Document:  # noqa: A002
    share = (1 - control) / max(1, len(variations))
    split: Document = {"control": control, "variations": [share] * len(variations)}
    return {
        "kind": "experiment",
        "id": id,
        "base_workflow_id": "w",
        "variations": list(variations),
        "config": {"traffic_split": split, **config},
    }


def place_of(customer: str, salt: str) -> Fraction:
    """Compute SPEC 7's formula, exactly."""
    return Fraction(int(md5(f"{customer}:{salt}".encode(), usedforsecurity=False).hexdigest(), 16) % 10_000, 10_000)


def someone(salt: str, low: float, high: float = 1.0) -> str:
    """Find a customer whose place lies between."""
    return next(name for name in map(str, range(100_000)) if low <= place_of(name, salt) < high)


BASE = workflow(wait("p", "mail", duration_hours=1), mail())
TREATED, CONTROLLED = someone("x", 0.5), someone("x", 0, 0.5)


# Assignment ---------------------------------------------------------------------------------------------------


def test_the_assignment_is_the_published_formula_control_first() -> None:
    journey = Journey(workflow(), workflow(id="b", on=[]), workflow(id="c", on=[]), experiment("b", "c", control=0.2))
    for number in range(300):
        journey.publish("signup", customer=f"c{number}")
    for started in journey.decisions("execution_started"):
        place = place_of(started.customer_id, "x")
        expected = "w" if place < Fraction(2, 10) else "b" if place < Fraction(6, 10) else "c"
        assert started.workflow_id == expected


def test_an_assignment_stands_when_the_split_changes() -> None:
    both = workflow(allow_multiple_executions=True), workflow(id="b", on=[], allow_multiple_executions=True)
    journey = Journey(*both, experiment("b"))
    journey.publish("signup", customer=CONTROLLED)
    journey.engine.switch(Journey(*both, experiment("b", control=0.0)).engine.catalogue)  # type: ignore[arg-type]
    journey.publish("signup", 1, customer=CONTROLLED)
    other = someone("x", 0.1, 0.2)
    journey.publish("signup", 2, customer=other)
    started = [(one.customer_id, one.workflow_id) for one in journey.decisions("execution_started")]
    assert started == [(CONTROLLED, "w"), (CONTROLLED, "w"), (other, "b")]


def test_an_assignment_to_what_is_gone_is_made_anew() -> None:
    journey = Journey(workflow(allow_multiple_executions=True), workflow(id="b", on=[]), experiment("b"))
    journey.publish("signup", customer=TREATED)
    again = Journey(workflow(allow_multiple_executions=True), workflow(id="c", on=[]), experiment("c"))
    journey.engine.switch(again.engine.catalogue)  # type: ignore[arg-type]
    journey.publish("signup", 1, customer=TREATED)
    assert journey.customer(TREATED).assignments == {"x": "c"}


def test_assignments_are_bounded() -> None:
    journey = Journey(BASE, workflow(id="b", on=[]), experiment("b"))
    journey.publish("other", customer="ada")
    customer = journey.customer()
    customer.assignments.update({f"x{number}": "control" for number in range(MAX_ASSIGNMENTS)})
    customer.exposed.append("x0")
    journey.publish("signup", 1)
    assert len(customer.assignments) == MAX_ASSIGNMENTS
    assert "x0" not in customer.assignments
    assert customer.exposed == ["x"]


# What starts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("customer", "variation", "started"), [(CONTROLLED, "control", "w"), (TREATED, "b", "b")])
def test_the_base_s_trigger_starts_what_is_assigned_and_that_is_recorded_once(
    customer: str, variation: str, started: str
) -> None:
    settings: Document = {"allow_multiple_executions": True}
    journey = Journey(workflow(**settings), workflow(id="b", on=[], **settings), experiment("b"))  # type: ignore[arg-type]
    for at in (0, 1):
        journey.publish("signup", at, customer=customer)
    assert [one.workflow_id for one in journey.decisions("trigger_fired")] == ["w", "w"]
    assert [one.workflow_id for one in journey.decisions("execution_started")] == [started, started]
    assigned = journey.decisions("experiment_assigned")
    assert [one.detail for one in assigned] == [{"experiment_id": "x", "variation": variation, "workflow_id": started}]
    assert [send.variants for send in journey.sends()] == [{"x": variation}] * 2


def test_a_variation_s_own_triggers_are_refused() -> None:
    journey = Journey(workflow(), workflow(id="b", on=[trigger("signup"), trigger("go")]), experiment("b"))
    journey.publish("signup", customer=TREATED)
    journey.publish("go", 1, customer=TREATED)
    assert [one.workflow_id for one in journey.decisions("execution_started")] == ["b"]
    refused = [(one.workflow_id, one.trigger_id, one.reason) for one in journey.decisions("trigger_refused")]
    assert refused == [("b", "0", "experiment"), ("b", "1", "experiment")]


def test_cooldown_is_the_base_s_and_re_entry_that_of_the_workflow_that_starts() -> None:
    base = workflow(on=[signup(cooldown_hours=2)])
    journey = Journey(
        base, workflow(id="b", on=[], re_entry={"after_hours": 3}), experiment("b"), email=f"{TREATED}@shop.example"
    )
    for hour in (0, 1, 2, 3):
        journey.publish("signup", hour * HOUR_MS, customer=TREATED)
    assert [one.reason for one in journey.decisions("trigger_refused")] == ["cooldown", "re_entry"]
    assert journey.started() == 2


def test_a_refused_firing_assigns_nobody() -> None:
    journey = Journey(workflow(), workflow(id="b", on=[]), experiment("b"), max_event_age_hours=1)
    journey.publish("signup", -2 * HOUR_MS, arrives=0, customer=TREATED)
    assert journey.reasons("trigger_refused") == ["event_too_old"]
    assert journey.customer(TREATED).assignments == {}


# Overrides ----------------------------------------------------------------------------------------------------


def test_a_variation_changes_configurations_and_templates_of_the_base_under_its_id() -> None:
    longer: Document = {
        "id": "slow",
        "steps": {"p": {"type": "fixed_time", "duration_hours": 3}},
        "templates": {"hello": "other"},
    }
    journey = Journey(BASE, OTHER, experiment(longer))
    for name in (CONTROLLED, TREATED):
        journey.publish("signup", customer=name)
    journey.advance(24 * HOUR_MS)
    sent = {send.customer_id: (send.workflow_id, send.template_id, send.send_at[11:16]) for send in journey.sends()}
    assert sent == {CONTROLLED: ("w", "hello", "10:00"), TREATED: ("w", "other", "12:00")}


def test_a_customer_takes_part_at_the_first_step_that_differs() -> None:
    journey = Journey(BASE, OTHER, experiment({"id": "b", "templates": {"hello": "other"}}))
    for name in (CONTROLLED, TREATED):
        journey.publish("signup", customer=name)
    assert journey.decisions("experiment_assigned") == []
    journey.advance(HOUR_MS)
    told = [
        (one.customer_id, one.step_id, (one.detail or {})["variation"])
        for one in journey.decisions("experiment_assigned")
    ]
    assert sorted(told) == sorted([(CONTROLLED, "mail", "control"), (TREATED, "mail", "b")])


def test_an_execution_that_never_reaches_what_differs_takes_no_part() -> None:
    journey = Journey(
        workflow(mail("mail", "p"), wait("p", "late", duration_hours=1), mail("late"), max_execution_time_days=0.05),
        OTHER,
        experiment({"id": "b", "steps": {"late": {"template_id": "other"}}}),
    )
    journey.publish("signup", customer=TREATED)
    journey.advance(HOUR_MS - 1)
    assert journey.decisions("experiment_assigned") == []
    journey.advance(HOUR_MS)
    assert len(journey.decisions("experiment_assigned")) == 1


def test_time_moves_the_wait_that_a_variation_changed() -> None:
    """What a variation waits for is looked at when time makes it true, as if it were the base's own."""
    base = workflow(until_condition("p", is_("plan", "exists"), "mail", check_interval_hours=300), mail())
    silent = is_("last_activity", "not_within_hours", 1)
    waiting: Document = {"type": "until_condition", "condition": silent, "check_interval_hours": 300}
    journey = Journey(base, experiment({"id": "b", "steps": {"p": waiting}}))
    for name in (CONTROLLED, TREATED):
        journey.publish("signup", customer=name)
    journey.advance(2 * HOUR_MS)
    assert [(send.customer_id, send.send_at) for send in journey.sends()] == [(TREATED, after(HOUR_MS + 1))]


def test_a_variation_that_is_switched_off_starts_nothing_and_is_not_recorded() -> None:
    journey = Journey(workflow(), {**workflow(id="b", on=[]), "enabled": False}, experiment("b"))
    journey.publish("signup", customer=TREATED)
    journey.publish("signup", customer=CONTROLLED)
    kinds = {one.kind for one in journey.decisions() if one.customer_id == TREATED}
    assert not kinds & {"trigger_fired", "trigger_refused", "execution_started"}
    assert journey.customer(TREATED).assignments == {}
    assert [one.workflow_id for one in journey.decisions("execution_started")] == ["w"]


@pytest.mark.parametrize(("percent", "reason"), [(100, "holdout"), (0, None)])
def test_who_is_held_out_takes_no_part(percent: int, reason: str | None) -> None:
    journey = Journey(workflow(), workflow(id="b", on=[]), experiment("b"), global_holdout_percent=percent)
    journey.publish("signup", customer=TREATED)
    assert journey.reasons("trigger_refused") == ([] if reason is None else [reason])
    assert len(journey.decisions("experiment_assigned")) == (reason is None)
    assert bool(journey.customer(TREATED).assignments) == (reason is None)


def test_an_exit_condition_is_told_before_the_experiment() -> None:
    """SPEC's order of refusals: exit_condition, experiment, holdout."""
    leaving = workflow(id="b", on=[trigger("go")], exit_conditions=[is_("counts.go", "gte", 1)])
    journey = Journey(workflow(), leaving, experiment("b"))
    journey.publish("go", customer=TREATED)
    assert journey.reasons("trigger_refused") == ["exit_condition"]


def test_a_participant_counts_once_over_executions_and_catalogues() -> None:
    both = workflow(allow_multiple_executions=True), workflow(id="b", on=[], allow_multiple_executions=True)
    journey = Journey(*both, experiment("b"))
    journey.publish("signup", customer=TREATED)
    journey.engine.switch(compiled(*both, number=2))
    journey.publish("signup", 1, customer=TREATED)
    journey.engine.switch(compiled(*both, experiment("b", control=0.999), number=3))
    journey.publish("signup", 2, customer=TREATED)
    assert [one.workflow_id for one in journey.decisions("execution_started")] == ["b", "w", "b"]
    assert len(journey.decisions("experiment_assigned")) == 1


def test_a_skipped_step_exposes_nobody() -> None:
    """The first decision that differs: where the step that differs is passed over, none has."""
    base = workflow(
        wait("p", "mail", duration_hours=1),
        mail("mail", "end", when=is_("plan", "exists")),
        wait("end", duration_hours=1),
    )
    journey = Journey(base, OTHER, experiment({"id": "b", "templates": {"hello": "other"}}))
    journey.publish("signup", customer=TREATED)
    journey.advance(HOUR_MS)
    assert journey.path()[-1] == "mail"
    assert journey.decisions("experiment_assigned") == []


def test_a_share_s_start_belongs_to_it_and_its_end_to_the_next() -> None:
    """On the boundary of the split, and one step of the formula before and behind it."""
    for place, expected in ((2499, "w"), (2500, "b"), (2501, "b")):
        name = next(name for name in map(str, range(1_000_000)) if place_of(name, "x") == Fraction(place, 10_000))
        journey = Journey(workflow(), workflow(id="b", on=[]), experiment("b", control=0.25))
        journey.publish("signup", customer=name)
        assert [one.workflow_id for one in journey.decisions("execution_started")] == [expected]


# Steps --------------------------------------------------------------------------------------------------------


def test_a_split_test_keeps_its_customers_through_changes_of_its_weights() -> None:
    """The same customer goes always the same way."""

    def splitting(first: int, number: int) -> Catalogue:
        variants: list[Json] = [
            {"name": name, "weight": weight, "next_step": name} for name, weight in (("a", first), ("b", 100 - first))
        ]
        choice = decision("d", "split_test", variants=variants)
        return compiled(workflow(choice, mail("a"), mail("b"), allow_multiple_executions=True), number=number)

    journey = Journey()
    journey.engine.switch(splitting(50, 1))
    early, late = someone("w:d", 0.3, 0.4), someone("w:d", 0.4, 0.5)
    journey.publish("signup", customer=early)
    journey.engine.switch(splitting(10, 2))
    for name in (early, late):
        journey.publish("signup", 1, customer=name)
    assert [(send.customer_id, send.step_id) for send in journey.sends()] == [(early, "a"), (early, "a"), (late, "b")]
    assert journey.decisions("experiment_assigned") == []


def fork(**rest: Json) -> Document:
    variants: list[Json] = [
        {"name": name, "weight": weight, "next_step": name} for name, weight in (("a", 3), ("b", 1))
    ]
    return step("d", "experiment", (), {"variants": variants, **rest})


@pytest.mark.parametrize(("given", "salt"), [(None, "w:d"), ("price", "price")])
def test_an_experiment_step_is_a_split_that_is_recorded(given: str | None, salt: str) -> None:
    named: Document = {} if given is None else {"experiment_id": given}
    journey = Journey(workflow(fork(**named), mail("a"), mail("b"), allow_multiple_executions=True))
    for number in range(100):
        journey.publish("signup", customer=f"c{number}")
        journey.publish("signup", customer=f"c{number}")
    expected = {f"c{n}": "a" if place_of(f"c{n}", salt) < Fraction(3, 4) else "b" for n in range(100)}
    told = journey.decisions("experiment_assigned")
    assert {one.customer_id: (one.detail or {})["variation"] for one in told} == expected
    assert len(told) == 100
    assert all(send.variants == {"d": expected[send.customer_id]} == {"d": send.step_id} for send in journey.sends())
    assert len(journey.sends()) == 200


# Validation ---------------------------------------------------------------------------------------------------


def problems(*documents: Document) -> list[str]:
    """Return the paths of what is wrong."""
    values: list[Document] = [BASE, {**BASE, "id": "b"}, HELLO, NEEDY, OTHER, *SHORT, *documents]
    return [one.path for one in validate([Raw(file="f", value=dict(value)) for value in values]).problems]


def split(control: Json, *variations: Json) -> Document:
    found = experiment("b")
    found["config"] = {"traffic_split": {"control": control, "variations": list(variations)}}
    return found


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (split(0.5, 0.4), "config.traffic_split"),
        (split(0.5, 0.5000001), "config.traffic_split"),
        (split(1.5, -0.5), "config.traffic_split.control"),
        (split(1), "config.traffic_split.variations"),
        ({**experiment("b"), "base_workflow_id": "nothing"}, "base_workflow_id"),
        (experiment("nothing"), "variations[0]"),
        (experiment("w"), "variations[0]"),
        (experiment("b", "b"), "variations[1].id"),
        (experiment({"id": "control", "templates": {"hello": "other"}}), "variations[0].id"),
        (experiment({"id": "v", "steps": {"nothing": {}}}), "variations[0].steps.nothing"),
        (experiment({"id": "v", "steps": {"mail": {"template_id": "none"}}}), "variations[0].steps.mail.template_id"),
        (experiment({"id": "v", "steps": {"p": {"duration_hours": 2}}}), "variations[0].steps.p.type"),
        (experiment({"id": "v", "steps": {"p": {"type": "fixed_time", "duration_hours": -1}}}), "variations[0].steps.p.duration_hours"),
        (experiment({"id": "v", "steps": {"p": {"type": "fixed_time", "duration_days": 31}}}), "variations[0]"),
        (experiment({"id": "v", "templates": {"hello": "none"}}), "variations[0].templates.hello"),
        (experiment({"id": "v", "templates": {"hello": "sms_hello"}}), "variations[0].templates.hello"),
        (experiment({"id": "v", "templates": {"needy": "other"}}), "variations[0].templates.needy"),
        (experiment("b", confidence_level=1), "config.confidence_level"),
        (experiment("b", metric="clicks"), "config.metric"),
        (experiment("b", goal={"event_type": "order_completed", "where": 1}), "config.goal.where"),
        (experiment("b", goal={"event_type": "e", "value_field": "event..net"}), "config.goal.value_field"),
        (experiment("b", goal={"field": "x"}), "config.goal.operator"),
        (experiment("b", min_participants=0), "config.min_participants"),
    ],
)  # fmt: skip
def test_each_mistake_of_an_experiment_has_its_path(document: Document, path: str) -> None:
    assert path in problems(document)


def test_two_experiments_on_one_workflow_are_refused() -> None:
    assert problems(experiment("b"), experiment({"id": "v", "templates": {"hello": "other"}}, id="y")) == [
        "base_workflow_id"
    ]


@pytest.mark.parametrize(
    "document",
    [
        experiment("b"),
        split(0.9, 0.1),
        experiment({"id": "v", "steps": {"p": {"type": "fixed_time", "duration_hours": 2}}}),
        experiment("b", goal={"event_type": "order_completed", "value_field": "total"}),
        experiment("b", goal={"field": "total_purchases", "operator": "gte", "value": 1}),
    ],
)
def test_what_is_right_is_accepted(document: Document) -> None:
    assert problems(document) == []


def test_of_too_many_assignments_the_oldest_goes_and_with_it_that_it_was_exposed() -> None:
    ada = Customer(customer_id="ada")
    for number in range(MAX_ASSIGNMENTS + 2):
        assign(ada, f"x{number}", "a")
        if number == 1:
            ada.exposed.append("x1")
    assert next(iter(ada.assignments)) == "x2"
    assert len(ada.assignments) == MAX_ASSIGNMENTS
    assert ada.exposed == []


def test_a_variation_changes_the_templates_of_a_message_on_every_channel() -> None:
    other: Document = {"kind": "template", "id": "other_sms", "channel": "sms", "content_template": "Other"}
    varied = experiment({"id": "v", "templates": {"hello": "other", "sms_hello": "other_sms"}})
    base = workflow(message("email", "sms"))
    journey = Journey(base, OTHER, other, varied, require_consent=[])
    for name in (TREATED, CONTROLLED):
        journey.publish("customer_updated", customer=name, email="a@shop.example", phone="+491701234567")
        journey.publish("signup", 1, customer=name)
    journey.advance(to=5 * HOUR_MS)
    assert {(send.customer_id, send.template_id) for send in journey.sends()} == {
        (TREATED, "other"), (TREATED, "other_sms"), (CONTROLLED, "hello"), (CONTROLLED, "sms_hello"),
    }  # fmt: skip


def test_workflows_that_are_no_part_of_an_experiment_start_as_ever() -> None:
    journey = Journey(workflow(), workflow(id="b", on=[]), workflow(id="c"), experiment("b"))
    journey.publish("signup", customer=TREATED)
    assert {one.workflow_id for one in journey.decisions("execution_started")} == {"b", "c"}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (experiment(), "variations"),
        ({**experiment("b"), "id": "w.d"}, "id"),
        (experiment({"id": "v", "templates": {"nothing": "other"}}), "variations[0].templates.nothing"),
    ],
)
def test_what_no_experiment_can_be_is_refused(document: Document, path: str) -> None:
    """No variation, an id that a step's experiment has, a template that the base doesn't send."""
    variants: list[Json] = [{"name": "a", "weight": 1, "next_step": "mail"}]
    tried: Document = {"id": "w", "name": "tried", "triggers": [], "settings": {}}
    tried["steps"] = [step("d", "experiment", (), {"experiment_id": "w.d", "variants": variants}), mail()]
    values = [{**tried, "id": "tried"}, BASE, {**BASE, "id": "b"}, HELLO, OTHER, document]
    assert path in [one.path for one in validate([Raw(file="f", value=value) for value in values]).problems]
