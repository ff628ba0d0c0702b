"""The program with a defect in its rules: they raise for events that say so. Everything else is the program.

python -m tests.defective worker --clock log
"""

from agents import engine, identity
from journeys.decide import decide
from schemas.customer import Customer
from schemas.decisions import Effect
from schemas.events import Event
from schemas.instants import parse_instant
from tidings.__main__ import main

DEFECT = b'"defect":true'
"""In the properties of an event."""


def defective_decide(customer: Customer, what: object, *rest: object) -> list[Effect]:
    """Decide, and raise too late, when the customer is changed already."""
    effects = decide(customer, what, *rest)  # type: ignore[arg-type]
    if isinstance(what, Event) and DEFECT in bytes(what.properties):
        parse_instant(f"{customer.email} is no time")
    return effects


def break_rules() -> None:
    """Let the rules of this process raise."""
    for module in (engine, identity):
        vars(module)["decide"] = defective_decide


if __name__ == "__main__":
    break_rules()
    main()
