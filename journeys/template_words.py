"""What all languages of templates share: what a value becomes, what a message consists of, how a mistake is told."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic, TypeVar

from msgspec import Struct

from schemas.definitions import Condition, DynamicContentRule
from schemas.instants import Millis

Scene = TypeVar("Scene")
"""What a condition is looked at in; templates only pass it on."""
Piece = TypeVar("Piece")
"""A compiled text, in the template's language."""
Values = Callable[[str], object]
"""Looks a name up; None is no value."""

DEFAULTS: Final[Mapping[str, str]] = {"first_name": "there"}
"""The names that have a value for everybody."""
PREHEADER: Final = (
    '<div style="display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;mso-hide:all">',
    "</div>",
)
"""What hides the preview text, and is put around it at the start of the body."""
# What separates, quotes or comments addresses in RFC 5322, so that a value can't add a recipient.
ADDRESS_SPECIALS: Final = re.compile(r'[<>()\[\]\\,;:"]')
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")
_BODY: Final = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_DOCUMENT_START: Final = re.compile(
    r"(\s*<!doctype[^>]*>)?(\s*<html\b[^>]*>)?(\s*<head\b.*?</head\s*>)?", re.IGNORECASE | re.DOTALL
)
_EXACT_FLOAT: Final = 2**53


class Flaw(Struct, frozen=True, kw_only=True):
    """One mistake in a template: under which keys of the definition, what is wrong, what would be right."""

    path: tuple[str | int, ...]
    message: str
    expected: str = "a template that compiles"


class TemplateProblem(ValueError):
    """A template that doesn't compile; `flaws` says everything that is wrong, and where."""

    def __init__(self, flaws: Iterable[Flaw]) -> None:
        """Keep the flaws, and write them as one text."""
        self.flaws = tuple(flaws)
        super().__init__("; ".join(f"{'.'.join(map(str, flaw.path))}: {flaw.message}" for flaw in self.flaws))


class CompiledVariant(Struct, Generic[Scene, Piece], frozen=True, kw_only=True):
    """One content of a rule, as markup and as text."""

    test: Callable[[Scene], bool] | None
    markup: Piece
    text: Piece


class CompiledRule(Struct, Generic[Scene, Piece], frozen=True, kw_only=True):
    """The first variant whose test holds, where the rule's own does."""

    test: Callable[[Scene], bool] | None
    variants: tuple[CompiledVariant[Scene, Piece], ...]

    def choose(self, scene: Scene) -> CompiledVariant[Scene, Piece] | None:
        """Return the variant for a scene, or None."""
        if self.test is not None and not self.test(scene):
            return None
        return next((variant for variant in self.variants if variant.test is None or variant.test(scene)), None)


class Moment(Struct, frozen=True):
    """When a message is rendered, and in which zone its reader lives."""

    now: Millis = 0
    zone: str = "UTC"


NO_MOMENT: Final = Moment()
"""For templates that say nothing about time."""


class Failure(Struct, frozen=True, kw_only=True):
    """Why a template can't be rendered for somebody: a reason for the decision, and a sentence."""

    reason: str
    message: str


class Rendered(Struct, frozen=True, kw_only=True):
    """A message's content. `unfilled`: placeholders that had no value; `missing`: required names that have none."""

    subject: str
    html: str | None
    text: str
    sender: str | None
    reply_to: str | None
    unfilled: tuple[str, ...]
    missing: tuple[str, ...]
    failure: Failure | None = None
    """Where it isn't None there is no content, and the message must not go out."""


def compile_rule(
    rule: DynamicContentRule,
    tests: Callable[[Condition], Callable[[Scene], bool]],
    markup: Callable[[str], Piece],
    text: Callable[[str], Piece],
) -> CompiledRule[Scene, Piece]:
    """Compile a dynamic content rule, its contents by `markup` as they are and by `text` as plain text."""
    return CompiledRule(
        test=None if rule.condition is None else tests(rule.condition),
        variants=tuple(
            CompiledVariant(
                test=None if variant.condition is None else tests(variant.condition),
                markup=markup(variant.content),
                text=text(variant.content),
            )
            for variant in rule.content_variants
        ),
    )


def placeholders_of(rules: Mapping[str, DynamicContentRule]) -> tuple[str, ...]:
    """Return each rule's placeholder, in the order of the rules.

    Raises:
        TemplateProblem: one is blank, or that of two rules.
    """
    owners: dict[str, str] = {}
    flaws: list[Flaw] = []
    for name, rule in rules.items():
        text = f"{{dynamic_content_{name}}}" if rule.placeholder is None else rule.placeholder
        path = ("dynamic_content_rules", name, "placeholder")
        if not text.strip():
            flaws.append(Flaw(path=path, message=f"is blank; leave it out for {{dynamic_content_{name}}}"))
        elif text in owners:
            flaws.append(Flaw(path=path, message=f"{text!r} is the placeholder of {owners[text]} already"))
        owners.setdefault(text, name)
    if flaws:
        raise TemplateProblem(flaws)
    return tuple(owners)


def as_text(value: object) -> str | None:
    """Write a scalar as a reader expects it; None where there is nothing to write (blank text included)."""
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) <= _EXACT_FLOAT else repr(value)
    return None


def has_value(value: object) -> bool:
    """Tell whether there is anything to write; a list or an object that isn't empty is something for Liquid."""
    return bool(value) if isinstance(value, list | dict) else as_text(value) is not None


def one_line(text: str) -> str:
    """Write a header's value: without line breaks and controls, which could begin another header."""
    return _CONTROLS.sub(" ", text).strip()


def preheader_position(html: str) -> int:
    """Find the start of the body: behind its tag, else behind what may stand before the content."""
    body = _BODY.search(html) or _DOCUMENT_START.match(html)
    return body.end() if body else 0
