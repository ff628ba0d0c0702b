"""Webhooks: what is asked of another system, and what its answer means."""

from typing import Final

import msgspec
import pytest

from schemas.decisions import WebhookCall
from schemas.events import Json
from schemas.instants import HOUR_MS, Millis
from schemas.wire import WEBHOOK_CALL_SCHEMA, UnreadableRecord, decode_webhook_call, encode_webhook_call
from tests.journey import (
    START,
    Document,
    Journey,
    action,
    after,
    decision,
    is_,
    mail,
    trigger,
    wait,
    workflow,
)

OURS: Final = {3: WEBHOOK_CALL_SCHEMA}
URL: Final = "https://crm.example/hooks/1"


def webhook(name: str, *then: str, **rest: Json) -> Document:
    return action(name, "trigger_webhook", *then, **{"webhook_url": URL, **rest})


def asking(*, answers: bool = False, **rest: Json) -> Journey:
    """Begin with a workflow that waits for an answer, then sends a mail."""
    journey = Journey(workflow(webhook("ask", "mail", await_response=True, **rest), mail()))
    catalogue = journey.engine.catalogue
    assert catalogue is not None
    journey.engine.catalogue = msgspec.structs.replace(catalogue, answers_webhooks=answers)
    journey.publish("signup")
    return journey


def answer(journey: Journey, at: Millis = 1, /, **properties: Json) -> None:
    journey.publish("webhook_answered", at, envelope={"properties": properties})


def ended(journey: Journey) -> list[tuple[str | None, Json]]:
    return [(one.reason, (one.detail or {}).get("reason")) for one in journey.decisions("execution_ended")]


# The call -----------------------------------------------------------------------------------------------------


def test_a_call_is_published_with_its_values_resolved_and_the_three_ids_added() -> None:
    call = webhook(
        "ask",
        "mail",
        webhook_url=URL + "?plan=${plan}",
        payload={"total": "${trigger.total}", "deep": ["${plan}"], "customer_id": "mine"},
        headers={"X-Plan": "is ${plan}"},
    )
    journey = Journey(workflow(call, mail()))
    journey.publish("customer_updated", attributes={"plan": "a b&c\r\nX-Evil: 1"})
    journey.publish("signup", 5, total=7)
    execution_id = journey.decisions("execution_started")[0].execution_id
    found = journey.calls()
    assert [one.webhook_url for one in found] == [URL + "?plan=a%20b%26c%0D%0AX-Evil%3A%201"]
    assert found[0].payload == {
        "total": 7,
        "deep": ["a b&c\r\nX-Evil: 1"],
        "customer_id": "ada",
        "execution_id": execution_id,
        "workflow_id": "w",
    }
    assert found[0].headers == {"X-Plan": "is a b&c X-Evil: 1"}
    assert (found[0].at, found[0].step_id, found[0].await_response) == (after(5), "ask", False)
    assert journey.path() == ["ask", "mail"]
    assert journey.decisions("step_completed")[0].detail == {
        "type": "action",
        "visit": 1,
        "result": "called",
        "next": ["mail"],
        "call_id": found[0].call_id,
    }


def test_each_visit_has_a_call_of_its_own_and_the_same_one_whenever_it_is_computed() -> None:
    def calls() -> list[str]:
        loop = workflow(webhook("ask", "p"), wait("p", "ask", duration_hours=1), max_execution_time_days=0.1)
        journey = Journey(loop)
        journey.publish("signup")
        journey.advance(2 * HOUR_MS)
        return [one.call_id for one in journey.calls()]

    assert len(set(calls())) == 3
    assert calls() == calls()


@pytest.mark.parametrize(("more", "called"), [("", 1), ("!", 0)])
def test_a_payload_beyond_64_kib_fails_the_step(more: str, called: int) -> None:
    journey = Journey(workflow(webhook("ask", payload={"x": "${trigger.x}${trigger.x}" + more})))
    journey.publish("signup", x="x" * ((64 * 1024 - len('{"x":""}')) // 2))
    assert len(journey.calls()) == called
    assert ended(journey) == [("completed", None) if called else ("error", "payload_too_large")]


# The answer ---------------------------------------------------------------------------------------------------


def test_where_nobody_calls_every_call_is_answered_200_at_once() -> None:
    journey = asking(answers=True)
    assert journey.path() == ["ask", "mail"]
    detail = journey.decisions("step_completed")[0].detail or {}
    assert (detail["result"], detail["status"]) == ("answered", 200)


@pytest.mark.parametrize("status", [100, 200, 204, 302, 399])
def test_an_answer_completes_the_step_and_nothing_before_it_does(status: int) -> None:
    journey = asking()
    journey.publish("page_viewed", 1)
    assert journey.path() == []
    answer(journey, 2, status=status)
    assert journey.path() == ["ask", "mail"]


@pytest.mark.parametrize("status", [400, 404, 500, 99, 0, -1, None, "200", True, 200.0])
def test_a_failure_is_the_step_s_and_ends_the_execution_with_an_error(status: Json) -> None:
    journey = asking()
    answer(journey, status=status, error="refused")
    assert ended(journey) == [("error", "webhook_failed")]
    assert journey.sends() == []


def test_a_failure_stops_nothing_else() -> None:
    journey = Journey(
        workflow(webhook("ask", payload={"x": "${trigger.x}" * 40}), id="w"), workflow(id="other", on=[trigger()])
    )
    journey.publish("signup", x="x" * 2_000)
    assert {one.workflow_id: one.reason for one in journey.decisions("execution_ended")} == {
        "w": "error",
        "other": "completed",
    }


def test_a_decision_reads_the_status_by_step_and_as_what_ended_the_last_wait() -> None:
    rules: list[Json] = [{"rule": is_("execution.responses.ask", "eq", 202), "next_step": "mail"}]
    keep = action("keep", "update_attributes", attributes={"s": "${execution.last_event.status}"})
    journey = Journey(
        workflow(
            webhook("ask", "d", await_response=True),
            decision("d", "condition", conditions=rules, default_next_step="keep"),
            mail("mail", "keep"),
            keep,
        )
    )
    catalogue = journey.engine.catalogue
    assert catalogue is not None
    journey.engine.catalogue = msgspec.structs.replace(catalogue, answers_webhooks=False)
    journey.publish("signup")
    answer(journey, status=202)
    assert journey.path() == ["ask", "d", "mail", "keep"]
    assert journey.customer().attributes == {"s": 202}


@pytest.mark.parametrize(
    ("named", "is_meant"),
    [
        ({}, True),
        ({"step_id": "ask"}, True),
        ({"workflow_id": "w", "step_id": "ask"}, True),
        ({"step_id": "other"}, False),
        ({"workflow_id": "v"}, False),
        ({"execution_id": "x"}, False),
        ({"call_id": "k"}, False),
    ],
)
def test_an_answer_is_to_the_call_that_it_names(named: Document, is_meant: bool) -> None:  # noqa: FBT001
    journey = asking()
    answer(journey, status=200, **named)
    assert (journey.path() == ["ask", "mail"]) is is_meant
    answer(journey, 2, status=200, call_id=journey.calls()[0].call_id)
    assert journey.path() == ["ask", "mail"]


def test_an_answer_from_before_the_call_is_not_to_it_unless_it_names_it() -> None:
    journey = asking()
    journey.publish("webhook_answered", -1, arrives=1, status=200)
    assert journey.path() == []
    journey.publish("webhook_answered", -1, arrives=2, status=200, call_id=journey.calls()[0].call_id)
    assert journey.path() == ["ask", "mail"]


@pytest.mark.parametrize(("hours", "limit"), [(None, 168), (2, 2)])
def test_an_answer_is_awaited_for_the_execution_timeout(hours: float | None, limit: int) -> None:
    asks = workflow(webhook("ask", "mail", await_response=True), mail())
    journey = Journey(asks) if hours is None else Journey(asks, execution_timeout_hours=hours)
    catalogue = journey.engine.catalogue
    assert catalogue is not None
    journey.engine.catalogue = msgspec.structs.replace(catalogue, answers_webhooks=False)
    journey.publish("signup")
    assert journey.calls()[0].expires_at == after(limit * HOUR_MS)
    journey.advance(limit * HOUR_MS - 1)
    assert ended(journey) == []
    journey.advance(limit * HOUR_MS)
    assert ended(journey) == [("error", "webhook_timeout")]
    answer(journey, limit * HOUR_MS + 1, status=200)
    assert journey.sends() == []


def test_an_answer_is_no_activity_and_changes_nothing_about_the_customer() -> None:
    journey = asking()
    answer(journey, 5, status=200, attributes={"plan": "pro"}, email="evil@shop.example")
    customer = journey.customer()
    assert customer.last_activity == START
    assert customer.attributes == {}
    assert customer.email == "ada@shop.example"


# The wire -----------------------------------------------------------------------------------------------------


def test_a_call_is_the_same_in_json_and_in_avro() -> None:
    journey = asking(payload={"a": [1, None, {"b": 2.5}]}, headers={"X": "1"})
    call = journey.calls()[0]
    assert decode_webhook_call(msgspec.json.encode(call), OURS.get) == call
    assert decode_webhook_call(encode_webhook_call(call, 3), OURS.get) == call
    assert msgspec.json.decode(msgspec.json.encode(call), type=WebhookCall) == call


@pytest.mark.parametrize("value", [b"", b"{}", b"\0\0\0\0\3x", b"\0\0\0\0\7"])
def test_what_is_no_call_is_told(value: bytes) -> None:
    with pytest.raises(UnreadableRecord):
        decode_webhook_call(value, OURS.get)
