"""Spoils definition files with seeded chance, as people, editors, templating and attackers do.

Theory: a seed is all of a case: the same seed makes the same file from the same originals. Half of the mutations know
nothing of the text (bytes go, come, change places); the others are made of what has broken readers of YAML and JSON
before, put where a value or a key stands, or change the structure and write it again, as YAML or as JSON.
"""

import json
import random  # noqa: TID251 -- seeded: a seed is the case
from collections.abc import Callable
from typing import Final

from schemas.events import Json

Bytes = bytes

FRAGMENTS: Final[tuple[Bytes, ...]] = (
    # structure, aliases, tags, documents, directives
    b"[", b"]", b"{", b"}", b"- ", b": ", b"? ", b"\n", b"\r", b"\r\n", b"#", b",", b"|", b">-\n", b"&a ", b"*a", b"&a [*a]",
    b"<<: *a\n", b"<<: [1, {}]\n", b"---\n", b"...\n", b"%YAML 1.1\n", b"%TAG ! tag:x,2000:\n", b"!!python/object:os.system ",
    b"!!binary aGk=", b"!!set {a}", b"!!omap [a: 1]", b"!!timestamp 2026-02-30", b"! x", b"'", b'"', b"`", b"@", b"\\", b'"\\x"',
    # white space and text that isn't
    b"\t", b"\t- x\n", b"\x00", b"\x1b[31m", b"\x7f", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf",
    b"\xfe\xff", "\u2028".encode(), "\u0085".encode(), "\u202e".encode(), "\U0001f600".encode(), "e\u0301".encode(), b'"\\ud800"',
    # numbers, dates, words
    b"9" * 25, b"9" * 500, b"9" * 5000, b"1e309", b"-1e309", b"1e-400", b"0x" + b"f" * 300, b"0o9", b"0b2", b".inf", b"-.INF",
    b".nan", b"NaN", b"Infinity", b"-0", b"-0.0", b"1_000", b"+.5e+3", b"12:30:45", b"2026-02-30", b"2026-01-01T00:00:00+99:99",
    b"0000-00-00", b"99999-01-01", b"25:00", b"24:00", b"23:59:60", b"* * * * *", b"* * 30 2 *", b"61 0 * * *", b"@yearly",
    b"Europe/Nowhere", b"../../etc/passwd", b"null", b"~", b"true", b"No", b"y",
    # words of templates, conditions and values
    b"{", b"{first_name", b"{{", b"{% for x in (1..99999999) %}", b"{% include 'a' %}", b"${", b"${a.b", b"${now}}", b"<mjml>",
    b"<" * 60, b"(a+)+$", b"(?<=a)b", b"\\1", b"[a-", b"a{1,1000000}", b"__class__", b"{0.__class__}", b"%s", b"kind: workflow\n",
    b"kind: experiment\n", b"kind: lifecycle\n", b"kind: model\n", b"kind: test\n", b"kind: [workflow]\n",
)  # fmt: skip

ODD_VALUES: Final[tuple[Json, ...]] = (
    None, True, False, 0, -1, 1, 0.5, -0.5, 10**25, -(10**400), 1e308, 1e-320, "", " ", "\x00", "\u202e", "\ud800", "a" * 3_000, [], {}, [[]],
    [None], {"": {}}, {"a": None}, ["a", "a"], "2026-02-30", "24:00", "9:00", "Mars/Olympus", "(", "*", "event.", "a..b", ".", "performed",
    "workflow", "between", [1], [2, 1], [1, "a"], {"all": []}, {"any": [{}]}, {"not": {"not": {}}}, {"operator": "performed"},
    {"field": "x", "operator": "in", "value": []}, {"all": [], "any": []}, {"event_type": "e", "min_count": 10**9}, "mail", "wait",
)  # fmt: skip

WORDS: Final[tuple[str, ...]] = (
    "", "id", "kind", "type", "steps", "triggers", "settings", "configuration", "conditions", "condition_type", "next_steps", "where",
    "operator", "field", "value", "all", "any", "not", "event_type", "within_minutes", "duration_hours", "timezone", "quiet_hours",
    "frequency_caps", "goal", "exit_conditions", "execution_key", "re_entry", "timing", "at", "cron", "a", "\x00", "\ud800", "\n", "é",
)  # fmt: skip


def spoilt(seed: int, originals: dict[str, Bytes], values: dict[str, list[Json]]) -> tuple[str, Bytes]:
    """Spoil one file of several.

    Args:
        seed: The case.
        originals: Files by name.
        values: The documents of each.

    Returns:
        The file's name, with the ending that its content asks for, and its content.
    """
    chance = random.Random(seed)  # noqa: S311 -- makes cases, no secrets
    name = chance.choice(sorted(originals))
    if chance.random() < 0.5:
        content = originals[name]
        for _ in range(chance.randint(1, 5)):
            content = chance.choice(TEXT_MUTATIONS)(content, chance)
        return name, content
    documents = _copied(values[name])
    assert isinstance(documents, list)
    for _ in range(chance.randint(1, 4)):
        chance.choice(VALUE_MUTATIONS)(documents, chance)
    return name.replace(".yaml", ".json"), _written(documents, chance)


# Text ---------------------------------------------------------------------------------------------------------


def _cut(content: Bytes, chance: random.Random) -> Bytes:
    start = chance.randint(0, len(content))
    return content[:start] + content[start + chance.randint(1, 60) :]


def _flip(content: Bytes, chance: random.Random) -> Bytes:
    if not content:
        return content
    position = chance.randrange(len(content))
    return content[:position] + bytes([chance.randrange(256)]) + content[position + 1 :]


def _insert(content: Bytes, chance: random.Random) -> Bytes:
    position = chance.randint(0, len(content))
    return content[:position] + chance.choice(FRAGMENTS) + content[position:]


def _replace_value(content: Bytes, chance: random.Random) -> Bytes:
    """Put a fragment where a value stands."""
    lines = content.split(b"\n")
    with_values = [number for number, line in enumerate(lines) if b": " in line]
    if with_values:
        number = chance.choice(with_values)
        lines[number] = lines[number].split(b": ")[0] + b": " + chance.choice(FRAGMENTS)
    return b"\n".join(lines)


def _line(content: Bytes, chance: random.Random) -> Bytes:
    """Drop, double, move or indent a line."""
    lines = content.split(b"\n")
    number = chance.randrange(len(lines))
    line = lines.pop(number)
    match chance.randrange(4):
        case 1:
            lines[number:number] = [line, line]
        case 2:
            lines.insert(chance.randint(0, len(lines)), line)
        case 3:
            lines.insert(number, chance.choice([b" ", b"\t", b"    ", b"- "]) + line)
    return b"\n".join(lines)


def _truncate(content: Bytes, chance: random.Random) -> Bytes:
    return content[: chance.randint(0, len(content))]


def _nest(content: Bytes, chance: random.Random) -> Bytes:
    """Put deep nesting, or aliases that grow by powers, somewhere."""
    depth = chance.choice([20, 70, 400, 3_000])
    billion = b"\na: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (97 + level, 97 + level, b",".join([b"*%c" % (96 + level)] * 9)) for level in range(1, 9)
    )
    deep = chance.choice(
        [b"[" * depth, b"[" * depth + b"]" * depth, b'{"not":' * depth + b"{}" + b"}" * depth, billion]
    )
    position = chance.randint(0, len(content))
    return content[:position] + deep + content[position:]


def _recode(content: Bytes, chance: random.Random) -> Bytes:
    """Save it as another editor would."""
    text = content.decode("utf-8", "replace")
    return text.encode(chance.choice(["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig", "utf-7"]), "replace")


TEXT_MUTATIONS: Final[tuple[Callable[[Bytes, random.Random], Bytes], ...]] = (
    _cut, _flip, _flip, _insert, _insert, _insert, _replace_value, _replace_value, _replace_value, _line, _line, _truncate, _nest,
    _recode,
)  # fmt: skip


# Values -------------------------------------------------------------------------------------------------------


def _copied(value: Json) -> Json:
    match value:
        case dict():
            return {key: _copied(item) for key, item in value.items()}
        case list():
            return [_copied(item) for item in value]
    return value


def _containers(value: Json) -> list[dict[str, Json] | list[Json]]:
    found: list[dict[str, Json] | list[Json]] = []
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict | list):
            found.append(current)
            waiting += current.values() if isinstance(current, dict) else current
    return found


def _somewhere(documents: list[Json], chance: random.Random) -> tuple[dict[str, Json] | list[Json], str | int]:
    """Choose a place that holds a value."""
    filled = [container for container in _containers(documents) if container]
    container = chance.choice(filled) if filled else documents
    if isinstance(container, dict):
        return container, chance.choice(list(container))
    if not container:
        container.append(None)
    return container, chance.randrange(len(container))


def _put(place: tuple[dict[str, Json] | list[Json], str | int], value: Json) -> None:
    place[0][place[1]] = value  # type: ignore[index]


def _get(place: tuple[dict[str, Json] | list[Json], str | int]) -> Json:
    value: Json = place[0][place[1]]  # type: ignore[index]
    return value


def _drop(documents: list[Json], chance: random.Random) -> None:
    container, key = _somewhere(documents, chance)
    del container[key]  # type: ignore[arg-type]


def _odd(documents: list[Json], chance: random.Random) -> None:
    _put(_somewhere(documents, chance), _copied(chance.choice(ODD_VALUES)))


def _retype(documents: list[Json], chance: random.Random) -> None:
    """Give a value the shape that it hasn't: in a list, in a mapping, as text, as its first part."""
    place = _somewhere(documents, chance)
    value = _get(place)
    match chance.randrange(4):
        case 0:
            _put(place, [value])
        case 1:
            _put(place, {chance.choice(WORDS): value})
        case 2:
            _put(place, json.dumps(value))
        case _:
            first = (
                next(iter(value.values() if isinstance(value, dict) else value), None)
                if isinstance(value, dict | list)
                else value
            )
            _put(place, first)


def _move(documents: list[Json], chance: random.Random) -> None:
    """Put a copy of one value where another stands."""
    copied = _copied(_get(_somewhere(documents, chance)))
    _put(_somewhere(documents, chance), copied)


def _rename(documents: list[Json], chance: random.Random) -> None:
    container, key = _somewhere(documents, chance)
    if isinstance(container, dict):
        container[chance.choice(WORDS)] = container.pop(str(key))


def _double(documents: list[Json], chance: random.Random) -> None:
    container, key = _somewhere(documents, chance)
    if isinstance(container, list):
        container.append(_copied(container[int(key)]))
    else:
        documents.append(_copied(container))


def _deepen(documents: list[Json], chance: random.Random) -> None:
    place = _somewhere(documents, chance)
    value = _get(place)
    for _ in range(chance.choice([3, 30, 63, 64, 65, 300])):
        value = {"not": value} if chance.random() < 0.8 else [value]
    _put(place, value)


VALUE_MUTATIONS: Final[tuple[Callable[[list[Json], random.Random], None], ...]] = (
    _drop, _odd, _odd, _odd, _retype, _retype, _move, _move, _rename, _double, _deepen,
)  # fmt: skip


def _written(documents: list[Json], chance: random.Random) -> Bytes:
    """Write JSON, sometimes with a key given twice, and sometimes one wrong byte."""
    text = json.dumps(documents, ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.1 and '"id":' in text:
        text = text.replace('"id":', '"id": 1, "id":', 1)
    content = text.encode("utf-8", "surrogatepass")
    return _flip(content, chance) if chance.random() < 0.1 else content
