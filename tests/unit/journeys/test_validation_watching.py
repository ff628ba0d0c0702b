"""What validation refuses of segments with a condition and of lifecycle rules, and what it takes."""

import pytest

from journeys.documents import Document
from journeys.validation import validate
from schemas.events import Json
from schemas.problems import Problem
from tests.journey import HELLO, VIP, action, is_, lifecycle, segment, segment_change, workflow


def problems(*values: Json) -> list[Problem]:
    documents = [Document(file=f"{number}.yaml", value=value) for number, value in enumerate((*values, HELLO, VIP))]
    return list(validate(documents).problems)


def in_segment(name: str) -> dict[str, Json]:
    return {"operator": "in_segment", "value": name}


@pytest.mark.parametrize(
    ("value", "path", "message", "expected"),
    [
        (
            segment("s", is_("event.total", "gte", 1)),
            "condition.field",
            "no event is in view",
            "a field of the customer",
        ),
        (segment("s", {"not": is_("trigger.total", "gte", 1)}), "condition.not.field", "no trigger", "total_spent"),
        (
            segment("s", is_("customer.execution.started_at", "exists")),
            "condition.field",
            "no execution",
            "total_spent",
        ),
        (segment("s", is_("segments", "contains", "vip")), "condition.field", "can't be read", "in_segment"),
        (segment("s", in_segment("x")), "condition.value", "no segment 'x'", "such as s, vip"),
        (segment("s", {"any": [in_segment("s")]}), "condition", "asks for itself", "don't lead back"),
        (segment("s", {"field": "a", "operator": "matches", "value": "(?=a)"}), "condition.value", "(?=a)", "RE2"),
        (lifecycle(lead=is_("event.total", "gte", 1)), "rules[0].when.field", "a lifecycle rule", "a field of"),
        (lifecycle(king=is_("a", "exists")), "rules[0].stage", "is 'king'", "one of prospect, lead"),
        (workflow(on=[segment_change("vips")]), "triggers[0].conditions.segment_id", "no segment 'vips'", "'vip'"),
        (workflow(on=[segment_change("vip", "joined")]), "triggers[0].conditions.change", "'joined'", "entered, left"),
    ],
)
def test_each_mistake_is_told_with_its_place_and_what_would_be_right(
    value: Json, path: str, message: str, expected: str
) -> None:
    (problem,) = problems(value)
    assert problem.path == path
    assert message in problem.message
    assert expected in problem.expected


def test_segments_that_ask_for_each_other_in_a_circle_are_each_told() -> None:
    found = problems(
        segment("a", in_segment("b")), segment("b", {"not": in_segment("a")}), segment("c", in_segment("vip"))
    )
    assert [(one.file, one.message) for one in found] == [
        ("0.yaml", "asks for itself, by way of b"),
        ("1.yaml", "asks for itself, by way of a"),
    ]


def test_a_lifecycle_rule_asks_only_for_segments_whose_members_are_given() -> None:
    assert problems(lifecycle(lead=in_segment("vip"))) == []
    (problem,) = problems(lifecycle(lead=in_segment("s")), segment("s", is_("plan", "exists")))
    assert problem.path == "rules[0].when.value"
    assert "looked at after the stage" in problem.message


@pytest.mark.parametrize("kind", ["add_to_segment", "remove_from_segment"])
def test_an_action_moves_no_members_of_a_segment_with_a_condition(kind: str) -> None:
    (problem,) = problems(workflow(action("a", kind, segment_id="s")), segment("s", is_("plan", "exists")))
    assert problem.path == "steps[0].configuration.segment_id"
    assert "come by its condition" in problem.message


def test_there_is_one_lifecycle() -> None:
    (problem,) = problems(lifecycle(), lifecycle())
    assert problem.path == "kind"
