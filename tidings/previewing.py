"""Previews: one template as one customer would get it, without anything being decided or sent.

The customer is a made-up one, or comes out of a file of events, folded by the engine as `simulate` does. The event that
a template calls `trigger` is the customer's latest of a type that starts a workflow with this template, else her
latest; without a file, an empty one of such a type.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw, Struct

from agents.engine import Engine, customer_name
from agents.identity import answered, route
from journeys.addresses import status_of
from journeys.catalogue import Catalogue, compile_content
from journeys.conditions import Clauses
from journeys.scene import Scene
from journeys.sending import ADDRESS_OF, content_for
from journeys.templates import Rendered
from journeys.timing import customer_zone
from schemas.customer import Customer, Execution
from schemas.decisions import Channel
from schemas.definitions import Definitions, Template
from schemas.errors import TidingsError
from schemas.events import Event, Json, customer_key
from schemas.instants import Millis, parse_instant
from schemas.kept_events import keep_event
from schemas.problems import shown, suggestion
from tables.customers import CustomersTable
from tidings.event_file import read_lines

SAMPLE: Final[Mapping[str, Json]] = {"first_name": "Ada", "last_name": "Lovelace", "company": "Analytical Engines"}
"""The attributes of the customer that is made up."""
SAMPLE_NOW: Final[Millis] = parse_instant("2026-03-02T09:00:00Z")
_LISTED: Final = 10
_encoder: Final = msgspec.json.Encoder()


class Person(Struct, frozen=True, kw_only=True):
    """For whom a template is shown: her state, the event that would have started it, and the time."""

    customer: Customer
    event: Event
    now: Millis


class Preview(Struct, frozen=True, kw_only=True):
    """What she would get, and what was noticed on the way."""

    channel: Channel
    to: str | None
    email_status: str | None
    sender: str | None
    content: Rendered
    warnings: tuple[str, ...]


def template_named(name: str, definitions: Definitions) -> Template:
    """Return a template.

    Raises:
        TidingsError: there is none of that name; the text says which there are.
    """
    found = definitions.templates.get(name)
    if found is not None:
        return found
    names = sorted(definitions.templates)
    hint = suggestion(name, names) or (f"there are {', '.join(names[:_LISTED])}" if names else "there is none at all")
    msg = f"there is no template {shown(name)}; {hint}"
    raise TidingsError(msg)


def sample_person(template: Template, definitions: Definitions) -> Person:
    """Make a customer up."""
    types = starting_types(template, definitions)
    event = Event(event_id="preview", type=types[0] if types else "signup", occurred_at=SAMPLE_NOW, stream="behavioral")
    customer = Customer(
        customer_id="sample",
        now=SAMPLE_NOW,
        email="ada@example.com",
        phone="+15550100",
        push_token="sample-device",  # noqa: S106 -- an address, of a device that nobody has
        social_id="sample-account",
        attributes=dict(SAMPLE),
    )
    return Person(customer=customer, event=event, now=SAMPLE_NOW)


def person_in_file(name: str, file: Path, template: Template, definitions: Definitions, catalogue: Catalogue) -> Person:
    """Fold a file of events, and return one of its customers as she stands behind the last line.

    Raises:
        TidingsError: the file can't be read, or holds no event of hers.
    """
    engine = Engine(CustomersTable(), catalogue)
    types = starting_types(template, definitions)
    names: dict[str, bytes] = {}
    latest: Event | None = None
    clock = SAMPLE_NOW
    for line in read_lines(file):
        if line.event is None:
            continue
        event, clock = line.event, line.clock
        key = names[customer_name(customer_key(event))] = customer_key(event)
        for _ in answered(engine, engine.fire(clock)):
            pass
        route(engine, event, clock)
        if customer_name(key) == name and (latest is None or event.type in types or latest.type not in types):
            latest = event
    customer = engine.table.get(names[name]) if name in names else None
    if customer is None or latest is None:
        hint = suggestion(name, names) or f"it has {', '.join(list(names)[:_LISTED]) or 'nobody'}"
        msg = f"{file} holds no event of the customer {shown(name)}; {hint}"
        raise TidingsError(msg)
    return Person(customer=customer, event=latest, now=clock)


def starting_types(template: Template, definitions: Definitions) -> list[str]:
    """Return the event types that start a workflow with this template."""
    mentioned = _encoder.encode(template.id)
    return [
        event_type
        for workflow in definitions.workflows.values()
        if mentioned in _encoder.encode(workflow.steps)
        for trigger in workflow.triggers
        if isinstance(event_type := getattr(trigger.conditions, "event_type", None), str)
    ]


def changed(person: Person, attributes: Mapping[str, Json], properties: Mapping[str, Json]) -> Person:
    """Lay attributes over the customer's, and properties over the event's."""
    customer, event = person.customer, person.event
    customer.attributes |= attributes
    known = msgspec.json.decode(event.properties, type=dict[str, Json])
    event.properties = Raw(_encoder.encode(known | dict(properties)))
    return person


def preview(template: Template, person: Person, catalogue: Catalogue) -> Preview:
    """Render a template for somebody."""
    customer, settings = person.customer, catalogue.settings
    execution = Execution(
        execution_id="preview",
        workflow_id="preview",
        version=catalogue.number,
        trigger_id="0",
        started_at=person.now,
        expires_at=person.now,
        trigger=keep_event(person.event),
        branches=[],
        visits={},
    )
    scene = Scene(
        customer=customer,
        now=person.now,
        half_life_ms=catalogue.half_life_ms,
        execution=execution,
        zone=customer_zone(customer.preferences, settings.default_timezone),
        warnings=[],
    )
    compiled = compile_content(template, Clauses()).template
    content = content_for(compiled, scene, settings, "preview")
    return Preview(
        channel=template.channel,
        to=getattr(customer, ADDRESS_OF[template.channel]),
        email_status=status_of(customer) if template.channel == "email" else None,
        sender=content.sender or settings.default_from,
        content=content,
        warnings=tuple(scene.warnings),
    )
