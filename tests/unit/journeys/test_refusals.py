"""SPEC's list of what validation refuses, phrase by phrase, and every key's type, range and presence from the types.

What other files of this folder already try one by one (`REFUSALS`) isn't repeated here.
"""

from typing import Annotated, Final, get_args, get_origin

import pytest
from msgspec import Meta, Struct

from journeys.validation import validate
from schemas.definitions import EventCondition
from schemas.events import Json
from schemas.json_schema import Entry, entries, structs
from schemas.problems import Problem
from schemas.reading import DEFAULT_TAGS, LONGEST, read
from tests.unit.journeys.test_validation import (
    CONFIGURATION,
    FILE,
    SEGMENT,
    SMS,
    TEMPLATE,
    TIMING,
    action,
    decision,
    documents,
    mail,
    timed,
    triggered,
    wait,
    workflow,
)

RICH: Final[Json] = {
    "kind": "segment",
    "id": "rich",
    "condition": {"field": "total_spent", "operator": "gt", "value": 9},
}
BASE: Final[dict[str, Json]] = workflow(mail("mail"), name="Base")
OTHER: Final[dict[str, Json]] = workflow(mail("mail"), name="Other")
SPLIT: Final[Json] = {"traffic_split": {"control": 0.5, "variations": [0.5]}}
VARIED: Final[Json] = {"id": "v", "steps": {"mail": {"template_id": "hello"}}}
CONDITIONS: Final = "triggers[0].conditions"


def message(**configuration: Json) -> dict[str, Json]:
    return workflow({"id": "ask", "type": "message", "configuration": configuration})


def experiment(*variations: Json, **changes: Json) -> dict[str, Json]:
    value: dict[str, Json] = {"kind": "experiment", "id": "e", "base_workflow_id": "base", "config": SPLIT}
    return value | {"variations": list(variations or ("other",))} | changes


def settings(**changes: Json) -> dict[str, Json]:
    return {"kind": "settings", **changes}


def quiet(start: Json, end: Json, **changes: Json) -> dict[str, Json]:
    return settings(quiet_hours={"start": start, "end": end, **changes})


def template(content: str, **changes: Json) -> dict[str, Json]:
    return {"kind": "template", "id": "x", "content_template": content, **changes}


def expecting(**expected: Json) -> dict[str, Json]:
    return {"kind": "test", "id": "t", "events": [], "sends": [expected]}


def deciding(**expected: Json) -> dict[str, Json]:
    return {"kind": "test", "id": "t", "events": [], "decisions": [{"kind": "trigger_fired", **expected}]}


SPEC_REFUSALS: Final[list[tuple[str, Json, str, str, str]]] = [
    # unknown kinds, types, operators, fields of a definition and references
    ("an unknown kind", {"kind": "segmnt", "id": "x"}, "kind", "is no known kind", "did you mean 'segment'?"),
    ("an unknown trigger type", workflow(triggers=[{"type": "behavioural", "conditions": {"event_type": "e"}}]), "triggers[0].type", "is 'behavioural'", "did you mean 'behavioral'?"),
    ("an unknown condition type", triggered(condition_type="frequency"), f"{CONDITIONS}.condition_type", "is no known condition_type", "frequency_threshold"),
    ("an unknown step type", workflow({"id": "a", "type": "pigeon", "configuration": {}}), "steps[0].type", "is no known step", "email"),
    ("an unknown wait", workflow(wait("a", type="until_tme", target_time="09:00")), f"{CONFIGURATION}.type", "is no known wait", "did you mean 'until_time'?"),
    ("an unknown decision", workflow(decision(type="split")), f"{CONFIGURATION}.type", "is no known decision", "split_test"),
    ("an unknown action", workflow(action(type="update_attribute", attributes={})), f"{CONFIGURATION}.type", "is no known action", "did you mean 'update_attributes'?"),
    ("an unknown channel of a message", message(templates={"email": "hello", "fax": "text"}), f"{CONFIGURATION}.templates.fax", "", "one of"),
    ("a template of another channel in a message", message(templates={"email": "text"}), f"{CONFIGURATION}.templates.email", "is for sms", "for email"),
    ("an unknown template in a message", message(templates={"sms": "txt"}), f"{CONFIGURATION}.templates.sms", "no template 'txt'", "did you mean 'text'?"),
    ("a message on no channel", message(templates={}), f"{CONFIGURATION}.templates", "is empty", "at least one of email"),
    ("an unknown segment of a trigger", triggered(condition_type="segment_change", segment_id="vips"), f"{CONDITIONS}.segment_id", "no segment 'vips'", "did you mean 'vip'?"),
    ("an action on a segment that keeps itself", workflow(action(type="add_to_segment", segment_id="rich")), f"{CONFIGURATION}.segment_id", "come by its condition", "without a condition"),
    ("an unknown branch of a score", workflow(decision(type="score_based", thresholds=[{"min_score": 1, "next_step": "x"}])), f"{CONFIGURATION}.thresholds[0].next_step", "no step 'x'", "the id of a step"),
    ("an unknown branch of a split", workflow(decision(type="split_test", variants=[{"name": "a", "weight": 1, "next_step": "x"}])), f"{CONFIGURATION}.variants[0].next_step", "no step 'x'", "the id of a step"),
    ("an unknown template of a test", expecting(template_id="helo"), "sends[0].template_id", "no template 'helo'", "did you mean 'hello'?"),
    ("an unknown workflow of a test", expecting(workflow_id="bse"), "sends[0].workflow_id", "no workflow 'bse'", "did you mean 'base'?"),
    ("an unknown step of a test", expecting(step_id="mial"), "sends[0].step_id", "no step 'mial'", "did you mean 'mail'?"),
    ("a step of another workflow of a test", expecting(workflow_id="base", step_id="elsewhere"), "sends[0].step_id", "no step 'elsewhere' in workflow 'base'", "the id of a step in workflow 'base'"),
    ("an unknown trigger of a test", deciding(trigger_id="zero"), "decisions[0].trigger_id", "no trigger 'zero'", "the id of a trigger"),
    ("a trigger of another workflow of a test", deciding(workflow_id="base", trigger_id="7"), "decisions[0].trigger_id", "no trigger '7' in workflow 'base'", "the id of a trigger in workflow 'base'"),
    ("an unknown step of a decision of a test", deciding(workflow_id="base", step_id="mial"), "decisions[0].step_id", "no step 'mial' in workflow 'base'", "did you mean 'mail'?"),
    ("an unknown base", experiment(base_workflow_id="bse"), "base_workflow_id", "no workflow 'bse'", "did you mean 'base'?"),
    ("an unknown variation", experiment("othr"), "variations[0]", "no workflow 'othr'", "did you mean 'other'?"),
    ("an override of an unknown step", experiment({"id": "v", "steps": {"mial": {}}}), "variations[0].steps.mial", "no step 'mial'", "did you mean 'mail'?"),
    ("a template of an override", experiment({"id": "v", "templates": {"hello": "nil"}}), "variations[0].templates.hello", "no template 'nil'", "the id of a template"),
    # counts that a customer's state would have to hold
    ("too many to count", triggered(condition_type="frequency_threshold", event_type="e", min_frequency=1_001), f"{CONDITIONS}.min_frequency", "is 1001", "from 1 to 1000"),
    ("too many in a session", triggered(condition_type="session_threshold", metric="pages", min_value=1_001), f"{CONDITIONS}.min_value", "is 1001", "up to 1000"),
    ("a sequence of nothing", triggered(condition_type="event_sequence", required_sequence=[]), f"{CONDITIONS}.required_sequence", "holds 0 events", "1 to 20"),
    ("a sequence of 21", triggered(condition_type="event_sequence", required_sequence=["e"] * 21), f"{CONDITIONS}.required_sequence", "holds 21 events", "1 to 20"),
    # weights, shares and experiments
    ("a weight below 0", workflow(decision(type="split_test", variants=[{"name": "a", "weight": -1, "next_step": "choose"}])), f"{CONFIGURATION}.variants[0].weight", "is -1", "above 0"),
    ("shares that aren't 1", experiment(config={"traffic_split": {"control": 0.5, "variations": [0.4]}}), "config.traffic_split", "adds up to 0.9", "add up to 1"),
    ("a share too few", experiment("other", VARIED), "config.traffic_split.variations", "has 1 shares", "2, one for each variation"),
    ("a goal of an experiment", experiment(config={**SPLIT, "goal": {"field": "a", "operator": "like"}}), "config.goal.operator", "is 'like'", "one of eq"),  # type: ignore[dict-item]
    # times, dates, zones and crons that don't parse
    ("the time of a date trigger", triggered(condition_type="date_attribute", attribute="born", at="9"), f"{CONDITIONS}.at", "is '9'", 'such as "09:00"'),
    ("a cron of four fields", triggered(condition_type="schedule", cron="0 9 * *"), f"{CONDITIONS}.cron", "five fields", '"0 9 * * mon-fri"'),
    ("a cron that never comes", triggered(condition_type="schedule", cron="0 9 30 2 *"), f"{CONDITIONS}.cron", "", "some date matches"),
    ("the start of quiet hours", quiet("22", "08:00"), "quiet_hours.start", "is '22'", 'such as "22:00"'),
    ("the end of quiet hours", quiet("22:00", "24:00"), "quiet_hours.end", "is '24:00'", 'such as "22:00"'),
    ("a day of quiet hours", quiet("22:00", "08:00", days=["monday"]), "quiet_hours.days[0]", "is 'monday'", "one of mon, tue"),
    ("quiet hours on no day", quiet("22:00", "08:00", days=[]), "quiet_hours.days", "is empty", "at least one of"),
    ("the start of a test", {"kind": "test", "id": "t", "events": [], "start": "today"}, "start", "", "RFC 3339"),
    # timings that can never hold
    ("quiet hours without end", quiet("08:00", "08:00"), "quiet_hours", "no minute of the week", "a start that isn't the end"),
    # templates that don't compile
    ("a Liquid template", template("{% if %}", engine="liquid"), "content_template", "", "compiles"),
    ("an MJML template", template("<mjml><mj-body><mj-foo/></mj-body></mjml>", engine="mjml"), "content_template", "", ""),
    # caps
    ("a cap on what is never capped", settings(frequency_caps=[{"max": 1, "per_hours": 1, "category": "transactional"}]), "frequency_caps[0].category", "never capped", "marketing"),
    ("the spacing of no channel", settings(channel_spacing_hours={"fax": 1}), "channel_spacing_hours.fax", "", "one of"),
    # decisions have branches
    ("next steps of an experiment", workflow({"id": "choose", "type": "experiment", "configuration": {"variants": [{"name": "a", "weight": 1, "next_step": "mail"}]}, "next_steps": ["mail"]}, mail("mail")), "steps[0].next_steps", "stand on a decision", "in its branches"),
]  # fmt: skip


def problems_of(*values: Json) -> tuple[Problem, ...]:
    return validate(documents(*values, TEMPLATE, SMS, SEGMENT, RICH, BASE, OTHER)).problems


@pytest.mark.parametrize(
    ("value", "path", "message", "expected"), [row[1:] for row in SPEC_REFUSALS], ids=[row[0] for row in SPEC_REFUSALS]
)
def test_what_spec_refuses_is_refused_with_file_path_and_what_would_be_right(
    value: Json, path: str, message: str, expected: str
) -> None:
    found = problems_of(value)
    assert [(problem.file, problem.path) for problem in found] == [(FILE, path)]
    assert message in found[0].message
    assert found[0].expected
    assert expected in found[0].expected


@pytest.mark.parametrize(
    "value",
    [
        experiment(),
        {"kind": "suppression", "id": "s", "condition": {"all": []}},
        {"kind": "test", "id": "t", "events": []},
        settings(),
        {"kind": "lifecycle"},
    ],
    ids=lambda value: value["kind"],
)
def test_what_is_there_twice_is_refused(value: Json) -> None:
    assert [problem.file for problem in problems_of(value, value) if "is given in" in problem.message] == ["1.yaml"]


def test_two_experiments_on_one_workflow_are_refused() -> None:
    found = problems_of(experiment(), experiment(VARIED, id="f"))
    assert [(problem.file, problem.path) for problem in found] == [("1.yaml", "base_workflow_id")]
    assert found[0].expected == "one experiment for each workflow"


@pytest.mark.parametrize(
    ("asked", "rest", "is_refused"),
    [
        (timed(at="23:00"), {}, True),
        (timed(at="08:00"), {}, False),
        (timed(at="07:59"), {}, True),
        (timed(at="22:00"), {}, True),
        (timed(at="21:59"), {}, False),
        (timed(business_hours_only=True, avoid_weekends=True), {}, False),
        (timed(at="23:00"), {"channels": ["sms"]}, False),
        (timed(at="23:00"), {"days": ["mon"]}, False),
        (message(templates={"email": "hello"}, timing={"at": "23:00"}), {}, True),
        (message(templates={"email": "hello", "sms": "text"}, timing={"at": "23:00"}), {"channels": ["sms"]}, False),
        (message(templates={"sms": "text"}, timing={"at": "23:00"}), {"channels": ["sms"]}, True),
        (message(templates={"sms": "text"}, timing={"at": "23:00"}, category="transactional"), {}, False),
    ],
)
def test_a_timing_that_holds_in_quiet_hours_alone_is_refused(
    asked: Json, rest: dict[str, Json], *, is_refused: bool
) -> None:
    found = problems_of(asked, quiet("22:00", "08:00", **rest))
    assert [problem.path for problem in found] == [TIMING] * is_refused
    assert all("outside of them" in problem.expected for problem in found)


# From the types -------------------------------------------------------------------------------------------------

KEYS: Final[list[tuple[type[Struct], Entry]]] = [(form, entry) for form in structs() for entry in entries(form)]


def metas(form: object) -> list[Meta]:
    """List what limits a number, of a key that may be null as well."""
    if get_origin(form) is Annotated:
        return [meta for meta in get_args(form)[1:] if isinstance(meta, Meta)]
    return [meta for part in get_args(form) for meta in metas(part)] if get_origin(form) not in (tuple, dict) else []


def beyond(form: object) -> list[float]:
    """List the numbers just outside of a range, and the ends that don't belong to it."""
    found: list[float] = []
    for meta in metas(form):
        found += [end for end in (meta.gt, meta.lt) if end is not None]
        found += [meta.ge - 1] if meta.ge is not None else []
        found += [meta.le + 1] if meta.le is not None else []
    return found


RANGES: Final = [(form, entry.key, number) for form, entry in KEYS for number in beyond(entry.form)]


def named(rows: list[tuple[type[Struct], str, float]]) -> list[str]:
    return [f"{form.__name__}.{key}={number}" for form, key, number in rows]


@pytest.mark.parametrize(("form", "key", "number"), RANGES, ids=named(RANGES))
def test_a_number_out_of_its_range_is_refused(form: type[Struct], key: str, number: float) -> None:
    found = [problem for problem in read({key: number}, form, file=FILE).problems if problem.path == key]
    assert [(problem.file, f"is {number:g}") for problem in found] == [(FILE, found[0].message)]
    assert "a" in found[0].expected


def test_every_span_of_time_has_a_least_and_a_greatest() -> None:
    """Durations, intervals and cooldowns aren't below 0, windows and limits are above 0, and nothing takes a century."""
    spans = [(form, entry) for form, entry in KEYS if entry.key.endswith(tuple(LONGEST)) and metas(entry.form)]
    assert len(spans) > 20
    for form, entry in spans:
        assert any(meta.ge is not None or meta.gt is not None for meta in metas(entry.form)), (form, entry.key)
        assert any(problem.path == entry.key for problem in read({entry.key: 1e9}, form).problems)


@pytest.mark.parametrize("form", structs(), ids=lambda form: form.__name__)
def test_what_is_required_is_missed_and_what_is_unknown_is_told(form: type[Struct]) -> None:
    required = [entry.key for entry in entries(form) if entry.required]
    assert [problem.path for problem in read({}, form).problems if problem.message == "is missing"] == required
    found = [problem for problem in read({"zzzzzz": 1}, form).problems if problem.path == "zzzzzz"]
    assert [problem.message for problem in found] == ([] if form is EventCondition else ["is no known field"])
    assert all(problem.expected for problem in found)


def test_only_the_usual_kind_and_the_usual_condition_need_no_tag() -> None:
    assert DEFAULT_TAGS == {"kind": "workflow", "condition_type": "event"}
