"""Sequences: strict or relaxed, in event time, within their minutes, and one set of events fires once."""

from collections.abc import Sequence

import pytest

from journeys.sequences import PLACES, add_place
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import Document, Journey, compiled, is_, sequence, trigger, workflow


def journey(*items: Json, where: Json = None, **conditions: Json) -> Journey:
    return Journey(
        workflow(on=[sequence(*items, where=where, rest=None, **conditions)], allow_multiple_executions=True)
    )


def fired(one: Journey, events: Sequence[tuple[str, Millis]]) -> list[int]:
    """Publish events a millisecond apart, each with when it occurred, and say which of them fired."""
    found = []
    last = max(at for _, at in events)
    for number, (type_, at) in enumerate(events):
        before = len(one.decisions("trigger_fired"))
        one.publish(type_, at, arrives=last + number)
        found += [number] * (len(one.decisions("trigger_fired")) - before)
    return found


def in_order(types: str) -> list[tuple[str, Millis]]:
    return [(type_, number * 1_000) for number, type_ in enumerate(types.split())]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ("a b", [1]),
        ("a x b", []),
        ("b a", []),
        ("a a b", [2]),
        ("a b a b", [1, 3]),
        ("x a b", [1 + 1]),
        ("a email_opened customer_updated b", [3]),
    ],
)
def test_a_strict_sequence_is_the_last_events_and_nothing_else(events: str, expected: list[int]) -> None:
    assert fired(journey("a", "b"), in_order(events)) == expected


def test_strict_is_the_default_and_runs_may_overlap() -> None:
    assert fired(journey("a", "a"), in_order("a a a b a a")) == [1, 2, 5]


def test_an_engagement_event_counts_where_the_sequence_names_its_type() -> None:
    assert fired(journey("a", "email_opened", "b"), in_order("a email_opened b")) == [2]
    assert fired(journey("a", "email_opened", "b"), in_order("a email_opened email_opened b")) == []
    assert fired(journey("email_opened", "email_clicked"), in_order("email_opened x email_clicked")) == []
    assert fired(journey("email_opened", "email_clicked"), in_order("email_opened email_sent email_clicked")) == []
    assert fired(journey("email_opened", "email_clicked"), in_order("email_opened email_delivered email_clicked")) == [
        2
    ]


def test_an_engagement_event_of_a_named_type_separates_even_where_its_condition_fails() -> None:
    item: Document = {"event_type": "email_opened", "where": is_("event.kind", "eq", "sale")}
    one = journey("a", "b", item, "c")
    for number, type_ in enumerate(("a", "email_opened", "b", "email_opened", "c")):
        one.publish(type_, number, kind="sale" if number == 3 else "news")
    assert one.started() == 0


def test_a_late_event_completes_a_run_with_its_neighbours() -> None:
    assert fired(journey("a", "b", "c"), [("a", 0), ("c", 20), ("b", 10)]) == [2]
    assert fired(journey("a", "b"), [("b", 10), ("x", 20), ("a", 5)]) == [2]
    assert fired(journey("a", "b"), [("a", 0), ("c", 5), ("b", 10), ("a", 7)]) == [3]


def test_a_late_event_between_breaks_a_run_that_is_not_complete_yet() -> None:
    assert fired(journey("a", "b", "c"), [("a", 0), ("b", 20), ("x", 10), ("c", 30)]) == []


def test_events_of_one_instant_stand_in_the_order_of_their_arrival() -> None:
    assert fired(journey("a", "b"), [("a", 5), ("b", 5)]) == [1]
    assert fired(journey("a", "b"), [("b", 5), ("a", 5)]) == []
    assert fired(journey("a", "b"), [("a", 5), ("x", 5), ("b", 5)]) == []
    assert fired(journey("a", "b", contiguity="relaxed"), [("b", 5), ("a", 5), ("b", 5)]) == [2]


@pytest.mark.parametrize("contiguity", ["strict", "relaxed"])
@pytest.mark.parametrize(("apart", "count"), [(HOUR_MS - 1, 1), (HOUR_MS, 0), (HOUR_MS + 1, 0)])
def test_the_last_follows_the_first_in_less_than_the_minutes_given(contiguity: str, apart: Millis, count: int) -> None:
    one = journey("a", "b", contiguity=contiguity, within_minutes=60)
    one.publish("a", 0)
    one.publish("b", apart)
    assert one.started() == count


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ("a x b", [2]),
        ("a b b", [1]),
        ("a a b b", [2]),
        ("a b a x b", [1, 4]),
        ("b a", []),
        ("a email_opened b", [2]),
    ],
)
def test_in_a_relaxed_sequence_others_stand_between_and_behind_a_match_it_begins_anew(
    events: str, expected: list[int]
) -> None:
    assert fired(journey("a", "b", contiguity="relaxed"), in_order(events)) == expected


def test_all_live_starts_are_kept() -> None:
    one = journey("a", "b", "c", contiguity="relaxed", within_minutes=1)
    assert fired(one, [("a", 0), ("b", 1), ("a", 50_000), ("b", 55_000), ("c", 70_000)]) == [4]
    assert fired(
        journey("a", "b", "c", contiguity="relaxed", within_minutes=1),
        [("a", 0), ("b", 1), ("a", 50_000), ("c", 70_000)],
    ) == []  # fmt: skip


def test_an_event_may_stand_for_several_items_of_different_starts() -> None:
    assert fired(journey("a", "a", "a", contiguity="relaxed"), in_order("a a a a a a")) == [2, 5]


def test_a_search_begins_anew_behind_a_match_also_when_its_firing_was_refused() -> None:
    one = Journey(workflow(on=[sequence("a", "b", contiguity="relaxed")]))
    assert fired(one, in_order("a b a b b")) == [1]
    assert one.reasons("trigger_refused") == ["re_entry"]


def test_one_set_of_events_fires_once_however_late_its_events_come() -> None:
    relaxed = journey("a", "b", contiguity="relaxed")
    assert fired(relaxed, [("a", 10), ("b", 30), ("a", 20), ("b", 25), ("b", 15)]) == [1]
    again = journey("a", "b", contiguity="relaxed")
    again.publish("a", 0)
    for _ in range(3):
        again.publish("b", 10, event_id="once")
    assert again.started() == 1


def test_a_late_event_completes_a_relaxed_sequence_and_what_lies_behind_it_stays_live() -> None:
    one = journey("a", "b", contiguity="relaxed")
    assert fired(one, [("b", 10), ("a", 20), ("a", 5), ("b", 30)]) == [2, 3]


def test_a_late_event_finds_the_first_match_in_event_time() -> None:
    one = journey("a", "b", "c", contiguity="relaxed")
    assert fired(one, [("a", 0), ("c", 20), ("c", 30), ("b", 10), ("c", 40)]) == [3]


@pytest.mark.parametrize("contiguity", ["strict", "relaxed"])
def test_the_event_that_must_not_come_between_voids_all_live_starts(contiguity: str) -> None:
    conditions: Document = {"contiguity": contiguity, "unless_event": "email_unsubscribed"}
    assert fired(journey("a", "b", **conditions), in_order("a email_unsubscribed b")) == []
    assert fired(journey("a", "b", **conditions), in_order("a email_unsubscribed a b")) == [3]
    assert fired(journey("a", "b", **conditions), in_order("email_unsubscribed a b email_unsubscribed")) == [2]
    late: list[tuple[str, Millis]] = [("a", 0), ("email_unsubscribed", 10), ("b", 20)]
    assert fired(journey("a", "b", **conditions), [late[1], late[2], late[0]]) == []
    assert fired(journey("a", "b", **conditions), [late[0], ("email_opened", 15), late[1], late[2]]) == []


def test_the_last_event_is_not_between_and_the_first_neither() -> None:
    assert fired(journey("a", "b", contiguity="relaxed", unless_event="b"), in_order("a b")) == [1]
    assert fired(journey("a", "b", contiguity="relaxed", unless_event="a"), in_order("a b")) == [1]
    assert fired(journey("a", "x", "b", contiguity="strict", unless_event="x"), in_order("a x b")) == []


def test_an_item_may_ask_for_more_than_its_type() -> None:
    item: Document = {"event_type": "viewed", "where": is_("event.price", "gte", 100)}
    one = journey(item, "bought", contiguity="relaxed")
    one.publish("viewed", 0, price=99)
    one.publish("bought", 1)
    one.publish("viewed", 2, price=100)
    one.publish("bought", 3)
    assert [decision.detail and decision.detail["event_id"] for decision in one.decisions("trigger_fired")] == ["e4"]


def test_where_belongs_to_the_condition_so_without_it_nothing_has_matched() -> None:
    for contiguity in ("strict", "relaxed"):
        one = journey("a", "b", contiguity=contiguity, where=is_("event.total", "gte", 10))
        one.publish("a", 0)
        one.publish("b", 1, total=5)
        one.publish("b", 2, total=20)
        assert one.started() == (contiguity == "relaxed")


def test_a_firing_is_certain_and_names_the_event_that_completed_it() -> None:
    one = journey("a", "b")
    fired(one, [("b", 10), ("a", 0)])
    detail = one.decisions("trigger_fired")[0].detail
    assert detail is not None
    assert (detail["event_id"], detail["confidence_score"]) == ("e2", 1.0)


def test_an_event_too_old_to_start_anything_still_has_its_place() -> None:
    one = journey("a", "b", contiguity="relaxed")
    one.publish("a", -80 * HOUR_MS, arrives=0)
    one.publish("b", 1)
    assert one.started() == 1
    late = journey("a", "b", contiguity="relaxed")
    late.publish("a", -80 * HOUR_MS)
    late.publish("b", -72 * HOUR_MS - 1, arrives=0)
    assert late.reasons("trigger_refused") == ["event_too_old"]


def test_a_start_of_long_ago_is_still_live() -> None:
    for contiguity in ("strict", "relaxed"):
        one = journey("a", "b", contiguity=contiguity)
        one.publish("a", 0)
        one.publish("b", 300 * DAY_MS)
        assert one.started() == 1


def test_a_start_outlives_hundreds_of_others_that_the_sequence_names() -> None:
    item: Document = {"event_type": "b", "where": is_("event.done", "eq", value=True)}
    one = journey("a", item, "b", contiguity="relaxed")
    one.publish("a", 0)
    for number in range(1, 400):
        one.publish("b", number * MINUTE_MS, done=number == 398)
    assert [one.decisions("trigger_fired")[0].detail]
    assert one.started() == 1


@pytest.mark.parametrize("before", [1, 24, 25, 40])
def test_what_came_before_any_start_is_nothing_to_begin_with(before: int) -> None:
    """Also when it is so much that it is forgotten."""
    one = journey("a", "b", contiguity="relaxed")
    for number in range(before):
        one.publish("b", number)
    assert one.started() == 0
    one.publish("a", 100)
    one.publish("b", 101)
    assert one.started() == 1


def test_a_run_between_whose_events_others_may_have_stood_that_are_forgotten_is_none() -> None:
    """A late neighbour of long ago: with few events since it is known that nothing stood between."""
    for since, started in ((5, 1), (60, 0)):
        one = journey("a", "b")
        one.publish("a", 0)
        for number in range(since):
            one.publish("x", 100 + number)
        one.publish("b", 1, arrives=1_000)
        assert one.started() == started


def test_a_visitor_s_events_make_sequences_too() -> None:
    one = journey("a", "b")
    for number, type_ in enumerate("ab"):
        one.publish(type_, number, customer=None, envelope={"anonymous_id": "v"})
    assert one.started() == 1


@pytest.mark.parametrize("contiguity", ["strict", "relaxed"])
def test_what_is_remembered_is_bounded(contiguity: str) -> None:
    one = Journey(workflow(on=[sequence("a", "b", "c", contiguity=contiguity)], allow_multiple_executions=True))
    for number in range(600):
        one.publish("ab"[number % 2], number * 100)
        one.publish("email_opened", number * 100 + 50)
    memory = next(iter(one.customer().sequences.values()))
    assert len(memory.places) == len(memory.bits) <= 24
    assert len(one.customer().timeline) <= 40


@pytest.mark.parametrize(("others", "finds"), [(0, True), (16, True), (23, True), (24, False)])
def test_a_late_event_finds_its_place_before_the_newest_that_the_sequence_names(others: int, finds: bool) -> None:  # noqa: FBT001
    """In a relaxed sequence: sixteen of them at least."""
    one = journey("a", "b", contiguity="relaxed", unless_event="x")
    one.publish("a", 0)
    for number in range(others):
        one.publish("x", 1_000 + number)
    one.publish("b", 500, arrives=2_000)
    assert one.started() == finds


@pytest.mark.parametrize(("others", "finds"), [(0, True), (16, True), (17, True), (18, False)])
def test_a_late_event_finds_its_neighbours_before_the_newest_that_the_sequence_names(others: int, finds: bool) -> None:  # noqa: FBT001
    """In a strict sequence: sixteen of them at least."""
    one = journey("a", "b")
    one.publish("a", 0)
    for number in range(others):
        one.publish("a", 1_000 + number)
    one.publish("b", 500, arrives=2_000)
    assert one.started() == finds


@pytest.mark.parametrize(("others", "finds"), [(0, True), (30, True), (38, True), (39, False)])
def test_a_late_event_finds_its_neighbours_before_the_newest_events(others: int, finds: bool) -> None:  # noqa: FBT001
    """Of all behavioral ones, at least thirty."""
    one = journey("a", "b")
    one.publish("a", 0)
    for number in range(others):
        one.publish("x", 1_000 + number)
    one.publish("b", 500, arrives=2_000)
    assert one.started() == finds


@pytest.mark.parametrize(("others", "finds"), [(0, True), (30, True), (31, False)])
def test_what_stands_between_behavioral_events_has_neighbours_before_the_newest_of_them(
    others: int,
    finds: bool,  # noqa: FBT001
) -> None:
    """An event of the CRM before all that is known of: with 32 known nobody knows what stood behind it."""
    one = journey("customer_updated", "a")
    one.publish("customer_updated", 0)
    for number in range(others):
        one.publish("x", 1_000 + number)
    one.publish("a", 500, arrives=2_000)
    assert one.started() == finds


def test_a_late_start_before_what_was_forgotten_replaces_no_later_one() -> None:
    """The chain that can still be in time is the one that began last, in whatever order the starts arrive."""
    one = journey("a", "c", "b", contiguity="relaxed", within_minutes=60)
    for second in range(9):
        one.publish("a", 30 * MINUTE_MS + second * 1000)
    for second in range(16):
        one.publish("c", 31 * MINUTE_MS + second * 1000)
    one.publish("a", 0, arrives=32 * MINUTE_MS)
    one.publish("b", 75 * MINUTE_MS)
    assert one.started() == 1


def test_a_sequence_knows_nothing_from_before_its_conditions_changed() -> None:
    one = Journey(workflow(on=[sequence("a", "b", contiguity="relaxed")]))
    one.publish("a", 0)
    one.engine.switch(compiled(workflow(on=[sequence("c", "b", contiguity="relaxed")])))
    one.publish("b", 1)
    assert one.started() == 0


def test_a_sequence_goes_on_in_a_catalogue_that_left_it_as_it_was() -> None:
    one = Journey(workflow(on=[sequence("a", "b")]))
    one.publish("a", 0)
    one.engine.switch(compiled(workflow(on=[sequence("a", "b")]), workflow(id="other", on=[trigger("z")])))
    one.publish("b", 1)
    assert one.started() == 1


def test_triggers_of_all_kinds_fire_in_the_order_of_their_priority() -> None:
    one = Journey(
        workflow(id="low", on=[sequence("a", "b", rest={"priority": 40})]),
        workflow(id="high", on=[trigger("b", priority=60)]),
        workflow(id="middle", on=[sequence("a", "b", contiguity="relaxed")]),
    )
    one.publish("a", 0)
    one.publish("b", 1)
    assert [decision.workflow_id for decision in one.decisions("trigger_fired")] == ["high", "middle", "low"]


def test_what_an_item_couldnt_compare_is_no_warning_of_what_follows() -> None:
    """Which event completes a sequence isn't known when its parts are looked at."""
    costly: Json = {"event_type": "a", "where": is_("event.total", "gt", 5)}
    journey = Journey(workflow(on=[sequence(costly, "b", contiguity="relaxed"), trigger("a")]))
    journey.publish("a", total="much")
    journey.publish("b", 1)
    assert journey.started() == 1
    assert [(one.detail or {}).get("warnings") for one in journey.decisions()] == [None] * len(journey.decisions())


def test_the_latest_start_counts_where_an_event_is_both_first_and_second() -> None:
    """Three failures and a call: the call follows the second of them by less than the window, not the first."""
    one = journey("a", "a", "b", contiguity="relaxed", within_minutes=100)
    for event_type, minute in (("a", 0), ("a", 50), ("a", 100), ("b", 130)):
        one.publish(event_type, minute * MINUTE_MS)
    assert one.started() == 1


def test_what_was_forgotten_still_leads_on_when_a_late_event_comes() -> None:
    """The events that are kept are folded again from where the older ones had led."""
    one = journey("a", "b", "c", contiguity="relaxed")
    one.publish("a", 0)
    for second in range(1, 40):
        one.publish("b", second * 1000)
    one.publish("b", 35_500, arrives=40_000)
    one.publish("c", 41_000)
    assert one.started() == 1


def test_another_streams_event_stands_behind_what_was_done_in_its_instant() -> None:
    one = journey("a", "customer_updated", contiguity="strict")
    one.publish("a", 5)
    one.publish("customer_updated", 5)
    assert one.started() == 1


def test_however_many_events_one_instant_has_they_stay_before_the_next_instant() -> None:
    timeline: list[int] = []
    places = [add_place(timeline, 7) for _ in range(PLACES)]
    assert places == sorted(places)
    assert 7 * PLACES < places[0] <= places[-1] < 8 * PLACES
    assert add_place(timeline, 8) > places[-1]
