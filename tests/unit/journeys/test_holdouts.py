"""Holdouts: who is held out is the published formula, the global holdout first."""

from hashlib import md5

import pytest

from journeys.holdouts import held_out
from tests.journey import Journey, workflow

CUSTOMERS = [f"c{number}" for number in range(400)]


def place(customer: str, salt: str) -> float:
    return int(md5(f"{customer}:{salt}".encode(), usedforsecurity=False).hexdigest(), 16) % 10_000 / 10_000


def held(journey: Journey) -> dict[str, object]:
    """Start everybody; return what each of those who were held out was told."""
    for customer in CUSTOMERS:
        journey.publish("signup", customer=customer)
    return {one.customer_id: (one.detail or {})["holdout"] for one in journey.decisions(reason="holdout")}


@pytest.mark.parametrize("percent", [0, 0.5, 20, 100])
def test_a_workflow_never_starts_for_those_whose_place_lies_within_its_holdout(percent: float) -> None:
    journey = Journey(workflow(holdout_percent=percent))
    expected = [customer for customer in CUSTOMERS if place(customer, "holdout:w") < percent / 100]
    assert held(journey) == dict.fromkeys(expected, "w")
    assert journey.started() == len(CUSTOMERS) - len(expected)


def test_the_global_holdout_is_of_all_marketing_workflows_and_goes_first() -> None:
    journey = Journey(
        workflow(holdout_percent=100),
        workflow(id="receipt", category="transactional"),
        global_holdout_percent=10,
    )
    outside = {customer for customer in CUSTOMERS if place(customer, "holdout") < 0.1}
    assert held(journey) == {customer: "global" if customer in outside else "w" for customer in CUSTOMERS}
    assert journey.started() == len(CUSTOMERS)


def test_the_refusal_says_the_place_and_the_percentage() -> None:
    journey = Journey(workflow(holdout_percent=100))
    journey.publish("signup", event_id="e")
    detail = journey.decisions("trigger_refused")[0].detail
    assert detail is not None
    assert {name: detail[name] for name in ("holdout", "place", "percent")} == {
        "holdout": "w",
        "place": place("ada", "holdout:w"),
        "percent": 100,
    }


def test_a_share_ends_where_its_decimals_say() -> None:
    at_seven = next(f"n{number}" for number in range(10**6) if place(f"n{number}", "holdout:w") == 0.0007)
    assert held_out(at_seven, "w", "marketing", 0.07, 0) is None
    assert held_out(at_seven, "w", "marketing", 0.08, 0) is not None
