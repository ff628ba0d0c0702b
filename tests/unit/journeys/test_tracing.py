"""What a condition wanted and what it found, in words: the sentences of `tidings explain`."""

import msgspec
import pytest

from journeys.conditions import Clauses, clause_of, read_performed
from journeys.scene import Scene
from journeys.tracing import first_failure, in_words, trace, trace_equals
from schemas.customer import Customer
from schemas.definitions import AllOf, AnyOf, Comparison, Condition, Negation
from schemas.events import Event, Json
from schemas.instants import HOUR_MS, Millis

NOW: Millis = 1_774_051_200_000
PRO = Comparison(field="plan", operator="eq", value="pro")
FREE = Comparison(field="plan", operator="eq", value="free")
OLD = Comparison(field="age", operator="gte", value=30)
DEAR: Json = {"field": "event.price", "operator": "gte", "value": 50}


def failure(condition: Condition) -> str | None:
    """Tell what failed first, of somebody on the plan `pro` who is 40."""
    customer = Customer(customer_id="c", attributes={"plan": "pro", "age": 40})
    failed = first_failure(trace(condition, Scene(customer=customer, now=NOW, half_life_ms=1.0)))
    return None if failed is None else in_words(failed)


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        (PRO, None),
        (FREE, '`plan` is "pro"; `eq "free"` is wanted'),
        (AllOf(all=(PRO, FREE)), '`plan` is "pro"; `eq "free"` is wanted'),
        (AnyOf(any=(FREE,)), '`plan` is "pro"; `eq "free"` is wanted'),
        (Negation(negated=PRO), 'this must not hold and does: `plan` is "pro"; `eq "pro"` is wanted'),
        (
            Negation(negated=AllOf(all=(PRO, OLD))),
            'this must not hold and does: `plan` is "pro"; `eq "pro"` is wanted and `age` is 40; `gte 30` is wanted',
        ),
    ],
)
def test_a_failure_is_told_by_what_was_wanted_and_what_was_found(condition: Condition, told: str | None) -> None:
    assert failure(condition) == told


def test_of_several_that_may_hold_inside_of_what_must_not_the_one_that_does_is_told() -> None:
    """And not that none does."""
    told = failure(Negation(negated=AnyOf(any=(FREE, OLD))))
    assert told == "this must not hold and does: `age` is 40; `gte 30` is wanted"


def test_what_must_not_hold_and_doesnt_is_not_told_as_holding() -> None:
    told = failure(Negation(negated=Negation(negated=FREE)))
    assert told == 'this must not hold and does: not `plan` is "pro"; `eq "free"` is wanted'


@pytest.mark.parametrize(
    ("equals", "told"),
    [
        ({"source": "website"}, None),
        ({"source": "website", "price": 60}, None),
        ({"source": "website", "price": 61}, "`event.price` is 60; `eq 61` is wanted"),
        ({"colour": "red", "price": 61}, '`event.colour` is missing; `eq "red"` is wanted'),
    ],
)
def test_of_equalities_the_first_that_fails_is_told(equals: dict[str, Json], told: str | None) -> None:
    event = Event(
        event_id="e", type="order", stream="behavioral", occurred_at=NOW, customer_id="c", source="website",
        properties=msgspec.Raw(b'{"price": 60}'),
    )  # fmt: skip
    scene = Scene(customer=Customer(customer_id="c"), now=NOW, half_life_ms=1.0, event=event)
    assert trace_equals(equals, scene) == told


@pytest.mark.parametrize(
    ("window", "age", "times"),
    [({}, 10**10, 1), ({"within_hours": 3}, 3 * HOUR_MS, 1), ({"within_hours": 3}, 3 * HOUR_MS + 1, 0)],
)
def test_what_was_done_is_counted_in_its_window_the_end_included(
    window: dict[str, Json], age: Millis, times: int
) -> None:
    """Without a window, however long ago."""
    asked: dict[str, Json] = {"event_type": "signup", "min_count": 2, "where": DEAR, **window}
    clause = clause_of(read_performed(asked), Clauses())
    assert clause is not None
    customer = Customer(customer_id="c", clauses={clause.id: [NOW - age]})
    condition = Comparison(operator="performed", value=asked)
    told = in_words(trace(condition, Scene(customer=customer, now=NOW, half_life_ms=1.0)))
    assert told.startswith(f"what she did is {times} times such a signup;")
