"""Shares of the customers: who belongs together, and what one share has to hear of another."""

import msgspec

from agents.shares import Share, called_by, can_fold_apart, couples_of
from agents.what_if import Change
from agents.world import LogRecord
from schemas.instants import EARLIEST, MINUTE_MS, Millis, format_instant
from schemas.linking import LINK, Absorb, Awaits, MergeOut, encode_link
from schemas.log import APPENDED, CatalogueMark, Tick, encode_event, encode_mark, pack_number
from tests.journey import HELLO, START, Document, event, mail, signup, wait, workflow
from tests.property.test_what_if import compiled
from tests.property.test_what_if_shares import Worlds

AN_HOUR, HALF_AN_HOUR = (
    [HELLO, workflow(wait("pause", "first", duration_hours=hours), mail("first"), id="w")] for hours in (1.0, 0.5)
)


def linked(key: str, link: MergeOut | Awaits | Absorb) -> LogRecord:
    return LogRecord(0, START, key.encode(), b"", ((LINK, encode_link(link)),))


def test_whoever_links_connect_is_in_one_share() -> None:
    """Over however many others, whatever the order; an answer links nobody, and who isn't linked stands for herself."""
    records = [
        linked("c:d", MergeOut(into="c:c", event_id="e")),
        linked("c:b", Awaits(of=("a:v", "c:a"), event_id="e")),
        linked("c:x", Absorb(of="c:a", event_id="e")),
        linked("a:v", MergeOut(into="c:c", event_id="e")),
        LogRecord(0, START, b"c:y", b"{}", ()),
        LogRecord(0, START, None, b"{}", ()),
    ]
    called = called_by(couples_of(records))
    assert called == dict.fromkeys((b"c:a", b"c:b", b"c:c", b"c:d", b"a:v"), b"a:v")
    shares = [Share(number=number, of=7, called=called) for number in range(7)]
    for key in (*called, b"c:x", b"c:y"):
        assert sum(share.has(key) for share in shares) == 1
    assert len({share.number for share in shares for key in called if share.has(key)}) == 1


def test_places_that_are_counted_over_all_hold_customers_together() -> None:
    assert can_fold_apart([compiled([HELLO, workflow(mail(), id="w")])])
    limited = workflow(mail(), id="w", on=[signup(max_executions=3)])
    assert not can_fold_apart([compiled([HELLO, workflow(mail(), id="w")]), compiled([HELLO, limited])])


def record(at: Millis, key: bytes | None, value: bytes, late: Millis = 0) -> LogRecord:
    return LogRecord(0, START + at, key, value, ((APPENDED, pack_number(START + at + late)),))


def came(name: str, minute: int, late: Millis = 0) -> LogRecord:
    made, _ = event("signup", at=minute * MINUTE_MS, event_id=f"e-{name}", customer_id=name,
                    properties={"email": f"{name}@shop.example"})  # fmt: skip
    return record(minute * MINUTE_MS, b"c:" + name.encode(), encode_event(made), late)


def tick(minute: int, late: Millis) -> LogRecord:
    return record(minute * MINUTE_MS, None, encode_mark(Tick()), late)


def in_each_share(count: int) -> list[str]:
    """Return a name in each of so many shares."""
    names = [f"ada{number}" for number in range(100)]
    shares = [Share(number=number, of=count) for number in range(count)]
    return [next(name for name in names if share.has(b"c:" + name.encode())) for share in shares]


def at(minute: int) -> str:
    return format_instant(START + minute * MINUTE_MS)


def worlds(first: list[Document], second: list[Document], *records: LogRecord) -> Worlds:
    begin = LogRecord(0, EARLIEST, None, encode_mark(CatalogueMark(number=1, rules_version=1, tzdata="x")), ())
    return Worlds(first, second, [begin, *records], None)


def test_that_time_came_late_is_heard_of_in_every_share() -> None:
    """The one is due after an hour, when nobody lets time by; so the other's earlier mail would have been late as well."""
    one, two = in_each_share(2)
    asked = worlds(AN_HOUR, HALF_AN_HOUR, came(one, 0), came(two, 35), tick(70, 0), tick(95, 0))
    changes, sends = asked.whole()
    assert sends == (2, 2)
    moved = [msgspec.json.decode(change, type=Change) for change in changes]
    assert {change.customer_id: change.after for change in moved} == {one: at(30), two: at(70)}
    assert asked.in_shares(2) == (changes, sends)
    assert asked.was_late
