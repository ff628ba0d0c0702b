"""Whatever is said to whatever command: a sentence and an exit code as click's, never a traceback.

The commands and their options are read off the program itself, so that a new one is tried without being named here.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from tests.unit.tidings.test_cli_errors import Say, say
from tidings.cli import app

__all__ = ["say"]

HOSTILE = ("", "-1", "9" * 60, "\x1b[31m", "/dev/null/at all", "☃\n\ud800")
STARTS_SERVICES = {("kafka", "start"), ("demo",), ("run",), ("up",)}
"""Without a Kafka these start one; they are tried where they get no further than their settings."""


def commands(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*path, name))
        elif isinstance(command, TyperCommand):
            yield (*path, name), command


PROGRAM = typer.main.get_command(app)
assert isinstance(PROGRAM, TyperGroup)
COMMANDS = dict(commands(PROGRAM))


def filled(command: TyperCommand, value: str) -> list[list[str]]:
    """Return words for a command: all that is required, then each option besides; every value is this one."""
    required: list[str] = []
    options: list[list[str]] = []
    arguments: list[str] = []
    for param in command.params:
        if isinstance(param, TyperArgument):
            arguments += [value] if param.required else []
            continue
        flag = isinstance(param, TyperOption) and param.is_flag
        words = [param.opts[0]] if flag else [param.opts[0], value]
        if param.required:
            required += words
        elif param.name != "help":
            options.append(words)
    closing = ["--", *arguments]
    return [[*required, *closing], *([*required, *option, *closing] for option in options)]


@pytest.fixture(autouse=True)
def _nothing_to_spoil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "a file").write_text("")
    monkeypatch.chdir(folder)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_says_what_it_does(say: Say, path: tuple[str, ...]) -> None:
    """`--help` has a sentence for the command and for each option that isn't an everyday one."""
    code, out, _ = say(*path, "--help")
    assert (code, "Usage:" in out, path[-1] in out) == (0, True, True)
    said = [COMMANDS[path].help or "", *(getattr(param, "help", None) or "" for param in COMMANDS[path].params)]
    assert not any("[" in text for text in said), "words in brackets are read as colours, and aren't shown"
    command = COMMANDS[path]
    assert command.help
    assert [param.name for param in command.params if isinstance(param, TyperOption) and not param.help] in [
        [], ["prefix"],
    ]  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_breaks_its_lines_where_the_window_ends(path: tuple[str, ...]) -> None:
    """Only paragraphs are parted: a line end of the source would leave half-empty lines in a narrower window."""
    paragraphs = (COMMANDS[path].help or "").split("\n\n")
    assert not [paragraph for paragraph in paragraphs if "\n" in paragraph]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_an_unknown_option_is_wrong_usage(say: Say, path: tuple[str, ...]) -> None:
    code, _, err = say(*path, "--no-such-thing")
    assert (code, "--no-such-thing" in err) == (2, True), err


@pytest.mark.parametrize("path", sorted(STARTS_SERVICES), ids=" ".join)
def test_wrong_settings_are_told_whatever_else_is_said(
    say: Say, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prefix that can't be: no command gets so far that it starts or changes anything."""
    monkeypatch.setenv("TIDINGS_TOPIC_PREFIX", "not a topic")
    for value in HOSTILE:
        for words in filled(COMMANDS[path], value):
            _is_said_well(say, path, words)


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in STARTS_SERVICES], ids=" ".join)
def test_without_a_kafka_every_value_of_every_option_ends_in_a_sentence(say: Say, path: tuple[str, ...]) -> None:
    """Empty, huge, negative, binary or misplaced: refused, or told what is missing."""
    for value in HOSTILE:
        for words in filled(COMMANDS[path], value):
            _is_said_well(say, path, words)


@pytest.mark.parametrize("words", [("--version",), ("nonsense",), ("kafka", "nonsense"), ("dead-letters", "shows")])
def test_a_command_that_there_is_not_is_wrong_usage(say: Say, words: tuple[str, ...]) -> None:
    code, _, err = say(*words)
    assert (code, "No such" in err) == (2, True), err


@pytest.mark.parametrize("words", [("schema",), ("schema", "--markdown"), ("doctor", "--json"), ("--help",)])
def test_a_reader_that_has_seen_enough_gets_no_complaint(words: tuple[str, ...], tmp_path: Path) -> None:
    """`tidings … | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as closed:  # noqa: PTH123 -- a file descriptor
        done = subprocess.run(  # noqa: S603 -- words of ours
            [sys.executable, "-m", "tidings.cli", *words],
            stdout=closed, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
            env={"TIDINGS_DATA_DIR": str(tmp_path), "PATH": os.defpath, "HOME": str(tmp_path)},
        )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr


def _is_said_well(say: Say, path: tuple[str, ...], words: list[str]) -> None:
    try:
        code, out, err = say(*path, *words)
    except Exception as error:
        msg = f"tidings {' '.join((*path, *words))!r} ends in {error!r}"
        raise AssertionError(msg) from error
    assert code in {0, 1, 2}, (path, words, code)
    assert "Traceback" not in out + err
    assert code == 0 or (out + err).strip(), (path, words)
    assert "\x1b[31m" not in out + err, (path, words)
