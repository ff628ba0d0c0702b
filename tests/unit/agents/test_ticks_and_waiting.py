"""Where ticks meet customers who wait: for a place of `max_executions`, or for somebody whom they absorb."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.overdue import OVERDUE_AFTER_MS
from schemas.events import Json
from schemas.instants import HOUR_MS, MINUTE_MS, Millis
from tests.journey import Document, is_, mail, silence, trigger, wait, workflow
from tests.live_log import Log

BOUGHT: list[Json] = [is_("event.type", "eq", "order_placed")]
CART = workflow(wait("p", "mail", duration_hours=1), mail(), id="cart", exit_conditions=BOUGHT)


def quiet(most: int) -> Document:
    """Two hours without activity begin it, so many times in all."""
    return workflow(mail("quiet"), id="quiet", on=[silence(2, max_executions=most)])


def kinds(log: Log) -> list[tuple[Millis, str, str | None]]:
    """Return what was decided about starts, with its time."""
    decided = [(at, msgspec.json.decode(value)) for topic, at, value in log.folded() if topic == "t.decisions"]
    wanted = {"trigger_fired", "trigger_refused"}
    return [(at, one["kind"], one.get("reason")) for at, one in decided if one["kind"] in wanted]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_of_those_who_ask_at_one_tick_exactly_so_many_start(most: int) -> None:
    log = Log(quiet(most))
    for customer in ("ada", "bob", "eve"):
        log.publish("page_viewed", 0, customer=customer)
    log.tick(2 * HOUR_MS)
    log.answer()
    assert log.sent_at() == [2 * HOUR_MS] * most
    refused = [reason for _, kind, reason in kinds(log) if kind == "trigger_refused"]
    assert refused == ["max_executions"] * (3 - most)


@pytest.mark.parametrize("brings", ["tick", "page_viewed"])
@pytest.mark.parametrize(
    ("late", "sent"), [(OVERDUE_AFTER_MS, 2 * HOUR_MS), (OVERDUE_AFTER_MS + 1, 2 * HOUR_MS + OVERDUE_AFTER_MS + 1)]
)
@pytest.mark.parametrize("behind", [0, 3])
def test_what_asks_late_starts_as_of_the_append_however_late_its_answer_comes(
    brings: str, late: Millis, sent: Millis, behind: int
) -> None:
    """Whether a tick or her own record, which waits then, lets the silence become long enough."""
    log = Log(quiet(1))
    log.publish("page_viewed", 0)
    if brings == "tick":
        log.tick(2 * HOUR_MS, late=late)
    else:
        log.publish(brings, 2 * HOUR_MS, late=late)
    for _ in range(3):
        log.tick(2 * HOUR_MS + 1, late=late)
    log.answer(behind)
    assert log.sent_at() == [sent]


@pytest.mark.parametrize(
    ("late", "sent"),
    [(OVERDUE_AFTER_MS, HOUR_MS + MINUTE_MS), (OVERDUE_AFTER_MS + 1, HOUR_MS + MINUTE_MS + OVERDUE_AFTER_MS + 1)],
)
def test_what_fell_due_while_she_waited_is_decided_as_of_when_time_came_to_it(late: Millis, sent: Millis) -> None:
    """She waits from 1:00 on for a visitor's answer; her cart is due at 1:01, by a tick that comes too late."""
    log = Log(workflow(wait("p", "mail", duration_minutes=61), mail()))
    log.publish("signup", 0)
    log.publish("page_viewed", 1, customer=None, visitor="v")
    log.publish("identify", HOUR_MS, visitor="v")
    log.tick(HOUR_MS + MINUTE_MS, late=late)
    log.answer(3)
    assert log.sent_at() == [sent]


@pytest.mark.parametrize(("late", "first"), [(0, HOUR_MS), (OVERDUE_AFTER_MS + 1, HOUR_MS + OVERDUE_AFTER_MS + 1)])
@pytest.mark.parametrize("behind", [0, 2])
def test_her_own_record_that_waited_brings_overdue_timers_as_of_its_append(
    behind: int, late: Millis, first: Millis
) -> None:
    log = Log(CART)
    log.publish("signup", 0)
    log.publish("page_viewed", 1, customer=None, visitor="v")
    log.publish("identify", 2, visitor="v")
    log.publish("page_viewed", HOUR_MS, late=late)
    log.tick(HOUR_MS, late=late)
    log.answer(behind)
    assert log.sent_at() == [first]


@pytest.mark.parametrize(
    ("behind", "second"), [(0, 5 * HOUR_MS // 2), (1, 3 * HOUR_MS), (2, 3 * HOUR_MS), (3, 3 * HOUR_MS)]
)
def test_while_she_waits_for_a_place_no_tick_fires_her_timers_and_none_is_lost(behind: int, second: Millis) -> None:
    """Her cart is due at 2:30 and her silence at 2:00; where the answer comes behind three, no mail went out before."""
    log = Log(workflow(wait("p", "mail", duration_hours=2.5), mail(), id="cart"), quiet(1))
    log.publish("signup", 0)
    log.tick(2 * HOUR_MS)
    log.tick(5 * HOUR_MS // 2)
    log.tick(3 * HOUR_MS)
    log.answer(behind)
    assert log.sent_at() == [2 * HOUR_MS, second]


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_a_purchase_that_came_while_she_waited_for_a_place_still_ends_what_is_due_after_it(behind: int) -> None:
    log = Log(workflow(wait("p", "mail", duration_hours=4), mail(), id="cart", exit_conditions=BOUGHT), quiet(1))
    log.publish("signup", 0)
    log.tick(2 * HOUR_MS, late=5 * HOUR_MS)
    log.publish("order_placed", 4 * HOUR_MS - 1, late=3 * HOUR_MS + 1)
    log.tick(4 * HOUR_MS, late=3 * HOUR_MS)
    log.answer(behind)
    assert log.sent_at() == [7 * HOUR_MS]


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_who_waits_for_a_visitors_answer_is_passed_by_by_ticks_and_catches_up(behind: int) -> None:
    log = Log(CART)
    log.publish("signup", 0)
    log.publish("page_viewed", 1, customer=None, visitor="v")
    log.publish("identify", 2, visitor="v")
    log.tick(HOUR_MS - 1)
    log.tick(HOUR_MS)
    log.answer(behind)
    assert log.sent_at() == [HOUR_MS]


@pytest.mark.parametrize("behind", [0, 1, 3])
def test_a_visitor_whose_place_is_asked_for_at_a_tick_is_absorbed_with_what_was_started(behind: int) -> None:
    """Her merge waits for the place; whoever absorbs her waits for both, and the mail goes out once."""
    log = Log(workflow(mail("quiet", "pause"), wait("pause", "again", duration_hours=1), mail("again"), id="quiet",
                       on=[silence(2, max_executions=1)]))  # fmt: skip
    log.publish("page_viewed", 0, customer=None, visitor="v")
    log.publish("page_viewed", HOUR_MS)
    log.tick(2 * HOUR_MS)
    log.publish("identify", 2 * HOUR_MS + 1, visitor="v")
    log.tick(3 * HOUR_MS)
    log.tick(6 * HOUR_MS)
    log.answer(behind)
    assert [kind for _, kind, _ in kinds(log) if kind == "trigger_fired"] == ["trigger_fired"]


@given(st.data())
def test_whoever_waits_for_whom_a_log_with_its_ticks_folds_to_the_same_records(data: st.DataObject) -> None:
    """Slices, deaths and answers of any delay; no id comes twice, no limit is passed, and nobody waits in the end."""
    most = data.draw(st.integers(1, 2))
    log = Log(CART, quiet(most), workflow(mail("hi"), id="hi", on=[trigger("signup", max_executions=most)]))
    now = 0
    for _ in range(data.draw(st.integers(1, 12))):
        now += data.draw(st.sampled_from([0, 1, MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS]))
        late = data.draw(st.sampled_from([0, OVERDUE_AFTER_MS, OVERDUE_AFTER_MS + 1, 3 * HOUR_MS]))
        kind = data.draw(st.sampled_from(["tick", "signup", "order_placed", "page_viewed", "identify", "visit"]))
        customer = data.draw(st.sampled_from(["ada", "bob"]))
        match kind:
            case "tick":
                log.tick(now, late=late)
            case "identify":
                log.publish(kind, now, late=late, customer=customer, visitor="v")
            case "visit":
                log.publish("page_viewed", now, late=late, customer=None, visitor="v")
            case _:
                log.publish(kind, now, late=late, customer=customer)
    log.tick(now + 9 * HOUR_MS)
    log.answer(data.draw(st.integers(0, 4)))
    whole = log.folded()
    deaths = data.draw(st.frozensets(st.integers(1, 20), max_size=3))
    assert log.folded(slices=data.draw(st.integers(1, 5)), killed_after=deaths) == whole
    records = [msgspec.json.decode(value) for topic, _, value in whole if topic != "t.customer-log"]
    ids = [one.get("send_id") or one["decision_id"] for one in records]
    assert len(ids) == len(set(ids))
    fired = [one["workflow_id"] for one in records if one.get("kind") == "trigger_fired"]
    assert all(fired.count(limited) <= most for limited in ("quiet", "hi"))
