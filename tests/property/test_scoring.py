"""The order in which events arrive doesn't change the score."""

from hypothesis import given
from hypothesis import strategies as st

from journeys.scoring import add, score
from schemas.customer import Customer

DAY_MS = 86_400_000
NOW = 400 * DAY_MS

events = st.lists(st.tuples(st.floats(-50, 50), st.integers(0, NOW)), min_size=1, max_size=40)


@given(data=st.data(), history=events, half_life_ms=st.floats(60_000, 60 * DAY_MS))
def test_the_score_is_the_plain_sum_of_decayed_weights_in_any_order(
    data: st.DataObject, history: list[tuple[float, int]], half_life_ms: float
) -> None:
    ada = Customer(customer_id="ada")
    for weight, occurred_at in data.draw(st.permutations(history)):
        ada.score, ada.score_at = add(ada.score, ada.score_at, weight, occurred_at, half_life_ms)
    total = sum(weight * 0.5 ** ((NOW - occurred_at) / half_life_ms) for weight, occurred_at in history)
    assert abs(score(ada, NOW, half_life_ms) - min(max(total, 0.0), 100.0)) <= 1e-6
    assert ada.score_at == max(occurred_at for _, occurred_at in history)
