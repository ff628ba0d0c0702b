"""The text part of an e-mail, made from its HTML: what a reader sees, line by line, links written out.

It runs on templates when they are compiled, not on messages: placeholders pass through as text, in links too.
"""

import re
from html.parser import HTMLParser
from typing import Final

_DROPPED: Final = frozenset({"script", "style", "title", "template", "noscript"})
_BLOCKS: Final = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "html",
        "main",
        "nav",
        "ol",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
        "li",
    }
)
_PARAGRAPHS: Final = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "hr"})
_BLANKS: Final = re.compile(r"[ \t\r\n\f\v]+")
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
# `<![if mso]>` and the like; the parser of the standard library raises on those that it doesn't know.
_MARKED_SECTION: Final = re.compile(r"<!\[[^>]*>?")
_SPACES_AT_EDGE: Final = re.compile(r"[ \t]*\n[ \t]*")
_MJML_ROW: Final = re.compile(r"</(?:div|table)></td></tr>")
_EMPTY_LINES: Final = re.compile(r"\n{3,}")


def plain_text(html: str) -> str:
    """Write HTML as plain text; never raises, however broken the HTML is."""
    writer = _Writer()
    writer.feed(_MARKED_SECTION.sub(" ", _COMMENT.sub("", html)))
    writer.close()
    return tidy("".join(writer.parts))


def paragraphs(html: str) -> str:
    """Set what MJML has put into rows of their own, each text and each button, apart as paragraphs."""
    return _MJML_ROW.sub(r"\g<0><p></p>", html)


def tidy(text: str) -> str:
    """Leave out surplus blanks: at the edges of lines, and empty lines beyond one."""
    return _EMPTY_LINES.sub("\n\n", _SPACES_AT_EDGE.sub("\n", text)).strip()


def has_blocks(html: str) -> bool:
    """Say whether the HTML begins a line of its own somewhere."""
    return any(name.lower() in _BLOCKS or name.lower() in _PARAGRAPHS for name in re.findall(r"<([A-Za-z0-9]+)", html))


class _Writer(HTMLParser):
    """Collects the text; `parts` joined is the result but for surplus blanks."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._dropping: str | None = None
        self._preformatted = 0
        self._links: list[tuple[str, int]] = []
        self._lists: list[int | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._dropping is not None:
            return
        if tag in _DROPPED:
            self._dropping = tag
            return
        attributes = dict(attrs)
        match tag:
            case "br":
                self.parts.append("\n")
            case "a":
                self._links.append(((attributes.get("href") or "").strip(), len(self.parts)))
            case "img":
                self._write(attributes.get("alt") or "")
            case "ul":
                self._lists.append(None)
            case "ol":
                self._lists.append(0)
            case "pre":
                self._preformatted += 1
            case _:
                pass
        self._break(tag)
        if tag == "li":
            self.parts.append(self._bullet())

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _DROPPED:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._dropping is not None:
            if tag == self._dropping:
                self._dropping = None
            return
        match tag:
            case "a" if self._links:
                self._end_link()
            case "ul" | "ol" if self._lists:
                self._lists.pop()
            case "pre" if self._preformatted:
                self._preformatted -= 1
            case _:
                pass
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._dropping is None:
            self._write(data)

    def _write(self, data: str) -> None:
        if self._preformatted:
            self.parts.append(data)
            return
        text = _BLANKS.sub(" ", data)
        if text.startswith(" ") and (not self.parts or self.parts[-1][-1:] in (" ", "\n")):
            text = text[1:]
        if text:
            self.parts.append(text)

    def _break(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._write(" ")
        elif tag in _PARAGRAPHS:
            self.parts.append("\n\n")
        elif tag in _BLOCKS and self.parts and not self.parts[-1].endswith("\n"):
            self.parts.append("\n")

    def _bullet(self) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number + 1}. "

    def _end_link(self) -> None:
        target, start = self._links.pop()
        shown = "".join(self.parts[start:]).strip()
        if not target or target.startswith("#") or target in (shown, f"mailto:{shown}", f"tel:{shown}"):
            return
        self.parts.append(f" ({target})" if shown else target)
