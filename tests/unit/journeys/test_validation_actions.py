"""Mistakes in actions, each with its path and what would be right."""

import pytest

from journeys.validation import Document, validate
from schemas.events import Json


def problems(**configuration: Json) -> list[tuple[str, str, str]]:
    """Validate a workflow of one action; return path, message and what would be right of each problem."""
    value: Json = {"name": "w", "steps": [{"id": "a", "type": "action", "configuration": configuration}]}
    return [(one.path, one.message, one.expected) for one in validate([Document(file="w.yaml", value=value)]).problems]


@pytest.mark.parametrize("event_type", ["email_opened", "customer_deleted", "consent_changed", "identify", "alias"])
def test_what_only_the_world_can_say_is_no_event_of_a_workflow(event_type: str) -> None:
    found = problems(type="send_event", event_type=event_type)
    assert [path for path, _, _ in found] == ["steps[0].configuration.event_type"]
    assert "only the world can say" in found[0][1]


@pytest.mark.parametrize(
    ("configuration", "path"),
    [
        ({"type": "send_event"}, "steps[0].configuration.event_type"),
        ({"type": "send_event", "event_type": ""}, "steps[0].configuration.event_type"),
        ({"type": "send_event", "event_type": "a", "properties": []}, "steps[0].configuration.properties"),
        (
            {"type": "send_event", "event_type": "a", "properties": {"x": [{"y": "${session.nothing}"}]}},
            "steps[0].configuration.properties.x[0].y",
        ),
        ({"type": "update_attributes", "attributes": {"x": "${.a}"}}, "steps[0].configuration.attributes.x"),
    ],
)
def test_each_mistake_has_its_path(configuration: dict[str, Json], path: str) -> None:
    assert [found for found, _, _ in problems(**configuration)] == [path]


def test_an_event_of_one_s_own_is_right() -> None:
    assert problems(type="send_event", event_type="tour_finished", properties={"at": "${now}", "n": 1}) == []
