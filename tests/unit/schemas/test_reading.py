"""Reading turns a JSON value into the types of definitions, and notes every mistake with its path."""

import math
from typing import Final

import pytest

from schemas.definitions import (
    AllOf,
    AnyDefinition,
    AnyOf,
    Comparison,
    Condition,
    DecisionStep,
    EmailStep,
    EventCondition,
    FixedTime,
    Negation,
    ReEntry,
    Segment,
    Settings,
    Template,
    Timing,
    Workflow,
    WorkflowSettings,
)
from schemas.events import Json
from schemas.problems import child, shown
from schemas.reading import MAX_PROBLEMS, Reading, read, read_definition

EMAIL: Final[Json] = {"id": "mail", "type": "email", "configuration": {"template_id": "t"}}


def workflow(**changes: Json) -> dict[str, Json]:
    return {"name": "W", "steps": [EMAIL], **changes}


def step(kind: str, **configuration: Json) -> dict[str, Json]:
    return workflow(steps=[{"id": "s", "type": kind, "configuration": configuration}])


def trigger(**changes: Json) -> dict[str, Json]:
    return workflow(triggers=[{"type": "behavioral", "conditions": {"event_type": "e"}, **changes}])


def found(value: Json) -> list[tuple[str, str, str]]:
    return [(problem.path, problem.message, problem.expected) for problem in read_definition(value).problems]


def value_of(reading: Reading[AnyDefinition]) -> AnyDefinition:
    assert reading.problems == ()
    assert reading.value is not None
    return reading.value


def condition_of(value: Json) -> object:
    document = workflow(steps=[{**EMAIL, "conditional_logic": value}])  # type: ignore[dict-item]
    built = value_of(read_definition(document))
    assert isinstance(built, Workflow)
    return built.steps[0].conditional_logic


def test_a_document_without_kind_is_a_workflow_and_defaults_are_filled_in() -> None:
    built = value_of(read_definition(workflow()))
    assert isinstance(built, Workflow)
    assert built.settings == WorkflowSettings()
    assert isinstance(built.steps[0], EmailStep)
    assert built.steps[0].configuration.timing == Timing()


def test_a_trigger_condition_without_condition_type_is_an_event_and_takes_any_key_as_an_equality() -> None:
    conditions: Json = {"event_type": "signup", "source": "website", "from": 3, "equals": [True]}
    built = value_of(read_definition(trigger(conditions=conditions)))
    assert isinstance(built, Workflow)
    assert built.triggers[0].conditions == EventCondition(
        event_type="signup", equals={"source": "website", "from": 3, "equals": [True]}
    )


def test_words_that_python_reserves_are_written_plainly_in_documents() -> None:
    built = value_of(read_definition(workflow(settings={"re_entry": {"after_hours": 1, "from": "started"}})))
    assert isinstance(built, Workflow)
    assert built.settings.re_entry == ReEntry(after_hours=1, from_="started")
    template = value_of(read_definition({"kind": "template", "id": "t", "content_template": "", "from": "a@b.example"}))
    assert isinstance(template, Template)
    assert template.from_ == "a@b.example"


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        ({"field": "a", "operator": "eq", "value": 1}, Comparison(field="a", operator="eq", value=1)),
        ({"operator": "in_segment", "value": "s"}, Comparison(operator="in_segment", value="s")),
        ({"all": []}, AllOf(all=())),
        ({"any": [{"field": "a", "operator": "exists"}]}, AnyOf(any=(Comparison(field="a", operator="exists"),))),
        ({"not": {"not": {"any": []}}}, Negation(negated=Negation(negated=AnyOf(any=())))),
    ],
)
def test_a_condition_is_told_apart_by_its_keys(value: Json, condition: Condition) -> None:
    assert condition_of(value) == condition


def test_a_whole_number_is_taken_for_a_number_and_becomes_one() -> None:
    built = value_of(read_definition(step("wait", type="fixed_time", duration_hours=24)))
    assert isinstance(built, Workflow)
    wait = built.steps[0].configuration
    assert isinstance(wait, FixedTime)
    assert isinstance(wait.duration_hours, float)


MISTAKES: Final[list[tuple[Json, str, str, str]]] = [
    # the document as a whole
    ("text", "", "'text'", "a mapping"),
    (None, "", "null", "a mapping"),
    ([1], "", "a list", "a mapping"),
    (workflow(kind="workflw"), "kind", "'workflw' is no known kind", "did you mean 'workflow'?"),
    (workflow(kind=["workflow"]), "kind", "a list is no known kind", "one of workflow, template"),
    (workflow(kind="model"), "kind", "kind 'model' isn't built yet", "one of workflow, template"),
    # fields
    (workflow(stepz=[]), "stepz", "is no known field", "did you mean 'steps'?"),
    ({"steps": [EMAIL]}, "name", "is missing", "text of 1 to 200 characters"),
    ({"nam": "W", "steps": [EMAIL]}, "nam", "is no known field", "did you mean 'name'?"),
    ({"name": "W"}, "steps", "is missing", "a list"),
    (workflow(steps={}), "steps", "is a mapping", "a list"),
    (workflow(name=5), "name", "is 5", "text of 1 to 200 characters"),
    (workflow(name=""), "name", "is ''", "text of 1 to 200 characters"),
    (workflow(name="x" * 201), "name", "is 'xxx", "text of 1 to 200 characters"),
    (workflow(name="a\nb"), "name", "holds a control character", "one line"),
    (workflow(enabled="yes"), "enabled", "is 'yes'", "true or false"),
    (workflow(description=None), "description", "is null", "text"),
    (workflow(description=9), "description", "is 9", "text (in quotes)"),
    (workflow(description="\ud800"), "description", "half a surrogate", "UTF-8"),
    (
        step("action", type="update_attributes", attributes={"x": [math.inf]}),
        "steps[0].configuration.attributes.x[0]",
        "is inf",
        "a number of ordinary size",
    ),
    (
        {"kind": "settings", "max_sends_per_minute": {"email": 5}},
        "max_sends_per_minute",
        "isn't built yet",
        "leave it out; known are",
    ),
    (workflow(settings={"goal": {}}), "settings.goal", "is no condition", "{field, operator, value}"),
    (
        workflow(settings={"goal": 5}),
        "settings.goal",
        "is 5",
        "or {event_type, where, value_field}",
    ),
    (
        workflow(settings={"goal": {"event_type": "order", "valuefield": "total"}}),
        "settings.goal.valuefield",
        "is no known field",
        "did you mean 'value_field'?",
    ),
    (workflow(settings={"holdout_percent": 101}), "settings.holdout_percent", "is 101", "a number from 0 to 100"),
    ({"kind": "segment", "id": "s", "condition": {}}, "condition", "is no condition", "{field, operator, value}"),
    # numbers
    (trigger(priority=1.5), "triggers[0].priority", "is 1.5", "a whole number"),
    (trigger(priority=True), "triggers[0].priority", "is true", "a whole number"),
    (trigger(priority=10**30), "triggers[0].priority", "a very large number", "a whole number"),
    (trigger(cooldown_hours=-1), "triggers[0].cooldown_hours", "is -1", "a number of 0 or more"),
    (trigger(cooldown_hours=False), "triggers[0].cooldown_hours", "is false", "a number of 0 or more"),
    (trigger(cooldown_hours="1"), "triggers[0].cooldown_hours", "is '1'", "a number of 0 or more"),
    (trigger(cooldown_hours=math.nan), "triggers[0].cooldown_hours", "is nan", "a number"),
    (trigger(cooldown_hours=math.inf), "triggers[0].cooldown_hours", "is inf", "a number"),
    (trigger(cooldown_hours=1e9), "triggers[0].cooldown_hours", "more than a century", "at most 876000"),
    ({"kind": "settings", "max_event_age_hours": 0}, "max_event_age_hours", "is 0", "a number above 0"),
    ({"kind": "settings", "max_concurrent_executions": 201}, "max_concurrent_executions", "is 201", "from 1 to 200"),
    ({"kind": "scoring", "weights": {"a b": "x"}}, "weights['a b']", "is 'x'", "a number"),
    ({"kind": "scoring", "weights": []}, "weights", "is a list", "a mapping"),
    (
        trigger(conditions={"condition_type": "frequency_threshold", "event_type": "e", "min_frequency": 1001}),
        "triggers[0].conditions.min_frequency",
        "is 1001",
        "a whole number from 1 to 1000",
    ),
    (
        trigger(conditions={"condition_type": "inactivity_period", "inactivity_hours": 0}),
        "triggers[0].conditions.inactivity_hours",
        "is 0",
        "a number above 0",
    ),
    # choices and tags
    (trigger(type="behavioural"), "triggers[0].type", "is 'behavioural'", "did you mean 'behavioral'?"),
    (
        trigger(conditions={"condition_type": "schedul", "cron": "0 9 * * *"}),
        "triggers[0].conditions.condition_type",
        "'schedul' is no known condition_type",
        "did you mean 'schedule'?",
    ),
    (trigger(conditions={}), "triggers[0].conditions.event_type", "is missing", "text"),
    (trigger(conditions={"event_typ": "e"}), "triggers[0].conditions.event_type", "is missing", "by 'event_typ'?"),
    (step("webhok"), "steps[0].type", "'webhok' is no known step", "one of email, sms, push, social"),
    (step("wait"), "steps[0].configuration.type", "is missing", "one of fixed_time, until_time"),
    (step("wait", type="fixed_tim"), "steps[0].configuration.type", "no known wait", "did you mean 'fixed_time'?"),
    (step("wait", type="until_condition"), "steps[0].configuration.condition", "is missing", "a condition"),
    (
        step("decision", type="scor_based", thresholds=[]),
        "steps[0].configuration.type",
        "no known decision",
        "'score_based'",
    ),
    (
        step("decision", type="split_test", variants=[{"name": "a", "weight": 0, "next_step": "s"}]),
        "steps[0].configuration.variants[0].weight",
        "is 0",
        "a number above 0",
    ),
    ({"kind": "settings", "require_consent": ["fax"]}, "require_consent[0]", "is 'fax'", "one of email, sms"),
    # conditions
    (trigger(conditions={"event_type": "e", "where": []}), "triggers[0].conditions.where", "is a list", "a condition"),
    (trigger(conditions={"event_type": "e", "where": {}}), "triggers[0].conditions.where", "is no condition", "all"),
    (
        trigger(conditions={"event_type": "e", "where": {"all": [], "any": []}}),
        "triggers[0].conditions.where",
        "has both 'all' and 'any'",
        "one of them",
    ),
    (
        trigger(conditions={"event_type": "e", "where": {"field": "a", "value": 1}}),
        "triggers[0].conditions.where.operator",
        "is missing",
        "one of eq, ne",
    ),
    (
        trigger(conditions={"event_type": "e", "where": {"not": {"all": [{"field": "a", "operator": "equals"}]}}}),
        "triggers[0].conditions.where.not.all[0].operator",
        "is 'equals'",
        "one of eq, ne",
    ),
]


@pytest.mark.parametrize(("value", "path", "message", "expected"), MISTAKES)
def test_each_mistake_is_the_only_one_reported_with_its_path_and_what_would_be_right(
    value: Json, path: str, message: str, expected: str
) -> None:
    reported = found(value)
    assert [mistake[0] for mistake in reported] == [path]
    assert message in reported[0][1]
    assert expected in reported[0][2]


def test_all_mistakes_of_a_document_are_reported_together() -> None:
    value = workflow(
        name=1,
        colour="red",
        triggers=[{"type": "x", "conditions": {"where": {}}, "priority": "high"}],
        steps=[{"id": "", "type": "email", "configuration": {}, "next_steps": "b"}, "step"],
        settings={"priority": None, "re_entry": {"from": "never"}},
    )
    assert [path for path, _, _ in found(value)] == [
        "name",
        "steps[0].id",
        "steps[0].configuration.template_id",
        "steps[0].next_steps",
        "steps[1]",
        "triggers[0].type",
        "triggers[0].conditions.event_type",
        "triggers[0].conditions.where",
        "triggers[0].priority",
        "settings.re_entry.from",
        "settings.priority",
        "colour",
    ]


def test_behind_a_misspelt_type_mistakes_are_still_found() -> None:
    value = workflow(steps=[{"id": "s", "type": "emial", "configuration": {"timing": {"at": 9}}}])
    assert [path for path, _, _ in found(value)] == [
        "steps[0].configuration.template_id",
        "steps[0].configuration.timing.at",
        "steps[0].type",
    ]


def test_sound_parts_of_a_broken_document_are_kept_with_their_paths() -> None:
    reading = read_definition(workflow(name=1, settings={"timezone": "UTC"}))
    assert reading.value is None
    assert [(node.path, type(node.value)) for node in reading.nodes if isinstance(node.value, WorkflowSettings)] == [
        ("settings", WorkflowSettings)
    ]


def test_nesting_is_bounded() -> None:
    condition: Json = {"all": []}
    for _ in range(5_000):
        condition = {"not": condition}
    reported = found(
        workflow(steps=[{"id": "s", "type": "email", "configuration": {}, "conditional_logic": condition}])
    )
    assert [message for path, message, _ in reported if ".not" in path] == ["is nested too deeply"]


def test_json_values_are_bounded_in_depth_too() -> None:
    value: Json = 1
    for _ in range(5_000):
        value = [value]
    (mistake,) = found(trigger(conditions={"event_type": "e", "deep": value}))
    assert mistake[1] == "is nested too deeply"


def test_problems_are_bounded_in_number() -> None:
    assert len(found({**workflow(), **{f"unknown_{number}": 1 for number in range(3_000)}})) == MAX_PROBLEMS


def test_what_json_cant_hold_is_reported_and_not_raised() -> None:
    value = read_definition(trigger(conditions={"event_type": "e", "odd": {1, 2}}))  # type: ignore[dict-item]
    assert [problem.message for problem in value.problems] == ["is a set"]


def test_problems_carry_the_file_and_the_prefix_of_their_document() -> None:
    (problem,) = read_definition({"kind": "segment"}, "document 2: ", file="a.yaml").problems
    assert (problem.file, problem.path) == ("a.yaml", "document 2: id")


def test_a_struct_can_be_read_alone() -> None:
    assert read({"id": "s"}, Segment).value == Segment(id="s")
    assert read({"default_timezone": "Europe/Berlin"}, Settings).value == Settings(default_timezone="Europe/Berlin")


def test_a_decision_step_is_read_by_the_type_of_its_configuration() -> None:
    value = step("decision", type="score_based", thresholds=[{"min_score": 5, "next_step": "s"}])
    built = value_of(read_definition(value))
    assert isinstance(built, Workflow)
    assert isinstance(built.steps[0], DecisionStep)


@pytest.mark.parametrize(
    ("key", "path"),
    [("plain", "a.plain"), (3, "a[3]"), ("two words", "a['two words']"), ("\x1b[2J", "a['\\x1b[2J']"), ("", "a['']")],
)
def test_paths_hold_keys_that_a_terminal_cant_take_for_commands(key: str | int, path: str) -> None:
    assert child("a", key) == path


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (1, "1"), (None, "null"), ({}, "a mapping"), ([], "a list"), ("a\n", "'a\\n'")],
)
def test_values_are_shown_on_one_line(value: Json, text: str) -> None:
    assert shown(value) == text


def test_long_values_are_cut() -> None:
    assert len(shown("x" * 10_000)) < 80
