"""Dead letters in words: chosen, grouped, and shown so that no byte of theirs acts upon a terminal."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from agents.dead_letters import deed_of
from agents.ingest import read_public_record
from schemas.dead_letters import Letter, Settled
from schemas.events import STREAM_OF_TOPIC, InvalidEvent
from schemas.instants import DAY_MS, EARLIEST, HOUR_MS, LATEST, MINUTE_MS, Millis, format_instant, parse_instant
from tidings.printing import printable
from tidings.usage import WrongUsage

_AGO: Final = re.compile(r"(\d{1,6})([mhd])", re.ASCII)
_UNITS: Final = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_HEX_COLUMNS: Final = 16
MOST_SHOWN: Final = 8 * 1024
"""Bytes of a value that are shown unless all are asked for."""


class Choice(Struct, frozen=True, kw_only=True):
    """Which letters are meant; what is None or empty excludes none."""

    ids: frozenset[str] = frozenset()
    error_class: str | None = None
    topic: str | None = None
    """As it is called, with its prefix or without."""
    since: Millis | None = None

    @property
    def is_all(self) -> bool:
        """Say whether nothing narrows it down."""
        return not self.ids and self.error_class is None and self.topic is None and self.since is None

    def holds(self, letter: Letter, prefix: str) -> bool:
        """Say whether a letter is meant."""
        return (
            (not self.ids or letter.id in self.ids)
            and self.error_class in {None, letter.error_class}
            and (self.topic is None or letter.topic in {self.topic, prefix + self.topic})
            and (self.since is None or letter.at >= self.since)
        )


class Group(Struct):
    """Letters that share class and reason."""

    error_class: str
    reason: str
    count: int
    topics: set[str]
    newest: Letter


def read_since(text: str | None, now: Millis) -> Millis | None:
    """Read the time of `--since`: RFC 3339, or how long ago.

    Raises:
        TidingsError: it is neither.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        return parse_instant(text)
    except ValueError as error:
        msg = f"--since: {error}; or say how long ago: 30m, 24h, 7d"
        raise WrongUsage(msg) from None


def grouped(letters: Iterable[Letter]) -> list[Group]:
    """Group letters by class and reason, the largest group first."""
    groups: dict[tuple[str, str], Group] = {}
    for letter in letters:
        name = (letter.error_class, letter.reason)
        group = groups.get(name)
        if group is None:
            groups[name] = Group(*name, count=1, topics={letter.topic}, newest=letter)
            continue
        group.count += 1
        group.topics.add(letter.topic)
        if letter.at > group.newest.at:
            group.newest = letter
    return sorted(groups.values(), key=lambda group: (-group.count, group.error_class, group.reason))


def is_still_wrong(letter: Letter, prefix: str, value: bytes | None) -> str | None:
    """Return why a value would come back as a dead letter; None where it wouldn't, or only a registry could say."""
    stream = STREAM_OF_TOPIC.get(letter.topic.removeprefix(prefix))
    if stream is None or (value or b"").startswith(b"\0"):
        return None
    try:
        read_public_record(value or b"", stream, lambda _: None)
    except InvalidEvent as problem:
        return problem.reason
    return None


def instant_in_words(at: Millis) -> str:
    """Say an instant, also one that no calendar has: a producer may write any number."""
    return format_instant(at) if EARLIEST <= at <= LATEST else f"{at} ms"


def state_in_words(letter: Letter, settled: Mapping[str, Settled]) -> str:
    """Say what was done with a letter."""
    found = deed_of(letter, settled)
    return "open" if found is None else f"{found.deed} {instant_in_words(found.at)}"


def value_in_lines(value: bytes | None, most: int | None = MOST_SHOWN) -> list[str]:
    """Show a value: JSON laid out, other text as it is, anything else as hexadecimal bytes beside their characters.

    Args:
        value: as the producer wrote it.
        most: bytes that are shown; None: all.
    """
    if value is None:
        return ["(none: a tombstone)"]
    if not value:
        return ["(empty)"]
    shown = value if most is None else value[:most]
    rest = [f"… and {len(value) - len(shown):,} bytes more (--whole)"] if len(shown) < len(value) else []
    return [*(_text_lines(shown, is_cut=bool(rest)) or _hex_lines(shown)), *rest]


def _text_lines(value: bytes, *, is_cut: bool) -> list[str] | None:
    try:
        # Cut within a character, the last few bytes are none.
        text = value.decode(errors="ignore" if is_cut else "strict")
    except UnicodeDecodeError:
        return None
    if "\0" in text or (is_cut and len(text.encode()) < len(value) - 3):
        return None
    try:
        laid_out = msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError):
        laid_out = text
    return [printable(line) for line in laid_out.split("\n")]


def _hex_lines(value: bytes) -> list[str]:
    lines = []
    for start in range(0, len(value), _HEX_COLUMNS):
        piece = value[start : start + _HEX_COLUMNS]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)  # noqa: PLR2004 -- printable ASCII
        lines.append(f"{start:08x}  {piece.hex(' '):<47}  {letters}")
    return lines
