"""`${path}` in the values of actions: compiled once, resolved from customer, trigger, execution and `now`.

Alone in a text, a reference keeps the type of what it names; inside a text it becomes text. What has no value is
null (or nothing in a text), and the decision says so.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from journeys.fields import compile_field, plain
from journeys.scene import Scene
from schemas.events import Json
from schemas.instants import format_instant

Resolve = Callable[[Scene], Json]

REFERENCE: Final = re.compile(r"\$\{([^{}]{1,200})\}")
NOW: Final = "now"


def compile_value(value: Json) -> Resolve:
    """Compile a value of any depth; one without references is returned as it stands.

    Raises:
        ValueError: a reference names no field that can exist.
    """
    match value:
        case str():
            return _compile_text(value)
        case dict():
            return _compile_object(value)
        case list():
            items = [compile_value(item) for item in value]
            return lambda scene: [item(scene) for item in items]
    return lambda _: value


def _compile_object(value: dict[str, Json]) -> Resolve:
    parts = [(name, compile_value(inner)) for name, inner in value.items()]
    return lambda scene: {name: inner(scene) for name, inner in parts}


def _compile_text(text: str) -> Resolve:
    whole = REFERENCE.fullmatch(text)
    if whole is not None:
        return _compile_reference(whole[1])
    if REFERENCE.search(text) is None:
        return lambda _: text
    return compile_text(text)


def compile_text(text: str, write: Callable[[Json], str] | None = None) -> Callable[[Scene], str]:
    """Compile a text with references in it; each value is written by `write`, by default as people read it.

    Raises:
        ValueError: a reference names no field that can exist.
    """
    written = write or as_text
    # Of an odd number of parts, those at odd places are the paths.
    parts = REFERENCE.split(text)
    literals, references = parts[::2], [_compile_reference(path) for path in parts[1::2]]

    def resolve(scene: Scene) -> str:
        out = [literals[0]]
        for reference, literal in zip(references, literals[1:], strict=True):
            out += (written(reference(scene)), literal)
        return "".join(out)

    return resolve


def _compile_reference(path: str) -> Resolve:
    if path == NOW:
        return lambda scene: format_instant(scene.now)
    look = compile_field(path)

    def resolve(scene: Scene) -> Json:
        found = plain(look(scene))
        if found is None:
            scene.warn(f"{path} has no value")
        return found

    return resolve


def as_text(value: Json) -> str:
    """Write a value into a text: nothing for null, JSON for what is no text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _encode(value).decode()


_encode: Final = msgspec.json.Encoder().encode
