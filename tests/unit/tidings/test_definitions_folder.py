"""A folder of definitions: which files are read, what YAML and JSON become, in which ways a file can be bad."""

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest
import typer
from rich.console import Console

from schemas.definitions import Definitions, FixedTime, UntilDate, Workflow
from schemas.events import Json
from tidings.commands.validate import report, validate
from tidings.definitions_folder import (
    MAX_DOCUMENTS,
    MAX_FILE_BYTES,
    LoadResult,
    definitions_from_documents,
    load_folder,
)

ROOT: Final = Path(__file__).parents[3]
WELCOME: Final = ROOT / "examples" / "welcome"
SEGMENT: Final = "{kind: segment, id: %s}\n"

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file into the folder and return the folder."""

    def into(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path

    return into


def definitions_of(result: LoadResult) -> Definitions:
    assert result.problems == ()
    assert result.definitions is not None
    return result.definitions


def places(result: LoadResult) -> list[tuple[str, str]]:
    return [(problem.file, problem.path) for problem in result.problems]


def messages(result: LoadResult) -> list[str]:
    return [problem.message for problem in result.problems]


# The example ----------------------------------------------------------------------------------------------------


def test_the_welcome_series_is_valid_and_compiled_from_its_stored_documents_the_same() -> None:
    result = load_folder(WELCOME)
    definitions = definitions_of(result)
    assert result.warnings == ()
    assert list(definitions.workflows) == ["welcome-series-with-behavioral-triggers"]
    stored = msgspec.json.decode(msgspec.json.encode(result.documents))
    assert definitions_from_documents(stored) == definitions


def test_the_welcome_series_has_exactly_the_steps_of_the_specification() -> None:
    (workflow,) = definitions_of(load_folder(WELCOME)).workflows.values()
    assert [step.id for step in workflow.steps] == [
        "welcome_email",
        "wait_24h",
        "engagement_check",
        "product_intro",
        "engagement_prompt",
        "wait_72h",
        "final_check",
        "success_email",
        "nurture_email",
        "low_engagement_email",
    ]


def test_every_placeholder_of_the_examples_templates_can_have_a_value() -> None:
    names = {
        name
        for template in definitions_of(load_folder(WELCOME)).templates.values()
        for name in re.findall(r"\{(\w+)\}", template.subject_template + template.content_template)
    }
    assert names <= {"first_name", "unsubscribe_url"}


# Which files ----------------------------------------------------------------------------------------------------


def test_yaml_and_json_files_are_found_at_any_depth_in_stable_order(write: Write) -> None:
    write("b.yml", SEGMENT % "b")
    write("a/deep/er.json", '[{"kind": "segment", "id": "json"}, {"kind": "segment", "id": "more"}]')
    folder = write("z.YAML", SEGMENT % "z1" + "---\n" + SEGMENT % "z2")
    result = load_folder(folder)
    assert list(definitions_of(result).segments) == ["json", "more", "b", "z1", "z2"]
    assert [document["id"] for document in result.documents if isinstance(document, dict)] == [
        "json",
        "more",
        "b",
        "z1",
        "z2",
    ]


def test_hidden_files_and_other_files_are_left_out(write: Write) -> None:
    write(".hidden.yaml", "[")
    write(".git/config.yaml", "[")
    write("README.md", "[")
    write("events.ndjson", "[")
    write("definitions.schema.json", "{}")
    assert list(definitions_of(load_folder(write("a.yaml", SEGMENT % "a"))).segments) == ["a"]


def test_documents_are_told_apart_in_a_file_that_holds_several(write: Write) -> None:
    folder = write("a.yaml", "---\n# nothing\n---\nkind: segment\nid: 1\n---\nkind: segmnt\nid: b\n")
    assert places(load_folder(folder)) == [("a.yaml", "document 1: id"), ("a.yaml", "document 2: kind")]


# What YAML becomes ----------------------------------------------------------------------------------------------


def test_times_and_dates_of_yaml_stay_the_text_that_they_are(write: Write) -> None:
    write(
        "a.yaml",
        "name: W\nsteps:\n"
        "  - {id: a, type: wait, configuration: {type: until_date, target_date: 2026-01-01}, next_steps: [b]}\n"
        "  - {id: b, type: wait, configuration: {type: until_date, target_date: 2026-01-01T10:00:00Z}, next_steps: [c]}\n"
        "  - {id: c, type: wait, configuration: {type: fixed_time, calendar_days: 1, at: 22:00}}\n",
    )
    folder = write("b.yaml", SEGMENT % "no")
    (workflow,) = definitions_of(load_folder(folder)).workflows.values()
    assert [step.configuration for step in workflow.steps] == [
        UntilDate(target_date="2026-01-01"),
        UntilDate(target_date="2026-01-01T10:00:00Z"),
        FixedTime(calendar_days=1, at="22:00"),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-12", -12),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("no", "no"),
        ("~", None),
        ("'1'", "1"),
        ("1_000", 1000),
        ("22:00", "22:00"),
        ("2026-01-31", "2026-01-31"),
        ("!!str 5", "5"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
        ("{1: x, true: y}", {"1": "x", "true": "y"}),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_yaml_values_become_what_json_can_hold(write: Write, text: str, value: Json) -> None:
    (document,) = load_folder(write("a.yaml", f"value: {text}\n")).documents
    assert document == {"value": value}
    assert json.loads(json.dumps(document)) == document


def test_an_alias_means_the_latest_anchor_of_its_name(write: Write) -> None:
    """YAML 1.2 allows an anchor to be given again, and nothing is said of it."""
    folder = write("a.yaml", "- &x 1\n- *x\n- &x 2\n- *x\n")
    assert load_folder(folder).documents == [[1, 1, 2, 2]]


def test_anchors_aliases_and_merge_keys_work(write: Write) -> None:
    text = "base: &b {x: 1, y: 2}\nother: &o {x: 5, z: 6}\nuse: {<<: [*b, *o], y: 3}\nagain: *b\n"
    (document,) = load_folder(write("a.yaml", text)).documents
    assert isinstance(document, dict)
    assert document["use"] == {"x": 1, "z": 6, "y": 3}
    assert document["again"] == {"x": 1, "y": 2}


def test_a_byte_order_mark_is_no_mistake(write: Write) -> None:
    folder = write("a.json", b'\xef\xbb\xbf{"kind": "segment", "id": "a"}')
    assert list(definitions_of(load_folder(folder)).segments) == ["a"]


# Bad files ------------------------------------------------------------------------------------------------------

LAUGHS: Final = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

BAD_FILES: Final[list[tuple[str, str, str | bytes, list[tuple[str, str]]]]] = [
    ("broken YAML", "a.yaml", "kind: [segment\nid: a\n", [("line 2, column 3", "isn't YAML: ")]),
    ("a tab", "a.yaml", "kind:\n\t- a\n", [("line 2, column 1", "isn't YAML: ")]),
    ("broken JSON", "a.json", '{"kind": "segment",}', [("line 1, column 20", "isn't JSON: ")]),
    ("an empty JSON file", "a.json", "", [("line 1, column 1", "isn't JSON: ")]),
    ("two JSON values", "a.json", "{} {}", [("line 1, column 4", "isn't JSON: ")]),
    ("bytes", "a.yaml", b"kind: \xff\xfe", [("byte 6", "isn't UTF-8")]),
    ("UTF-16", "a.json", '{"kind": "segment"}'.encode("utf-16"), [("byte 0", "isn't UTF-8")]),
    ("control characters", "a.yaml", "kind: segment\nid: \x00\n", [("", "isn't YAML: ")]),
    ("too large", "a.yaml", "#" * (MAX_FILE_BYTES + 1), [("", "is larger than 1 MiB")]),
    ("a key twice in YAML", "a.yaml", "kind: segment\nid: a\nid: b\n", [("id", "is given twice")]),
    ("a key twice in JSON", "a.json", '{"kind": "segment", "id": "a", "id": "b"}', [("id", "is given twice in one object")]),
    ("a tag", "a.yaml", "kind: segment\nid: !!python/name:os.system a\n", [("id", "has the tag "), ("id", "is null")]),
    ("binary in YAML", "a.yaml", "kind: segment\nid: !!binary aGk=\n", [("id", "has the tag "), ("id", "is null")]),
    ("a set in YAML", "a.yaml", "kind: segment\nid: a\nx: !!set {a, b}\n", [("x", "has the tag "), ("x", "no known field")]),
    ("a key that is no text", "a.yaml", "{kind: segment, id: a, [x]: y}", [("", "has a key that isn't text")]),
    ("an infinite number", "a.yaml", "kind: scoring\nhalf_life_hours: .inf\n", [("half_life_hours", "is .inf"), ("half_life_hours", "is null")]),
    ("an infinite number in JSON", "a.json", '{"kind": "scoring", "half_life_hours": NaN}', [("half_life_hours", "is nan")]),
    ("thousands of digits in YAML", "a.yaml", f"kind: scoring\nhalf_life_hours: {'9' * 5000}\n", [("half_life_hours", "is 999"), ("half_life_hours", "is null")]),
    ("thousands of digits in JSON", "a.json", f'{{"kind": "scoring", "half_life_hours": {"9" * 5000}}}', [("", "thousands of digits")]),
    ("half a surrogate", "a.json", '{"kind": "segment", "id": "\\ud800"}', [("id", "half a surrogate")]),
    ("a billion laughs", "a.yaml", LAUGHS, [("", "holds too many values")]),
    ("an alias to itself", "a.yaml", "kind: segment\nid: a\nx: &x [*x]\n", [("", "nested too deeply")]),
    ("deep YAML", "a.yaml", "[" * 5_000, [("", "isn't YAML: ")]),
    ("deep YAML in blocks", "a.yaml", "".join(f"{' ' * n}a:\n" for n in range(200)), [("", "isn't YAML: ")]),
    ("deep JSON", "a.json", "[" * 100_000, [("", "nested too deeply")]),
    ("JSON a little too deep", "a.json", '{"kind": "segment", "id": ' + "[" * 500 + "]" * 500 + "}", [("id", "is a list")]),
    ("text alone", "a.yaml", "hello\n", [("", "is 'hello'")]),
    ("an unknown alias", "a.yaml", "kind: *nothing\n", [("line 1, column 7", "isn't YAML: ")]),
    ("too many documents", "a.yaml", "--- 1\n" * (MAX_DOCUMENTS + 1), [("", "holds 1001 documents")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "expected"), [row[1:] for row in BAD_FILES], ids=[row[0] for row in BAD_FILES]
)
def test_a_bad_file_is_a_problem_with_its_name_and_place_and_nothing_is_raised(
    write: Write, name: str, content: str | bytes, expected: list[tuple[str, str]]
) -> None:
    result = load_folder(write(name, content))
    assert result.definitions is None
    for path, message in expected:
        assert any(
            problem.file == name and path in problem.path and message in problem.message for problem in result.problems
        ), result.problems


def test_documents_before_a_syntax_error_are_still_checked(write: Write) -> None:
    folder = write("a.yaml", "kind: segment\nid: 5\n---\n{\n")
    assert [path for _, path in places(load_folder(folder))] == ["line 5, column 1", "id"]


def test_what_isnt_a_folder_is_a_problem(tmp_path: Path, write: Write) -> None:
    assert messages(load_folder(tmp_path / "none")) == [f"{tmp_path / 'none'} doesn't exist"]
    assert messages(load_folder(tmp_path)) == [f"{tmp_path} holds no definitions"]
    write("a.yaml", SEGMENT % "a")
    assert messages(load_folder(tmp_path / "a.yaml")) == [f"{tmp_path / 'a.yaml'} is no folder"]


def test_files_that_cant_be_opened_dont_hide_the_others(tmp_path: Path, write: Write) -> None:
    write("good.yaml", SEGMENT % "a")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "gone")
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    result = load_folder(tmp_path)
    assert places(result) == [("link.yaml", ""), ("pipe.yaml", "")]
    assert result.documents == [{"kind": "segment", "id": "a"}]


# All at once ----------------------------------------------------------------------------------------------------

TEN_MISTAKES: Final = {
    "broken.yaml": "kind: [segment\n",
    "duplicate.json": '{"kind": "segment", "id": "vip", "id": "vip"}',
    "journey.yaml": """
name: Journey
triggers:
  - {type: behavioural, conditions: {event_type: signup}}
steps:
  - {id: a, type: email, configuration: {template_id: unknown, timing: {at: "25:00"}}, next_steps: [b, nowhere]}
  - {id: b, type: wait, configuration: {type: fixed_time, duration_hours: -1}, next_steps: [c]}
  - id: c
    type: decision
    configuration:
      type: condition
      conditions: [{rule: {field: plan, operator: matches, value: "("}, next_step: a}]
settings: {max_execution_time_dayz: 30}
""",
    "templates.yaml": "kind: template\nid: hello\n---\nkind: newsletter\n",
}


def test_a_folder_with_ten_different_mistakes_reports_all_ten(write: Write, tmp_path: Path) -> None:
    for name, content in TEN_MISTAKES.items():
        write(name, content)
    result = load_folder(tmp_path)
    assert result.definitions is None
    assert sorted(places(result)) == [
        ("broken.yaml", "line 2, column 1"),
        ("duplicate.json", "id"),
        ("journey.yaml", "settings.max_execution_time_dayz"),
        ("journey.yaml", "steps[0].configuration.template_id"),
        ("journey.yaml", "steps[0].configuration.timing.at"),
        ("journey.yaml", "steps[0].next_steps[1]"),
        ("journey.yaml", "steps[1].configuration.duration_hours"),
        ("journey.yaml", "steps[2].configuration.conditions[0].rule.value"),
        ("journey.yaml", "triggers[0].type"),
        ("templates.yaml", "document 1: content_template"),
        ("templates.yaml", "document 2: kind"),
    ]
    assert all(problem.message and problem.expected for problem in result.problems)


# The command ----------------------------------------------------------------------------------------------------


def printed(folder: Path) -> str:
    output = io.StringIO()
    report(Console(file=output, highlight=False, soft_wrap=True), load_folder(folder))
    return output.getvalue()


def test_problems_are_printed_by_file_with_what_would_be_right_and_their_number(write: Write) -> None:
    write("a.yaml", "kind: segment\n")
    assert printed(write("b.json", '{"kind": "segmnt", "id": "b"}')) == (
        "a.yaml\n"
        "  id: is missing\n"
        "      expected: text of 1 to 200 characters\n"
        "b.json\n"
        "  kind: 'segmnt' is no known kind\n"
        "      expected: one of workflow, template, segment, scoring, lifecycle, suppression, settings, test, experiment; "
        "did you mean 'segment'?\n"
        "2 problems in 2 files.\n"
    )


def test_a_valid_folder_is_summed_up_by_kind() -> None:
    assert printed(WELCOME) == "Valid: 1 workflow, 6 templates, settings.\n"


def test_warnings_are_printed_and_leave_the_folder_valid(write: Write) -> None:
    trigger = "{type: behavioral, conditions: {condition_type: inactivity_period}}"
    exit_step = "{id: a, type: action, configuration: {type: exit}}"
    text = printed(write("a.yaml", f"name: W\ntriggers: [{trigger}]\nsteps: [{exit_step}]\n"))
    assert text.startswith("Warnings\na.yaml\n  triggers[0]: inactivity_period can fire again and again")
    assert text.endswith("Valid: 1 workflow.\n")


def test_names_of_files_cant_command_the_terminal(write: Write) -> None:
    assert "\x1b" not in printed(write("a\x1b[2J.yaml", 'kind: "\\e[2J"\n"\\e[3J": 1\n'))


def test_the_command_exits_with_1_only_where_there_are_problems(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    validate(WELCOME)
    with pytest.raises(typer.Exit) as caught:
        validate(write("a.yaml", "kind: segment\n"))
    assert caught.value.exit_code == 1
    assert "1 problem in 1 file." in capsys.readouterr().out


def test_a_loaded_workflow_is_a_value(write: Write) -> None:
    folder = write("a.yaml", "name: W\nsteps: [{id: a, type: action, configuration: {type: exit}}]\n")
    (workflow,) = definitions_of(load_folder(folder)).workflows.values()
    assert isinstance(workflow, Workflow)
    assert workflow.id == "w"
