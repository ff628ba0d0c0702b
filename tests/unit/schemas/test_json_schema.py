"""The schema of definition files, and their reference: what an editor accepts, the program reads."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from schemas.events import Json
from schemas.json_schema import definitions_schema, entries, structs
from schemas.reading import read_definition
from schemas.reference import reference
from tests.strategies import Document, definitions
from tests.unit.journeys.test_refusals import SPEC_REFUSALS
from tests.unit.journeys.test_validation import ALLOWED, REFUSALS
from tidings.cli import app
from tidings.definitions_folder import _read_file

EXAMPLES = sorted(folder for folder in (Path(__file__).parents[3] / "examples").iterdir() if folder.is_dir())
DOCS = Path(__file__).parents[3] / "docs"
VALIDATOR = Draft202012Validator(definitions_schema())
ALL_REFUSALS = [*REFUSALS, *SPEC_REFUSALS]
UNSAYABLE = frozenset(
    {
        "a public address that is none",
        "a mistake in what is counted",
        "two steps of one id",
        "a trigger with the position of another as its id",
        "a name that gives no id",
        "an unknown template",
        "a template of another channel",
        "an unknown next step",
        "an unknown branch",
        "an unknown default",
        "an unknown step after a timeout",
        "an unknown segment in a decision",
        "an unknown segment in an action",
        "an unknown segment in a condition",
        "an unreachable step",
        "a loop without a wait",
        "a loop with nothing but a condition to wait for",
        "a key with an empty part",
        "a value that no event can have",
        "a loop with a wait of nothing",
        "a shortest path longer than an execution may take",
        "two variants of one name",
        "a threshold given twice",
        "a score field that can't be",
        "a date that isn't one",
        "a zone of a workflow",
        "the default zone",
        "a time outside business hours",
        "a delay as long as it may take",
        "an unknown root",
        "a field with an empty part",
        "an unknown field of the session",
        "a range backwards",
        "a pattern that doesn't compile",
        "a pattern that looks back",
        "an instant that isn't one",
        "performed, where it looks beyond the event",
        "a reference to a field that can't be",
        "an empty reference",
        "a template that doesn't compile",
        "a template of another channel in a message",
        "an unknown template in a message",
        "an unknown segment of a trigger",
        "an action on a segment that keeps itself",
        "an unknown branch of a score",
        "an unknown branch of a split",
        "an unknown template of a test",
        "an unknown workflow of a test",
        "an unknown step of a test",
        "a step of another workflow of a test",
        "an unknown trigger of a test",
        "a trigger of another workflow of a test",
        "an unknown step of a decision of a test",
        "an unknown base",
        "an unknown variation",
        "an override of an unknown step",
        "a template of an override",
        "shares that aren't 1",
        "a share too few",
        "a cron that never comes",
        "quiet hours without end",
        "a Liquid template",
        "an MJML template",
    }
)
"""Refusals that span several places, or need more than patterns: a schema has no words for them."""


def mail(**rest: Json) -> Document:
    step: Document = {"id": "mail", "type": "email", "configuration": {"template_id": "hello"}}
    return {"name": "w", "steps": [step | rest]}


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(definitions_schema())


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_every_example_satisfies_it(folder: Path) -> None:
    files = [file for file in folder.rglob("*.yaml") if not file.name.startswith(".")]
    documents = [document for file in files for document in _read_file(file, file.name, [])]
    assert documents
    for document in documents:
        assert [error.message for error in VALIDATOR.iter_errors(document.value)] == []


@given(definitions())
@settings(max_examples=30)
def test_what_the_program_accepts_an_editor_accepts(documents: list[Document]) -> None:
    """Whatever is drawn for the laws of the rules, valid all of it, satisfies the schema."""
    for document in documents:
        assert read_definition(document).problems == ()
        assert VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(mail(colour="red"), id="an unknown key"),
        pytest.param(mail(type="pigeon"), id="an unknown step"),
        pytest.param({"name": "w"}, id="a missing key"),
        pytest.param({"kind": "workflows", "name": "w", "steps": []}, id="an unknown kind"),
        pytest.param(mail(conditional_logic={"field": "a", "operator": "like"}), id="an unknown operator"),
        pytest.param(mail(conditional_logic={"any": [{"all": 1}]}), id="a condition within a condition"),
        pytest.param({"kind": "scoring", "half_life_hours": 0}, id="a number out of range"),
        pytest.param({"kind": "scoring", "half_life_hours": 10**9}, id="more than a century"),
        pytest.param({"kind": "segment", "id": ""}, id="an empty name"),
    ],
)
def test_what_an_editor_refuses_the_program_refuses(document: Document) -> None:
    assert not VALIDATOR.is_valid(document)
    assert read_definition(document).problems


def test_the_reference_names_every_key_of_every_kind() -> None:
    """One of each depth: a kind, a step, a setting, a key that Python reserves."""
    text = reference()
    for said in ("## workflow (`kind: workflow`)", "(`type: wait`)", "| `max_execution_time_days` |", "| `from` |"):
        assert said in text


def test_every_key_has_a_sentence() -> None:
    """An editor shows it beside the key, the reference in its table; inherited keys have their own as well."""
    silent = [f"{form.__name__}.{entry.key}" for form in structs() for entry in entries(form) if not entry.description]
    assert silent == []
    assert all(entry.description.endswith((".", ":")) for form in structs() for entry in entries(form))


@pytest.mark.parametrize("value", [row[1] for row in ALL_REFUSALS if row[0] not in UNSAYABLE])
def test_an_editor_refuses_what_validation_refuses(value: Json) -> None:
    assert not VALIDATOR.is_valid(value)


@pytest.mark.parametrize("value", [row[1] for row in ALL_REFUSALS if row[0] in UNSAYABLE])
def test_what_spans_more_than_a_schema_can_say_is_left_to_validation(value: Json) -> None:
    assert VALIDATOR.is_valid(value)


@pytest.mark.parametrize("value", [row[1] for row in ALLOWED], ids=[row[0] for row in ALLOWED])
def test_what_validation_allows_has_no_mark_in_an_editor(value: Json) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(value)] == []


@pytest.mark.parametrize(
    ("name", "options"),
    [("definitions.schema.json", ()), ("definitions.md", ("--markdown",))],
    ids=["schema", "reference"],
)
def test_what_lies_in_docs_is_what_the_program_prints(name: str, options: tuple[str, ...]) -> None:
    """If this fails, `make reference` writes them anew."""
    printed = CliRunner().invoke(app, ["schema", *options])
    assert printed.exit_code == 0
    assert (DOCS / name).read_text() == printed.stdout


def test_every_link_of_the_reference_leads_to_a_section() -> None:
    text = reference()
    sections = {
        re.sub(r"[^\w -]", "", line.removeprefix("## ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("## ")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= sections
