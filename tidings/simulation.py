"""`simulate`: the same engine on a virtual clock, without Kafka.

Lines are taken in order; before each, everybody's timers due up to the file's clock fire, and at the end those
up to the end of time. So records come out in order without being sorted.
"""

from collections.abc import Callable, Iterable, Iterator

from agents.engine import Engine
from agents.identity import route
from agents.outcomes import Outcome
from journeys.catalogue import Catalogue
from schemas.decisions import Send, WebhookCall, encode_effect
from schemas.instants import Millis
from tables.customers import CustomersTable
from tidings.event_file import Line, end_of_time
from tidings.records import decision_record, problem_record, send_record, webhook_record
from tidings.tally import Tally


def simulate(
    catalogue: Catalogue,
    lines: Iterable[Line],
    *,
    until: Millis | None,
    write: Callable[[bytes], object],
) -> Tally:
    """Run the lines of a file of events through the catalogue, and write the records in order.

    Raises:
        EventFileError: the file can't be read, or `until` lies before its last event.
    """
    engine, tally = Engine(CustomersTable(), catalogue), Tally()
    clock: Millis | None = None
    for line in lines:
        tally.lines += 1
        if line.event is None:
            tally.dead_letters += 1
            if line.problem is not None:
                write(problem_record(line.number, line.problem))
            continue
        tally.events += 1
        clock = line.clock
        _write_all(engine.fire(clock), write, tally)
        _write_all(route(engine, line.event, clock), write, tally)
    _write_all(engine.fire(end_of_time(until, clock)), write, tally)
    return tally


def _write_all(outcomes: Iterator[Outcome] | list[Outcome], write: Callable[[bytes], object], tally: Tally) -> None:
    for outcome in outcomes:
        for effect in outcome.effects:
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
