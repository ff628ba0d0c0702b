"""No part of a customer's state grows without end, whatever she does and for however long.

One world uses every kind of memory; somebody hostile lives in it for some weeks, with ever new names, ids, keys and
addresses. A part of the state that a change adds has to be given its bound here.
"""

import random  # noqa: TID251 -- seeded
from typing import Final

import pytest
from msgspec.structs import fields

from journeys.absences import KEPT_FIRST_EVENTS, KEPT_SECOND_EVENTS, MAX_ABSENCES
from journeys.frequency import SPARE_FOR_LATE_EVENTS
from journeys.keys import MAX_KEYS
from journeys.sequences import KEPT_FOR_LATE_EVENTS, SLACK, TIMELINE
from schemas.customer import (
    MAX_ASSIGNMENTS,
    MAX_ATTRIBUTABLE,
    MAX_ATTRIBUTES,
    MAX_COUNTED_TYPES,
    MAX_SEGMENTS,
    MAX_SETTLED,
    RECENT_EVENTS,
    SEEN_EVENTS,
    Customer,
    SequenceMemory,
)
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS
from tests.journey import (
    Document,
    Journey,
    absence,
    action,
    attribute_change,
    dated,
    decision,
    frequency,
    is_,
    mail,
    segment,
    segment_change,
    sequence,
    signup,
    silence,
    trigger,
    until_event,
    wait,
    workflow,
)

KEY: Final = "event.properties.order_id"
LATE: Final = is_("event.total", "gte", 3)
OFTEN: Final[Document] = {
    "operator": "performed",
    "value": {"event_type": "page_viewed", "min_count": 5, "within_hours": 48, "where": LATE},
}
PATHS: Final = decision(
    "look", "condition", conditions=[{"rule": OFTEN, "next_step": "mail"}], default_next_step="again"
)
EXPERIMENT: Final[Document] = {
    "kind": "experiment", "id": "x", "base_workflow_id": "welcome", "variations": ["other"],
    "config": {"traffic_split": {"control": 0.5, "variations": [0.5]}},
}  # fmt: skip
WORLD: Final[tuple[Document, ...]] = (
    workflow(PATHS, mail(timing={}), mail("again"), id="welcome", on=[signup()], re_entry={}, goal=OFTEN),
    workflow(mail(), id="other", on=[]),
    workflow(
        until_event("u", "shipped", "look", timeout_hours=90), PATHS, mail(), mail("again"), id="orders",
        on=[trigger("order_placed"), frequency("page_viewed", 5, 60, where=LATE)], execution_key=KEY, re_entry={},
        goal={"event_type": "order_completed"}, attribution_window_hours=500,
    ),
    workflow(
        action("put", "add_to_segment", "keep", segment_id="vip"),
        action("keep", "update_attributes", "tell", attributes={"seen": "${trigger.total}"}),
        action("tell", "send_event", "p", event_type="told", properties={"a": "${trigger.total}"}),
        wait("p", "look", duration_hours=7), PATHS, mail(), mail("again"), id="many",
        on=[
            signup(cooldown_hours=1), absence("cart_updated", "order_completed", 600), silence(2),
            sequence("page_viewed", "cart_updated", "email_opened"), segment_change("lately"),
            sequence("page_viewed", {"event_type": "cart_updated", "where": LATE}, contiguity="relaxed"),
            attribute_change(attribute="plan"), dated("plan", recurring="yearly"),
        ],
        allow_multiple_executions=True,
    ),
    segment("lately", OFTEN),
    EXPERIMENT,
)  # fmt: skip
SETTINGS: Final[Document] = {
    "frequency_caps": [{"channel": "email", "max": 7, "per_hours": 24, "on_cap": "delay"}],
    "max_concurrent_executions": 20,
}
TYPES: Final = ("page_viewed", "cart_updated", "order_placed", "order_completed", "shipped", "signup", "email_opened")

TRIGGERS: Final = 11
BOUNDS: Final[dict[str, tuple[int, int]]] = {
    "seen": (8 + SEEN_EVENTS * 12, 1),
    "attributes": (MAX_ATTRIBUTES, 1),
    "attribute_times": (2 * MAX_ATTRIBUTES, 1),
    "preferences": (MAX_ATTRIBUTES, 1),
    "segments": (MAX_SEGMENTS, 1),
    "contacts": (4, 1),
    "counts": (MAX_COUNTED_TYPES + 1, 1),
    "last": (MAX_COUNTED_TYPES + 1, 1),
    "recent": (RECENT_EVENTS * 8, 1),
    "executions": (20, 1),
    "ended": (3 + MAX_KEYS, 1),
    "cooldowns": (TRIGGERS, 1),
    "windows": (1, 2 * (5 + SPARE_FOR_LATE_EVENTS)),
    "silences": (1, 1),
    "refusals": (11 * TRIGGERS, 1),
    "clauses": (1, 2 * (5 + SPARE_FOR_LATE_EVENTS)),
    "forgotten": (2, 1),
    "sequences": (2, 3 + KEPT_FOR_LATE_EVENTS + SLACK),
    "timeline": (TIMELINE + SLACK, 1),
    "assignments": (MAX_ASSIGNMENTS, 1),
    "exposed": (MAX_ASSIGNMENTS, 1),
    "absences": (MAX_ABSENCES, 1),
    "first_events": (1, KEPT_FIRST_EVENTS),
    "second_events": (1, KEPT_SECOND_EVENTS),
    "sent": (1, 2 * (7 + SPARE_FOR_LATE_EVENTS)),
    "segment_flips": (1, 1),
    "attributable": (MAX_ATTRIBUTABLE, 1),
    "dates": (1, 1),
    "pending": (0, 1),
    "settled": (MAX_SETTLED, 1),
}
"""Of each part how many it holds, and how many each of these."""
REACHED: Final = {
    "seen", "attributes", "attribute_times", "preferences", "counts", "last", "recent", "executions", "windows", "timeline",
    "first_events", "second_events", "settled",
}  # fmt: skip


def lives(seed: int) -> tuple[Journey, dict[str, tuple[int, int]]]:
    """Live for some weeks; return the most that each part has held."""
    chance = random.Random(seed)  # noqa: S311 -- not a secret
    journey, at = Journey(*WORLD, **SETTINGS), 0  # type: ignore[arg-type]
    most: dict[str, tuple[int, int]] = {}
    for number in range(1_000):
        at += chance.choice((0, 1, 1_000, MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS))
        late = chance.choice((0, 0, 0, MINUTE_MS, HOUR_MS, 30 * HOUR_MS, 100 * HOUR_MS))
        kind = chance.choice((*TYPES, f"type{number}", f"type{number}", "customer_updated"))
        journey.publish(kind, at - late, arrives=at, envelope=_written(chance, kind, number))
        for name, held in _held(journey.customer()).items():
            before = most.get(name, (0, 0))
            most[name] = max(before[0], held[0]), max(before[1], held[1])
    journey.advance(to=at + DAY_MS)
    return journey, most


def _written(chance: random.Random, kind: str, number: int) -> Document:
    properties: Document = {"total": chance.randrange(6), "order_id": f"o{chance.randrange(400)}"}
    if kind == "customer_updated":
        plan: Json = chance.choice((None, 7, "2026-02-03", "x" * 200))
        noise: Document = {f"n{number}-{place}": chance.choice((None, number)) for place in range(9)}
        zone = chance.choice(("Asia/Tokyo", "nowhere", number))
        properties |= {"attributes": {"plan": plan, **noise}, "preferences": {"timezone": zone, **noise}}
    return {"properties": properties, "session_id": chance.choice((None, f"s{number}"))}


def _held(customer: Customer) -> dict[str, tuple[int, int]]:
    found = {}
    for one in fields(Customer):
        value = getattr(customer, one.name)
        if isinstance(value, bytes | list | dict):
            memories = (
                value.values() if isinstance(value, dict) and one.name not in {"attributes", "preferences"} else ()
            )
            found[one.name] = len(value), max(map(_size, memories), default=1)
    return found


def _size(memory: object) -> int:
    """Return how many instants a trigger or a condition remembers."""
    return len(memory.places if isinstance(memory, SequenceMemory) else memory if isinstance(memory, list) else "1")


@pytest.mark.parametrize("seed", range(2))
def test_no_part_of_a_state_grows_beyond_its_bound(seed: int) -> None:
    journey, most = lives(seed)
    assert set(most) == set(BOUNDS)
    too_much = {name: held for name, held in most.items() if held[0] > BOUNDS[name][0] or held[1] > BOUNDS[name][1]}
    assert too_much == {}
    # Or it would say little.
    assert {name for name, held in most.items() if held == BOUNDS[name]} >= REACHED
    assert len(journey.sends()) > 50
