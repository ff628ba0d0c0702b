"""Problems: mistakes in definitions, each with its place, what is wrong and what would be right.

The values here are written by people who made a mistake, or by nobody sane: whatever is shown is cut to one line.
"""

import difflib
import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from msgspec import Struct

LARGEST: Final = 1e15
"""Whole numbers up to here are exact in every JSON reader, and sums of them stay finite."""

_LONGEST_SHOWN: Final = 60
_LONGEST_TYPING_ERROR: Final = 64
"""Longer words aren't compared: the time grows with the product of the lengths."""
_MOST_COMPARED: Final = 500
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][\w-]{0,63}", re.ASCII)


class Problem(Struct, frozen=True, kw_only=True):
    """One mistake: where it is, what is wrong, and what would be right."""

    file: str
    path: str
    message: str
    expected: str = ""


class Spot(Struct, frozen=True):
    """A place in a file at which something may be wrong."""

    file: str
    path: str

    def wrong(self, message: str, expected: str) -> Problem:
        """Say what is wrong here, and what would be right."""
        return Problem(file=self.file, path=self.path, message=message, expected=expected)

    def under(self, *keys: str | int) -> "Spot":
        """Return the place of a part."""
        path = self.path
        for key in keys:
            path = child(path, key)
        return Spot(self.file, path)


def sentence(problem: Problem) -> str:
    """Write a problem on one line: file, path, what is wrong, what would be right."""
    place = ": ".join(part for part in (problem.file, problem.path.strip()) if part)
    right = f" (right would be: {problem.expected})" if problem.expected else ""
    return f"{place}: {problem.message}{right}"


def child(path: str, key: str | int) -> str:
    """Write the path of a part: `steps[2].configuration`; a key that isn't a plain word stands in brackets."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not _PLAIN_KEY.fullmatch(key):
        return f"{path}[{shown(key)}]"
    return f"{path}.{key}" if path and not path.endswith(" ") else f"{path}{key}"


def shown(value: object) -> str:
    """Write a value of a document for a message: on one line, cut, nothing a terminal would act upon."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) > LARGEST:
        return "a very large number"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…{text[0]}"


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, or None."""
    if len(word) > _LONGEST_TYPING_ERROR:
        return None
    near = difflib.get_close_matches(word, list(islice(known, _MOST_COMPARED)), n=1, cutoff=0.7)
    return near[0] if near else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" or nothing."""
    near = closest(word, known)
    return "" if near is None else f"did you mean {near!r}?"
