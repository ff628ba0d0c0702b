"""Operators: a field's value against a constant of the definition, compiled once into a closure.

A comparison has three answers: it holds, it doesn't, or the types can't be compared (None, with a warning on
the scene). A missing or null field can be compared with everything and doesn't hold, so that the negative
operators, which hold exactly where their positive ones answer False, hold for it.

Instants: a text is RFC 3339 or a date (its first instant in the customer's zone), a whole number epoch
milliseconds. Where a field is an instant, the constant is read as one.
"""

import operator
import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Final, cast

import re2  # type: ignore[import-untyped]

from journeys.fields import MISSING, Instant, Value
from journeys.scene import Scene
from schemas.definitions import Operator
from schemas.events import Json
from schemas.instants import EARLIEST, HOUR_MS, LATEST, Millis, from_local, parse_instant

Compare = Callable[[Value, Scene], bool | None]
"""Answers for a field's value; None where the types can't be compared."""

_Holds = Callable[[object, object], bool]
Moment = Callable[[str], Millis]
"""A constant instant, by zone (a date begins at another instant in each)."""

POSITIVE: Final[dict[Operator, Operator]] = {
    "ne": "eq",
    "not_in": "in",
    "not_contains": "contains",
    "not_exists": "exists",
    "not_within_hours": "within_hours",
    "not_in_segment": "in_segment",
    "not_performed": "performed",
}
"""Of each negative operator the one it denies."""

_NUMBERS: Final[tuple[type, ...]] = (int, float)
_TEXTS: Final[tuple[type, ...]] = (str,)
_KINDS: Final[dict[type, str]] = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
    Instant: "an instant",
}
_DATE: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST_INSTANT: Final = 40


def constant_mistake(name: Operator, constant: Json) -> str | None:
    """Say what is wrong with the constant of an operator (a positive one, of a field), or return None."""
    check = _CHECKS.get(name)
    return None if check is None else check(constant)


def compile_operator(name: Operator, constant: Json, label: str) -> Compare:
    """Compile a positive operator of a field; `label` names field and operator in warnings.

    Raises:
        ValueError: no such operator, or the constant isn't one that it takes.
    """
    mistake = constant_mistake(name, constant)
    if mistake is not None:
        msg = f"{name} {mistake}"
        raise ValueError(msg)
    if name not in _COMPILERS:
        msg = f"{name} is no operator of a field"
        raise ValueError(msg)
    return _COMPILERS[name](constant, label)


# Any two values -----------------------------------------------------------------------------------------------


def same(left: Json, right: Json) -> bool:
    """Tell whether two JSON values are equal: true isn't 1, "5" isn't 5, 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    return left == right


def compile_equality(constant: Json) -> Compare:
    """Compile `eq`; every value can be compared."""
    if isinstance(constant, list | dict):
        return lambda value, _: value is not MISSING and same(value, constant)
    if constant is None or isinstance(constant, bool):
        return lambda value, _: value is constant
    if not isinstance(constant, str):
        return lambda value, _: value == constant and type(value) is not bool
    moment = moment_of(constant)
    if moment is None:
        return lambda value, _: value == constant
    begins = moment
    return lambda value, scene: value == constant or (type(value) is Instant and value == begins(scene.zone))


def _compile_in(constant: Json, _: str) -> Compare:
    constants = cast("list[Json]", constant)
    texts = frozenset(constant for constant in constants if isinstance(constant, str))
    tests = [compile_equality(constant) for constant in constants]

    def compare(value: Value, scene: Scene) -> bool:
        if isinstance(value, str):
            return value in texts
        return any(test(value, scene) for test in tests)

    return compare


# Order --------------------------------------------------------------------------------------------------------

# The operators of the module are typed for values that know each other's order; that is what is checked before.
_ABOVE: Final = cast("_Holds", operator.gt)
_NOT_BELOW: Final = cast("_Holds", operator.ge)
_BELOW: Final = cast("_Holds", operator.lt)
_NOT_ABOVE: Final = cast("_Holds", operator.le)


def _compile_order(holds: _Holds, constant: Json, label: str) -> Compare:
    kinds = _TEXTS if isinstance(constant, str) else _NUMBERS
    moment = moment_of(constant)
    refuse = _refusal(label, _KINDS[type(constant)])

    def compare(value: Value, scene: Scene) -> bool | None:
        kind = type(value)
        if kind in kinds:
            return holds(value, constant)
        if kind is Instant and moment is not None:
            return holds(value, moment(scene.zone))
        return refuse(value, scene)

    return compare


def _compile_between(ends: Json, label: str) -> Compare:
    low, high = cast("list[Json]", ends)
    not_before = _compile_order(_NOT_BELOW, low, label)
    not_after = _compile_order(_NOT_ABOVE, high, label)
    if type(low) in _NUMBERS:
        return _compile_between_numbers(cast("float", low), cast("float", high), not_before)

    def compare(value: Value, scene: Scene) -> bool | None:
        return not_before(value, scene) and not_after(value, scene)

    return compare


def _compile_between_numbers(low: float, high: float, refuse: Compare) -> Compare:
    """Compile the most frequent case without its two halves; `refuse` answers for what isn't a number."""

    def compare(value: Value, scene: Scene) -> bool | None:
        if type(value) is float or type(value) is int:
            return low <= value <= high
        return refuse(value, scene)

    return compare


# Texts and lists ----------------------------------------------------------------------------------------------


def _compile_text(holds: Callable[[str], bool], label: str) -> Compare:
    refuse = _refusal(label, "a text")

    def compare(value: Value, scene: Scene) -> bool | None:
        return holds(value) if isinstance(value, str) else refuse(value, scene)

    return compare


def _compile_start(constant: Json, label: str) -> Compare:
    start = cast("str", constant)
    return _compile_text(lambda text: text.startswith(start), label)


def _compile_end(constant: Json, label: str) -> Compare:
    end = cast("str", constant)
    return _compile_text(lambda text: text.endswith(end), label)


def _compile_pattern(constant: Json, label: str) -> Compare:
    search = re2.compile(constant, _quiet()).search
    return _compile_text(lambda text: search(text) is not None, label)


def _compile_contains(constant: Json, label: str) -> Compare:
    refuse = _refusal(label, _KINDS.get(type(constant), "null"))

    def compare(value: Value, scene: Scene) -> bool | None:
        if isinstance(value, list):
            return any(same(element, constant) for element in value)
        if isinstance(value, str) and isinstance(constant, str):
            return constant in value
        return refuse(value, scene)

    return compare


# Instants -----------------------------------------------------------------------------------------------------


def _compile_within(hours: Json, label: str) -> Compare:
    window_ms = window_of(hours)
    refuse = _refusal(label, "an instant")

    def compare(value: Value, scene: Scene) -> bool | None:
        instant = instant_of(value, scene.zone)
        return refuse(value, scene) if instant is None else scene.now - instant <= window_ms

    return compare


def _compile_moment(holds: _Holds, constant: Json, label: str) -> Compare:
    moment = moment_of(constant)
    refuse = _refusal(label, "an instant")

    def compare(value: Value, scene: Scene) -> bool | None:
        instant = instant_of(value, scene.zone)
        if instant is None or moment is None:
            return refuse(value, scene)
        return holds(instant, moment(scene.zone))

    return compare


def window_of(hours: Json) -> Millis:
    """Return the length of a `within_hours`."""
    return round(cast("float", hours) * HOUR_MS)


def instant_of(value: Value, zone: str) -> Millis | None:
    """Read a field's value as an instant; None if it isn't one."""
    if isinstance(value, str):
        return _parse(value, zone) if len(value) <= _LONGEST_INSTANT else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if EARLIEST <= value <= LATEST else None
    return None


def moment_of(constant: Json) -> Moment | None:
    """Read a constant as an instant, once; a date once for each zone."""
    if isinstance(constant, str) and _DATE.fullmatch(constant):
        day = constant
        return None if _parse(day, "UTC") is None else lambda zone: cast("Millis", _parse(day, zone))
    instant = instant_of(constant, "UTC")
    return None if instant is None else lambda _: instant


@lru_cache(maxsize=8_192)
def _parse(text: str, zone: str) -> Millis | None:
    try:
        if _DATE.fullmatch(text):
            return from_local(datetime.fromisoformat(text), zone)
        return parse_instant(text)
    except (ValueError, OverflowError):
        return None


# Constants ----------------------------------------------------------------------------------------------------


def _is_number(constant: Json) -> bool:
    return isinstance(constant, int | float) and not isinstance(constant, bool)


def _order_mistake(constant: Json) -> str | None:
    return None if _is_number(constant) or isinstance(constant, str) else "needs a number, a text or a time"


def _list_mistake(constant: Json) -> str | None:
    return None if isinstance(constant, list) else "needs a list of values"


def _text_mistake(constant: Json) -> str | None:
    return None if isinstance(constant, str) else "needs a text"


def _presence_mistake(constant: Json) -> str | None:
    return None if constant is None or constant is True else "takes no value; `not_` in front of it denies"


def _hours_mistake(constant: Json) -> str | None:
    return None if _is_number(constant) and cast("float", constant) > 0 else "needs a number of hours above 0"


def _moment_mistake(constant: Json) -> str | None:
    if moment_of(constant) is not None:
        return None
    return "needs a time such as 2026-01-31T09:00:00Z, a date such as 2026-01-31, or epoch milliseconds"


def _range_mistake(constant: Json) -> str | None:
    match constant:
        case [str() as low, str() as high]:
            first, last = moment_of(low), moment_of(high)
            is_right = low <= high if first is None or last is None else first("UTC") <= last("UTC")
        case [int() | float() as low, int() | float() as high] if _is_number(low) and _is_number(high):
            is_right = low <= high
        case _:
            return "needs a list of two numbers, two texts or two times"
    return None if is_right else "has its ends the wrong way round"


def _pattern_mistake(constant: Json) -> str | None:
    if not isinstance(constant, str):
        return "needs a regular expression (RE2 syntax)"
    try:
        re2.compile(constant, _quiet())
    except re2.error as error:
        reason = error.args[0] if error.args else error
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        return f"needs a regular expression in RE2 syntax (without look-around and back references): {said}"
    return None


def _quiet() -> object:
    options = re2.Options()
    options.log_errors = False
    return options


def _refusal(label: str, wanted: str) -> Compare:
    """Make what answers for values of another type: False for none at all, else None and a warning."""

    def refuse(value: Value, scene: Scene) -> bool | None:
        if value is MISSING or value is None:
            return False
        scene.warn(f"{label}: {_KINDS[type(value)]} can't be compared with {wanted}")
        return None

    return refuse


# Tables -------------------------------------------------------------------------------------------------------

_CHECKS: Final[dict[Operator, Callable[[Json], str | None]]] = {
    "gt": _order_mistake,
    "gte": _order_mistake,
    "lt": _order_mistake,
    "lte": _order_mistake,
    "between": _range_mistake,
    "in": _list_mistake,
    "starts_with": _text_mistake,
    "ends_with": _text_mistake,
    "matches": _pattern_mistake,
    "exists": _presence_mistake,
    "within_hours": _hours_mistake,
    "before": _moment_mistake,
    "after": _moment_mistake,
}
_COMPILERS: Final[dict[Operator, Callable[[Json, str], Compare]]] = {
    "eq": lambda constant, _: compile_equality(constant),
    "gt": lambda constant, label: _compile_order(_ABOVE, constant, label),
    "gte": lambda constant, label: _compile_order(_NOT_BELOW, constant, label),
    "lt": lambda constant, label: _compile_order(_BELOW, constant, label),
    "lte": lambda constant, label: _compile_order(_NOT_ABOVE, constant, label),
    "between": _compile_between,
    "in": _compile_in,
    "contains": _compile_contains,
    "starts_with": _compile_start,
    "ends_with": _compile_end,
    "matches": _compile_pattern,
    "exists": lambda _, __: lambda value, ___: value is not MISSING and value is not None,
    "within_hours": _compile_within,
    "before": lambda constant, label: _compile_moment(_BELOW, constant, label),
    "after": lambda constant, label: _compile_moment(_ABOVE, constant, label),
}
