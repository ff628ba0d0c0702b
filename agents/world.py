"""A world: every customer in one engine, fed with the records of a whole log, as they came.

What customers and counters tell each other is answered at once, so of the log only what came from outside is taken:
events, commands, time. What those of another world told each other would be of that world.
"""

import copy
from collections.abc import Iterable

from msgspec import Struct

from agents.adopting import end_hand_over, go_over
from agents.engine import Engine
from agents.identity import answered, deliver, receive
from agents.outcomes import Outcome
from journeys.catalogue import Catalogue
from schemas.customer import Head, decode_customer, encode_customer
from schemas.instants import Millis
from schemas.linking import LINK
from schemas.log import SEQUENCE, Backfilled, Command, Headers, Stage, decode_event, header
from schemas.waiting import Held
from tables.customers import CustomersTable

_NO_HEAD = Head(catalogue=0, deadline=None, last_offset=0)


class LogRecord(Struct, frozen=True):
    """A record of the customer log."""

    offset: int
    timestamp: Millis
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int = 0


class World:
    """All customers under one catalogue."""

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self.engine = Engine(CustomersTable(), catalogue)

    def take(self, record: LogRecord) -> list[Outcome]:
        """Take an event, or a record by which the ingest links two customers."""
        engine, headers = self.engine, record.headers
        assert record.key is not None  # noqa: S101 -- marks don't come here
        if headers and headers[0][0] == LINK:
            held = Held(record.timestamp, record.value or b"", headers[0][1], header(headers, SEQUENCE))
            return [*receive(engine, record.key, held), *deliver(engine)]
        outcomes = engine.take(record.key, decode_event(record.value or b""), record.timestamp, headers)
        return outcomes + deliver(engine) if engine.letters else outcomes

    def pass_time(self, until: Millis, appended: Millis | None = None) -> list[Outcome]:
        """Fire everybody's timers due up to an instant; `appended` as in `Engine.fire`."""
        return self._all(self.engine.fire(until, appended))

    def obey(self, command: Command, at: Millis) -> list[Outcome]:
        """Take a command."""
        return self._all(self.engine.obey(command, at))

    def take_over(self, catalogue: Catalogue, at: Millis) -> list[Outcome]:
        """Put the next version in force."""
        return self._all(self.engine.take_over(catalogue, at))

    def hand_over(self, mark: Stage | Backfilled, at: Millis) -> list[Outcome]:
        """Let customers go over to a workflow that is backfilled, whoever they are here."""
        if isinstance(mark, Stage):
            return self._all(go_over(self.engine, mark, at, unseen=True))
        return self._all(end_hand_over(self.engine, mark, at))

    def _all(self, outcomes: Iterable[Outcome | None]) -> list[Outcome]:
        return [outcome for outcome in answered(self.engine, outcomes) if outcome is not None]

    def next_due(self, until: Millis) -> Millis | None:
        """Return the first instant at which somebody is due, up to another."""
        entry = self.engine.table.due.next_due(until)
        return None if entry is None else entry[0]

    def copied(self) -> "World":
        """Return another world that stands where this one stands."""
        other = World(self.engine.catalogue)
        for key in self.engine.table.keys():  # noqa: SIM118 -- a table isn't a mapping
            self._copy(key, other)
        other.engine.quotas = copy.deepcopy(self.engine.quotas)
        other.engine.behind = set(self.engine.behind)
        other.engine.passed, other.engine.moved_by = self.engine.passed, self.engine.moved_by
        return other

    def copy_customer(self, key: bytes, other: "World") -> None:
        """Let a customer stand in another world where she stands in this one."""
        self._copy(key, other)

    def _copy(self, key: bytes, other: "World") -> None:
        own, table = self.engine, other.engine.table
        customer = own.table.peek(key)
        if customer is None:
            return
        table.add(key, decode_customer(encode_customer(customer, _NO_HEAD)))
        table.touch(key, own.table.due.deadline(key))
        if key in own.waiting.entries:
            other.engine.waiting.entries[key] = copy.deepcopy(own.waiting.entries[key])
