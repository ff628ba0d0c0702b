"""What an action step does to the customer."""

import re
from typing import Final

from journeys.fields import compile_field, plain
from journeys.profile import join_segment, leave_segment, set_bounded
from journeys.scene import Scene
from schemas.definitions import ActionConfiguration, AddToSegment, Exit, RemoveFromSegment, UpdateAttributes
from schemas.events import Json
from schemas.instants import format_instant

_REFERENCE: Final = re.compile(r"\$\{([^{}]{1,200})\}")
NOW: Final = "now"


def act(configuration: ActionConfiguration, scene: Scene) -> dict[str, Json]:
    """Carry the action out; return what changed, as the detail of a `profile_changed`; empty for nothing."""
    match configuration:
        case UpdateAttributes(attributes=attributes):
            return _update(attributes, scene)
        case AddToSegment(segment_id=segment_id):
            return {"segment_entered": segment_id} if join_segment(scene.customer, segment_id) else {}
        case RemoveFromSegment(segment_id=segment_id):
            return {"segment_left": segment_id} if leave_segment(scene.customer, segment_id) else {}
        case Exit():
            return {}


def _update(attributes: dict[str, Json], scene: Scene) -> dict[str, Json]:
    changed: list[Json] = []
    refused: list[Json] = []
    detail: dict[str, Json] = {"changed": changed}
    for name, template in attributes.items():
        value = resolve(template, scene)
        if value is None:
            scene.customer.attributes.pop(name, None)
            changed.append(name)
        elif set_bounded(scene.customer.attributes, name, value):
            changed.append(name)
        else:
            refused.append(name)
        # The action is the latest word on the attribute; an older CRM event doesn't take it back.
        scene.customer.attribute_times[name] = scene.now
    if refused:
        detail["refused"] = refused
    return detail


def resolve(value: Json, scene: Scene) -> Json:
    """Resolve `${path}` in a value: alone it keeps the type of what it names, inside a text it becomes text."""
    if isinstance(value, dict):
        return {name: resolve(inner, scene) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner, scene) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole is not None:
        return _named(whole[1], scene)
    return _REFERENCE.sub(lambda match: _as_text(_named(match[1], scene)), value)


def _named(path: str, scene: Scene) -> Json:
    if path == NOW:
        return format_instant(scene.now)
    found = plain(compile_field(path)(scene))
    if found is None:
        scene.warn(f"{path} has no value")
    return found


def _as_text(value: Json) -> str:
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
