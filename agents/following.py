"""One customer followed: the engine's fold of what concerns her, with her state behind every step kept beside it.

- reads: lines of a file, or the customer's records and the marks of her partition of `customer-log`
- writes: nothing
- guarantee: the engine is the worker's, so what is decided here is what was decided, but for one thing: a refusal is
  recorded once a day, and here every time, for somebody asks why
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from agents.adopting import end_hand_over, go_over
from agents.catalogues import Catalogues
from agents.customers import NO_CATALOGUE
from agents.engine import Engine, appended_at, customer_name
from agents.identity import answered, receive, route
from agents.left_out import NOTHING, read_left_out
from agents.outcomes import Outcome
from agents.replaying import log_record
from agents.resuming import Resumed, resume
from agents.snapshots import Snapshot
from agents.world import LogRecord
from journeys.catalogue import Catalogue
from journeys.decide import Due, deadline, decide
from schemas.customer import Customer, Head, decode_customer, encode_customer
from schemas.decisions import Effect
from schemas.errors import TidingsError
from schemas.events import Event, customer_key
from schemas.instants import DAY_MS, Millis, format_instant
from schemas.linking import LINK
from schemas.log import (
    SEQUENCE,
    SOURCE,
    Backfilled,
    CatalogueMark,
    Command,
    Headers,
    Stage,
    decode_event,
    decode_mark,
    header,
)
from schemas.quarantines import LeftOut
from schemas.topics import CUSTOMER_LOG
from schemas.waiting import Held
from streams.connection import Connection
from streams.partitions import partition_of
from streams.reading import read_partition
from streams.topics import end_offsets, first_offsets
from tables.customers import CustomersTable

MOST_AHEAD: Final = 10
"""So many steps of the future are told."""
_FURTHEST_MS: Final = 400 * DAY_MS
_MOST_TIMERS: Final = 10_000
_NO_HEAD: Final = Head(catalogue=0, deadline=None, last_offset=0)


Cause = Literal["time", "definitions", "command", "backfill"]
"""What led to something that no event of hers did: time, or a mark for everybody."""


class Followed(Struct, frozen=True, kw_only=True):
    """One thing that happened to her: an event, or time that came to something due."""

    at: Millis
    """The decision time."""
    event: Event | None
    effects: list[Effect]
    by: Cause = "time"
    """What came, where it was no event."""
    customer: Customer
    """Her state behind it."""
    catalogue: Catalogue


class Story(Struct, frozen=True, kw_only=True):
    """All that happened to a customer up to an instant."""

    customer_id: str
    customer: Customer | None
    """None where nothing is known of her any more."""
    catalogue: Catalogue
    begins_at: Millis | None
    """When what is known begins, of anybody; None if nothing is."""
    at: Millis
    """The instant up to which she was followed."""
    steps: list[Followed]
    others: list[str]
    """Who else was met, where that is known."""
    is_resumed: bool = False
    """Whether the log before the first step is deleted, and a snapshot stands for it."""
    begun: Customer | None = None
    """Her state in that snapshot; None where nothing was known of her then."""
    kept: int | None = None
    """How many of her records are kept, because she is quarantined; None where she isn't."""


class Follower:
    """Follows one customer through an engine that others feed."""

    def __init__(self, engine: Engine, key: bytes) -> None:
        """Follow nobody's steps yet."""
        self.engine = engine
        self.key = key
        self.name = customer_name(key)
        self.steps: list[Followed] = []
        self.begins_at: Millis | None = None
        self.at: Millis | None = None

    def move(self, at: Millis) -> None:
        """Note that time has come to an instant."""
        self.begins_at = at if self.begins_at is None else self.begins_at
        self.at = at if self.at is None else max(at, self.at)

    def note(
        self, outcomes: Iterable[Outcome | None], event: Event | None = None, at: Millis = 0, *, by: Cause = "time"
    ) -> None:
        """Keep what concerns her of what came of a record; of her own events also when nothing did."""
        effects: list[Effect] = []
        for outcome in outcomes:
            if outcome is None or outcome.customer_id != self.name:
                continue
            if event is not None and outcome.by_event:
                effects += outcome.effects
            else:
                self._keep(outcome.now, None, outcome.effects, by)
        if event is not None:
            self._keep(at, event, effects)

    def forget_refusals(self) -> None:
        """Let every refusal be told, also the second of a day."""
        known = self.engine.table.get(self.key)
        if known is not None:
            known.refusals.clear()

    def fire_own(self, at: Millis, appended: Millis | None) -> None:
        """Fire her own timers due up to an instant, one by one, so that her state behind each is known."""
        engine, key = self.engine, self.key
        known, due = engine.table.get(key), engine.table.due
        while known is not None and (due_at := due.deadline(key)) is not None and due_at <= at:
            self.note(engine.fire_own(key, known, due_at, appended))
            if known.is_forgotten:
                engine.table.remove(key)
                return
            is_free = not (known.pending or engine.waiting.is_held(key))
            engine.table.touch(key, deadline(known, engine.in_force) if is_free else None)

    def story(self) -> Story:
        """Return what was followed."""
        known = self.engine.table.peek(self.key)
        at = self.at or 0
        shut = self.engine.waiting.shut(self.key)
        return Story(
            kept=None if shut is None else len(shut.records),
            customer_id=self.name,
            customer=None if known is None else copied(known),
            catalogue=self.engine.in_force,
            begins_at=self.begins_at,
            at=at,
            steps=self.steps,
            others=sorted(customer_name(key) for key in list(self.engine.table.keys())),
        )

    def _keep(self, at: Millis, event: Event | None, effects: list[Effect], by: Cause = "time") -> None:
        known = self.engine.table.peek(self.key)
        customer = Customer(customer_id=self.name) if known is None else copied(known)
        # Behind her event she stands at its decision time; behind a timer later ones may have fired already.
        now = at if event is None else max(at, customer.now)
        catalogue = self.engine.in_force
        self.steps.append(Followed(at=now, event=event, effects=effects, by=by, customer=customer, catalogue=catalogue))


def copied(customer: Customer) -> Customer:
    """Return a state of its own, equal to this one."""
    return decode_customer(encode_customer(customer, _NO_HEAD))


def follow_events(
    catalogue: Catalogue, events: Iterable[tuple[Event, Millis]], key: bytes, until: Millis | None
) -> Story:
    """Follow a customer through events with their times, in the order of their arrival.

    Args:
        catalogue: in force all the time.
        events: everybody's.
        key: hers in the log.
        until: how far; None: to the last event.
    """
    follower = Follower(Engine(CustomersTable(), catalogue), key)
    engine = follower.engine
    for event, at in events:
        if until is not None and at > until:
            break
        follower.move(at)
        follower.note(answered(engine, engine.fire(at)))
        is_hers = customer_key(event) == key
        if is_hers:
            follower.forget_refusals()
        follower.note(route(engine, event, at), event if is_hers else None, at)
    if until is not None and follower.at is not None:
        follower.move(until)
        follower.note(answered(engine, engine.fire(until)))
    return follower.story()


def follow_log(
    connection: Connection, prefix: str, partitions: int, catalogues: Catalogues, key: bytes, until: Millis | None,
    snapshot: Snapshot | None = None,
) -> Story:  # fmt: skip
    """Follow a customer through the customer log: her own records, and the marks of her partition.

    Args:
        connection: where Kafka is.
        prefix: of the topics.
        partitions: of the log.
        catalogues: the versions that marks name.
        key: hers in the log.
        until: how far; None: to the end.
        snapshot: of her partition, where she is followed from if the log's beginning is gone.

    Raises:
        TidingsError: the log's beginning is gone without a snapshot, a version can't be used, or Kafka doesn't answer.
    """
    log, partition = prefix + CUSTOMER_LOG, partition_of(key, partitions)
    first, end = first_offsets(connection, log)[partition], end_offsets(connection, log)[partition]
    begun = snapshot if first > 0 else None
    if first > 0 and (begun is None or begun.next_offset < first):
        msg = (
            f"partition {partition} of {log} begins at offset {first:,}: what came before is deleted, and with it what"
            " her state was made of; explain can go back as far as the log is kept (retention.ms of the topic), or go"
            " on from a snapshot that `tidings replay --snapshots DIR` has left from there on: name its folder with"
            " --snapshots"
        )
        raise TidingsError(msg)
    read = read_partition(connection, log, partition, 0 if begun is None else begun.next_offset, end)
    records = (log_record(message, partition) for messages in read for message in messages)
    left_out = read_left_out(connection, prefix).get(partition, NOTHING)
    return follow_records(records, catalogues.load, key, until, None if begun is None else begun.memory, left_out)


def follow_records(
    records: Iterable[LogRecord], load: Callable[[int], Catalogue], key: bytes, until: Millis | None,
    memory: Mapping[bytes, bytes] | None = None, left_out: LeftOut = NOTHING,
) -> Story:  # fmt: skip
    """Follow a customer through records of her partition.

    Args:
        records: in their order, from the beginning or from where a memory was taken.
        load: returns the version of the definitions with this number.
        key: hers in the log.
        until: how far; None: to the end.
        memory: what a worker had stored of the partition before the first record; None at its beginning.
        left_out: what the rules couldn't do.

    Raises:
        TidingsError: what is known of her begins only behind `until`, or a version can't be used.
    """
    resumed = Resumed(Engine(CustomersTable(), NO_CATALOGUE)) if memory is None else resume(memory, key, load)
    follower = Follower(resumed.engine, key)
    known = None if memory is None else resumed.engine.table.peek(key)
    begun = None if known is None else copied(known)
    if until is not None and begun is not None and until < begun.now:
        raise TidingsError(
            f"what happened up to {format_instant(until)} is deleted; she is known from {format_instant(begun.now)} on:"
            " name a later --at"
        )
    seen: set[bytes] = set()
    for record in records:
        at, headers = record.timestamp, record.headers
        if until is not None and at > until:
            continue
        follower.move(at)
        follower.engine.left_out = left_out.get(record.offset, {})
        value = record.value or b""
        source = header(headers, SOURCE)
        if record.key is None:
            _take_mark(follower, value, at, headers, load)
        elif record.key == key and not _was_seen(seen, source) and not resumed.has_seen(source):
            _take_own(follower, value, at, headers)
        # What she writes to others stands in the log, and so do their answers.
        follower.engine.take_letters()
        follower.engine.take_aside()
    if follower.at is None and memory is not None:
        # Nothing came since: what the snapshot knows is all.
        latest = max(resumed.engine.passed or 0, 0 if begun is None else begun.now)
        follower.move(latest if until is None else min(latest, until))
    if until is not None and follower.at is not None:
        follower.move(until)
        follower.note(follower.engine.fire(until))
    return replace(follower.story(), is_resumed=memory is not None, begun=begun)


def ahead(story: Story) -> Iterator[Followed]:
    """Yield what would come next if nothing happened, soonest first, at most `MOST_AHEAD` steps and some 13 months."""
    if story.customer is None or story.kept is not None:
        return
    customer, catalogue, told = copied(story.customer), story.catalogue, 0
    for _ in range(_MOST_TIMERS):
        due_at = deadline(customer, catalogue)
        if due_at is None or due_at > story.at + _FURTHEST_MS or told >= MOST_AHEAD:
            return
        now = max(due_at, customer.now)
        effects = decide(customer, Due(due_at), catalogue, now)
        if effects:
            told += 1
            kept = Followed(at=now, event=None, effects=effects, customer=copied(customer), catalogue=catalogue)
            yield kept
        if customer.is_forgotten or customer.pending:
            return


def _take_mark(
    follower: Follower, value: bytes, at: Millis, headers: Headers, load: Callable[[int], Catalogue]
) -> None:
    engine, mark = follower.engine, decode_mark(value)
    if isinstance(mark, CatalogueMark):
        if mark.number > engine.in_force.number:
            follower.note(engine.take_over(load(mark.number), at), by="definitions")
    elif isinstance(mark, Command):
        follower.note(engine.obey(mark, at), by="command")
    elif isinstance(mark, Stage):
        follower.note(go_over(engine, mark, at), by="backfill")
    elif isinstance(mark, Backfilled):
        follower.note(end_hand_over(engine, mark, at), by="backfill")
    else:
        follower.note(engine.fire(at, appended_at(headers)))


def _take_own(follower: Follower, value: bytes, at: Millis, headers: Headers) -> None:
    engine, key, link = follower.engine, follower.key, header(headers, LINK)
    follower.forget_refusals()
    if link is None:
        follower.fire_own(at, appended_at(headers))
    event = decode_event(value) if value and value.startswith(b"{") and b'"event_id"' in value else None
    if link is not None:
        held = Held(at, value, link, header(headers, SEQUENCE))
        follower.note(receive(engine, key, held), event, at)
    elif event is not None:
        follower.note(engine.take(key, event, at, headers), event, at)


def _was_seen(seen: set[bytes], source: bytes | None) -> bool:
    if source is None:
        return False
    if source in seen:
        return True
    seen.add(source)
    return False
