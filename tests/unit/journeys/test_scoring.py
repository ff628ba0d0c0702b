"""The score halves every half-life, adds what late events have left, and is cut only where it is read."""

import pytest

from journeys.scoring import add, decayed, score, weights
from schemas.customer import Customer
from schemas.definitions import Scoring

HALF_LIFE_MS = 14 * 24 * 3_600_000.0


def customer(value: float, at: int | None) -> Customer:
    return Customer(customer_id="ada", score=value, score_at=at)


def test_the_default_weights_are_those_of_the_specification() -> None:
    assert weights(Scoring()) == {
        "page_viewed": 1, "product_viewed": 2, "product_added": 5, "cart_updated": 5, "checkout_started": 8,
        "content_downloaded": 8, "form_submitted": 8, "signup": 10, "order_completed": 25,
        "email_opened": 5, "email_clicked": 10, "email_replied": 15, "email_unsubscribed": -20, "email_complained": -50,
        "sms_opened": 5, "sms_clicked": 10, "sms_replied": 15, "sms_unsubscribed": -20, "sms_complained": -50,
        "push_opened": 5, "push_clicked": 10, "push_replied": 15, "push_unsubscribed": -20, "push_complained": -50,
        "social_opened": 5, "social_clicked": 10, "social_replied": 15, "social_unsubscribed": -20,
        "social_complained": -50,
    }  # fmt: skip


def test_a_definition_lies_over_the_defaults() -> None:
    laid = weights(Scoring(weights={"signup": 30, "webinar_joined": 12}))
    assert (laid["signup"], laid["webinar_joined"], laid["page_viewed"]) == (30, 12, 1)


def test_the_score_halves_every_half_life() -> None:
    ada = customer(80.0, 1_000)
    read = [score(ada, 1_000 + int(n * HALF_LIFE_MS), HALF_LIFE_MS) for n in (0, 1, 2, 3)]
    assert read == [80.0, 40.0, 20.0, 10.0]


@pytest.mark.parametrize(("value", "read"), [(250.0, 100.0), (100.0, 100.0), (-20.0, 0.0), (0.0, 0.0)])
def test_only_what_is_read_is_cut(value: float, read: float) -> None:
    assert score(customer(value, 0), 0, HALF_LIFE_MS) == read


def test_a_customer_without_events_has_none() -> None:
    assert score(customer(0.0, None), 10**12, HALF_LIFE_MS) == 0.0


def test_the_sum_beyond_a_hundred_is_kept_and_decays_from_there() -> None:
    assert score(customer(240.0, 0), int(2 * HALF_LIFE_MS), HALF_LIFE_MS) == 60.0


def test_six_decimals_are_read() -> None:
    assert score(customer(100 / 3, 0), 0, HALF_LIFE_MS) == 33.333333


def test_the_first_event_sets_value_and_instant() -> None:
    assert add(0.0, None, 10.0, 5_000, HALF_LIFE_MS) == (10.0, 5_000)


def test_a_late_event_adds_what_is_left_of_it_and_leaves_the_instant() -> None:
    assert add(10.0, int(HALF_LIFE_MS), 8.0, 0, HALF_LIFE_MS) == (14.0, int(HALF_LIFE_MS))


def test_a_later_event_moves_the_instant_on() -> None:
    assert add(10.0, 0, 8.0, int(HALF_LIFE_MS), HALF_LIFE_MS) == (13.0, int(HALF_LIFE_MS))


def test_nothing_grows_before_its_instant() -> None:
    assert decayed(10.0, 300_000, 0, 60_000.0) == 10.0


def test_what_is_ages_old_is_gone_without_an_error() -> None:
    assert add(1.0, 4 * 10**12, 100.0, 0, 1_000.0) == (1.0, 4 * 10**12)
