"""What differs between two sets of definitions, in words: by kind and id, and within a definition by its path.

Lists of things with an id (steps, triggers) are compared by id, so that a step that moved isn't every step changed.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

from journeys.documents import id_of, kind_of
from schemas.events import Json

_LONGEST: Final = 60
"""Of a value that is shown."""
_SINGLE: Final = frozenset({"settings", "scoring", "lifecycle"})
_encode: Final = msgspec.json.Encoder(order="deterministic").encode

Name = tuple[str, str]
"""Kind and id; kinds of which there is one have no id."""


class Difference(Struct, frozen=True, kw_only=True):
    """One definition that is new, gone or changed; `changes` says where, each "path: before → after"."""

    kind: str
    id: str
    what: Literal["added", "removed", "changed"]
    changes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name it: "workflow welcome", "settings"."""
        return f"{self.kind} {self.id}".strip()


def differences(before: list[Json], after: list[Json]) -> list[Difference]:
    """Compare two valid sets of raw documents; workflows first, then by kind and id."""
    old, new = _by_name(before), _by_name(after)
    found: list[Difference] = []
    for name in sorted(old.keys() | new.keys(), key=lambda name: (name[0] != "workflow", name)):
        kind, identity = name
        if name not in old:
            found.append(Difference(kind=kind, id=identity, what="added"))
        elif name not in new:
            found.append(Difference(kind=kind, id=identity, what="removed"))
        elif _encode(old[name]) != _encode(new[name]):
            changes = tuple(_changes("", old[name], new[name]))
            found.append(Difference(kind=kind, id=identity, what="changed", changes=changes))
    return found


def _by_name(documents: list[Json]) -> dict[Name, Json]:
    named: dict[Name, Json] = {}
    for document in documents:
        kind = kind_of(document) or "workflow"
        named[kind, "" if kind in _SINGLE else id_of(document) or ""] = document
    return named


def _changes(path: str, before: Json, after: Json) -> Iterator[str]:
    """Say what differs below a path."""
    if isinstance(before, list) and isinstance(after, list):
        before, after = _items(before), _items(after)
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            inner = f"{path}.{key}".lstrip(".")
            if key not in after:
                yield f"{inner}: {_shown(before[key])} is gone"
            elif key not in before:
                yield f"{inner}: {_shown(after[key])} is new"
            else:
                yield from _changes(inner, before[key], after[key])
        if list(before) != list(after) and before.keys() == after.keys() and _is_ordered(before):
            yield f"{path}: another order ({', '.join(after)})"
    elif _encode(before) != _encode(after):
        yield f"{path}: {_shown(before)} → {_shown(after)}"


def _items(values: list[Json]) -> dict[str, Json]:
    """Name the items of a list: by id where each has one of its own, else by position."""
    ids = [value.get("id") if isinstance(value, dict) else None for value in values]
    if values and all(isinstance(one, str) for one in ids) and len(set(ids)) == len(ids):
        return {str(one): value for one, value in zip(ids, values, strict=True)}
    return {str(position): value for position, value in enumerate(values)}


def _is_ordered(items: Mapping[str, Json]) -> bool:
    # Of a mapping as it was written, the order means nothing; of a list by id, the items know their names.
    return all(isinstance(item, dict) and item.get("id") == name for name, item in items.items())


def _shown(value: Json) -> str:
    text = msgspec.json.encode(value).decode()
    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
