"""What an action step does to the customer."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from journeys.profile import is_newer, join_segment, leave_segment, set_bounded
from journeys.reads import SEGMENTS
from journeys.resolving import Resolve, compile_value
from journeys.scene import Scene
from schemas.customer import MAX_ATTRIBUTES
from schemas.definitions import ActionConfiguration, AddToSegment, RemoveFromSegment, UpdateAttributes
from schemas.events import MAX_ID_CHARACTERS, Json, is_too_deep


class Acted(Struct, frozen=True, kw_only=True):
    """What came of an action: the detail of a `profile_changed` (empty for nothing), and attributes out of bounds."""

    changed: dict[str, Json] = {}
    refused: tuple[str, ...] = ()


Act = Callable[[Scene], Acted]
NOTHING_DONE: Final = Acted()


def compile_action(configuration: ActionConfiguration) -> Act | None:
    """Compile what an action does to the customer; None if that is nothing.

    Raises:
        ValueError: a reference in a value names no field that can exist.
    """
    match configuration:
        case UpdateAttributes(attributes=attributes):
            return _compile_update(attributes)
        case AddToSegment(segment_id=segment_id):
            return lambda scene: _join(segment_id, scene)
        case RemoveFromSegment(segment_id=segment_id):
            return lambda scene: _leave(segment_id, scene)
    return None


def _join(segment_id: str, scene: Scene) -> Acted:
    is_newer(scene.customer, f"{SEGMENTS}.{segment_id}", scene.now)
    joined = join_segment(scene.customer, segment_id)
    return Acted(changed={"segment_entered": segment_id}) if joined else NOTHING_DONE


def _leave(segment_id: str, scene: Scene) -> Acted:
    is_newer(scene.customer, f"{SEGMENTS}.{segment_id}", scene.now)
    left = leave_segment(scene.customer, segment_id)
    return Acted(changed={"segment_left": segment_id}) if left else NOTHING_DONE


def _compile_update(attributes: dict[str, Json]) -> Act:
    updates = [(name, compile_value(value)) for name, value in attributes.items()]
    return lambda scene: _update(updates, scene)


def _update(updates: list[tuple[str, Resolve]], scene: Scene) -> Acted:
    customer = scene.customer
    changed: list[Json] = []
    refused: list[str] = []
    for name, resolve in updates:
        value, before = resolve(scene), customer.attributes.get(name)
        if value is None:
            customer.attributes.pop(name, None)
        elif not _is_acceptable(name, value) or not set_bounded(customer.attributes, name, value):
            refused.append(name[:MAX_ID_CHARACTERS])
            continue
        if value != before or type(value) is not type(before):
            changed.append(name)
        # The action is the latest word on the attribute; an older CRM event doesn't take it back.
        if name in customer.attribute_times or len(customer.attribute_times) < 2 * MAX_ATTRIBUTES:
            customer.attribute_times[name] = scene.now
    return Acted(changed={"changed": changed} if changed else {}, refused=tuple(refused))


def _is_acceptable(name: str, value: Json) -> bool:
    # A value that holds its own predecessor grows a level each time; deeper ones couldn't be encoded.
    return len(name) <= MAX_ID_CHARACTERS and not is_too_deep({name: value})
