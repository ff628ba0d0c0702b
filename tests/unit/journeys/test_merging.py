"""Merging: what two states come to when they turn out to be one person's."""

import pytest

from journeys.merging import LATE_DEADLINE_MS, RULED, merge
from journeys.newest import newest_events, set_newest
from journeys.repeats import entries, pack
from schemas.customer import (
    MAX_SETTLED,
    Absence,
    Attributable,
    Contact,
    Customer,
    Ended,
    Entries,
    Execution,
    SequenceMemory,
    Session,
    Settled,
    Verification,
    Visit,
)
from schemas.identity import event_hash
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis

NOW = 10 * DAY_MS
HALF_LIFE_MS = float(DAY_MS)


def merged(survivor: Customer, other: Customer, now: Millis = NOW) -> Customer:
    merge(survivor, other, HALF_LIFE_MS, now)
    return survivor


def ada(**known: object) -> Customer:
    return Customer(customer_id="ada", **known)  # type: ignore[arg-type]


def visitor(**known: object) -> Customer:
    return Customer(customer_id="a:v", **known)  # type: ignore[arg-type]


def test_every_field_of_a_customer_is_merged_or_named() -> None:
    """Whoever adds a field decides what becomes of it."""
    assert set(Customer.__struct_fields__) == RULED


def test_the_survivors_attributes_and_addresses_win_and_the_others_fill_what_is_missing() -> None:
    both = merged(
        ada(email="ada@shop.example", attributes={"plan": "pro"}, attribute_times={"plan": 5}),
        visitor(email="v@shop.example", phone="+1", attributes={"plan": "free", "colour": "red"},
                attribute_times={"colour": 7, "@phone": 3}),
    )  # fmt: skip
    assert (both.email, both.phone) == ("ada@shop.example", "+1")
    assert both.attributes == {"plan": "pro", "colour": "red"}
    assert both.attribute_times == {"plan": 5, "colour": 7, "@phone": 3}


def test_what_the_survivors_crm_has_removed_stays_removed() -> None:
    both = merged(ada(attribute_times={"plan": 5, "@email": 5}), visitor(email="v@x.example", attributes={"plan": 1}))
    assert both.email is None
    assert both.attributes == {}


def test_a_stage_that_the_crm_gave_wins_over_one_that_nobody_gave_and_the_survivors_over_the_others() -> None:
    given = merged(ada(lifecycle_stage="lead"), visitor(lifecycle_stage="advocate", stage_at=5))
    assert (given.lifecycle_stage, given.stage_at) == ("advocate", 5)
    both = merged(ada(lifecycle_stage="customer", stage_at=3), visitor(lifecycle_stage="advocate", stage_at=5))
    assert (both.lifecycle_stage, both.stage_at) == ("customer", 3)


def test_what_was_found_out_about_the_address_that_stands_is_kept_and_else_what_was_found_out_later() -> None:
    def of(address: str, at: Millis) -> Verification:
        return Verification(address=event_hash(address), at=at, undeliverable=True)

    mine, theirs = of("old@x.example", 9), of("ada@x.example", 5)
    assert merged(ada(email="ada@x.example", verification=mine), visitor(verification=theirs)).verification == theirs
    assert merged(ada(verification=mine), visitor(verification=theirs)).verification == mine
    assert merged(ada(), visitor(email="ada@x.example", verification=theirs)).verification == theirs
    assert merged(ada(), visitor()).verification is None


@pytest.mark.parametrize(
    ("mine", "theirs", "wins"),
    [
        (None, "unsubscribed", "unsubscribed"),
        ("unsubscribed", "bounced", "bounced"),
        ("complained", "bounced", "complained"),
        ("bounced", None, "bounced"),
    ],
)
def test_the_stricter_suppression_wins(mine: str | None, theirs: str | None, wins: str) -> None:
    both = merged(
        ada(contacts={"email": Contact(suppressed=mine)}), visitor(contacts={"email": Contact(suppressed=theirs)})
    )
    assert both.contacts["email"].suppressed == wins


def test_a_denial_wins_over_a_consent_and_a_consent_over_nothing_said() -> None:
    said = {
        (mine, theirs): merged(
            ada(contacts={"sms": Contact(consent=mine)}), visitor(contacts={"sms": Contact(consent=theirs)})
        )
        .contacts["sms"]
        .consent
        for mine, theirs in (("granted", "denied"), ("denied", "granted"), ("unknown", "granted"))
    }
    assert list(said.values()) == ["denied", "denied", "granted"]
    assert merged(ada(), visitor(contacts={"sms": Contact(consent="denied")})).contacts["sms"].consent == "denied"


def test_counts_purchases_and_scores_add_up() -> None:
    both = merged(
        ada(counts={"a": 1}, last={"a": 9}, total_purchases=1, total_spent=0.1, score=10.0, score_at=NOW),
        visitor(counts={"a": 2, "b": 1}, last={"a": 5, "b": 6}, total_purchases=2, total_spent=0.2, score=8.0,
                score_at=NOW - DAY_MS),
    )  # fmt: skip
    assert (both.counts, both.last) == ({"a": 3, "b": 1}, {"a": 9, "b": 6})
    assert (both.total_purchases, both.total_spent) == (3, 0.3)
    assert (both.score, both.score_at) == (14.0, NOW)


def test_types_beyond_the_bound_count_as_other() -> None:
    full = {f"t{number}": 1 for number in range(200)}
    both = merged(ada(counts=full, last=dict(full)), visitor(counts={"new": 2}, last={"new": 5}))
    assert both.counts["other"] == 2
    assert len(both.counts) == 201


def test_sessions_that_follow_each_other_are_one() -> None:
    def sessions(gap: Millis, name: str | None = None) -> tuple[int, int]:
        last = Session(started_at=0, last_at=MINUTE_MS, events=2, pages=1, session_id="one")
        start = MINUTE_MS + gap
        later = Session(started_at=start, last_at=start, events=3, session_id=name)
        session = merged(ada(session=last), visitor(session=later)).session
        assert session is not None
        return session.started_at, session.events

    assert sessions(30 * MINUTE_MS - 1) == (0, 5)
    assert sessions(30 * MINUTE_MS) == (31 * MINUTE_MS, 3)
    assert sessions(1, "two") == (MINUTE_MS + 1, 3)


def test_the_latest_activity_first_sight_and_answered_silence_win() -> None:
    both = merged(
        ada(first_seen=5, last_activity=10, activity_seen_at=11, silences={"w/0": 10}, cooldowns={"w/0": 3}),
        visitor(first_seen=2, last_activity=20, activity_seen_at=25, silences={"w/0": 4}, cooldowns={"w/0": 8}),
    )
    assert (both.first_seen, both.last_activity, both.activity_seen_at) == (2, 20, 25)
    assert (both.silences, both.cooldowns) == ({"w/0": 10}, {"w/0": 8})


def test_memories_of_instants_are_united_in_order() -> None:
    both = merged(
        _with_events(ada(windows={"w/0": [1, 5]}, seen=pack([(1, 10), (2, 30)])), (1, "a"), (5, "c")),
        _with_events(visitor(windows={"w/0": [2], "w/1": [3]}, seen=pack([(3, 20)])), (2, "b")),
    )
    assert both.windows == {"w/0": [1, 2, 5], "w/1": [3]}
    assert newest_events(both) == [(1, "a"), (2, "b"), (5, "c")]
    assert entries(both.seen) == [(1, 10), (3, 20), (2, 30)]


def _with_events(customer: Customer, *events: tuple[Millis, str]) -> Customer:
    customer.counts = {event_type: 1 for _, event_type in events}
    customer.last = {event_type: at for at, event_type in events}
    set_newest(customer, events)
    return customer


def execution(name: str, started_at: Millis, due_at: Millis | None = None) -> Execution:
    return Execution(
        execution_id=name, workflow_id="w", version=1, trigger_id="0", started_at=started_at, expires_at=NOW + DAY_MS,
        trigger=b"", branches=[Visit(step_id="s", visit=1, entered_at=0, due_at=due_at)], visits={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("due_at", "then"), [(NOW - 1, NOW + LATE_DEADLINE_MS), (NOW, NOW + LATE_DEADLINE_MS), (NOW + 1, NOW + 1)]
)
def test_executions_go_on_in_the_order_of_their_start_and_past_deadlines_are_set_ahead(
    due_at: Millis, then: Millis
) -> None:
    both = merged(ada(executions=[execution("mine", 5)]), visitor(executions=[execution("theirs", 3, due_at)]))
    assert [each.execution_id for each in both.executions] == ["theirs", "mine"]
    assert both.executions[0].branches[0].due_at == then


def test_what_only_an_event_can_move_goes_on_waiting_for_it() -> None:
    both = merged(ada(), visitor(executions=[execution("theirs", 3)]))
    assert both.executions[0].branches[0].due_at is None


def test_places_of_a_timeline_are_the_survivors_unless_she_has_none() -> None:
    """Of a strict sequence that both have begun the survivor's is kept; the other's means nothing in her timeline."""
    begun = {"w/0": SequenceMemory(places=[4], bits=[1])}
    other = {"w/0": SequenceMemory(places=[8], bits=[1]), "w/1": SequenceMemory(places=[8], bits=[1])}
    mine = merged(ada(timeline=[4], sequences=begun), visitor(timeline=[8], sequences=other))
    assert (mine.timeline, mine.sequences) == ([4], begun)
    theirs = merged(ada(sequences=begun), visitor(timeline=[8], sequences=other))
    assert (theirs.timeline, theirs.sequences) == ([8], {**other, **begun})


def test_second_events_of_both_are_united_in_order_and_bounded_by_the_longer() -> None:
    both = merged(ada(second_events={"w": [(1, "a"), (5, "b")]}), visitor(second_events={"w": [(3, "c")]}))
    assert both.second_events == {"w": [(3, "c"), (5, "b")]}


def test_effects_of_both_are_compared_with_late_events_in_order_and_bounded() -> None:
    def settled(prefix: str, *instants: Millis) -> list[Settled]:
        return [
            Settled(
                at=at, execution_id=f"{prefix}{at}", workflow_id="w", version=1, trigger_id="0", override=None,
                started_at=0, expires_at=DAY_MS, last_send_at=None, key=None, trigger=b"", passed=[],
            )
            for at in instants
        ]  # fmt: skip

    both = merged(ada(settled=settled("m", 1, 5)), visitor(settled=settled("t", 3)))
    assert [one.execution_id for one in both.settled] == ["m1", "t3", "m5"]
    many = merged(ada(settled=settled("m", *range(MAX_SETTLED))), visitor(settled=settled("t", 0, MAX_SETTLED)))
    assert len(many.settled) == MAX_SETTLED
    assert [one.execution_id for one in many.settled][-2:] == [f"m{MAX_SETTLED - 1}", f"t{MAX_SETTLED}"]


def test_of_two_absences_of_one_trigger_the_later_first_event_counts() -> None:
    def pending(since: Millis, due_at: Millis) -> Absence:
        return Absence(trigger="w", execution_key=None, since=since, due_at=due_at, event=b"")

    both = merged(ada(absences=[pending(1, NOW + 1)]), visitor(absences=[pending(2, NOW + 2)]))
    assert [each.since for each in both.absences] == [2]
    both = merged(ada(absences=[pending(3, NOW + 1)]), visitor(absences=[pending(2, NOW - HOUR_MS)]))
    assert [each.since for each in both.absences] == [3]


def test_what_ended_later_is_what_re_entry_looks_at() -> None:
    def ended(name: str, at: Millis) -> dict[str, Ended]:
        return {"w": Ended(execution_id=name, started_at=0, ended_at=at, reason="completed")}

    assert merged(ada(ended=ended("mine", 5)), visitor(ended=ended("theirs", 6))).ended["w"].execution_id == "theirs"
    assert merged(ada(ended=ended("mine", 6)), visitor(ended=ended("theirs", 6))).ended["w"].execution_id == "mine"


def test_what_ended_with_an_execution_key_stays_in_the_order_of_its_end_and_bounded() -> None:
    def ended(prefix: str, count: int, first_end: Millis) -> dict[str, Ended]:
        return {
            f"w\x1f{prefix}{number}": Ended(
                execution_id="x", started_at=0, ended_at=first_end + 2 * number, reason="completed"
            )
            for number in range(count)
        }

    known = ended("mine", 150, 1)
    reached = merge(both := ada(ended=known), visitor(ended=ended("theirs", 150, 0)), HALF_LIFE_MS, NOW)
    assert reached == ["execution_keys"]
    assert len(both.ended) == 200
    ends = [one.ended_at for one in both.ended.values()]
    assert ends == sorted(ends)
    assert ends[-1] == known["w\x1fmine149"].ended_at


def test_bounds_hold_and_are_named() -> None:
    def absences(trigger: str) -> list[Absence]:
        return [
            Absence(trigger=f"{trigger}{number}", execution_key=None, since=1, due_at=NOW + 1, event=b"")
            for number in range(150)
        ]

    def segments(prefix: str) -> list[str]:
        return [f"{prefix}{number:03}" for number in range(150)]

    mine = ada(attributes={"long": "x" * 30_000}, segments=segments("b"), absences=absences("m"))
    reached = merge(
        mine,
        visitor(
            attributes={"other": "x" * 30_000, "third": "x" * 30_000},
            segments=segments("a"),
            absences=absences("t"),
        ),
        HALF_LIFE_MS,
        NOW,
    )
    assert reached == ["attributes", "segments", "absences"]
    assert list(mine.attributes) == ["long"]
    assert len(mine.segments) == len(mine.absences) == 200
    assert set(segments("b")) < set(mine.segments)
    assert mine.segments == sorted(mine.segments)


def test_suppressed_addresses_are_united_and_a_complaint_weighs_more_than_a_bounce() -> None:
    both = merged(
        ada(contacts={"email": Contact(addresses={"one": "bounced", "two": "complained"})}),
        visitor(contacts={"email": Contact(addresses={"one": "complained", "two": "bounced", "three": "bounced"})}),
    )
    assert both.contacts["email"].addresses == {"one": "complained", "two": "complained", "three": "bounced"}
    many = {f"{number}": "bounced" for number in range(8)}
    both = merged(
        ada(contacts={"email": Contact(addresses={"mine": "bounced"})}),
        visitor(contacts={"email": Contact(addresses=many)}),
    )
    assert len(both.contacts["email"].addresses) == 8
    assert "mine" in both.contacts["email"].addresses


@pytest.mark.parametrize(
    ("mine", "theirs", "stands"),
    [
        ({"x": "a"}, {"x": "b"}, "a"),
        ({"x": "a"}, {}, "a"),
        ({}, {"x": "b"}, "b"),
    ],
)
def test_the_survivors_assignment_stands(mine: dict[str, str], theirs: dict[str, str], stands: str) -> None:
    assert merged(ada(assignments=mine), visitor(assignments=theirs)).assignments == {"x": stands}


def test_of_two_assignments_that_with_which_she_has_taken_part_stands_and_she_counts_once() -> None:
    both = merged(
        ada(assignments={"x": "a", "y": "a"}, exposed=["y"]),
        visitor(assignments={"x": "b", "y": "b"}, exposed=["x", "y"]),
    )
    assert both.assignments == {"x": "b", "y": "a"}
    assert sorted(both.exposed) == ["x", "y"]


def test_entries_of_one_instant_are_united_and_of_two_the_later_counts() -> None:
    def entries(at: Millis, **counts: int) -> Entries:
        return Entries(at, counts)

    assert merged(ada(entries=entries(5, e=1)), visitor(entries=entries(5, f=2))).entries == entries(5, e=1, f=2)
    assert merged(ada(entries=entries(5, e=1)), visitor(entries=entries(6, f=2))).entries == entries(6, f=2)
    assert merged(ada(entries=entries(6, e=1)), visitor(entries=entries(5, f=2))).entries == entries(6, e=1)
    assert merged(ada(), visitor(entries=entries(5, f=2))).entries == entries(5, f=2)


def test_executions_that_can_still_reach_their_goal_and_answered_dates_are_united() -> None:
    def attributable(name: str, since: Millis) -> Attributable:
        return Attributable(name, "w", 1, "0", None, since, since + DAY_MS)

    both = merged(
        ada(attributable=[attributable("mine", 5)], dates={"w/0": 7}, forgotten={"w/0": 3}, first_events={"w/0": [4]}),
        visitor(
            attributable=[attributable("theirs", 3)], dates={"w/0": 9}, forgotten={"w/0": 5}, first_events={"w/0": [2]}
        ),
    )
    assert [one.execution_id for one in both.attributable] == ["theirs", "mine"]
    assert (both.dates, both.forgotten, both.first_events) == ({"w/0": 9}, {"w/0": 5}, {"w/0": [2, 4]})
