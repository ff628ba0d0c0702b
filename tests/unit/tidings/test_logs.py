"""One format of log lines, for programs or for people, without what customers wrote."""

import logging
from collections.abc import Iterator

import msgspec
import pytest

from tidings.logs import LogFormat, configure_logging

log = logging.getLogger("tidings.somewhere")


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def told(capsys: pytest.CaptureFixture[str], form: LogFormat, level: str = "info") -> str:
    """Return what is told of an error whose words name a customer."""
    configure_logging(level, form)
    log.info("partition %d, two\nlines", 3)
    try:
        int("ada@garden.example")
    except ValueError:
        log.exception("a rule raised")
    return capsys.readouterr().err


def test_json_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = [msgspec.json.decode(line) for line in told(capsys, "json").splitlines()]
    assert first["event"] == "partition 3, two\nlines"
    assert (first["level"], first["logger"]) == ("info", "tidings.somewhere")
    assert second["error"] == "ValueError"
    assert second["at"].startswith("told, test_logs.py:")


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_words_of_an_exception_are_not_told(capsys: pytest.CaptureFixture[str], form: LogFormat) -> None:
    """They may hold what a customer wrote; with the level `debug` they are."""
    seen = told(capsys, form)
    assert "ada@" not in seen
    assert "Traceback" not in seen
    assert "ada@" in told(capsys, form, "debug")


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "text").splitlines()
    assert lines[0].endswith("Z INFO    partition 3, two")
    assert lines[1] == "    lines"
    assert " ERROR   a rule raised error=ValueError at=told" in lines[2]
