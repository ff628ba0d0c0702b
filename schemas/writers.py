"""Writer schemas: what makes an Avro schema of somebody else's safe to read with.

Avro bytes mean nothing without the schema they were written with, and that schema comes from a producer. Two
kinds of it let a small record stop a worker: one that contains itself (the decoder is C without a bound, and
deep bytes overflow its stack), and one whose values take next to no bytes (a count of 2**60 nulls fits into ten).
So a schema is read into what it weighs, values per byte, before anything is read with it.

Logical types are dropped but for decimals: instants stay numbers, which have no bounds to overflow.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec
from fastavro import parse_schema
from fastavro.schema import SchemaParseException, UnknownType
from fastavro.types import Schema
from msgspec import Struct

MAX_VALUES: Final = 10_000
"""Values that one record may consist of, besides the items of its arrays and maps."""
MAX_VALUES_PER_BYTE: Final = 100

_MILLISECONDS_IN: Final = {"timestamp-micros": 1_000, "timestamp-nanos": 1_000_000}
# All that reading needs; documentation, defaults and aliases aren't, and what is unknown isn't passed on.
_KEPT: Final = frozenset(
    {"type", "name", "namespace", "fields", "items", "values", "symbols", "size", "precision", "scale"}
)

Tree = None | bool | int | float | str | list["Tree"] | dict[str, "Tree"]


class Writer(Struct, frozen=True, kw_only=True):
    """A schema that records are read with; `ticks` has the top fields that count less than milliseconds."""

    parsed: Schema
    ticks: Mapping[str, int]


class UnusableSchema(Struct, frozen=True):
    """Why records can't be read with a schema; a result, so that it is remembered like any other."""

    reason: str


class _Unbounded(ValueError):
    """The schema is Avro, but a small record of it could be without bounds."""


class _Weight(NamedTuple):
    values: int
    bytes: int


@lru_cache(maxsize=1_000)
def read_writer(text: bytes) -> Writer | UnusableSchema:
    """Parse a writer schema, a record of JSON text, once."""
    try:
        tree: Tree = msgspec.json.decode(text)
        if not isinstance(tree, dict) or tree.get("type") != "record":
            return UnusableSchema("it isn't an Avro record")
        parsed = parse_schema(_reduced(tree))
        weight = _weigh(parsed, {})
    except _Unbounded as error:
        return UnusableSchema(str(error))
    except (SchemaParseException, UnknownType, LookupError, TypeError, ValueError, AttributeError) as error:
        return UnusableSchema(f"it isn't Avro: {error}"[:300])
    except RecursionError:
        return UnusableSchema("it is nested too deeply")
    if weight.values > MAX_VALUES:
        return UnusableSchema(f"a record has {weight.values} values; {MAX_VALUES} are allowed")
    return Writer(parsed=parsed, ticks=_ticks(tree))


def _reduced(tree: dict[str, Tree]) -> dict[str, Tree]:
    """Keep of a schema what reading needs."""
    kept = {key: _reduced_part(value) for key, value in tree.items() if key in _KEPT}
    return kept | {"logicalType": "decimal"} if tree.get("logicalType") == "decimal" else kept


def _reduced_part(part: Tree) -> Tree:
    if isinstance(part, list):
        return [_reduced_part(each) for each in part]
    return _reduced(part) if isinstance(part, dict) else part


def _weigh(schema: Schema, named: dict[str, _Weight | None]) -> _Weight:
    """Return how many values a schema's value has and how few bytes it may take; None marks an open name.

    Raises:
        _Unbounded: it contains itself, or an item has too many values for its bytes.
    """
    match schema:
        case str():
            return _weigh_name(schema, named)
        case list():
            return _weigh_union([_weigh(branch, named) for branch in schema])
        case {"type": "array", "items": items}:
            return _weigh_items(_weigh(items, named), 0)
        case {"type": "map", "values": values}:
            return _weigh_items(_weigh(values, named), 1)
        case {"type": "record" | "fixed" | "enum", "name": name}:
            return _weigh_named(schema, name, named)
    return _weigh(schema["type"], named)


def _weigh_named(schema: Mapping[str, Schema], name: str, named: dict[str, _Weight | None]) -> _Weight:
    named[name] = None
    match schema:
        case {"type": "record", "fields": list(fields)}:
            weights = [_weigh(field["type"], named) for field in fields]
            weight = _Weight(1 + sum(each.values for each in weights), sum(each.bytes for each in weights))
        case {"type": "fixed", "size": size}:
            weight = _Weight(1, max(0, int(str(size))))
        case _:
            weight = _Weight(1, 1)
    named[name] = weight
    return weight


def _weigh_union(branches: list[_Weight]) -> _Weight:
    """Take the branch with the most values per byte, behind the byte that names it."""
    behind = [_Weight(branch.values, branch.bytes + 1) for branch in branches]
    return max(behind, key=lambda weight: weight.values / weight.bytes)


def _weigh_name(name: str, named: Mapping[str, _Weight | None]) -> _Weight:
    if name not in named:
        return _Weight(1, 0 if name == "null" else 1)
    weight = named[name]
    if weight is None:
        msg = f"{name} contains itself; write what is nested as JSON text"
        raise _Unbounded(msg)
    return weight


def _weigh_items(item: _Weight, key_bytes: int) -> _Weight:
    size = item.bytes + key_bytes
    if item.values > MAX_VALUES_PER_BYTE * size:
        msg = f"an item of an array or map has {item.values} values in {size} bytes"
        raise _Unbounded(msg)
    return _Weight(1, 1)


def _ticks(tree: Mapping[str, Tree]) -> dict[str, int]:
    """Find the top fields that count micro- or nanoseconds, in a union with null or not."""
    found = {}
    for field in _trees(tree["fields"]):
        for kind in _trees(field["type"]):
            ticks = _MILLISECONDS_IN.get(str(kind.get("logicalType")))
            if ticks is not None:
                found[str(field["name"])] = ticks
    return found


def _trees(tree: Tree) -> list[dict[str, Tree]]:
    return [part for part in (tree if isinstance(tree, list) else [tree]) if isinstance(part, dict)]
