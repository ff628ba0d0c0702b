"""Reading: from a JSON value to the frozen types of `schemas.definitions`, with every mistake and its path.

Theory: the types say everything (fields, ranges, tags, defaults), so one walk over a type and a value side by side
reads any definition. A mistake never stops the walk: it is noted, and its siblings are still read. Each struct that
could be built is kept with its path (`Reading.nodes`), also when something around it is wrong, so that checks which
span several fields run on every sound part, and one round shows all mistakes.

Four things the types can't say are said here: a condition is told apart by its keys, an event condition takes any
further key as an equality, an item of a sequence may be its event type alone, and two words of documents are reserved
in Python (`from`, `not`).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct
from msgspec.structs import fields

from schemas.definitions import (
    NOT_BUILT_YET,
    ActionConfiguration,
    AllOf,
    AnyDefinition,
    AnyOf,
    Comparison,
    Condition,
    DecisionConfiguration,
    EventCondition,
    Negation,
    SequenceItem,
    Settings,
    Step,
    TriggerCondition,
    Variation,
    WaitConfiguration,
)
from schemas.events import Json
from schemas.problems import LARGEST, Problem, child, closest, shown, suggestion

MAX_DEPTH: Final = 64
MAX_PROBLEMS: Final = 1_000
"""Per document: a file of another program fed by mistake must not print a megabyte."""

LONGEST: Final = {"_minutes": 52_560_000, "_hours": 876_000, "_days": 36_500}
"""A century: whatever is added to an instant stays within the calendar."""

KEYS: Final = {"from_": "from", "negated": "not"}
DEFAULT_TAGS: Final = {"kind": "workflow", "condition_type": "event"}
_WORDS: Final[tuple[tuple[object, str], ...]] = (
    (AnyDefinition, "kind"),
    (TriggerCondition, "condition_type"),
    (Step, "step"),
    (WaitConfiguration, "wait"),
    (DecisionConfiguration, "decision"),
    (ActionConfiguration, "action"),
)
_FIELDS_NOT_BUILT_YET: Final[dict[type[Struct], tuple[str, ...]]] = {
    Settings: ("max_sends_per_minute",),
}

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_CONDITION: Final = "{field, operator, value}, {all: […]}, {any: […]} or {not: …}"
_CONDITION_KEYS: Final[dict[str, type[Struct]]] = {"all": AllOf, "any": AnyOf, "not": Negation, "operator": Comparison}

T = TypeVar("T")


class Node(Struct, frozen=True, kw_only=True):
    """A struct that could be built, at its path in the document."""

    path: str
    value: Struct


class Reading(Struct, Generic[T], frozen=True, kw_only=True):
    """What became of a document: the value, or None and why, and every sound part of it."""

    value: T | None
    problems: tuple[Problem, ...]
    nodes: tuple[Node, ...]
    fragments: tuple[Node, ...] = ()
    """The unsound structs: where something is wrong a field holds a value of no type of ours. Only for checks of one
    field, which look at its type first."""


class _Notes(Struct):
    """What one walk collects."""

    file: str
    problems: list[Problem] = []
    nodes: list[Node] = []
    fragments: list[Node] = []


class _Wrong:
    """Stands for a value that couldn't be read; why is in the notes."""


_WRONG: Final = _Wrong()


class _Place(Struct, frozen=True):
    """Where the walk is, and how deep."""

    notes: _Notes
    path: str
    depth: int = 0

    def under(self, key: str | int) -> "_Place":
        return _Place(self.notes, child(self.path, key), self.depth + 1)

    def wrong(self, message: str, expected: str) -> _Wrong:
        self.complain(message, expected)
        return _WRONG

    def complain(self, message: str, expected: str) -> None:
        if len(self.notes.problems) < MAX_PROBLEMS:
            problem = Problem(file=self.notes.file, path=self.path, message=message, expected=expected)
            self.notes.problems.append(problem)


def read(value: Json, wanted: type[T], path: str = "", *, file: str = "") -> Reading[T]:
    """Read a JSON value as a type of `schemas.definitions` (or of structs made like them).

    Args:
        value: any JSON value; others are reported, not raised.
        wanted: a Struct class, or a union of tagged ones.
        path: where the value lies in its document; a prefix ending in a space stands before the first name as it is.
        file: the name that problems carry.

    Returns:
        The value with defaults filled in, or None; at most `MAX_PROBLEMS` problems; the sound parts in reading order,
        parts before wholes.
    """
    notes = _Notes(file)
    result = _read(value, wanted, _Place(notes, path))
    built: T | None = None if notes.problems or isinstance(result, _Wrong) else result  # type: ignore[assignment]
    return Reading(
        value=built,
        problems=tuple(notes.problems),
        nodes=tuple(notes.nodes),
        fragments=tuple(notes.fragments),
    )


def read_definition(value: Json, path: str = "", *, file: str = "") -> Reading[AnyDefinition]:
    """Read one document; `kind` says which definition it is, `workflow` when absent."""
    return read(value, AnyDefinition, path, file=file)  # type: ignore[arg-type]


def _read(value: object, form: object, place: _Place) -> object:
    if place.depth > MAX_DEPTH:
        return place.wrong("is nested too deeply", f"at most {MAX_DEPTH} levels")
    if form is Any:
        return _read_json(value, place)
    reader = _READERS.get(get_origin(form))
    if reader is not None:
        return reader(value, form, place)
    if isinstance(form, type) and issubclass(form, Struct):
        return _read_struct(value, form, place)
    return _read_scalar(value, form, place)


def _read_json(value: object, place: _Place) -> object:
    """Read what may be any JSON value, and find what JSON, or another reader of it, can't hold."""
    if place.depth > MAX_DEPTH:
        return place.wrong("is nested too deeply", f"at most {MAX_DEPTH} levels")
    match value:
        case str() if not _is_text(value):
            return place.wrong("holds half a surrogate pair", "text that UTF-8 can hold")
        case int() | float() if not _is_usable(value):
            return place.wrong(f"is {shown(value)}", "a number of ordinary size")
        case list() | dict():
            parts = enumerate(value) if isinstance(value, list) else value.items()
            read_parts = [_read_json(part, place.under(key)) for key, part in parts]
            return _WRONG if any(part is _WRONG for part in read_parts) else value
        case None | bool() | str() | int() | float():
            return value
    return place.wrong(f"is a {type(value).__name__}", "a value that JSON can hold")


def _read_scalar(value: object, form: object, place: _Place, limited: object = None) -> object:
    match value:
        case bool() if form is bool:
            return value
        case bool():
            pass
        case str() if form is str:
            return _read_json(value, place)
        case int() | float() if form is float and _is_usable(value):
            return _read_duration(float(value), place)
        case int() if form is int and _is_usable(value):
            return value
    quotes = " (in quotes)" if form is str and isinstance(value, int | float) and not isinstance(value, bool) else ""
    return place.wrong(f"is {shown(value)}", describe(limited or form) + quotes)


def _read_duration(number: float, place: _Place) -> object:
    for unit, longest in LONGEST.items():
        if place.path.endswith(unit) and number > longest:
            return place.wrong(f"is {number:g}, more than a century", f"at most {longest}")
    return number


def _read_annotated(value: object, form: object, place: _Place) -> object:
    """Read a scalar of limited range or length; nothing else is annotated."""
    base, *metas = get_args(form)
    result = _read_scalar(value, base, place, form)
    if isinstance(result, _Wrong):
        return result
    if isinstance(result, str) and _CONTROL.search(result):
        return place.wrong("holds a control character", "one line of text")
    assert isinstance(result, str | int | float)  # noqa: S101 -- nothing else is annotated
    for meta in metas:
        if isinstance(meta, Meta) and not _is_within(result, meta):
            return place.wrong(f"is {shown(value)}", describe(form))
    return result


def _is_within(value: str | float, meta: Meta) -> bool:
    if isinstance(value, str):
        return (meta.min_length or 0) <= len(value) <= (math.inf if meta.max_length is None else meta.max_length)
    return (
        (meta.gt is None or value > meta.gt)
        and (meta.ge is None or value >= meta.ge)
        and (meta.lt is None or value < meta.lt)
        and (meta.le is None or value <= meta.le)
    )


def _read_choice(value: object, form: object, place: _Place) -> object:
    words = [str(word) for word in get_args(form)]
    if isinstance(value, str) and value in words:
        return value
    return place.wrong(f"is {shown(value)}", _choices(value, words))


def _choices(value: object, words: Iterable[str]) -> str:
    words = list(words)
    hint = suggestion(value, words) if isinstance(value, str) else ""
    listed = words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    return f"{listed}; {hint}" if hint else listed


def _read_list(value: object, form: object, place: _Place) -> object:
    item_form = get_args(form)[0]
    if not isinstance(value, list):
        return place.wrong(f"is {shown(value)}", "a list")
    items = tuple(_read(item, item_form, place.under(i)) for i, item in enumerate(value))
    return _WRONG if any(isinstance(item, _Wrong) for item in items) else items


def _read_mapping(value: object, form: object, place: _Place) -> object:
    value_form = get_args(form)[1]
    if not isinstance(value, dict):
        return place.wrong(f"is {shown(value)}", "a mapping")
    items = {key: _read(item, value_form, place.under(str(key))) for key, item in value.items()}
    return _WRONG if any(isinstance(item, _Wrong) for item in items.values()) else items


def _read_union(value: object, form: object, place: _Place) -> object:
    members = [member for member in get_args(form) if member is not NoneType]
    if value is None and len(members) < len(get_args(form)):
        return None
    if len(members) == 1:
        return _read(value, members[0], place)
    if set(get_args(Condition)) <= set(members):
        others = [member for member in members if member not in get_args(Condition)]
        is_other = isinstance(value, dict) and not _CONDITION_KEYS.keys() & value.keys() and "event_type" in value
        return _read_struct(value, others[0], place) if others and is_other else _read_condition(value, form, place)
    return _read_tagged(value, members, place)


def _read_condition(value: object, form: object, place: _Place) -> object:
    if not isinstance(value, dict):
        return place.wrong(f"is {shown(value)}", describe(form))
    present = [key for key in _CONDITION_KEYS if key in value]
    if len(present) > 1:
        return place.wrong(f"has both {present[0]!r} and {present[1]!r}", f"one of them: {_CONDITION}")
    if not present and not {"field", "value"} & value.keys():
        return place.wrong("is no condition", describe(form).removeprefix("a condition: "))
    return _read_struct(value, _CONDITION_KEYS[present[0]] if present else Comparison, place)


def _read_tagged(value: object, members: list[type[Struct]], place: _Place) -> object:
    if not isinstance(value, dict):
        return place.wrong(f"is {shown(value)}", "a mapping")
    tag_field = str(members[0].__struct_config__.tag_field)
    by_tag = {str(member.__struct_config__.tag): member for member in members}
    tag = value.get(tag_field, DEFAULT_TAGS.get(tag_field, _WRONG))
    if isinstance(tag, str) and tag in by_tag:
        return _read_struct(value, by_tag[tag], place)
    word = next(word for form, word in _WORDS if set(get_args(form)) == set(members))
    tag_place = place.under(tag_field)
    if tag in NOT_BUILT_YET.get(word, ()):
        return tag_place.wrong(f"{word} {shown(tag)} isn't built yet", _choices(None, by_tag))
    if tag is _WRONG:
        return tag_place.wrong("is missing", _choices(None, by_tag))
    meant = closest(tag, by_tag) if isinstance(tag, str) else None
    if meant is not None:
        _read_struct(value, by_tag[meant], place)  # for the mistakes in it
    return tag_place.wrong(f"{shown(tag)} is no known {word}", _choices(tag, by_tag))


_READERS: Final[Mapping[object, Callable[[object, object, _Place], object]]] = {
    Annotated: _read_annotated,
    Literal: _read_choice,
    Union: _read_union,
    UnionType: _read_union,
    tuple: _read_list,
    dict: _read_mapping,
}
"""By the origin of a type."""


class FieldForm(Struct, frozen=True):
    """One field of a struct: its name in Python, its type, whether a document must have it."""

    name: str
    form: object
    required: bool


@cache
def forms_of(form: type[Struct]) -> dict[str, FieldForm]:
    """Return the fields of a struct by their key in documents."""
    hints = get_type_hints(form, include_extras=True)
    names = [field for field in fields(form) if not (form is EventCondition and field.name == "equals")]
    return {KEYS.get(f.name, f.name): FieldForm(f.name, hints[f.name], f.required) for f in names}


def _read_struct(value: object, form: type[Struct], place: _Place) -> object:
    if form is SequenceItem and isinstance(value, str):
        value = {"event_type": value}
    if form is Variation and isinstance(value, str):
        value = {"id": value}
    if not isinstance(value, dict):
        return place.wrong(f"is {shown(value)}", "a mapping")
    known = forms_of(form)
    tag_field = form.__struct_config__.tag_field
    unknown = [key for key in value if key not in known and key != tag_field]
    arguments: dict[str, object] = {}
    for key, field in known.items():
        if key in value:
            arguments[field.name] = _read(value[key], field.form, place.under(key))
        elif field.required:
            arguments[field.name] = _WRONG
            _complain_of_missing(key, field, [str(other) for other in unknown], form, place)
    if form is EventCondition:
        arguments["equals"] = _read_json({key: value[key] for key in unknown}, place)
    else:
        _complain_of_unknown(unknown, form, place)
    node = Node(path=place.path, value=form(**arguments))
    if any(isinstance(argument, _Wrong) for argument in arguments.values()):
        place.notes.fragments.append(node)
        return _WRONG
    place.notes.nodes.append(node)
    return node.value


def _complain_of_missing(key: str, field: FieldForm, unknown: list[str], form: type[Struct], place: _Place) -> None:
    """Complain, unless the complaint about an unknown field already asks whether this one was meant."""
    meant = next((other for other in unknown if closest(other, [key])), None)
    if meant is None or form is EventCondition:
        hint = "" if meant is None else f"; did you mean it by {meant!r}?"
        place.under(key).complain("is missing", describe(field.form) + hint)


def _complain_of_unknown(unknown: list[object], form: type[Struct], place: _Place) -> None:
    known = forms_of(form)
    tag_field = form.__struct_config__.tag_field
    allowed = [*([str(tag_field)] if tag_field else []), *known]
    for key in unknown:
        if key in _FIELDS_NOT_BUILT_YET.get(form, ()):
            place.under(str(key)).complain("isn't built yet", f"leave it out; known are {', '.join(allowed)}")
        else:
            place.under(str(key)).complain("is no known field", _choices(key, allowed) if allowed else "nothing here")


def describe(form: object) -> str:
    """Say in words what a type takes."""
    origin, arguments = get_origin(form), get_args(form)
    if origin is Annotated:
        return describe(arguments[0]) + "".join(
            _describe_range(meta) for meta in arguments[1:] if isinstance(meta, Meta)
        )
    if origin is Literal:
        return _choices(None, [str(word) for word in arguments])
    if origin in (Union, UnionType):
        members = [member for member in arguments if member is not NoneType]
        is_condition = set(get_args(Condition)) <= set(members)
        others = [_keys(member) for member in members if is_condition and member not in get_args(Condition)]
        return ", or ".join([f"a condition: {_CONDITION}", *others]) if is_condition else describe(members[0])
    if origin is tuple:
        return "a list"
    return _PLAIN_WORDS.get(form, "a mapping")


def _keys(form: type[Struct]) -> str:
    return "{" + ", ".join(forms_of(form)) + "}"


_PLAIN_WORDS: Final[Mapping[object, str]] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    NoneType: "null",
    Any: "a value",
}


def _describe_range(meta: Meta) -> str:
    if meta.max_length is not None:
        return f" of {meta.min_length or 0} to {meta.max_length} characters"
    if meta.ge is not None and meta.le is not None:
        return f" from {meta.ge} to {meta.le}"
    if meta.gt is not None:
        return f" above {meta.gt}" + ("" if meta.le is None else f", at most {meta.le}")
    return "" if meta.ge is None else f" of {meta.ge} or more"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_usable(number: float) -> bool:
    return abs(number) <= LARGEST  # also false for NaN
