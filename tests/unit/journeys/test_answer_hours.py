"""A customer's own best hours: what counts, at which hour, for how long, and when they hold.

The start of a journey is 2026-01-01, a Thursday, 09:00 UTC.
"""

from itertools import permutations
from pathlib import Path

import msgspec
import pytest

from journeys.answer_hours import HALF_LIFE_MS, as_of, count_response, count_send, united
from schemas.customer import MAX_KNOWN_SENDS, AnswerHours, Customer
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis, parse_instant
from tests.journey import START, Document, Journey, after, mail, message, short, trigger, wait, workflow

OPTIMIZED: Document = {"optimize": True}
NOW_AND_LATER = (
    workflow(mail("now"), id="now", on=[trigger("now")], allow_multiple_executions=True),
    workflow(mail("later", timing=OPTIMIZED), id="later", on=[trigger("later")], allow_multiple_executions=True),
)


def counted(journey: Journey, at: Millis) -> tuple[dict[int, float], dict[int, float]]:
    """Return what is left of sends and responses at an instant, of those hours that have any, to 6 decimals."""
    hours = journey.customer().hours
    assert hours is not None
    responses, sends = as_of(hours, START + at)
    return _some(sends), _some(responses)


def _some(counts: list[float]) -> dict[int, float]:
    return {hour: round(count, 6) for hour, count in enumerate(counts) if count}


# What counts ----------------------------------------------------------------------------------------------------


def test_a_message_counts_at_the_local_hour_at_which_it_goes_out() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("customer_updated", preferences={"timezone": "Asia/Kolkata"})
    journey.publish("now", 30 * MINUTE_MS - 1)
    journey.publish("now", 30 * MINUTE_MS)
    # 09:30 UTC is 15:00 in Kolkata.
    assert counted(journey, 0) == ({14: 1, 15: 1}, {})


def test_a_response_counts_at_the_hour_of_its_send() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("now")
    [send] = journey.sends()
    journey.publish("email_opened", 5 * HOUR_MS, send_id=send.send_id)
    journey.publish("email_clicked", 6 * HOUR_MS, send_id=send.send_id)
    sends, responses = counted(journey, 6 * HOUR_MS)
    assert sends.keys() == responses.keys() == {9}
    assert responses[9] == pytest.approx(2, abs=0.001)


@pytest.mark.parametrize("send_id", [None, "s0", 7, ["s0"], "x" * 10_000])
def test_a_response_whose_send_is_not_known_counts_as_both_at_its_own_hour(send_id: Json) -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("customer_updated", preferences={"timezone": "America/New_York"})
    journey.publish("email_opened", 5 * HOUR_MS, send_id=send_id)
    # 14:00 UTC is 09:00 in New York.
    assert counted(journey, 5 * HOUR_MS) == ({9: 1}, {9: 1})


def test_the_default_zone_is_that_of_the_settings() -> None:
    journey = Journey(*NOW_AND_LATER, default_timezone="Asia/Kathmandu")
    journey.publish("email_opened", 15 * MINUTE_MS)
    assert counted(journey, 15 * MINUTE_MS) == ({15: 1}, {15: 1})


def test_the_hour_of_a_send_stays_when_the_customer_moves() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("now")
    journey.publish("customer_updated", 1, preferences={"timezone": "Asia/Tokyo"})
    journey.publish("email_opened", 2, send_id=journey.sends()[0].send_id)
    assert counted(journey, 2) == ({9: 1}, {9: 1})


@pytest.mark.parametrize("channel", ["email", "sms", "push", "social"])
@pytest.mark.parametrize("what", ["opened", "clicked"])
def test_opens_and_clicks_count_on_every_channel(channel: str, what: str) -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish(f"{channel}_{what}")
    assert counted(journey, 0) == ({9: 1}, {9: 1})


@pytest.mark.parametrize("what", ["delivered", "replied", "bounced", "complained", "unsubscribed"])
def test_nothing_else_counts(what: str) -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish(f"email_{what}")
    journey.publish("page_viewed")
    assert journey.customer().hours is None


def test_a_machine_counts_nowhere() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("email_opened", machine=True)
    assert journey.customer().hours is None


def test_a_message_that_is_suppressed_counts_nowhere() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("email_unsubscribed")
    journey.publish("now", 1)
    assert journey.sends() == []
    assert journey.customer().hours is None


def test_transactional_messages_and_other_channels_count_too() -> None:
    receipt = workflow(mail("r", "push", category="transactional"), short("push"), on=[trigger("bought")])
    journey = Journey(receipt)
    journey.publish("customer_updated", push_token="token")
    journey.publish("bought")
    assert counted(journey, 0) == ({9: 2}, {})


def test_an_event_that_comes_again_counts_once() -> None:
    journey = Journey(*NOW_AND_LATER)
    for _ in range(3):
        journey.publish("email_opened", 0, arrives=MINUTE_MS, event_id="one")
    assert counted(journey, 0) == ({9: 1}, {9: 1})


def test_a_deletion_forgets_them() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("email_opened")
    journey.publish("customer_deleted", 1)
    assert journey.customer().hours is None


# For how long ---------------------------------------------------------------------------------------------------


def test_everything_halves_every_90_days() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("now")
    journey.publish("email_clicked", send_id=journey.sends()[0].send_id)
    assert counted(journey, 90 * DAY_MS) == ({9: 0.5}, {9: 0.5})
    assert counted(journey, 270 * DAY_MS) == ({9: 0.125}, {9: 0.125})


def test_a_late_response_is_worth_what_is_left_of_it() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("email_opened", 90 * DAY_MS)
    journey.publish("email_opened", 3 * HOUR_MS, arrives=90 * DAY_MS)
    sends, _ = counted(journey, 90 * DAY_MS)
    assert sends[9] == 1
    assert sends[12] == pytest.approx(0.5, abs=0.001)


def test_any_order_gives_the_same_sums() -> None:
    observations = [(9, 0), (9, HALF_LIFE_MS), (20, 3 * HALF_LIFE_MS), (21, 17), (9, -(10**15))]
    found = set()
    for order in permutations(observations):
        hours: AnswerHours | None = None
        for hour, at in order:
            hours = count_response(hours, None, hour, at)
        assert hours is not None
        responses, sends = as_of(hours, 4 * HALF_LIFE_MS)
        assert [round(count, 12) for count in responses] == [round(count, 12) for count in sends]
        found.add(tuple(round(count, 12) for count in sends))
    assert len(found) == 1


def test_at_the_edges_of_the_calendar_nothing_breaks() -> None:
    hours = count_response(None, None, 1, -62_135_596_800_000)
    hours = count_response(hours, None, 2, 253_402_300_799_999)
    assert as_of(hours, 253_402_300_799_999)[0][1:3] == [0.0, 1.0]


def test_the_newest_sends_are_known_by_their_hour_and_older_ones_forgotten() -> None:
    hours: AnswerHours | None = None
    for number in range(MAX_KNOWN_SENDS + 1):
        hours = count_send(hours, f"s{number}", number % 24, 0)
    assert hours is not None
    assert len(hours.known) == 5 * MAX_KNOWN_SENDS
    before = msgspec.msgpack.encode(hours)
    count_response(hours, "s1", 5, 0)
    assert hours.responses == {1: 1.0}
    count_response(hours, "s0", 5, 0)
    assert hours.responses == {1: 1.0, 5: 1.0}
    # 24 sums of each kind at most, so its size has an end.
    assert len(before) < 600


def test_who_was_sent_nothing_pays_nothing() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("page_viewed")
    assert b"ho" not in msgspec.msgpack.decode(msgspec.msgpack.encode(journey.customer()))
    assert msgspec.msgpack.encode(Customer(customer_id="a", hours=None)) == msgspec.msgpack.encode(
        Customer(customer_id="a")
    )


# When they hold -------------------------------------------------------------------------------------------------


def answered_at(hour: int, times: int = 1) -> Journey:
    """Let somebody open mails at a local hour, on the day before the start."""
    journey = Journey(*NOW_AND_LATER)
    for _ in range(times):
        journey.publish("email_opened", (hour - 9) * HOUR_MS - DAY_MS, arrives=0)
    return journey


def test_a_message_waits_for_the_hours_at_which_she_answers() -> None:
    journey = answered_at(20, 3)
    journey.publish("later", 0)
    journey.advance(DAY_MS)
    [deferred] = journey.decisions("send_deferred")
    assert deferred.reason == "timing"
    # (5 · 0.05 + 0.25 · 3) / (5 + 0.25 · 3) is 17 % at 18 and 22, above everybody's 10 %; the earlier one counts.
    assert deferred.detail == {"until": after(9 * HOUR_MS), "best_hours": [18, 19, 20, 21]}
    assert journey.sent_at() == [after(9 * HOUR_MS)]


def test_one_answer_lifts_its_hour_and_the_next_ones_alone() -> None:
    journey = answered_at(20)
    journey.publish("later", 3 * HOUR_MS)
    deferred = journey.decisions("send_deferred")[0].detail
    assert deferred == {"until": after(10 * HOUR_MS), "best_hours": [9, 19, 20, 21]}


def test_without_history_the_decision_tells_everybodys_hours() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("later", 2 * HOUR_MS)
    assert journey.decisions("send_deferred")[0].detail == {
        "until": after(5 * HOUR_MS),
        "best_hours": [9, 10, 14, 16],
    }


def test_hours_that_had_to_be_given_up_are_not_told() -> None:
    later = workflow(mail(timing={"optimize": True, "business_hours_only": True}))
    journey = Journey(later, best_hours_profile=[*[1] * 4, *[0] * 20])
    journey.publish("signup", -HOUR_MS)
    assert journey.decisions("send_deferred")[0].detail == {"until": after(0)}


def test_the_hours_are_in_her_zone_wherever_she_is_when_it_goes_out() -> None:
    journey = answered_at(20, 3)
    journey.publish("later", 0)
    journey.publish("customer_updated", HOUR_MS, preferences={"timezone": "America/New_York"})
    journey.advance(2 * DAY_MS)
    # At 18:00 UTC, when it is due, it is 13:00 for her: it goes at 18:00 in New York.
    assert journey.sent_at() == [after(14 * HOUR_MS)]


def test_what_she_answers_while_a_message_waits_moves_the_next_one_alone() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("later", 2 * HOUR_MS)
    for at in range(5):
        journey.publish("email_clicked", 3 * HOUR_MS + at)
    journey.publish("later", 3 * HOUR_MS + 5)
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(3 * HOUR_MS + 5), after(5 * HOUR_MS)]


def test_a_message_that_a_cap_put_off_is_timed_anew_by_the_hours_of_now() -> None:
    journey = Journey(
        *NOW_AND_LATER, frequency_caps=[{"max": 1, "per_hours": 8, "on_cap": "delay", "channel": "email"}]
    )
    journey.publish("now", 0)
    journey.publish("later", 2 * HOUR_MS)
    for at in range(5):
        journey.publish("email_clicked", 3 * HOUR_MS + at)
    journey.advance(2 * DAY_MS)
    # Due at 14:00, when the cap is full until 17:00: her best hours are around noon by now.
    assert journey.sent_at() == [after(0), after(26 * HOUR_MS)]


def test_a_message_that_is_timed_anew_because_she_moved_goes_by_the_hours_of_now() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("later", 2 * HOUR_MS)
    for at in range(5):
        journey.publish("email_clicked", 3 * HOUR_MS + at)
    journey.publish("customer_updated", 4 * HOUR_MS, preferences={"timezone": "America/New_York"})
    journey.advance(DAY_MS)
    # Due at 14:00 UTC by everybody's hours, which is 09:00 for her now, one of them as well.
    assert journey.sent_at() == [after(5 * HOUR_MS)]
    journey = Journey(*NOW_AND_LATER)
    journey.publish("later", 2 * HOUR_MS)
    for at in range(5):
        journey.publish("email_clicked", 3 * HOUR_MS + at)
    journey.publish("customer_updated", 4 * HOUR_MS, preferences={"timezone": "Asia/Dubai"})
    journey.advance(DAY_MS)
    # 18:00 in Dubai is no best hour by either, and the first of hers behind it is 10:00 there, 06:00 UTC.
    assert journey.sent_at() == [after(21 * HOUR_MS)]


def test_each_channel_of_a_message_is_timed_by_the_hours_of_when_its_turn_comes() -> None:
    journey = Journey(workflow(message("email", "push", timing=OPTIMIZED)), channel_spacing_hours={"email": 1})
    journey.publish("customer_updated", push_token="token")
    journey.publish("signup", 2 * HOUR_MS)
    for at in range(5):
        journey.publish("email_clicked", 3 * HOUR_MS + at)
    journey.advance(2 * DAY_MS)
    # The mail was timed for 14:00 before she answered; the push behind it goes by her own hours, from 10:00 to 13:00.
    assert journey.sent_at() == [after(5 * HOUR_MS), after(25 * HOUR_MS)]


def test_what_is_not_optimized_tells_no_hours() -> None:
    journey = Journey(workflow(mail(timing={"optimize": False, "delay_hours": 1})))
    journey.publish("signup")
    assert journey.decisions("send_deferred")[0].detail == {"until": after(HOUR_MS)}


def test_a_transactional_message_never_waits_for_them() -> None:
    journey = Journey(workflow(mail(timing=OPTIMIZED, category="transactional")))
    journey.publish("signup", 3 * HOUR_MS)
    assert journey.sent_at() == [after(3 * HOUR_MS)]


def test_a_loop_is_timed_each_time_by_what_is_known_then() -> None:
    looped = workflow(mail("m", "p", timing=OPTIMIZED), wait("p", "m", duration_hours=1), max_execution_time_days=2)
    journey = Journey(looped)
    journey.publish("signup", 0)
    journey.publish("email_opened", 4 * HOUR_MS, send_id=journey.sends()[0].send_id)
    journey.advance(26 * HOUR_MS)
    # What she answered at 13:00, to the message of 09:00, comes to bear when the fourth one is timed, at 15:00: 16:00
    # is still among the four, but no evening of the next days is.
    assert journey.sent_at()[:4] == [after(at * HOUR_MS) for at in (0, 1, 5, 7)]
    assert all(7 <= int(at[11:13]) <= 16 for at in journey.sent_at())


def test_the_example_of_the_documentation_is_so() -> None:
    """docs/timing.md: clicked and opened in the week before; Friday 18:30 in Berlin, quiet hours, the clock change."""
    documented = (Path(__file__).parents[3] / "docs" / "timing.md").read_text()
    timing: Document = {"delay_hours": 4, "avoid_weekends": True}
    quiet: Document = {"start": "21:00", "end": "08:00"}
    journey = Journey(workflow(mail(timing=timing)), default_timezone="Europe/Berlin", quiet_hours=quiet)
    for kind, at in (
        ("email_clicked", "2026-03-24T18:10:00Z"),
        ("email_opened", "2026-03-25T18:40:00Z"),
        ("signup", "2026-03-27T17:30:00Z"),
    ):
        journey.publish(kind, parse_instant(at) - START)
    detail = journey.decisions("send_deferred", reason="timing")[0].detail
    assert detail == {"until": "2026-03-30T15:00:00.000Z", "best_hours": [17, 18, 19, 20]}
    assert "{until: 2026-03-30T15:00:00.000Z, best_hours: [17, 18, 19, 20]}" in documented


# Everybody's ----------------------------------------------------------------------------------------------------


def test_the_settings_may_say_what_everybody_does() -> None:
    night: list[Json] = [*[0.0] * 20, *[0.2] * 4]
    journey = Journey(*NOW_AND_LATER, best_hours_profile=night)
    journey.publish("later", 0)
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(11 * HOUR_MS)]


# Merging --------------------------------------------------------------------------------------------------------


def test_merged_histories_add_up_whoever_is_the_later_one() -> None:
    for at in (0, HALF_LIFE_MS):
        mine = count_send(None, "mine", 9, at)
        theirs = count_response(count_send(None, "theirs", 20, HALF_LIFE_MS - at), "theirs", 5, HALF_LIFE_MS - at)
        both = united(mine, theirs)
        assert both is not None
        assert both.at == HALF_LIFE_MS
        assert (both.sends, both.responses) == (
            {9: 1.0 if at else 0.5, 20: 0.5 if at else 1.0},
            {20: 0.5 if at else 1.0},
        )
        count_response(both, "mine", 5, HALF_LIFE_MS)
        count_response(both, "theirs", 5, HALF_LIFE_MS)
        assert both.responses.keys() == {9, 20}


def test_of_too_many_known_sends_the_survivors_stay() -> None:
    mine: AnswerHours | None = None
    theirs: AnswerHours | None = None
    for number in range(MAX_KNOWN_SENDS):
        mine, theirs = count_send(mine, f"m{number}", 1, 0), count_send(theirs, f"t{number}", 2, 0)
    both = united(mine, theirs)
    assert both is not None
    assert len(both.known) == 5 * MAX_KNOWN_SENDS
    count_response(both, "t31", 7, 0)
    count_response(both, "m0", 7, 0)
    assert both.responses == {7: 1.0, 1: 1.0}


def test_a_merge_with_nothing_is_what_the_other_has() -> None:
    one = count_send(None, "s", 9, 0)
    assert united(one, None) is one
    assert united(None, one) is one
    assert united(None, None) is None


def test_a_visitors_answers_become_the_customers() -> None:
    journey = Journey(*NOW_AND_LATER)
    journey.publish("email_opened", 0, customer=None, envelope={"anonymous_id": "v"})
    journey.publish("email_opened", HOUR_MS)
    journey.publish("identify", 2 * HOUR_MS, envelope={"anonymous_id": "v"})
    _, responses = counted(journey, 2 * HOUR_MS)
    assert responses.keys() == {9, 10}
