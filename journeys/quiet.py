"""Events that lead to nothing, which most do: what the compiled part has to know to take them in one piece.

Such an event is no repeat and no late one, comes to somebody of whom no execution is under way, completes no sequence,
fills no window and reaches no threshold. `decide` would only move what is remembered: ids, history, session, score,
places in sequences and windows. `compiled.take_quietly` foresees that and then does it, or changes nothing, and
`decide` goes its own way. So what is said here may be too little, never too much: an event type that is left out costs
time. Nothing is said where nothing is compiled.

Plain tuples, because the compiled part reads them by position; `_hot.c` has the names of the positions.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from journeys import compiled
from journeys.absences import LATE_DEADLINE_MS
from journeys.conditions import Test, comparisons
from journeys.profile import PURCHASES
from journeys.quiet_tests import PlainTest, Tests, plain_test
from journeys.sequences import Sequence
from journeys.watching import INACTIVITY_MS, NOTHING
from schemas.definitions import Condition, EventSequence
from schemas.instants import Millis

if TYPE_CHECKING:
    from journeys.catalogue import Catalogue, CompiledTrigger, Plan

_FIRES, _COUNTS_UP, _RELAXED, _STRICT = range(4)
_MOST_TESTS: Final = 32

Part = tuple[int, str, object, int, tuple[int, ...]]
"""What an event of a type does to one trigger: how, under which memory, to what, the bits that it has, and by test
those that it has where the test holds."""
OfAll = tuple[int, bool, float, float, tuple[float, ...] | None, tuple[float, float, float] | None, Millis]
"""The number that memberships are computed under; whether places are given; the half-life of the score; its lowest
threshold, and all of them (None where no threshold of any kind is); the lowest of a session; what is late."""
QuietPlan = tuple[OfAll, float, tuple[Part, ...], Tests]
"""What holds for all types, the type's weight, its parts, and the tests, in the order of a mask's bits."""

Silences = tuple[int, Millis | None, Millis, Millis, tuple[tuple[str, Millis, Millis], ...]]
"""The number that memberships are computed under, when a customer has churned, how old an activity may be that begins a
silence, how far ahead a deadline lies that has passed when it is known; of each trigger its key, how long the silence
is, and what was due by when doesn't fire."""


class Quiet(Struct, frozen=True, kw_only=True):
    """What is known of the types of events."""

    plans: tuple[Mapping[str, QuietPlan | None], QuietPlan | None] = ({}, None)
    """By type, and of all other types; None: such events aren't for the compiled part."""
    silences: Silences | None = None
    """What makes somebody due who waits for nothing but silences; None where others may be due as well."""


NEVER_QUIET: Final = Quiet()


def compile_quiet(catalogue: "Catalogue") -> Quiet:
    """Return the plans of a catalogue where something compiled reads them; else none, which costs nothing."""
    return quiet_plans(catalogue) if compiled.IS_COMPILED else NEVER_QUIET


def quiet_plans(catalogue: "Catalogue") -> Quiet:
    """Say what a catalogue makes of events that lead to nothing, and of customers who wait for nothing but silences."""
    scores = catalogue.rises.get("engagement_score")
    of_all = (
        catalogue.watch.number,
        catalogue.has_strict_sequences,
        catalogue.half_life_ms,
        catalogue.lowest_score,
        None if not catalogue.rises else () if scores is None else tuple(map(float, scores.leasts)),
        catalogue.lowest_of_session,
        INACTIVITY_MS,
    )
    known = {event_type: _quiet_plan(event_type, plan, of_all) for event_type, plan in catalogue.plans.items()}
    # A purchase counts as one also where no definition names its type.
    by_type = dict.fromkeys(PURCHASES) | known
    return Quiet(
        plans=(by_type, _quiet_plan("", catalogue.unnamed, of_all)),
        silences=None if catalogue.schedules or catalogue.dates else _silences(catalogue),
    )


def _silences(catalogue: "Catalogue") -> Silences:
    times = tuple((trigger.key, trigger.silence_ms, trigger.since) for trigger in catalogue.silences)
    watch = catalogue.watch
    return watch.number, watch.inactivity_ms, catalogue.max_event_age_ms, LATE_DEADLINE_MS, times


def _quiet_plan(event_type: str, plan: "Plan", of_all: OfAll) -> QuietPlan | None:
    if plan.clauses or plan.behavioral is not NOTHING or event_type in PURCHASES:
        return None
    parts: list[Part] = []
    tests: list[tuple[CompiledTrigger, Test, PlainTest | None]] = []
    for trigger in plan.triggers:
        found = _part(event_type, trigger, tests)
        if found is None or len(tests) > _MOST_TESTS:
            return None
        parts += found
    return of_all, float(plan.weight), tuple(parts), tuple(tests)


def _part(
    event_type: str, trigger: "CompiledTrigger", tests: list[tuple["CompiledTrigger", Test, PlainTest | None]]
) -> list[Part] | None:
    """Return what an event does to a trigger, if anything; None if that isn't for the compiled part."""

    def bit_of(test: Test) -> int:
        tests.append((trigger, test, plain_test(test)))
        return 1 << (len(tests) - 1)

    if not _looks_at_event_only(trigger):
        return None
    condition, where = trigger.condition, trigger.where
    if isinstance(condition, Sequence):
        bits, tested = condition.standing_for[event_type]
        ifs = tuple(number for bit, test in tested for number in (bit_of(test), bit))
        return (
            [(_STRICT if condition.strict else _RELAXED, trigger.memory, condition, bits, ifs)] if bits or ifs else []
        )
    if condition is not None or (where is None and not trigger.wanted):
        return None
    kind, what = (_COUNTS_UP, (trigger.window_ms, trigger.wanted, trigger.most)) if trigger.wanted else (_FIRES, ())
    return [(kind, trigger.memory, what, *((1, ()) if where is None else (0, (bit_of(where), 1))))]


def _looks_at_event_only(trigger: "CompiledTrigger") -> bool:
    """Tell whether the tests read the present event alone: they are looked at before anything is learned from it."""
    return all(
        comparison.field is not None and comparison.field.startswith("event.")
        for condition in _conditions(trigger)
        for _, comparison in comparisons(condition)
    )


def _conditions(trigger: "CompiledTrigger") -> Iterable[Condition | None]:
    for position, defined in enumerate(trigger.workflow.definition.triggers):
        if (defined.id or str(position)) == trigger.trigger_id:
            yield defined.conditions.where
            if isinstance(defined.conditions, EventSequence):
                yield from (item.where for item in defined.conditions.required_sequence)
