"""A folder of definitions: YAML and JSON files to raw documents, and on to valid `Definitions`.

Theory: files are written by people and may come from anywhere, so nothing in one is executed, followed or blown up:
YAML is parsed to its node graph only, and plain JSON values are built from that here, with every duplicate key and
foreign tag noted on the way. Values are what JSON can hold (a YAML date stays the text it was), because the same
documents are stored as JSON in Kafka and read again by workers. Sizes, depth, documents and (through aliases)
values are bounded.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from journeys.documents import kind_of
from journeys.validation import Document, definitions_from_documents, validate
from schemas.definitions import Definitions
from schemas.events import Json
from schemas.expectations import WorkflowTest
from schemas.problems import Problem, child, shown
from schemas.reading import MAX_DEPTH

__all__ = ["LoadResult", "definitions_from_documents", "load_folder"]

SUFFIXES: Final = (".yaml", ".yml", ".json")
MAX_FILE_BYTES: Final = 1024 * 1024
MAX_DOCUMENTS: Final = 1_000
"""Of one file."""
MAX_FILES: Final = 10_000
MAX_VALUES: Final = 200_000
"""Values that the aliases of one file may expand to."""

T = TypeVar("T")

_TAG: Final = "tag:yaml.org,2002:"
_DECIMAL: Final = re.compile(r"[-+]?\d+")
_PREFIXED: Final = re.compile(r"[-+]?0[xob][0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_LONGEST_NUMBER: Final = 400
"""Characters; Python refuses to read whole numbers beyond 4,300 digits."""


class LoadResult(Struct, frozen=True, kw_only=True):
    """What a folder holds.

    `definitions` is None where there are problems. `documents` are the raw documents in stable order (by file, then by
    position): `definitions_from_documents` makes the same definitions of them, without the tests, which are no part of
    a catalogue.
    """

    definitions: Definitions | None
    documents: list[Json]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    tests: tuple[WorkflowTest, ...] = ()


def load_folder(path: Path) -> LoadResult:
    """Read every definition below a folder; hidden ones, `*.schema.json`, and links to folders are left out.

    Returns:
        Definitions, or all problems of all files; nothing is raised for what a folder may hold.
    """
    problems: list[Problem] = []
    documents: list[Document] = []
    files = _files(path, problems)
    for file in files:
        documents += _read_file(path / file, file, problems)
    if not documents and not problems:
        problems.append(_problem("", "", f"{path} holds no definitions", "files *.yaml, *.yml or *.json in it"))
    validated = validate(documents)
    all_problems = _by_file([*problems, *validated.problems], files)
    return LoadResult(
        definitions=None if all_problems else validated.definitions,
        documents=[document.value for document in documents if kind_of(document.value) != "test"],
        problems=all_problems,
        warnings=validated.warnings,
        tests=validated.tests,
    )


def _by_file(problems: Sequence[Problem], files: Sequence[str]) -> tuple[Problem, ...]:
    order = {file: position for position, file in enumerate(files)}
    return tuple(sorted(problems, key=lambda problem: order.get(problem.file, -1)))


def _problem(file: str, path: str, message: str, expected: str) -> Problem:
    return Problem(file=file, path=path, message=message, expected=expected)


# Files ----------------------------------------------------------------------------------------------------------


def _files(folder: Path, problems: list[Problem]) -> list[str]:
    """List the definition files as paths relative to the folder, with slashes, sorted."""
    if not folder.is_dir():
        message = f"{folder} is no folder" if folder.exists() else f"{folder} doesn't exist"
        hint = (
            f"a folder with definitions, such as {folder.parent}" if folder.is_file() else "a folder with definitions"
        )
        problems.append(_problem("", "", message, hint))
        return []

    def report(error: OSError) -> None:
        name = Path(error.filename or folder)
        shortened = name.relative_to(folder) if name.is_relative_to(folder) else name
        problems.append(_problem(shortened.as_posix(), "", f"can't be read: {error.strerror}", "a readable folder"))

    found: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=report):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        chosen = [name for name in names if _is_definition(name.lower())]
        found += [(Path(parent) / name).relative_to(folder).as_posix() for name in chosen]
    if len(found) > MAX_FILES:
        problems.append(_problem("", "", f"{folder} holds {len(found)} files", f"at most {MAX_FILES}"))
        return []
    return sorted(found)


def _is_definition(name: str) -> bool:
    # The schema that an editor checks these files with may lie among them.
    return name.endswith(SUFFIXES) and not name.startswith(".") and not name.endswith(".schema.json")


def _read_file(path: Path, file: str, problems: list[Problem]) -> list[Document]:
    text = _text_of(path, file, problems)
    if text is None:
        return []
    values = list(
        _json_values(text, file, problems) if file.lower().endswith(".json") else _yaml_values(text, file, problems)
    )
    if len(values) > MAX_DOCUMENTS:
        problems.append(_problem(file, "", f"holds {len(values)} documents", f"at most {MAX_DOCUMENTS} in a file"))
        return []
    return [Document(file=file, value=value, prefix=prefix) for prefix, value in values]


def _text_of(path: Path, file: str, problems: list[Problem]) -> str | None:
    try:
        if not path.is_file():
            problems.append(_problem(file, "", "is no regular file", "a file of YAML or JSON"))
            return None
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        problems.append(_problem(file, "", f"can't be read: {error.strerror}", "a readable file"))
        return None
    if len(content) > MAX_FILE_BYTES:
        problems.append(_problem(file, "", "is larger than 1 MiB", f"at most {MAX_FILE_BYTES} bytes a file"))
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(_problem(file, f"byte {error.start}", "isn't UTF-8", "text in UTF-8"))
        return None


def _numbered(values: Sequence[T]) -> Iterator[tuple[str, T]]:
    """Give each document the prefix of its paths: none where it is alone."""
    for number, value in enumerate(values, 1):
        yield ("" if len(values) == 1 else f"document {number}: "), value


# JSON -----------------------------------------------------------------------------------------------------------


def _json_values(text: str, file: str, problems: list[Problem]) -> Iterator[tuple[str, Json]]:
    """Read a JSON file: one document, or a list of them."""

    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                problems.append(_problem(file, child("", key), "is given twice in one object", "each key once"))
            seen.add(key)
        return dict(pairs)

    try:
        value: Json = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        problems.append(_problem(file, place, f"isn't JSON: {error.msg}", "valid JSON"))
        return
    except RecursionError:
        problems.append(_problem(file, "", "is nested too deeply", f"at most {MAX_DEPTH} levels"))
        return
    except ValueError:
        problems.append(_problem(file, "", "holds a number with thousands of digits", "numbers of ordinary size"))
        return
    yield from _numbered(value if isinstance(value, list) else [value])


# YAML -----------------------------------------------------------------------------------------------------------


def _yaml_values(text: str, file: str, problems: list[Problem]) -> Iterator[tuple[str, Json]]:
    """Read the documents of a YAML file, empty ones left out; after a syntax error those before it."""
    nodes: list[Node] = []
    try:
        nodes += (node for node in _yaml_parser().compose_all(text) if not _is_empty(node))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        reason = " ".join(part for part in (error.context, error.problem) if part) or "wrong syntax"
        problems.append(_problem(file, place, f"isn't YAML: {reason.strip()}", "valid YAML 1.2"))
    except RecursionError:
        problems.append(_problem(file, "", "is nested too deeply", f"at most {MAX_DEPTH} levels"))
    except (YAMLError, ValueError) as error:
        problems.append(_problem(file, "", f"isn't YAML: {str(error).splitlines()[0]}", "valid YAML 1.2"))
    builder = _Builder(file, problems)
    for prefix, node in _numbered(nodes):
        yield prefix, builder.build(node, prefix, 0)


def _yaml_parser() -> YAML:
    parser = YAML(typ="safe", pure=True)  # libyaml speaks 1.1, in which 22:00 is a number
    parser.max_depth = MAX_DEPTH + 8
    parser.composer.warn_double_anchors = False  # YAML 1.2 allows it: an alias means the latest
    return parser


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.tag == f"{_TAG}null" and not node.value


class _Builder:
    """Builds JSON values from the nodes of one file, and notes what JSON can't hold."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems
        self._left = MAX_VALUES

    def build(self, node: Node, path: str, depth: int) -> Json:
        """Build a value; where a node can't be, it is noted and null stands for it."""
        self._left -= 1
        if self._left <= 0 or depth > MAX_DEPTH:
            self._refuse_size(path)
            return None
        match node:
            case MappingNode():
                return self._mapping(node, path, depth)
            case SequenceNode() if self._is_plain(node, "seq", path):
                return [self.build(item, child(path, i), depth + 1) for i, item in enumerate(node.value)]
            case ScalarNode():
                return self._scalar(node, path)
        return None

    def _refuse_size(self, path: str) -> None:
        if self._left > -MAX_VALUES:
            message = "is nested too deeply" if self._left > 0 else "holds too many values, aliases counted"
            self._note(path, message, f"at most {MAX_DEPTH} levels and {MAX_VALUES} values a file")
            self._left = -MAX_VALUES  # said once; nothing more is built

    def _mapping(self, node: MappingNode, path: str, depth: int) -> Json:
        if not self._is_plain(node, "map", path):
            return None
        own: dict[str, Json] = {}
        merged: dict[str, Json] = {}
        for key_node, value_node in node.value:
            if self._left <= 0:
                break
            key = self._key(key_node, path)
            if key is None:
                continue
            if key_node.tag == f"{_TAG}merge":
                merged |= self._merge(value_node, path, depth)
            elif key in own:
                self._note(child(path, key), "is given twice", "each key once")
            else:
                own[key] = self.build(value_node, child(path, key), depth + 1)
        return merged | own

    def _key(self, node: Node, path: str) -> str | None:
        if isinstance(node, ScalarNode) and node.tag != f"{_TAG}null":
            return str(node.value)
        self._note(path, "has a key that isn't text", "text as keys")
        return None

    def _merge(self, node: Node, path: str, depth: int) -> dict[str, Json]:
        """Build what `<<` adds: of several mappings the first that has a key gives it."""
        parts = node.value if isinstance(node, SequenceNode) else [node]
        result: dict[str, Json] = {}
        for part in parts:
            value = self.build(part, path, depth + 1)
            if not isinstance(value, dict):
                self._note(child(path, "<<"), "isn't a mapping", "a mapping, or a list of them")
                continue
            result = value | result
        return result

    def _scalar(self, node: ScalarNode, path: str) -> Json:
        text = str(node.value)
        match str(node.tag).removeprefix(_TAG):
            case "str" | "timestamp" | "value":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() in ("true", "yes", "on", "y")
            case "int" | "float":
                return self._number(text, path)
        self._note(path, f"has the tag {shown(str(node.tag))}", "values without tags")
        return None

    def _number(self, text: str, path: str) -> Json:
        plain = text.replace("_", "")
        if len(plain) > _LONGEST_NUMBER or plain.lower().lstrip("+-") in (".inf", ".nan"):
            self._note(path, f"is {text[:20]}", "a number of ordinary size")
            return None
        if _DECIMAL.fullmatch(plain):
            return int(plain)
        try:
            return int(plain, 0) if _PREFIXED.fullmatch(plain) else float(plain) if _FLOAT.fullmatch(plain) else text
        except ValueError:
            return text

    def _is_plain(self, node: Node, tag: str, path: str) -> bool:
        if node.tag == f"{_TAG}{tag}":
            return True
        self._note(path, f"has the tag {shown(str(node.tag))}", "values without tags")
        return False

    def _note(self, path: str, message: str, expected: str) -> None:
        self._problems.append(_problem(self._file, path, message, expected))
