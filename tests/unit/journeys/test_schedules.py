"""Crons and dates fire at their local instant, once, and what they can't mean is refused.

The start of a journey is 2026-01-01, a Thursday, 09:00 UTC. In 2026 Berlin's clocks go forward on 29 March (02:00 to
03:00) and back on 25 October (03:00 to 02:00).
"""

from datetime import date

import pytest

from journeys.catalogue import Catalogue, compile_catalogue
from journeys.occasions import due_occasions
from journeys.schedules import (
    DateRule,
    Occasion,
    ScheduleProblem,
    compile_cron,
    compile_date,
    next_cron,
    next_date,
)
from journeys.validation import Document as File
from journeys.validation import definitions_from_documents, validate
from schemas.customer import Customer
from schemas.definitions import DateAttribute
from schemas.events import Json
from schemas.instants import DAY_MS, EARLIEST, HOUR_MS, LATEST, MINUTE_MS, Millis, format_instant, parse_instant
from tests.journey import (
    HELLO,
    NEEDY,
    START,
    VIP,
    Document,
    Journey,
    after,
    compiled,
    dated,
    is_,
    mail,
    schedule,
    signup,
    trigger,
    workflow,
)

MANY: Document = {"allow_multiple_executions": True}


def every(on: Document, **settings: Json) -> Document:
    return {**workflow(on=[on]), "settings": {**MANY, **settings}}


def known(journey: Journey, at: Millis = 0, **attributes: Json) -> Journey:
    journey.publish("customer_updated", at, attributes=attributes)
    return journey


def started(journey: Journey) -> list[str]:
    return [one.at for one in journey.decisions("execution_started")]


# Crons -----------------------------------------------------------------------------------------------------------


def test_a_date_that_isnt_known_keeps_no_other_one_back() -> None:
    first, second = every(dated("birthday")), {**every(dated("renewal")), "id": "v", "name": "v"}
    one = known(Journey(first, second), renewal="2026-01-02")
    one.advance(2 * DAY_MS)
    assert one.started() == 1


@pytest.mark.parametrize(
    ("cron", "zone", "after_", "expected"),
    [
        ("0 9 * * *", "UTC", "2026-01-01T08:59:59.999Z", "2026-01-01T09:00:00.000Z"),
        ("0 9 * * *", "UTC", "2026-01-01T09:00:00Z", "2026-01-02T09:00:00.000Z"),
        ("0 9 * * *", "UTC", "2026-01-01T09:00:00.001Z", "2026-01-02T09:00:00.000Z"),
        ("*/15 * * * *", "UTC", "2026-01-01T09:00:30Z", "2026-01-01T09:15:00.000Z"),
        ("0 9 * * mon", "UTC", "2026-01-01T09:00:00Z", "2026-01-05T09:00:00.000Z"),
        ("0 9 * * MON-FRI", "Asia/Tokyo", "2026-01-02T00:00:00Z", "2026-01-05T00:00:00.000Z"),
        ("0 0 1 * *", "Europe/Berlin", "2026-01-31T23:00:00Z", "2026-02-28T23:00:00.000Z"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00.000Z"),
        ("30 8 L * *", "UTC", "2026-02-01T00:00:00Z", "2026-02-28T08:30:00.000Z"),
        # A time in the gap means the first instant after it; so do all of them, once.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00.000Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00.000Z"),
        ("*/15 * * * *", "Europe/Berlin", "2026-03-29T00:59:00Z", "2026-03-29T01:00:00.000Z"),
        ("*/15 * * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T01:15:00.000Z"),
        # A time that occurs twice means the first.
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00.000Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00.000Z"),
        ("*/15 * * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", "2026-10-25T02:00:00.000Z"),
        ("*/15 * * * *", "Europe/Berlin", "2026-10-25T01:20:00Z", "2026-10-25T02:00:00.000Z"),
        # Samoa left 30 December 2011 out: its times mean the first instant of the 31st.
        ("0 9 30 12 *", "Pacific/Apia", "2011-12-30T00:00:00Z", "2011-12-30T10:00:00.000Z"),
    ],
)
def test_a_cron_is_read_on_the_local_wall_clock(cron: str, zone: str, after_: str, expected: str) -> None:
    found = next_cron(compile_cron(cron), parse_instant(after_), zone)
    assert found is not None
    assert format_instant(found) == expected


def test_a_cron_doesnt_leave_the_calendar() -> None:
    cron = compile_cron("0 9 * * *")
    assert next_cron(cron, LATEST - DAY_MS, "UTC") is None
    assert next_cron(cron, -(2**62), "UTC") is not None
    assert next_cron(cron, EARLIEST, "Pacific/Apia") is not None


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "@daily",
     "0 0 30 2 *", "0 0 31 4 *", "0 0 */40 * 1#5", "0 0 */15 2 mon#5", "a b c d e", "*/0 * * * *", "5-1 * * * *", "0 0 * * mon#6", "٣ * * * *", "*\n* * * *"],
)  # fmt: skip
def test_a_cron_that_cant_be_read_or_never_comes_is_refused(text: str) -> None:
    with pytest.raises(ScheduleProblem):
        compile_cron(text)
    assert problems(schedule(text))[:1] == ["triggers[0].conditions.cron"]


def test_a_schedule_fires_at_each_of_its_times() -> None:
    journey = Journey(every(schedule("0 9,15 * * *")))
    journey.publish("page_viewed")
    journey.advance(2 * DAY_MS)
    assert started(journey) == [after(hours * HOUR_MS) for hours in (6, 24, 30, 48)]
    [fired, *_] = journey.decisions("trigger_fired")
    assert fired.detail == {"cron": "0 9,15 * * *", "due_at": after(6 * HOUR_MS), "confidence_score": 1.0}


@pytest.mark.parametrize(("until", "count"), [(DAY_MS - 1, 0), (DAY_MS, 1), (DAY_MS + 1, 1)])
def test_a_schedule_fires_at_its_instant(until: Millis, count: int) -> None:
    journey = Journey(every(schedule("0 9 * * *")))
    journey.publish("page_viewed")
    assert journey.deadline() == DAY_MS
    journey.advance(until)
    assert journey.started() == count


def test_a_customer_who_comes_at_the_time_itself_waits_for_the_next() -> None:
    journey = Journey(every(schedule("0 9 * * *")))
    journey.publish("page_viewed", 0)
    assert journey.deadline() == DAY_MS


def test_a_schedule_goes_before_an_event_of_its_instant() -> None:
    journey = Journey(every(schedule("0 9 * * *", where=is_("plan", "eq", "pro"))))
    known(journey)
    known(journey, DAY_MS, plan="pro")
    assert started(journey) == []
    journey.advance(2 * DAY_MS)
    assert started(journey) == [after(2 * DAY_MS)]


def test_a_schedule_is_in_the_customers_zone_or_the_workflows_or_the_default() -> None:
    journey = Journey(
        every(schedule("0 12 * * *")),
        {**every(schedule("0 12 * * *"), timezone="Asia/Tokyo"), "id": "v"},
        default_timezone="America/New_York",
    )
    journey.publish("page_viewed", customer="bob")
    journey.publish("customer_updated", preferences={"timezone": "Europe/Berlin"})
    journey.advance(DAY_MS - 1)
    assert [(one.customer_id, one.workflow_id, one.at) for one in journey.decisions("execution_started")] == [
        ("ada", "v", after(2 * HOUR_MS)),
        ("ada", "w", after(2 * HOUR_MS)),
        ("bob", "w", after(8 * HOUR_MS)),
        ("bob", "v", after(18 * HOUR_MS)),
    ]


def test_a_schedule_looks_at_the_customer_when_it_comes() -> None:
    journey = Journey(every(schedule("0 9 * * *", where=is_("plan", "eq", "pro"))))
    known(journey, plan="pro")
    journey.advance(DAY_MS)
    known(journey, DAY_MS + 1, plan="free")
    journey.advance(3 * DAY_MS)
    assert started(journey) == [after(DAY_MS)]
    assert journey.decisions("trigger_refused") == []


def test_a_refused_schedule_says_why() -> None:
    journey = Journey(workflow(on=[schedule("0 9 * * *")]))
    journey.publish("page_viewed")
    journey.advance(2 * DAY_MS)
    assert journey.reasons("trigger_refused") == ["re_entry"]


def test_executions_that_a_schedule_starts_have_ids_of_their_own() -> None:
    journey = Journey(every(schedule("* * * * *")))
    journey.publish("page_viewed")
    journey.advance(10 * MINUTE_MS)
    assert len({one.execution_id for one in journey.decisions("execution_started")}) == 10


# Dates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "fires"),
    [
        ({}, DAY_MS),
        ({"at": "09:00"}, DAY_MS),
        ({"at": "12:30"}, DAY_MS + 3 * HOUR_MS + 30 * MINUTE_MS),
        ({"offset_days": 2}, 3 * DAY_MS),
        ({"offset_days": -1, "at": "10:00"}, HOUR_MS),
        ({"recurring": "none"}, DAY_MS),
        ({"recurring": None}, DAY_MS),
    ],
)
def test_a_date_fires_once_at_its_local_time(conditions: Document, fires: Millis) -> None:
    journey = known(Journey(every(dated("renewal", **conditions))), renewal="2026-01-02")
    assert journey.deadline() == fires
    journey.advance(fires - 1)
    assert started(journey) == []
    journey.advance(fires)
    assert started(journey) == [after(fires)]
    journey.advance(800 * DAY_MS)
    assert journey.started() == 1


def test_a_date_says_what_it_was_about() -> None:
    journey = known(Journey(every(dated("renewal", offset_days=-1, at="10:00"))), renewal="2026-01-02")
    journey.advance(DAY_MS)
    [fired] = journey.decisions("trigger_fired")
    assert fired.detail == {
        "attribute": "renewal",
        "date": "2026-01-02",
        "due_at": after(HOUR_MS),
        "confidence_score": 1.0,
    }


@pytest.mark.parametrize(("learned", "count"), [(DAY_MS - 1, 1), (DAY_MS, 0), (DAY_MS + 1, 0)])
def test_a_date_that_has_passed_when_it_is_learned_doesnt_fire(learned: Millis, count: int) -> None:
    journey = known(Journey(every(dated("renewal"))), learned, renewal="2026-01-02")
    journey.advance(10 * DAY_MS)
    assert journey.started() == count


def test_a_date_that_is_moved_fires_where_it_is_moved_to() -> None:
    journey = known(Journey(every(dated("renewal"))), renewal="2026-01-03")
    known(journey, DAY_MS, renewal="2026-01-05")
    journey.advance(3 * DAY_MS)
    assert started(journey) == []
    journey.advance(4 * DAY_MS)
    assert started(journey) == [after(4 * DAY_MS)]
    known(journey, 4 * DAY_MS + 1, renewal="2026-01-06")
    journey.advance(10 * DAY_MS)
    assert started(journey) == [after(4 * DAY_MS), after(5 * DAY_MS)]


def test_a_date_that_is_removed_doesnt_fire() -> None:
    journey = known(Journey(every(dated("renewal"))), renewal="2026-01-03")
    known(journey, DAY_MS, renewal=None)
    journey.advance(10 * DAY_MS)
    assert started(journey) == []
    assert journey.deadline() is None


@pytest.mark.parametrize("value", ["soon", "2026-02-30", "", True, 1.5, ["2026-01-02"], {"date": "2026-01-02"}])
def test_what_is_no_date_fires_nothing(value: Json) -> None:
    journey = known(Journey(every(dated("renewal"))), renewal=value)
    assert journey.deadline() is None


@pytest.mark.parametrize(
    ("value", "zone", "fires"),
    [
        ("2026-01-03", "UTC", "2026-01-03T09:00:00.000Z"),
        ("2026-01-03", "Asia/Tokyo", "2026-01-03T00:00:00.000Z"),
        ("2026-01-02T20:00:00Z", "UTC", "2026-01-02T09:00:00.000Z"),
        ("2026-01-02T20:00:00Z", "Asia/Tokyo", "2026-01-03T00:00:00.000Z"),
        (START + 2 * DAY_MS, "UTC", "2026-01-03T09:00:00.000Z"),
    ],
)
def test_an_instant_means_its_local_date(value: str | int, zone: str, fires: str) -> None:
    rule = compile_date(DateAttribute(attribute="renewal"))
    found = next_date(rule, value, START, zone)
    assert found is not None
    assert format_instant(found.at) == fires


def test_true_is_no_date_though_the_number_that_equals_it_is_one() -> None:
    rule = compile_date(DateAttribute(attribute="renewal", recurring="yearly"))
    assert next_date(rule, 1, START, "UTC") is not None
    assert next_date(rule, True, START, "UTC") is None  # noqa: FBT003


@pytest.mark.parametrize(
    ("born", "after_", "day", "fires"),
    [
        ("1990-05-17", "2026-01-01T00:00:00Z", "2026-05-17", "2026-05-17T09:00:00.000Z"),
        ("1990-05-17", "2026-05-17T08:59:59.999Z", "2026-05-17", "2026-05-17T09:00:00.000Z"),
        ("1990-05-17", "2026-05-17T09:00:00Z", "2027-05-17", "2027-05-17T09:00:00.000Z"),
        ("1992-02-29", "2026-01-01T00:00:00Z", "2026-02-28", "2026-02-28T09:00:00.000Z"),
        ("1992-02-29", "2028-01-01T00:00:00Z", "2028-02-29", "2028-02-29T09:00:00.000Z"),
        ("1992-02-29", "2100-01-01T00:00:00Z", "2100-02-28", "2100-02-28T09:00:00.000Z"),
        ("2027-03-01", "2026-01-01T00:00:00Z", "2027-03-01", "2027-03-01T09:00:00.000Z"),
        ("2026-01-01", "2026-01-01T09:00:00Z", "2027-01-01", "2027-01-01T09:00:00.000Z"),
    ],
)
def test_a_yearly_date_comes_every_year_from_its_own_on(born: str, after_: str, day: str, fires: str) -> None:
    rule = compile_date(DateAttribute(attribute="birthday", recurring="yearly"))
    expected = Occasion(parse_instant(fires), date.fromisoformat(day))
    assert next_date(rule, born, parse_instant(after_), "UTC") == expected


@pytest.mark.parametrize("offset_days", [-3_660, -400, -366, -1, 0, 1, 59, 365, 366, 400, 3_660])
def test_the_next_of_a_yearly_date_is_the_least_of_all_that_lie_ahead(offset_days: int) -> None:
    rule = DateRule(attribute="birthday", offset_days=offset_days, at=0, yearly=True)
    midnight = parse_instant("2020-01-01T00:00:00Z")
    everything = [parse_instant(f"{year}-06-15T00:00:00Z") + offset_days * DAY_MS for year in range(1990, 2060)]
    for days in range(0, 1_500, 7):
        now = midnight + days * DAY_MS
        expected = min(instant for instant in everything if instant > now)
        for instant in (now, expected - 1):
            found = next_date(rule, "1990-06-15", instant, "UTC")
            assert found is not None
            assert found.at == expected


def test_a_yearly_date_fires_every_year() -> None:
    journey = known(Journey(every(dated("birthday", recurring="yearly"))), birthday="1992-02-29")
    journey.advance(3 * 366 * DAY_MS)
    assert [at[:10] for at in started(journey)] == ["2026-02-28", "2027-02-28", "2028-02-29"]


def test_a_date_that_was_answered_isnt_again_in_another_zone() -> None:
    journey = known(Journey(every(dated("birthday", recurring="yearly"))), birthday="1990-01-02")
    journey.advance(DAY_MS)
    journey.publish("customer_updated", DAY_MS + 1, preferences={"timezone": "America/New_York"})
    journey.advance(10 * DAY_MS)
    assert started(journey) == [after(DAY_MS)]
    journey.advance(370 * DAY_MS)
    assert started(journey) == [after(DAY_MS), "2027-01-02T14:00:00.000Z"]


def test_a_date_moves_with_the_customers_zone() -> None:
    journey = known(Journey(every(dated("renewal"))), renewal="2026-01-02")
    journey.publish("customer_updated", 1, preferences={"timezone": "America/New_York"})
    journey.advance(2 * DAY_MS)
    assert started(journey) == [after(DAY_MS + 5 * HOUR_MS)]


def test_a_date_looks_at_the_customer_when_it_comes_and_is_over_then() -> None:
    journey = known(Journey(every(dated("renewal", where=is_("plan", "eq", "pro")))), renewal="2026-01-02")
    journey.advance(DAY_MS)
    known(journey, DAY_MS + 1, plan="pro")
    journey.advance(10 * DAY_MS)
    assert started(journey) == []


def test_an_attribute_that_a_workflow_sets_is_a_date_as_well() -> None:
    step: Document = {
        "id": "set",
        "type": "action",
        "configuration": {"type": "update_attributes", "attributes": {"renewal": "2026-01-03"}},
    }
    journey = Journey(workflow(step, id="setter", on=[signup()]), every(dated("attributes.renewal")))
    journey.publish("signup")
    journey.advance(10 * DAY_MS)
    assert [one.at for one in journey.decisions("execution_started")] == [after(0), after(2 * DAY_MS)]


# Order and activation --------------------------------------------------------------------------------------------


def test_what_is_due_at_one_instant_goes_by_the_workflows_priority() -> None:
    on = {"low": schedule("0 9 2 1 *"), "high": dated("renewal"), "middle": schedule("0 9 * * *")}
    priorities = {"low": 1, "middle": 5, "high": 9}
    workflows = [workflow(id=name, on=[one], priority=priorities[name]) for name, one in on.items()]
    journey = known(Journey(*workflows), renewal="2026-01-02")
    journey.advance(DAY_MS)
    assert [one.workflow_id for one in journey.decisions("execution_started")] == ["high", "middle", "low"]


def catalogue(number: int, activated_at: Millis, before: Catalogue | None, *documents: Document) -> Catalogue:
    values: list[Json] = [*documents, HELLO, NEEDY, VIP]
    predecessors = {} if before is None else {before.number: before}
    return compile_catalogue(
        definitions_from_documents(values), number, predecessors, activated_at=START + activated_at
    )


IDLE = workflow(id="idle", on=[trigger("never")])


@pytest.mark.parametrize(
    "on", [schedule("0 9 2 1 *"), dated("renewal"), {"type": "time_based", "conditions": {
        "condition_type": "inactivity_period", "inactivity_hours": 24}}]
)  # fmt: skip
@pytest.mark.parametrize(("activated", "count"), [(DAY_MS - 1, 1), (DAY_MS, 0), (DAY_MS + 1, 0)])
def test_what_was_due_by_the_activation_doesnt_fire(on: Document, activated: Millis, count: int) -> None:
    journey = Journey()
    journey.engine.switch(catalogue(1, 0, None, IDLE), START)
    journey.publish("page_viewed", 0)
    known(journey, 0, renewal="2026-01-02")
    journey.engine.switch(catalogue(2, activated, journey.engine.catalogue, IDLE, every(on)), START + activated)
    journey.advance(20 * DAY_MS)
    assert journey.started() == count


def test_a_trigger_that_stays_as_it_is_misses_nothing_over_another_activation() -> None:
    journey = Journey()
    one = every(schedule("0 9 * * *"))
    journey.engine.switch(catalogue(1, 0, None, one), START)
    journey.publish("page_viewed", 1)
    later = catalogue(2, DAY_MS + 1, journey.engine.catalogue, one, IDLE)
    journey.engine.switch(later, START + DAY_MS + 1)
    journey.advance(DAY_MS + 1)
    assert started(journey) == [after(DAY_MS)]


# Validation ------------------------------------------------------------------------------------------------------


def problems(on: Document) -> list[str]:
    documents: list[Json] = [workflow(mail(), on=[on]), HELLO]
    return [problem.path for problem in validate([File(file="x.yaml", value=value) for value in documents]).problems]


@pytest.mark.parametrize(
    ("on", "path"),
    [
        (schedule("0 9 * * mon-fri"), None),
        (schedule("0 9 * * 5#2"), None),
        ({"type": "time_based", "conditions": {"condition_type": "schedule"}}, "cron"),
        (dated("birthday", at="09:00", recurring="yearly", offset_days=-3), None),
        ({"type": "time_based", "conditions": {"condition_type": "date_attribute"}}, "attribute"),
        (dated("birthday", at="24:00"), "at"),
        (dated("birthday", at="9"), "at"),
        (dated("birthday", recurring="monthly"), "recurring"),
        (dated("birthday", offset_days=1.5), "offset_days"),
        (dated("birthday", offset_days=3_661), "offset_days"),
        (dated("birthday", offset_days=-3_661), "offset_days"),
        (dated(""), "attribute"),
    ],
)
def test_schedules_and_dates_are_checked(on: Document, path: str | None) -> None:
    assert problems(on) == ([] if path is None else [f"triggers[0].conditions.{path}"])


@pytest.mark.parametrize(
    ("on", "warned"),
    [
        (schedule("0 9 * * *"), True),
        (dated("birthday", recurring="yearly"), True),
        (dated("renewal"), False),
    ],
)
def test_a_workflow_that_could_run_only_once_is_warned_of(on: Document, warned: bool) -> None:  # noqa: FBT001
    documents: list[Json] = [workflow(mail(), on=[on]), HELLO]
    warnings = validate([File(file="x.yaml", value=value) for value in documents]).warnings
    assert [warning.path for warning in warnings] == ["triggers[0]"] * warned


def test_a_date_whose_day_lies_beyond_the_calendar_never_comes() -> None:
    rule = DateRule(attribute="d", offset_days=10, at=0, yearly=False)
    assert next_date(rule, "9999-12-31", START, "UTC") is None
    assert next_date(rule, "9999-12-20", START, "UTC") is not None


def test_nothing_is_due_for_somebody_who_never_came() -> None:
    catalogue = compiled(workflow(on=[schedule("* * * * *")]))
    assert list(due_occasions(Customer(customer_id="new"), catalogue, START, START + DAY_MS)) == []
