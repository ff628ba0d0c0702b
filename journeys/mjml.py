"""MJML: compiled to HTML once, when a catalogue is loaded.

The compiler (mrml) leaves out what it doesn't know without a word, so unknown elements are found here first. Nothing
is included: neither files nor addresses are opened.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import mrml

from journeys.marks import Span, hide
from schemas.problems import suggestion

ELEMENTS: Final = frozenset(
    f"mj-{name}"
    for name in [
        "accordion",
        "accordion-element",
        "accordion-text",
        "accordion-title",
        "all",
        "attributes",
        "body",
        "breakpoint",
        "button",
        "carousel",
        "carousel-image",
        "class",
        "column",
        "divider",
        "font",
        "group",
        "head",
        "hero",
        "image",
        "navbar",
        "navbar-link",
        "preview",
        "raw",
        "section",
        "social",
        "social-element",
        "spacer",
        "style",
        "table",
        "text",
        "title",
        "wrapper",
    ]
)
_NO_INCLUDES: Final = mrml.ParserOptions(include_loader=mrml.noop_loader())
_TAG: Final = re.compile(r"<(mj-[A-Za-z0-9-]*)")
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_POSITION: Final = re.compile(r" (?:in root template )?at position (\d+):\d+")


class MjmlProblem(ValueError):
    """MJML that doesn't compile; the text says what is wrong, and where it is known on which line."""


def compile_mjml(source: str, spans: Iterable[Span]) -> str:
    """Compile MJML to HTML.

    Args:
        source: a whole document, `<mjml>…</mjml>`.
        spans: where the constructs of the template's language stand; they pass through as they are.

    Raises:
        MjmlProblem: it doesn't compile, or holds an element that MJML doesn't have.
    """
    problems = list(_unknown_elements(source))
    if problems:
        raise MjmlProblem("; ".join(problems))
    hidden = hide(source, spans)
    try:
        html = mrml.to_html(hidden.text, parser_options=_NO_INCLUDES).content
    except OSError as error:
        raise MjmlProblem(_sentence(str(error), hidden.text)) from None
    return hidden.restore(html)


def _unknown_elements(source: str) -> Iterator[str]:
    for match in _TAG.finditer(_COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), source)):
        name = match[1]
        if name == "mj-include":
            yield f"line {_line(match.string, match.start())}: mj-include isn't possible, nothing is opened"
        elif name not in ELEMENTS:
            hint = suggestion(name, ELEMENTS)
            yield f"line {_line(match.string, match.start())}: {name[:40]} is no element of MJML" + (
                f" ({hint})" if hint else ""
            )


def _sentence(message: str, source: str) -> str:
    position = _POSITION.search(message)
    if position is None:
        return message.removesuffix(" in root template")
    return f"line {_line(source, int(position[1]))}: {_POSITION.sub('', message)}"


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
