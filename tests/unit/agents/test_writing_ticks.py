"""Whose partition it is writes ticks as soon as anybody is due; what comes of that is what time alone would do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.customers import TIMERS_A_TICK, CustomerFold
from journeys.catalogue import Catalogue
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from schemas.log import APPENDED, Tick, decode_mark, header, unpack_number
from tests.journey import START, is_, mail, silence, wait, workflow
from tests.live_log import Log

CART = workflow(wait("p", "mail", duration_hours=1), mail(), exit_conditions=[is_("event.type", "eq", "order_placed")])


def ticks(log: Log) -> list[Millis]:
    """Return the instants of a log's ticks."""
    return [
        record.timestamp - START
        for record in log.records
        if record.key is None and isinstance(decode_mark(record.value or b""), Tick)
    ]


async def no_catalogue(_number: int) -> Catalogue:
    raise AssertionError


def test_where_nobody_waits_no_tick_is_written() -> None:
    fold = CustomerFold("t.", no_catalogue, 1)
    assert fold.next_time() is None
    assert fold.time_record(START, START) is None


@pytest.mark.parametrize(("until", "written"), [(HOUR_MS - 1, []), (HOUR_MS, [HOUR_MS]), (HOUR_MS + 1, [HOUR_MS])])
def test_a_tick_is_written_when_somebody_is_due_and_not_before(until: Millis, written: list[Millis]) -> None:
    log = Log(CART)
    log.publish("signup", 0)
    log.own(until)
    assert ticks(log) == log.sent_at() == written


def test_a_tick_says_the_instant_to_which_the_sources_were_read_and_the_clock() -> None:
    log = Log(CART)
    log.publish("signup", 0)
    fold = log.fold_all()
    assert fold.time_record(START + HOUR_MS - 1, START + DAY_MS) is None
    tick = fold.time_record(START + HOUR_MS, START + DAY_MS)
    assert tick is not None
    assert (tick.topic, tick.key, tick.partition, tick.timestamp) == ("t.customer-log", None, None, START + HOUR_MS)
    assert unpack_number(header(tick.headers, APPENDED) or b"") == START + DAY_MS


@pytest.mark.parametrize(("later", "first"), [(1, HOUR_MS), (0, HOUR_MS)])
@pytest.mark.parametrize("more", [0, 1])
def test_many_who_are_due_make_several_ticks_so_that_events_come_between(
    later: Millis, first: Millis, more: int
) -> None:
    """The tick comes to the instant of the last of so many; who shares it isn't parted from her."""
    log = Log(CART)
    for number in range(TIMERS_A_TICK):
        log.publish("signup", 0, customer=f"c{number}")
    log.publish("signup", later, customer="eve")
    fold = log.fold_all()
    tick = fold.time_record(START + HOUR_MS + later - 1 + more, START + DAY_MS)
    if later == 0 and not more:
        assert tick is None
        return
    assert tick is not None
    assert tick.timestamp == START + first
    log.tick(first)
    again = log.fold_all().time_record(START + 2 * HOUR_MS, START + DAY_MS)
    assert (None if again is None else again.timestamp) == (START + 2 * HOUR_MS if later else None)


def test_who_bought_in_time_needs_no_tick() -> None:
    log = Log(CART)
    log.publish("signup", 0)
    log.publish("order_placed", HOUR_MS - 1)
    log.own(DAY_MS)
    assert ticks(log) == []


@given(st.data())
def test_ticks_that_are_written_as_they_are_due_lead_to_what_time_alone_would(data: st.DataObject) -> None:
    """Through deaths at any instant; at each tick somebody is due, unless one stood already when its writer died."""
    owned, told = (Log(CART, workflow(mail("quiet"), id="quiet", on=[silence(2)])) for _ in range(2))
    now = 0
    for _ in range(data.draw(st.integers(1, 10))):
        now += data.draw(st.sampled_from([0, 1, MINUTE_MS, 20 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS]))
        name = data.draw(st.sampled_from(["signup", "order_placed", "page_viewed"]))
        customer = data.draw(st.sampled_from(["ada", "bob"]))
        owned.publish(name, now, customer=customer)
        # Nothing is late here, though no tick comes before the end.
        told.publish(name, now, customer=customer, late=-now)
    deaths = data.draw(st.lists(st.sampled_from([HOUR_MS, 2 * HOUR_MS, now, now + 1]), max_size=3))
    owned.own(now + DAY_MS, died_at=deaths)
    told.tick(now + DAY_MS, late=-now - DAY_MS)
    assert sorted(owned.folded()) == sorted(told.folded())
