"""Quarantine: a customer for whom the rules raise is set aside, and everybody else goes on.

    the rules raise           `RulesRaised` says where: at which record, for whom, on what; nothing of it is undone
    who folds begins again    from what is stored, and is told the places that the rules can't do
    at such a place           they aren't asked: she is shut, and what comes for her is kept
    an operator releases her  what was kept has its turn, in the order of the log

The rules are a pure function of the log, so they raise again at the same place, and knowing it beforehand needs no copy
of a state before each record. Why others believe what was left out, and not their rules: decision 0021.
"""

import traceback
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import MsgspecError, Struct
from msgspec.structs import replace

from agents.outcomes import SURVIVOR_PLACE, Outcome, latest
from journeys.catalogue import RULES_VERSION
from journeys.uniting import record_alone
from schemas.customer import Customer
from schemas.errors import TidingsError
from schemas.events import Event, Json
from schemas.instants import Millis
from schemas.linking import Absorb, Awaits, Grant, Link, MergeOut, Released, decode_link
from schemas.log import APPENDED, SEQUENCE, decode_event, pack_number
from schemas.quarantines import EVENT, Fault, LeftOut, Place, Turn, encode_place, kept
from schemas.waiting import MOST_HELD, Held, Shut
from streams.fold import CannotFold

if TYPE_CHECKING:
    from agents.engine import Engine

Found = TypeVar("Found")
MOST_SHUT: Final = 20
"""Customers of a partition who may be quarantined at one time: where the rules raise for more, they are wrong."""
_ROOMS: Final = ("schemas", "journeys")
"""Of the rules: by which way a record came to them doesn't matter."""


class RulesRaised(CannotFold):
    """The rules raised."""

    def __init__(self, place: Place, fault: Fault, shut: int) -> None:
        """Say where, on what, and how many customers of the partition are quarantined already."""
        super().__init__(place, f"the rules raise {fault.error} in {fault.where}")
        self.turn, self.fault = place, fault
        self.is_one_too_many = shut >= MOST_SHUT


class Aside(Struct, frozen=True):
    """What goes to the dead letters: a record that isn't taken, or that a turn of a customer wasn't."""

    key: bytes
    record: Held | None
    turn: str
    fault: Fault | None
    """None: she has been quarantined before, and no more is kept of her."""


def fault_of(error: Exception, offset: int) -> Fault:
    """Say what went wrong, without a word of the exception's text, which may hold what a customer wrote."""
    frames = [(PurePath(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    rules = [frame for frame in frames if frame[0].parent.name in _ROOMS]
    path, line = (rules or frames)[-1]
    return Fault(
        error=type(error).__name__, where=f"{path.parent.name}/{path.name}:{line}", rules_version=RULES_VERSION,
        offset=offset,
    )  # fmt: skip


def raised(engine: "Engine", offset: int, key: bytes | None, error: Exception) -> RulesRaised | None:
    """Say where the rules raised; None where nobody's turn it was.

    Args:
        engine: that asked them.
        offset: of the record.
        key: the record's; None for a mark.
        error: what they raised.
    """
    turn = engine.turn or (None if key is None else (key, EVENT))
    if turn is None:
        return None
    shut = sum(waiting.shut is not None for waiting in engine.waiting.entries.values())
    return RulesRaised(Place(offset, *turn), fault_of(error, offset), shut)


def with_place(places: LeftOut, found: RulesRaised) -> LeftOut:
    """Return the places to be left out, and one more.

    Raises:
        TidingsError: it is among them already, or the rules raise for too many.
    """
    place = found.turn
    known = places.get(place.offset, {})
    if (place.key, place.turn) in known or found.is_one_too_many:
        raise TidingsError(f"{found.told}, for more customers than one can set aside: mend the rules, or their version")
    return {**places, place.offset: {**known, (place.key, place.turn): found.fault}}


def knowing(fold: Callable[[LeftOut], Found], places: LeftOut | None = None) -> Found:
    """Fold, and where the rules raise begin again, knowing one place more.

    Raises:
        TidingsError: they raise for too many.
    """
    known: LeftOut = places or {}
    while True:
        try:
            return fold(known)
        except RulesRaised as found:
            known = with_place(known, found)


def leave_out(
    engine: "Engine", turn: Turn, fault: Fault, at: Millis, *, record: Held | None = None
) -> list[Outcome]:  # fmt: skip
    """Quarantine a customer, or keep one more record of her, instead of asking the rules.

    Args:
        engine: hers.
        turn: hers, which the rules can't do.
        fault: why.
        at: the time of the record.
        record: that it is about; None where it is about a timer or a mark.
    """
    key, what = turn
    customer = engine.table.get(key) or engine.begin(key)
    waiting = engine.waiting.at(key)
    if waiting.shut is not None:
        return [] if record is None else keep(engine, key, waiting.shut, record)
    place = encode_place(Place(fault.offset, key, what)).decode()
    waiting.shut = Shut(place=place, records=[] if record is None else [record], has_cause=record is not None)
    engine.waiting.touch(key)
    engine.table.touch(key, None)
    engine.aside.append(Aside(key, record, what, fault))
    detail: dict[str, Json] = {"error": fault.error, "where": fault.where}
    link = None if record is None else _link_of(record)
    event_id = None if record is None else _event_id(record, link)
    if event_id is not None:
        detail["event_id"] = event_id
    now, cause = max(at, customer.now), event_id or f"{what}@{at}"
    effects = record_alone(customer, "quarantined", "rules_raised", detail, cause, engine.in_force, now)
    sequence = None if record is None else record.sequence
    place_on_line = SURVIVOR_PLACE if isinstance(link, Awaits | Absorb) else 0
    return [Outcome(customer.customer_id, now, effects, record is not None, sequence, place_on_line)]


def keep(engine: "Engine", key: bytes, shut: Shut, record: Held) -> list[Outcome]:
    """Keep a record of a quarantined customer; behind `MOST_HELD` it goes to the dead letters."""
    if len(shut.records) >= MOST_HELD:
        engine.aside.append(Aside(key, record, EVENT, None))
    else:
        shut.records.append(record)
        engine.waiting.touch(key)
    return []


def must_wait(engine: "Engine", key: bytes, customer: Customer, link: Link | None, event: Event | None) -> Shut | None:
    """Return where a record of a quarantined customer is to be kept; None if it is taken all the same.

    Her deletion is, and lets go of everything that was kept; a release; and who asks for her state gets it as it is,
    which no raise has touched.
    """
    waiting = engine.waiting.entries[key]
    shut = waiting.shut
    if shut is None or isinstance(link, Released):
        return None
    if isinstance(link, MergeOut) and not (waiting.held or waiting.asked):
        return None
    is_pointer = customer.bonds is not None and customer.bonds.merged_into is not None
    if event is not None and event.type == "customer_deleted" and event.stream == "crm" and not is_pointer:
        waiting.shut = None
        engine.waiting.touch(key)
        return None
    return shut


def release(
    engine: "Engine", key: bytes, link: Released, record: Held, again: Callable[[Held], list[Outcome]]
) -> list[Outcome]:
    """Let what was kept of a customer have its turn; where the rules raise on it, the rest is kept as before.

    Her timers that fell due meanwhile come last, late by the release.

    Args:
        engine: hers.
        key: hers.
        link: says which quarantine ends.
        record: the release.
        again: takes a record by the way on which it had come.
    """
    shut = engine.waiting.shut(key)
    if shut is None or shut.place != link.place:
        return []
    waiting, outcomes = engine.waiting.at(key), list[Outcome]()
    waiting.shut = None
    engine.waiting.touch(key)
    # As if it came now, but in its order: her timers that fell due in between go between.
    customer = engine.table.get(key) or engine.begin(key)
    customer.now = max(customer.now, record.at)
    records = shut.records if link.with_cause or not shut.has_cause else shut.records[1:]
    for number, one in enumerate(records):
        engine.turn = key, kept(number)
        fault = engine.left_out.get(engine.turn)
        if fault is not None:
            outcomes += leave_out(engine, engine.turn, fault, record.at, record=one)
            continue
        # Nothing of it could go out before the release.
        late = replace(one, appended=latest(record.appended, one.appended))
        outcomes += [
            replace(outcome, sequence=outcome.sequence or one.sequence) if outcome.by_event else outcome
            for outcome in again(late)
        ]
    engine.turn = key, kept(len(records))
    fault = engine.left_out.get(engine.turn)
    if fault is None:
        outcomes += engine.settle(key, record.appended)
    else:
        outcomes += leave_out(engine, engine.turn, fault, record.at)
    return outcomes


def headers_of(record: Held) -> list[tuple[str, bytes]]:
    """Return the headers of an ordinary event that was kept."""
    headers = [] if record.sequence is None else [(SEQUENCE, record.sequence)]
    return headers if record.appended is None else [*headers, (APPENDED, pack_number(record.appended))]


def _link_of(record: Held) -> Link | None:
    try:
        return decode_link(record.link) if record.link else None
    except MsgspecError:
        return None


def _event_id(record: Held, link: Link | None) -> str | None:
    """Return the id of what a record is about; None where even that can't be read."""
    match link:
        case MergeOut() | Awaits() | Absorb():
            return link.event_id
        case Grant():
            return link.ask_id
        case _:
            try:
                return decode_event(record.value).event_id
            except MsgspecError:
                return None
