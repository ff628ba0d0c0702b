"""The JSON Schema of definition files, from the types that read them.

Theory: `schemas.reading` walks a value along a type; here the same types are walked alone. Names, ranges, defaults
and tags come from the types, descriptions from their docstrings, so an editor completes and refuses what the program
does. What spans several fields (references, loops, waits) only `tidings validate` can tell.

JSON Schema 2020-12 (https://json-schema.org/draft/2020-12). One document of a YAML file is one instance.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import fields

from schemas.definitions import AnyDefinition, Condition, EventCondition, SequenceItem, Variation
from schemas.events import Json
from schemas.reading import DEFAULT_TAGS, LONGEST, forms_of
from schemas.restrictions import FIELDS, FORMS, MENTIONED, STRUCTS, Schema

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ONE_LINE: Final = r"^[^\x00-\x1f\x7f]*$"
_PLAIN: Final[Mapping[object, Schema]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    NoneType: {"type": "null"},
    Any: {},
}
_LIMITS: Final = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
}


def definitions_schema() -> Schema:
    """Return the schema of one document, of whatever kind."""
    found: dict[str, Schema] = {}
    document = _union(AnyDefinition, found)
    return {
        "$schema": _DIALECT,
        "title": "A definition of Tidings",
        **document,
        "$defs": dict(sorted(found.items())),
    }


def _schema(form: object, found: dict[str, Schema]) -> Schema:
    """Return the schema of a type; structs go into `found` and are referred to."""
    origin, arguments = get_origin(form), get_args(form)
    if origin is Annotated:
        return _schema(arguments[0], found) | _limits(arguments[1:])
    if origin is Literal:
        return {"enum": [str(word) for word in arguments]}
    if origin in (Union, UnionType):
        return _union(form, found)
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], found)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], found)}
    if form is SequenceItem or form is Variation:
        return _any_of([{"type": "string", "minLength": 1}, _reference(form, found)])
    if isinstance(form, type) and issubclass(form, Struct):
        return _reference(form, found)
    return dict(_PLAIN[form])


def _limits(metas: tuple[object, ...]) -> Schema:
    limits: Schema = {}
    for meta in (meta for meta in metas if isinstance(meta, Meta)):
        limits |= {word: getattr(meta, name) for name, word in _LIMITS.items() if getattr(meta, name) is not None}
    if "maxLength" in limits:
        limits["pattern"] = _ONE_LINE
    return limits


def _union(form: object, found: dict[str, Schema]) -> Schema:
    members = get_args(form)
    others = [member for member in members if member not in get_args(Condition)]
    if others and len(members) - len(others) == len(get_args(Condition)):
        return _any_of([_schema(Condition, found), *(_schema(member, found) for member in others)])
    if set(members) == set(get_args(Condition)) and "Condition" not in found:
        # Conditions hold conditions: the name is there before what it stands for.
        found["Condition"] = {}
        found["Condition"] = _any_of([_schema(member, found) for member in members])
    if set(members) == set(get_args(Condition)):
        return {"$ref": "#/$defs/Condition"}
    return _any_of([_schema(member, found) for member in members])


def _any_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": list[Json](schemas)}


def _reference(form: type[Struct], found: dict[str, Schema]) -> Schema:
    name = form.__name__
    if name not in found:
        found[name] = {}
        found[name] = _struct(form, found)
    return {"$ref": f"#/$defs/{name}"}


def _struct(form: type[Struct], found: dict[str, Schema]) -> Schema:
    properties: dict[str, Json] = {}
    required: list[Json] = []
    tag_field, tag = form.__struct_config__.tag_field, form.__struct_config__.tag
    if tag_field is not None:
        properties[tag_field] = {"const": tag}
        required += [] if DEFAULT_TAGS.get(tag_field) == tag else [tag_field]
    for entry in entries(form):
        properties[entry.key] = _property(form, entry, found)
        required += [entry.key] if entry.required else []
    schema: Schema = {
        "type": "object",
        "description": inspect.cleandoc(form.__doc__ or ""),
        "properties": properties,
        "required": required,
        # Any other key of an event condition is an equality with the event's property of that name.
        "additionalProperties": form is EventCondition,
    }
    for mentioned in MENTIONED.get(form, ()):
        _reference(mentioned, found)
    return schema | ({"allOf": STRUCTS[form]} if form in STRUCTS else {})


def _property(form: type[Struct], entry: "Entry", found: dict[str, Schema]) -> Schema:
    schema = _schema(entry.form, found) | FIELDS.get((form, entry.key), {})
    for unit, longest in LONGEST.items():
        # Beside `anyOf`, a number or null; a maximum says nothing about null.
        if entry.key.endswith(unit) and (schema.get("type") == "number" or "anyOf" in schema):
            schema["maximum"] = longest
    schema["description"] = entry.description
    if not entry.required and entry.default is not None:
        schema["default"] = entry.default
    return schema


# What there is to say about a field ---------------------------------------------------------------------------


class Entry(Struct, frozen=True, kw_only=True):
    """One key of a struct as documents have it."""

    key: str
    form: object
    required: bool
    default: Json = None
    description: str = ""


def entries(form: type[Struct]) -> Iterator[Entry]:
    """Iterate over the keys of a struct, in the order in which they are declared."""
    descriptions = _descriptions(form)
    defaults = {field.name: field for field in fields(form)}
    for key, field in forms_of(form).items():
        yield Entry(
            key=key,
            form=FORMS.get((form, key), field.form),
            required=field.required,
            default=_default(defaults[field.name]),
            description=descriptions.get(field.name, ""),
        )


def _default(field: msgspec.structs.FieldInfo) -> Json:
    """Return a field's default as a document would write it; None where it is null, absent or empty."""
    if field.default is NODEFAULT:
        return None
    plain: Json = msgspec.to_builtins(field.default)
    if isinstance(field.default, Struct):
        return None
    return plain if plain != [] else None


@cache
def _descriptions(form: type[Struct]) -> dict[str, str]:
    """Return the docstrings that stand below the fields of a struct, and of those it inherits from, by field."""
    found: dict[str, str] = {}
    for base in reversed(form.__mro__[:-1]):
        if issubclass(base, Struct) and base is not Struct:
            found |= _own_descriptions(base.__module__, base.__name__)
    return found


def _own_descriptions(module_name: str, struct_name: str) -> dict[str, str]:
    classes = [
        node for node in ast.parse(inspect.getsource(sys.modules[module_name])).body if isinstance(node, ast.ClassDef)
    ]
    return dict(_documented(next(node for node in classes if node.name == struct_name)))


def _documented(struct: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in zip(struct.body, struct.body[1:], strict=False):
        text = after.value if isinstance(after, ast.Expr) else None
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Constant):
            yield field.target.id, inspect.cleandoc(str(text.value))


def structs() -> list[type[Struct]]:
    """List the structs that documents are made of, kinds first, each once, before what it holds."""
    found: list[type[Struct]] = list(get_args(AnyDefinition))
    for form in found:
        for entry in entries(form):
            found += [struct for struct in structs_in(entry.form) if struct not in found]
        found += [struct for struct in MENTIONED.get(form, ()) if struct not in found]
    return found


def structs_in(form: object) -> list[type[Struct]]:
    """List the structs that a type names."""
    if isinstance(form, type) and issubclass(form, Struct):
        return [form]
    return [struct for argument in get_args(form) for struct in structs_in(argument)]
