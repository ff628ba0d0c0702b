"""`trigger_webhook`: what a step asks of another system, and what its answer means.

Nothing is called here: the call is an effect, published on `webhook-calls`, with an id made from its causes for the
receiver to tell repetitions by. Its answer enters as an event, `webhook_answered`, found by that id, or by what it
names of customer, workflow, execution and step. A status from 100 to 399 is an answer that decisions can read; any
other, or none, fails the step. Where calls are never made (files, tests, replay) the catalogue answers 200 at once,
by the same event.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Raw, Struct

from journeys.emitting import SOURCE
from journeys.resolving import REFERENCE, as_text, compile_text, compile_value
from journeys.scene import Scene
from schemas.customer import Execution, Visit
from schemas.decisions import WebhookCall
from schemas.definitions import TriggerWebhook
from schemas.events import MAX_PROPERTIES_BYTES, WEBHOOK_ANSWERED, Event, Json, is_too_deep
from schemas.identity import webhook_call_id
from schemas.instants import as_text as instant_text
from schemas.instants import format_instant

AT_ONCE: Final = 200
_FIRST_FAILURE: Final = 400
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f]+")

Call = Callable[[Scene, Execution, Visit], WebhookCall | None]
"""Makes the call; None where its payload became larger than an event's properties may be."""


class Webhook(Struct, frozen=True, kw_only=True):
    """A compiled `trigger_webhook`."""

    make: Call
    awaits: bool


def compile_webhook(configuration: TriggerWebhook) -> Webhook:
    """Compile the call that a step makes.

    Raises:
        ValueError: a reference names no field that can exist.
    """
    write_url = compile_text(configuration.webhook_url, _quoted)
    resolve = compile_value(dict(configuration.payload))
    headers = [(name, compile_text(value, _one_line)) for name, value in configuration.headers.items()]
    awaits = configuration.await_response

    def make(scene: Scene, execution: Execution, visit: Visit) -> WebhookCall | None:
        payload = resolve(scene)
        assert isinstance(payload, dict)  # noqa: S101 -- an object resolves to an object
        if is_too_deep(payload) or len(_encode(payload)) > MAX_PROPERTIES_BYTES:
            return None
        customer_id, execution_id = scene.customer.customer_id, execution.execution_id
        added: dict[str, Json] = {
            "customer_id": customer_id,
            "execution_id": execution_id,
            "workflow_id": execution.workflow_id,
        }
        return WebhookCall(
            call_id=call_id_of(execution, visit),
            customer_id=customer_id,
            at=format_instant(scene.now),
            webhook_url=write_url(scene),
            payload=payload | added,
            headers={name: write(scene) for name, write in headers},
            await_response=awaits,
            workflow_id=execution.workflow_id,
            workflow_version=execution.version,
            execution_id=execution_id,
            step_id=visit.step_id,
            expires_at=instant_text(visit.due_at),
        )

    return Webhook(make=make, awaits=awaits)


def _quoted(value: Json) -> str:
    return quote(as_text(value), safe="")


def _one_line(value: Json) -> str:
    # A line break in a header would begin another header.
    return _BREAKS.sub(" ", as_text(value))


def call_id_of(execution: Execution, visit: Visit) -> str:
    """Return the id of the call that a visit makes."""
    return webhook_call_id(execution.execution_id, visit.step_id, visit.visit)


def answer_at_once(call: WebhookCall, scene: Scene, visitor: str) -> Event:
    """Make the answer to a call that nobody makes."""
    customer_id = call.customer_id
    is_visitor = customer_id.startswith(visitor)
    return Event(
        event_id=f"{call.call_id}.answer",
        type=WEBHOOK_ANSWERED,
        occurred_at=scene.now,
        stream="workflow",
        customer_id=None if is_visitor else customer_id,
        anonymous_id=customer_id.removeprefix(visitor) if is_visitor else None,
        source=SOURCE,
        properties=Raw(_encode({"call_id": call.call_id, "step_id": call.step_id, "status": AT_ONCE})),
    )


def is_answer_to(properties: Mapping[str, Json], at: int, execution: Execution, visit: Visit) -> bool:
    """Tell whether an answer that occurred at `at` is to this visit's call: by its id, or by what it names."""
    named = properties.get("call_id")
    if named is not None:
        return named == call_id_of(execution, visit)
    known = {
        "execution_id": execution.execution_id,
        "workflow_id": execution.workflow_id,
        "step_id": visit.step_id,
    }
    return at >= visit.entered_at and all(properties.get(name) in (None, value) for name, value in known.items())


def status_of(properties: Mapping[str, Json]) -> int | None:
    """Return the status of an answer; None for a failure."""
    status = properties.get("status")
    if isinstance(status, bool) or not isinstance(status, int):
        return None
    return status if 100 <= status < _FIRST_FAILURE else None  # noqa: PLR2004 -- RFC 9110, 15: the first status is 100


_encode: Final = msgspec.json.Encoder().encode
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def url_mistake(url: str) -> str | None:
    """Say what is wrong with an address, or return None; values may stand behind the host alone."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return "is no address"
    if not sound or re.search(r"[\s\x00-\x1f\x7f]", REFERENCE.sub("", url)):
        return "is no address"
    # Who can choose a value must not be able to choose whom it is sent to.
    return "holds a value in its host" if "$" in parts.netloc else None


def header_mistake(name: str) -> str | None:
    """Say what is wrong with a header's name, or return None."""
    return None if _TOKEN.fullmatch(name) else "is no name of a header"
