"""Templates in Liquid: compiled text by text, and rendered with one look at the names and rules for all of them.

What isn't Liquid is made into Liquid before it is compiled: the placeholder of a dynamic content rule becomes an
output of a name of ours, and so does the place of the preheader, so that both may stand within the template's own
blocks. The text part is made from the HTML template, with the Liquid in it hidden from the HTML parser.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Generic

from markupsafe import Markup
from msgspec import Struct

from journeys.liquid_language import LiquidMistake, LiquidText, RenderFailure, Target
from journeys.marks import hide, liquid_spans
from journeys.plain_text import has_blocks, paragraphs, plain_text, tidy
from journeys.template_words import (
    DEFAULTS,
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
    has_value,
    one_line,
    placeholders_of,
    preheader_position,
)
from schemas.definitions import Condition, Template

_DYNAMIC: Final = "tidings_dynamic_"
_HIDDEN: Final = "tidings_preheader"
# A line on which nothing but tags stand: the tags write nothing, and so shall the line.
_LINE_OF_TAGS: Final = re.compile(r"^[ \t]*((?:\{%(?:[^%]|%(?!\}))*%\}[ \t]*)+)\n", re.MULTILINE)


class LiquidTemplate(Struct, Generic[Scene], frozen=True, kw_only=True):
    """A template with all its texts compiled. `html` is None on channels that have text alone."""

    subject: LiquidText
    sender: LiquidText | None
    reply_to: LiquidText | None
    html: LiquidText | None
    preheader: LiquidText | None
    text: LiquidText
    text_is_made: bool
    """Whether the text was made from the HTML, so that its blank lines mean nothing."""
    rules: tuple[CompiledRule[Scene, LiquidText], ...]
    required: tuple[str, ...]

    def render(self, values: Values, scene: Scene, moment: Moment) -> Rendered:
        """Fill the template; a text that can't be rendered for these values makes the whole fail, with the reason."""
        filling = _Filling(self, values, scene, moment)
        missing = tuple(name for name in self.required if name not in DEFAULTS and not has_value(values(name)))
        try:
            return filling.all(missing)
        except RenderFailure as failure:
            reason = "too_large" if failure.too_large else "template_error"
            return Rendered(
                subject="",
                html=None,
                text="",
                sender=None,
                reply_to=None,
                unfilled=(),
                missing=missing,
                failure=Failure(reason=reason, message=str(failure)),
            )


class _Compiler:
    """Compiles the texts of one template, and collects what is wrong in any of them."""

    def __init__(self, placeholders: Sequence[str]) -> None:
        self.placeholders = placeholders
        self.flaws: list[Flaw] = []

    def __call__(self, source: str, target: Target, *path: str | int) -> LiquidText:
        try:
            return LiquidText(_with_slots(source, self.placeholders), target)
        except LiquidMistake as mistake:
            self.flaws.append(Flaw(path=path, message=str(mistake), expected="Liquid that compiles"))
            return LiquidText("", target)

    def markup_of(self, rule: str, content: str) -> LiquidText:
        return self(content, "markup", "dynamic_content_rules", rule)

    def text_of(self, rule: str, content: str) -> LiquidText:
        # What is made from content that doesn't compile would be wrong once more.
        return self("" if self.flaws else _text_of_variant(content), "text", "dynamic_content_rules", rule)

    def optional(self, source: str | None, target: Target, *path: str) -> LiquidText | None:
        return None if source is None else self(source, target, *path)


def compile_liquid(
    template: Template, content: str, tests: Callable[[Condition], Callable[[Scene], bool]]
) -> LiquidTemplate[Scene]:
    """Compile a template in Liquid.

    Args:
        template: the definition.
        content: its content, MJML compiled already.
        tests: compiles a condition; what it raises passes through.

    Raises:
        TemplateProblem: with everything that doesn't compile.
    """
    compiler = _Compiler(placeholders_of(template.dynamic_content_rules))
    is_html = template.channel == "email"
    compiler(content, "text", "content_template")
    text = template.text_template
    if compiler.flaws:
        content = ""  # whatever is made from it would be wrong once more
    if text is None:
        readable = content if template.engine == "liquid" else paragraphs(content)
        text = _text_of(_with_slots(readable, compiler.placeholders)) if is_html else content
    html = compiler(_with_preheader(content), "markup", "content_template") if is_html else None
    compiled = LiquidTemplate(
        subject=compiler(template.subject_template, "text", "subject_template"),
        sender=compiler.optional(template.from_, "address", "from"),
        reply_to=compiler.optional(template.reply_to, "address", "reply_to"),
        html=html,
        preheader=compiler.optional(template.preheader, "markup", "preheader") if is_html else None,
        text=compiler(text, "text", "content_template" if template.text_template is None else "text_template"),
        text_is_made=is_html and template.text_template is None,
        rules=tuple(
            compile_rule(rule, tests, partial(compiler.markup_of, name), partial(compiler.text_of, name))
            for name, rule in template.dynamic_content_rules.items()
        ),
        required=template.personalization_fields,
    )
    for number, subject in enumerate(template.a_b_test_variants):
        compiler(subject, "text", "a_b_test_variants", number)
    if compiler.flaws:
        raise TemplateProblem(compiler.flaws)
    return compiled


def with_slots(template: Template) -> str:
    """Return a template's content with the placeholders of its rules turned into Liquid."""
    return _with_slots(template.content_template, placeholders_of(template.dynamic_content_rules))


def _with_slots(source: str, placeholders: Sequence[str]) -> str:
    # The longest first: one placeholder may begin another.
    for number in sorted(range(len(placeholders)), key=lambda number: -len(placeholders[number])):
        source = source.replace(placeholders[number], f"{{{{ {_DYNAMIC}{number} }}}}")
    return source


def _text_of(content: str) -> str:
    hidden = hide(content, liquid_spans(content))
    return _LINE_OF_TAGS.sub(r"\1", hidden.restore(plain_text(hidden.text)) + "\n").rstrip("\n")


def _text_of_variant(content: str) -> str:
    text = _text_of(content)
    return f"\n{text}\n" if has_blocks(content) else text


def _with_preheader(content: str) -> str:
    """Mark where the preheader goes; the Liquid before it may hold what looks like a body."""
    blank = list(content)
    for start, stop in liquid_spans(content):
        blank[start:stop] = " " * (stop - start)
    position = preheader_position("".join(blank))
    return f"{content[:position]}{{{{ {_HIDDEN} }}}}{content[position:]}"


class _Filling(Generic[Scene]):
    """One rendering: looks at each rule's conditions at most once, and only where its place is."""

    def __init__(self, compiled: LiquidTemplate[Scene], values: Values, scene: Scene, moment: Moment) -> None:
        self._compiled = compiled
        self._values = values
        self._scene = scene
        self._moment = moment
        self._chosen: dict[int, CompiledVariant[Scene, LiquidText] | None] = {}
        self.unfilled: dict[str, None] = {}

    def all(self, missing: tuple[str, ...]) -> Rendered:
        compiled = self._compiled
        html = None if compiled.html is None else self.markup(compiled.html)
        text = self.text(compiled.text)
        return Rendered(
            subject=one_line(self.text(compiled.subject)),
            html=html,
            text=tidy(text) if compiled.text_is_made else text,
            sender=self._header(compiled.sender),
            reply_to=self._header(compiled.reply_to),
            unfilled=tuple(self.unfilled),
            missing=missing,
        )

    def _header(self, text: LiquidText | None) -> str | None:
        return None if text is None else one_line(self.text(text))

    def markup(self, text: LiquidText) -> str:
        return text.render(self._name_in_markup, self._moment, self.unfilled)

    def text(self, text: LiquidText) -> str:
        return text.render(self._name_in_text, self._moment, self.unfilled)

    def _name_in_markup(self, name: str) -> object:
        if name == _HIDDEN:
            return self._preheader()
        variant = self._variant(name)
        if variant is None:
            return self._name(name)
        return Markup(variant.markup.render(self._name, self._moment, self.unfilled))  # noqa: S704 -- it escapes values

    def _name_in_text(self, name: str) -> object:
        variant = self._variant(name)
        if variant is None:
            return self._name(name)
        return variant.text.render(self._name, self._moment, self.unfilled)

    def _name(self, name: str) -> object:
        """Return a value; none of our own names, so that a variant can't hold another, or itself."""
        if name.startswith(_DYNAMIC):
            return ""
        value = self._values(name)
        return value if not isinstance(value, str) or as_text(value) is not None else None

    def _preheader(self) -> Markup:
        compiled = self._compiled.preheader
        preheader = "" if compiled is None else self.markup(compiled).strip()
        return Markup(preheader.join(PREHEADER) if preheader else "")  # noqa: S704 -- it escapes values

    def _variant(self, name: str) -> CompiledVariant[Scene, LiquidText] | None:
        number = name.removeprefix(_DYNAMIC)
        if number == name or not number.isdecimal() or int(number) >= len(self._compiled.rules):
            return None
        position = int(number)
        if position not in self._chosen:
            self._chosen[position] = self._compiled.rules[position].choose(self._scene)
        return self._chosen[position]
