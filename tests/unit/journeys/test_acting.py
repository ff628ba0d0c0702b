"""What actions do to the customer."""

import pytest

from schemas.customer import MAX_ATTRIBUTES
from schemas.events import Json
from schemas.instants import DAY_MS
from tests.journey import Document, Journey, action, after, wait, workflow


def acted(attributes: Document, **properties: Json) -> Document:
    journey = Journey(workflow(action("act", "update_attributes", attributes=attributes)))
    journey.publish("customer_updated", attributes={"first": "Ada", "n": 7, "tags": ["a", {"b": 1}], "gone": 1})
    journey.publish("signup", 1, envelope={"properties": properties})
    return journey.customer().attributes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        ("plain", "plain"),
        ("${n}", 7),
        ("${tags}", ["a", {"b": 1}]),
        ("${trigger.total}", 9.5),
        ("${trigger.occurred_at}", after(1)),
        ("${execution.workflow_id}", "w"),
        ("${now}", after(1)),
        ("${attributes.first} has ${n}, ${tags} and ${nothing}", 'Ada has 7, ["a",{"b":1}] and '),
        ("${trigger.yes}", True),
        ("is ${trigger.yes}", "is true"),
        ({"deep": ["${n}"]}, {"deep": [7]}),
        ("$n ${", "$n ${"),
    ],
)
def test_a_reference_alone_keeps_its_type_and_in_a_text_becomes_text(value: Json, expected: Json) -> None:
    assert acted({"x": value}, total=9.5, yes=True)["x"] == expected


def test_null_and_what_has_no_value_remove_an_attribute() -> None:
    assert "gone" not in acted({"gone": None})
    assert "gone" not in acted({"gone": "${nothing}"})


def test_an_older_crm_event_does_not_take_back_what_an_action_set() -> None:
    journey = Journey(workflow(action("act", "update_attributes", attributes={"plan": "pro"})))
    journey.publish("signup", 10)
    journey.publish("customer_updated", 9, arrives=20, attributes={"plan": "free"})
    assert journey.customer().attributes == {"plan": "pro"}
    journey.publish("customer_updated", 10, arrives=20, attributes={"plan": "free"})
    assert journey.customer().attributes == {"plan": "free"}


def test_segments_are_entered_and_left_once() -> None:
    steps = [
        action("a", "add_to_segment", "b", segment_id="vip"),
        action("b", "add_to_segment", "c", segment_id="vip"),
        action("c", "remove_from_segment", "d", segment_id="vip"),
        action("d", "remove_from_segment", segment_id="vip"),
    ]
    journey = Journey(workflow(*steps))
    journey.publish("signup")
    assert [(one.step_id, one.detail) for one in journey.decisions("profile_changed")] == [
        ("a", {"segment_entered": "vip"}),
        ("c", {"segment_left": "vip"}),
    ]


def test_attributes_out_of_bounds_are_refused_with_a_decision() -> None:
    journey = Journey(workflow(action("act", "update_attributes", attributes={"more": 1})))
    journey.publish("customer_updated", attributes={f"a{number}": 0 for number in range(200)})
    journey.publish("signup", 1)
    assert [(one.reason, one.detail) for one in journey.decisions("bound_reached")] == [
        ("attributes", {"refused": ["more"]})
    ]
    assert "more" not in journey.customer().attributes


def test_a_value_that_holds_its_predecessor_stops_growing_at_64_levels() -> None:
    nest = action("act", "update_attributes", "p", attributes={"x": {"x": "${attributes.x}"}})
    journey = Journey(workflow(nest, wait("p", "act", duration_hours=1), max_execution_time_days=5))
    journey.publish("signup")
    journey.advance(5 * DAY_MS)
    depth, value = 0, journey.customer().attributes["x"]
    while isinstance(value, dict):
        depth, value = depth + 1, value["x"]
    assert depth == 63
    assert journey.decisions("bound_reached")


def test_an_action_sets_an_attribute_also_where_no_more_times_of_attributes_are_kept() -> None:
    journey = Journey(workflow(action("act", "update_attributes", attributes={"new": 1})))
    for part in range(3):
        removed: Document = {f"{part}-{name}": None for name in range(MAX_ATTRIBUTES)}
        journey.publish("customer_updated", part, attributes=removed)
    journey.publish("signup", 5)
    assert journey.customer().attributes == {"new": 1}
    assert len(journey.customer().attribute_times) <= 2 * MAX_ATTRIBUTES
