"""Flips: when time alone can change whether a condition holds.

A condition is a function of the customer's state and of `now`. Between two events the state stands still, so a
compiled flip reads off the state the next instant, strictly after `now`, at which some comparison in the condition
answers differently. That may be earlier than the condition as a whole changes (another part may still decide it),
but never later: who looks again at every flip misses nothing, and nothing has to be polled.

Three things in a condition move by themselves: the age of an instant (`within_hours`, `performed` with a window)
passes its limit once; `now` passes each constant once; the decaying `engagement_score` falls to each constant once,
and below it once. So a condition has finitely many flips between two events, and most have none: those compile to
None and cost nothing.
"""

from collections.abc import Callable, Sequence
from typing import Final, assert_never

from journeys.conditions import Clauses, clause_of, read_performed
from journeys.fields import compile_field
from journeys.operators import POSITIVE, instant_of, moment_of, window_of
from journeys.scene import Scene
from journeys.scoring import falls_below, falls_to
from schemas.definitions import AllOf, AnyOf, Comparison, Condition, Negation, Operator
from schemas.events import Json
from schemas.instants import LATEST, Millis

Flip = Callable[[Scene], Millis | None]
"""Returns the next instant after the scene's at which the truth may change without an event; None for never."""

NOW: Final = "now"
SCORE: Final = "engagement_score"
_WHOLE: Final = "customer."
_FALLS_TO: Final[frozenset[Operator]] = frozenset(("gt", "lte", "eq", "in", "between"))
"""Operators whose answer changes when a score that falls reaches the constant."""
_FALLS_BELOW: Final[frozenset[Operator]] = frozenset(("gte", "lt", "eq", "in", "between"))
"""Those whose answer changes when it leaves the constant behind."""
_ARRIVES: Final[frozenset[Operator]] = frozenset(("eq", "in", "gt", "gte", "lt", "lte", "between", "before", "after"))
"""Operators that compare `now` with a constant."""


def compile_flip(condition: Condition, clauses: Clauses) -> Flip | None:
    """Compile when a condition may flip; None if time alone never changes it.

    Args:
        condition: one that `compile_condition` takes.
        clauses: those of the catalogue; compiling the condition registers the same ones.
    """
    match condition:
        case Comparison():
            return _compile_comparison(condition, clauses)
        case AllOf():
            return soonest([compile_flip(part, clauses) for part in condition.all])
        case AnyOf():
            return soonest([compile_flip(part, clauses) for part in condition.any])
        case Negation():
            return compile_flip(condition.negated, clauses)
    assert_never(condition)


def soonest(flips: Sequence[Flip | None]) -> Flip | None:
    """Combine flips into the soonest of them; None if there is none among them."""
    some = [flip for flip in flips if flip is not None]
    if len(some) <= 1:
        return some[0] if some else None
    return lambda scene: min((at for flip in some if (at := flip(scene)) is not None), default=None)


def _compile_comparison(comparison: Comparison, clauses: Clauses) -> Flip | None:
    positive = POSITIVE.get(comparison.operator, comparison.operator)
    if positive == "performed":
        return _compile_performed(comparison, clauses)
    if positive == "in_segment" or comparison.field is None:
        # Who is in a segment changes by a decision, and what reads it is looked at again there.
        return None
    path = comparison.field
    while path.startswith(_WHOLE):
        path = path.removeprefix(_WHOLE)
    if positive == "within_hours":
        return _compile_age(path, comparison.value)
    if path == NOW:
        return _compile_arrival(positive, comparison.value)
    return _compile_fall(positive, comparison.value) if path == SCORE else None


# An instant grows old -------------------------------------------------------------------------------------------


def _compile_age(path: str, hours: Json) -> Flip:
    """Compile `within_hours`: it ends one millisecond behind its window, and never begins."""
    # Only an attribute in their place makes these two instants that grow old.
    look = compile_field(f"attributes.{path}" if path in {NOW, SCORE} else path)
    window_ms = window_of(hours)

    def flip(scene: Scene) -> Millis | None:
        instant = instant_of(look(scene), scene.zone)
        return None if instant is None else _after(scene.now, instant + window_ms + 1)

    return flip


def _compile_performed(comparison: Comparison, clauses: Clauses) -> Flip | None:
    clause = clause_of(read_performed(comparison.value), clauses)
    if clause is None or clause.within_ms is None:
        return None
    key, count, within_ms = clause.id, clause.min_count, clause.within_ms

    def flip(scene: Scene) -> Millis | None:
        instants = scene.customer.clauses.get(key)
        if instants is None or len(instants) < count:
            return None
        return _after(scene.now, instants[-count] + within_ms + 1)

    return flip


def _after(now: Millis, instant: Millis) -> Millis | None:
    return instant if now < instant <= LATEST else None


# Now arrives at a constant --------------------------------------------------------------------------------------


def _compile_arrival(positive: Operator, constant: Json) -> Flip | None:
    moments = [moment for part in _constants(constant) if (moment := moment_of(part)) is not None]
    if positive not in _ARRIVES or not moments:
        return None

    def flip(scene: Scene) -> Millis | None:
        edges = [edge for moment in moments for edge in (moment(scene.zone), moment(scene.zone) + 1)]
        return min((edge for edge in edges if scene.now < edge <= LATEST), default=None)

    return flip


def _constants(constant: Json) -> list[Json]:
    """List what a field is compared with; a number without a fraction as a whole one."""
    parts = constant if isinstance(constant, list) else [constant]
    return [int(part) if isinstance(part, float) and part.is_integer() else part for part in parts]


# The score falls ------------------------------------------------------------------------------------------------


def _compile_fall(positive: Operator, constant: Json) -> Flip | None:
    limits = [part for part in _constants(constant) if isinstance(part, int | float) and not isinstance(part, bool)]
    falls = [fall for fall, operators in ((falls_to, _FALLS_TO), (falls_below, _FALLS_BELOW)) if positive in operators]
    if not limits or not falls:
        return None

    def flip(scene: Scene) -> Millis | None:
        customer = scene.customer
        if customer.attributes.get(SCORE) is not None:
            return None
        found = [fall(customer, limit, scene.now, scene.half_life_ms) for fall in falls for limit in limits]
        return min((at for at in found if at is not None), default=None)

    return flip
