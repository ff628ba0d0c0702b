"""One partition of the customer log, folded: the same code in the live worker, in `simulate` and in replay.

The log's order is the order of decisions. Before a customer's record with timestamp T is handled, her own timers
due up to T fire, each with `now` = its deadline; `fire` does the same for everybody when time itself comes by. In a log
that was written live, a timer that is more than a minute late by the record's `appended` is decided as of then.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from agents.adopting import end_hand_over
from agents.identity import set_aside
from agents.outcomes import Letter, Outcome, latest
from agents.quarantine import Aside, leave_out
from agents.quotas import QUOTA_PREFIX, ask
from journeys.catalogue import Catalogue
from journeys.commands import applied, is_named
from journeys.decide import Due, deadline, decide
from journeys.migrating import is_behind
from journeys.overdue import decision_time
from journeys.rescheduling import moves_deadlines
from schemas.customer import Customer
from schemas.events import Event
from schemas.instants import EARLIEST, Millis
from schemas.log import APPENDED, SEQUENCE, Command, Headers, Holds, encode_event, header, unpack_number
from schemas.quarantines import COMMAND, DEADLINE, EVENT, MIGRATION, Fault, Turn, timer
from schemas.waiting import Held
from tables.customers import CustomersTable
from tables.quotas import QuotasTable
from tables.waiting import WAITING_PREFIX, WaitingTable

LOOKED_AT_ONCE: Final = 500
"""So many customers are looked at anew between two pauses: some 10 ms."""


class Engine:
    """The rules over the memory of one partition."""

    def __init__(self, table: CustomersTable, catalogue: Catalogue | None = None) -> None:
        self.table = table
        self.catalogue = catalogue
        self.waiting = WaitingTable()
        self.quotas = QuotasTable()
        self.letters: list[Letter] = []
        """Records for other customers, until `take_letters`."""
        self.passed: Millis | None = None
        """The instant up to which everybody's timers have fired; whoever was held then catches up."""
        self.passed_late: Millis | None = None
        """The clock when the record was appended that brought that instant; None where nothing is late."""
        self.is_taking_over = False
        """Whether a new version is in force whose mark isn't done with yet."""
        self.behind: set[bytes] = set()
        """While a backfill is open, the keys of those who haven't gone over yet; see `agents.adopting`."""
        self.moved_by = 0
        """The number of the latest version under which deadlines of untouched customers moved."""
        self.left_out: Mapping[Turn, Fault] = {}
        """Whose turns at the record at hand the rules can't do."""
        self.turn: Turn | None = None
        """Whose turn it is, where the key of the record doesn't say so."""
        self.aside: list[Aside] = []
        """What goes to the dead letters, until `take_aside`."""

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a changelog record other than the position; who is due when is looked up once all are in."""
        if key[:2] in {b"c:", b"a:"}:
            self.table.restore(key, value)
        elif key.startswith(WAITING_PREFIX):
            self.waiting.restore(key.removeprefix(WAITING_PREFIX), value)
        elif key.startswith(QUOTA_PREFIX):
            self.quotas.restore(key, value)

    def take_over(self, catalogue: Catalogue, at: Millis, appended: Millis | None = None) -> Iterator[Outcome | None]:
        """Put the next version in force as of its mark; what is due by then still goes by the one before.

        `appended` is as in `fire`. Doing the same again from any point, as after a crash, goes on where it was. None
        stands for a piece of work that led to nothing, so that whoever is asking can do something else in between.
        """
        before = self.catalogue
        if before is not None and before.number < catalogue.number:
            yield from self.fire(at, appended)
            if self.behind:
                yield from end_hand_over(self, None, at)
        self.is_taking_over = True
        self.put_in_force(catalogue, at, None if before is None else before.holds)
        if catalogue.closed is not None and before is not None and before.number < catalogue.number:
            # Nobody's catalogue asks for anything else than the one before did, so nobody's deadline moves.
            self.behind = set(self.table.keys())
            self.is_taking_over = False
            return
        if catalogue.editing.mode == "migrate":
            yield from self._bring_along(decision_time(at, appended))
        if before is None or before.number == catalogue.number or moves_deadlines(before, catalogue):
            self.moved_by = catalogue.number
            yield from self.look_again(self.table.keys())
        self.is_taking_over = False

    def put_in_force(self, catalogue: Catalogue, at: Millis, holds: Holds | None) -> None:
        """Let a catalogue, with what commands hold back, be in force since an instant; nobody is looked at for it."""
        closed = None if catalogue.closed is None else replace(catalogue.closed, activated_at=at, holds=holds)
        self.catalogue = replace(catalogue, activated_at=at, holds=holds, closed=closed)

    def catalogue_of(self, key: bytes) -> Catalogue:
        """Return by which catalogue is decided for a customer."""
        catalogue = self.in_force
        return catalogue.closed or catalogue if key in self.behind else catalogue

    def _bring_along(self, at: Millis) -> Iterator[Outcome | None]:
        """Let executions move to the version in force; the customers who have none aren't kept decoded."""
        catalogue, table = self._in_force(), self.table
        for count, key in enumerate(sorted(table.keys()), start=1):
            known = table.peek(key)
            self.turn = key, MIGRATION
            if self.left_out and self.turn in self.left_out:
                yield from self._leave_out(at)
            elif known is not None and is_behind(known, catalogue):
                customer = table.get(key) or known
                now = max(at, customer.now)
                effects = decide(customer, catalogue, catalogue, now)
                if customer.pending:
                    ask(self, key, customer, by_event=False, sequence=None)
                table.touch(key, None if self.waiting.is_held(key) else deadline(customer, catalogue))
                if effects or self.letters:
                    yield Outcome(customer.customer_id, now, effects)
            if count % LOOKED_AT_ONCE == 0:
                yield None

    def look_again(self, keys: Iterable[bytes]) -> Iterator[Outcome | None]:
        """Look up anew when customers are due, piece by piece; nobody is kept decoded for it."""
        table = self.table
        for count, key in enumerate(keys, start=1):
            customer = table.peek(key)
            self.turn = key, DEADLINE
            if self.left_out and self.turn in self.left_out:
                yield from self._leave_out(EARLIEST)
            elif customer is not None:
                due_at = None if self.waiting.is_held(key) else deadline(customer, self.catalogue_of(key))
                table.reschedule(key, due_at)
            if count % LOOKED_AT_ONCE == 0:
                yield None

    def switch(self, catalogue: Catalogue, at: Millis = EARLIEST) -> None:
        """Put another catalogue in force as of an instant, at once; what is due when may change for every customer."""
        holds = None if self.catalogue is None else self.catalogue.holds
        self.put_in_force(catalogue, at, holds)
        self.index()

    def index(self) -> None:
        """Look up anew when every customer is due."""
        for _ in self.look_again(self.table.keys()):
            pass

    def obey(self, command: Command, at: Millis, appended: Millis | None = None) -> Iterator[Outcome | None]:
        """Fold a command that stands in the log with the timestamp `at`; everybody's due timers go first.

        `appended` is as in `fire`; a command that is late itself is obeyed as of then. Doing the same again from any
        point, as after a crash, goes on where it was. None as in `take_over`.
        """
        yield from self.fire(at, appended)
        now = decision_time(at, appended)
        if command.customer_key is not None:
            yield from self._order([command.customer_key.encode()], command, now)
        elif command.action == "cancel":
            yield from self._order(sorted(self.table.keys()), command, now)
        else:
            catalogue = self._in_force()
            self.put_in_force(catalogue, catalogue.activated_at, applied(catalogue.holds or Holds(), command, at))
            yield from self.look_again(self.table.keys())
            yield from self.fire(at, appended)

    def _order(self, keys: list[bytes], command: Command, at: Millis) -> Iterator[Outcome]:
        """Let a command reach those of the customers who have an execution that it names."""
        table = self.table
        for key in keys:
            customer, catalogue = table.get(key), self.catalogue_of(key)
            self.turn = key, COMMAND
            if self.left_out and self.turn in self.left_out:
                yield from self._leave_out(at)
                continue
            if customer is None or not any(is_named(execution, command) for execution in customer.executions):
                continue
            now = max(at, customer.now)
            effects = decide(customer, command, catalogue, now)
            if customer.pending:
                ask(self, key, customer, by_event=True, sequence=None)
            table.touch(key, None if self.waiting.is_held(key) else deadline(customer, catalogue))
            if effects or self.letters:
                yield Outcome(customer.customer_id, now, effects, by_event=True)

    def take(self, key: bytes, event: Event, at: Millis, headers: Headers = ()) -> list[Outcome]:
        """Fold an event that stands in the log with the timestamp `at`; her own due timers go first."""
        table = self.table
        catalogue = self.catalogue_of(key) if self.behind else self.catalogue or self._in_force()
        customer = table.get(key)
        outcomes: list[Outcome] = []
        if customer is None:
            customer = self.begin(key)
        else:
            if customer.bonds is not None or key in self.waiting.entries:
                aside = set_aside(self, key, customer, event, at, headers)
                if aside is not None:
                    return aside
            due_at = table.due.deadline(key)
            if due_at is not None and due_at <= at:
                outcomes = self.fire_own(key, customer, at, appended_at(headers))
                if customer.is_forgotten:
                    customer = self.begin(key)
                    catalogue = self.in_force
                elif customer.pending or self.waiting.shut(key) is not None:
                    return outcomes + (set_aside(self, key, customer, event, at, headers) or [])
        if self.left_out and (fault := self.left_out.get((key, EVENT))) is not None:
            record = Held(at, encode_event(event), b"", header(headers, SEQUENCE), appended_at(headers))
            return outcomes + leave_out(self, (key, EVENT), fault, at, record=record)
        now = at if at > customer.now else customer.now  # noqa: FURB136 -- max() costs three times as much
        effects = decide(customer, event, catalogue, now)
        if customer.pending:
            ask(self, key, customer, by_event=True, sequence=header(headers, SEQUENCE))
            table.touch(key, None)
        else:
            table.touch(key, deadline(customer, catalogue))
        if effects:
            outcomes.append(Outcome(customer.customer_id, now, effects, by_event=True))
        return outcomes

    def touched(self, key: bytes, customer: Customer) -> None:
        """Note that a customer was changed by an event that led to nothing; nobody is behind then."""
        self.table.touch(key, deadline(customer, self.in_force))

    def begin(self, key: bytes) -> Customer:
        """Begin with a customer of whom nothing is known yet."""
        self.behind.discard(key)
        customer = Customer(customer_id=customer_name(key), hashed_as=name_in_hashes(key))
        self.table.add(key, customer)
        return customer

    def fire_own(self, key: bytes, customer: Customer, until: Millis, appended: Millis | None = None) -> list[Outcome]:
        """Fire the customer's own timers due up to an instant, or up to the first for which she has to ask.

        Or up to the first that the rules can't do: she is quarantined then. `appended` is as in `fire`.
        """
        catalogue, outcomes, outer = self.catalogue_of(key), list[Outcome](), self.turn
        due_at = deadline(customer, catalogue)
        while due_at is not None and due_at <= until:
            self.turn = key, timer(due_at)
            if self.left_out and self.turn in self.left_out:
                outcomes += self._leave_out(decision_time(due_at, appended))
                break
            now = max(decision_time(due_at, appended), customer.now)
            effects = decide(customer, Due(due_at), catalogue, now)
            if effects:
                outcomes.append(Outcome(customer.customer_id, now, effects))
            if customer.pending:
                ask(self, key, customer, by_event=False, sequence=None)
                break
            due_at = deadline(customer, catalogue)
        self.turn = outer
        return outcomes

    def settle(self, key: bytes, appended: Millis | None = None) -> list[Outcome]:
        """Note that a customer's bonds have changed; if she is free, let time come to where it is for everybody.

        `appended` is as in `fire`, of the record that has changed them; nothing went out before the one that brought
        time by, either.
        """
        customer = self.table.get(key) or self.begin(key)
        if self.waiting.is_held(key):
            self.table.touch(key, None)
            return []
        late = latest(appended, self.passed_late)
        outcomes = [] if self.passed is None else self.fire_own(key, customer, self.passed, late)
        if customer.is_forgotten:
            self.behind.discard(key)
            self.table.remove(key)
        elif customer.pending or self.waiting.is_held(key):
            self.table.touch(key, None)
        else:
            self.table.touch(key, deadline(customer, self.catalogue_of(key)))
        return outcomes

    def take_letters(self) -> list[Letter]:
        """Return the records for other customers since the last call, in order."""
        letters, self.letters = self.letters, []
        return letters

    def fire(self, until: Millis, appended: Millis | None = None) -> Iterator[Outcome]:
        """Fire everybody's timers due up to an instant, in the order (deadline, customer).

        Args:
            until: the instant.
            appended: the clock when the record that brings time by was appended: a timer that is more than a minute
                late by it is decided as of then. None where nothing is late.
        """
        in_force, table = self._in_force(), self.table
        while (entry := table.due.next_due(until)) is not None:
            due_at, key = entry
            self.turn = key, timer(due_at)
            if self.left_out and self.turn in self.left_out:
                yield from self._leave_out(decision_time(due_at, appended))
                continue
            catalogue = self.catalogue_of(key) if self.behind else in_force
            customer = table.get(key)
            if customer is None:
                table.due.set(key, None)
                continue
            now = max(decision_time(due_at, appended), customer.now)
            effects = decide(customer, Due(due_at), catalogue, now)
            if customer.is_forgotten:
                self.behind.discard(key)
                table.remove(key)
            elif customer.pending:
                ask(self, key, customer, by_event=False, sequence=None)
                table.touch(key, None)
            else:
                table.touch(key, deadline(customer, catalogue))
            if effects or self.letters:
                yield Outcome(customer.customer_id, now, effects)
        if self.passed is None or until > self.passed:
            self.passed, self.passed_late = until, appended

    def _leave_out(self, at: Millis) -> list[Outcome]:
        """Quarantine whoever has her turn."""
        assert self.turn is not None  # noqa: S101 -- whoever asks has looked it up
        return leave_out(self, self.turn, self.left_out[self.turn], at)

    def take_aside(self) -> list[Aside]:
        """Return what goes to the dead letters since the last call, in order."""
        aside, self.aside = self.aside, []
        return aside

    @property
    def in_force(self) -> Catalogue:
        """The catalogue.

        Raises:
            RuntimeError: none has been put in force yet.
        """
        return self.catalogue or self._in_force()

    def _in_force(self) -> Catalogue:
        if self.catalogue is None:
            msg = "the log has a record before its first catalogue mark"
            raise RuntimeError(msg)
        return self.catalogue


def appended_at(headers: Headers) -> Millis | None:
    """Return the clock at the append of a record; None in a log with its own clock."""
    packed = header(headers, APPENDED)
    return None if packed is None else unpack_number(packed)


def customer_name(key: bytes) -> str:
    """Return the customer's id in records: a visitor's carries the prefix `a:`, as in the log's key."""
    return key[2:].decode() if key.startswith(b"c:") else key.decode()


def name_in_hashes(key: bytes) -> str | None:
    """Return what stands for an id in hashes of causes where it could be mistaken; None where it stands for itself."""
    return key.decode() if key[2:4] in {b"a:", b"c:"} and key.startswith(b"c:") else None
