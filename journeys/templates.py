"""Templates: compiled once into literals and slots, rendered by joining.

`{field}` is a placeholder where the braces hold nothing but a name (a letter or `_`, then letters, digits, `_`, `-`
and `.`); all other braces, as in CSS, are text. The placeholder of a dynamic content rule is found by its exact text
and before fields are. A variant is a template itself, but holds no dynamic content.

A value is escaped where it goes into HTML; as text it goes in unchanged; in a header it loses whatever could begin
another header or name another recipient. The text part, where a template has none, is made from the HTML *template*,
so that nothing is parsed when a message is rendered and no value can be taken for markup.
"""

import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Final, Generic, TypeVar

from msgspec import Struct

from journeys.plain_text import has_blocks, plain_text
from schemas.definitions import Condition, DynamicContentRule, Template

Scene = TypeVar("Scene")
"""What a condition is looked at in; templates only pass it on."""
Values = Callable[[str], object]
"""Looks a name up; None, or anything but a scalar, is no value."""

DEFAULTS: Final[Mapping[str, str]] = {"first_name": "there"}
"""The names that have a value for everybody."""

_FIELD: Final = r"\{([^\W\d][\w.-]*)\}"
_BODY: Final = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_DOCUMENT_START: Final = re.compile(
    r"(\s*<!doctype[^>]*>)?(\s*<html\b[^>]*>)?(\s*<head\b.*?</head\s*>)?", re.IGNORECASE | re.DOTALL
)
_PREHEADER: Final = (
    '<div style="display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;mso-hide:all">',
    "</div>",
)
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")
# What separates, quotes or comments addresses in RFC 5322, so that a value can't add a recipient.
_ADDRESS_SPECIALS: Final = re.compile(r'[<>()\[\]\\,;:"]')
_EXACT_FLOAT: Final = 2**53


class TemplateProblem(ValueError):
    """A template that doesn't compile; the text says what is wrong and where."""


class Field(Struct, frozen=True):
    """A slot for a value."""

    name: str


class Dynamic(Struct, frozen=True):
    """A slot for what a rule chooses."""

    rule: int


Parts = tuple[str | Field | Dynamic, ...]


class CompiledVariant(Struct, Generic[Scene], frozen=True, kw_only=True):
    """One content of a rule, as markup and as text."""

    test: Callable[[Scene], bool] | None
    markup: Parts
    text: Parts


class CompiledRule(Struct, Generic[Scene], frozen=True, kw_only=True):
    """The first variant whose test holds, where the rule's own does."""

    test: Callable[[Scene], bool] | None
    variants: tuple[CompiledVariant[Scene], ...]


class CompiledTemplate(Struct, Generic[Scene], frozen=True, kw_only=True):
    """A template as literals and slots. `head` is the HTML up to where the preheader goes, None without HTML."""

    subject: Parts
    sender: Parts | None
    reply_to: Parts | None
    head: Parts | None
    preheader: Parts
    body: Parts
    text: Parts
    rules: tuple[CompiledRule[Scene], ...]
    required: tuple[str, ...]


class Rendered(Struct, frozen=True, kw_only=True):
    """A message's content. `unfilled`: placeholders that had no value; `missing`: required names that have none."""

    subject: str
    html: str | None
    text: str
    sender: str | None
    reply_to: str | None
    unfilled: tuple[str, ...]
    missing: tuple[str, ...]


def compile_template(
    template: Template, tests: Callable[[Condition], Callable[[Scene], bool]]
) -> CompiledTemplate[Scene]:
    """Compile a template.

    Args:
        template: the definition.
        tests: compiles a condition; what it raises passes through.

    Raises:
        TemplateProblem: a rule's placeholder is blank, or two rules have the same.
    """
    placeholders = _placeholders(template.dynamic_content_rules)
    parse = _Parser(placeholders)
    is_html = template.channel == "email"
    content = template.content_template
    split = _preheader_position(content) if is_html else 0
    text = template.text_template
    if text is None:
        text = _text_of(content, placeholders) if is_html else content
    return CompiledTemplate(
        subject=parse(template.subject_template),
        sender=None if template.from_ is None else parse(template.from_),
        reply_to=None if template.reply_to is None else parse(template.reply_to),
        head=parse(content[:split]) if is_html else None,
        preheader=parse(template.preheader or ""),
        body=parse(content[split:]) if is_html else (),
        text=parse(text),
        rules=tuple(_compile_rule(rule, tests) for rule in template.dynamic_content_rules.values()),
        required=template.personalization_fields,
    )


def render(compiled: CompiledTemplate[Scene], values: Values, scene: Scene) -> Rendered:
    """Fill a template.

    Args:
        compiled: the template.
        values: the customer's and the trigger's fields, and the message links.
        scene: what the rules' conditions are looked at in.

    Returns:
        The content. Where `missing` isn't empty the message must not go out.
    """
    filling = _Filling(compiled, values, scene)
    html = None
    if compiled.head is not None:
        preheader = filling.markup(compiled.preheader).strip()
        hidden = preheader.join(_PREHEADER) if preheader else ""
        html = filling.markup(compiled.head) + hidden + filling.markup(compiled.body)
    subject = filling.header(compiled.subject)
    text = filling.text(compiled.text)
    sender = None if compiled.sender is None else filling.address(compiled.sender)
    reply_to = None if compiled.reply_to is None else filling.address(compiled.reply_to)
    return Rendered(
        subject=subject,
        html=html,
        text=text,
        sender=sender,
        reply_to=reply_to,
        unfilled=tuple(filling.unfilled),
        missing=missing_names(compiled, values),
    )


def missing_names(compiled: CompiledTemplate[Scene], values: Values) -> tuple[str, ...]:
    """Return the required names that have neither a value nor a default, in the template's order."""
    return tuple(name for name in compiled.required if name not in DEFAULTS and as_text(values(name)) is None)


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


# Compiling ------------------------------------------------------------------------------------------------------


class _Parser:
    """Cuts text into literals and slots; knows the placeholders of one template's rules."""

    def __init__(self, placeholders: tuple[str, ...]) -> None:
        # The longest first: one placeholder may begin another.
        by_length = sorted(placeholders, key=len, reverse=True)
        self._slot = re.compile("|".join([f"({re.escape(text)})" for text in by_length] + [_FIELD]))
        self._rules = tuple(placeholders.index(text) for text in by_length)

    def __call__(self, text: str) -> Parts:
        parts: list[str | Field | Dynamic] = []
        end = 0
        for match in self._slot.finditer(text):
            if match.start() > end:
                parts.append(text[end : match.start()])
            end = match.end()
            group = match.lastindex or 0
            if group <= len(self._rules):
                parts.append(Dynamic(self._rules[group - 1]))
            else:
                parts.append(Field(match[group]))
        if end < len(text):
            parts.append(text[end:])
        return tuple(parts)


def _placeholders(rules: Mapping[str, DynamicContentRule]) -> tuple[str, ...]:
    """Return each rule's placeholder, in the order of the rules."""
    owners: dict[str, str] = {}
    for name, rule in rules.items():
        text = f"{{dynamic_content_{name}}}" if rule.placeholder is None else rule.placeholder
        if not text.strip():
            msg = f"dynamic_content_rules.{name}.placeholder: is blank; leave it out for {{dynamic_content_{name}}}"
            raise TemplateProblem(msg)
        if text in owners:
            msg = f"dynamic_content_rules.{name}.placeholder: {text!r} is the placeholder of {owners[text]} already"
            raise TemplateProblem(msg)
        owners[text] = name
    return tuple(owners)


def _compile_rule(
    rule: DynamicContentRule, tests: Callable[[Condition], Callable[[Scene], bool]]
) -> CompiledRule[Scene]:
    parse = _Parser(())
    variants = []
    for variant in rule.content_variants:
        text = plain_text(variant.content)
        variants.append(
            CompiledVariant(
                test=None if variant.condition is None else tests(variant.condition),
                markup=parse(variant.content),
                text=parse(f"\n{text}\n" if has_blocks(variant.content) else text),
            )
        )
    return CompiledRule(test=None if rule.condition is None else tests(rule.condition), variants=tuple(variants))


def _text_of(content: str, placeholders: tuple[str, ...]) -> str:
    """Make the text template; a rule's placeholder may look like markup, so it is hidden from the HTML parser."""
    hidden = content
    marks = {text: f"\ue000{number}\ue001" for number, text in enumerate(placeholders)}
    for text in sorted(marks, key=len, reverse=True):
        hidden = hidden.replace(text, marks[text])
    plain = plain_text(hidden)
    for text, mark in marks.items():
        plain = plain.replace(mark, text)
    return plain


def _preheader_position(html: str) -> int:
    """Find the start of the body: behind its tag, else behind what may stand before the content."""
    body = _BODY.search(html) or _DOCUMENT_START.match(html)
    return body.end() if body else 0


# Rendering ------------------------------------------------------------------------------------------------------


class _Filling(Generic[Scene]):
    """One rendering: looks each name up and each rule's conditions at most once."""

    def __init__(self, compiled: CompiledTemplate[Scene], values: Values, scene: Scene) -> None:
        self._rules = compiled.rules
        self._values = values
        self._scene = scene
        self._known: dict[str, str] = {}
        self._chosen: dict[int, CompiledVariant[Scene] | None] = {}
        self.unfilled: dict[str, None] = {}

    def markup(self, parts: Parts) -> str:
        return "".join(
            part
            if isinstance(part, str)
            else escape(self._value(part.name))
            if isinstance(part, Field)
            else self.markup(variant.markup)
            if (variant := self._variant(part.rule))
            else ""
            for part in parts
        )

    def text(self, parts: Parts, clean: Callable[[str], str] = str) -> str:
        return "".join(
            part
            if isinstance(part, str)
            else clean(self._value(part.name))
            if isinstance(part, Field)
            else self.text(variant.text, clean)
            if (variant := self._variant(part.rule))
            else ""
            for part in parts
        )

    def header(self, parts: Parts) -> str:
        return _one_line(self.text(parts))

    def address(self, parts: Parts) -> str:
        return _one_line(self.text(parts, lambda value: _ADDRESS_SPECIALS.sub("", value)))

    def _value(self, name: str) -> str:
        text = self._known.get(name)
        if text is None:
            found = as_text(self._values(name))
            if found is None:
                found = DEFAULTS.get(name)
            if found is None:
                self.unfilled[name] = None
            text = self._known[name] = found or ""
        return text

    def _variant(self, number: int) -> CompiledVariant[Scene] | None:
        if number not in self._chosen:
            self._chosen[number] = _choose(self._rules[number], self._scene)
        return self._chosen[number]


def _choose(rule: CompiledRule[Scene], scene: Scene) -> CompiledVariant[Scene] | None:
    if rule.test is not None and not rule.test(scene):
        return None
    return next((variant for variant in rule.variants if variant.test is None or variant.test(scene)), None)


def _one_line(text: str) -> str:
    return _CONTROLS.sub(" ", text).strip()
