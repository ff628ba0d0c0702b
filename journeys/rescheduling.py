"""Which change of the catalogue can bring a deadline forward.

The due index holds each customer's deadline as it was when she was looked at last. Most new versions change texts and
steps, and leave every deadline where it was: executions keep their instants, whatever their workflow has become. Only
what waits for time without an execution (silences, absences, crons, dates, memberships and stages) can be due sooner
under the next version; then everybody is looked at once.
"""

from journeys.catalogue import Catalogue, CompiledTrigger


def moves_deadlines(before: Catalogue, after: Catalogue) -> bool:
    """Tell whether a customer who isn't touched may have another deadline under the version after."""
    return _waiting(before) != _waiting(after)


def _waiting(catalogue: Catalogue) -> tuple[object, ...]:
    """Return all of a catalogue that a deadline depends on."""
    dates = [(attribute, [_name(trigger) for trigger, _ in rules]) for attribute, rules in catalogue.dates.items()]
    return (
        [_name(trigger) for trigger in catalogue.silences],
        sorted(catalogue.absences),
        [_name(trigger) for trigger, _ in catalogue.schedules],
        dates,
        catalogue.watch.number,
        catalogue.flips,
    )


def _name(trigger: CompiledTrigger) -> tuple[str, str, int]:
    # The memory is a hash of the conditions; what is due by `since` doesn't fire.
    return trigger.memory, trigger.workflow.zone, trigger.since
