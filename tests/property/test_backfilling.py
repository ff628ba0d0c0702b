"""A workflow that is backfilled stands, for every customer, where it stands when it was there from the beginning."""

import copy

import msgspec
from hypothesis import event, given
from hypothesis import strategies as st

from agents.engine import Engine
from agents.outcomes import Outcome
from journeys.backfilling import Owned, adopt, owned_by, slice_of
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.decide import deadline
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.decisions import Send
from schemas.definitions import Definitions
from schemas.events import Json
from schemas.instants import EARLIEST, HOUR_MS, Millis
from schemas.staging import decode_staged, encode_staged
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


def alone(documents: list[Document]) -> list[Document]:
    """Leave out what a backfill doesn't promise to be exact with.

    That is caps, experiments, a bound on open executions, best hours (which the workflow's own sends move), and actions
    that write what somebody reads.
    """
    kept = copy.deepcopy([document for document in documents if document.get("kind") != "experiment"])
    for document in kept:
        if document.get("kind") == "settings":
            document.pop("frequency_caps", None)
            document.pop("max_concurrent_executions", None)
        if document.get("id") == NEW:
            steps, triggers = document["steps"], document["triggers"]
            assert isinstance(steps, list)
            assert isinstance(triggers, list)
            # So that many worlds have somebody in it.
            steps.insert(0, {**_FIRST, "next_steps": ["s0"]})
            triggers.append({"id": "page", "type": "behavioral", "conditions": {"event_type": "page_viewed"}})
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
    return World(before=before, shadow=shadow, after=after, owned=owned_by(shadow, whole, NEW))


def fold(one: Engine, history: list[Arrival], until: Millis) -> list[tuple[str, str]]:
    """Fold a part of a history, and return what the new workflow sends, and when."""
    out: list[Outcome] = []
    for arrival in history:
        out += one.fire(arrival.at)
        out += one.take(arrival.key, copy.deepcopy(arrival.event), arrival.at)
    out += one.fire(until)
    effects = (effect for outcome in out for effect in outcome.effects)
    return [(one.send_id, one.send_at) for one in effects if isinstance(one, Send) and one.workflow_id == NEW]


def hand_over(live: Engine, shadow: Engine, catalogues: World, at: Millis) -> None:
    """Let every customer adopt what the shadow has of her, as it stands in the log."""
    list(live.take_over(catalogues.after, at))
    for key in sorted(live.table.keys()):
        there, here = shadow.table.get(key), live.table.get(key)
        assert there is not None
        assert here is not None
        staged = encode_staged(slice_of(there, catalogues.owned))
        adopt(here, decode_staged(staged), live.in_force, at)
        live.table.touch(key, deadline(here, live.in_force))
        again = msgspec.msgpack.encode(here)
        assert not adopt(here, decode_staged(staged), live.in_force, at)
        assert msgspec.msgpack.encode(here) == again, "adopting twice is adopting once"


def standing(one: Engine, owned: Owned) -> dict[bytes, bytes]:
    """Return what everybody's state has of the workflow, whichever version of it."""
    found = {}
    for key in one.table.keys():  # noqa: SIM118 (a table isn't a mapping)
        customer = one.table.get(key)
        assert customer is not None
        staged = slice_of(msgspec.msgpack.decode(msgspec.msgpack.encode(customer), type=Customer), owned)
        # What passed decisions could see of the customer holds other workflows, and best hours, as well.
        staged.settled = []
        for execution in staged.executions:
            execution.version, execution.passed = 0, []
        for ended in staged.attributable:
            ended.version = 0
        found[key] = msgspec.json.encode(staged)
    return found


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
