"""One partition of the customer log, folded: the same code in the live worker, in `simulate` and in replay.

The log's order is the order of decisions. Before a customer's record with timestamp T is handled, her own timers
due up to T fire, each with `now` = its deadline; `fire` does the same for everybody when time itself comes by.
"""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from journeys.catalogue import Catalogue
from journeys.commands import applied, is_named
from journeys.decide import DUE, deadline, decide
from schemas.customer import Customer
from schemas.decisions import Effect
from schemas.events import Event
from schemas.instants import EARLIEST, Millis
from schemas.log import Command, Holds
from tables.customers import CustomersTable


class Outcome(Struct, frozen=True):
    """What one input led to: the customer, the decision time, and the effects in order (possibly none)."""

    customer_id: str
    now: Millis
    effects: list[Effect]
    by_event: bool = False


class Engine:
    """The rules over the memory of one partition."""

    def __init__(self, table: CustomersTable, catalogue: Catalogue | None = None) -> None:
        self.table = table
        self.catalogue = catalogue

    def switch(self, catalogue: Catalogue, at: Millis = EARLIEST) -> None:
        """Put another catalogue in force as of an instant; what is due when may change for every customer."""
        holds = None if self.catalogue is None else self.catalogue.holds
        self.catalogue = replace(catalogue, activated_at=at, holds=holds)
        self.index()

    def index(self) -> None:
        """Look up anew when every customer is due."""
        catalogue = self._in_force()
        for key in list(self.table.keys()):
            customer = self.table.get(key)
            if customer is not None:
                self.table.due.set(key, deadline(customer, catalogue))

    def obey(self, command: Command, at: Millis) -> Iterator[Outcome]:
        """Fold a command that stands in the log with the timestamp `at`; everybody's due timers go first.

        Doing the same again from any point, as after a crash, goes on where it was.
        """
        yield from self.fire(at)
        if command.customer_key is not None:
            yield from self._order([command.customer_key.encode()], command, at)
        elif command.action == "cancel":
            yield from self._order(sorted(self.table.keys()), command, at)
        else:
            catalogue = self._in_force()
            self.catalogue = replace(catalogue, holds=applied(catalogue.holds or Holds(), command, at))
            self.index()
            yield from self.fire(at)

    def _order(self, keys: list[bytes], command: Command, at: Millis) -> Iterator[Outcome]:
        """Let a command reach those of the customers who have an execution that it names."""
        catalogue, table = self._in_force(), self.table
        for key in keys:
            customer = table.get(key)
            if customer is None or not any(is_named(execution, command) for execution in customer.executions):
                continue
            now = max(at, customer.now)
            effects = decide(customer, command, catalogue, now)
            table.touch(key, deadline(customer, catalogue))
            if effects:
                yield Outcome(customer.customer_id, now, effects, by_event=True)

    def take(self, key: bytes, event: Event, at: Millis) -> list[Outcome]:
        """Fold an event that stands in the log with the timestamp `at`; her own due timers go first."""
        catalogue, table = self.catalogue or self._in_force(), self.table
        customer = table.get(key)
        outcomes: list[Outcome] = []
        if customer is None:
            customer = Customer(customer_id=customer_name(event))
            table.add(key, customer)
        else:
            due_at = table.due.deadline(key)
            if due_at is not None and due_at <= at:
                outcomes = list(self._fire_own(customer, at))
                if customer.is_forgotten:
                    customer = Customer(customer_id=customer_name(event))
                    table.add(key, customer)
        now = at if at > customer.now else customer.now  # noqa: FURB136 -- max() costs three times as much
        effects = decide(customer, event, catalogue, now)
        table.touch(key, deadline(customer, catalogue))
        if effects:
            outcomes.append(Outcome(customer.customer_id, now, effects, by_event=True))
        return outcomes

    def _fire_own(self, customer: Customer, until: Millis) -> Iterator[Outcome]:
        catalogue = self._in_force()
        due_at = deadline(customer, catalogue)
        while due_at is not None and due_at <= until:
            effects = decide(customer, DUE, catalogue, due_at)
            if effects:
                yield Outcome(customer.customer_id, due_at, effects)
            due_at = deadline(customer, catalogue)

    def fire(self, until: Millis) -> Iterator[Outcome]:
        """Fire everybody's timers due up to an instant, in the order (deadline, customer)."""
        catalogue, table = self._in_force(), self.table
        while (entry := table.due.next_due(until)) is not None:
            due_at, key = entry
            customer = table.get(key)
            if customer is None:
                table.due.set(key, None)
                continue
            effects = decide(customer, DUE, catalogue, due_at)
            if customer.is_forgotten:
                table.remove(key)
            else:
                table.touch(key, deadline(customer, catalogue))
            if effects:
                yield Outcome(customer.customer_id, due_at, effects)

    def _in_force(self) -> Catalogue:
        if self.catalogue is None:
            msg = "the log has a record before its first catalogue mark"
            raise RuntimeError(msg)
        return self.catalogue


def customer_name(event: Event) -> str:
    """Return the customer's id in records: a visitor's carries the prefix `a:`, as in the log's key."""
    return event.customer_id if event.customer_id is not None else f"a:{event.anonymous_id}"
