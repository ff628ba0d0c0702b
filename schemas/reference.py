"""The reference of definition files as Markdown, from the same types and sentences as their JSON Schema.

A union of types that a tag tells apart (`type: email`) is written as its tags, each a link to its section.
"""

import inspect
from types import NoneType
from typing import Annotated, Final, get_args, get_origin

import msgspec
from msgspec import Struct

from schemas.definitions import Condition
from schemas.events import Json
from schemas.json_schema import Entry, entries, structs, structs_in
from schemas.reading import describe

_INTRODUCTION: Final = """Every key of every definition file, made from the types that read them (`make reference`).
YAML or JSON, one or more documents a file; `kind` says which, `workflow` when absent. `tidings validate DIR` says what
is wrong with a folder; an editor completes and checks its files with
[definitions.schema.json](definitions.schema.json) ([how](editors.md)).
"""
_CONDITIONS: Final = frozenset(get_args(Condition))


def reference() -> str:
    """Return the reference of all definition files as Markdown."""
    parts = ["# Definitions\n", _INTRODUCTION]
    for form in structs():
        parts.append(f"## {_title(form)}\n\n{inspect.cleandoc(form.__doc__ or '')}\n")
        rows = [_row(entry) for entry in entries(form)]
        if rows:
            parts.append("| key | what it takes | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _title(form: type[Struct]) -> str:
    """Name a struct as a reader of documents knows it: by its tag, else in words."""
    tag_field, tag = form.__struct_config__.tag_field, form.__struct_config__.tag
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in form.__name__).strip()
    return words if tag_field is None else f"{words} (`{tag_field}: {tag}`)"


def _row(entry: Entry) -> str:
    default = "required" if entry.required else _as_code(entry.default)
    return f"| `{entry.key}` | {_takes(entry.form)} | {default} | {' '.join(entry.description.split())} |"


def _as_code(default: Json) -> str:
    return "" if default is None else f"`{msgspec.json.encode(default).decode()}`"


def _takes(form: object) -> str:
    """Say what a key takes, with links to what it is made of."""
    origin, arguments = get_origin(form), [part for part in get_args(form) if part is not NoneType]
    if origin is tuple:
        return f"a list: {_takes(arguments[0])}"
    if origin is dict:
        return f"a mapping to {_takes(arguments[1])}"
    if origin is Annotated or not structs_in(form):
        return describe(form).replace("|", "\\|")
    found = structs_in(form)
    links = ["[a condition](#comparison)"] if _CONDITIONS & set(found) else []
    links += [_link(struct) for struct in found if struct not in _CONDITIONS]
    return " or ".join(links)


def _link(form: type[Struct]) -> str:
    tag = form.__struct_config__.tag
    title = _title(form)
    return f"[{title if tag is None else f'`{tag}`'}](#{_anchor(title)})"


def _anchor(heading: str) -> str:
    kept = "".join(letter for letter in heading.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")
