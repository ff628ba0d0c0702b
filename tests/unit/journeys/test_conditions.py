"""Conditions: the truth table of every operator, the boundaries of time, and what `performed` remembers."""

# ruff: noqa: FBT001, FBT003 (true and false are the answers that a truth table lists)
import msgspec
import pytest

from journeys.conditions import (
    Clause,
    Clauses,
    comparisons,
    compile_condition,
    compile_equals,
    compile_where,
    mistakes,
    remember,
)
from journeys.operators import compile_operator, constant_mistake
from journeys.scene import Scene
from schemas.customer import Customer
from schemas.definitions import AllOf, AnyOf, Comparison, Condition, Negation, Operator
from schemas.events import Event, Json
from schemas.instants import DAY_MS, EARLIEST, HOUR_MS, LATEST

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
ABSENT = object()


def compare(operator: Operator, value: Json = None, field: str | None = "x") -> Comparison:
    return Comparison(field=field, operator=operator, value=value)


def scene(field: object = ABSENT, *, zone: str = "UTC", **customer: object) -> Scene:
    attributes = {} if field is ABSENT else {"x": field}
    ada = Customer(customer_id="ada", attributes=attributes, **customer)  # type: ignore[arg-type]
    return Scene(customer=ada, now=NOW, half_life_ms=1.0, zone=zone)


def holds(condition: Condition, at: Scene) -> bool:
    return compile_condition(condition, Clauses())(at)


def event(properties: dict[str, Json], **envelope: object) -> Event:
    document = {"event_id": "e", "type": "t", "occurred_at": NOW, "stream": "behavioral", "properties": properties}
    return msgspec.json.decode(msgspec.json.encode(document | envelope), type=Event)


# Values ---------------------------------------------------------------------------------------------------------

VALUES: dict[str, object] = {
    "absent": ABSENT,
    "null": None,
    "true": True,
    "one": 1,
    "five": 5,
    "five_float": 5.0,
    "text": "banana",
    "text_five": "5",
    "list": ["banana", 5],
    "object": {"a": 1},
}
# By operator and constant: the values for which it holds, and those that can't be compared (a warning); for all
# others it is quietly false.
TABLE: list[tuple[Operator, Json, str, str]] = [
    ("eq", 5, "five five_float", ""),
    ("eq", 1, "one", ""),
    ("eq", True, "true", ""),
    ("eq", "5", "text_five", ""),
    ("eq", None, "null", ""),
    ("eq", ["banana", 5.0], "list", ""),
    ("eq", {"a": 1}, "object", ""),
    ("eq", {"a": True}, "", ""),
    ("ne", 5, "absent null true one text text_five list object", ""),
    ("ne", True, "absent null one five five_float text text_five list object", ""),
    ("ne", None, "absent true one five five_float text text_five list object", ""),
    ("gt", 1, "five five_float", "true text text_five list object"),
    ("gte", 5, "five five_float", "true text text_five list object"),
    ("lt", 5, "one", "true text text_five list object"),
    ("lte", 5, "one five five_float", "true text text_five list object"),
    ("gt", "apple", "text", "true one five five_float list object"),
    ("lt", "apple", "text_five", "true one five five_float list object"),
    ("gte", "banana", "text", "true one five five_float list object"),
    ("lte", "banana", "text text_five", "true one five five_float list object"),
    ("between", [1, 5], "one five five_float", "true text text_five list object"),
    ("between", ["5", "banana"], "text text_five", "true one five five_float list object"),
    ("in", [5, "banana", None], "five five_float text null", ""),
    ("in", [True], "true", ""),
    ("in", [["banana", 5]], "list", ""),
    ("in", [], "", ""),
    ("not_in", [5, "banana"], "absent null true one text_five list object", ""),
    ("contains", "an", "text", "true one five five_float object"),
    ("contains", "banana", "text list", "true one five five_float object"),
    ("contains", 5, "list", "true one five five_float text text_five object"),
    ("not_contains", "an", "absent null text_five list", "true one five five_float object"),
    ("not_contains", 5, "absent null", "true one five five_float text text_five object"),
    ("starts_with", "ban", "text", "true one five five_float list object"),
    ("ends_with", "ana", "text", "true one five five_float list object"),
    ("matches", "n.n", "text", "true one five five_float list object"),
    ("matches", "^5$", "text_five", "true one five five_float list object"),
    ("exists", None, "true one five five_float text text_five list object", ""),
    ("not_exists", None, "absent null", ""),
    ("within_hours", 48, "", "true text text_five list object"),
    ("not_within_hours", 48, "absent null one five", "true text text_five five_float list object"),
    ("before", "2026-01-01", "one five", "true text text_five five_float list object"),
    ("after", "2026-01-01", "", "true text text_five five_float list object"),
]


@pytest.mark.parametrize(("operator", "constant", "holding", "incomparable"), TABLE)
def test_each_operator_answers_for_each_type(
    operator: Operator, constant: Json, holding: str, incomparable: str
) -> None:
    tests = {name: scene(value) for name, value in VALUES.items()}
    test = compile_condition(compare(operator, constant), Clauses())
    assert {name for name, at in tests.items() if test(at)} == set(holding.split())
    if operator == "within_hours":
        incomparable += " five_float"
    assert {name for name, at in tests.items() if at.warnings} == set(incomparable.split())


def test_a_warning_names_field_operator_and_types_once() -> None:
    at = scene("banana")
    test = compile_condition(compare("gt", 5), Clauses())
    test(at), test(at)
    assert at.warnings == ["x gt: a text can't be compared with a number"]


# Instants -------------------------------------------------------------------------------------------------------

ENGAGED = "last_engagement"


@pytest.mark.parametrize(
    ("ago_ms", "within"),
    [(48 * HOUR_MS - 1, True), (48 * HOUR_MS, True), (48 * HOUR_MS + 1, False), (0, True), (-DAY_MS, True)],
)
def test_within_hours_includes_its_end_and_the_future(ago_ms: int, within: bool) -> None:
    at = scene(last_engagement=NOW - ago_ms)
    assert holds(compare("within_hours", 48, ENGAGED), at) is within
    assert holds(compare("not_within_hours", 48, ENGAGED), at) is not within


@pytest.mark.parametrize(
    ("instant", "between"), [(-1, False), (0, True), (1, True), (999, True), (1_000, True), (1_001, False)]
)
def test_between_includes_its_ends(instant: int, between: bool) -> None:
    ends: Json = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"]
    assert holds(compare("between", ends, ENGAGED), scene(last_engagement=NOW + instant)) is between
    assert holds(compare("between", [0, 1_000]), scene(instant)) is between


@pytest.mark.parametrize(
    ("operator", "offset", "answer"),
    [
        ("before", -1, True), ("before", 0, False), ("before", 1, False),
        ("after", -1, False), ("after", 0, False), ("after", 1, True),
        ("gt", 0, False), ("gt", 1, True), ("gte", 0, True), ("gte", -1, False),
        ("lt", 0, False), ("lt", -1, True), ("lte", 0, True), ("lte", 1, False),
        ("eq", 0, True), ("eq", 1, False), ("ne", 0, False), ("ne", 1, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("constant", ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01", NOW])
def test_an_instant_is_compared_with_any_writing_of_an_instant(
    operator: Operator, offset: int, answer: bool, constant: Json
) -> None:
    at = scene(last_engagement=NOW + offset)
    assert (holds(compare(operator, constant, ENGAGED), at), at.warnings) == (answer, [])


@pytest.mark.parametrize(
    "written", ["2025-12-31T23:59:59.999Z", "2025-12-31", NOW - 1, "2026-01-01T00:59:59.999+01:00"]
)
def test_texts_and_epoch_milliseconds_are_instants_where_a_time_is_asked_for(written: Json) -> None:
    at = scene(written)
    assert holds(compare("before", "2026-01-01"), at)
    assert not holds(compare("after", "2026-01-01"), at)
    assert holds(compare("within_hours", 24), at)
    assert at.warnings == []


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo", "Europe/Oslo"])
def test_a_date_begins_when_it_begins_for_the_customer(zone: str) -> None:
    begins = {"UTC": 0, "America/New_York": 5, "Asia/Tokyo": -9, "Europe/Oslo": -1}[zone] * HOUR_MS + NOW
    reached = [
        holds(compare("gte", "2026-01-01", ENGAGED), scene(last_engagement=begins + o, zone=zone)) for o in (-1, 0)
    ]
    assert reached == [False, True]
    assert holds(compare("before", begins + 1), scene("2026-01-01", zone=zone))
    assert not holds(compare("before", begins), scene("2026-01-01", zone=zone))


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-01-01T00:00:00", "9" * 100, ""])
def test_a_text_that_is_no_time_is_refused_with_a_warning(text: str) -> None:
    at = scene(text)
    assert (holds(compare("before", "2026-01-01"), at), len(at.warnings)) == (False, 1)


def test_an_instant_in_a_list_of_dates_is_found() -> None:
    at = scene(last_engagement=NOW)
    assert holds(compare("in", ["2025-01-01", "2026-01-01"], ENGAGED), at)
    assert not holds(compare("in", ["2025-01-01", "banana"], ENGAGED), at)


def test_fractions_of_hours_are_whole_milliseconds() -> None:
    assert holds(compare("within_hours", 1.1, ENGAGED), scene(last_engagement=NOW - 3_960_000))
    assert not holds(compare("within_hours", 1.1, ENGAGED), scene(last_engagement=NOW - 3_960_001))


# Combinations ---------------------------------------------------------------------------------------------------

TRUE, FALSE = compare("exists", field="customer_id"), compare("not_exists", field="customer_id")


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        (AllOf(all=()), True),
        (AnyOf(any=()), False),
        (AllOf(all=(TRUE,)), True),
        (AllOf(all=(TRUE, FALSE)), False),
        (AllOf(all=(TRUE, TRUE, TRUE)), True),
        (AllOf(all=(TRUE, TRUE, FALSE)), False),
        (AnyOf(any=(FALSE,)), False),
        (AnyOf(any=(FALSE, TRUE)), True),
        (AnyOf(any=(FALSE, FALSE, FALSE)), False),
        (Negation(negated=FALSE), True),
        (Negation(negated=AllOf(all=(TRUE, Negation(negated=FALSE)))), False),
    ],
)
def test_combinations_are_those_of_logic(condition: Condition, answer: bool) -> None:
    assert holds(condition, scene()) is answer


def test_a_negation_of_what_is_missing_holds() -> None:
    assert holds(Negation(negated=compare("gt", 5)), scene())


def test_segments() -> None:
    at = scene(segments=["vip"])
    assert holds(compare("in_segment", "vip", None), at)
    assert not holds(compare("in_segment", "new", None), at)
    assert holds(compare("not_in_segment", "new", None), at)


# Equalities of triggers -----------------------------------------------------------------------------------------


def test_equalities_look_at_the_envelope_and_else_at_the_property() -> None:
    test = compile_equals({"source": "website", "plan": "pro", "utm.medium": "mail"})
    assert test is not None
    at = scene()
    answers = []
    for properties, source in [
        ({"plan": "pro", "utm.medium": "mail"}, "website"),
        ({"plan": "pro", "utm": {"medium": "mail"}, "source": "app"}, "website"),
        ({"plan": "pro", "utm.medium": "mail"}, "app"),
        ({"plan": "pro", "utm.medium": "mail", "source": "website"}, None),
        ({"plan": "free", "utm.medium": "mail"}, "website"),
        ({"plan": "pro"}, "website"),
    ]:
        at.event = event(properties, source=source)  # type: ignore[arg-type]
        answers.append(test(at))
    assert answers == [True, True, False, True, False, False]


def test_no_equalities_and_no_where_are_none() -> None:
    assert (compile_equals({}), compile_where(None, Clauses())) == (None, None)


# Performed ------------------------------------------------------------------------------------------------------


def performed(**value: Json) -> Comparison:
    return compare("performed", {"event_type": "order_completed", **value}, None)


def test_a_plain_count_reads_the_counters_and_remembers_nothing() -> None:
    clauses = Clauses()
    test = compile_condition(performed(min_count=2), clauses)
    denied = compile_condition(compare("not_performed", {"event_type": "order_completed"}, None), clauses)
    assert [test(scene(counts={"order_completed": n})) for n in (0, 1, 2, 3)] == [False, False, True, True]
    assert [denied(scene()), denied(scene(counts={"order_completed": 1}))] == [True, False]
    assert list(clauses) == []


def only_clause(condition: Condition) -> Clause:
    clauses = Clauses()
    compile_condition(condition, clauses)
    (clause,) = clauses
    return clause


def test_a_clause_is_the_same_wherever_it_stands_and_whenever_it_is_compiled() -> None:
    where: Json = {"field": "event.total", "operator": "eq", "value": {"b": 1, "a": 2}}
    turned: Json = {"value": {"a": 2, "b": 1}, "operator": "eq", "field": "event.total"}
    clauses = Clauses()
    both = (performed(where=where), Negation(negated=performed(where=turned, min_count=1)))
    compile_condition(AnyOf(any=both), clauses)
    assert [clause.id for clause in clauses] == [only_clause(performed(where=where)).id]
    others = [performed(within_hours=1), performed(within_hours=2), performed(within_hours=1, min_count=2)]
    assert len({only_clause(other).id for other in others}) == 3


@pytest.mark.parametrize(("ago_ms", "answer"), [(HOUR_MS - 1, True), (HOUR_MS, True), (HOUR_MS + 1, False), (-5, True)])
def test_performed_within_hours_includes_its_end_and_the_future(ago_ms: int, answer: bool) -> None:
    condition = performed(min_count=2, within_hours=1)
    clause, at = only_clause(condition), scene()
    test = compile_condition(condition, Clauses())
    remember(at.customer, clause, NOW)
    assert not test(at)
    remember(at.customer, clause, NOW - ago_ms)
    assert test(at) is answer


def test_the_where_of_performed_looks_at_the_candidate_event() -> None:
    clause = only_clause(performed(where={"all": [{"field": "event.total", "operator": "gte", "value": 50}]}))
    at = scene()
    assert clause.where is not None
    answers = []
    for total in (49, 50, "50"):
        at.event = event({"total": total})
        answers.append(clause.where(at))
    assert answers == [False, True, False]


def test_a_customer_remembers_the_newest_in_order() -> None:
    clause = only_clause(performed(min_count=3, within_hours=1))
    ada = Customer(customer_id="ada")
    for instant in (5, 1, 9, 7, 3, 9):
        remember(ada, clause, instant)
    assert ada.clauses == {clause.id: [7, 9, 9]}


# Mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (compare("eq", 5, None), "eq needs a field"),
        (compare("exists", None, None), "exists needs a field"),
        (compare("exists", False), "exists takes no value"),
        (compare("gt", True), "gt needs a number, a text or a time"),
        (compare("between", [5, 1]), "between has its ends the wrong way round"),
        (compare("between", ["b", "a"]), "between has its ends the wrong way round"),
        (
            compare("between", ["2026-01-01T02:00:00Z", "2026-01-01T03:00:00+02:00"]),
            "between has its ends the wrong way",
        ),
        (compare("between", [1, "5"]), "between needs a list of two"),
        (compare("between", [1]), "between needs a list of two"),
        (compare("between", [True, 5]), "between needs a list of two"),
        (compare("not_in", "vip"), "not_in needs a list"),
        (compare("starts_with", 5), "starts_with needs a text"),
        (compare("matches", 5), "matches needs a regular expression"),
        (compare("matches", "("), "matches needs a regular expression in RE2 syntax"),
        (compare("matches", "(?=x)"), "matches needs a regular expression in RE2 syntax"),
        (compare("within_hours", 0), "within_hours needs a number of hours above 0"),
        (compare("not_within_hours", "48"), "not_within_hours needs a number of hours above 0"),
        (compare("before", "2026-02-30"), "before needs a time such as"),
        (compare("after", True), "after needs a time such as"),
        (compare("in_segment", 5, None), "in_segment needs a segment id"),
        (compare("eq", 5, "session.clicks"), "session.clicks is unknown; session has events, pages, duration_minutes"),
        (compare("eq", 5, "a..b"), "'a..b' has an empty part"),
        (compare("performed", "order", None), "performed: value"),
        (compare("performed", {}, None), "performed: value.event_type is missing"),
        (performed(min_count=0), "performed: value.min_count is 0"),
        (performed(min_count=1_001), "performed: value.min_count is 1001"),
        (performed(min_count=True), "performed: value.min_count is true"),
        (performed(within_hours=0), "performed: value.within_hours is 0"),
        (performed(hours=5), "performed: value.hours is no known field"),
        (performed(where={"field": "event.x", "operator": "like"}), "performed: value.where.operator"),
        (
            performed(where={"any": [{"field": "plan", "operator": "exists"}]}),
            "value.where.any[0] has to look at a field",
        ),
        (performed(where={"not": {"field": "event.x", "operator": "in"}}), "value.where.not: in needs a list"),
    ],
)
def test_every_mistake_says_what_would_be_right(condition: Comparison, said: str) -> None:
    ((path, mistake),) = mistakes(condition)
    assert path == ""
    assert said in mistake
    with pytest.raises(ValueError, match=r"needs|takes|wrong|unknown|empty|performed|has to"):
        compile_condition(condition, Clauses())


def test_all_mistakes_are_found_with_their_paths() -> None:
    wrong, right = compare("gt", None), compare("gt", 5)
    condition = AllOf(all=(right, AnyOf(any=(wrong, right, Negation(negated=wrong))), wrong))
    assert [path for path, _ in mistakes(condition)] == [".all[1].any[0]", ".all[1].any[2].not", ".all[2]"]
    assert len(list(comparisons(condition))) == 5


@pytest.mark.parametrize(
    ("operator", "constant", "why"),
    [("between", 1, "between "), ("in", "a", "in "), ("matches", "(", "matches "), ("in_segment", "vip", "is no operator of a field")],
)  # fmt: skip
def test_a_comparison_that_cant_be_compiled_says_why(operator: Operator, constant: Json, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        compile_operator(operator, constant, "x")


@pytest.mark.parametrize(
    ("operator", "constant", "value", "warning"),
    [
        ("starts_with", "a", 5, "x starts_with: a number can't be compared with a text"),
        ("ends_with", "a", 5, "x ends_with: a number can't be compared with a text"),
        ("matches", "a", 5, "x matches: a number can't be compared with a text"),
        ("between", [1, 2], "a", "x between: a text can't be compared with a number"),
        ("between", ["a", "b"], 5, "x between: a number can't be compared with a text"),
        ("before", "2026-01-01", True, "x before: a boolean can't be compared with an instant"),
        ("after", "2026-01-01", "never", "x after: a text can't be compared with an instant"),
        ("within_hours", 5, "never", "x within_hours: a text can't be compared with an instant"),
        ("contains", 5, True, "x contains: a boolean can't be compared with a number"),
        ("contains", "a", {"a": 1}, "x contains: an object can't be compared with a text"),
        ("contains", None, 5, "x contains: a number can't be compared with null"),
        ("gt", 5, [5], "x gt: a list can't be compared with a number"),
    ],
)
def test_what_cant_be_compared_is_said_with_its_field_and_operator(
    operator: Operator, constant: Json, value: Json, warning: str
) -> None:
    at = scene(value)
    assert not holds(compare(operator, constant), at)
    assert at.warnings == [warning]


@pytest.mark.parametrize(
    ("low", "high", "right"),
    [
        (1, 1, True), (1, 2, True), (2, 1, False), ("a", "a", True), ("b", "a", False), (1, "a", False), ("a", 1, False),
        ("2026-01-02", "2026-01-02", True), ("2026-01-02", "2026-01-01", False), ("2026-01-02", "z", True), ("a", "2026-01-02", False), (True, True, False), (None, None, False),
    ],
)  # fmt: skip
def test_a_range_has_two_ends_of_one_kind_in_order(low: Json, high: Json, right: bool) -> None:
    assert (constant_mistake("between", [low, high]) is None) is right


def test_lists_are_equal_only_in_all_their_members() -> None:
    for other, equal in (([1, "a"], True), ([1, "b"], False), ([1], False), ([1, "a", 2], False)):
        assert holds(compare("eq", [1, "a"]), scene(other)) is equal


@pytest.mark.parametrize(
    ("constant", "value", "equal"),
    [
        ([1], [True], False), ([True], [1], False), ([True], [True], True), ([[1]], [[True]], False),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, False), ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True),
        ({"a": [1]}, {"a": [True]}, False), ({"a": 1}, {"b": 1}, False), (["5"], [5], False), ([{}], [[]], False),
    ],
)  # fmt: skip
def test_true_is_not_one_however_deep_it_lies(constant: Json, value: Json, equal: bool) -> None:
    assert holds(compare("eq", constant), scene(value)) is equal
    assert holds(compare("contains", constant), scene([value])) is equal
    assert holds(compare("in", [constant]), scene(value)) is equal


@pytest.mark.parametrize(
    ("value", "is_instant"),
    [(EARLIEST, True), (EARLIEST - 1, False), (LATEST, True), (LATEST + 1, False), (0, True)],
)
def test_a_whole_number_within_the_calendar_is_an_instant(value: int, is_instant: bool) -> None:
    at = scene(value)
    assert holds(Negation(negated=compare("after", EARLIEST)), at) or holds(compare("after", EARLIEST), at)
    assert bool(at.warnings) is not is_instant
    assert (constant_mistake("before", value) is None) is is_instant


@pytest.mark.parametrize("operator", ["gt", "gte", "lt", "lte"])
def test_what_has_an_order_is_asked_for_and_named_where_it_is_missing(operator: Operator) -> None:
    """Before, of the definition; later, in the warning of the event."""
    ((_, mistake),) = mistakes(compare(operator, []))
    assert mistake.endswith("needs a number, a text or a time")
    at = scene("banana")
    assert not holds(compare(operator, 5), at)
    assert at.warnings == [f"x {operator}: a text can't be compared with a number"]


def test_a_pattern_that_cant_be_read_says_why() -> None:
    ((_, mistake),) = mistakes(compare("matches", "(a"))
    assert mistake.endswith(": missing ): (a")


def test_clauses_in_all_of_several_are_each_remembered() -> None:
    """By what they ask for: the same once, another one as well."""
    clauses = Clauses()

    def asked(event_type: str) -> Comparison:
        return compare("performed", {"event_type": event_type, "min_count": 2, "within_hours": 24}, None)

    compile_condition(AllOf(all=(asked("a"), asked("b"), asked("a"))), clauses)
    assert [clause.event_type for clause in clauses] == ["a", "b"]
