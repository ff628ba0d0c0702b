"""Which triggers local time fires next for a customer: crons, and dates among her attributes.

What a cron says is the same for everybody in a zone, so the next instant of all crons together is found once and kept
until it comes: a customer's deadline costs one look however many workflows have a schedule. Dates are looked at by
attribute, so who has none of them pays for none.
"""

from collections.abc import Iterator

from msgspec import Struct

from journeys.catalogue import Catalogue, CompiledTrigger
from journeys.schedules import DateRule, Occasion, next_cron, next_date
from journeys.timing import customer_zone
from schemas.customer import NO_DEADLINE, Customer
from schemas.events import Json
from schemas.instants import Millis, as_text


class LocalTime(Struct, frozen=True):
    """What a firing is about, for its decision; `day` is the date of an occasion."""

    detail: dict[str, Json]
    day: int | None = None


def next_occasion(customer: Customer, catalogue: Catalogue) -> Millis:
    """Return when local time fires next for a customer: after her `now`; `NO_DEADLINE` for never.

    Nothing comes for one of whom nothing is known, as after she was deleted or merged into another.
    """
    if customer.first_seen is None:
        return NO_DEADLINE
    soonest = _next_cron(customer, catalogue) if catalogue.schedules else NO_DEADLINE
    if catalogue.dates:
        for _, _, occasion in _next_dates(customer, catalogue, customer.now):
            soonest = min(soonest, occasion.at)
    return soonest


def due_occasions(
    customer: Customer, catalogue: Catalogue, previous: Millis, now: Millis
) -> Iterator[tuple[CompiledTrigger, LocalTime]]:
    """Return what local time fires, from after `previous` (her last `now`) up to now, each trigger once."""
    if customer.first_seen is None:
        return
    for trigger, cron in catalogue.schedules:
        at = next_cron(cron, max(previous, trigger.since), _zone(customer, trigger))
        if at is not None and at <= now:
            yield trigger, LocalTime({"cron": cron.expression, "due_at": as_text(at)})
    for trigger, rule, occasion in _next_dates(customer, catalogue, previous):
        if occasion.at <= now:
            date: dict[str, Json] = {"attribute": rule.attribute, "date": occasion.day.isoformat()}
            yield trigger, LocalTime(date | {"due_at": as_text(occasion.at)}, occasion.day.toordinal())


def _zone(customer: Customer, trigger: CompiledTrigger) -> str:
    return customer_zone(customer.preferences, trigger.workflow.zone)


def _next_cron(customer: Customer, catalogue: Catalogue) -> Millis:
    preferred = customer_zone(customer.preferences, "")
    known = catalogue.next_crons.get(preferred)
    if known is None or not known[0] <= customer.now < known[1]:
        known = catalogue.next_crons[preferred] = customer.now, _find_cron(catalogue, preferred, customer.now)
    return known[1]


def _find_cron(catalogue: Catalogue, preferred: str, now: Millis) -> Millis:
    """Return the first instant after now at which any cron comes, in a zone or, without one, each workflow's own."""
    soonest = NO_DEADLINE
    for trigger, cron in catalogue.schedules:
        at = next_cron(cron, max(now, trigger.since), preferred or trigger.workflow.zone)
        soonest = soonest if at is None else min(soonest, at)
    return soonest


def _next_dates(
    customer: Customer, catalogue: Catalogue, after: Millis
) -> Iterator[tuple[CompiledTrigger, DateRule, Occasion]]:
    attributes = customer.attributes
    for attribute, triggers in catalogue.dates.items():
        value = attributes.get(attribute)
        if value is None:
            continue
        for trigger, rule in triggers:
            zone = _zone(customer, trigger)
            occasion = next_date(rule, value, max(after, trigger.since), zone)
            if occasion is not None and customer.dates.get(trigger.memory) == occasion.day.toordinal():
                # Answered already: the zone has changed since, so that its hour comes again.
                occasion = next_date(rule, value, occasion.at, zone)
            if occasion is not None:
                yield trigger, rule, occasion
