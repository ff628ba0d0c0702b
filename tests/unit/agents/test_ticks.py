"""Ticks in the customer log: time passes for everybody in a partition, and what comes by too late is decided as of then.

The start of a journey is 2026-01-01, 09:00 UTC. Every signup begins a wait of an hour, behind which a mail goes out.
"""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.customers import TIMERS_AT_ONCE
from journeys.overdue import OVERDUE_AFTER_MS
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from schemas.log import CatalogueMark, Command, Mark
from tests.journey import is_, mail, silence, until_condition, wait, workflow
from tests.live_log import Log

CART = workflow(wait("p", "mail", duration_hours=1), mail(), exit_conditions=[is_("event.type", "eq", "order_placed")])
LATE = MINUTE_MS + 1


@pytest.mark.parametrize(("until", "sent"), [(-1, []), (0, [HOUR_MS]), (1, [HOUR_MS])])
def test_a_tick_fires_what_is_due_up_to_it_for_customers_of_whom_nothing_comes(
    until: Millis, sent: list[Millis]
) -> None:
    log = Log(CART)
    log.publish("signup", 0)
    log.tick(HOUR_MS + until)
    assert log.sent_at() == sent


@pytest.mark.parametrize(
    ("late", "sent"),
    [(OVERDUE_AFTER_MS, HOUR_MS), (OVERDUE_AFTER_MS + 1, HOUR_MS + OVERDUE_AFTER_MS + 1), (DAY_MS, HOUR_MS + DAY_MS)],
)
def test_a_timer_more_than_a_minute_late_is_decided_as_of_when_time_came_by(late: Millis, sent: Millis) -> None:
    log = Log(CART)
    log.publish("signup", 0)
    log.tick(HOUR_MS, late=late)
    assert log.sent_at() == [sent]


def test_her_own_record_brings_her_overdue_timers_as_of_its_append() -> None:
    """After an outage her next event may come before any tick does; both say the same of what is late."""
    log = Log(CART)
    log.publish("signup", 0)
    log.publish("page_viewed", HOUR_MS, late=LATE)
    assert log.sent_at() == [HOUR_MS + LATE]


@pytest.mark.parametrize(
    "mark",
    [
        CatalogueMark(number=2, rules_version=1, tzdata="x"),
        Command(command_id="1", action="resume", workflow_id="w"),
        Command(command_id="1", action="pause", customer_key="c:eve", execution_id="x"),
    ],
)
@pytest.mark.parametrize(
    ("late", "sent"), [(OVERDUE_AFTER_MS, HOUR_MS), (OVERDUE_AFTER_MS + 1, HOUR_MS + OVERDUE_AFTER_MS + 1)]
)
def test_what_falls_due_by_a_late_mark_is_decided_as_of_its_append(mark: Mark, late: Millis, sent: Millis) -> None:
    """An operator acts while the ingest is behind: his mark's time is as late as the ingest, and so is what it fires."""
    log = Log(CART)
    log.publish("signup", 0)
    log.mark(mark, HOUR_MS, late=late)
    assert log.sent_at() == [sent]


@pytest.mark.parametrize(
    ("late", "sent"), [(OVERDUE_AFTER_MS, HOUR_MS), (OVERDUE_AFTER_MS + 1, HOUR_MS + OVERDUE_AFTER_MS + 1)]
)
def test_what_a_late_command_lets_go_on_goes_out_as_of_its_append(late: Millis, sent: Millis) -> None:
    log = Log(CART)
    log.publish("signup", 0)
    log.mark(Command(command_id="1", action="pause", workflow_id="w"), 1)
    log.tick(HOUR_MS)
    log.mark(Command(command_id="2", action="resume", workflow_id="w"), HOUR_MS, late=late)
    assert log.sent_at() == [sent]


def test_after_an_outage_the_purchase_that_came_in_time_ends_the_wait() -> None:
    """The tick stands behind what was published before it, however much later both were appended."""
    log = Log(CART)
    log.publish("signup", 0)
    log.publish("order_placed", HOUR_MS - 1, late=5 * HOUR_MS)
    log.tick(HOUR_MS, late=5 * HOUR_MS)
    log.tick(7 * HOUR_MS)
    assert log.sent_at() == []


@pytest.mark.parametrize("brings", ["tick", "page_viewed", "order_placed"])
@pytest.mark.parametrize(("bought_at", "sent"), [(3 * HOUR_MS, [6 * HOUR_MS]), (3 * HOUR_MS + 1, [6 * HOUR_MS] * 2)])
def test_what_is_late_takes_nothing_along_that_an_event_still_to_come_may_cancel(
    brings: str, bought_at: Millis, sent: list[Millis]
) -> None:
    """The first mail is due at one o'clock and decided as of six; the second is due at three, and so is a purchase."""
    second = workflow(
        wait("q", "late", duration_hours=3), mail("late"), id="second",
        exit_conditions=[is_("event.type", "eq", "order_placed")],
    )  # fmt: skip
    log = Log(workflow(wait("p", "mail", duration_hours=1), mail()), second)
    log.publish("signup", 0)
    if brings == "tick":
        log.tick(HOUR_MS, late=5 * HOUR_MS)
    elif brings == "page_viewed":
        log.publish(brings, HOUR_MS, late=5 * HOUR_MS)
    log.publish("order_placed", bought_at - 1, late=6 * HOUR_MS - bought_at + 1)
    log.tick(7 * HOUR_MS)
    assert log.sent_at() == sent


@pytest.mark.parametrize(
    ("upgraded_at", "result"), [(3 * HOUR_MS - 1, "condition"), (3 * HOUR_MS, "timeout"), (3 * HOUR_MS + 1, "timeout")]
)
def test_a_late_look_at_a_wait_gives_it_up_no_sooner_than_time_has_come_to_its_end(
    upgraded_at: Millis, result: str
) -> None:
    """It is looked at each hour and given up after three; the first look is decided as of six."""
    pro = is_("plan", "eq", "pro")
    log = Log(workflow(until_condition("u", pro, "mail", check_interval_hours=1, timeout_hours=3), mail()))
    log.publish("signup", 0)
    log.tick(HOUR_MS, late=5 * HOUR_MS)
    log.publish("customer_updated", upgraded_at, late=6 * HOUR_MS - upgraded_at, attributes={"plan": "pro"})
    log.tick(3 * HOUR_MS, late=3 * HOUR_MS)
    decided = [msgspec.json.decode(value) for topic, _, value in log.folded() if topic == "t.decisions"]
    assert [one["detail"]["result"] for one in decided if one["step_id"] == "u"] == [result]


def test_what_fell_due_in_the_evening_and_comes_by_in_quiet_hours_waits_for_the_morning() -> None:
    """Due at 20:00, the worker is back at 23:00, and nights are quiet until 08:00, which is 23 hours after the start."""
    evening = workflow(wait("p", "mail", duration_hours=11), mail())
    log = Log(evening, quiet_hours={"start": "22:00", "end": "08:00"})
    log.publish("signup", 0)
    log.tick(11 * HOUR_MS, late=3 * HOUR_MS)
    log.tick(23 * HOUR_MS - 1)
    assert log.sent_at() == []
    log.tick(23 * HOUR_MS)
    assert log.sent_at() == [23 * HOUR_MS]


@pytest.mark.parametrize(
    ("on_overdue", "grace_hours", "sent"),
    [("send", 5, [6 * HOUR_MS]), ("send", 4, []), ("skip", 5, []), ("exit", 5, []), ("reschedule", 4, [6 * HOUR_MS])],
)
def test_the_step_says_what_becomes_of_what_an_outage_made_late(
    on_overdue: str, grace_hours: int, sent: list[Millis]
) -> None:
    """Five hours late; with a grace of five it still goes out, with four no more."""
    log = Log(workflow(wait("p", "mail", duration_hours=1), mail(on_overdue=on_overdue, grace_hours=grace_hours)))
    log.publish("signup", 0)
    log.tick(HOUR_MS, late=5 * HOUR_MS)
    log.tick(7 * HOUR_MS)
    assert log.sent_at() == sent


def test_stale_and_early_ticks_find_nothing() -> None:
    log = Log(CART)
    log.publish("signup", 0)
    for at in (-DAY_MS, 0, HOUR_MS - 1, HOUR_MS, HOUR_MS, 0, -DAY_MS):
        log.tick(at)
    assert log.sent_at() == [HOUR_MS]


def test_many_timers_of_one_tick_fire_in_bounded_parts_each_once() -> None:
    """A fold that dies between two parts goes on behind what was committed, at the same instants."""
    log, many = Log(CART), 2 * TIMERS_AT_ONCE + 1
    for number in range(many):
        log.publish("signup", number % 2, customer=f"c{number}")
    log.tick(HOUR_MS + 1, late=HOUR_MS)
    whole = log.folded(slices=10_000)
    assert sum(topic == "t.email-sends" for topic, _, _ in whole) == many
    assert log.folded(slices=10_000, killed_after=frozenset({2, 3})) == whole


@given(st.data())
def test_a_log_with_its_ticks_folded_again_gives_the_same_records(data: st.DataObject) -> None:
    """Whatever ticks stand in it, however late, in slices of any size and with deaths after any part."""
    log = Log(CART, workflow(mail("quiet"), id="quiet", on=[silence(2)]))
    now = 0
    for _ in range(data.draw(st.integers(1, 12))):
        now += data.draw(st.sampled_from([0, 1, MINUTE_MS, 20 * MINUTE_MS, HOUR_MS]))
        late = data.draw(st.sampled_from([0, OVERDUE_AFTER_MS, OVERDUE_AFTER_MS + 1, 3 * HOUR_MS]))
        if data.draw(st.booleans()):
            log.tick(now, late=late)
        else:
            name = data.draw(st.sampled_from(["signup", "order_placed", "page_viewed"]))
            log.publish(name, now, late=late, customer=data.draw(st.sampled_from(["ada", "bob"])))
    log.tick(now + 9 * HOUR_MS)
    deaths = data.draw(st.frozensets(st.integers(1, 12), max_size=3))
    assert log.folded(slices=data.draw(st.integers(1, 5)), killed_after=deaths) == log.folded()
