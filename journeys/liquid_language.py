"""Liquid as Tidings speaks it: the standard tags and filters, less whatever could reach beyond the message.

Nothing is included or read, no clock is asked (`now`, `today` and the filter `date` take the decision's time, in the
customer's zone), and what a template may write, repeat and remember is bounded, in sum, so that no value makes a
worker slow. A name without a value renders as nothing and is reported; one with a default renders the default, but
counts as absent for `default` and `if`.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, Final, Literal

import msgspec
from liquid import BoundTemplate, Environment, Mode, RenderContext
from liquid.exceptions import LiquidError, LoopIterationLimitError, ResourceLimitError
from liquid.undefined import Undefined
from liquid.utils import ReadOnlyChainMap
from markupsafe import Markup

from journeys.marks import Unclosed, liquid_spans
from journeys.template_words import ADDRESS_SPECIALS, DEFAULTS, Moment
from schemas.instants import format_instant, from_local, local, parse_instant
from schemas.problems import suggestion

Target = Literal["markup", "text", "address"]
"""Where a value goes: into HTML, where it is escaped, into text, or into the address of a sender."""
Look = Callable[[str], object]
"""Looks a name up; None is no value."""

MAX_OUTPUT_BYTES: Final = 512 * 1024
MAX_ITERATIONS: Final = 10_000
"""Of all loops of one text together."""
MAX_LOCALS_BYTES: Final = 256 * 1024
MAX_ITEMS: Final = 1_000
"""Of a list that a filter takes or makes."""
MAX_CHARACTERS: Final = 256 * 1024
"""Of a text that a filter takes or makes."""
MAX_STRIPPED: Final = 10_000
"""Characters of which `strip_html` makes text; the time for malformed HTML grows with their square."""
_LONGEST_NUMBER_BITS: Final = 4_096
_LONGEST_FORMAT: Final = 200
_EPOCH_SECONDS: Final = re.compile(r"%%|%[-_0^#]*\d*s")
_SECONDS_BELOW: Final = 100_000_000_000
"""Numbers below are epoch seconds for `date`, as in Liquid, others milliseconds, as in events."""
_REACHING_OUT: Final = ("include", "render")
_UNSAFE: Final = ("safe", "escapejs")
_DECODING: Final = ("url_decode", "base64_decode", "base64_url_safe_decode")
_KNOWN_TYPES: Final = (str, int, float, list, tuple, dict, range, Undefined)
_NOTHING: Final = object()


class LiquidMistake(ValueError):
    """Liquid that doesn't compile; the text begins with the line."""


class RenderFailure(Exception):
    """A text that can't be rendered for these values."""

    def __init__(self, message: str, *, too_large: bool) -> None:
        """Say what happened, and whether it was that the text grew beyond a limit."""
        super().__init__(message)
        self.too_large = too_large


class LiquidText:
    """One compiled text."""

    def __init__(self, source: str, target: Target) -> None:
        """Compile.

        Raises:
            LiquidMistake: it doesn't compile.
        """
        self._target: Target = target
        environment = _ENVIRONMENTS[target]
        if len(source) > MAX_CHARACTERS:
            raise LiquidMistake(f"has {len(source)} characters; {MAX_CHARACTERS} are allowed")
        try:
            deque(liquid_spans(source), maxlen=0)
        except Unclosed as error:
            line = source.count("\n", 0, error.position) + 1
            raise LiquidMistake(f"line {line}: {error}") from None
        try:
            self._template = environment.from_string(source)
        except LiquidError as error:
            raise LiquidMistake(_sentence(error)) from None
        _check_filters(self._template, environment, source)

    def render(self, look: Look, moment: Moment, unfilled: dict[str, None]) -> str:
        """Fill the text; names that had no value where one was written go into `unfilled`.

        Raises:
            RenderFailure: it can't be, for these values.
        """
        context = _Context(self._template, look=look, moment=moment, unfilled=unfilled, target=self._target)
        buffer = self._template._get_buffer()  # noqa: SLF001 -- `render` takes no context of ours
        try:
            self._template.render_with_context(context, buffer)
        except RenderFailure:
            raise
        except ResourceLimitError as error:
            raise RenderFailure(_sentence(error), too_large=True) from None
        except LiquidError as error:
            raise RenderFailure(_sentence(error), too_large=False) from None
        except Exception as error:  # noqa: BLE001 -- what a library raises on somebody's data mustn't end the worker
            raise RenderFailure(type(error).__name__, too_large=False) from None
        return buffer.getvalue()


def _check_filters(template: BoundTemplate, environment: Environment, source: str) -> None:
    for name, spans in template.analyze(include_partials=False).filters.items():
        if name not in environment.filters:
            line = source.count("\n", 0, spans[0].index) + 1
            hint = suggestion(name, environment.filters)
            msg = f"line {line}: there is no filter {name[:40]!r}" + (f" ({hint})" if hint else "")
            raise LiquidMistake(msg)


def _sentence(error: LiquidError) -> str:
    """Write an error on one line; it may quote the template, never a value."""
    try:
        place = error.context()
    except ValueError:  # the end of the text
        place = None
    message = " ".join(str(error.message).split())[:200]
    return message if place is None else f"line {place[0]}: {message}"


# Names ------------------------------------------------------------------------------------------------------------


class _Names(Mapping[str, object]):
    """The values of one message as Liquid wants them."""

    def __init__(self, look: Look, moment: Moment) -> None:
        self._look = look
        self._moment = moment

    def __getitem__(self, name: str) -> object:
        if name == "now":
            return format_instant(self._moment.now)
        if name == "today":
            return local(self._moment.now, self._moment.zone).date().isoformat()
        value = self._look(name)
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 1  # what is empty, the library would replace


class _Missing(Undefined):
    """A name without a value: nothing, or its default, once it is written."""

    __slots__ = ("unfilled",)

    def __init__(self, name: str, unfilled: dict[str, None]) -> None:
        super().__init__(name)
        self.unfilled = unfilled

    def __str__(self) -> str:
        default = DEFAULTS.get(self.name)
        if default is None:
            self.unfilled[self.name] = None
        return default or ""


class _Object(dict[str, object]):
    """An object that is written as JSON, not as Python has it."""

    def __str__(self) -> str:
        return msgspec.json.encode(dict(self)).decode()


class _Context(RenderContext):
    """One rendering: its names, its moment, and what its loops have cost so far."""

    __slots__ = ("iterations", "moment", "target", "unfilled")

    def __init__(
        self, template: BoundTemplate, *, look: Look, moment: Moment, unfilled: dict[str, None], target: Target
    ) -> None:
        super().__init__(template, globals=_Names(look, moment))
        # Without the library's own `now` and `today`, which read the clock.
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)
        self.moment = moment
        self.unfilled = unfilled
        self.target = target
        self.iterations = 0

    def get(self, path: list[object], *, token: Any, default: object = _NOTHING) -> object:
        found = super().get(path, token=token, default=_NOTHING)
        if found is _NOTHING or found is None or not isinstance(found, _KNOWN_TYPES):
            # A loop's own object would be written with its address in memory.
            return _Missing(".".join(map(str, path)), self.unfilled) if default is _NOTHING else default
        if type(found) is dict:
            return _Object(found)
        if self.target == "address" and isinstance(found, str):
            return ADDRESS_SPECIALS.sub("", found)
        return found

    def raise_for_loop_limit(self, length: int = 1) -> None:
        self.iterations += length
        if self.iterations > MAX_ITERATIONS:
            raise LoopIterationLimitError(f"more than {MAX_ITERATIONS} iterations of loops", token=None)


# Filters ----------------------------------------------------------------------------------------------------------


def _bounded(name: str, function: Callable[..., object]) -> Callable[..., object]:
    """Refuse what would grow beyond all measure, before it does."""

    @wraps(function)
    def bounded(value: object, *arguments: object, **options: object) -> object:
        for taken in (value, *arguments):
            _check_size(taken)
        _check_growth(name, value, arguments)
        result = function(value, *arguments, **options)
        _check_size(result)
        return result

    return bounded


def _check_size(value: object) -> None:
    if isinstance(value, str):
        too_large = len(value) > MAX_CHARACTERS
    elif isinstance(value, list | tuple | range):
        too_large = len(value) > MAX_ITEMS
    else:
        too_large = isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER_BITS
    if too_large:
        raise ResourceLimitError("a filter's value is too large", token=None)


def _check_growth(name: str, value: object, arguments: tuple[object, ...]) -> None:
    """Refuse the filters that multiply one text by another."""
    if name == "replace" and arguments:
        text, old = str(value), str(arguments[0])
        new = str(arguments[1]) if len(arguments) > 1 else ""
        pieces = text.count(old) if old else len(text) + 1
        grown = pieces * len(new)
    elif name == "join" and arguments and isinstance(value, list | tuple | range):
        grown = len(value) * len(str(arguments[0]))
    else:
        return
    if grown > MAX_CHARACTERS:
        raise ResourceLimitError("a filter's value is too large", token=None)


def _strip_html(original: Callable[..., object]) -> Callable[..., object]:
    @wraps(original)
    def strip_html(value: object, *arguments: object, **options: object) -> object:
        text = value if isinstance(value, str) else str(value)
        return original(text[:MAX_STRIPPED], *arguments, **options)

    return strip_html


def _date(value: object, form: object = None, *, context: _Context) -> object:
    """Write a time in the customer's zone; what is no time comes back as it is."""
    wall = _wall_clock(value, context.moment)
    if wall is None or not isinstance(form, str) or not form or len(form) > _LONGEST_FORMAT:
        return value
    seconds = int(wall.timestamp() // 1)
    # The library of C takes `%s` for a time of the machine's zone.
    written = wall.strftime(_EPOCH_SECONDS.sub(lambda match: str(seconds) if match[0] != "%%" else "%%", form))
    return Markup(written) if isinstance(form, Markup) else written  # noqa: S704 -- the author's format, not a value


_date.with_context = True  # type: ignore[attr-defined]  # how the library is told to pass the context


def _wall_clock(value: object, moment: Moment) -> datetime | None:
    if value in ("now", "today"):
        return local(moment.now, moment.zone)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        instant = int(value * 1_000) if abs(value) < _SECONDS_BELOW else int(value)
        return local(instant, moment.zone)
    if not isinstance(value, str):
        return None
    text = str(value)
    try:
        return local(parse_instant(text), moment.zone)
    except ValueError:
        return _naive(text, moment)


def _naive(text: str, moment: Moment) -> datetime | None:
    """Read a date, or a time without an offset, as the customer's own."""
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        return None
    if wall.tzinfo is not None:
        return None
    return local(from_local(wall, moment.zone), moment.zone)


# Environments -----------------------------------------------------------------------------------------------------


class _Environment(Environment):
    """Where Liquid is compiled; a set for each target."""

    output_stream_limit = MAX_OUTPUT_BYTES
    local_namespace_limit = MAX_LOCALS_BYTES
    loop_iteration_limit = MAX_ITERATIONS

    def __init__(self, target: Target) -> None:
        super().__init__(autoescape=target == "markup", tolerance=Mode.STRICT)
        for tag in _REACHING_OUT:
            del self.tags[tag]
        for name in (*_UNSAFE, *(_DECODING if target == "address" else ())):
            del self.filters[name]
        self.filters = {name: _bounded(name, function) for name, function in self.filters.items()}
        self.filters["strip_html"] = _strip_html(self.filters["strip_html"])
        self.filters["date"] = _date


_ENVIRONMENTS: Final[Mapping[Target, _Environment]] = {
    "markup": _Environment("markup"),
    "text": _Environment("text"),
    "address": _Environment("address"),
}
