"""Histories to try workflows on: made of what the definitions look at, and shrunk to the shortest that shows a failure.

Theory: chance alone would seldom meet a workflow, so events have the types, properties and values that its triggers,
waits and conditions name, and time passes in the spans that its waits, windows and cooldowns name, to the millisecond
and one less. Drawing and shrinking are Hypothesis's (https://hypothesis.works), which keeps the shortest history that
still fails.
"""

import io
import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from msgspec import Struct

from journeys.catalogue import Catalogue
from schemas.definitions import Definitions
from schemas.events import Json
from schemas.expectations import DEFAULT_START
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis, later, parse_instant
from tidings.checking import Record, longest_execution_ms, outcome_of
from tidings.event_file import lines_of
from tidings.laws import World, broken_laws

CUSTOMERS: Final = ("ada", "bob")
MOST_EVENTS: Final = 20
LONGEST_STEP_MS: Final = 399 * DAY_MS

_UNITS: Final = {"_days": DAY_MS, "_hours": HOUR_MS, "_minutes": MINUTE_MS}
_COMMON_TYPES: Final = (
    "signup",
    "page_viewed",
    "order_completed",
    "email_opened",
    "email_clicked",
    "email_unsubscribed",
    "email_bounced",
    "consent_changed",
    "customer_updated",
)
_COMMON_STEPS: Final = (0, 1, MINUTE_MS, HOUR_MS, DAY_MS, 7 * DAY_MS, 30 * DAY_MS)
_EVENT_FIELD: Final = re.compile(r"(?:event|trigger)\.(?:properties\.)?([\w-]+)")


class Vocabulary(Struct, frozen=True, kw_only=True):
    """What definitions look at: event types, values by property and by attribute, spans of time."""

    types: tuple[str, ...]
    properties: dict[str, list[Json]]
    attributes: dict[str, list[Json]]
    steps: tuple[Millis, ...]


class Failure(Struct, frozen=True, kw_only=True):
    """The shortest history found that breaks a law: its lines as NDJSON, and what is broken."""

    history: bytes
    complaints: tuple[str, ...]


def find_failure(
    definitions: Definitions, catalogue: Catalogue, *, histories: int, number: int, tried: Callable[[], object]
) -> Failure | None:
    """Try generated histories; return the shortest that breaks a law, or None.

    Args:
        definitions: what the catalogue was compiled from.
        catalogue: the rules.
        histories: how many to draw.
        number: the seed; the same one draws the same histories.
        tried: called after each history that holds.
    """
    failures: list[Failure] = []

    @seed(number)
    @settings(
        max_examples=histories,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(_histories(vocabulary(definitions)))
    def attempt(history: list[Record]) -> None:
        text = b"".join(msgspec.json.encode(event) + b"\n" for event in history)
        complaints = broken_laws(world_of(text, definitions, catalogue))
        if complaints:
            failures.append(Failure(history=text, complaints=tuple(complaints)))
            raise _BrokenLawError
        tried()

    try:
        attempt()
    except _BrokenLawError:
        # The last one raised is the one that Hypothesis has shrunk everything to.
        return failures[-1]
    return None


class _BrokenLawError(Exception):
    """A history breaks a law; which, stands among the failures."""


def world_of(history: bytes, definitions: Definitions, catalogue: Catalogue) -> World:
    """Run a history far enough that every execution can end."""
    lines = list(lines_of(io.BytesIO(history)))
    last = max((line.clock for line in lines), default=parse_instant(DEFAULT_START))
    until = later(last, 2 * longest_execution_ms(definitions))
    records = outcome_of(lines, catalogue, until)
    return World(definitions=definitions, lines=lines, records=records, until=until)


# What definitions look at ---------------------------------------------------------------------------------------


def vocabulary(definitions: Definitions) -> Vocabulary:
    """Collect what definitions look at."""
    types: dict[str, None] = dict.fromkeys(_COMMON_TYPES)
    properties: dict[str, list[Json]] = {}
    attributes: dict[str, list[Json]] = {}
    steps: dict[Millis, None] = dict.fromkeys(_COMMON_STEPS)
    for part in _parts(msgspec.json.decode(msgspec.json.encode(definitions))):
        for key, value in part.items():
            for name in _named_types(key, value):
                types[name] = None
            for span in _spans(key, value):
                steps[span] = None
        if isinstance(part.get("field"), str):
            name, known = _field(str(part["field"]), properties, attributes)
            near = _near(part.get("value"))
            if near:
                known.setdefault(name, []).extend(near)
        equals = part.get("equals")
        for name, value in (equals if isinstance(equals, dict) else {}).items():
            properties.setdefault(name, []).append(value)
    return Vocabulary(types=tuple(types), properties=properties, attributes=attributes, steps=tuple(steps))


def _parts(value: Json) -> Iterator[dict[str, Json]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _parts(part)


def _named_types(key: str, value: Json) -> list[str]:
    if key in {"event_type", "unless_event"} and isinstance(value, str):
        return [value]
    if key == "required_sequence" and isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return []


def _spans(key: str, value: Json) -> list[Millis]:
    unit = next((unit for suffix, unit in _UNITS.items() if key.endswith(suffix)), None)
    if unit is None or isinstance(value, bool) or not isinstance(value, int | float):
        return []
    span = round(value * unit)
    return [near for near in (span - 1, span, span + 1) if 0 <= near <= LONGEST_STEP_MS]


def _field(
    path: str, properties: dict[str, list[Json]], attributes: dict[str, list[Json]]
) -> tuple[str, dict[str, list[Json]]]:
    of_event = _EVENT_FIELD.fullmatch(path)
    return (path.removeprefix("attributes."), attributes) if of_event is None else (of_event[1], properties)


def _near(value: Json) -> list[Json]:
    if isinstance(value, list):
        return [near for part in value for near in _near(part)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [value - 1, value, value + 1]
    return [value] if isinstance(value, str | bool) else []


# Drawing --------------------------------------------------------------------------------------------------------


@st.composite
def _histories(draw: st.DrawFn, words: Vocabulary) -> list[Record]:
    """Draw up to `MOST_EVENTS` events of a few customers, in the order of arrival, some of them late or repeated.

    A producer repeats within a day: what it sends again later has an id that is known no more (SPEC keeps them 24 h).
    """
    at = parse_instant(DEFAULT_START)
    history: list[Record] = []
    arrived: list[Millis] = []
    for number in range(draw(st.integers(0, MOST_EVENTS))):
        at += draw(st.sampled_from(words.steps))
        history.append(_event(draw, words, number, at))
        arrived.append(at)
        # The least likely is the largest: what is shrunk to 0 repeats nothing.
        if draw(st.integers(0, 9)) == 9:  # noqa: PLR2004
            earlier = draw(st.integers(0, number))
            if at - arrived[earlier] < DAY_MS:
                history.append(_copy(history, f"event-{earlier}") | {"received_at": at})
    return history


def _copy(history: list[Record], event_id: str) -> Record:
    return next(event for event in history if event["event_id"] == event_id)


def _event(draw: st.DrawFn, words: Vocabulary, number: int, at: Millis) -> Record:
    event_type = draw(st.sampled_from(words.types))
    late = draw(st.sampled_from((0, 0, 0, *words.steps)))
    event: Record = {
        "event_id": f"event-{number}",
        "type": event_type,
        "customer_id": draw(st.sampled_from(CUSTOMERS)),
        "occurred_at": at - late,
        "received_at": at,
        "properties": _values(draw, words.properties) | _known_properties(draw, words, event_type),
    }
    source = words.properties.get("source")
    return event | ({"source": draw(st.sampled_from(source))} if source else {})


def _known_properties(draw: st.DrawFn, words: Vocabulary, event_type: str) -> dict[str, Json]:
    if event_type == "consent_changed":
        return {
            "channel": draw(st.sampled_from(("email", "sms"))),
            "consent": draw(st.sampled_from(("granted", "denied"))),
        }
    if event_type == "customer_updated":
        zone = draw(st.sampled_from(("UTC", "America/New_York", "Asia/Kolkata")))
        addresses: dict[str, Json] = {"email": "ada@shop.example", "phone": "+15550001", "push_token": "token"}
        preferences: dict[str, Json] = {"timezone": zone}
        if draw(st.booleans()):
            preferences["quiet_hours"] = {"start": draw(st.sampled_from(("20:00", "07:30"))), "end": "09:00"}
        return {**addresses, "attributes": _values(draw, words.attributes), "preferences": preferences}
    return {"email": "ada@shop.example"}


def _values(draw: st.DrawFn, known: dict[str, list[Json]]) -> dict[str, Json]:
    """Draw a value for some of the names."""
    chosen = [name for name in known if draw(st.booleans())]
    return {name: draw(st.sampled_from(known[name])) for name in chosen}
