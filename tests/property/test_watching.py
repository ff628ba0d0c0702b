"""What is kept up to date by itself is what its conditions say, at every instant of any history."""

from hypothesis import HealthCheck, given, settings

from agents.engine import Engine
from journeys.catalogue import Catalogue, compile_catalogue
from journeys.decide import deadline
from journeys.scene import Scene
from journeys.timing import customer_zone
from journeys.validation import definitions_from_documents
from schemas.customer import Customer
from schemas.events import check_envelope, customer_key, read_envelope, stream_of
from schemas.instants import DAY_MS, Millis
from tables.customers import CustomersTable
from tests.strategies import UNTIL, Document, Line, as_file, definitions, histories

few = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def members_by_condition(customer: Customer, catalogue: Catalogue, now: Millis) -> list[str]:
    """Ask every condition anew, with nothing but the customer in view."""
    zone = customer_zone(customer.preferences, catalogue.settings.default_timezone)
    scene = Scene(customer=customer, now=now, half_life_ms=catalogue.half_life_ms, zone=zone)
    return [rule.name for rule in catalogue.watch.segments if rule.test(scene)]


def members(customer: Customer, catalogue: Catalogue) -> list[str]:
    kept = [rule.name for rule in catalogue.watch.segments]
    return [name for name in kept if name in customer.segments]


def check(engine: Engine, catalogue: Catalogue) -> None:
    """Compare all customers, as of their last decision and right before the next."""
    for key in engine.table.keys():  # noqa: SIM118 (a table isn't a mapping)
        customer = engine.table.get(key)
        assert customer is not None
        if customer.first_seen is None:
            continue
        due_at = deadline(customer, catalogue)
        for now in (customer.now, customer.now + DAY_MS if due_at is None else due_at - 1):
            assert members(customer, catalogue) == members_by_condition(customer, catalogue, now)


@few
@given(definitions(), histories(bad_lines=False))
def test_members_are_those_for_whom_the_condition_holds_at_every_instant(
    documents: list[Document], history: list[Line]
) -> None:
    catalogue = compile_catalogue(definitions_from_documents(list(documents)), 1)
    engine, clock = Engine(CustomersTable(), catalogue), -(2**62)
    for line in as_file(history).splitlines():
        envelope = read_envelope(line)
        event = check_envelope(envelope, stream_of(envelope))
        clock = max(clock, event.occurred_at if event.received_at is None else event.received_at)
        for _ in engine.fire(clock):
            check(engine, catalogue)
        engine.take(customer_key(event), event, clock)
        check(engine, catalogue)
    for _ in engine.fire(UNTIL):
        check(engine, catalogue)
