"""What a template may say, but probably doesn't mean: placeholders that are none, or that nothing will ever fill.

All of it renders, so it is told as a warning, with what to do.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from journeys.template_words import Flaw
from schemas.definitions import Settings, Template

LINKS: Final = ("unsubscribe_url", "view_url")
"""The names of message links, which lead to `public_url`."""
_NAME: Final = r"[^\W\d][\w.-]*"
_PLACEHOLDER: Final = re.compile(rf"\{{({_NAME})\}}")
_DOUBLE: Final = re.compile(rf"\{{\{{\s*({_NAME})[^{{}}]*\}}\}}")
_TAG: Final = re.compile(r"\{%.{0,200}?%\}", re.DOTALL)
_SPACED: Final = re.compile(rf"(?<!\{{)\{{(?:\s+({_NAME})\s*|\s*({_NAME})\s+)\}}(?!\}})")
_UNCLOSED: Final = re.compile(rf"(?<!\{{)\{{({_NAME})(?=[^\w.}}:;{{-]|\Z)(?!\s*[:{{}}])")
_LIQUID_LINK: Final = re.compile(rf"\{{[{{%][^{{}}]*\b({'|'.join(LINKS)})\b")
_DYNAMIC: Final = "dynamic_content_"
# Where braces belong to another language. A comment may be a placeholder, but says nothing to a reader.
_FOREIGN: Final = re.compile(r"<(style|script|mj-style)\b|<!--", re.IGNORECASE)
_Path = tuple[str | int, ...]
_MOST: Final = 20
"""Of one kind in one text: whoever made one such mistake may have made it everywhere."""


def suspicions(template: Template, settings: Settings) -> Iterator[Flaw]:
    """Find what is allowed in a template, but probably not meant."""
    fields = template.engine in ("fields", "mjml")
    texts = dict(_texts(template))
    for path, text in texts.items():
        if fields:
            yield from _in_fields(path, _without_foreign(text), template)
        yield from _without_rule(path, text, template)
        if settings.public_url is None:
            yield from _links_to_nowhere(path, text, fields=fields)
    yield from _unused_rules(texts, template)


def _texts(template: Template) -> Iterator[tuple[_Path, str]]:
    named: Mapping[str, str | None] = {
        "subject_template": template.subject_template,
        "content_template": template.content_template,
        "text_template": template.text_template,
        "preheader": template.preheader,
        "from": template.from_,
        "reply_to": template.reply_to,
    }
    for name, text in named.items():
        if text:
            yield (name,), text
    for number, text in enumerate(template.a_b_test_variants):
        yield ("a_b_test_variants", number), text
    for name, rule in template.dynamic_content_rules.items():
        for variant in rule.content_variants:
            yield ("dynamic_content_rules", name), variant.content


def _in_fields(path: _Path, text: str, template: Template) -> Iterator[Flaw]:
    """Find what looks like a placeholder, in a template where only `{name}` is one."""
    liquid = "mjml_liquid" if template.engine == "mjml" else "liquid"
    for match in _first(_DOUBLE, text):
        message = f"{match[0][:40]} on line {_line(text, match)} is {{{match[1]}}} between braces"
        yield Flaw(path=path, message=message, expected=f"{{{match[1]}}}, or engine: {liquid}")
    for match in _first(_TAG, text):
        message = f"{' '.join(match[0].split())[:40]} on line {_line(text, match)} is sent as it stands"
        yield Flaw(path=path, message=message, expected=f"engine: {liquid}, which knows such tags")
    for match in _first(_SPACED, text):
        message = f"{match[0][:40]!r} on line {_line(text, match)} is sent as it stands"
        yield Flaw(path=path, message=message, expected=f"{{{match[1] or match[2]}}}, without blanks")
    for match in _first(_UNCLOSED, text):
        message = f"{match[0][:40]} on line {_line(text, match)} isn't closed, and is sent as it stands"
        yield Flaw(path=path, message=message, expected=f"{match[0][:40]}}}")


def _without_foreign(text: str) -> str:
    """Blank out styles, scripts and comments; lines keep their numbers. One that doesn't end goes to the end."""
    pieces: list[str] = []
    end = 0
    lowered = text.lower()
    while (opening := _FOREIGN.search(text, end)) is not None:
        closing = "-->" if opening[1] is None else f"</{opening[1].lower()}"
        stop = lowered.find(closing, opening.end())
        stop = len(text) if stop < 0 else stop
        pieces += (text[end : opening.start()], "\n" * text.count("\n", opening.start(), stop))
        end = max(stop, opening.end())
    pieces.append(text[end:])
    return "".join(pieces)


def _without_rule(path: _Path, text: str, template: Template) -> Iterator[Flaw]:
    placeholders = {rule.placeholder for rule in template.dynamic_content_rules.values()}
    for match in _first(_PLACEHOLDER, text):
        rule = match[1].removeprefix(_DYNAMIC)
        if rule == match[1] or match[0] in placeholders:
            continue
        if path[0] == "dynamic_content_rules":
            message, expected = f"{match[0]} stands in a variant, where it stays empty", "content without placeholders"
        elif rule in template.dynamic_content_rules and template.dynamic_content_rules[rule].placeholder is None:
            continue
        else:
            known = ", ".join(template.dynamic_content_rules) or "none"
            message, expected = f"{match[0]} has no rule, and stays empty", f"a rule {rule!r}; there is {known}"
        yield Flaw(path=path, message=message, expected=expected)


def _unused_rules(texts: Mapping[_Path, str], template: Template) -> Iterator[Flaw]:
    for name, rule in template.dynamic_content_rules.items():
        placeholder = f"{{{_DYNAMIC}{name}}}" if rule.placeholder is None else rule.placeholder
        if not any(placeholder in text for path, text in texts.items() if path[0] != "dynamic_content_rules"):
            message = f"its placeholder {placeholder[:60]!r} stands nowhere in the template"
            yield Flaw(path=("dynamic_content_rules", name), message=message, expected="the placeholder in the content")


def _links_to_nowhere(path: _Path, text: str, *, fields: bool) -> Iterator[Flaw]:
    found = (match[1] for match in (_PLACEHOLDER if fields else _LIQUID_LINK).finditer(text))
    for name in dict.fromkeys(name for name in found if name in LINKS):
        message = f"{name} has no value without public_url in the settings"
        yield Flaw(path=path, message=message, expected="kind: settings with public_url: https://…")


def _first(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    for number, match in enumerate(pattern.finditer(text)):
        if number == _MOST:
            return
        yield match


def _line(text: str, match: re.Match[str]) -> int:
    return text.count("\n", 0, match.start()) + 1
