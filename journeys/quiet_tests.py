"""The tests that triggers make of an event, looked at before anything is learned from it.

Most look at one property of the event, which the compiled part does itself; for the others it calls `mask`.
"""

from typing import TYPE_CHECKING, Final

from journeys.conditions import Test, property_test
from journeys.scene import Scene
from journeys.timing import customer_zone
from schemas.customer import Customer
from schemas.events import Event
from schemas.instants import Millis

if TYPE_CHECKING:
    from journeys.catalogue import CompiledTrigger

UNCERTAIN: Final = -1
"""In place of a mask: a test couldn't compare what it found, which may have to be recorded."""
_COMPARED: Final = {"lt": 0, "lte": 1, "eq": 2, "ne": 3, "gt": 4, "gte": 5}
"""The numbers by which C knows them."""

PlainTest = tuple[str, int, str | int | float]
"""A property, how it is compared, with what."""
Tests = tuple[tuple["CompiledTrigger", Test, PlainTest | None], ...]
"""Each with what the compiled part can look at itself, if it is nothing more."""


def plain_test(test: Test) -> PlainTest | None:
    """Return what a test looks at, where that is one property of the event."""
    found = property_test(test)
    return None if found is None else (found[0], _COMPARED[found[1]], found[2])


def mask(tests: Tests, customer: Customer, event: Event, now: Millis, half_life_ms: float) -> int:
    """Look at the tests of an event's type; return a bit for each that holds, or `UNCERTAIN`."""
    scene = Scene(customer=customer, now=now, half_life_ms=half_life_ms, event=event)
    preferences, bits = customer.preferences, 0
    for place, (trigger, test, _) in enumerate(tests):
        zone = trigger.workflow.zone
        scene.zone = customer_zone(preferences, zone) if preferences else zone
        if test(scene):
            bits |= 1 << place
    return UNCERTAIN if scene.warnings else bits
