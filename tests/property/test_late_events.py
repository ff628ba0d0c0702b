"""The law of event time: what is known of a customer doesn't depend on the order in which her events came."""

from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.newest import newest_events
from journeys.scoring import score
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import START, Document, Journey, frequency, is_, segment, sequence, workflow

END: Millis = 3 * DAY_MS
_PROPERTIES: dict[str, list[Document]] = {
    "page_viewed": [{}],
    "order_completed": [{"total": 0.1}, {"total": 0.2}, {"total": 7}],
    "email_opened": [{}],
    "email_unsubscribed": [{}],
    "consent_changed": [{"channel": "email", "consent": word} for word in ("granted", "denied")],
    "segment_entered": [{"segment_id": "vip"}],
    "segment_left": [{"segment_id": "vip"}],
    "customer_updated": [
        {"attributes": {"plan": plan}, "preferences": {"color": plan}, "phone": plan} for plan in ("free", "pro", None)
    ],
}
_PERFORMED: Document = {
    "operator": "performed",
    "value": {
        "event_type": "order_completed",
        "min_count": 2,
        "within_hours": 48,
        "where": is_("event.total", "lt", 1),
    },
}
_DEFINITIONS = (
    segment("spender", is_("total_spent", "gte", 0.3)),
    segment("pro", is_("plan", "eq", "pro")),
    segment("often", {"any": [_PERFORMED, is_("last.page_viewed", "within_hours", 24)]}),
    segment("engaged", {"all": [is_("last_engagement", "within_hours", 48), is_("engagement_score", "gte", 6)]}),
    workflow(id="many", on=[frequency("page_viewed", 2, 60)], allow_multiple_executions=True),
    workflow(
        id="row", on=[sequence("page_viewed", "order_completed", contiguity="relaxed")], allow_multiple_executions=True
    ),
)

Told = tuple[str, Millis, Document]


@st.composite
def histories(draw: st.DrawFn) -> list[Told]:
    """Draw events at instants of their own, on the boundaries of windows and beside them."""
    spans = st.sampled_from((0, MINUTE_MS, HOUR_MS, DAY_MS - HOUR_MS, DAY_MS, 2 * DAY_MS))
    instants = draw(st.lists(st.tuples(spans, spans, st.integers(-1, 1)).map(sum), max_size=10, unique=True))
    names = [draw(st.sampled_from(sorted(_PROPERTIES))) for _ in instants]
    return [(name, at, draw(st.sampled_from(_PROPERTIES[name]))) for name, at in zip(names, instants, strict=True)]


def known(history: list[Told], order: list[int]) -> Journey:
    """Let the events come in an order, all of them three days behind, and no later than they may to start something."""
    journey = Journey(*_DEFINITIONS)
    journey.publish("begin", -DAY_MS)
    for place in order:
        name, at, properties = history[place]
        journey.publish(name, at, arrives=5 * DAY_MS, event_id=str(place), envelope={"properties": properties})
    return journey


def is_open(journey: Journey) -> bool:
    """Tell whether marketing may go to the mailbox; by which word it may not is another matter."""
    contact = journey.customer().contacts.get("email")
    return contact is None or (contact.suppressed is None and contact.consent != "denied")


def profile(journey: Journey) -> dict[str, object]:
    customer = journey.customer()
    return {
        "history": (customer.counts, customer.last, customer.first_seen, newest_events(customer)),
        "activity": (customer.last_activity, customer.last_engagement),
        "purchases": (customer.total_purchases, customer.total_spent),
        "score": score(customer, START + 5 * DAY_MS, 14 * DAY_MS),
        "crm": (customer.attributes, customer.preferences, customer.phone, customer.attribute_times),
        "segments": customer.segments,
        "may be written to": is_open(journey),
        "clauses": customer.clauses,
    }


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_profile_history_and_memberships_do_not_depend_on_the_order_of_arrival(data: st.DataObject) -> None:
    history = data.draw(histories())
    order = data.draw(st.permutations(range(len(history))))
    in_order = sorted(range(len(history)), key=lambda place: history[place][1])
    assert profile(known(history, order)) == profile(known(history, in_order))


def _brute_force(history: list[Told]) -> dict[str, object]:
    """Compute the same from the whole history at once, sharing no code with the rules."""
    events = sorted(history, key=lambda told: told[1])
    counts: dict[str, int] = {"begin": 1}
    attributes: dict[str, Json] = {}
    is_member, is_open, spent, orders = False, True, 0.0, 0
    for name, _, properties in events:
        counts[name] = counts.get(name, 0) + 1
        match name:
            case "order_completed":
                orders, spent = orders + 1, spent + float(str(properties["total"]))
            case "customer_updated":
                changed = properties["attributes"]
                assert isinstance(changed, dict)
                attributes = {key: value for key, value in changed.items() if value is not None}
            case "segment_entered" | "segment_left":
                is_member = name == "segment_entered"
            case "email_unsubscribed":
                is_open = False
            case "consent_changed":
                is_open = properties["consent"] == "granted"
    return {
        "counts": counts,
        "attributes": attributes,
        "vip": is_member,
        "may be written to": is_open,
        "spent": (orders, round(spent, 6)),
    }


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_known_is_what_the_whole_history_says(data: st.DataObject) -> None:
    history = data.draw(histories())
    journey = known(history, data.draw(st.permutations(range(len(history)))))
    customer = journey.customer()
    assert _brute_force(history) == {
        "counts": customer.counts,
        "attributes": customer.attributes,
        "vip": "vip" in customer.segments,
        "may be written to": is_open(journey),
        "spent": (customer.total_purchases, customer.total_spent),
    }
