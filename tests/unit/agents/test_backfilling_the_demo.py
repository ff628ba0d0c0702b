"""Each workflow of the demo's shop, handed over in the midst of its history, stands as if it had been there all along.

The purchases are real; their log is made here. Who stands where, and what goes out by which policy, is asked of an
engine that has had the workflow from the beginning. No branch of the shop reads what its own mails lead to, and it has
no caps; best hours, which its mails move, are turned off.
"""

import asyncio
from collections.abc import Iterable, Iterator

import msgspec
import pytest

from agents.backfilling import Backfill
from agents.customers import CustomerFold
from agents.engine import Engine
from agents.handing_over import HandOver
from agents.outcomes import Outcome
from agents.world import LogRecord
from journeys.backfilling import closed, owned_by
from journeys.catalogue import RULES_VERSION, Catalogue, compile_catalogue
from journeys.documents import id_of
from journeys.unrecorded import Made
from journeys.validation import definitions_from_documents
from schemas.decisions import Send
from schemas.events import Event, Json, customer_key
from schemas.instants import DAY_MS, EARLIEST, Millis, format_instant
from schemas.log import Backfilled, CatalogueMark, Mark, Tick, encode_event, encode_mark
from schemas.staging import Backfill as Asked
from schemas.staging import PastSends, decode_staged
from tables.customers import CustomersTable
from tests.property.test_backfilling import stands
from tidings.definitions_folder import load_folder
from tidings.demo.events import write_events
from tidings.demo.purchases import read_purchases
from tidings.event_file import read_lines
from tidings.services.kafka_files import CHECKOUT

CUSTOMERS = 150
AT_ONCE = 20
"""So many slices are cut out at once."""
MEANWHILE = 2
"""So many events come before they are written, to some whom they are about: theirs are out of date then."""
FRESH_MS = 30 * DAY_MS
History = list[tuple[Event, Millis]]
Sent = dict[str, tuple[str, str, str]]
"""By its id, when a message goes out, whose it is, and its step."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    file = tmp_path_factory.mktemp("demo") / "events.ndjson"
    purchases = read_purchases(CHECKOUT / ".cache" / "cdnow" / "CDNOW_master.txt", CUSTOMERS)
    write_events(file, purchases, lambda _done, _all: None)
    return [(line.event, line.clock) for line in read_lines(file) if line.event is not None]


def shop() -> list[Json]:
    """Return the definitions of the shop, without best hours."""
    documents = load_folder(CHECKOUT / "examples" / "shop").documents
    for timing in _timings(documents):
        if not timing.get("send_immediately"):
            timing["optimize"] = False
    return documents


def _timings(found: Json) -> Iterator[dict[str, Json]]:
    if isinstance(found, dict):
        timing = found.get("timing")
        if isinstance(timing, dict):
            yield timing
    if isinstance(found, dict | list):
        for each in found.values() if isinstance(found, dict) else found:
            yield from _timings(each)


class World:
    """A log with a hand-over in it, and an engine that has had the workflow all along."""

    def __init__(self, workflow_id: str, policy: PastSends) -> None:
        values = shop()
        self.workflow_id = workflow_id
        whole = definitions_from_documents(values)
        first = compile_catalogue(definitions_from_documents([one for one in values if id_of(one) != workflow_id]), 1)
        second = compile_catalogue(whole, 2, {1: first}, backfilled={workflow_id: EARLIEST})
        without = compile_catalogue(closed(whole, workflow_id), 2, {1: first})
        self._versions = {1: first, 2: msgspec.structs.replace(second, closed=without, backfills=workflow_id)}
        self._asked = Asked(workflow_id=workflow_id, since=EARLIEST, policy=policy, fresh_ms=FRESH_MS)
        all_along = compile_catalogue(whole, 1)
        self.owned = owned_by(all_along, whole, workflow_id)
        self.all_along = Engine(CustomersTable(), all_along)
        self.expected: Sent = {}
        self.records: list[LogRecord] = []
        self.late: set[bytes] = set()
        """Who was to get a message of before she went over."""
        made: Made = {}
        with_it: dict[int, Catalogue] = {}

        def add(number: int, at: Millis) -> Catalogue:
            compiled = compile_catalogue(
                whole, number, dict(with_it), activated_at=at, backfilled={workflow_id: EARLIEST}
            )
            compiled.unrecorded.made = made
            with_it[number] = compiled
            return compiled

        self._work = HandOver(Backfill(self._versions.__getitem__, add, None), made, [0], self._begin)

    def _begin(self, _partition: int = 0) -> CustomerFold:
        async def found(number: int) -> Catalogue:
            return self._versions[number]

        return CustomerFold("t.", found, 1)

    def mark(self, mark: Mark, at: Millis) -> None:
        self._put(None, encode_mark(mark), at)

    def take(self, event: Event, at: Millis) -> None:
        """Let an event come, here and where the workflow has been all along."""
        self._put(customer_key(event), encode_event(event), at)
        self._expect(self.all_along.fire(at))
        self._expect(self.all_along.take(customer_key(event), event, at))

    def hand_over(self, mark_at: Millis, coming: History) -> History:
        """Let everybody go over, while events come; return what is left of them."""
        self.mark(CatalogueMark(number=2, rules_version=RULES_VERSION, tzdata=""), mark_at)
        self._work.fold()
        out_of_date = 0
        while self._work.left:
            met = {customer_key(event) for event, _ in coming[:MEANWHILE]}
            chosen = sorted((key for _, key in self._work.behind()), key=lambda key: (key not in met, key))[:AT_ONCE]
            marks = self._work.cut({0: chosen}, self.owned, self._asked, 2, mark_at)[0]
            for event, at in coming[:MEANWHILE]:
                self.take(event, at)
            for mark in marks:
                self.mark(mark, self.records[-1].timestamp)
                self.late |= {one.key.encode() for one in mark.entries if one.staged and decode_staged(one.staged).late}
            self._work.fold()
            still = {key.decode() for _, key in self._work.behind()}
            out_of_date += sum(one.key in still for mark in marks for one in mark.entries)
            coming = coming[MEANWHILE:]
        assert out_of_date
        self.mark(Backfilled(number=2), self.records[-1].timestamp)
        self._work.close()
        return coming

    def finish(self, until: Millis) -> None:
        self.mark(Tick(), until)
        self._expect(self.all_along.fire(until))

    def folded(self) -> tuple[CustomerFold, Sent, set[tuple[str, str]]]:
        """Return what a worker makes of the log: what it sends for the workflow, and for whom it refused which step."""
        fold, sent, refused = self._begin(), Sent(), set[tuple[str, str]]()
        with asyncio.Runner() as runner:
            runner.run(fold.prepare(self.records))
            outputs = [output for part in fold.fold(self.records) for output in part.outputs]
        for output in outputs:
            told = msgspec.json.decode(output.value or b"", type=dict[str, Json])
            if told.get("workflow_id") != self.workflow_id:
                continue
            customer, step = str(told["customer_id"]), str(told.get("step_id"))
            if output.topic == "t.email-sends":
                assert told["send_id"] not in sent, "nothing twice"
                sent[str(told["send_id"])] = (str(told["send_at"]), customer, step)
            elif told["kind"] == "send_suppressed":
                refused.add((customer, step))
        return fold, sent, refused

    def _expect(self, outcomes: Iterable[Outcome | None]) -> None:
        for outcome in outcomes:
            for one in () if outcome is None else outcome.effects:
                if isinstance(one, Send) and one.workflow_id == self.workflow_id:
                    self.expected[one.send_id] = (one.send_at, one.customer_id, one.step_id)

    def _put(self, key: bytes | None, value: bytes, at: Millis) -> None:
        record = LogRecord(len(self.records), at, key, value, ())
        self.records.append(record)
        self._work.take(record)


def of_the_past(expected: Sent, policy: PastSends, mark_at: Millis) -> set[str]:
    """Return which messages of before the hand-over a policy sends, by the words of the contract."""
    fresh = {
        name: told
        for name, told in expected.items()
        if format_instant(mark_at - FRESH_MS) <= told[0] <= format_instant(mark_at)
    }
    if policy == "latest":
        return {
            max((told[0], name) for name, told in fresh.items() if told[1] == customer)[1]
            for customer in {told[1] for told in fresh.values()}
        }
    return set(fresh) if policy == "all" else set()


@pytest.mark.parametrize(
    ("workflow_id", "share", "policy"),
    [
        ("thanks-and-welcome", 0.25, "skip"),
        ("thanks-and-welcome", 0.25, "all"),
        ("thanks-and-welcome", 0.25, "latest"),
        ("next-record", 0.6, "latest"),
        ("vip", 0.6, "all"),
        ("win-back", 0.6, "skip"),
    ],
)
def test_it_stands_for_everybody_where_it_would_and_sends_what_the_policy_says(
    history: History, workflow_id: str, share: float, policy: PastSends
) -> None:
    """What fell into the hand-over, days of this log, goes out when its customer goes over, or is refused then."""
    world, place = World(workflow_id, policy), int(share * len(history))
    world.mark(CatalogueMark(number=1, rules_version=RULES_VERSION, tzdata=""), history[0][1])
    for event, at in history[:place]:
        world.take(event, at)
    mark_at = history[place - 1][1]
    left = world.hand_over(mark_at, history[place:])
    over_at = world.records[-1].timestamp
    for event, at in left:
        world.take(event, at)
    world.finish(history[-1][1] + 30 * DAY_MS)
    fold, sent, refused = world.folded()

    keys = set(world.all_along.table.keys())
    assert len(keys) == CUSTOMERS
    assert policy != "skip" or len(keys - world.late) > CUSTOMERS / 2
    for key in sorted(keys - world.late):
        here, there = fold.customer(key), world.all_along.table.peek(key)
        assert here is not None
        assert there is not None
        assert stands(here, world.owned) == stands(there, world.owned), key

    mark, over = format_instant(mark_at), format_instant(over_at)
    past = of_the_past(world.expected, policy, mark_at)
    fell = {name for name, told in world.expected.items() if mark < told[0] <= over}
    behind = {name: told for name, told in world.expected.items() if told[0] > over}
    assert bool(past) == (policy != "skip")
    assert behind
    assert {name: told for name, told in sent.items() if name in behind} == behind
    assert sent.keys() - behind.keys() <= past | fell
    assert all(name in sent or world.expected[name][1:] in refused for name in past | fell)
