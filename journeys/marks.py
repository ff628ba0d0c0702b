"""Marks: what a template's language owns is hidden from the parsers of HTML and MJML, and put back behind them.

`{{ a < b }}` is no markup and `<!-- offer -->` may be a placeholder; a parser that met them would read, move or drop
them. So each becomes a word that every parser takes for text, in attributes too.

Liquid's constructs are found by a scan that never goes back: regular expressions, the library's own among them, take
minutes for some 40 KB of braces that aren't closed.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final

from msgspec import Struct

Span = tuple[int, int]
_CLOSING: Final = {"{{": "}}", "{%": "%}"}
_OPENING: Final = re.compile(r"\{[{%]")
# What stands between these tags isn't Liquid.
_VERBATIM: Final = re.compile(r"\{%-?\s*(raw|doc)\s*-?%\}")
_ENDS: Final = {name: re.compile(rf"\{{%-?\s{{0,9}}end{name}\s{{0,9}}-?%\}}") for name in ("raw", "doc")}


class Unclosed(ValueError):
    """Something that begins and doesn't end; `position` is where."""

    def __init__(self, opening: str, position: int) -> None:
        """Say what isn't closed."""
        super().__init__(f"{opening} isn't closed")
        self.position = position


def liquid_spans(text: str) -> Iterator[Span]:
    """Find every output and tag of Liquid, a verbatim block as one, in order.

    Raises:
        Unclosed: at the first that doesn't end.
    """
    position = 0
    while (opening := _OPENING.search(text, position)) is not None:
        start = opening.start()
        verbatim = _VERBATIM.match(text, start)
        if verbatim is not None:
            ending = _ENDS[verbatim[1]].search(text, verbatim.end())
            position = -1 if ending is None else ending.end()
        else:
            closing = text.find(_CLOSING[opening[0]], opening.end())
            position = -1 if closing < 0 else closing + 2
        if position < 0:
            raise Unclosed(verbatim[0] if verbatim else opening[0], start)
        yield start, position


class Hidden(Struct, frozen=True):
    """A text with marks in it, and what they stand for."""

    text: str
    word: str
    originals: tuple[str, ...]

    def restore(self, text: str) -> str:
        """Put back what was hidden, wherever its marks have got to."""
        if not self.originals:
            return text
        return re.sub(f"{self.word}(\\d+)x", lambda match: self.originals[int(match[1])], text)


def hide(text: str, spans: Iterable[Span]) -> Hidden:
    """Replace parts of a text by marks.

    Args:
        text: any text.
        spans: where the parts begin and end, in order, none in another.
    """
    # Made of the text itself, so that it doesn't occur in it.
    word = f"mark{blake2b(text.encode(errors='replace'), digest_size=8).hexdigest()}n"
    pieces: list[str] = []
    originals: list[str] = []
    end = 0
    for start, stop in spans:
        pieces += (text[end:start], f"{word}{len(originals)}x")
        originals.append(text[start:stop])
        end = stop
    pieces.append(text[end:])
    return Hidden("".join(pieces), word, tuple(originals))


def spans_of(text: str, words: Iterable[str]) -> list[Span]:
    """Find where any of the words stands; where one begins another, the longest counts."""
    found = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return [match.span() for match in re.finditer(found, text)] if found else []
