"""One customer's story: what she did and what came of it, in the order of time and in her own zone.

Made of nothing but her lines of the events and of the records, which is all that anybody would need to ask why.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, field

from schemas.definitions import SplitTest, Workflow
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import Millis, parse_instant
from tidings.demo.findings import Record, decode_record
from tidings.demo.words import near_moment, reason_in_words
from tidings.printing import counted


class Moment(Struct, frozen=True, kw_only=True):
    """What happened at one instant: what the customer did, if she did anything, and what followed."""

    at: Millis
    did: tuple[str, ...]
    followed: tuple[str, ...]


class Story(Struct, frozen=True, kw_only=True):
    """A customer, and the moments of her story."""

    customer_id: str
    name: str
    zone: str
    orders: int
    messages: int
    moments: tuple[Moment, ...]


class _Properties(Struct, kw_only=True):
    attributes: dict[str, Json] = {}
    preferences: dict[str, Json] = {}
    items: int = 0
    total: float = 0.0


class _Happening(Struct, kw_only=True):
    type: str
    occurred_at: str
    properties: _Properties


class _Draft(Struct):
    """A story in the making: lines by instant."""

    did: dict[Millis, list[str]] = field(default_factory=dict)
    followed: dict[Millis, list[str]] = field(default_factory=dict)


_decode_happening: Final = msgspec.json.Decoder(_Happening).decode


def lines_of(path: Path, customer_id: str) -> list[bytes]:
    """Return the lines of a file of events or records that are this customer's.

    Raises:
        TidingsError: the file can't be read.
    """
    mark = b'"customer_id":' + msgspec.json.encode(customer_id) + b","
    try:
        with path.open("rb") as file:
            return [line for line in file if mark in line]
    except OSError as error:
        msg = f"can't read {path}: {error.strerror}"
        raise TidingsError(msg) from None


def tell(
    customer_id: str, events: Iterable[bytes], records: Iterable[bytes], workflows: Mapping[str, Workflow]
) -> Story:
    """Tell a customer's story.

    Args:
        customer_id: who.
        events: her lines of the file of events, in order.
        records: her records, in order.
        workflows: by id, for their names.
    """
    draft, name, zone, orders = _Draft(), "", "UTC", 0
    for happening in map(_decode_happening, events):
        if happening.type == "customer_updated":
            name = str(happening.properties.attributes.get("first_name", name))
            zone = str(happening.properties.preferences.get("timezone", zone))
            continue
        orders += 1
        bought = f"buys {counted(happening.properties.items, 'CD')} for ${happening.properties.total:,.2f}"
        draft.did.setdefault(parse_instant(happening.occurred_at), []).append(bought)
    decoded = [decode_record(record) for record in records]
    for record in decoded:
        at = parse_instant(record.at or record.send_at)
        for line in _say(record, workflows, zone):
            draft.followed.setdefault(at, []).append(line)
    return Story(
        customer_id=customer_id,
        name=name or customer_id,
        zone=zone,
        orders=orders,
        messages=sum(record.record == "send" for record in decoded),
        moments=tuple(_moments(draft)),
    )


def _moments(draft: _Draft) -> Iterator[Moment]:
    for at in sorted(draft.did.keys() | draft.followed.keys()):
        yield Moment(at=at, did=tuple(draft.did.get(at, ())), followed=tuple(draft.followed.get(at, ())))


def _say(record: Record, workflows: Mapping[str, Workflow], zone: str) -> Iterator[str]:
    workflow = workflows.get(record.workflow_id or "")
    if workflow is None:
        return
    detail = record.detail or {}
    if record.record == "send":
        yield f'{workflow.name}: mail "{record.subject}"'
        return
    match record.kind:
        case "execution_started":
            yield f"{workflow.name} begins: {_trigger_in_words(workflow, record.trigger_id)}"
        case "trigger_refused":
            yield f"{workflow.name} doesn't begin: {_why(record, zone)}"
        case "send_deferred":
            yield f"{workflow.name}: the next mail waits{_until(detail, zone)}"
        case "send_suppressed":
            yield f"{workflow.name}: no mail after all, {_why(record, zone)}"
        case "step_completed":
            yield from _say_step(workflow, record.step_id, detail)
        case "execution_ended" if record.reason != "completed":
            yield f"{workflow.name} ends early ({record.reason})"
        case _:
            pass


def _say_step(workflow: Workflow, step_id: str | None, detail: Mapping[str, Json]) -> Iterator[str]:
    result = detail.get("result")
    step = next((step for step in workflow.steps if step.id == step_id), None)
    if step is not None and isinstance(step.configuration, SplitTest):
        yield f"{workflow.name}: the split says {result}"
    elif result == "matched":
        yield f"{workflow.name}: {_spaced(step_id)}? Yes"
    elif result == "event":
        yield f"{workflow.name}: {_spaced(step_id)}, so no further mail"


def _trigger_in_words(workflow: Workflow, trigger_id: str | None) -> str:
    named = any(trigger.id == trigger_id for trigger in workflow.triggers)
    return _spaced(trigger_id) if named else "it was triggered"


def _why(record: Record, zone: str) -> str:
    reason = record.reason or ""
    return f"{reason_in_words(reason)} ({reason}{_until(record.detail or {}, zone)})"


def _until(detail: Mapping[str, Json], zone: str) -> str:
    until = detail.get("until")
    return f" until {near_moment(parse_instant(until), zone)}" if isinstance(until, str) else ""


def _spaced(identifier: str | None) -> str:
    return (identifier or "").replace("_", " ")
