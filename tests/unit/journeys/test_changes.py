"""Changes of attributes that start a workflow: which ones do, by whom, and what they tell."""

import pytest

from schemas.events import Json
from schemas.instants import HOUR_MS
from tests.journey import Document, Journey, action, after, attribute_change, is_, trigger, workflow

STEPS: tuple[tuple[str, Json], ...] = (("free", "free"), ("pro", "pro"), ("same", "pro"), ("gone", None), ("five", 5))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, [0, 1, 3, 4]),
        ({"attribute": "plan"}, [0, 1, 3, 4]),
        ({"attribute": "attributes.plan"}, [0, 1, 3, 4]),
        ({"attribute": "other"}, []),
        ({"attribute": "plan", "to": "pro"}, [1]),
        ({"attribute": "plan", "from": "free"}, [1]),
        ({"attribute": "plan", "from": "free", "to": "pro"}, [1]),
        ({"attribute": "plan", "from": "pro", "to": "free"}, []),
        ({"attribute": "plan", "from": None}, [0, 4]),
        ({"attribute": "plan", "to": None}, [3]),
        ({"attribute": "plan", "to": 5}, [4]),
        ({"attribute": "plan", "to": "5"}, []),
        ({"attribute": "plan", "to": "*"}, [0, 1, 3, 4]),
    ],
)
def test_a_crm_event_that_changes_the_attribute_so_fires(conditions: Document, expected: list[int]) -> None:
    journey = Journey(workflow(on=[attribute_change(**conditions)], allow_multiple_executions=True))
    for at, (_, plan) in enumerate(STEPS):
        journey.publish("customer_updated", at, attributes={"plan": plan})
    assert [one.at for one in journey.decisions("execution_started")] == [after(at) for at in expected]


def test_the_firing_tells_what_changed_and_by_which_event() -> None:
    journey = Journey(workflow(on=[attribute_change(attribute="plan")]))
    journey.publish("customer_updated", attributes={"plan": "pro"})
    (fired,) = journey.decisions("trigger_fired")
    assert fired.detail == {
        "event_id": "e1",
        "event_type": "customer_updated",
        "attribute": "plan",
        "from": None,
        "to": "pro",
        "confidence_score": 1.0,
    }


def test_an_action_that_changes_the_attribute_fires() -> None:
    sets = workflow(action("set", "update_attributes", attributes={"plan": "pro"}), id="sets")
    waits = workflow(id="waits", on=[attribute_change(attribute="plan", where=is_("plan", "eq", "pro"))])
    journey = Journey(sets, waits)
    journey.publish("signup")
    assert [one.workflow_id for one in journey.decisions("execution_started")] == ["sets", "waits"]
    assert journey.decisions("trigger_fired")[1].detail == {
        "attribute": "plan",
        "from": None,
        "to": "pro",
        "confidence_score": 1.0,
    }


def test_several_attributes_of_one_event_fire_a_trigger_once() -> None:
    journey = Journey(workflow(on=[attribute_change()], allow_multiple_executions=True))
    journey.publish("customer_updated", attributes={"b": 1, "a": 2})
    (fired,) = journey.decisions("trigger_fired")
    assert (fired.detail or {})["attribute"] == "a"
    assert journey.decisions("trigger_refused") == []


def test_an_update_that_an_older_one_lost_against_changes_nothing() -> None:
    journey = Journey(workflow(on=[attribute_change(attribute="plan", to="free")]))
    journey.publish("customer_updated", 10, attributes={"plan": "pro"})
    journey.publish("customer_updated", 5, arrives=11, attributes={"plan": "free"})
    assert journey.started() == 0


def test_a_change_by_an_event_that_is_too_old_starts_nothing() -> None:
    journey = Journey(workflow(on=[attribute_change()]))
    journey.publish("customer_updated", -72 * HOUR_MS - 1, arrives=0, attributes={"a": 1})
    journey.publish("customer_updated", -72 * HOUR_MS, arrives=0, attributes={"b": 1})
    assert journey.reasons("trigger_refused") == ["event_too_old"]
    assert journey.started() == 1


def test_nothing_is_noted_where_no_trigger_waits() -> None:
    journey = Journey(workflow(on=[trigger("customer_updated")]))
    journey.publish("customer_updated", attributes={"a": 1})
    assert journey.started() == 1
