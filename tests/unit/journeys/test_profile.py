"""What events teach about a customer, in whatever order they come."""

from itertools import permutations

import pytest

from journeys.newest import newest_events
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import START, Document, Journey, action, after, trigger, workflow

HALF_HOUR = 30 * MINUTE_MS


def journey(email: str | None = None) -> Journey:
    return Journey(workflow(on=[]), email=email)


# Sessions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gap", "events"), [(HALF_HOUR - 1, 2), (HALF_HOUR, 1), (HALF_HOUR + 1, 1)])
def test_a_gap_of_30_minutes_begins_a_new_session(gap: Millis, events: int) -> None:
    one = journey()
    one.publish("page_viewed")
    one.publish("page_viewed", gap)
    session = one.customer().session
    assert session is not None
    assert session.events == events


def test_another_session_id_begins_a_new_session_and_none_does_not() -> None:
    one = journey()
    for number, name in enumerate(["a", None, "a", "b"]):
        one.publish("screen_viewed", number, envelope={"session_id": name})
    session = one.customer().session
    assert session is not None
    assert (session.session_id, session.events, session.started_at) == ("b", 1, START + 3)


def test_a_session_is_made_of_behavioral_events_and_counts_pages() -> None:
    one = journey()
    for number, kind in enumerate(["page_viewed", "signup", "screen_viewed", "email_opened", "customer_updated"]):
        one.publish(kind, number * MINUTE_MS)
    session = one.customer().session
    assert session is not None
    assert (session.events, session.pages, session.last_at - session.started_at) == (3, 2, 2 * MINUTE_MS)


def test_an_event_from_before_the_session_leaves_it_alone() -> None:
    one = journey()
    one.publish("page_viewed")
    one.publish("page_viewed", -HALF_HOUR, arrives=1)
    session = one.customer().session
    assert session is not None
    assert session.events == 1


# Computed fields -------------------------------------------------------------------------------------------------


def test_counts_instants_score_and_purchases_do_not_depend_on_the_order_of_arrival() -> None:
    events: list[tuple[str, Millis, Document]] = [
        ("page_viewed", 0, {}),
        ("order_completed", HOUR_MS, {"total": 0.1}),
        ("order_completed", 2 * HOUR_MS, {"revenue": 0.2, "value": 9}),
        ("purchase", DAY_MS, {"total": "x", "amount": 7.333}),
    ]
    found = set()
    for order in permutations(events):
        one = journey()
        for kind, at, properties in order:
            one.publish(kind, at, arrives=DAY_MS, envelope={"properties": properties})
        ada = one.customer()
        assert ada.total_purchases == 3
        found.add(
            (
                ada.total_spent,
                ada.first_seen,
                ada.last_activity,
                tuple(sorted(ada.counts.items())),
                tuple(sorted(ada.last.items())),
                round(ada.score, 9),
                tuple(newest_events(ada)),
            )
        )
    assert len(found) == 1
    assert found.pop()[0] == 7.633


def test_the_amount_of_a_purchase_is_the_first_number_among_its_names() -> None:
    cases: list[tuple[Document, float]] = [
        ({"total": 5, "revenue": 7}, 5.0),
        ({"total": "5", "revenue": 7}, 7.0),
        ({"total": True, "value": 2.5}, 2.5),
        ({"amount": -3}, -3.0),
        ({}, 0.0),
    ]
    for properties, spent in cases:
        one = journey()
        one.publish("order_completed", envelope={"properties": properties})
        assert one.customer().total_spent == spent


def test_opens_clicks_and_replies_are_engagement_and_nothing_else_is() -> None:
    for kind in ("delivered", "opened", "clicked", "replied", "bounced", "complained", "unsubscribed"):
        one = journey()
        one.publish(f"sms_{kind}")
        engaged = kind in {"opened", "clicked", "replied"}
        assert (one.customer().last_engagement is not None) == engaged
        assert (one.customer().last_activity is not None) == engaged


def test_the_20_most_recent_events_are_kept_by_time_and_not_by_arrival() -> None:
    one = journey()
    for number in range(25):
        one.publish("page_viewed", number)
    one.publish("signup", 10, arrives=30)
    one.publish("signup", 0, arrives=30)
    recent = newest_events(one.customer())
    assert [at - START for at, _ in recent] == [*range(6, 11), 10, *range(11, 25)]
    assert recent[5] == (START + 10, "signup")


# CRM -------------------------------------------------------------------------------------------------------------


def update(one: Journey, at: Millis, arrives: Millis, **properties: Json) -> None:
    one.publish("customer_updated", at, arrives=arrives, envelope={"properties": properties})


def test_of_two_values_the_later_one_wins_whatever_the_order_of_arrival() -> None:
    one = journey()
    update(one, 10, 10, attributes={"a": 2, "b": 1}, email="new@x.example", lifecycle_stage="customer")
    update(one, 5, 20, attributes={"a": 1, "c": 3}, email="old@x.example", lifecycle_stage="lead")
    ada = one.customer()
    assert (ada.attributes, ada.email, ada.lifecycle_stage) == ({"a": 2, "b": 1, "c": 3}, "new@x.example", "customer")


def test_null_removes_also_against_an_older_value_that_comes_later() -> None:
    one = journey()
    update(one, 0, 0, attributes={"a": 1}, email="a@x.example", preferences={"timezone": "Asia/Tokyo"})
    update(one, 10, 10, attributes={"a": None, "z": None}, email=None, preferences={"timezone": None})
    update(one, 5, 20, attributes={"a": 1, "z": 1}, email="a@x.example", preferences={"timezone": "Asia/Tokyo"})
    ada = one.customer()
    assert (ada.attributes, ada.email, ada.preferences) == ({}, None, {})


def test_a_profile_change_is_recorded_only_where_something_changed() -> None:
    one = journey()
    update(one, 0, 0, attributes={"a": 1})
    update(one, 1, 1, attributes={"a": 1})
    update(one, 2, 2, attributes={"a": True})
    assert len(one.decisions("profile_changed")) == 2


def test_an_unknown_stage_is_no_stage() -> None:
    one = journey()
    update(one, 0, 0, lifecycle_stage="king")
    assert one.customer().lifecycle_stage == "lead"


@pytest.mark.parametrize("kind", ["page_viewed", "email_opened", "consent_changed", "segment_entered"])
def test_any_event_may_set_an_address_that_is_not_known_yet(kind: str) -> None:
    one = journey()
    one.publish(kind, email="first@x.example", phone="+1")
    one.publish(kind, 1, email="second@x.example")
    assert (one.customer().email, one.customer().phone) == ("first@x.example", "+1")


def test_segments_of_the_crm_are_entered_and_left() -> None:
    one = journey()
    one.publish("segment_entered", segment_id="b")
    one.publish("segment_entered", 1, segment_id="a")
    assert one.customer().segments == ["a", "b"]
    one.publish("segment_left", 2, segment_id="b")
    assert one.customer().segments == ["a"]


@pytest.mark.parametrize(("left", "is_member"), [(9, True), (10, False), (11, False)])
def test_of_two_words_of_the_crm_on_a_membership_the_later_one_counts(left: Millis, *, is_member: bool) -> None:
    for turned in (False, True):
        one = journey()
        words = [("segment_entered", 10), ("segment_left", left)]
        for name, at in reversed(words) if turned and left != 10 else words:
            one.publish(name, at, arrives=20, segment_id="vip")
        assert ("vip" in one.customer().segments) is is_member


@pytest.mark.parametrize(
    ("kind", "word"), [("add_to_segment", "segment_left"), ("remove_from_segment", "segment_entered")]
)
def test_an_action_is_a_later_word_on_a_membership_than_an_older_one_of_the_crm(kind: str, word: str) -> None:
    one = Journey(workflow(action("act", kind, segment_id="vip")))
    one.publish("signup", 10)
    one.publish(word, 9, arrives=20, segment_id="vip")
    assert ("vip" in one.customer().segments) is (kind == "add_to_segment")


# Bounds ----------------------------------------------------------------------------------------------------------


def test_200_attributes_are_kept_and_the_201st_is_refused_with_a_decision() -> None:
    one = journey()
    update(one, 0, 0, attributes={f"a{number}": number for number in range(201)})
    assert len(one.customer().attributes) == 200
    assert [(d.reason, d.detail) for d in one.decisions("bound_reached")] == [("attributes", {"refused": ["a200"]})]


def test_32_kib_of_attributes_are_kept_and_more_is_refused() -> None:
    fits = 32 * 1024 - len('{"a":""}')
    for size, kept in ((fits, True), (fits + 1, False)):
        one = journey()
        update(one, 0, 0, attributes={"a": "x" * size})
        assert ("a" in one.customer().attributes) is kept


def test_names_that_are_only_remembered_are_bounded_too() -> None:
    one = journey()
    update(one, 0, 0, attributes={"x" * 60_000: None})
    assert one.customer().attribute_times == {}
    for number in range(10):
        update(one, number, number, attributes={f"{number}-{name}": None for name in range(100)})
    assert len(one.customer().attribute_times) <= 400


# Consent ---------------------------------------------------------------------------------------------------------


def test_of_consent_and_unsubscribe_the_later_one_counts() -> None:
    for first, second, suppressed in ((5, 10, None), (10, 5, "unsubscribed"), (5, 5, None)):
        one = journey()
        one.publish("email_unsubscribed", first, arrives=20)
        one.publish("consent_changed", second, arrives=20, channel="email", consent="granted")
        assert one.customer().contacts["email"].suppressed == suppressed
    one = journey()
    one.publish("consent_changed", 10, arrives=20, channel="email", consent="granted")
    one.publish("email_unsubscribed", 9, arrives=20)
    assert one.customer().contacts["email"].suppressed is None


def test_a_consent_from_between_two_unsubscribes_lifts_nothing_whenever_it_comes() -> None:
    for order in ((1, 3, 2), (3, 1, 2), (1, 2, 3), (2, 1, 3), (2, 3, 1), (3, 2, 1)):
        one = journey()
        for at in order:
            if at == 2:
                one.publish("consent_changed", at, arrives=20, channel="email", consent="granted")
            else:
                one.publish("email_unsubscribed", at, arrives=20)
        assert one.customer().contacts["email"].suppressed == "unsubscribed"


def test_channels_are_suppressed_one_by_one() -> None:
    one = journey()
    one.publish("sms_unsubscribed")
    one.publish("consent_changed", 1, channel="fax", consent="granted")
    assert set(one.customer().contacts) == {"sms"}


def test_a_crm_event_of_another_type_starts_what_waits_for_it() -> None:
    one = Journey(workflow(on=[trigger("contract_signed")]))
    one.publish("contract_signed", envelope={"source": "crm"})
    assert one.sent_at() == [after(0)]
    assert one.customer().last_activity is None


# Addresses that don't work -------------------------------------------------------------------------------------------


def mailed(one: Journey, at: int) -> str | None:
    """Publish a signup; return why its mail was suppressed, or None."""
    before = len(one.decisions("send_suppressed"))
    one.publish("signup", at)
    held = one.decisions("send_suppressed")[before:]
    return held[0].reason if held else None


@pytest.mark.parametrize(("kind", "reason"), [("email_bounced", "bounced"), ("email_complained", "complained")])
def test_bounces_and_complaints_hold_back_their_address_alone(kind: str, reason: str) -> None:
    one = Journey(workflow(allow_multiple_executions=True))
    one.publish(kind)
    assert mailed(one, 1) == reason
    one.publish("customer_updated", 2, email="new@shop.example")
    assert mailed(one, 3) is None
    one.publish("customer_updated", 4, email="ADA@shop.example")
    assert mailed(one, 5) == reason


def test_a_bounce_that_names_another_address_holds_back_that_one() -> None:
    one = Journey(workflow(allow_multiple_executions=True))
    one.publish("email_bounced", email="Old@shop.example")
    assert mailed(one, 1) is None
    one.publish("customer_updated", 2, email="old@shop.example")
    assert mailed(one, 3) == "bounced"


def test_a_bounce_of_nobody_knows_what_holds_back_the_channel() -> None:
    one = Journey(workflow(allow_multiple_executions=True), email=None)
    one.publish("email_bounced")
    one.publish("customer_updated", 1, email="new@shop.example")
    assert mailed(one, 2) == "bounced"


def test_an_unsubscribe_holds_for_every_address_also_beside_a_bounce() -> None:
    one = Journey(workflow(allow_multiple_executions=True))
    one.publish("email_bounced")
    one.publish("email_unsubscribed", 1)
    one.publish("customer_updated", 2, email="new@shop.example")
    assert mailed(one, 3) == "unsubscribed"
    one.publish("consent_changed", 4, channel="email", consent="granted")
    assert mailed(one, 5) is None
    one.publish("customer_updated", 6, email="ada@shop.example")
    assert mailed(one, 7) == "bounced"


def test_only_the_newest_few_addresses_that_dont_work_are_kept() -> None:
    one = journey()
    for number in range(20):
        one.publish("email_bounced", number, email=f"{number}@shop.example")
    assert list(one.customer().contacts["email"].addresses) == [f"{number}@shop.example" for number in range(12, 20)]


def test_the_crm_puts_a_customer_into_two_hundred_segments_at_most() -> None:
    one = journey()
    for number in range(202):
        one.publish("segment_entered", number, segment_id=f"s{number}")
    assert len(one.customer().segments) == 200
    assert [d.detail for d in one.decisions("bound_reached")] == [{"refused": "s200"}, {"refused": "s201"}]
    one.publish("segment_left", 300, segment_id="s0")
    one.publish("segment_entered", 301, segment_id="s201")
    assert "s201" in one.customer().segments


def test_a_late_event_of_another_named_session_leaves_the_latest_alone() -> None:
    one = journey()
    for at in (0, 10):
        one.publish("page_viewed", at * MINUTE_MS, envelope={"session_id": "first"})
    one.publish("page_viewed", 5 * MINUTE_MS, arrives=11 * MINUTE_MS, envelope={"session_id": "second"})
    session = one.customer().session
    assert session is not None
    assert (session.session_id, session.events) == ("first", 2)
