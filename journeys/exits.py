"""Exit conditions: what ends an execution wherever it stands, and keeps one from starting."""

from typing import Final

from msgspec import Struct

from journeys.conditions import Clauses, Test, compile_condition, holds
from journeys.flips import Flip, compile_flip, soonest
from journeys.scene import Scene
from schemas.definitions import Condition


class Exits(Struct, frozen=True, kw_only=True):
    """The exit conditions of a workflow, in listed order, and when time alone may make one of them true."""

    tests: tuple[Test, ...] = ()
    flip: Flip | None = None


NO_EXITS: Final = Exits()


def compile_exits(conditions: tuple[Condition, ...], clauses: Clauses) -> Exits:
    """Compile exit conditions."""
    if not conditions:
        return NO_EXITS
    return Exits(
        tests=tuple(compile_condition(condition, clauses) for condition in conditions),
        flip=soonest([compile_flip(condition, clauses) for condition in conditions]),
    )


def first_that_holds(exits: Exits, scene: Scene) -> int | None:
    """Return the position of the first exit condition that holds; warnings of others are taken off."""
    return next((position for position, test in enumerate(exits.tests) if holds(test, scene)), None)
