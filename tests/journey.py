"""A driver that lets tests of the rules read as sentences.

    journey = Journey(workflow(steps=[mail("hello")], triggers=[on("signup")]))
    journey.publish("signup")
    journey.advance(to=DAY_MS)
    assert journey.sends() == [...]

Time is in milliseconds since `START`. What is published passes the same checks as a producer's JSON, and goes
through `agents.engine.Engine`, so timers that are due fire first: everybody's by `advance`, the customer's own by
`publish`.
"""

# ruff: noqa: A002 (events have a type and workflows an id)

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from agents.engine import Engine
from agents.identity import answered, route
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.decide import deadline
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.decisions import Channel, Decision, Effect, Kind, Send, WebhookCall
from schemas.events import Event, Json, check_envelope, customer_key, read_envelope, stream_of
from schemas.instants import Millis, format_instant
from schemas.log import Command
from tables.customers import CustomersTable

START: Final[Millis] = 1_767_258_000_000
"""2026-01-01T09:00:00Z, a Thursday, in the first of the default best hours."""

Document = dict[str, Json]
HELLO: Final[Document] = {
    "kind": "template",
    "id": "hello",
    "subject_template": "Hi {first_name}",
    "content_template": "<p>Hello {first_name}</p>",
}
NEEDY: Final[Document] = {
    "kind": "template",
    "id": "needy",
    "content_template": "<p>{plan}</p>",
    "personalization_fields": ["plan"],
}
OTHER_CHANNELS: Final = ("sms", "push", "social")
SHORT: Final[tuple[Document, ...]] = tuple(
    {"kind": "template", "id": f"{channel}_hello", "channel": channel, "content_template": "Hi {first_name} & co"}
    for channel in OTHER_CHANNELS
)
VIP: Final[Document] = {"kind": "segment", "id": "vip"}
AT_ONCE: Final[Document] = {"send_immediately": True}


# Definitions --------------------------------------------------------------------------------------------------


def workflow(*steps: Document, id: str = "w", on: Sequence[Document] | None = None, **settings: Json) -> Document:
    """Write a workflow; it starts at `signup` unless `on` says otherwise."""
    triggers: list[Json] = list([signup()] if on is None else on)
    return {"id": id, "name": id, "triggers": triggers, "steps": list(steps or (mail(),)), "settings": settings}


def trigger(
    event_type: str = "signup", *, where: Json = None, equals: Document | None = None, **rest: Json
) -> Document:
    """Write a trigger for an event."""
    return _trigger("behavioral", {"event_type": event_type, **(equals or {})}, where, rest)


def signup(**rest: Json) -> Document:
    """Write the trigger that most tests use."""
    return trigger("signup", **rest)  # type: ignore[arg-type]


def frequency(event_type: str, count: int, minutes: float, *, where: Json = None, **rest: Json) -> Document:
    """Write a trigger for a number of events in a window."""
    conditions: Document = {
        "condition_type": "frequency_threshold",
        "event_type": event_type,
        "min_frequency": count,
        "time_window_minutes": minutes,
    }
    return _trigger("behavioral", conditions, where, rest)


def silence(hours: float, *, where: Json = None, **rest: Json) -> Document:
    """Write a trigger for inactivity."""
    return _trigger("time_based", {"condition_type": "inactivity_period", "inactivity_hours": hours}, where, rest)


def sequence(*items: Json, where: Json = None, rest: Document | None = None, **conditions: Json) -> Document:
    """Write a trigger for a sequence; `conditions` are its keys, `rest` those of the trigger."""
    written: Document = {"condition_type": "event_sequence", "required_sequence": list(items), **conditions}
    return _trigger("behavioral", written, where, rest or {})


def score(least: float, *, where: Json = None, **rest: Json) -> Document:
    """Write a trigger for an engagement score."""
    conditions: Document = {"condition_type": "engagement_score", "min_engagement_score": least}
    return _trigger("engagement_based", conditions, where, rest)


def session(metric: str, least: float, *, where: Json = None, **rest: Json) -> Document:
    """Write a trigger for a number of the session."""
    conditions: Document = {"condition_type": "session_threshold", "metric": metric, "min_value": least}
    return _trigger("behavioral", conditions, where, rest)


def segment_change(segment_id: str, change: str = "entered", *, where: Json = None, **rest: Json) -> Document:
    """Write a trigger for a membership that begins or ends."""
    conditions: Document = {"condition_type": "segment_change", "segment_id": segment_id, "change": change}
    return _trigger("data_driven", conditions, where, rest)


def lifecycle_change(*, where: Json = None, **conditions: Json) -> Document:
    """Write a trigger for a change of the stage; `conditions` are `from` and `to`."""
    return _trigger("lifecycle", {"condition_type": "lifecycle_change", **conditions}, where, {})


def attribute_change(*, where: Json = None, **conditions: Json) -> Document:
    """Write a trigger for a change of an attribute; `conditions` are `attribute`, `from` and `to`."""
    return _trigger("data_driven", {"condition_type": "attribute_change", **conditions}, where, {})


def absence(first: str, second: str, minutes: float, *, where: Json = None, **rest: Json) -> Document:
    """Write a trigger for a second event that doesn't follow a first one."""
    conditions: Document = {
        "condition_type": "absence",
        "event_type": first,
        "unless_event": second,
        "within_minutes": minutes,
    }
    return _trigger("behavioral", conditions, where, rest)


def schedule(cron: str, *, where: Json = None, **rest: Json) -> Document:
    """Write a trigger for the times of a cron."""
    return _trigger("time_based", {"condition_type": "schedule", "cron": cron}, where, rest)


def dated(attribute: str, *, where: Json = None, **conditions: Json) -> Document:
    """Write a trigger for a date in an attribute."""
    written: Document = {"condition_type": "date_attribute", "attribute": attribute, **conditions}
    return _trigger("time_based", written, where, {})


def _trigger(kind: str, conditions: Document, where: Json, rest: Document) -> Document:
    looked_at: Document = {} if where is None else {"where": where}
    return {"type": kind, "conditions": conditions | looked_at, **rest}


def step(name: str, kind: str, then: Sequence[str], configuration: Document, when: Json = None) -> Document:
    """Write any step."""
    written: Document = {"id": name, "type": kind, "configuration": configuration}
    if then:
        written["next_steps"] = list(then)
    if when is not None:
        written["conditional_logic"] = when
    return written


def mail(
    name: str = "mail", *then: str, template: str = "hello", timing: Document | None = None, when: Json = None,
    **rest: Json,
) -> Document:  # fmt: skip
    """Write an e-mail step, sent at once unless `timing` says otherwise."""
    return step(name, "email", then, {"template_id": template, "timing": timing or AT_ONCE, **rest}, when)


def short(channel: str, *then: str, timing: Document | None = None, when: Json = None, **rest: Json) -> Document:
    """Write an `sms`, `push` or `social` step, named as its channel; sent at once unless `timing` says otherwise."""
    configuration: Document = {"template_id": f"{channel}_hello", "timing": timing or AT_ONCE, **rest}
    return step(channel, channel, then, configuration, when)


def message(
    *channels: str, name: str = "message", then: Sequence[str] = (), timing: Document | None = None, **rest: Json
) -> Document:
    """Write a `message` step with a template for each channel; its first goes at once unless `timing` says otherwise."""
    templates: Document = {channel: "hello" if channel == "email" else f"{channel}_hello" for channel in channels}
    return step(name, "message", then, {"templates": templates, "timing": timing or AT_ONCE, **rest})


def wait(name: str, *then: str, when: Json = None, **durations: Json) -> Document:
    """Write a fixed wait."""
    return step(name, "wait", then, {"type": "fixed_time", **durations}, when)


def until_event(name: str, event_type: str, *then: str, **rest: Json) -> Document:
    """Write a wait for an event."""
    return step(name, "wait", then, {"type": "until_event", "event_type": event_type, **rest})


def until_condition(name: str, condition: Document, *then: str, **rest: Json) -> Document:
    """Write a wait for a condition."""
    return step(name, "wait", then, {"type": "until_condition", "condition": condition, **rest})


def decision(name: str, kind: str, **configuration: Json) -> Document:
    """Write a decision step."""
    return step(name, "decision", (), {"type": kind, **configuration})


def action(name: str, kind: str, *then: str, when: Json = None, **configuration: Json) -> Document:
    """Write an action step."""
    return step(name, "action", then, {"type": kind, **configuration}, when)


def segment(name: str, condition: Json = None) -> Document:
    """Write a segment, with a condition or without one."""
    return {"kind": "segment", "id": name, "condition": condition}


def lifecycle(**rules: Document) -> Document:
    """Write the lifecycle: the condition of each stage."""
    written: list[Json] = [{"stage": stage, "when": when} for stage, when in rules.items()]
    return {"kind": "lifecycle", "rules": written}


def is_(field: str, operator: str, value: Json = None) -> Document:
    """Write a comparison."""
    return {"field": field, "operator": operator, "value": value}


def compiled(
    *documents: Document, number: int = 1, predecessors: Mapping[int, Catalogue] | None = None, **settings: Json
) -> Catalogue:
    """Compile documents as catalogue `number`, together with a few templates, a segment, and catalogue-wide settings."""
    values: list[Json] = [*documents, HELLO, NEEDY, *SHORT, VIP, {"kind": "settings", **settings}]
    return compile_catalogue(definitions_from_documents(values), number, predecessors)


# Running ------------------------------------------------------------------------------------------------------


def event(
    type: str = "signup", at: Millis = 0, *, arrives: Millis | None = None, **envelope: Json
) -> tuple[Event, Millis]:
    """Make a checked event that occurred at `at`, and the instant at which it arrives."""
    document: Document = {"type": type, "occurred_at": START + at, **envelope}
    read = read_envelope(msgspec.json.encode(document))
    return check_envelope(read, stream_of(read)), START + (at if arrives is None else arrives)


class Journey:
    """Customers, their journeys, and everything that came out."""

    def __init__(
        self, *documents: Document, email: str | None = "ada@shop.example", stage: Json = "lead", **settings: Json
    ) -> None:
        """Begin with definitions; a customer is known by her address unless `email` is None, and is a lead already."""
        self.engine = Engine(CustomersTable(), compiled(*documents, **settings))  # type: ignore[arg-type]
        self.email, self.stage = email, str(stage)
        self.effects: list[Effect] = []
        self.clock = START
        self._ids = 0
        self._known: set[str] = set()

    def publish(
        self, type: str = "signup", at: Millis = 0, *, arrives: Millis | None = None, customer: str | None = "ada",
        event_id: str | None = None, envelope: Document | None = None, **properties: Json,
    ) -> list[Effect]:  # fmt: skip
        """Publish an event; without `arrives`, it arrives when it occurs.

        Properties are given by name, or in `envelope` among its other fields.
        """
        self._ids += 1
        written: Document = {"event_id": event_id or f"e{self._ids}", "customer_id": customer, **(envelope or {})}
        inner = written.pop("properties", properties)
        made, arrival = event(type, at, arrives=arrives, properties=inner, **written)
        key = customer_key(made)
        if self.engine.table.get(key) is None:
            name = customer or f"a:{made.anonymous_id}"
            self.engine.table.add(key, Customer(customer_id=name, email=self.email, lifecycle_stage=self.stage))
        outcomes = route(self.engine, made, arrival)
        self.clock = max(self.clock, arrival)
        new = [effect for outcome in outcomes for effect in outcome.effects]
        self.effects += new
        return new

    def advance(self, to: Millis) -> list[Effect]:
        """Let time come to an instant: whatever is due at it still happens."""
        new = [
            effect
            for outcome in answered(self.engine, self.engine.fire(START + to))
            if outcome
            for effect in outcome.effects
        ]
        self.clock = START + to
        self.effects += new
        return new

    def command(self, action: Literal["pause", "resume", "cancel"], at: Millis, **scope: str) -> list[Effect]:
        """Let a command come: of one execution (with its `customer`), a workflow, a channel, or of everything."""
        self._ids += 1
        customer = scope.pop("customer", None)
        order = Command(
            command_id=f"command{self._ids}",
            action=action,
            customer_key=None if customer is None else f"c:{customer}",
            execution_id=scope.get("execution_id"),
            workflow_id=scope.get("workflow_id"),
            channel=msgspec.convert(scope.get("channel"), Channel | None),
        )
        new = [effect for outcome in self.engine.obey(order, START + at) if outcome for effect in outcome.effects]
        self.clock = max(self.clock, START + at)
        self.effects += new
        return new

    def customer(self, name: str = "ada") -> Customer:
        """Return the state of a customer."""
        found = self.engine.table.get(b"c:" + name.encode())
        assert found is not None
        return found

    def deadline(self, name: str = "ada") -> Millis | None:
        """Return when the customer is looked at next, since the start."""
        catalogue = self.engine.catalogue
        assert catalogue is not None
        due_at = deadline(self.customer(name), catalogue)
        return None if due_at is None else due_at - START

    def sends(self, step_id: str | None = None) -> list[Send]:
        """Return what was sent, in order."""
        sends = [effect for effect in self.effects if isinstance(effect, Send)]
        return [send for send in sends if step_id in {None, send.step_id}]

    def calls(self) -> list[WebhookCall]:
        """Return the webhooks that were called, in order."""
        return [effect for effect in self.effects if isinstance(effect, WebhookCall)]

    def sent_at(self, step_id: str | None = None) -> list[str]:
        """Return when it was sent."""
        return [send.send_at for send in self.sends(step_id)]

    def decisions(self, kind: Kind | None = None, *, reason: str | None = None) -> list[Decision]:
        """Return what was decided, in order."""
        decisions = [effect for effect in self.effects if isinstance(effect, Decision)]
        return [one for one in decisions if kind in {None, one.kind} and reason in {None, one.reason}]

    def reasons(self, kind: Kind) -> list[str | None]:
        """Return the reasons of one kind of decision."""
        return [one.reason for one in self.decisions(kind)]

    def path(self) -> list[str | None]:
        """Return the steps that were completed, in order."""
        return [one.step_id for one in self.decisions("step_completed")]

    def started(self) -> int:
        """Count the executions that were started."""
        return len(self.decisions("execution_started"))


def after(milliseconds: Millis) -> str:
    """Write an instant, given since the start."""
    return format_instant(START + milliseconds)
