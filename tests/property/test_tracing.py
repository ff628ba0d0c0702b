"""A condition told clause by clause has the verdict of the rules, and names a clause that really failed."""

from hypothesis import given
from hypothesis import strategies as st

from journeys.conditions import Clauses, compile_condition, mistakes
from journeys.scene import Scene
from journeys.tracing import first_failure, in_words, trace
from schemas.customer import Customer
from schemas.definitions import Comparison, Condition
from schemas.events import Json
from tests.property.test_conditions import NOW, conditions, fields

PERFORMED: dict[str, Json] = {"event_type": "signup", "min_count": 2}
others = st.sampled_from(
    [
        Comparison(operator="in_segment", value="vip"),
        Comparison(operator="not_in_segment", value="vip"),
        Comparison(operator="performed", value=PERFORMED),
        Comparison(operator="not_performed", value=PERFORMED | {"within_hours": 3}),
    ]
)


@given(
    condition=conditions | others,
    attributes=fields,
    segments=st.lists(st.just("vip"), max_size=1),
    count=st.integers(0, 3),
)
def test_what_is_told_is_what_is_decided(
    condition: Condition, attributes: dict[str, Json], segments: list[str], count: int
) -> None:
    """The verdict is that of the compiled condition; a failure is told in words exactly where there is one."""
    if mistakes(condition):
        return
    customer = Customer(customer_id="c", attributes=attributes, segments=segments, counts={"signup": count})
    decided = compile_condition(condition, Clauses())(Scene(customer=customer, now=NOW, half_life_ms=1.0))
    traced = trace(condition, Scene(customer=customer, now=NOW, half_life_ms=1.0))
    assert traced.holds is decided
    failure = first_failure(traced)
    assert (failure is None) is decided
    if failure is not None:
        assert not failure.holds
        assert in_words(failure)
        told = compile_condition(failure.condition, Clauses())
        assert told(Scene(customer=customer, now=NOW, half_life_ms=1.0)) is False
