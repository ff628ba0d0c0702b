"""The schema of definition files, and their reference: what an editor accepts, the program reads."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from schemas.events import Json
from schemas.json_schema import definitions_schema, entries, reference, structs
from schemas.reading import read_definition
from tests.strategies import Document, definitions
from tidings.definitions_folder import load_folder

EXAMPLES = sorted(folder for folder in (Path(__file__).parents[3] / "examples").iterdir() if folder.is_dir())
VALIDATOR = Draft202012Validator(definitions_schema())


def mail(**rest: Json) -> Document:
    step: Document = {"id": "mail", "type": "email", "configuration": {"template_id": "hello"}}
    return {"name": "w", "steps": [step | rest]}


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(definitions_schema())


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_every_example_satisfies_it(folder: Path) -> None:
    for document in load_folder(folder).documents:
        assert [error.message for error in VALIDATOR.iter_errors(document)] == []


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
