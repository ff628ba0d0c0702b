"""Avro's rules of schema resolution, as far as our schemas go: whether a reader can read all that a writer may write.

Written from the specification's section on schema resolution. Registries apply the same rules when they judge a
new schema; `tests/kafka/test_apicurio.py` compares the two verdicts.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

Schema = Any
"""A parsed schema: a name, a list (a union), or an object."""

_PROMOTED: Final = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}


def can_read(reader: Schema, writer: Schema) -> bool:
    """Say whether every value of the writer's schema has one of the reader's."""
    if isinstance(writer, list):
        return all(can_read(reader, branch) for branch in writer)
    if isinstance(reader, list):
        return any(can_read(branch, writer) for branch in reader)
    wanted, given = _kind(reader), _kind(writer)
    if wanted == given == "record":
        return _names_fit(reader, writer) and all(_field_is_read(field, writer) for field in reader["fields"])
    if wanted == given == "map":
        return can_read(reader["values"], writer["values"])
    if wanted == given == "array":
        return can_read(reader["items"], writer["items"])
    return wanted == given or wanted in _PROMOTED.get(given, set())


def is_full(one: Schema, other: Schema) -> bool:
    """Say whether each reads the other: FULL, in a registry's words."""
    return can_read(one, other) and can_read(other, one)


def changed_schemas(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield changes that somebody may make to a record's schema one day, each with a name."""
    fields = schema["fields"]
    yield "same", schema
    yield "added-with-default", schema | {"fields": [*fields, {"name": "a", "type": "string", "default": ""}]}
    yield "added-without-default", schema | {"fields": [*fields, {"name": "a", "type": "string"}]}
    optional = next(place for place, field in enumerate(fields) if "default" in field)
    needed = next(place for place, field in enumerate(fields) if "default" not in field)
    yield "removed-with-default", schema | {"fields": fields[:optional] + fields[optional + 1 :]}
    yield "removed-without-default", schema | {"fields": fields[:needed] + fields[needed + 1 :]}
    yield "reordered", schema | {"fields": fields[::-1]}
    for name, kind in (("retyped", "int"), ("made-optional", ["null", "string"]), ("to-bytes", "bytes")):
        changed = deepcopy(schema)
        changed["fields"][needed]["type"] = kind
        yield name, changed


def _kind(schema: Schema) -> str:
    return str(schema if isinstance(schema, str) else schema["type"])


def _names_fit(reader: Schema, writer: Schema) -> bool:
    return bool(reader["name"].rpartition(".")[2] == writer["name"].rpartition(".")[2])


def _field_is_read(field: Schema, writer: Schema) -> bool:
    written = next((each for each in writer["fields"] if each["name"] == field["name"]), None)
    return "default" in field if written is None else can_read(field["type"], written["type"])
