"""No customer gets more than a cap allows: windows to the millisecond, whom they count, and who gets the last place."""

import pytest

from journeys.caps import compile_caps, find_full
from journeys.validation import Document as File
from journeys.validation import validate
from schemas.decisions import Channel
from schemas.definitions import FrequencyCap
from schemas.events import Json
from schemas.instants import DAY_MS, HOUR_MS, Millis
from tests.journey import HELLO, Document, Journey, after, is_, mail, short, signup, trigger, wait, workflow

MANY: Document = {"allow_multiple_executions": True}
LATER: Document = {"send_immediately": True, "delay_hours": 1}
ONE_A_DAY: Document = {"max": 1, "per_hours": 24}


def with_caps(*caps: Document, quiet_hours: Json = None) -> Journey:
    """Two workflows send at once: `w` on signup, `v` on order; `t` sends a transactional mail on reset."""
    return Journey(
        {**workflow(), "settings": MANY},
        {**workflow(id="v", on=[trigger("order_completed")]), "settings": MANY},
        {**workflow(id="t", on=[trigger("reset")]), "settings": {**MANY, "category": "transactional"}},
        frequency_caps=list(caps),
        quiet_hours=quiet_hours,
    )


def at_each(journey: Journey, *instants: Millis, event: str = "signup") -> Journey:
    for at in instants:
        journey.publish(event, at)
    return journey


@pytest.mark.parametrize(("gap", "sends"), [(DAY_MS - 1, 1), (DAY_MS, 2), (DAY_MS + 1, 2)])
def test_a_message_sent_exactly_that_long_ago_no_longer_counts(gap: Millis, sends: int) -> None:
    journey = at_each(with_caps(ONE_A_DAY), 0, gap)
    assert len(journey.sends()) == sends
    assert journey.reasons("send_suppressed") == ["frequency_cap"] * (2 - sends)


@pytest.mark.parametrize(("most", "sends"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3)])
def test_as_many_as_the_cap_says_go_out_within_its_window(most: int, sends: int) -> None:
    assert len(at_each(with_caps({"max": most, "per_hours": 24}), 0, 1, 2).sends()) == sends


def test_the_window_slides() -> None:
    journey = at_each(with_caps({"max": 2, "per_hours": 24}), 0, 12 * HOUR_MS, DAY_MS - 1, DAY_MS, DAY_MS + 1)
    assert journey.sent_at() == [after(0), after(12 * HOUR_MS), after(DAY_MS)]


def test_what_was_skipped_doesnt_count() -> None:
    assert len(at_each(with_caps(ONE_A_DAY), 0, DAY_MS - 1, DAY_MS).sends()) == 2


def test_a_skipped_message_says_which_cap_was_full() -> None:
    [suppressed] = at_each(with_caps(ONE_A_DAY), 0, 1).decisions("send_suppressed")
    assert suppressed.detail == {
        "cap": {"channel": None, "max": 1, "per_hours": 24, "scope": "customer"},
        "sent": 1,
    }


# What counts -----------------------------------------------------------------------------------------------------


def test_a_cap_of_customers_counts_all_workflows_and_one_of_workflows_each() -> None:
    for scope, workflows in (("customer", ["w"]), ("workflow", ["w", "v"])):
        journey = with_caps({**ONE_A_DAY, "scope": scope})
        for at, event in enumerate(("signup", "order_completed", "signup", "order_completed")):
            journey.publish(event, at)
        assert [send.workflow_id for send in journey.sends()] == workflows


def test_a_transactional_message_neither_counts_nor_is_held() -> None:
    journey = with_caps(ONE_A_DAY)
    for at, event in enumerate(("reset", "reset", "signup", "signup", "reset")):
        journey.publish(event, at)
    assert [send.workflow_id for send in journey.sends()] == ["t", "t", "w", "t"]


@pytest.mark.parametrize(
    ("caps", "sent"),
    [
        ([], ["email", "push", "email", "push"]),
        ([ONE_A_DAY], ["email"]),
        ([{**ONE_A_DAY, "category": "marketing"}], ["email"]),
        ([{**ONE_A_DAY, "channel": "email"}], ["email", "push", "push"]),
        ([{**ONE_A_DAY, "channel": "push"}], ["email", "push", "email"]),
        ([{**ONE_A_DAY, "channel": "sms"}], ["email", "push", "email", "push"]),
        ([{**ONE_A_DAY, "channel": "email"}, {"max": 2, "per_hours": 1}], ["email", "push"]),
        ([{**ONE_A_DAY, "channel": "email", "scope": "workflow"}, {"max": 3, "per_hours": 1}],
         ["email", "push", "push"]),
    ],
)  # fmt: skip
def test_a_cap_counts_the_channel_that_it_names(caps: list[Json], sent: list[str]) -> None:
    two = {**workflow(mail("mail", "push"), short("push")), "settings": MANY}
    journey = Journey(two, frequency_caps=caps)
    journey.publish("customer_updated", push_token="token")
    at_each(journey, 1, 2)
    assert [send.channel for send in journey.sends()] == sent


# Delay -----------------------------------------------------------------------------------------------------------

DELAYED: Document = {**ONE_A_DAY, "on_cap": "delay"}


def test_a_delayed_message_goes_out_in_the_first_millisecond_with_room() -> None:
    journey = at_each(with_caps(DELAYED), 0, 1)
    [deferred] = journey.decisions("send_deferred")
    assert (deferred.reason, (deferred.detail or {})["until"]) == ("frequency_cap", after(DAY_MS))
    journey.advance(DAY_MS - 1)
    assert len(journey.sends()) == 1
    journey.advance(DAY_MS)
    assert journey.sent_at() == [after(0), after(DAY_MS)]


def test_with_several_in_the_window_the_one_that_makes_room_is_the_maxth_latest() -> None:
    journey = at_each(with_caps({"max": 2, "per_hours": 24, "on_cap": "delay"}), 0, 5, 9)
    journey.advance(3 * DAY_MS)
    assert journey.sent_at() == [after(0), after(5), after(DAY_MS)]


def test_one_place_a_day_is_taken_one_by_one() -> None:
    journey = at_each(with_caps(DELAYED), 0, 1, 2, 3)
    journey.advance(7 * DAY_MS)
    assert journey.sent_at() == [after(days * DAY_MS) for days in range(4)]


def test_the_longest_of_several_delays_holds() -> None:
    journey = at_each(with_caps(DELAYED, {**DELAYED, "per_hours": 30}, {**DELAYED, "per_hours": 2}), 0, 1)
    journey.advance(7 * DAY_MS)
    assert journey.sent_at() == [after(0), after(30 * HOUR_MS)]
    assert len(journey.decisions("send_deferred")) == 1


def test_of_two_full_caps_the_one_that_skips_decides() -> None:
    journey = at_each(with_caps(DELAYED, {"max": 1, "per_hours": 1}), 0, 1)
    assert journey.reasons("send_suppressed") == ["frequency_cap"]


def test_a_delayed_message_is_timed_anew_from_the_first_room() -> None:
    """Room comes at 09:00 of the second day and is too early for `at`, or comes in the night."""
    one = workflow(mail(timing={"at": "10:00", "optimize": False}), allow_multiple_executions=True)
    journey = Journey(one, frequency_caps=[{"max": 1, "per_hours": 36, "on_cap": "delay"}])
    at_each(journey, HOUR_MS, HOUR_MS + 1)
    journey.advance(7 * DAY_MS)
    assert journey.sent_at() == [after(HOUR_MS), after(2 * DAY_MS + HOUR_MS)]


def test_a_delayed_message_keeps_quiet_hours() -> None:
    """Room comes at 22:00, quiet hours end at 08:00."""
    journey = with_caps({"max": 1, "per_hours": 13, "on_cap": "delay"}, quiet_hours={"start": "22:00", "end": "08:00"})
    at_each(journey, 0, 1)
    journey.advance(2 * DAY_MS)
    assert journey.sent_at() == [after(0), after(23 * HOUR_MS)]
    assert journey.reasons("send_deferred") == ["frequency_cap"]


@pytest.mark.parametrize(("expires_after_hours", "sends"), [(24, 1), (24.0001, 2)])
def test_a_message_that_expires_before_there_is_room_is_suppressed_at_once(
    expires_after_hours: float, sends: int
) -> None:
    timing: Document = {"send_immediately": True, "expires_after_hours": expires_after_hours}
    journey = Journey(workflow(mail(timing=timing), allow_multiple_executions=True), frequency_caps=[DELAYED])
    at_each(journey, 0, 0)
    assert journey.reasons("send_suppressed") == ["no_possible_time"] * (2 - sends)
    journey.advance(2 * DAY_MS)
    assert len(journey.sends()) == sends


def test_a_cap_of_none_that_delays_leaves_no_possible_time() -> None:
    journey = at_each(with_caps({"max": 0, "per_hours": 1, "on_cap": "delay"}), 0)
    assert journey.reasons("send_suppressed") == ["no_possible_time"]


# The order of reasons, and the last place ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (mail(guard=is_("plan", "eq", "pro")), "guard"),
        (mail(template="needy"), "missing_personalization"),
        (mail(), "frequency_cap"),
    ],
)
def test_caps_stand_behind_what_the_message_itself_lacks(step: Document, reason: str) -> None:
    journey = Journey(workflow(step), frequency_caps=[{"max": 0, "per_hours": 1}], data_grace_minutes=0)
    journey.publish()
    assert journey.reasons("send_suppressed") == [reason]


def test_caps_stand_before_quiet_hours() -> None:
    """A preference that comes while the message waits makes its moment quiet; the cap is full as well."""
    journey = Journey(
        workflow(mail(timing={"send_immediately": True, "delay_hours": 3})), frequency_caps=[{"max": 0, "per_hours": 1}]
    )
    journey.publish("signup")
    journey.publish("customer_updated", 1, preferences={"quiet_hours": {"start": "12:00", "end": "12:30"}})
    journey.advance(DAY_MS)
    assert [(one.at, one.reason) for one in journey.decisions("send_suppressed")] == [
        (after(3 * HOUR_MS), "frequency_cap")
    ]


def test_the_cap_is_looked_at_when_the_message_is_due_and_not_when_its_step_begins() -> None:
    later: Document = {"send_immediately": True, "delay_hours": 24}
    journey = Journey(
        workflow(), workflow(mail(timing=later), id="v", on=[trigger("order_completed")]), frequency_caps=[ONE_A_DAY]
    )
    journey.publish("signup")
    journey.publish("order_completed", 1)
    journey.advance(2 * DAY_MS)
    assert [send.workflow_id for send in journey.sends()] == ["w", "v"]


@pytest.mark.parametrize(
    ("priorities", "winner"),
    [({"a": 1, "b": 2}, "b"), ({"a": 2, "b": 1}, "a"), ({"a": 1, "b": 1}, "a")],
)
def test_the_last_place_goes_by_the_workflows_priority_then_by_the_start(
    priorities: dict[str, int], winner: str
) -> None:
    """`b` starts a millisecond after `a`, and both are due at one instant."""
    workflows = [
        workflow(
            wait("w", "mail", calendar_days=1, at="09:00"),
            mail(),
            id=name,
            priority=priority,
            on=[trigger(f"go_{name}")],
        )
        for name, priority in priorities.items()
    ]
    journey = Journey(*workflows, frequency_caps=[ONE_A_DAY])
    journey.publish("go_a", 0)
    journey.publish("go_b", 1)
    journey.advance(2 * DAY_MS)
    assert [send.workflow_id for send in journey.sends()] == [winner]


def test_the_last_place_of_equals_goes_by_the_id_of_their_execution() -> None:
    """Both start with one event, and have one priority: nothing but a hash of their causes tells them apart."""
    winners = set()
    workflows = [workflow(mail(timing=LATER), id=name) for name in ("a", "b", "c")]
    journey = Journey(*workflows, frequency_caps=[ONE_A_DAY])
    for number in range(20):
        customer = f"c{number}"
        journey.publish("signup", customer=customer)
        executions = {one.execution_id: one.workflow_id for one in journey.customer(customer).executions}
        assert len(executions) == 3
        journey.advance(HOUR_MS)
        [send] = [send for send in journey.sends() if send.customer_id == customer]
        assert send.execution_id == min(executions)
        winners.add(send.workflow_id)
    assert winners == {"a", "b", "c"}


@pytest.mark.parametrize("order", [("x", "y"), ("y", "x")])
def test_the_last_place_within_an_execution_goes_by_the_order_of_its_steps(order: tuple[str, str]) -> None:
    fork = wait("fork", "y", "x", duration_hours=1)
    journey = Journey(workflow(fork, *(mail(name, timing=LATER) for name in order)), frequency_caps=[ONE_A_DAY])
    journey.publish("signup")
    journey.advance(DAY_MS)
    assert [send.step_id for send in journey.sends()] == [order[0]]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_what_a_cap_put_off_takes_its_place_by_priority_when_there_is_room(names: tuple[str, str]) -> None:
    """The first takes the only place; of the two that came in vain, the later but more important one is the next."""
    early, late = names
    workflows = [
        workflow(id="w"),
        workflow(id=early, on=[trigger("early")], priority=1),
        workflow(id=late, on=[trigger("late")], priority=2),
    ]
    journey = Journey(*workflows, frequency_caps=[{**ONE_A_DAY, "on_cap": "delay"}])
    for at, event in enumerate(("signup", "early", "late")):
        journey.publish(event, at)
    journey.advance(3 * DAY_MS)
    assert [(send.workflow_id, send.send_at) for send in journey.sends()] == [
        ("w", after(0)),
        (late, after(DAY_MS)),
        (early, after(2 * DAY_MS)),
    ]


def test_a_message_that_was_put_off_goes_before_a_wait_that_ends_with_it() -> None:
    """A send and a wait are due at one instant: the send goes first, whatever the priorities are."""
    delayed = workflow(mail(timing={"send_immediately": True, "delay_hours": 24}), id="a", priority=1)
    waiting = workflow(wait("p", "mail", duration_hours=24), mail(), id="b", priority=9)
    journey = Journey(delayed, waiting, frequency_caps=[ONE_A_DAY])
    journey.publish("signup")
    journey.advance(DAY_MS)
    assert [send.workflow_id for send in journey.sends()] == ["a"]


# State -----------------------------------------------------------------------------------------------------------


def test_of_the_past_only_what_a_cap_needs_is_kept() -> None:
    journey = with_caps({"max": 3, "per_hours": 1})
    at_each(journey, *range(0, 10 * HOUR_MS, HOUR_MS // 4))
    assert [len(instants) for instants in journey.customer().sent.values()] == [3]
    at_each(journey, 20 * HOUR_MS)
    assert [len(instants) for instants in journey.customer().sent.values()] == [1]


def test_without_caps_nothing_is_kept() -> None:
    journey = at_each(with_caps(), 0, 1)
    assert len(journey.sends()) == 2
    assert journey.customer().sent == {}


# Validation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cap", "path"),
    [
        (ONE_A_DAY, None),
        ({"max": 0, "per_hours": 0.5}, None),
        ({"max": 1_000, "per_hours": 1}, None),
        ({**ONE_A_DAY, "channel": "email", "category": "marketing", "scope": "workflow", "on_cap": "delay"}, None),
        ({"max": -1, "per_hours": 24}, "max"),
        ({"max": 1_001, "per_hours": 24}, "max"),
        ({"max": 1.5, "per_hours": 24}, "max"),
        ({"per_hours": 24}, "max"),
        ({"max": 1}, "per_hours"),
        ({"max": 1, "per_hours": 0}, "per_hours"),
        ({**ONE_A_DAY, "channel": "fax"}, "channel"),
        ({**ONE_A_DAY, "scope": "all"}, "scope"),
        ({**ONE_A_DAY, "on_cap": "drop"}, "on_cap"),
        ({**ONE_A_DAY, "category": "transactional"}, "category"),
        ({**ONE_A_DAY, "per_day": 1}, "per_day"),
    ],
)
def test_caps_are_checked(cap: Json, path: str | None) -> None:
    documents: list[Json] = [workflow(on=[signup()]), HELLO, {"kind": "settings", "frequency_caps": [cap]}]
    found = validate([File(file="x.yaml", value=value) for value in documents]).problems
    assert [problem.path for problem in found] == ([] if path is None else [f"frequency_caps[0].{path}"])


def test_a_cap_of_another_channel_hides_none_that_stands_behind_it() -> None:
    caps: list[Json] = [{"channel": "sms", "max": 1, "per_hours": 24}, {"channel": "email", "max": 1, "per_hours": 24}]
    journey = Journey(workflow(allow_multiple_executions=True), frequency_caps=caps)
    journey.publish("signup")
    journey.publish("signup", 1)
    (held,) = journey.decisions("send_suppressed")
    assert held.reason == "frequency_cap"
    told: Json = (held.detail or {})["cap"]
    assert isinstance(told, dict)
    assert told["channel"] == "email"


def test_a_deferred_message_says_how_many_were_sent() -> None:
    journey = at_each(with_caps({"max": 2, "per_hours": 24, "on_cap": "delay"}), 0, 1, 2)
    [deferred] = journey.decisions("send_deferred")
    assert (deferred.detail or {})["sent"] == 2


def test_what_no_cap_concerns_isnt_remembered() -> None:
    """A cap of one channel needs nothing of the others, also where it counts each workflow by itself."""
    sms_only: Document = {"max": 1, "per_hours": 24, "channel": "sms", "scope": "workflow"}
    journey = at_each(with_caps(sms_only), 0, 1)
    assert journey.customer().sent == {}
    by_channel = at_each(with_caps({"max": 1, "per_hours": 24, "channel": "email"}, sms_only), 0)
    assert list(by_channel.customer().sent) == ["email"]


@pytest.mark.parametrize("channels", [(None, "email"), ("email", None)])
def test_of_two_full_caps_with_room_at_one_instant_the_first_is_told(channels: tuple[Channel | None, ...]) -> None:
    caps = compile_caps([FrequencyCap(channel=channel, max=1, per_hours=1, on_cap="delay") for channel in channels])
    full = find_full(caps, {"email": [5]}, "email", "welcome", 5)
    assert full is not None
    assert (full.cap, full.room_at) == (caps[0], 5 + HOUR_MS)
