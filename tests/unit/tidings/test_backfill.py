"""What `tidings backfill` refuses before it looks at Kafka: each with what to do instead."""

from pathlib import Path

import pytest

from tests.unit.tidings.test_cli_errors import Say, read_across, say

__all__ = ["say"]

DEFINITIONS = """\
{kind: template, id: hello, subject_template: Hi, content_template: Hello}
---
id: welcome
name: Welcome
triggers: [{type: behavioral, conditions: {event_type: signup}}]
steps: [{id: hello, type: email, configuration: {template_id: hello}, next_steps: []}]
---
id: "off"
name: "Off"
enabled: false
triggers: [{type: behavioral, conditions: {event_type: signup}}]
steps: [{id: hello, type: email, configuration: {template_id: hello}, next_steps: []}]
---
id: first-ten
name: First ten
triggers: [{type: behavioral, conditions: {event_type: signup}, max_executions: 10}]
steps: [{id: hello, type: email, configuration: {template_id: hello}, next_steps: []}]
"""
SINCE = "--since=2026-01-01T00:00:00Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of definitions."""
    place = tmp_path / "shop"
    place.mkdir()
    (place / "all.yaml").write_text(DEFINITIONS)
    return place


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("welcome", "--since=2999-01-01T00:00:00Z", "--dry-run"), "is still to come: `tidings apply` puts"),
        (("nobody", SINCE, "--dry-run"), "the folder has no workflow nobody; it has: first-ten, off, welcome"),
        (("off", SINCE, "--dry-run"), "workflow off is off (`enabled: false`)"),
        (("first-ten", SINCE, "--dry-run"), "trigger 0 has `max_executions`"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    say: Say, folder: Path, words: tuple[str, ...], sentence: str
) -> None:
    code, out, err = say("backfill", *words, f"--definitions={folder}")
    assert (code, out) == (1, "")
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("welcome", SINCE, "--dry-run", "--leave-rest"), "--leave-rest goes with a hand-over"),
        (("welcome", "--since=yesterday", "--dry-run"), "--since: 'yesterday' isn't an RFC 3339 time"),
        (("welcome", SINCE, "--dry-run", "--past-sends=all"), "--past-sends all needs --fresh-hours N"),
        (("welcome", SINCE, "--dry-run", "--fresh-hours=4"), "--fresh-hours goes with --past-sends latest or all"),
    ],
)
def test_options_that_cannot_be_are_wrong_usage(say: Say, folder: Path, words: tuple[str, ...], sentence: str) -> None:
    code, out, err = say("backfill", *words, f"--definitions={folder}")
    assert (code, out, sentence in read_across(err)) == (2, "", True), err


def test_definitions_that_are_wrong_are_told_all_at_once(say: Say, folder: Path) -> None:
    (folder / "wrong.yaml").write_text("{id: a, steps: [{type: mail}]}\n---\n{kind: template, id: 5}\n")
    code, _, err = say("backfill", "welcome", SINCE, "--dry-run", f"--definitions={folder}")
    assert code == 1
    assert "wrong.yaml" in err
