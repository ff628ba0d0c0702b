"""The customer agent: folds one partition of the customer log into decisions, sends and the customers table.

- reads: `customer-log`, batch by batch
- key: `c:` customer or `a:` visitor; records without a key are marks for the partition
- table: customers (changelog `customers-changelog`, same partition number), and the position record `p`
- writes: `email-sends`, `sms-sends`, `push-sends`, `social-sends`, `decisions`, `webhook-calls`, to the same partition
  number; `dead-letters` and `quarantines` where the rules raise (`agents/quarantine.py`); and to `customer-log` what
  customers who are merged tell each other (`agents/identity.py`), and ticks
- guarantee: exactly once; outputs, changelog and position are one transaction
- a crash repeats: the transaction under way, from the last committed position, to the same result
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import Struct

from agents.adopting import end_hand_over, go_over
from agents.counting import Counted, Waits
from agents.engine import Engine, appended_at
from agents.identity import receive
from agents.outcomes import Outcome
from agents.quarantine import Aside, RulesRaised, headers_of, raised, with_place
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.compiled import RunMemory, RunRules, take_run
from journeys.quiet import NEVER_QUIET
from schemas.customer import NO_DEADLINE, Customer
from schemas.dead_letters import HEADERS as LETTER_HEADERS
from schemas.decisions import Send, WebhookCall, encode_effect
from schemas.definitions import Definitions
from schemas.errors import TidingsError
from schemas.events import Event
from schemas.instants import EARLIEST, Millis
from schemas.linking import LINK, encode_link
from schemas.log import (
    APPENDED,
    ORIGIN_BYTES,
    POSITION,
    SEQUENCE,
    SOURCE,
    Backfilled,
    CatalogueMark,
    Command,
    Holds,
    Stage,
    Tick,
    decode_event,
    decode_mark,
    encode_mark,
    header,
    pack_number,
    pack_place,
)
from schemas.outbound import EncodeEffect
from schemas.quarantines import HELD_TOO_MANY, LETTER_PLACE, RULES, LeftOut, Place, encode_fault, encode_place
from schemas.topics import CUSTOMER_LOG, DEAD_LETTERS, DECISIONS, QUARANTINES, SEND_TOPIC_OF_CHANNEL, WEBHOOK_CALLS
from schemas.waiting import Held
from streams.fold import CannotFold, Folded, Header, Output, Record
from streams.partitions import partition_of
from tables.customers import CustomersTable

POSITION_KEY: Final = b"p"
TIMERS_AT_ONCE: Final = 250
"""After so many somebody else may do something; a transaction takes in as many parts as its bytes allow."""
TIMERS_A_TICK: Final = 1_000
"""So many who are due make a tick of their own: events that come meanwhile have their turn between two."""
NO_CATALOGUE: Final = compile_catalogue(Definitions(workflows={}, templates={}, segments={}), number=0)
"""In force until the first mark: who comes is known, and nothing starts."""

LoadCatalogue = Callable[[int], Awaitable[Catalogue]]


class Position(Struct, kw_only=True):
    """What a partition's position record holds: JSON, so that a person with a Kafka tool can read it."""

    next_offset: int
    catalogue: int = 0
    activated_at: int = EARLIEST
    """The timestamp of the catalogue's mark."""
    is_taking_over: bool = False
    """Whether the mark of `catalogue` isn't done with yet; it stands at `next_offset` then."""
    moved_by: int = 0
    """The latest version under which deadlines moved: those of customers who were stored before it aren't right."""
    is_handing_over: bool = False
    """Whether a backfill is open: who was stored before `catalogue` hasn't gone over to it."""
    holds: Holds | None = None
    """What commands hold back; None until there has been one."""
    passed: Millis | None = None
    """The instant up to which everybody's timers have fired."""
    passed_late: Millis | None = None
    """The clock when the record was appended that brought that instant."""
    sources: dict[str, str] = {}
    """By origin (topic id and partition), the last place seen there; both packed, as hex."""

    def seen(self) -> dict[bytes, bytes]:
        """Return by origin the last source seen of it; whole, since of one origin whole ones compare as places do."""
        return {bytes.fromhex(origin): bytes.fromhex(origin + place) for origin, place in self.sources.items()}

    def put_in_force(self, engine: Engine, loaded: Catalogue) -> None:
        """Let an engine that has restored a memory stand where this position stands; nobody is looked at for it.

        Args:
            engine: whose customers are restored: who is behind is told by the versions under which they are stored.
            loaded: the version that this position names, or `NO_CATALOGUE`.
        """
        engine.put_in_force(loaded, self.activated_at, self.holds)
        engine.behind = set(engine.table.stored_before(self.catalogue)) if self.is_handing_over else set()
        engine.is_taking_over, engine.moved_by = self.is_taking_over, self.moved_by
        engine.passed, engine.passed_late = self.passed, self.passed_late


class CustomerFold:
    """The memory and rules of one partition of the customer log."""

    def __init__(
        self,
        prefix: str,
        load_catalogue: LoadCatalogue,
        partitions: int,
        encode: EncodeEffect = encode_effect,
        counted: Counted | None = None,
        left_out: LeftOut | None = None,
    ) -> None:
        """Begin empty.

        Args:
            prefix: of the topics' names.
            load_catalogue: returns the version of a number.
            partitions: the log's number of them.
            encode: writes what comes out.
            counted: where this fold counts what is committed, with others perhaps; None for one of its own.
            left_out: by offset, whose turns the rules can't do.
        """
        self._left_out: LeftOut = left_out or {}
        self._is_careful = False
        """Whether nothing is left to compiled code."""
        self._is_quiet = True
        self._place: int | None = None
        """Of the record at hand, among those given; None while compiled code has them."""
        self._load_catalogue = load_catalogue
        self._encode = encode
        self._partitions = partitions
        self._log_topic = prefix + CUSTOMER_LOG
        self._engine = Engine(CustomersTable())
        self._sources: dict[bytes, bytes] = {}
        """As `Position.seen`."""
        self._position: Position | None = None
        self._next_offset = 0
        self._upcoming: dict[int, Catalogue] = {}
        self.counted = Counted() if counted is None else counted
        self._counting = Counted()
        """What isn't committed yet: if its transaction fails, somebody else folds it again, and counts it."""
        self._ticked: Millis | None = None
        """The tick that was written last, until it comes back; another could do no more than this one will."""
        self._dead_letters_topic = prefix + DEAD_LETTERS
        self._quarantines_topic = prefix + QUARANTINES
        self._decisions_topic = prefix + DECISIONS
        self._webhooks_topic = prefix + WEBHOOK_CALLS
        self._send_topics = {channel: prefix + name for channel, name in SEND_TOPIC_OF_CHANNEL.items()}

    def restore(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take changelog records, oldest first."""
        engine = self._engine
        for key, value in changes:
            if key == POSITION_KEY:
                self._position = None if value is None else msgspec.json.decode(value, type=Position)
            else:
                engine.restore(key, value)

    def leave_out(self, found: Sequence[CannotFold]) -> None:
        """Come to these places without asking the rules.

        Raises:
            TidingsError: one is known already, so that there is no end to it.
        """
        for one in found:
            if isinstance(one, RulesRaised):
                self._left_out = with_place(self._left_out, one)
            else:
                self._is_careful = True

    def next_offset(self) -> int | None:
        """Build the due index and return where to go on; None without a position record."""
        self._engine.table.index()
        if self._position is None:
            return None
        self._sources = self._position.seen()
        return self._position.next_offset

    def customer(self, key: bytes) -> Customer | None:
        """Return who a customer is now, to be read; None if nothing is known of her."""
        return self._engine.table.peek(key)

    @property
    def behind(self) -> set[bytes]:
        """While a backfill is open, the keys of those who haven't gone over yet."""
        return self._engine.behind

    @property
    def version(self) -> int:
        """The number of the definitions in force; 0 before the first."""
        return 0 if self._engine.catalogue is None else self._engine.catalogue.number

    def is_held(self, key: bytes) -> bool:
        """Tell whether a customer's records wait for somebody else."""
        return self._engine.waiting.is_held(key)

    async def prepare(self, records: Sequence[Record]) -> None:
        """Load the catalogue in force, and those that marks among these records name."""
        if self._engine.catalogue is None:
            await self._resume(Position(next_offset=0) if self._position is None else self._position)
        for record in records:
            if record.key is None and record.value is not None:
                mark = decode_mark(record.value)
                if isinstance(mark, CatalogueMark):
                    await self._switch_later(mark)

    async def _resume(self, position: Position) -> None:
        """Put the catalogue of a position in force, and look again at deadlines that its states don't tell."""
        engine = self._engine
        loaded = await self._load(position.catalogue) if position.catalogue else NO_CATALOGUE
        position.put_in_force(engine, loaded)
        # A hold that ended brought forward deadlines of states that weren't stored again, and so did such a version.
        table = engine.table
        keys = table.stored_before(position.moved_by) if position.holds is None else table.keys()
        for _ in engine.look_again(keys):
            await asyncio.sleep(0)

    async def _switch_later(self, mark: CatalogueMark) -> None:
        self._upcoming[mark.number] = await self._load(mark.number)

    async def _load(self, number: int) -> Catalogue:
        catalogue = await self._load_catalogue(number)
        self.counted.unrecorded.add(catalogue.unrecorded)
        return catalogue

    def next_time(self) -> Millis | None:
        """Return when anybody is due next; None for never, and while a tick is under way."""
        if self._ticked is not None:
            return None
        entry = self._engine.table.due.next_due(NO_DEADLINE)
        return None if entry is None else entry[0]

    def time_record(self, until: Millis, now: Millis) -> Output | None:
        """Return a tick to be written to the log; None while nobody is due up to it."""
        due_at = self.next_time()
        if due_at is None or due_at > until:
            return None
        self._ticked = until = self._engine.table.due.first_due(TIMERS_A_TICK, until)
        appended = ((APPENDED, pack_number(now)),)
        return Output(topic=self._log_topic, key=None, value=encode_mark(Tick()), timestamp=until, headers=appended)

    def fold(self, records: Sequence[Record]) -> Iterator[Folded]:
        """Fold the records; one part for all of them, but for the many timers that a mark may fire.

        Raises:
            CannotFold: the rules raised.
        """
        try:
            yield from self._fold(records)
        except (MemoryError, TidingsError):
            raise
        except Exception as error:
            if self._place is None:
                # Compiled code doesn't say at which record.
                raise CannotFold(records[0].offset, f"the rules raise {type(error).__name__}") from error
            record = records[self._place]
            found = raised(self._engine, record.offset, record.key, error)
            if found is None:
                raise
            raise found from error

    def _fold(self, records: Sequence[Record]) -> Iterator[Folded]:
        outputs: list[Output] = []
        waiting, place, begun = list(records), 0, 0
        # Compiled code doesn't look for places that are left out.
        first, last = records[0].offset, records[-1].offset
        self._is_quiet = not (self._is_careful or any(first <= offset <= last for offset in self._left_out))
        memory, rules = self._run()
        while True:
            self._place = None
            place, event = take_run(waiting, place, memory, rules)
            if place == len(waiting):
                break
            record = waiting[place]
            self._place = place
            place += 1
            if self._left_out:
                self._engine.left_out = self._left_out.get(record.offset, {})
            if record.key is not None:
                self._fold_event(record, event, outputs)
                continue
            self._counting.events += place - 1 - begun
            begun = place
            mark, appended = decode_mark(record.value or b""), appended_at(record.headers)
            found: Iterator[Outcome | None]
            if isinstance(mark, CatalogueMark):
                found = self._take_over(mark, record.timestamp, appended)
            elif isinstance(mark, Command):
                found = self._engine.obey(mark, record.timestamp, appended)
            elif isinstance(mark, Stage):
                found = go_over(self._engine, mark, record.timestamp)
            elif isinstance(mark, Backfilled):
                found = end_hand_over(self._engine, mark, record.timestamp)
            else:
                found = self._engine.fire(record.timestamp, appended)
            yield from self._fold_many(found, record, outputs)
            outputs = []
            if isinstance(mark, Tick) and self._ticked is not None and record.timestamp >= self._ticked:
                self._ticked = None
            self._engine.turn = None
            memory, rules = self._run()
        self._counting.events += place - begun
        yield self._folded(outputs, records[-1].offset + 1)

    def _run(self) -> tuple[RunMemory, RunRules]:
        """Gather what compiled code needs to take events that lead to nothing, until a mark or a transaction."""
        engine = self._engine
        # While a backfill is open, two catalogues are in force, and each customer has to be asked for hers.
        is_quiet = self._is_quiet and not engine.behind
        quiet = engine.catalogue.quiet if engine.catalogue is not None and is_quiet else NEVER_QUIET
        memory = (*engine.table.at_hand, *engine.table.due.parts, engine.waiting.entries, self._sources)
        return memory, (quiet.plans, quiet.silences, decode_event, engine.touched, SOURCE, ORIGIN_BYTES)

    def _fold_event(self, record: Record, event: Event | None, outputs: list[Output]) -> None:
        """Fold an event, decoded already where it was looked at before."""
        headers = record.headers
        # The ingest writes the source first.
        if headers and headers[0][0] == SOURCE:
            source: bytes | None = headers[0][1]
        elif headers and headers[0][0] == LINK:
            self._fold_link(record, outputs)
            return
        else:
            source = header(headers, SOURCE)
        if source is not None and self._was_seen(source):
            return
        assert record.key is not None  # noqa: S101 -- the caller told events from marks by it
        assert record.value is not None  # noqa: S101 -- the ingest writes no event without a value
        event = event or decode_event(record.value)
        outcomes = self._engine.take(record.key, event, record.timestamp, headers)
        if outcomes:
            self._put(outcomes, header(headers, SEQUENCE), outputs)
        if self._engine.letters:
            self._post(outputs, appended_at(headers))
        if self._engine.aside:
            self._put_aside(record, outputs)

    def _was_seen(self, source: bytes) -> bool:
        origin = source[:ORIGIN_BYTES]
        if source <= self._sources.get(origin, b""):
            self._counting.passed_over += 1
            return True
        self._sources[origin] = source
        return False

    def _fold_link(self, record: Record, outputs: list[Output]) -> None:
        """Fold a record by which customers are merged, or that was forwarded; the latter two have no source."""
        headers = record.headers
        source, sequence = header(headers, SOURCE), header(headers, SEQUENCE)
        if source is not None and self._was_seen(source):
            return
        assert record.key is not None  # noqa: S101 -- the caller told events from marks by it
        appended = appended_at(headers)
        held = Held(record.timestamp, record.value or b"", headers[0][1], sequence, appended)
        self._put(receive(self._engine, record.key, held), sequence, outputs)
        self._post(outputs, appended)
        self._put_aside(record, outputs)
        self._engine.turn = None

    def _put(self, outcomes: list[Outcome], sequence: bytes | None, outputs: list[Output]) -> None:
        for outcome in outcomes:
            # Her timers that fired before the event were caused by time, not by the line.
            line = outcome.sequence or sequence if outcome.by_event else None
            outputs += self._outputs(outcome, line)

    def _post(self, outputs: list[Output], appended: Millis | None) -> None:
        """Write what customers tell each other to the log, in the transaction that folds what led to it.

        A letter is as late as the record that led to it.
        """
        for letter in self._engine.take_letters():
            headers = [(LINK, encode_link(letter.link))]
            if letter.sequence is not None:
                headers.append((SEQUENCE, letter.sequence))
            if appended is not None:
                headers.append((APPENDED, pack_number(appended)))
            outputs.append(
                Output(
                    topic=self._log_topic,
                    key=letter.key,
                    value=letter.value,
                    timestamp=letter.at,
                    headers=tuple(headers),
                    partition=partition_of(letter.key, self._partitions),
                )
            )

    def _put_aside(self, record: Record, outputs: list[Output]) -> None:
        """Write what isn't taken to the dead letters, and the places that are left out for whoever folds again."""
        for aside in self._engine.take_aside():
            outputs.append(self._dead_letter(record, aside))
            if aside.fault is not None:
                place = encode_place(Place(record.offset, aside.key, aside.turn))
                told = encode_fault(aside.fault)
                outputs.append(Output(topic=self._quarantines_topic, key=place, value=told, timestamp=record.timestamp))

    def _dead_letter(self, record: Record, aside: Aside) -> Output:
        held, fault = aside.record, aside.fault
        own: list[Header] = []
        if held is not None:
            own = [(LINK, held.link)] if held.link else []
            own += headers_of(held)
        if fault is not None:
            own.append((LETTER_PLACE, encode_place(Place(record.offset, aside.key, aside.turn))))
        told = (
            self._log_topic,
            str(partition_of(aside.key, self._partitions)),
            str(record.offset),
            HELD_TOO_MANY if fault is None else RULES,
            "no more is kept of a quarantined customer" if fault is None else fault.told(aside.turn),
        )
        own += [(name, text.encode()) for name, text in zip(LETTER_HEADERS, told, strict=True)]
        value, at = (b"", record.timestamp) if held is None else (held.value, held.at)
        return Output(topic=self._dead_letters_topic, key=aside.key, value=value, timestamp=at, headers=tuple(own))

    def _take_over(self, mark: CatalogueMark, at: Millis, appended: Millis | None) -> Iterator[Outcome | None]:
        engine, upcoming = self._engine, self._upcoming.pop(mark.number, None)
        in_force = 0 if engine.catalogue is None else engine.catalogue.number
        is_next = mark.number > in_force or (mark.number == in_force and engine.is_taking_over)
        if upcoming is not None and is_next:
            yield from engine.take_over(upcoming, at, appended)

    def _fold_many(self, outcomes: Iterator[Outcome | None], record: Record, outputs: list[Output]) -> Iterator[Folded]:
        """Fold what a mark leads to, in bounded parts; the position stays before the mark until all is done."""
        for count, outcome in enumerate(outcomes, start=1):
            if outcome is not None:
                outputs += self._outputs(outcome, None)
            if self._engine.letters:
                self._post(outputs, appended_at(record.headers))
            if self._engine.aside:
                self._put_aside(record, outputs)
            if outcome is None or count % TIMERS_AT_ONCE == 0:
                yield self._folded(outputs, record.offset)
                outputs = []
        yield self._folded(outputs, record.offset + 1)

    def _outputs(self, outcome: Outcome, sequence: bytes | None) -> list[Output]:
        key, now, encode = outcome.customer_id.encode(), outcome.now, self._encode
        self._counting.add(outcome.effects)
        outputs = []
        for place, effect in enumerate(outcome.effects, outcome.first_place):
            headers = _first_header(place)
            if sequence is not None:
                headers = (*headers, (SEQUENCE, sequence))
            topic = self._decisions_topic
            if isinstance(effect, Send):
                topic = self._send_topics[effect.channel]
                headers = (*headers, ("send_id", effect.send_id.encode()))
            elif isinstance(effect, WebhookCall):
                topic = self._webhooks_topic
                headers = (*headers, ("call_id", effect.call_id.encode()))
            outputs.append(Output(topic=topic, key=key, value=encode(effect), timestamp=now, headers=headers))
        return outputs

    def _folded(self, outputs: list[Output], next_offset: int) -> Folded:
        self._next_offset = next_offset
        return Folded(outputs=outputs, next_offset=next_offset, changed_bytes=self._engine.table.changed_bytes)

    def committed(self) -> None:
        """Count what was folded since the last call: what `changes` has returned last is committed."""
        self.counted.add_up(self._counting)
        self._counting.begin_anew()

    def waits(self, overdue_before: Millis) -> Waits:
        """Say who waits here, and for what; what was due before an instant is overdue."""
        engine = self._engine
        soonest = engine.table.due.next_due(NO_DEADLINE)
        held = [waiting.held for waiting in engine.waiting.entries.values() if waiting.held or waiting.asked]
        return Waits(
            customers=engine.table.stored,
            timers=len(engine.table.due),
            overdue=engine.table.due.count_due(overdue_before),
            soonest=None if soonest is None else soonest[0],
            held=len(held),
            held_records=sum(map(len, held)),
            quarantined=sum(waiting.shut is not None for waiting in engine.waiting.entries.values()),
            catalogue=0 if engine.catalogue is None else engine.catalogue.number,
        )

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """Encode every customer changed since the last call, and the position as of the last part folded."""
        table, catalogue = self._engine.table, self._engine.catalogue
        number = 0 if catalogue is None else catalogue.number
        self._position = Position(
            next_offset=self._next_offset,
            catalogue=number,
            activated_at=EARLIEST if catalogue is None else catalogue.activated_at,
            is_taking_over=self._engine.is_taking_over,
            moved_by=self._engine.moved_by,
            is_handing_over=bool(self._engine.behind),
            holds=None if catalogue is None else catalogue.holds,
            passed=self._engine.passed,
            passed_late=self._engine.passed_late,
            sources={origin.hex(): source[ORIGIN_BYTES:].hex() for origin, source in self._sources.items()},
        )
        position = (POSITION_KEY, msgspec.json.encode(self._position))
        # Until a mark is done with, some deadlines that are stored are still those of the version before.
        stored_under = number - 1 if self._engine.is_taking_over else number
        changes = table.take_changes(stored_under, self._next_offset - 1, self._engine.behind)
        return [*changes, *self._engine.waiting.take_changes(), *self._engine.quotas.take_changes(), position]


@lru_cache(maxsize=4_096)
def _first_header(place: int) -> tuple[Header, ...]:
    return ((POSITION, pack_place(place)),)
