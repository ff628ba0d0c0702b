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


def hook(**rest: Json) -> list[str]:
    return [path for path, _, _ in problems(type="trigger_webhook", **{"webhook_url": "https://crm.example", **rest})]


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "crm.example/x",
            "ftp://crm.example",
            "https://",
            "https:///x",
            "https://a b/",
            "https://[x",
            "https://a/\n",
        ),
        *(
            "https://${plan}.example/x",
            "https://${plan}@crm.example",
            "https://crm.example:${plan}/",
            "${attributes.url}",
        ),
    ],
)
def test_an_address_is_one_whose_host_nobody_else_chooses(url: str) -> None:
    assert set(hook(webhook_url=url)) == {"steps[0].configuration.webhook_url"}


@pytest.mark.parametrize(
    "url", ["http://localhost:8080", "https://crm.example/${customer_id}/x?at=${now}", "https://[::1]:80/x#y"]
)
def test_values_may_stand_behind_the_host(url: str) -> None:
    assert hook(webhook_url=url) == []


@pytest.mark.parametrize(
    ("rest", "path"),
    [
        ({"headers": {"X Y": "1"}}, "headers['X Y']"),
        ({"headers": {"X-Y": "1\r\nX-Z: 2"}}, "headers.X-Y"),
        ({"headers": {"X-Y": "${session.nothing}"}}, "headers.X-Y"),
        ({"headers": {"X-Y": 1}}, "headers.X-Y"),
        ({"payload": {"a": ["${execution.nothing}"]}}, "payload.a[0]"),
        ({"payload": []}, "payload"),
        ({"await_response": "yes"}, "await_response"),
        ({"method": "GET"}, "method"),
    ],
)
def test_mistakes_of_a_webhook_have_their_path(rest: dict[str, Json], path: str) -> None:
    assert hook(**rest) == [f"steps[0].configuration.{path}"]


def test_an_event_of_one_s_own_is_right() -> None:
    assert problems(type="send_event", event_type="tour_finished", properties={"at": "${now}", "n": 1}) == []
