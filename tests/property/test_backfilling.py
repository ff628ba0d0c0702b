"""A workflow that is backfilled stands, for every customer, where it stands when it was there from the beginning."""

import copy
from collections.abc import Iterable

import msgspec
from hypothesis import assume, event, given
from hypothesis import strategies as st

from agents.adopting import end_hand_over, go_over
from agents.engine import Engine, customer_name
from agents.identity import deliver, route
from agents.outcomes import Outcome
from journeys.backfilling import (
    Owned,
    adopt,
    closed,
    digest_of,
    left_behind,
    obstacles,
    owned_by,
    slice_of,
    to_be_sent,
)
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.decide import deadline
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.decisions import Decision, Send
from schemas.definitions import Definitions
from schemas.events import Json
from schemas.instants import EARLIEST, HOUR_MS, Millis
from schemas.log import Backfilled, Stage
from schemas.staging import PastSends, StagedEntry, decode_staged, encode_staged
from tables.customers import CustomersTable
from tests.property.test_decide import Arrival, arrivals, few, once
from tests.strategies import BEGIN, UNTIL, Document, Line, definitions, histories

NEW = "w0"
_FIRST: Document = {"id": "first", "type": "wait", "configuration": {"type": "fixed_time", "duration_hours": 6}}
_shares = st.floats(0, 1)
_gaps = st.sampled_from((0, 1, HOUR_MS, 6 * HOUR_MS, 30 * HOUR_MS))
_WRITING = ("update_attributes", "add_to_segment", "remove_from_segment", "send_event")


def read(documents: list[Document]) -> Definitions:
    values: list[Json] = list(documents)
    return definitions_from_documents(values)


def visited(documents: list[Document]) -> list[Document]:
    """Leave out experiments, which can't be backfilled, and let many customers come into the new workflow."""
    kept = copy.deepcopy([document for document in documents if document.get("kind") != "experiment"])
    for document in kept:
        if document.get("id") == NEW:
            steps, triggers = document["steps"], document["triggers"]
            assert isinstance(steps, list)
            assert isinstance(triggers, list)
            steps.insert(0, {**_FIRST, "next_steps": ["s0"]})
            triggers.append({"id": "page", "type": "behavioral", "conditions": {"event_type": "page_viewed"}})
    return kept


def alone(documents: list[Document]) -> list[Document]:
    """Leave out what a backfill doesn't promise to be exact with.

    That is caps, experiments, a bound on open executions, best hours (which the workflow's own sends move), and actions
    that write what somebody reads.
    """
    kept = visited(documents)
    for document in kept:
        if document.get("kind") == "settings":
            document.pop("frequency_caps", None)
            document.pop("max_concurrent_executions", None)
        if document.get("id") == NEW:
            steps = document["steps"]
            assert isinstance(steps, list)
            for step in steps:
                assert isinstance(step, dict)
                _keep_to_itself(step)
    return kept


def _keep_to_itself(step: Document) -> None:
    configuration = step["configuration"]
    assert isinstance(configuration, dict)
    if step["type"] in ("email", "sms", "push", "social", "message"):
        timing = configuration.setdefault("timing", {})
        assert isinstance(timing, dict)
        if not timing.get("send_immediately"):
            timing["optimize"] = False
    elif configuration.get("type") in _WRITING:
        step["type"], step["configuration"] = "wait", {"type": "fixed_time", "duration_minutes": 7}


class World(msgspec.Struct):
    """The catalogues of a backfill: without the workflow, with it all along, and with it from the hand-over on."""

    before: Catalogue
    shadow: Catalogue
    after: Catalogue
    owned: Owned


def world(documents: list[Document], at: Millis) -> World:
    whole = read(documents)
    before = compile_catalogue(read([document for document in documents if document.get("id") != NEW]), 1)
    shadow = compile_catalogue(whole, 1)
    after = compile_catalogue(whole, 2, {1: before}, activated_at=at, backfilled={NEW: EARLIEST})
    shut = compile_catalogue(closed(whole, NEW), 2, {1: before}, activated_at=at)
    after = msgspec.structs.replace(after, closed=shut, backfills=NEW)
    shadow.unrecorded.made = {}
    return World(before=before, shadow=shadow, after=after, owned=owned_by(shadow, whole, NEW))


def fold(one: Engine, history: list[Arrival], until: Millis) -> list[tuple[str, str]]:
    """Fold a part of a history, and return what the new workflow sends, and when."""
    return [(sent.send_id, sent.send_at) for sent in _sent(one, history, until) if sent.workflow_id == NEW]


def of_all(one: Engine, history: list[Arrival], until: Millis) -> list[tuple[str, str, str]]:
    """Fold a part of a history, and return what all workflows send, to whom and when."""
    return sorted((sent.customer_id, sent.send_id, sent.send_at) for sent in _sent(one, history, until))


def _sent(one: Engine, history: list[Arrival], until: Millis) -> list[Send]:
    out: list[Outcome] = []
    for arrival in history:
        out += one.fire(arrival.at)
        out += one.take(arrival.key, copy.deepcopy(arrival.event), arrival.at)
    out += one.fire(until)
    return [effect for outcome in out for effect in outcome.effects if isinstance(effect, Send)]


def hand_over(live: Engine, shadow: Engine, catalogues: World, at: Millis) -> None:
    """Let every customer adopt what the shadow has of her, as it stands in the log."""
    list(live.take_over(msgspec.structs.replace(catalogues.after, closed=None), at))
    for key in sorted(live.table.keys()):
        there, here = shadow.table.get(key), live.table.get(key)
        assert there is not None
        assert here is not None
        staged = encode_staged(slice_of(there, catalogues.owned))
        adopt(here, decode_staged(staged), live.in_force, at)
        live.table.touch(key, deadline(here, live.in_force))
        again, decided = msgspec.msgpack.encode(here), adopt(here, decode_staged(staged), live.in_force, at)
        # Whoever found no room is told so again; in the log nobody adopts twice.
        assert {one.kind for one in decided if isinstance(one, Decision)} <= {"bound_reached"}
        assert msgspec.msgpack.encode(here) == again, "adopting twice is adopting once"


def standing(one: Engine, owned: Owned) -> dict[bytes, bytes]:
    """Return what everybody's state has of the workflow, whichever version of it."""
    found = {}
    for key in one.table.keys():  # noqa: SIM118 (a table isn't a mapping)
        customer = one.table.get(key)
        assert customer is not None
        found[key] = stands(customer, owned)
    return found


def stands(customer: Customer, owned: Owned) -> bytes:
    """Return what a customer's state has of the workflow, whichever version of it."""
    staged = slice_of(msgspec.msgpack.decode(msgspec.msgpack.encode(customer), type=Customer), owned)
    # What passed decisions could see of the customer holds other workflows, and best hours, as well.
    staged.settled = []
    for execution in staged.executions:
        execution.version, execution.passed = 0, []
    for ended in staged.attributable:
        ended.version = 0
    return msgspec.json.encode(staged)


def under_way(one: Engine) -> int:
    customers = [one.table.get(key) for key in one.table.keys()]  # noqa: SIM118 (a table isn't a mapping)
    return sum(each.workflow_id == NEW for customer in customers if customer for each in customer.executions)


@few
@given(definitions(), histories(bad_lines=False), _shares, _gaps)
def test_backfilled_is_as_if_it_had_been_there_from_the_beginning(
    documents: list[Document], history: list[Line], share: float, gap: Millis
) -> None:
    """Executions, steps, times, branches, memories, at the hand-over and ever after; and what is sent from then on."""
    documents, lines = alone(documents), arrivals(once(history))
    at = max(lines[int(share * (len(lines) - 1))].at, BEGIN) + gap if lines else BEGIN
    catalogues = world(documents, at)
    past, future = [one for one in lines if one.at < at], [one for one in lines if one.at >= at]
    beginning = Engine(CustomersTable(), catalogues.shadow)
    live = Engine(CustomersTable(), catalogues.before)
    fold(beginning, past, at)
    fold(live, past, at)
    hand_over(live, beginning, catalogues, at)
    event(f"{min(under_way(beginning), 3)} under way at the hand-over")
    assert standing(live, catalogues.owned) == standing(beginning, catalogues.owned)
    end = max(UNTIL, at)
    assert sorted(fold(live, future, end)) == sorted(fold(beginning, future, end))
    assert standing(live, catalogues.owned) == standing(beginning, catalogues.owned)


@few
@given(definitions(), histories(bad_lines=False), _shares, _gaps)
def test_whoever_is_left_nothing_behind_of_is_as_if_it_had_been_there_from_the_beginning(
    documents: list[Document], history: list[Line], share: float, gap: Millis
) -> None:
    """With caps, best hours, bounds and writing actions: nobody stands or gets anything else than those who are told."""
    documents, lines = visited(documents), arrivals(once(history))
    assume(not obstacles(read(documents), NEW))
    at = max(lines[int(share * (len(lines) - 1))].at, BEGIN) + gap if lines else BEGIN
    catalogues = world(documents, at)
    most = catalogues.shadow.settings.max_concurrent_executions
    past, future = [one for one in lines if one.at < at], [one for one in lines if one.at >= at]
    beginning, live = Engine(CustomersTable(), catalogues.shadow), Engine(CustomersTable(), catalogues.before)
    fold(beginning, past, at)
    fold(live, past, at)
    told = set[bytes]()
    for key in beginning.table.keys():  # noqa: SIM118 (a table isn't a mapping)
        there, here = beginning.table.peek(key), live.table.peek(key)
        assert there is not None
        reasons = left_behind(there, here, catalogues.owned)
        event(", ".join(sorted(reasons)) or "nothing")
        room = most - (0 if here is None else len(here.executions))
        if reasons or len(slice_of(there, catalogues.owned).executions) > room:
            told.add(key)
    hand_over(live, beginning, catalogues, at)
    end, names = max(UNTIL, at), {customer_name(key) for key in told}
    for _ in range(2):
        stand, stood = (
            {key: value for key, value in standing(one, catalogues.owned).items() if key not in told}
            for one in (live, beginning)
        )
        assert stand == stood
        sent, wanted = (of_all(one, future, end) for one in (live, beginning))
        assert [one for one in sent if one[0] not in names] == [one for one in wanted if one[0] not in names]
        future = []


class HandOver:
    """A log with a hand-over in it, folded by the live engine and by a shadow that has had the workflow all along."""

    def __init__(self, catalogues: World, policy: PastSends, *, merges: bool) -> None:
        self.catalogues, self.policy, self.merges = catalogues, policy, merges
        self.live = Engine(CustomersTable(), catalogues.before)
        self.shadow = Engine(CustomersTable(), catalogues.shadow)
        self.at = self.mark_at = EARLIEST
        self.sent: list[str] = []
        """By the live engine, of the workflow."""
        self.suppressed: set[tuple[str | None, str | None]] = set()
        self.missed: list[str] = []
        self.late: set[bytes] = set()

    def take(self, arrival: Arrival) -> None:
        self.pass_time(arrival.at)
        for one in (self.live, self.shadow):
            event = copy.deepcopy(arrival.event)
            self._note(one, route(one, event, arrival.at) if self.merges else one.take(arrival.key, event, arrival.at))

    def pass_time(self, until: Millis) -> None:
        self.at = max(self.at, until)
        for one in (self.live, self.shadow):
            self._note(one, [*one.fire(until), *deliver(one)])

    def mark(self) -> None:
        self.mark_at = self.at
        self._note(self.live, self.live.take_over(self.catalogues.after, self.at))

    def cut(self) -> Stage:
        """Cut out what everybody who is behind is to have, as the command does at the end of what it has read."""
        made, entries = self.catalogues.shadow.unrecorded.made or {}, []
        for key in sorted(self.live.behind):
            here, there = self.live.table.peek(key), self.shadow.table.peek(key)
            assert here is not None
            assert there is not None
            staged = slice_of(there, self.catalogues.owned)
            past = [one for one in made.get(there.customer_id, {}).values() if one.execution.workflow_id == NEW]
            staged.late = to_be_sent(past, self.policy, 6 * HOUR_MS, self.mark_at)
            if staged.late:
                self.late.add(key)
            entries.append(StagedEntry(key.decode(), digest_of(here), encode_staged(staged)))
        return Stage(number=2, entries=entries)

    def stage(self, stage: Stage) -> None:
        """Read a mark, and read it again, as after a crash."""
        self._note(self.live, go_over(self.live, stage, self.at))
        states = {key: msgspec.msgpack.encode(self.live.table.get(key)) for key in self.live.table.keys()}  # noqa: SIM118
        assert not [found for found in go_over(self.live, stage, self.at) if found is not None]
        assert states == {key: msgspec.msgpack.encode(self.live.table.get(key)) for key in states}

    def end(self) -> None:
        self._note(self.live, end_hand_over(self.live, Backfilled(number=2), self.at))
        assert not self.live.behind

    def _note(self, one: Engine, outcomes: Iterable[Outcome | None]) -> None:
        effects = [effect for outcome in outcomes if outcome is not None for effect in outcome.effects]
        if one is self.shadow:
            return
        self.sent += [each.send_id for each in effects if isinstance(each, Send) and each.workflow_id == NEW]
        told = [each for each in effects if isinstance(each, Decision)]
        self.suppressed |= {(one.execution_id, one.step_id) for one in told if one.kind == "send_suppressed"}
        self.missed += [one.customer_id for one in told if one.reason == "backfill"]

    def owed(self) -> dict[str, tuple[str | None, str | None]]:
        """Return what the shadow has sent since the mark, with the execution and the step of each."""
        made = (self.catalogues.shadow.unrecorded.made or {}).values()
        return {
            send_id: (one.execution.execution_id, one.step_id)
            for hers in made
            for send_id, one in hers.items()
            if one.execution.workflow_id == NEW and one.at > self.mark_at
        }


_policies = st.sampled_from(("skip", "latest", "all"))
_paces = st.sampled_from(("crrrrrrs", "rcrrrrs", "crs", "rcs", "crrrs"))
"""Again and again: a record is read, everybody's slices are cut out, what was cut out last is staged."""
_midst = st.floats(0.2, 0.8)
_long = histories(bad_lines=False).filter(lambda history: len(history) > 4)


def handed_over(one: HandOver, lines: list[Arrival], place: int, pace: str) -> list[Arrival]:
    """Let the hand-over begin before a line, and cut and stage while others come; return what is left of them."""
    for line in lines[:place]:
        one.take(line)
    one.pass_time(max(one.at, BEGIN))
    one.mark()
    left, cut = list(lines[place:]), None
    for deed in pace * 4:
        if deed == "c":
            cut = one.cut()
        elif deed == "s" and cut is not None:
            one.stage(cut)
        elif deed == "r" and left:
            one.take(left.pop(0))
    return left


@few
@given(definitions(), _long, _midst, _paces, _policies)
def test_handed_over_one_by_one_under_traffic_is_as_if_it_had_been_there_from_the_beginning(
    documents: list[Document], history: list[Line], share: float, pace: str, policy: PastSends
) -> None:
    """What is cut out too early is nothing; whoever has gone over stands where she would, and sends what she would.

    A message that fell into the hand-over goes out late or is refused then; whom that concerns is decided for as of
    then, so hers alone are compared by what is sent, not by when.
    """
    documents, lines = alone(documents), arrivals(once(history))
    one = HandOver(world(documents, BEGIN), policy, merges=False)
    left = handed_over(one, lines, int(share * len(lines)), pace)
    over = set(one.live.table.keys()) - one.live.behind if pace else set[bytes]()
    event(f"{min(len(over), 2)} over, {min(len(one.live.behind), 2)} behind before the last stage")
    one.stage(one.cut())
    one.end()
    assert not one.missed
    for line in left:
        one.take(line)
    one.pass_time(max(UNTIL, one.at))
    owned = one.catalogues.owned
    here, there = standing(one.live, owned), standing(one.shadow, owned)
    assert here.keys() == there.keys()
    assert {key: here[key] for key in here if key not in one.late} == {
        key: there[key] for key in there if key not in one.late
    }
    owed = one.owed()
    assert len(one.sent) == len(set(one.sent)), "nothing twice"
    if not one.late:
        assert sorted(one.sent) == sorted(owed)
    assert all(send_id in one.sent or owed[send_id] in one.suppressed for send_id in owed)


@few
@given(definitions(), _long, _midst, _paces)
def test_who_is_merged_while_some_have_gone_over_gets_nothing_twice_and_nobody_stays_behind(
    documents: list[Document], history: list[Line], share: float, pace: str
) -> None:
    """One who has gone over and one who hasn't become one: what was sent isn't sent again, and all come to an end."""
    lines = arrivals(once(history))
    one = HandOver(world(alone(documents), BEGIN), "skip", merges=True)
    left = handed_over(one, lines, int(share * len(lines)), pace)
    one.end()
    for line in left:
        one.take(line)
    one.pass_time(max(UNTIL, one.at))
    assert len(one.sent) == len(set(one.sent))
