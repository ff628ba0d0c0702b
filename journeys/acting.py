"""What an action step does to the customer."""

import re
from typing import Final

import msgspec
from msgspec import Struct

from journeys.fields import compile_field, plain
from journeys.profile import join_segment, leave_segment, set_bounded
from journeys.scene import Scene
from schemas.definitions import ActionConfiguration, AddToSegment, Exit, RemoveFromSegment, UpdateAttributes
from schemas.events import Json, is_too_deep
from schemas.instants import format_instant

_REFERENCE: Final = re.compile(r"\$\{([^{}]{1,200})\}")
NOW: Final = "now"


class Acted(Struct, frozen=True, kw_only=True):
    """What came of an action: the detail of a `profile_changed` (empty for nothing), and attributes out of bounds."""

    changed: dict[str, Json] = {}
    refused: tuple[str, ...] = ()


def act(configuration: ActionConfiguration, scene: Scene) -> Acted:
    """Carry the action out."""
    match configuration:
        case UpdateAttributes(attributes=attributes):
            return _update(attributes, scene)
        case AddToSegment(segment_id=segment_id):
            joined = join_segment(scene.customer, segment_id)
            return Acted(changed={"segment_entered": segment_id} if joined else {})
        case RemoveFromSegment(segment_id=segment_id):
            left = leave_segment(scene.customer, segment_id)
            return Acted(changed={"segment_left": segment_id} if left else {})
        case Exit():
            return Acted()


def _update(attributes: dict[str, Json], scene: Scene) -> Acted:
    customer = scene.customer
    changed: list[Json] = []
    refused: list[str] = []
    for name, template in attributes.items():
        value, before = resolve(template, scene), customer.attributes.get(name)
        if value is None:
            customer.attributes.pop(name, None)
        elif is_too_deep({name: value}) or not set_bounded(customer.attributes, name, value):
            # A value that holds its own predecessor grows a level each time; deeper ones couldn't be encoded.
            refused.append(name)
            continue
        if value != before or type(value) is not type(before):
            changed.append(name)
        # The action is the latest word on the attribute; an older CRM event doesn't take it back.
        customer.attribute_times[name] = scene.now
    return Acted(changed={"changed": changed} if changed else {}, refused=tuple(refused))


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
    return value if isinstance(value, str) else _encode(value).decode()


_encode: Final = msgspec.json.Encoder().encode
