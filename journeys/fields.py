"""Fields: dotted paths of conditions and of `${…}`, compiled once into functions that read them off a scene.

A bare name is an attribute, else a computed field. Instants leave here as `Instant`, so that a comparison knows
them from numbers; null and missing are told apart, because `eq` compares null like any other value.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, TypeVar

from journeys.addresses import status_of
from journeys.scene import Scene, View
from journeys.scoring import DIGITS, score
from schemas.customer import Execution, Session
from schemas.events import Event, Json
from schemas.instants import MINUTE_MS, Millis, format_instant


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
"""What a field that isn't there reads as."""


class Instant(int):
    """Epoch milliseconds that a comparison treats as a time; JSON and msgpack refuse it, see `plain`."""

    __slots__ = ()


Value = Json | Missing
Field = Callable[[Scene], Value]


def plain(value: Value) -> Json:
    """Return a field's value as JSON: an instant as RFC 3339, a missing one as null."""
    if value is MISSING:
        return None
    return format_instant(value) if isinstance(value, Instant) else value


def compile_field(path: str) -> Field:
    """Compile a dotted path.

    Raises:
        ValueError: no such field can exist; the text says what would be right.
    """
    if "" in path.split("."):
        msg = f"{path!r} has an empty part"
        raise ValueError(msg)
    root, _, rest = path.partition(".")
    if not rest:
        return _compile_bare(path)
    compile_root = _ROOTS.get(root)
    return _compile_attribute(path) if compile_root is None else compile_root(rest)


def _compile_attribute(path: str) -> Field:
    read = _compile_walk(path)
    return lambda scene: read(scene.customer.attributes)


def _compile_preference(path: str) -> Field:
    read = _compile_walk(path)
    return lambda scene: read(scene.customer.preferences)


def _instant(instant: Millis | None) -> Value:
    return MISSING if instant is None else Instant(instant)


def _known(value: Json) -> Value:
    return MISSING if value is None else value


def _average_order(scene: Scene) -> Value:
    customer = scene.customer
    return round(customer.total_spent / customer.total_purchases, DIGITS) if customer.total_purchases else 0.0


COMPUTED: Final[dict[str, Field]] = {
    "first_seen": lambda scene: _instant(scene.customer.first_seen),
    "last_activity": lambda scene: _instant(scene.customer.last_activity),
    "last_engagement": lambda scene: _instant(scene.customer.last_engagement),
    "engagement_score": lambda scene: score(scene.customer, scene.now, scene.half_life_ms),
    "total_purchases": lambda scene: scene.customer.total_purchases,
    "total_spent": lambda scene: round(scene.customer.total_spent, DIGITS),
    "avg_order_value": _average_order,
    "lifecycle_stage": lambda scene: scene.customer.lifecycle_stage,
    "email": lambda scene: _known(scene.customer.email),
    "email_status": lambda scene: _known(status_of(scene.customer)),
    "phone": lambda scene: _known(scene.customer.phone),
    "push_token": lambda scene: _known(scene.customer.push_token),
    "social_id": lambda scene: _known(scene.customer.social_id),
    "customer_id": lambda scene: scene.customer.customer_id,
    "segments": lambda scene: list(scene.customer.segments),
    "now": lambda scene: Instant(scene.now),
}
"""What a bare name means where no attribute has it."""


OVERRIDE: Final = "engagement_score: the attribute of that name stands in for the computed score"


def _compile_bare(name: str) -> Field:
    computed = COMPUTED.get(name)
    if computed is None:
        return lambda scene: scene.customer.attributes.get(name, MISSING)
    if name == "engagement_score":
        return _read_score
    otherwise = computed

    def read(scene: Scene) -> Value:
        attribute = scene.customer.attributes.get(name)
        return otherwise(scene) if attribute is None else attribute

    return read


def _read_score(scene: Scene) -> Value:
    customer = scene.customer
    attribute = customer.attributes.get("engagement_score")
    if attribute is None:
        return score(customer, scene.now, scene.half_life_ms)
    scene.warn(OVERRIDE)
    return attribute


def _compile_walk(path: str) -> Callable[[dict[str, Json]], Value]:
    """Compile a path into an object; a name that holds the dots itself comes before the nested one."""
    if "." not in path:
        return lambda root: root.get(path, MISSING)
    parts = path.split(".")

    def read(root: dict[str, Json]) -> Value:
        if path in root:
            return root[path]
        value: Value = root
        for part in parts:
            if not isinstance(value, dict):
                return MISSING
            value = value.get(part, MISSING)
        return value

    return read


def compile_event_field(name: str) -> Field:
    """Compile a name of the present event: the envelope's field, else the property, also one that holds dots."""
    envelope = _ENVELOPE.get(name)
    if envelope is None:
        return _compile_viewed(Scene.present, name)
    field = envelope

    def read(scene: Scene) -> Value:
        event = scene.event
        if event is None:
            return MISSING
        value = field(event)
        return scene.event_properties().get(name, MISSING) if value is MISSING else value

    return read


# The envelope -------------------------------------------------------------------------------------------------

_ENVELOPE: Final[dict[str, Callable[[Event], Value]]] = {
    "event_id": lambda event: event.event_id,
    "type": lambda event: event.type,
    "occurred_at": lambda event: Instant(event.occurred_at),
    "received_at": lambda event: _instant(event.received_at),
    "customer_id": lambda event: _known(event.customer_id),
    "anonymous_id": lambda event: _known(event.anonymous_id),
    "source": lambda event: _known(event.source),
    "session_id": lambda event: _known(event.session_id),
}


def property_name(path: str) -> str | None:
    """Return which property of the present event a path names, if it is one that isn't inside another."""
    name = path.removeprefix("event.")
    is_property = (
        name not in {"", path} and "." not in name and name not in _ENVELOPE and name not in {"properties", "context"}
    )
    return name if is_property else None


def envelope_of(view: View) -> dict[str, Json]:
    """Return an event as one object: its properties, and over them the envelope's fields that it has."""
    envelope = {name: plain(field(view.event)) for name, field in _ENVELOPE.items()}
    return view.properties() | {name: value for name, value in envelope.items() if value is not None}


def _compile_viewed(look: Callable[[Scene], View | None], path: str) -> Field:
    inner = _compile_view_field(path)

    def read(scene: Scene) -> Value:
        view = look(scene)
        return MISSING if view is None else inner(view)

    return read


def _compile_view_field(path: str) -> Callable[[View], Value]:
    """Compile what stands behind `event.`: the envelope's field, else (or where that is null) the property."""
    root, _, rest = path.partition(".")
    if root in {"properties", "context"}:
        look = View.properties if root == "properties" else View.context
        if not rest:
            return look
        inside = _compile_walk(rest)
        return lambda view: inside(look(view))
    walk = _compile_walk(path)
    envelope = _ENVELOPE.get(path)
    if envelope is None:
        return lambda view: walk(view.properties())
    field = envelope

    def read(view: View) -> Value:
        value = field(view.event)
        return walk(view.properties()) if value is MISSING else value

    return read


# Sessions and executions --------------------------------------------------------------------------------------

_SESSION: Final[dict[str, Callable[[Session], Value]]] = {
    "events": lambda session: session.events,
    "pages": lambda session: session.pages,
    "duration_minutes": lambda session: (session.last_at - session.started_at) / MINUTE_MS,
}
_EXECUTION: Final[dict[str, Callable[[Execution], Value]]] = {
    "execution_id": lambda execution: execution.execution_id,
    "workflow_id": lambda execution: execution.workflow_id,
    "workflow_version": lambda execution: execution.version,
    "trigger_id": lambda execution: execution.trigger_id,
    "started_at": lambda execution: Instant(execution.started_at),
    "expires_at": lambda execution: Instant(execution.expires_at),
    "last_send_at": lambda execution: _instant(execution.last_send_at),
    "execution_key": lambda execution: MISSING if execution.key is None else execution.key,
}


def _compile_session(name: str) -> Field:
    inner = _named(_SESSION, "session", name)

    def read(scene: Scene) -> Value:
        session = scene.customer.session
        return MISSING if session is None else inner(session)

    return read


def _compile_execution(path: str) -> Field:
    root, _, rest = path.partition(".")
    if root == "last_event" and rest:
        return _compile_viewed(Scene.last_event, rest)
    if root == "responses" and rest:
        return lambda scene: MISSING if scene.execution is None else scene.execution.responses.get(rest, MISSING)
    inner = _named(_EXECUTION, "execution", path, "last_event.…", "responses.…")

    def read(scene: Scene) -> Value:
        execution = scene.execution
        return MISSING if execution is None else inner(execution)

    return read


_T = TypeVar("_T")


def _named(fields: dict[str, Callable[[_T], Value]], root: str, name: str, *others: str) -> Callable[[_T], Value]:
    field = fields.get(name)
    if field is None:
        msg = f"{root}.{name} is unknown; {root} has {', '.join([*fields, *others])}"
        raise ValueError(msg)
    return field


_ROOTS: Final[dict[str, Callable[[str], Field]]] = {
    "attributes": _compile_attribute,
    "preferences": _compile_preference,
    "event": compile_event_field,
    "trigger": lambda path: _compile_viewed(Scene.trigger, path),
    "session": _compile_session,
    "execution": _compile_execution,
    "counts": lambda event_type: lambda scene: scene.customer.counts.get(event_type, 0),
    "last": lambda event_type: lambda scene: _instant(scene.customer.last.get(event_type)),
    "customer": compile_field,
}
"""What compiles the rest of a path, by its first part; any other first part names an attribute that is an object."""
