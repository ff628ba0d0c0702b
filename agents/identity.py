"""How one customer absorbs another, who may live on another partition: hold, answer, forward.

    log of a                                       log of c
    merge_out(a -> c)                              the event that links, marked `awaits` a
      a answers absorb(state), becomes a pointer     c is held: from here on her records wait
      what comes later is forwarded                absorb(state of a)
                                                     c merges, takes the event, then what had waited, each at its time

Everything here is rare, so it is kept away from the path of ordinary events: `Engine.take` looks once whether a
customer has bonds or something waits for her, and leaves her to `set_aside` then.

Why nothing is lost or taken twice: an answer and what is forwarded are appended in the transaction that folds the
record they answer, and an answer is taken only where its pair of event and key is awaited. Why nobody waits for ever:
everybody answers always; of two who would wait for each other each answers before she is released; and behind
`MOST_HELD` records she goes on without the answer, which is taken whenever it comes.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, assert_never

from msgspec.structs import replace

from agents.outcomes import SURVIVOR_PLACE, Letter, Outcome, latest
from agents.quarantine import headers_of, keep, leave_out, must_wait, release
from agents.quotas import GRANT_PLACE, answer, ask, give_up, hear
from journeys.decide import GRANTED, decide
from journeys.uniting import bonds_of, get_to_know, is_before_deletion, knows, record_alone, unite
from schemas.customer import MAX_ABSORBED, NEVER, Bonds, Customer, Grave, Head, decode_customer, encode_customer
from schemas.decisions import Effect
from schemas.events import Event, Json
from schemas.identity import event_hash
from schemas.instants import Millis
from schemas.linking import (
    MOST_HOPS,
    Absorb,
    Ask,
    Awaits,
    Forwarded,
    Grant,
    Link,
    MergeOut,
    Released,
    decode_link,
    encode_link,
    log_records,
)
from schemas.log import APPENDED, SEQUENCE, Headers, decode_event, encode_event, header, unpack_number
from schemas.quarantines import EVENT
from schemas.quarantines import held as held_turn
from schemas.waiting import MOST_ANSWERS, MOST_HELD, Held, Waiting

if TYPE_CHECKING:
    from agents.engine import Engine

VISITOR_PREFIX: Final = b"a:"
LATE_PLACE: Final = 1 << 17
MOST_MOVED_BYTES: Final = 4 * 1024 * 1024
"""What an answer may have, far below the largest record of the log."""
_HEAD: Final = Head(catalogue=0, deadline=None, last_offset=0)
_SEPARATOR: Final = "\x1f"


def route(engine: "Engine", event: Event, at: Millis) -> list[Outcome]:
    """Take an event into an engine that has every customer: each record goes its way at once, in the log's order."""
    records = log_records(event)
    if len(records) == 1:
        engine.turn = records[0][0], EVENT
        outcomes = engine.take(records[0][0], event, at)
        return outcomes + deliver(engine) if engine.letters else outcomes
    value = encode_event(event)
    outcomes = []
    for key, link in records:
        assert link is not None  # noqa: S101 -- of several records each has one
        held = Held(at, b"" if isinstance(link, MergeOut) else value, encode_link(link))
        engine.turn = key, EVENT
        outcomes += receive(engine, key, held)
    return outcomes + deliver(engine)


def answered(engine: "Engine", outcomes: Iterable[Outcome | None]) -> Iterator[Outcome | None]:
    """Pass on what is fired in an engine that has every customer; what it leads to elsewhere follows at once."""
    for outcome in outcomes:
        yield outcome
        if engine.letters:
            yield from deliver(engine)


def deliver(engine: "Engine") -> list[Outcome]:
    """Take what customers of an engine have written to each other, until nothing is left."""
    outcomes: list[Outcome] = []
    letters = deque(engine.take_letters())
    while letters:
        letter = letters.popleft()
        engine.turn = letter.key, EVENT
        outcomes += receive(
            engine, letter.key, Held(letter.at, letter.value, encode_link(letter.link), letter.sequence)
        )
        letters.extend(engine.take_letters())
    return outcomes


def set_aside(
    engine: "Engine", key: bytes, customer: Customer, event: Event, at: Millis, headers: Headers
) -> list[Outcome] | None:
    """Keep or forward an ordinary event of a customer who isn't free to take it; None if she is."""
    shut = None if engine.waiting.shut(key) is None else must_wait(engine, key, customer, None, event)
    is_held = engine.waiting.is_held(key)
    if not is_held and (customer.bonds is None or customer.bonds.merged_into is None):
        return None
    packed = header(headers, APPENDED)
    appended = None if packed is None else unpack_number(packed)
    record = Held(at, encode_event(event), b"", header(headers, SEQUENCE), appended)
    if shut is not None:
        return keep(engine, key, shut, record)
    aside = _hold(engine, key, customer, record) if is_held else _pass_on(engine, key, customer, record, None)
    return [*aside, *engine.settle(key, appended)]


def receive(engine: "Engine", key: bytes, record: Held) -> list[Outcome]:
    """Fold a record of the log that has a link."""
    link = decode_link(record.link)
    if isinstance(link, Ask):
        answer(engine, key, link, record)
        return []
    customer = engine.table.get(key) or engine.begin(key)
    if engine.left_out and (fault := engine.left_out.get((key, EVENT))) is not None:
        fired = [] if engine.waiting.is_held(key) else engine.fire_own(key, customer, record.at, record.appended)
        return fired + leave_out(engine, (key, EVENT), fault, record.at, record=record)
    if engine.waiting.shut(key) is not None:
        event = None if isinstance(link, MergeOut | Absorb | Grant | Released) else decode_event(record.value)
        if (shut := must_wait(engine, key, customer, link, event)) is not None:
            return keep(engine, key, shut, record)
    if isinstance(link, Released):
        outcomes = release(engine, key, link, record, lambda kept: _again(engine, key, kept))
        into = None if customer.bonds is None else customer.bonds.merged_into
        if into is not None and engine.waiting.shut(key) is None:
            _send_answers_on(engine, key, into, record)
        return outcomes
    if isinstance(link, Grant):
        outcomes = _take_grant(engine, key, customer, link, record)
    elif customer.bonds is not None and customer.bonds.merged_into is not None:
        outcomes = _pass_on(engine, key, customer, record, link)
    else:
        outcomes = _take_up(engine, key, customer, record, link)
    return [*outcomes, *engine.settle(key, record.appended)]


def _again(engine: "Engine", key: bytes, record: Held) -> list[Outcome]:
    """Take a record that was kept, by the way on which it had come."""
    if record.link:
        return receive(engine, key, record)
    return engine.take(key, decode_event(record.value), record.at, headers_of(record))


# Pointers -----------------------------------------------------------------------------------------------------


def _pass_on(engine: "Engine", key: bytes, customer: Customer, record: Held, link: Link | None) -> list[Outcome]:
    """Send a record on from somebody who was absorbed; where it would go round she takes it, and is free again."""
    bonds = bonds_of(customer)
    into = bonds.merged_into or ""
    if isinstance(link, MergeOut):
        _answer(engine, key, link, record, b"")
        if link.into == into:
            return []
        detail: dict[str, Json] = {"merged_into": into, "refused": link.into, "event_id": link.event_id}
        return _refused(engine, customer, record, "already_merged", detail, link.event_id)
    if (link is None or isinstance(link, Forwarded)) and (
        ended := _end_here(engine, key, customer, record, link)
    ) is not None:
        return ended
    if isinstance(link, Ask | Grant | Released):
        # They have been taken before anybody looked for a pointer.
        return []
    path = () if link is None else link.path
    name = key.decode()
    if name in path or len(path) >= MOST_HOPS:
        bonds.merged_into = None
        reason = "cycle" if name in path else "too_many_hops"
        detail = {"merged_into": into, "path": list(path)}
        cut = _refused(engine, customer, record, reason, detail, f"{into}{_SEPARATOR}{record.at}")
        return [*cut, *_take_up(engine, key, customer, record, link)]
    path = (*path, name)
    match link:
        case None:
            onward: Link = Forwarded(path=path)
        case Absorb():
            late = link.late or _give_back(engine, key, _pair(link.event_id, link.of))
            onward = replace(link, path=path, late=late)
        case Awaits() | Forwarded():
            onward = replace(link, path=path)
        case _:
            assert_never(link)
    engine.letters.append(
        Letter(key=into.encode(), link=onward, value=record.value, at=record.at, sequence=record.sequence)
    )
    return []


def _end_here(
    engine: "Engine", key: bytes, customer: Customer, record: Held, link: Forwarded | None
) -> list[Outcome] | None:
    """Keep an event that concerns only the one who was merged away; None if it goes on."""
    event = decode_event(record.value)
    detail: dict[str, Json] = {"event_id": event.event_id}
    is_tidied = link is None and not key.startswith(VISITOR_PREFIX)
    if event.type == "customer_deleted" and event.stream == "crm" and is_tidied:
        # The CRM tidies up the one it has merged away; the person goes on. Who deletes a visitor means the person.
        detail = {"merged_into": bonds_of(customer).merged_into, **detail}
        return _refused(engine, customer, record, "already_merged", detail, event.event_id)
    if not is_before_deletion(customer, event):
        return None
    now = customer.now = max(customer.now, record.at)
    effects = record_alone(customer, "event_dropped", "customer_deleted", detail, event.event_id, engine.in_force, now)
    return [_told(customer, now, effects, record)]


def _take_up(engine: "Engine", key: bytes, customer: Customer, record: Held, link: Link | None) -> list[Outcome]:
    """Take a record, or let it wait, as somebody who wasn't absorbed."""
    if isinstance(link, Absorb):
        return _take_answer(engine, key, customer, link, record)
    if isinstance(link, MergeOut) and engine.waiting.shut(key) is not None:
        # For who is quarantined no time goes by.
        return _part(engine, key, customer, link, record)
    if engine.waiting.is_held(key):
        return _hold(engine, key, customer, record)
    # Time goes on up to the record.
    customer, outcomes = _catch_up(engine, key, customer, record.at, record.appended)
    if engine.waiting.shut(key) is not None:
        return outcomes + _again(engine, key, record)
    if customer.pending or (isinstance(link, Awaits) and _missing(engine, key, customer, link)):
        return outcomes + _hold(engine, key, customer, record)
    return outcomes + _process(engine, key, customer, record, link)


def _catch_up(
    engine: "Engine", key: bytes, customer: Customer, until: Millis, appended: Millis | None
) -> tuple[Customer, list[Outcome]]:
    """Fire her own timers; return who she is then, for she may have been forgotten meanwhile."""
    outcomes = engine.fire_own(key, customer, until, appended)
    return engine.begin(key) if customer.is_forgotten else customer, outcomes


def _take_grant(engine: "Engine", key: bytes, customer: Customer, link: Grant, record: Held) -> list[Outcome]:
    """Start what has waited for a place, and go on with what came meanwhile."""
    if not hear(engine, key, customer, link):
        return []
    place, now = GRANT_PLACE * customer.pending[0].depth, max(record.at, customer.now)
    effects = decide(customer, GRANTED, engine.catalogue_of(key), now)
    if customer.pending:
        ask(engine, key, customer, by_event=link.by_event, sequence=record.sequence)
    outcome = Outcome(
        customer.customer_id, now, effects, by_event=link.by_event, sequence=record.sequence, first_place=place
    )
    outcomes = [outcome] if effects else []
    return outcomes + (_release(engine, key, customer, record.appended) if engine.waiting.is_held(key) else [])


def _give_back(engine: "Engine", key: bytes, pair: str) -> bool:
    """Tell whether an answer was given up on, and forget that."""
    waiting = engine.waiting.entries.get(key)
    if waiting is None or pair not in waiting.given_up:
        return False
    waiting.given_up.remove(pair)
    engine.waiting.touch(key)
    return True


def _refused(
    engine: "Engine", customer: Customer, record: Held, reason: str, detail: dict[str, Json], event_id: str
) -> list[Outcome]:
    """Record a refusal; nothing, where its event has come before."""
    refused, identity = bonds_of(customer).refused, event_hash(event_id)
    if identity in refused:
        return []
    refused.append(identity)
    del refused[:-MAX_ABSORBED]
    now = customer.now = max(customer.now, record.at)
    effects = record_alone(customer, "merge_refused", reason, detail, event_id, engine.in_force, now)
    return [_told(customer, now, effects, record)]


def _told(customer: Customer, now: Millis, effects: list[Effect], record: Held, place: int = 0) -> Outcome:
    return Outcome(customer.customer_id, now, effects, by_event=True, sequence=record.sequence, first_place=place)


# Holding ------------------------------------------------------------------------------------------------------


def _pair(event_id: str, of: str) -> str:
    return f"{event_id}{_SEPARATOR}{of}"


def _missing(engine: "Engine", key: bytes, customer: Customer, link: Awaits) -> list[str]:
    """List the answers that an event still awaits."""
    waiting = engine.waiting.entries.get(key) or Waiting()
    pairs = [_pair(link.event_id, of) for of in link.of if of != key.decode() and not knows(customer, of)]
    return [pair for pair in pairs if pair not in waiting.answers and pair not in waiting.given_up]


def _hold(engine: "Engine", key: bytes, customer: Customer, record: Held) -> list[Outcome]:
    """Let a record wait; when too many do, go on without what is awaited."""
    waiting = engine.waiting.at(key)
    waiting.held.append(_answered_ahead(engine, key, waiting, record))
    if len(waiting.held) - 1 > MOST_HELD:
        return _overflow(engine, key, customer, waiting)
    engine.waiting.touch(key)
    return []


def _answered_ahead(engine: "Engine", key: bytes, waiting: Waiting, record: Held) -> Held:
    """Answer somebody who is awaited here and asks at the same time: she would wait for us, and we for her."""
    link = decode_link(record.link) if record.link else None
    if not isinstance(link, MergeOut) or link.answered:
        return record
    first = decode_link(waiting.held[0].link) if waiting.held and waiting.held[0].link else None
    if not isinstance(first, Awaits) or link.into not in first.of:
        return record
    _answer(engine, key, link, record, b"")
    return Held(record.at, record.value, encode_link(replace(link, answered=True)), record.sequence, record.appended)


def _overflow(engine: "Engine", key: bytes, customer: Customer, waiting: Waiting) -> list[Outcome]:
    """Go on without what the first event awaits."""
    first = waiting.held[0]
    awaited: list[Json]
    if waiting.asked:
        event_id = waiting.asked[0]
        awaited = list(give_up(engine, key, customer))
    else:
        link = decode_link(first.link)
        assert isinstance(link, Awaits)  # noqa: S101 -- nothing else begins to hold a customer
        missing, event_id = _missing(engine, key, customer, link), link.event_id
        waiting.given_up += missing
        awaited = [pair.partition(_SEPARATOR)[2] for pair in missing]
    now = customer.now = max(customer.now, first.at)
    detail: dict[str, Json] = {"awaited": awaited, "event_id": event_id}
    effects = record_alone(customer, "held_overflow", None, detail, event_id, engine.in_force, now)
    appended = waiting.held[-1].appended
    return [_told(customer, now, effects, first), *_release(engine, key, customer, appended)]


def _release(engine: "Engine", key: bytes, customer: Customer, appended: Millis | None) -> list[Outcome]:
    """Take what has waited, in order, up to the next event whose answers are still out, or that has to ask.

    `appended` is that of the record that lets her go on: nothing of hers could go out before.
    """
    waiting = engine.waiting.at(key)
    held, outcomes, outer, number = deque(waiting.held), list[Outcome](), engine.turn, 0
    waiting.held = []
    while held and not customer.pending:
        # Each has a turn of its own: where the rules raise on one, those before it are done.
        turn = engine.turn = key, held_turn("" if outer is None else outer[1], number)
        number += 1
        if engine.waiting.shut(key) is not None:
            outcomes += _again(engine, key, held.popleft())
            continue
        record, link = held[0], decode_link(held[0].link) if held[0].link else None
        if customer.bonds is not None and customer.bonds.merged_into is not None:
            outcomes += _pass_on(engine, key, customer, record, link)
        else:
            customer, fired = _catch_up(engine, key, customer, record.at, latest(appended, record.appended))
            outcomes += fired
            if engine.waiting.shut(key) is not None:
                continue
            if engine.left_out and (fault := engine.left_out.get(turn)) is not None:
                outcomes += leave_out(engine, turn, fault, record.at, record=record)
                held.popleft()
                continue
            if customer.pending or (isinstance(link, Awaits) and _missing(engine, key, customer, link)):
                break
            outcomes += _process(engine, key, customer, record, link)
            customer = engine.table.get(key) or customer
        held.popleft()
    engine.turn = outer
    waiting = engine.waiting.at(key)
    waiting.held = list(held)
    engine.waiting.touch(key)
    return outcomes


# Taking -------------------------------------------------------------------------------------------------------


def _process(engine: "Engine", key: bytes, customer: Customer, record: Held, link: Link | None) -> list[Outcome]:
    """Take a record whose turn has come; her own timers that were due before it have fired."""
    if isinstance(link, MergeOut):
        return _part(engine, key, customer, link, record)
    effects: list[Effect] = []
    if isinstance(link, Awaits):
        effects, _ = _absorb(engine, key, customer, _answers(engine, key, link), link.event_id, record.at)
    now = max(record.at, customer.now)
    effects = effects + decide(customer, decode_event(record.value), engine.catalogue_of(key), now)
    if customer.pending:
        ask(engine, key, customer, by_event=True, sequence=record.sequence)
    place = SURVIVOR_PLACE if isinstance(link, Awaits) else 0
    return [_told(customer, now, effects, record, place)] if effects else []


def _answers(engine: "Engine", key: bytes, link: Awaits) -> list[tuple[str, bytes]]:
    """Take the answers that an event has awaited off those that have come; the ones given up aren't among them."""
    waiting = engine.waiting.entries.get(key)
    taken = []
    for of in link.of:
        pair = _pair(link.event_id, of)
        if of != key.decode() and (waiting is None or pair not in waiting.given_up):
            taken.append((of, b"" if waiting is None else waiting.answers.pop(pair, b"")))
    if waiting is not None:
        engine.waiting.touch(key)
    return taken


def _part(engine: "Engine", key: bytes, customer: Customer, link: MergeOut, record: Held) -> list[Outcome]:
    """Answer with the state and become a pointer; whoever has absorbed the other herself refuses."""
    if link.answered or knows(customer, link.into):
        if not link.answered:
            _answer(engine, key, link, record, b"")
        detail: dict[str, Json] = {"refused": link.into, "event_id": link.event_id}
        return _refused(engine, customer, record, "cycle", detail, link.event_id)
    outcomes, value = [], b""
    if customer.now > NEVER and len(value := encode_customer(customer, _HEAD)) > MOST_MOVED_BYTES:
        _answer(engine, key, link, record, b"")
        too_large: dict[str, Json] = {"refused": link.into, "event_id": link.event_id, "bytes": len(value)}
        return _refused(engine, customer, record, "too_large", too_large, link.event_id)
    if customer.now > NEVER:
        now = customer.now = max(customer.now, record.at)
        detail = {"into": link.into, "event_id": link.event_id}
        effects = record_alone(customer, "customer_merged", "absorbed", detail, link.event_id, engine.in_force, now)
        outcomes = [_told(customer, now, effects, record)]
        value = encode_customer(customer, _HEAD)
    _answer(engine, key, link, record, value)
    # What occurred before she was deleted stays dropped, whoever she is now.
    deleted_at = None if customer.bonds is None or customer.bonds.grave is None else customer.bonds.grave.at
    bonds = Bonds(merged_into=link.into, grave=None if deleted_at is None else Grave(at=deleted_at))
    pointer = Customer(customer_id=customer.customer_id, now=customer.now, hashed_as=customer.hashed_as, bonds=bonds)
    engine.table.add(key, pointer)
    if engine.waiting.shut(key) is None:
        _send_answers_on(engine, key, link.into, record)
    return outcomes


def _send_answers_on(engine: "Engine", key: bytes, into: str, record: Held) -> None:
    """Send what came too early along, to where the events that await it will be forwarded."""
    waiting = engine.waiting.entries.get(key)
    if waiting is None:
        return
    for pair, value in waiting.answers.items():
        event_id, _, of = pair.partition(_SEPARATOR)
        answer = Absorb(of=of, event_id=event_id, path=(key.decode(),))
        engine.letters.append(
            Letter(key=into.encode(), link=answer, value=value, at=record.at, sequence=record.sequence)
        )
    waiting.answers = {}
    engine.waiting.touch(key)


# Answers ------------------------------------------------------------------------------------------------------


def _answer(engine: "Engine", key: bytes, link: MergeOut, record: Held, value: bytes) -> None:
    answer = Absorb(of=key.decode(), event_id=link.event_id)
    engine.letters.append(
        Letter(key=link.into.encode(), link=answer, value=value, at=record.at, sequence=record.sequence)
    )


def _take_answer(engine: "Engine", key: bytes, customer: Customer, link: Absorb, record: Held) -> list[Outcome]:
    """Take an answer: at once if nobody waits for it any more, else when the event that awaits it is there."""
    pair = _pair(link.event_id, link.of)
    awaited = not (_give_back(engine, key, pair) or link.late)
    if not record.value and (knows(customer, link.of) or link.of == key.decode()):
        return []
    if not awaited or knows(customer, link.of):
        return _absorb_late(engine, key, customer, [(link.of, record.value)], link.event_id, record)
    waiting = engine.waiting.at(key)
    # The event may come twice, and so may its answer: the second time with nothing.
    if record.value or pair not in waiting.answers:
        waiting.answers[pair] = record.value
    outcomes = _bound_answers(engine, key, customer, waiting, record)
    if key in engine.waiting.entries:
        engine.waiting.touch(key)
    return outcomes + (_release(engine, key, customer, record.appended) if engine.waiting.is_held(key) else [])


def _bound_answers(engine: "Engine", key: bytes, customer: Customer, waiting: Waiting, record: Held) -> list[Outcome]:
    if len(waiting.answers) <= MOST_ANSWERS:
        return []
    pair = next(iter(waiting.answers))
    event_id, _, of = pair.partition(_SEPARATOR)
    return _absorb_late(engine, key, customer, [(of, waiting.answers.pop(pair))], event_id, record)


def _absorb_late(
    engine: "Engine", key: bytes, customer: Customer, answers: list[tuple[str, bytes]], event_id: str, record: Held
) -> list[Outcome]:
    effects, now = _absorb(engine, key, customer, answers, event_id, record.at)
    return [_told(customer, now, effects, record, LATE_PLACE)] if effects else []


def _absorb(
    engine: "Engine", key: bytes, customer: Customer, answers: list[tuple[str, bytes]], event_id: str, at: Millis
) -> tuple[list[Effect], Millis]:
    others = [(of, decode_customer(value)) for of, value in answers if value]
    now = max((at, customer.now, *(other.now for _, other in others)))
    effects = unite(customer, others, event_id, engine.catalogue_of(key), now) if others else []
    for of, _ in answers:
        get_to_know(customer, of)
    _forget_answers(engine, key, customer)
    return effects, now


def _forget_answers(engine: "Engine", key: bytes, customer: Customer) -> None:
    """Forget answers that say nothing about somebody who was absorbed by now: nothing will await them."""
    waiting = engine.waiting.entries.get(key)
    if waiting is None:
        return
    for pair, value in list(waiting.answers.items()):
        if not value and knows(customer, pair.partition(_SEPARATOR)[2]):
            del waiting.answers[pair]
    engine.waiting.touch(key)
