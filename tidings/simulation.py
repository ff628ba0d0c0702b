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
from journeys.catalogue import Catalogue
from schemas.decisions import Send, WebhookCall, encode_effect
from schemas.instants import Millis
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
        lines: of the file.
        until: the end of time; None: the last event's.
        write: takes each record.
        versions: those that follow, in their order.

    Raises:
        EventFileError: the file can't be read, or `until` lies before its last event.
    """
    engine, tally = Engine(CustomersTable(), catalogue), Tally()
    clock: Millis | None = None
    upcoming = deque(versions)
    for line in lines:
        tally.lines += 1
        if line.event is None:
            tally.dead_letters += 1
            if line.problem is not None:
                write(problem_record(line.number, line.problem))
            continue
        tally.events += 1
        while upcoming and upcoming[0].precedes(line):
            following = upcoming.popleft()
            _write_all(answered(engine, engine.take_over(following.catalogue, following.at)), write, tally)
        clock = line.clock
        _write_all(answered(engine, engine.fire(clock)), write, tally)
        _write_all(route(engine, line.event, clock), write, tally)
    end = end_of_time(until, clock)
    for following in upcoming:
        if following.at <= end:
            _write_all(answered(engine, engine.take_over(following.catalogue, following.at)), write, tally)
    _write_all(answered(engine, engine.fire(end)), write, tally)
    return tally


def _write_all(outcomes: Iterable[Outcome | None], write: Callable[[bytes], object], tally: Tally) -> None:
    for outcome in outcomes:
        for effect in () if outcome is None else outcome.effects:
            encoded = encode_effect(effect)
            if isinstance(effect, Send):
                tally.sends += 1
                write(send_record(encoded))
            elif isinstance(effect, WebhookCall):
                tally.webhook_calls += 1
                write(webhook_record(encoded))
            else:
                tally.decisions += 1
                write(decision_record(encoded))
