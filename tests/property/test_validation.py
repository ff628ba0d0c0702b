"""Validation against documents that chance has spoilt: problems are reported and never raised; what passes compiles."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from journeys.catalogue import compile_catalogue
from journeys.validation import Document, definitions_from_documents, validate
from schemas.events import Json
from schemas.problems import sentence
from tidings.definitions_folder import LoadResult, load_folder

WELCOME: Final = Path(__file__).parents[2] / "examples" / "welcome"
FILES: Final = {path.name: path.read_bytes() for path in sorted(WELCOME.glob("*.yaml"))}

# Documents that use every construct, so that a mutation may meet any check.
EVERYTHING: Final[list[Json]] = [
    {
        "id": "everything",
        "name": "Everything",
        "triggers": [
            {"type": "behavioral", "conditions": {"event_type": "signup", "source": "website", "where": {"all": []}}},
            {
                "type": "engagement_based",
                "conditions": {"condition_type": "frequency_threshold", "event_type": "e", "min_frequency": 3},
            },
            {"type": "time_based", "conditions": {"condition_type": "inactivity_period", "inactivity_hours": 24}},
        ],
        "steps": [
            {
                "id": "mail",
                "type": "email",
                "configuration": {
                    "template_id": "hello",
                    "timing": {"delay_hours": 1, "business_hours_only": True, "avoid_weekends": True, "at": "10:30"},
                    "guard": {"not": {"any": [{"field": "plan", "operator": "matches", "value": "^f"}]}},
                },
                "next_steps": ["wait", "until"],
            },
            {
                "id": "wait",
                "type": "wait",
                "configuration": {"type": "fixed_time", "calendar_days": 1, "at": "09:00"},
                "next_steps": ["clock"],
            },
            {"id": "clock", "type": "wait", "configuration": {"type": "until_time", "target_time": "9:00"}},
            {
                "id": "until",
                "type": "wait",
                "configuration": {
                    "type": "until_event",
                    "event_type": "order_completed",
                    "where": {"field": "event.total", "operator": "between", "value": [1, 2]},
                    "timeout_hours": 5,
                    "timeout_next_step": "date",
                },
                "next_steps": ["branch"],
            },
            {
                "id": "date",
                "type": "wait",
                "configuration": {"type": "until_date", "target_date": "2026-01-31"},
                "next_steps": ["split"],
            },
            {
                "id": "branch",
                "type": "decision",
                "configuration": {
                    "type": "condition",
                    "conditions": [
                        {"rule": {"operator": "in_segment", "value": "vip"}, "next_step": "split"},
                        {
                            "rule": {
                                "operator": "performed",
                                "value": {
                                    "event_type": "e",
                                    "min_count": 2,
                                    "within_hours": 48,
                                    "where": {"field": "event.total", "operator": "in", "value": [1, "a", None]},
                                },
                            },
                            "next_step": "score",
                        },
                        {
                            "rule": {"field": "last_activity", "operator": "before", "value": "2026-01-31"},
                            "next_step": "segment",
                        },
                    ],
                    "default_next_step": "set",
                },
            },
            {
                "id": "split",
                "type": "decision",
                "configuration": {
                    "type": "split_test",
                    "variants": [
                        {"name": "a", "weight": 1, "next_step": "set"},
                        {"name": "b", "weight": 2, "next_step": "add"},
                    ],
                },
            },
            {
                "id": "score",
                "type": "decision",
                "configuration": {"type": "score_based", "thresholds": [{"min_score": 50, "next_step": "remove"}]},
            },
            {
                "id": "segment",
                "type": "decision",
                "configuration": {"type": "segment_check", "segments": [{"segment_id": "vip", "next_step": "exit"}]},
            },
            {
                "id": "set",
                "type": "action",
                "configuration": {
                    "type": "update_attributes",
                    "attributes": {"a": "${trigger.total}", "b": [{"c": 1}]},
                },
            },
            {"id": "add", "type": "action", "configuration": {"type": "add_to_segment", "segment_id": "vip"}},
            {"id": "remove", "type": "action", "configuration": {"type": "remove_from_segment", "segment_id": "vip"}},
            {"id": "exit", "type": "action", "configuration": {"type": "exit"}, "conditional_logic": {"any": []}},
        ],
        "settings": {"re_entry": {"after_hours": 1, "from": "started"}, "timezone": "Europe/Berlin"},
    },
    {
        "kind": "template",
        "id": "hello",
        "content_template": "<p>Hi {first_name} {dynamic_content_r}</p>",
        "personalization_fields": ["company"],
        "from": "Shop <a@b.example>",
        "dynamic_content_rules": {
            "r": {
                "condition": {"field": "plan", "operator": "exists"},
                "content_variants": [{"content": "x", "condition": {"field": "a", "operator": "eq", "value": 1}}],
            }
        },
    },
    {"kind": "segment", "id": "vip"},
    {"kind": "scoring", "weights": {"signup": 10}, "half_life_hours": 336},
    {"kind": "settings", "default_timezone": "UTC", "public_url": "https://shop.example"},
]

WORDS: Final = (
    "", "a", "mail", "vip", "hello", "event.x", "session.x", "a..b", "kind", "type", "id", "operator", "all", "not", "value",
    "where", "performed", "in_segment", "matches", "between", "before", "exit", "email", "workflow", "template", "until_event",
    "(", "[a-", "25:00", "2026-13-01", "Europe/Berlin", "../etc", "${", "${}", "${now.x}", "{", "{a}", "\x00", "\ud800", "\n",
)  # fmt: skip

scalars: st.SearchStrategy[Json] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=5),
)
values: st.SearchStrategy[Json] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def copy(value: Json) -> Json:
    match value:
        case dict():
            return {key: copy(item) for key, item in value.items()}
        case list():
            return [copy(item) for item in value]
    return value


def containers(value: Json) -> list[dict[str, Json] | list[Json]]:
    """List every mapping and list in a value, the value itself first."""
    found: list[dict[str, Json] | list[Json]] = []
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict | list):
            found.append(current)
            waiting += current.values() if isinstance(current, dict) else current
    return found


def spoil(draw: st.DrawFn, documents: list[Json]) -> None:
    """Delete, replace, insert, or move a node."""
    container = draw(st.sampled_from(containers(documents)))
    donor = draw(st.sampled_from(containers(documents)))
    fresh = draw(values | st.just(copy(donor)))
    deletes = draw(st.booleans())
    if isinstance(container, dict):
        key = draw(st.sampled_from([*container, *WORDS]))
        if deletes:
            container.pop(key, None)
        else:
            container[key] = fresh
    elif deletes and container:
        del container[draw(st.integers(0, len(container) - 1))]
    else:
        container.insert(draw(st.integers(0, len(container))), fresh)


@st.composite
def spoilt_documents(draw: st.DrawFn) -> list[Json]:
    documents = copy(EVERYTHING)
    assert isinstance(documents, list)
    for _ in range(draw(st.integers(1, 5))):
        spoil(draw, documents)
    return documents


@st.composite
def spoilt_files(draw: st.DrawFn) -> dict[str, bytes]:
    """The example's files with bytes deleted, replaced and inserted."""
    files = dict(FILES)
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from(sorted(files)))
        content = files[name]
        start = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 40))
        noise = draw(
            st.binary(max_size=4)
            | st.sampled_from([b"[", b"{", b"- ", b": ", b"\n", b"&a ", b"*a", b"---\n", b"'", b"!!x "])
        )
        files[name] = content[:start] + noise + content[start + length :]
    return files


def loaded(files: dict[str, bytes]) -> LoadResult:
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return load_folder(Path(folder))


def test_documents_that_use_everything_are_valid() -> None:
    validated = validate([Document(file="all.json", value=value) for value in EVERYTHING])
    assert validated.problems == ()


@given(spoilt_documents())
def test_spoilt_documents_are_refused_with_reasons_or_compile_and_survive_storage(documents: list[Json]) -> None:
    validated = validate([Document(file="all.json", value=value) for value in documents])
    assert (validated.definitions is None) == bool(validated.problems)
    for problem in (*validated.problems, *validated.warnings):
        assert problem.message
        assert problem.expected
        assert sentence(problem).isprintable()
    if validated.definitions is not None:
        compile_catalogue(validated.definitions, 1)
        stored = msgspec.json.decode(msgspec.json.encode(documents))
        assert definitions_from_documents(stored) == validated.definitions


@given(spoilt_documents())
def test_the_same_documents_give_the_same_problems(documents: list[Json]) -> None:
    given_documents = [Document(file="all.json", value=value) for value in documents]
    assert validate(given_documents) == validate(given_documents)


@given(spoilt_files())
def test_spoilt_files_are_refused_with_reasons_or_compile(files: dict[str, bytes]) -> None:
    result = loaded(files)
    assert (result.definitions is None) == bool(result.problems)
    assert all(problem.message and problem.expected for problem in result.problems)
    if result.definitions is not None:
        compile_catalogue(result.definitions, 1)
        assert definitions_from_documents(result.documents) == result.definitions


@given(st.binary(max_size=200), st.sampled_from(["a.yaml", "a.json"]))
def test_any_bytes_are_a_problem_or_definitions(content: bytes, name: str) -> None:
    result = loaded({name: content})
    assert (result.definitions is None) == bool(result.problems)


@given(values)
def test_any_value_is_a_problem_or_a_definition(value: Json) -> None:
    validated = validate([Document(file="a.json", value=value)])
    assert (validated.definitions is None) == bool(validated.problems)
