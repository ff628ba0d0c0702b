"""Who is followed from a snapshot on is followed as from the beginning."""

import asyncio

import pytest
from msgspec.structs import replace

from agents.customers import CustomerFold
from agents.following import Followed, Story, follow_records
from agents.world import LogRecord
from journeys.catalogue import RULES_VERSION, Catalogue
from schemas.customer import Customer
from schemas.decisions import Decision, Effect
from schemas.errors import TidingsError
from schemas.instants import DAY_MS, HOUR_MS, Millis
from schemas.log import SOURCE, CatalogueMark, Source, Tick, encode_event, encode_mark, pack_source
from tests.journey import START, compiled, event, frequency, mail, silence, wait, workflow

ADA = b"c:ada"
CATALOGUE = compiled(
    workflow(wait("pause", "mail", duration_hours=24), mail(), id="w"),
    workflow(id="often", on=[frequency("page_viewed", 3, 600)]),
    workflow(id="silent", on=[silence(30)]),
)
GIVEN = (
    ("mark", "", 0), ("signup", "ada", 0), ("signup", "bob", HOUR_MS), ("page_viewed", "ada", 2 * HOUR_MS),
    ("signup", "ada", 3 * HOUR_MS), ("page_viewed", "ada", 4 * HOUR_MS), ("tick", "", DAY_MS),
    ("page_viewed", "ada", DAY_MS + HOUR_MS), ("page_viewed", "ada", DAY_MS + 2 * HOUR_MS), ("tick", "", 3 * DAY_MS),
    ("signup", "bob", 4 * DAY_MS),
)  # fmt: skip
"""Of each record of a log the type, whose it is, and when."""


def load(_number: int) -> Catalogue:
    return CATALOGUE


def record(offset: int, kind: str, customer: str, at: Millis) -> LogRecord:
    if kind == "mark":
        return LogRecord(
            offset, START + at, None, encode_mark(CatalogueMark(number=1, rules_version=RULES_VERSION, tzdata="")), ()
        )
    if kind == "tick":
        return LogRecord(offset, START + at, None, encode_mark(Tick()), ())
    made, _ = event(
        kind, at, customer_id=customer, event_id=f"e{offset}", properties={"email": f"{customer}@a.example"}
    )
    headers = ((SOURCE, pack_source(Source(bytes(16), 0, offset + 1))),)
    return LogRecord(offset, START + at, f"c:{customer}".encode(), encode_event(made), headers)


LOG = [record(offset, *given) for offset, given in enumerate(GIVEN)]


def memory_behind(count: int) -> dict[bytes, bytes]:
    """Return what a worker has stored when it has folded so many records."""

    async def found(number: int) -> Catalogue:
        return load(number)

    fold = CustomerFold("t.", found, 1)
    with asyncio.Runner() as runner:
        runner.run(fold.prepare(LOG[:count]))
        assert list(fold.fold(LOG[:count]))
    return {key: value for key, value in fold.changes() if value is not None}


def told(steps: list[Followed]) -> list[tuple[object, ...]]:
    """Return what doesn't depend on which refusals were recorded before: a story tells each of them."""
    return [
        (
            step.at,
            step.event and step.event.event_id,
            [_unhashed(one) for one in step.effects],
            _unrefused(step.customer),
        )
        for step in steps
    ]


def _unhashed(effect: Effect) -> Effect:
    return replace(effect, state_hash=None) if isinstance(effect, Decision) else effect


def _unrefused(customer: Customer) -> Customer:
    return replace(customer, refusals={})


def whole() -> Story:
    return follow_records(LOG, load, ADA, None)


@pytest.mark.parametrize("count", range(1, len(LOG) + 1))
def test_from_a_snapshot_on_the_steps_are_those_that_the_whole_log_tells(count: int) -> None:
    """Wherever it was taken; nothing is told twice, and she ends where she stands."""
    story = follow_records(LOG[count:], load, ADA, None, memory_behind(count))
    expected = told(whole().steps)
    assert told(story.steps) == expected[len(expected) - len(story.steps) :]
    assert sum(step.event is not None for step in story.steps) == sum(one.key == ADA for one in LOG[count:])
    known = whole().customer
    assert known is not None
    assert story.customer is not None or count <= 1
    assert story.customer is None or _unrefused(story.customer) == _unrefused(known)
    assert story.is_resumed


@pytest.mark.parametrize("count", [5, 6])
def test_a_time_before_what_the_snapshot_knows_is_refused_with_what_to_do(count: int) -> None:
    """From the instant of her latest decision on she is told, also where nothing of what follows is."""
    begun_at = LOG[count - 1].timestamp
    with pytest.raises(TidingsError, match=r"is deleted; she is known from .*: name a later --at"):
        follow_records(LOG[count:], load, ADA, begun_at - 1, memory_behind(count))
    for at in (begun_at, begun_at + 1):
        story = follow_records(LOG[count:], load, ADA, at, memory_behind(count))
        assert (story.steps, story.customer, story.at) == ([], story.begun, at)


def test_of_who_has_done_nothing_since_the_snapshot_it_says_where_she_stands() -> None:
    story = follow_records([], load, ADA, None, memory_behind(len(LOG)))
    assert (story.steps, story.customer) == ([], story.begun)
    assert story.begins_at == story.at == START + 3 * DAY_MS


def test_who_is_in_no_snapshot_is_unknown() -> None:
    story = follow_records([], load, b"c:nobody", None, memory_behind(len(LOG)))
    assert (story.steps, story.customer, story.begun) == ([], None, None)
    assert story.begins_at is not None


def test_a_record_that_the_snapshot_knows_is_passed_over() -> None:
    """A repeat in the log behind it, with the source of one before it, leads to nothing and isn't told."""
    again = replace(LOG[3], offset=99)
    story = follow_records([again, *LOG[6:]], load, ADA, None, memory_behind(6))
    assert told(story.steps) == told(follow_records(LOG[6:], load, ADA, None, memory_behind(6)).steps)
