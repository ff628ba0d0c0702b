"""Validation refuses everything that SPEC 4 and 12 name, all at once, each with file, path and what would be right."""

from copy import deepcopy
from typing import Final

import msgspec
import pytest

from journeys.catalogue import compile_catalogue
from journeys.documents import slug
from journeys.validation import (
    Document,
    InvalidDefinitions,
    Validated,
    definitions_from_documents,
    validate,
)
from schemas.definitions import Scoring, Settings
from schemas.events import Json
from schemas.problems import sentence

FILE: Final = "journey.yaml"
TEMPLATE: Final[dict[str, Json]] = {"kind": "template", "id": "hello", "content_template": "Hi {first_name}"}
SMS: Final[dict[str, Json]] = {"kind": "template", "id": "text", "content_template": "Hi", "channel": "sms"}
SEGMENT: Final[dict[str, Json]] = {"kind": "segment", "id": "vip"}
MAIL: Final[dict[str, Json]] = {"id": "mail", "type": "email", "configuration": {"template_id": "hello"}}


def documents(*values: Json) -> list[Document]:
    return [
        Document(file=FILE if number == 0 else f"{number}.yaml", value=value) for number, value in enumerate(values)
    ]


def check(*values: Json) -> Validated:
    """Validate a workflow among what it may refer to."""
    return validate(documents(*values, TEMPLATE, SMS, SEGMENT))


def workflow(*steps: Json, **changes: Json) -> dict[str, Json]:
    return {"name": "A journey", "steps": list(steps or (MAIL,)), **changes}


def mail(name: str, *following: str, **configuration: Json) -> dict[str, Json]:
    return {
        "id": name,
        "type": "email",
        "configuration": {"template_id": "hello", **configuration},
        "next_steps": list(following),
    }


def wait(name: str, *following: str, **configuration: Json) -> dict[str, Json]:
    return {
        "id": name,
        "type": "wait",
        "configuration": {"type": "fixed_time", **configuration},
        "next_steps": list(following),
    }


def decision(**configuration: Json) -> dict[str, Json]:
    return {"id": "choose", "type": "decision", "configuration": configuration}


def action(**configuration: Json) -> dict[str, Json]:
    return {"id": "act", "type": "action", "configuration": configuration}


def guarded(**comparison: Json) -> dict[str, Json]:
    return workflow(mail("mail", guard=comparison))


def performed(**value: Json) -> dict[str, Json]:
    return guarded(operator="performed", value=value)


def timed(**timing: Json) -> dict[str, Json]:
    return workflow(mail("mail", timing=timing))


def triggered(**conditions: Json) -> dict[str, Json]:
    return workflow(triggers=[{"type": "behavioral", "conditions": conditions}])


GUARD: Final = "steps[0].configuration.guard"
TIMING: Final = "steps[0].configuration.timing"
CONFIGURATION: Final = "steps[0].configuration"

REFUSALS: Final[list[tuple[str, Json, str, str, str]]] = [
    # ids
    (
        "two steps of one id",
        workflow(mail("a", "b"), mail("b"), mail("b")),
        "steps[2].id",
        "'b' is the id of steps[1] already",
        "an id of its own",
    ),
    (
        "a trigger with the position of another as its id",
        workflow(
            triggers=[
                {"id": "1", "type": "behavioral", "conditions": {"event_type": "a"}},
                {"type": "behavioral", "conditions": {"event_type": "b"}},
            ]
        ),
        "triggers[1].id",
        "'1' is the id of triggers[0] already",
        "an id of its own",
    ),
    ("a name that gives no id", workflow(name="!!!"), "id", "the name '!!!' gives none", "an id"),
    ("an id with a slash", workflow(id="a/b"), "id", "holds a slash", "without one"),
    # references
    (
        "an unknown template",
        workflow(mail("a", template_id="helo")),
        f"{CONFIGURATION}.template_id",
        "no template 'helo'",
        "did you mean 'hello'?",
    ),
    (
        "a template of another channel",
        workflow(mail("a", template_id="text")),
        f"{CONFIGURATION}.template_id",
        "is for sms",
        "for email",
    ),
    (
        "an unknown next step",
        workflow(mail("a", "zzz")),
        "steps[0].next_steps[0]",
        "no step 'zzz'",
        "the id of a step, such as a",
    ),
    (
        "an unknown branch",
        workflow(decision(type="condition", conditions=[{"rule": {"all": []}, "next_step": "nowhere"}])),
        f"{CONFIGURATION}.conditions[0].next_step",
        "no step 'nowhere'",
        "the id of a step",
    ),
    (
        "an unknown default",
        workflow(decision(type="condition", conditions=[], default_next_step="nowhere")),
        f"{CONFIGURATION}.default_next_step",
        "no step 'nowhere'",
        "the id of a step",
    ),
    (
        "an unknown step after a timeout",
        workflow(wait("a", type="until_event", event_type="e", timeout_hours=1, timeout_next_step="nowhere")),
        f"{CONFIGURATION}.timeout_next_step",
        "no step 'nowhere'",
        "the id of a step",
    ),
    (
        "an unknown segment in a decision",
        workflow(decision(type="segment_check", segments=[{"segment_id": "vips", "next_step": "m"}]), mail("m")),
        f"{CONFIGURATION}.segments[0].segment_id",
        "no segment 'vips'",
        "did you mean 'vip'?",
    ),
    (
        "an unknown segment in an action",
        workflow(action(type="add_to_segment", segment_id="x")),
        f"{CONFIGURATION}.segment_id",
        "no segment 'x'",
        "such as vip",
    ),
    (
        "an unknown segment in a condition",
        guarded(operator="not_in_segment", value="x"),
        f"{GUARD}.value",
        "no segment 'x'",
        "such as vip",
    ),
    (
        "no segment in a condition",
        guarded(operator="in_segment", value=5),
        f"{GUARD}.value",
        "is 5",
        "the id of a segment",
    ),
    # paths
    ("a workflow without steps", {"name": "Empty", "steps": []}, "steps", "is empty", "at least one step"),
    (
        "an unreachable step",
        workflow(mail("a"), mail("b")),
        "steps[1]",
        "no path leads to step 'b'",
        "another step that names it",
    ),
    (
        "a loop without a wait",
        workflow(mail("a", "b"), mail("b", "a")),
        "steps[0]",
        "the loop a → b → a holds no wait",
        "a fixed_time above 0",
    ),
    (
        "a loop with nothing but a condition to wait for",
        workflow(mail("a", "w"), wait("w", "a", type="until_condition", condition={"all": []})),
        "steps[0]",
        "holds no wait",
        "a fixed_time above 0",
    ),
    (
        "a key that is no field of the event",
        workflow(settings={"execution_key": "order_id"}),
        "settings.execution_key",
        "'order_id' is no field of the event",
        "event. before it, such as event.order_id",
    ),
    (
        "a key with an empty part",
        workflow(settings={"execution_key": "event..id"}),
        "settings.execution_key",
        "has an empty part",
        "a field such as",
    ),
    (
        "a value that no event can have",
        workflow(settings={"goal": {"event_type": "e", "value_field": "event..net"}}),
        "settings.goal.value_field",
        "has an empty part",
        "a field such as event.total",
    ),
    (
        "a comparison in a goal",
        workflow(settings={"goal": {"field": "plan", "operator": "gt", "value": True}}),
        "settings.goal.value",
        "is true",
        "gt needs",
    ),
    (
        "a comparison among exit conditions",
        workflow(
            settings={"exit_conditions": [{"operator": "exists", "field": "plan"}, {"operator": "eq", "value": 1}]}
        ),
        "settings.exit_conditions[1].field",
        "is missing",
        "a field such as total_spent",
    ),
    (
        "a timeout's step without a timeout",
        workflow(wait("w", "a", type="until_condition", condition={"all": []}, timeout_next_step="a"), mail("a")),
        "steps[0].configuration.timeout_hours",
        "is missing",
        "hours above 0",
    ),
    (
        "a fixed wait without a duration",
        workflow(wait("w", "a"), mail("a")),
        "steps[0].configuration",
        "has no duration",
        "such as duration_hours: 24",
    ),
    (
        "a fixed wait with a duration of null",
        workflow(wait("w", "a", duration_hours=None), mail("a")),
        "steps[0].configuration",
        "has no duration",
        "such as duration_hours: 24",
    ),
    (
        "a fixed wait for a local time alone",
        workflow(wait("w", "a", at="09:00"), mail("a")),
        "steps[0].configuration",
        "has no duration",
        'type: until_time, target_time: "09:00"',
    ),
    (
        "a loop with a wait of nothing",
        workflow(mail("a", "w"), wait("w", "a", duration_hours=0)),
        "steps[0]",
        "holds no wait",
        "a fixed_time above 0",
    ),
    (
        "a shortest path longer than an execution may take",
        workflow(wait("w", "a", duration_days=31), mail("a")),
        "settings.max_execution_time_days",
        "is 30, but the shortest path waits 31 days",
        "at least 31",
    ),
    (
        "next steps of a decision",
        workflow({**decision(type="condition", conditions=[]), "next_steps": ["choose"]}),
        "steps[0].next_steps",
        "stand on a decision",
        "in its branches",
    ),
    # decisions
    (
        "a split of nothing",
        workflow(decision(type="split_test", variants=[])),
        f"{CONFIGURATION}.variants",
        "is empty",
        "at least one",
    ),
    (
        "a weight of 0",
        workflow(decision(type="split_test", variants=[{"name": "a", "weight": 0, "next_step": "choose"}])),
        f"{CONFIGURATION}.variants[0].weight",
        "is 0",
        "above 0",
    ),
    (
        "two variants of one name",
        workflow(
            decision(
                type="split_test", variants=[{"name": "a", "weight": 1, "next_step": name} for name in ("b", "c")]
            ),
            mail("b"),
            mail("c"),
        ),
        f"{CONFIGURATION}.variants[1].name",
        "'a' is there twice",
        "a name of its own",
    ),
    (
        "a threshold given twice",
        workflow(
            decision(type="score_based", thresholds=[{"min_score": score, "next_step": "m"} for score in (5, 5.0)]),
            mail("m"),
        ),
        f"{CONFIGURATION}.thresholds[1].min_score",
        "5 is there twice",
        "once",
    ),
    (
        "a score field that can't be",
        workflow(decision(type="score_based", thresholds=[], score_field="scores.x")),
        f"{CONFIGURATION}.score_field",
        "begins with no known name",
        "session",
    ),
    # times
    (
        "a wait's time",
        workflow(wait("a", calendar_days=1, at="24:00")),
        f"{CONFIGURATION}.at",
        "is '24:00'",
        'such as "09:00"',
    ),
    (
        "a time of day",
        workflow(wait("a", type="until_time", target_time="9am")),
        f"{CONFIGURATION}.target_time",
        "is '9am'",
        'such as "09:00"',
    ),
    (
        "a date that isn't one",
        workflow(wait("a", type="until_date", target_date="2026-02-30")),
        f"{CONFIGURATION}.target_date",
        "is '2026-02-30'",
        "2026-01-31",
    ),
    (
        "a naive instant",
        workflow(wait("a", type="until_date", target_date="2026-02-20T10:00:00")),
        f"{CONFIGURATION}.target_date",
        "is '2026-02-20T10:00:00'",
        "+01:00",
    ),
    (
        "a step after a timeout that never comes",
        workflow(wait("a", type="until_event", event_type="e", timeout_next_step="a")),
        f"{CONFIGURATION}.timeout_hours",
        "is missing",
        "above 0",
    ),
    (
        "a zone of a workflow",
        workflow(settings={"timezone": "Berlin"}),
        "settings.timezone",
        "'Berlin' is no zone",
        "Europe/Berlin",
    ),
    (
        "the default zone",
        {"kind": "settings", "default_timezone": "Mars/Base"},
        "default_timezone",
        "is no zone",
        "Europe/Berlin",
    ),
    ("a wait below 0", workflow(wait("a", duration_hours=-1)), f"{CONFIGURATION}.duration_hours", "is -1", "0 or more"),
    # timings that can never hold
    ("a send time", timed(at="25:00"), f"{TIMING}.at", "'25:00'", 'such as "09:00"'),
    (
        "at once, but in business hours",
        timed(send_immediately=True, business_hours_only=True),
        f"{TIMING}.send_immediately",
        "exclude each other",
        "one of the two",
    ),
    (
        "a time outside business hours",
        timed(at="17:00", business_hours_only=True),
        f"{TIMING}.at",
        "outside business hours",
        "09:00 to 16:59",
    ),
    (
        "a delay as long as it may take",
        timed(delay_hours=168),
        f"{TIMING}.delay_hours",
        "isn't below expires_after_hours",
        "below expires_after_hours",
    ),
    # conditions
    (
        "an unknown operator",
        guarded(field="a", operator="equals", value=1),
        f"{GUARD}.operator",
        "is 'equals'",
        "one of eq, ne",
    ),
    ("no field", guarded(operator="eq", value=1), f"{GUARD}.field", "is missing, eq needs it", "a field"),
    (
        "an unknown root",
        guarded(field="evnt.total", operator="eq", value=1),
        f"{GUARD}.field",
        "begins with no known name",
        "did you mean 'event'?",
    ),
    (
        "a mistake in what is counted",
        workflow(
            settings={
                "goal": {
                    "operator": "performed",
                    "value": {"event_type": "e", "where": {"field": "event.x", "operator": "matches", "value": "("}},
                }
            }
        ),
        "settings.goal.value.where.value",
        "",
        "a regular expression",
    ),
    (
        "a field with an empty part",
        guarded(field="event..x", operator="eq", value=1),
        f"{GUARD}.field",
        "has an empty part",
        "a field such as",
    ),
    (
        "an unknown field of the session",
        guarded(field="session.length", operator="gt", value=1),
        f"{GUARD}.field",
        "session.length is unknown",
        "a field such as",
    ),
    (
        "half a range",
        guarded(field="a", operator="between", value=[1]),
        f"{GUARD}.value",
        "is a list",
        "between needs a list of two",
    ),
    (
        "a range backwards",
        guarded(field="a", operator="between", value=[2, 1]),
        f"{GUARD}.value",
        "is a list",
        "wrong way round",
    ),
    ("no list", guarded(field="a", operator="not_in", value="x"), f"{GUARD}.value", "is 'x'", "needs a list"),
    (
        "an order of truth values",
        guarded(field="a", operator="gt", value=True),
        f"{GUARD}.value",
        "is true",
        "needs a number",
    ),
    (
        "hours in words",
        guarded(field="last_activity", operator="within_hours", value="48"),
        f"{GUARD}.value",
        "is '48'",
        "number of hours",
    ),
    (
        "a start that is no text",
        guarded(field="a", operator="starts_with", value=1),
        f"{GUARD}.value",
        "is 1",
        "needs a text",
    ),
    (
        "a pattern that doesn't compile",
        guarded(field="a", operator="matches", value="(a"),
        f"{GUARD}.value",
        "is '(a'",
        "RE2 syntax",
    ),
    (
        "a pattern that looks back",
        guarded(field="a", operator="matches", value=r"(a)\1"),
        f"{GUARD}.value",
        "is ",
        "RE2 syntax",
    ),
    (
        "an instant that isn't one",
        guarded(field="first_seen", operator="before", value="yesterday"),
        f"{GUARD}.value",
        "is 'yesterday'",
        "a date such as",
    ),
    (
        "existence of something",
        guarded(field="a", operator="exists", value=False),
        f"{GUARD}.value",
        "is false",
        "takes no value",
    ),
    ("performed, of nothing", performed(), f"{GUARD}.value.event_type", "is missing", "text"),
    (
        "performed, too often",
        performed(event_type="e", min_count=1001),
        f"{GUARD}.value.min_count",
        "is 1001",
        "from 1 to 1000",
    ),
    (
        "performed, in no time",
        performed(event_type="e", within_hours=0),
        f"{GUARD}.value.within_hours",
        "is 0",
        "above 0",
    ),
    (
        "performed, with an unknown key",
        performed(event_type="e", hours=1),
        f"{GUARD}.value.hours",
        "is no known field",
        "within_hours",
    ),
    (
        "performed, where it looks beyond the event",
        performed(event_type="e", where={"all": [{"field": "plan", "operator": "eq", "value": 1}]}),
        f"{GUARD}.value.where.all[0].field",
        "is 'plan'",
        "event.total",
    ),
    ("performed by name", guarded(operator="performed", value="e"), f"{GUARD}.value", "is 'e'", "a mapping"),
    (
        "a mistake deep in a trigger's condition",
        triggered(event_type="e", where={"not": {"any": [{"field": "a", "operator": "in", "value": 1}]}}),
        "triggers[0].conditions.where.not.any[0].value",
        "is 1",
        "needs a list",
    ),
    # attributes
    (
        "a reference to a field that can't be",
        workflow(action(type="update_attributes", attributes={"a": ["since ${session.start}"]})),
        f"{CONFIGURATION}.attributes.a[0]",
        "session.start is unknown",
        "a field such as",
    ),
    (
        "an empty reference",
        workflow(action(type="update_attributes", attributes={"a": "${}"})),
        f"{CONFIGURATION}.attributes.a",
        "has an empty part",
        "a field such as",
    ),
    # templates and settings
    (
        "a template that doesn't compile",
        {**TEMPLATE, "id": "x", "dynamic_content_rules": {"r": {"content_variants": [], "placeholder": " "}}},
        "dynamic_content_rules.r.placeholder",
        "is blank",
        "compiles",
    ),
    (
        "more rules than a template may hold",
        {**TEMPLATE, "id": "x", "dynamic_content_rules": {f"r{n}": {"content_variants": []} for n in range(201)}},
        "dynamic_content_rules",
        "holds 201 rules",
        "at most 200",
    ),
    (
        "a condition in a template",
        {
            **TEMPLATE,
            "id": "x",
            "dynamic_content_rules": {"r": {"content_variants": [], "condition": {"operator": "eq"}}},
        },
        "dynamic_content_rules.r.condition.field",
        "is missing",
        "a field",
    ),
    (
        "a field with an empty part",
        workflow(settings={"goal": {"field": "event.", "operator": "exists"}}),
        "settings.goal.field",
        "'event.' has an empty part",
        "a field such as first_name",
    ),
    (
        "a sender of two lines",
        {**TEMPLATE, "id": "x", "from": "a@b.example\nBcc: c@d.example"},
        "from",
        "is 'a@b.example\\nBcc",
        "one line",
    ),
    (
        "a profile of 23 hours",
        {"kind": "settings", "best_hours_profile": [*[0.1] * 23]},
        "best_hours_profile",
        "holds 23 numbers",
        "24, that of the hour after midnight first",
    ),
    (
        "a rate in percent",
        {"kind": "settings", "best_hours_profile": [*[0.1] * 23, 10]},
        "best_hours_profile[23]",
        "is 10",
        "a number from 0 to 1",
    ),
    (
        "a public address of another kind",
        {"kind": "settings", "public_url": "ftp://shop.example"},
        "public_url",
        "is 'ftp://shop.example'",
        "https://",
    ),
    (
        "a public address that is none",
        {"kind": "settings", "public_url": "https://[shop"},
        "public_url",
        "is 'https://[shop'",
        "https://",
    ),
]


@pytest.mark.parametrize(
    ("value", "path", "message", "expected"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_each_mistake_is_refused_alone_with_file_path_and_what_would_be_right(
    value: Json, path: str, message: str, expected: str
) -> None:
    validated = check(value)
    assert validated.definitions is None
    assert [(problem.file, problem.path) for problem in validated.problems] == [(FILE, path)]
    assert message in validated.problems[0].message
    assert expected in validated.problems[0].expected


ALLOWED: Final[list[tuple[str, Json]]] = [
    ("a path as long as it may take", workflow(wait("w", "a", duration_days=30), mail("a"))),
    ("a loop with a wait", workflow(mail("a", "w"), wait("w", "a", duration_minutes=1))),
    ("a wait of nothing outside a loop", workflow(wait("w", "a", duration_hours=0), mail("a"))),
    ("no triggers", workflow(triggers=[])),
    ("an exit", workflow(mail("a", "act"), action(type="exit"))),
    ("a time on the edge of business hours", timed(at="16:59", business_hours_only=True)),
    ("a date without a time", workflow(wait("a", type="until_date", target_date="2026-01-31"))),
    ("an instant with an offset", workflow(wait("a", type="until_date", target_date="2026-01-31T09:00:00+01:00"))),
    ("a segment that is there", guarded(operator="in_segment", value="vip")),
    ("performed", performed(event_type="e", where={"field": "event.total", "operator": "gt", "value": 5})),
    ("every root", guarded(all=[{"field": f, "operator": "exists"} for f in ("event.x", "trigger.y", "counts.a.b", "last.e", "preferences.p", "session.pages", "execution.started_at", "attributes.a", "customer.a", "plan")])),
    ("a value with references", workflow(action(type="update_attributes", attributes={"a": "${trigger.total}", "b": "at ${now} by ${first_name}"}))),
]  # fmt: skip


@pytest.mark.parametrize("value", [row[1] for row in ALLOWED], ids=[row[0] for row in ALLOWED])
def test_what_is_right_passes_and_compiles(value: Json) -> None:
    validated = check(value)
    assert validated.problems == ()
    assert validated.definitions is not None
    compile_catalogue(validated.definitions, 1)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"kind": "settings"}, "kind"),
        ({"kind": "scoring"}, "kind"),
        (SEGMENT, "id"),
        (TEMPLATE, "id"),
        (workflow(), "id"),
    ],
)
def test_what_is_given_twice_is_refused_in_the_later_file(value: Json, path: str) -> None:
    problems = validate([Document(file="a.yaml", value=value), Document(file="b.yaml", value=value)]).problems
    told = [problem for problem in problems if "already" in problem.message]
    assert [(problem.file, problem.path) for problem in told] == [("b.yaml", path)]
    assert "is given in a.yaml already" in told[0].message


def test_a_workflow_without_id_may_not_have_the_slug_of_another() -> None:
    assert [problem.path for problem in check(workflow(), workflow(name="a  JOURNEY!")).problems] == ["id"]


def test_a_reference_to_a_broken_document_isnt_called_unknown() -> None:
    broken: Json = {"kind": "template", "id": "broken", "subject_template": 5}
    problems = check(workflow(mail("a", template_id="broken")), broken).problems
    assert [problem.path for problem in problems] == ["content_template", "subject_template"]


def test_a_typing_error_in_a_reference_is_one_problem_and_not_many() -> None:
    steps = (mail("a", "wait_24"), wait("wait_24h", "b", duration_hours=24), mail("b"))
    assert [problem.path for problem in check(workflow(*steps)).problems] == ["steps[0].next_steps[0]"]


def test_other_mistakes_are_still_found_in_a_document_that_cant_be_read() -> None:
    steps = (mail("a", "nowhere", template_id="none", guard={"operator": "eq"}, colour="red"), mail("b"))
    problems = check(workflow(*steps, settings={"max_execution_time_days": "x"})).problems
    assert {problem.path for problem in problems} == {
        "settings.max_execution_time_days",
        "steps[0].configuration.colour",
        "steps[0].configuration.guard.field",
        "steps[0].configuration.template_id",
        "steps[0].next_steps[0]",
        "steps[1]",
    }


def test_ids_are_filled_in() -> None:
    triggers: Json = [
        {"type": "behavioral", "conditions": {"event_type": "a"}},
        {"id": "second", "type": "behavioral", "conditions": {"event_type": "b"}},
    ]
    definitions = check(workflow(name="Welcome: Größe & Crème!", triggers=triggers)).definitions
    assert definitions is not None
    (built,) = definitions.workflows.values()
    assert list(definitions.workflows) == ["welcome-grosse-creme"]
    assert [trigger.id for trigger in built.triggers] == ["0", "second"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Welcome Series", "welcome-series"), ("  A__b--C ", "a-b-c"), ("陈 2", "陈-2"), ("…", "")],
)
def test_slugs_are_lower_case_with_hyphens(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_settings_and_scoring_default_and_are_taken() -> None:
    plain = check(workflow()).definitions
    assert plain is not None
    assert (plain.settings, plain.scoring) == (Settings(), Scoring())
    given = check(workflow(), {"kind": "settings", "data_grace_minutes": 5}, {"kind": "scoring", "weights": {"a": 1}})
    assert given.definitions is not None
    assert given.definitions.settings.data_grace_minutes == 5
    assert given.definitions.scoring.weights == {"a": 1.0}


def test_a_wrong_number_hides_no_wrong_name_beside_it() -> None:
    """A step with something wrong in it still shows which steps, templates and segments it names in vain."""
    steps: tuple[Json, ...] = (
        mail("a", "nowhere", template_id="helo", timing={"delay_hours": "soon"}),
        {"id": "b", "type": "decision", "configuration": {
            "type": "score_based", "thresholds": [{"min_score": "high", "next_step": "gone"}], "default_next_step": "lost",
        }},
        action(type="add_to_segment", segment_id="vips", since=3),
    )  # fmt: skip
    paths = {problem.path for problem in check(workflow(*steps)).problems}
    assert paths >= {
        "steps[0].configuration.timing.delay_hours",
        "steps[0].configuration.template_id",
        "steps[0].next_steps[0]",
        "steps[1].configuration.thresholds[0].min_score",
        "steps[1].configuration.thresholds[0].next_step",
        "steps[1].configuration.default_next_step",
        "steps[2].configuration.since",
    }


# Warnings -------------------------------------------------------------------------------------------------------

SILENCE: Final[Json] = {"type": "behavioral", "conditions": {"condition_type": "inactivity_period"}}
OFTEN: Final[Json] = {"type": "behavioral", "conditions": {"condition_type": "frequency_threshold", "event_type": "e"}}


@pytest.mark.parametrize("trigger", [SILENCE, OFTEN])
def test_a_workflow_that_can_run_only_once_is_warned_of_where_its_trigger_can_fire_again(trigger: Json) -> None:
    validated = check(workflow(triggers=[trigger]))
    assert validated.definitions is not None
    assert [warning.path for warning in validated.warnings] == ["triggers[0]"]
    for settings in ({"allow_multiple_executions": True}, {"re_entry": {"after_hours": 1}}):
        assert check(workflow(triggers=[trigger], settings=settings)).warnings == ()  # type: ignore[arg-type]


def test_keys_that_an_event_takes_for_properties_are_warned_of_where_they_look_like_others() -> None:
    validated = check(triggered(event_type="e", min_frequency=3, wher=1, plan="free"))
    assert [(warning.path, warning.expected) for warning in validated.warnings] == [
        ("triggers[0].conditions.min_frequency", "another condition_type, unless that is meant"),
        ("triggers[0].conditions.wher", "did you mean 'where'?"),
    ]


@pytest.mark.parametrize(("seconds", "warned"), [(0.001, True), (59.999, True), (60, False)])
def test_a_loop_that_turns_more_than_once_a_minute_is_warned_of(seconds: float, warned: bool) -> None:  # noqa: FBT001
    validated = check(workflow(mail("a", "w"), wait("w", "a", duration_minutes=seconds / 60)))
    assert validated.definitions is not None
    assert [warning.path for warning in validated.warnings] == ["steps[0]"] * warned


def test_short_waits_of_a_loop_add_up() -> None:
    half = {"duration_minutes": 0.5}
    assert check(workflow(mail("a", "v"), wait("v", "w", **half), wait("w", "a", **half))).warnings == ()


def test_settings_that_have_nothing_to_work_on_are_warned_of() -> None:
    silent: Json = {"type": "time_based", "conditions": {"condition_type": "inactivity_period"}}
    validated = check(
        workflow(triggers=[silent], settings={"execution_key": "event.id", "attribution_window_hours": 1})
    )
    assert [warning.path for warning in validated.warnings] == ["settings.attribution_window_hours", "triggers[0]"]


def test_branches_that_meet_before_a_send_are_warned_of() -> None:
    steps = (mail("a", "b", "c"), wait("b", "d"), wait("c", "d"), mail("d"))
    assert [warning.path for warning in check(workflow(*steps)).warnings] == ["steps[3]"]


# Stored documents -----------------------------------------------------------------------------------------------


def test_stored_documents_make_the_same_definitions_again() -> None:
    values: list[Json] = [workflow(mail("a", timing={"delay_hours": 6})), TEMPLATE, SEGMENT]
    stored = msgspec.json.decode(msgspec.json.encode(values))
    assert definitions_from_documents(stored) == validate(documents(*values)).definitions


def test_stored_documents_that_are_invalid_raise_with_every_problem() -> None:
    with pytest.raises(InvalidDefinitions) as caught:
        definitions_from_documents([workflow(mail("a", "b")), {"kind": "segment"}])
    assert [problem.file for problem in caught.value.problems] == ["document 1", "document 1", "document 2"]
    assert "document 2: id: is missing (right would be: text of 1 to 200 characters)" in str(caught.value)


def test_validation_leaves_the_documents_as_they_are() -> None:
    value = workflow(mail("a", "b"), action(type="update_attributes", attributes={"a": {"b": [1]}}))
    before = deepcopy(value)
    check(value)
    assert value == before


def test_a_problem_reads_as_a_sentence() -> None:
    (problem,) = check(workflow(mail("a", template_id="helo"))).problems
    assert sentence(problem) == (
        "journey.yaml: steps[0].configuration.template_id: there is no template 'helo' "
        "(right would be: the id of a template; did you mean 'hello'?)"
    )
