"""The first folder is accepted by everything that comes next, and nothing of anybody's is written over."""

from pathlib import Path

import msgspec
import pytest

from schemas.problems import sentence
from tests.unit.tidings.test_cli_errors import Say, say
from tidings.definitions_folder import load_folder

__all__ = ["say"]


def test_the_first_folder_is_valid_passes_its_tests_and_reaches_whom_its_events_say(say: Say, tmp_path: Path) -> None:
    """`validate` has no warning, `check` and `simulate` take it at once, also where the path has a space."""
    folder = tmp_path / "my messages" / "first"
    code, said, _ = say("init", str(folder))
    assert code == 0
    assert f"tidings validate '{folder}'" in said
    assert f"`tidings up --definitions '{folder}'`" in said, "what runs it is named, with this folder"
    result = load_folder(folder)
    assert [sentence(problem) for problem in (*result.problems, *result.warnings)] == []
    code, said, _ = say("check", str(folder), "--histories", "5", "--seed", "1")
    assert (code, "3 tests, 0 failed." in said, "every law holds" in said) == (0, True, True), said
    code, said, _ = say("preview", "hello", "--definitions", str(folder))
    assert (code, "Subject: Welcome, Ada" in said) == (0, True), said
    events = ("--events", str(folder / "events.ndjson"), "--until", "2026-04-01T00:00:00Z")
    code, said, told = say("simulate", "--definitions", str(folder), *events)
    sends = [msgspec.json.decode(line) for line in said.splitlines() if '"record":"send"' in line]
    assert (code, "0 dead letters" in told or "dead letter" not in told) == (0, True), told
    assert sorted((send["customer_id"], send["step_id"]) for send in sends) == [
        ("ada", "first_steps"), ("ada", "hello"), ("bram", "hello"), ("bram", "still_there"), ("cleo", "hello"),
    ]  # fmt: skip


@pytest.mark.parametrize("what", ["file", "full", "parent is a file"])
def test_what_is_there_already_stays_as_it_is(say: Say, tmp_path: Path, what: str) -> None:
    """A folder with anything in it, or a file, is refused, and nothing is written."""
    target = tmp_path / "there"
    if what == "full":
        target.mkdir()
        (target / ".hidden").write_text("mine")
    else:
        target.write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, _, told = say("init", str(target / "below" if what == "parent is a file" else target))
    assert (code, "there" in told, "Traceback" in told) == (1, True, False)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_is_taken(say: Say, tmp_path: Path) -> None:
    """`mkdir messages; cd messages; tidings init .` is what people do."""
    assert say("init", str(tmp_path))[0] == 0
    assert (tmp_path / "welcome.yaml").is_file()
