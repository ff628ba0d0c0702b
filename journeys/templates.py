"""Templates: compiled once into literals and slots, rendered by joining.

Unless a template's `engine` says otherwise, `{field}` is a placeholder where the braces hold nothing but a name (a
letter or `_`, then letters, digits, `_`, `-` and `.`); all other braces, as in CSS, are text. The placeholder of a
dynamic content rule is found by its exact text and before fields are. A variant is a template itself, but holds no
dynamic content.

A value is escaped where it goes into HTML; as text it goes in unchanged; in a header it loses whatever could begin
another header or name another recipient. The text part, where a template has none, is made from the HTML *template*,
so that nothing is parsed when a message is rendered and no value can be taken for markup.

`engine` names what the content is written in: `fields` (the default), `liquid`, `mjml` (MJML, with `{field}` in it) or
`mjml_liquid` (MJML, with Liquid in it). MJML is compiled first, here and once; it never sees a value.
"""

import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Final, Generic

from msgspec import Struct
from msgspec.structs import replace

from journeys.marks import Unclosed, hide, liquid_spans, spans_of
from journeys.plain_text import has_blocks, paragraphs, plain_text
from journeys.template_words import (
    ADDRESS_SPECIALS,
    DEFAULTS,
    NO_MOMENT,
    PREHEADER,
    CompiledRule,
    CompiledVariant,
    Failure,
    Flaw,
    Moment,
    Rendered,
    Scene,
    TemplateProblem,
    Values,
    as_text,
    compile_rule,
    one_line,
    placeholders_of,
    preheader_position,
)
from schemas.definitions import Condition, Template

if TYPE_CHECKING:
    from journeys.liquid_templates import LiquidTemplate

__all__ = [
    "DEFAULTS",
    "CompiledTemplate",
    "Failure",
    "Moment",
    "Rendered",
    "TemplateProblem",
    "as_text",
    "compile_template",
    "missing_names",
    "render",
]

_FIELD: Final = r"\{([^\W\d][\w.-]*)\}"


class Field(Struct, frozen=True):
    """A slot for a value."""

    name: str


class Dynamic(Struct, frozen=True):
    """A slot for what a rule chooses."""

    rule: int


Parts = tuple[str | Field | Dynamic, ...]


class CompiledTemplate(Struct, Generic[Scene], frozen=True, kw_only=True):
    """A template as literals and slots. `head` is the HTML up to where the preheader goes, None without HTML."""

    subject: Parts
    sender: Parts | None
    reply_to: Parts | None
    head: Parts | None
    preheader: Parts
    body: Parts
    text: Parts
    rules: tuple[CompiledRule[Scene, Parts], ...]
    required: tuple[str, ...]
    liquid: "LiquidTemplate[Scene] | None" = None
    """The template itself where it is written in Liquid; all else is empty then."""


def compile_template(
    template: Template, tests: Callable[[Condition], Callable[[Scene], bool]]
) -> CompiledTemplate[Scene]:
    """Compile a template.

    Args:
        template: the definition.
        tests: compiles a condition; what it raises passes through.

    Raises:
        TemplateProblem: with everything in it that is wrong.
    """
    content = _compiled_content(template)
    if template.engine in ("liquid", "mjml_liquid"):
        return _compile_liquid(template, content, tests)
    placeholders = placeholders_of(template.dynamic_content_rules)
    parse = _Parser(placeholders)
    plain = _Parser(())
    is_html = template.channel == "email"
    split = preheader_position(content) if is_html else 0
    text = template.text_template
    if text is None:
        readable = content if template.engine == "fields" else paragraphs(content)
        text = _text_of(readable, placeholders) if is_html else content
    return CompiledTemplate(
        subject=parse(_first_subject(template)),
        sender=None if template.from_ is None else parse(template.from_),
        reply_to=None if template.reply_to is None else parse(template.reply_to),
        head=parse(content[:split]) if is_html else None,
        preheader=parse(template.preheader or ""),
        body=parse(content[split:]) if is_html else (),
        text=parse(text),
        rules=tuple(
            compile_rule(rule, tests, plain, lambda markup: plain(_text_of_variant(markup)))
            for rule in template.dynamic_content_rules.values()
        ),
        required=template.personalization_fields,
    )


def render(compiled: CompiledTemplate[Scene], values: Values, scene: Scene, moment: Moment = NO_MOMENT) -> Rendered:
    """Fill a template.

    Args:
        compiled: the template.
        values: the customer's and the trigger's fields, and the message links.
        scene: what the rules' conditions are looked at in.
        moment: when and where, for what a template says about time.

    Returns:
        The content. Where `missing` isn't empty, or there is a `failure`, the message must not go out.
    """
    if compiled.liquid is not None:
        return compiled.liquid.render(values, scene, moment)
    filling = _Filling(compiled, values, scene)
    html = None
    if compiled.head is not None:
        preheader = filling.markup(compiled.preheader).strip()
        hidden = preheader.join(PREHEADER) if preheader else ""
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


def _first_subject(template: Template) -> str:
    """Return the template's own subject, else its first candidate."""
    return template.subject_template or next(iter(template.a_b_test_variants), "")


def _compiled_content(template: Template) -> str:
    """Return the content with its MJML compiled, if it is any."""
    if template.engine not in ("mjml", "mjml_liquid"):
        return template.content_template
    if template.channel != "email":
        message = f"{template.engine} is for e-mail, and the channel is {template.channel}"
        raise TemplateProblem([Flaw(path=("engine",), message=message, expected="fields or liquid")])
    # Loaded when a template needs it, as is Liquid: most sets of definitions shouldn't wait for either.
    from journeys.mjml import MjmlProblem, compile_mjml  # noqa: PLC0415

    content = template.content_template
    try:
        if template.engine == "mjml_liquid":
            from journeys.liquid_templates import with_slots  # noqa: PLC0415

            content = with_slots(template)
            return compile_mjml(content, liquid_spans(content))
        return compile_mjml(content, spans_of(content, placeholders_of(template.dynamic_content_rules)))
    except Unclosed as problem:
        line = content.count("\n", 0, problem.position) + 1
        flaw = Flaw(path=("content_template",), message=f"line {line}: {problem}", expected="Liquid that compiles")
        raise TemplateProblem([flaw]) from None
    except MjmlProblem as problem:
        flaw = Flaw(path=("content_template",), message=str(problem), expected="MJML that compiles")
        raise TemplateProblem([flaw]) from None


def _compile_liquid(
    template: Template, content: str, tests: Callable[[Condition], Callable[[Scene], bool]]
) -> CompiledTemplate[Scene]:
    from journeys.liquid_templates import compile_liquid  # noqa: PLC0415 -- 0.2 s, for those who use it

    subject = replace(template, subject_template=_first_subject(template))
    return CompiledTemplate(
        subject=(),
        sender=None,
        reply_to=None,
        head=None,
        preheader=(),
        body=(),
        text=(),
        rules=(),
        required=(),
        liquid=compile_liquid(subject, content, tests),
    )


def _text_of_variant(content: str) -> str:
    text = plain_text(content)
    return f"\n{text}\n" if has_blocks(content) else text


def _text_of(content: str, placeholders: tuple[str, ...]) -> str:
    """Make the text template; a rule's placeholder may look like markup, so it is hidden from the HTML parser."""
    hidden = hide(content, spans_of(content, placeholders))
    return hidden.restore(plain_text(hidden.text))


# Rendering ------------------------------------------------------------------------------------------------------


class _Filling(Generic[Scene]):
    """One rendering: looks each name up and each rule's conditions at most once."""

    def __init__(self, compiled: CompiledTemplate[Scene], values: Values, scene: Scene) -> None:
        self._rules = compiled.rules
        self._values = values
        self._scene = scene
        self._known: dict[str, str] = {}
        self._escaped: dict[str, str] = {}
        self._chosen: dict[int, CompiledVariant[Scene, Parts] | None] = {}
        self.unfilled: dict[str, None] = {}

    def markup(self, parts: Parts) -> str:
        escaped, pieces = self._escaped, []
        for part in parts:
            if part.__class__ is str:
                pieces.append(part)
            elif isinstance(part, Field):
                text = escaped.get(part.name)
                if text is None:
                    # A name stands in a text many times, and is escaped once.
                    text = escaped[part.name] = escape(self._value(part.name))
                pieces.append(text)
            elif isinstance(part, Dynamic) and (variant := self._variant(part.rule)):
                pieces.append(self.markup(variant.markup))
        return "".join(pieces)

    def text(self, parts: Parts, clean: Callable[[str], str] | None = None) -> str:
        pieces = []
        for part in parts:
            if part.__class__ is str:
                pieces.append(part)
            elif isinstance(part, Field):
                value = self._value(part.name)
                pieces.append(value if clean is None else clean(value))
            elif isinstance(part, Dynamic) and (variant := self._variant(part.rule)):
                pieces.append(self.text(variant.text, clean))
        return "".join(pieces)

    def header(self, parts: Parts) -> str:
        return one_line(self.text(parts))

    def address(self, parts: Parts) -> str:
        return one_line(self.text(parts, lambda value: ADDRESS_SPECIALS.sub("", value)))

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

    def _variant(self, number: int) -> CompiledVariant[Scene, Parts] | None:
        if number not in self._chosen:
            self._chosen[number] = self._rules[number].choose(self._scene)
        return self._chosen[number]
