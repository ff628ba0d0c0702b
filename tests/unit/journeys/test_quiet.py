"""What is known of events that lead to nothing: which types have a plan, and that a plan alone changes nothing.

What the compiled part makes of the plans is compared in `tests/property/test_quiet.py`; these laws hold with it and
without.
"""

import msgspec
import pytest
from msgspec.structs import replace

from journeys.compiled import IS_COMPILED
from journeys.quiet import NEVER_QUIET, quiet_plans
from journeys.quiet_tests import UNCERTAIN, mask
from schemas.customer import Customer
from schemas.events import Event, Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS
from tests.journey import (
    START,
    Document,
    Journey,
    absence,
    compiled,
    frequency,
    is_,
    mail,
    score,
    sequence,
    session,
    silence,
    trigger,
    workflow,
)

DEAR = is_("event.price", "gte", 50)
VIP = is_("plan", "eq", "vip")
EARLY = is_("event.day", "before", "2026-01-01T20:00:00Z")


def of_types(*triggers: Document) -> dict[str, bool]:
    """Tell which of the types that triggers name have a plan."""
    written = [workflow(mail(), id=f"w{place}", on=[one]) for place, one in enumerate(triggers)]
    return {name: plan is not None for name, plan in quiet_plans(compiled(*written)).plans[0].items()}


@pytest.mark.parametrize(
    ("on", "has_plan"),
    [
        (frequency("a", 3, 60), True),
        (frequency("a", 3, 60, where=DEAR), True),
        (sequence("a", "b"), True),
        (sequence({"event_type": "a", "where": DEAR}, "b", contiguity="relaxed"), True),
        (trigger("a", where=DEAR), True),
        (trigger("a"), False),
        (trigger("a", where=VIP), False),
        (frequency("a", 3, 60, where=VIP), False),
        (absence("a", "b", 60), False),
    ],
)
def test_a_type_has_a_plan_where_its_triggers_look_at_events_alone(on: Document, *, has_plan: bool) -> None:
    """A trigger that starts with every event, or asks about the customer, is for `decide`."""
    assert of_types(on)["a"] is has_plan


def test_purchases_have_no_plan_and_types_that_nobody_names_have_one() -> None:
    by_type, unnamed = quiet_plans(
        compiled(workflow(mail(), on=[frequency("a", 3, 60), score(50), session("events", 4)]))
    ).plans
    assert by_type["order_completed"] is None
    assert by_type["purchase"] is None
    assert unnamed is not None


@pytest.mark.parametrize(("tests", "has_plan"), [(31, True), (32, True), (33, False)])
def test_a_plan_has_32_tests_at_most(tests: int, *, has_plan: bool) -> None:
    """As many as a mask has bits."""
    assert of_types(*[frequency("a", 3, 60, where=DEAR)] * tests)["a"] is has_plan


def test_a_catalogue_that_knows_days_has_no_plan_of_silences() -> None:
    """Somebody may be due who waits for nothing."""
    gone = workflow(mail(), on=[silence(24)])
    with_days = workflow(mail(), id="days", on=[{"type": "time_based", "conditions": {"condition_type": "schedule", "cron": "0 9 * * *"}}])  # fmt: skip
    plan = quiet_plans(compiled(gone)).silences
    assert plan is not None
    assert [one[1] for one in plan[-1]] == [DAY_MS]
    assert quiet_plans(compiled(gone, with_days)).silences is None


@pytest.mark.parametrize(
    ("properties", "bits"), [(b"{}", 0), (b'{"price": 49}', 0b0), (b'{"price": 50}', 0b1), (b'{"price": 70}', 0b11)]
)
def test_a_mask_has_a_bit_for_each_test_that_holds(properties: bytes, bits: int) -> None:
    dearer = is_("event.price", "gte", 70)
    one, other = frequency("a", 3, 60, where=DEAR), frequency("a", 4, 60, where=dearer)
    assert masked([one, other], properties) == bits


@pytest.mark.parametrize(("properties", "bits"), [(b'{"price": "?"}', UNCERTAIN), (b'{"price": "60"}', UNCERTAIN)])
def test_what_cant_be_compared_is_uncertain(properties: bytes, bits: int) -> None:
    """For it may have to be told."""
    assert masked([frequency("a", 3, 60, where=DEAR)], properties) == bits


@pytest.mark.parametrize(("zone", "bits"), [(None, 0), ("Asia/Kolkata", 1)])
def test_a_test_is_looked_at_in_the_customers_zone(zone: str | None, bits: int) -> None:
    """In Kolkata a day begins at 18:30 of the one before in UTC."""
    named: dict[str, Json] = {"timezone": zone} if zone else {}
    assert masked([frequency("a", 3, 60, where=EARLY)], b'{"day": "2026-01-02"}', named) == bits


@pytest.mark.parametrize(("day", "bits"), [("2026-01-01T08:00:00Z", 1), ("2026-01-01T07:59:59.999Z", 0)])
def test_a_test_is_looked_at_as_of_the_decision(day: str, bits: int) -> None:
    recent = is_("event.day", "within_hours", 1)
    assert masked([frequency("a", 3, 60, where=recent)], msgspec.json.encode({"day": day})) == bits


@pytest.mark.parametrize(
    ("operator", "number"), [("lt", 0), ("lte", 1), ("eq", 2), ("ne", 3), ("gt", 4), ("gte", 5), ("contains", None)]
)
def test_the_compiled_part_is_told_of_comparisons_by_their_numbers(operator: str, number: int | None) -> None:
    """Those that stand in `_hot.c`; what it doesn't know, it leaves to `mask`."""
    on = frequency("a", 3, 60, where=is_("event.n", operator, 5))
    plan = quiet_plans(compiled(workflow(mail(), on=[on]))).plans[0]["a"]
    assert plan is not None
    ((_, _, known),) = plan[-1]
    assert known == (None if number is None else ("n", number, 5))
    assert UNCERTAIN == -1


def masked(on: list[Document], properties: bytes, preferences: dict[str, Json] | None = None) -> int:
    """Look at the tests of the type `a`."""
    catalogue = compiled(*[workflow(mail(), id=f"w{place}", on=[one]) for place, one in enumerate(on)])
    plan = quiet_plans(catalogue).plans[0]["a"]
    assert plan is not None
    event = Event(
        event_id="e", type="a", stream="behavioral", occurred_at=START, customer_id="c", properties=msgspec.Raw(properties)
    )  # fmt: skip
    customer = Customer(customer_id="c", preferences=preferences or {})
    return mask(plan[-1], customer, event, START, catalogue.half_life_ms)


def test_plans_are_made_only_where_something_compiled_reads_them() -> None:
    catalogue = compiled(workflow(mail(), on=[frequency("a", 3, 60)]))
    assert catalogue.quiet == (quiet_plans(catalogue) if IS_COMPILED else NEVER_QUIET)


def told(*, has_plans: bool) -> list[Json]:
    """Let a customer do things that lead to something and to nothing; return what came of it, and the state."""
    journey = Journey(
        workflow(mail(), id="often", on=[frequency("a", 3, 60, where=DEAR)]),
        workflow(mail(), id="gone", on=[silence(24)]),
    )
    catalogue = journey.engine.catalogue
    assert catalogue is not None
    journey.engine.catalogue = replace(catalogue, quiet=quiet_plans(catalogue) if has_plans else NEVER_QUIET)
    prices: tuple[Json, ...] = (10, 60, 60, "?", 60, 60)
    for number, price in enumerate(prices):
        journey.publish("a", number * MINUTE_MS, price=price)
    journey.publish("other", HOUR_MS)
    journey.advance(to=3 * DAY_MS)
    effects: list[Json] = [msgspec.json.encode(effect).decode() for effect in journey.effects]
    return [*effects, msgspec.json.encode(journey.customer()).decode()]


def test_a_plan_changes_nothing_about_what_is_decided_and_remembered() -> None:
    with_plans = told(has_plans=True)
    assert with_plans == told(has_plans=False)
    assert any("send_id" in str(one) for one in with_plans)
