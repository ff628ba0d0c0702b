"""`simulate`: the same engine on a virtual clock, without Kafka.

Lines are taken in order; before each, everybody's timers due up to the file's clock fire, and at the end those
up to the end of time. So records come out in order without being sorted.

Other versions of the definitions may come on the way, as their marks do in a live log: what is due by a mark's instant
still goes by the version before it, and an event of that instant by the next.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from agents.engine import Engine
from agents.identity import answered, route
from agents.outcomes import Outcome
from agents.quarantine import knowing, raised
from journeys.catalogue import Catalogue
from schemas.decisions import Send, WebhookCall, encode_effect
from schemas.errors import TidingsError
from schemas.instants import Millis
from schemas.quarantines import LeftOut
from tables.customers import CustomersTable
from tidings.event_file import Line, end_of_time
from tidings.records import decision_record, problem_record, send_record, webhook_record
from tidings.tally import Tally


class NextVersion(Struct, frozen=True, kw_only=True):
    """A version that comes into force on the way."""

    catalogue: Catalogue
    at: Millis
    """The timestamp of its mark."""
    line: int | None = None
    """The number of the line before which the mark stands; None: before the first with a later or the same clock."""

    def precedes(self, line: Line) -> bool:
        """Tell whether the mark stands somewhere before a line."""
        return line.clock >= self.at if self.line is None else line.number >= self.line


def simulate(
    catalogue: Catalogue,
    lines: Iterable[Line],
    *,
    until: Millis | None,
    write: Callable[[bytes], object],
    versions: Sequence[NextVersion] = (),
) -> Tally:
    """Run the lines of a file of events through the catalogue, and write the records in order.

    Args:
        catalogue: in force at the beginning.
        lines: of the file; they are gone through again where the rules raise for a customer.
        until: the end of time; None: the last event's.
        write: takes each record.
        versions: those that follow, in their order.

    Raises:
        EventFileError: the file can't be read, or `until` lies before its last event.
        TidingsError: the rules raise for too many customers.
    """
    sink = _Sink(write)

    def begin_anew(places: LeftOut) -> Tally:
        sink.rewind()
        return _Simulation(catalogue, sink, versions, places).run(lines, until)

    return knowing(begin_anew)


class _Sink:
    """Takes records; of a simulation that begins anew those that were not written yet."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._written = self._made = 0

    def rewind(self) -> None:
        """Begin anew: up to where the rules raised the same comes again."""
        self._made = 0

    def put(self, record: bytes) -> None:
        self._made += 1
        if self._made > self._written:
            self._written = self._made
            self._write(record)


class _Simulation:
    def __init__(self, catalogue: Catalogue, sink: _Sink, versions: Sequence[NextVersion], places: LeftOut) -> None:
        self._engine, self._tally = Engine(CustomersTable(), catalogue), Tally()
        self._sink, self._upcoming, self._places = sink, deque(versions), places
        self._line = 0

    def run(self, lines: Iterable[Line], until: Millis | None) -> Tally:
        """Take all lines, and what follows from them.

        Raises:
            RulesRaised: the rules raised at a place that isn't left out.
        """
        try:
            clock = None
            for line in lines:
                self._begin(line.number)
                clock = self._take(line) or clock
            self._begin(self._line + 1)
            self._end(end_of_time(until, clock))
        except (MemoryError, TidingsError):
            raise
        except Exception as error:
            found = raised(self._engine, self._line, None, error)
            if found is None:
                raise
            raise found from error
        return self._tally

    def _begin(self, number: int) -> None:
        self._line, self._engine.turn = number, None
        if self._places:
            self._engine.left_out = self._places.get(number, {})

    def _take(self, line: Line) -> Millis | None:
        """Take a line, and return its clock; None where it is no event."""
        self._tally.lines += 1
        if line.event is None:
            self._tally.dead_letters += 1
            if line.problem is not None:
                self._sink.put(problem_record(line.number, line.problem))
            return None
        self._tally.events += 1
        engine, upcoming = self._engine, self._upcoming
        while upcoming and upcoming[0].precedes(line):
            following = upcoming.popleft()
            self._put(answered(engine, engine.take_over(following.catalogue, following.at)))
        self._put(answered(engine, engine.fire(line.clock)))
        self._put(route(engine, line.event, line.clock))
        return line.clock

    def _end(self, end: Millis) -> None:
        engine = self._engine
        for following in self._upcoming:
            if following.at <= end:
                self._put(answered(engine, engine.take_over(following.catalogue, following.at)))
        self._put(answered(engine, engine.fire(end)))

    def _put(self, outcomes: Iterable[Outcome | None]) -> None:
        tally, put = self._tally, self._sink.put
        for outcome in outcomes:
            for effect in () if outcome is None else outcome.effects:
                encoded = encode_effect(effect)
                if isinstance(effect, Send):
                    tally.sends += 1
                    put(send_record(encoded))
                elif isinstance(effect, WebhookCall):
                    tally.webhook_calls += 1
                    put(webhook_record(encoded))
                else:
                    tally.decisions += 1
                    put(decision_record(encoded))
        if self._engine.aside:
            # What of theirs can't be decided stands in their decisions; a dead letter is of a line that is no event.
            self._engine.take_aside()
