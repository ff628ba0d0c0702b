"""The law of reopened decisions: whatever the order of arrival, the execution stands where it should have gone."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import Document, Journey, decision, segment, wait, workflow
from tests.strategies import lasting_conditions

DECIDED: Millis = DAY_MS
_TYPES = ("page_viewed", "order_completed", "email_opened", "customer_updated", "segment_entered", "signup")
_MOMENTS = (1, MINUTE_MS, HOUR_MS, DECIDED - HOUR_MS - 1, DECIDED - HOUR_MS, DECIDED - 1, DECIDED, DECIDED + 1)
_DELAYS = (0, 0, 1, MINUTE_MS, HOUR_MS, DAY_MS, 2 * DAY_MS)


Told = tuple[str, Millis, Millis, Document]
"""An event: its type, when it occurred, when it arrives, its properties."""


@st.composite
def told(draw: st.DrawFn) -> Told:
    name, at = draw(st.sampled_from(_TYPES)), draw(st.sampled_from(_MOMENTS))
    properties: Document = {"total": draw(st.sampled_from((5, 10)))}
    if name == "customer_updated":
        properties = {"attributes": {"plan": draw(st.sampled_from(("free", "pro", None)))}}
    if name == "segment_entered":
        properties = {"segment_id": "vip"}
    return name, at, at + draw(st.sampled_from(_DELAYS)), properties


def standing(rules: list[Document], kept: Document, events: list[Told], *, in_time: bool) -> tuple[object, ...]:
    """Return where the execution stands, three days behind the decision, and what it is known of the customer then."""
    ways: list[Json] = [{"rule": rule, "next_step": f"way{place}"} for place, rule in enumerate(rules)]
    steps = [
        wait("first", "choice", duration_days=1),
        decision("choice", "condition", conditions=ways, default_next_step="other"),
        *(wait(f"way{place}", duration_days=9) for place in range(len(rules))),
        wait("other", duration_days=9),
    ]
    journey = Journey(
        workflow(*steps), segment("hot", kept), segment("warm", {"operator": "in_segment", "value": "hot"})
    )
    journey.publish("begin", -1)
    journey.publish("signup", 0)
    order = sorted(events, key=lambda one: (one[1] if in_time else one[2], one[1]))
    for number, (name, at, arrives, properties) in enumerate(order):
        arrival = at if in_time else arrives
        journey.publish(
            name, at, arrives=arrival, event_id=f"{events.index(order[number])}", envelope={"properties": properties}
        )
    journey.advance(to=4 * DAY_MS)
    customer = journey.customer()
    (execution,) = customer.executions
    learned = customer.counts, customer.last, customer.last_activity, customer.last_engagement, customer.total_spent
    return [visit.step_id for visit in execution.branches], learned, customer.segments


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(lasting_conditions(), min_size=1, max_size=2), lasting_conditions(), st.lists(told(), max_size=6))
def test_an_execution_stands_where_events_in_time_would_have_led_it(
    rules: list[Document], kept: Document, events: list[Told]
) -> None:
    """Decisions in event time: the order of arrival changes when the customer goes a way, never which one."""
    assert standing(rules, kept, events, in_time=False) == standing(rules, kept, events, in_time=True)
