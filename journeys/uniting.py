"""What is decided when customers turn out to be one person, or are deleted.

Merging the states is `merging.py`'s; here is who ends, what is recorded, and what a grave keeps. The ids of these
decisions have causes of their own, since the event that links is decided on as well, at the same instant.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final

from xxhash import xxh3_64_intdigest

from journeys.catalogue import Catalogue
from journeys.executions import end, workflow_of
from journeys.lifecycle import move_silently
from journeys.membership import enter_silently
from journeys.merging import merge
from journeys.profile import ADDRESS_OF, as_suppressed
from journeys.scene import Scene
from journeys.turn import Turn
from schemas.customer import MAX_ABSORBED, Bonds, Contact, Customer, Execution, Grave
from schemas.decisions import Effect, Kind
from schemas.events import Event, Json
from schemas.instants import Millis, as_text

_BY_ITSELF: Final = "\x1f"
"""Stands in causes that no event id can be."""
MAX_SUPPRESSIONS: Final = 32


def bonds_of(customer: Customer) -> Bonds:
    """Return how the customer is bound, to be changed in place."""
    if customer.bonds is None:
        customer.bonds = Bonds()
    return customer.bonds


def knows(customer: Customer, key: str) -> bool:
    """Tell whether the customer has absorbed another."""
    return customer.bonds is not None and _hash(key) in customer.bonds.absorbed


def get_to_know(customer: Customer, key: str) -> None:
    """Remember that another was absorbed."""
    absorbed = bonds_of(customer).absorbed
    identity = _hash(key)
    if identity in absorbed:
        absorbed.remove(identity)
    absorbed.append(identity)
    del absorbed[:-MAX_ABSORBED]


def _hash(key: str) -> int:
    return xxh3_64_intdigest(key.encode())


def unite(
    customer: Customer, absorbed: Sequence[tuple[str, Customer]], event_id: str, catalogue: Catalogue, now: Millis
) -> list[Effect]:
    """Absorb others, in order.

    Args:
        customer: survives; changed in place.
        absorbed: the key and the state of each; not to be used any more.
        event_id: of the event that says so.
        catalogue: the one in force.
        now: not before any of their times.
    """
    turn = _turn(customer, catalogue, now, f"merge{_BY_ITSELF}{event_id}")
    customer.now = now
    for key, other in absorbed:
        turn.record("customer_merged", detail={"merged": other.customer_id, "event_id": event_id})
        before = len(customer.executions)
        for bound in merge(customer, other, catalogue.half_life_ms, now):
            turn.record("bound_reached", reason=bound, detail={"merged": other.customer_id, "event_id": event_id})
        _inherit(customer, other)
        get_to_know(customer, key)
        for execution in _rivals(turn):
            end(turn, execution, "merged")
        most = max(catalogue.settings.max_concurrent_executions, before)
        for execution in customer.executions[most:]:
            # Those that started last would have been refused, had she been one from the beginning.
            end(turn, execution, "merged", {"max_concurrent_executions": most})
    _look_again(turn)
    return turn.effects


def _look_again(turn: Turn) -> None:
    """Compute stage and memberships of the one they have become; in silence, since nothing has happened to her."""
    customer, watch = turn.customer, turn.catalogue.watch
    customer.watched_by = watch.number
    if customer.first_seen is not None:
        customer.segment_flips.clear()
        move_silently(turn, watch.stages)
        enter_silently(turn, watch.segments)


def _inherit(customer: Customer, other: Customer) -> None:
    """Take over whom the other has absorbed, and what her grave keeps; nothing she did is dropped for its time."""
    theirs = other.bonds
    if theirs is None:
        return
    bonds = bonds_of(customer)
    bonds.absorbed = list(dict.fromkeys((*theirs.absorbed, *bonds.absorbed)))[-MAX_ABSORBED:]
    if theirs.grave is not None and theirs.grave.suppressions:
        if bonds.grave is None:
            bonds.grave = Grave()
        bonds.grave.suppressions = (bonds.grave.suppressions + theirs.grave.suppressions)[-MAX_SUPPRESSIONS:]
    inherit_suppressions(customer)


def _rivals(turn: Turn) -> list[Execution]:
    """List the executions beside an earlier one of a workflow that allows one (by key, where it has keys)."""
    first: set[tuple[str, str | None]] = set()
    rivals = []
    for execution in turn.customer.executions:
        if workflow_of(turn, execution).definition.settings.allow_multiple_executions:
            continue
        place = (execution.workflow_id, execution.key)
        if place in first:
            rivals.append(execution)
        first.add(place)
    return rivals


def record_alone(
    customer: Customer, kind: Kind, reason: str | None, detail: dict[str, Json], event_id: str,
    catalogue: Catalogue, now: Millis,
) -> list[Effect]:  # fmt: skip
    """Record a decision about who the customer is, which changes nothing that she does."""
    turn = _turn(customer, catalogue, now, f"{kind}{_BY_ITSELF}{event_id}")
    turn.record(kind, reason=reason, detail=detail)
    return turn.effects


def _turn(customer: Customer, catalogue: Catalogue, now: Millis, cause: str) -> Turn:
    scene = Scene(customer=customer, now=now, half_life_ms=catalogue.half_life_ms)
    return Turn(customer=customer, catalogue=catalogue, now=now, cause=cause, scene=scene)


# Deleting -----------------------------------------------------------------------------------------------------


def is_before_deletion(customer: Customer, event: Event) -> bool:
    """Tell whether an event belongs to somebody who was deleted since."""
    if customer.bonds is None or customer.bonds.grave is None or customer.bonds.grave.at is None:
        return False
    return event.occurred_at <= customer.bonds.grave.at


def delete(turn: Turn, event: Event) -> None:
    """End every execution, forget everything, and leave a grave."""
    customer = turn.customer
    turn.record("customer_deleted", detail={"event_id": event.event_id, "occurred_at": as_text(event.occurred_at)})
    for execution in list(customer.executions):
        end(turn, execution, "customer_deleted")
    grave = Grave(at=event.occurred_at, suppressions=_suppressions(customer, event.event_id))
    absorbed = [] if customer.bonds is None else customer.bonds.absorbed
    blank = Customer(
        customer_id=customer.customer_id,
        now=turn.now,
        # Hashes alone, for a day: an event that she was deleted for having, and that comes again, is still the same.
        seen=customer.seen,
        hashed_as=customer.hashed_as,
        bonds=Bonds(absorbed=absorbed, grave=grave),
    )
    for name in Customer.__struct_fields__:
        setattr(customer, name, getattr(blank, name))


def _suppressions(customer: Customer, salt: str) -> list[tuple[str, str, str, str]]:
    known = [] if customer.bonds is None or customer.bonds.grave is None else customer.bonds.grave.suppressions
    found = [
        (channel, reason, salt, _address_hash(salt, address))
        for channel, contact in customer.contacts.items()
        for address, reason in _suppressed(contact, getattr(customer, ADDRESS_OF[channel]))
    ]
    return [*known, *(each for each in found if each not in known)][-MAX_SUPPRESSIONS:]


def _suppressed(contact: Contact, address: str | None) -> Iterator[tuple[str | None, str]]:
    """List the addresses that are suppressed, and why; None stands for whatever address she has."""
    yield from contact.addresses.items()
    if contact.suppressed is not None:
        yield address, contact.suppressed


def _address_hash(salt: str, address: str | None) -> str:
    """Hash an address; empty when none is known, which then means whatever address comes."""
    if address is None:
        return ""
    return blake2b(as_suppressed(address).encode(), digest_size=16, salt=_hash(salt).to_bytes(16)).hexdigest()


def inherit_suppressions(customer: Customer) -> list[str]:
    """Suppress addresses that were suppressed before a deletion, once they are known; return the channels."""
    if customer.bonds is None or customer.bonds.grave is None:
        return []
    changed, left = [], []
    for kept in customer.bonds.grave.suppressions:
        channel, reason, salt, hashed = kept
        address = getattr(customer, ADDRESS_OF[channel])
        if address is None or hashed not in {"", _address_hash(salt, address)}:
            left.append(kept)
            continue
        contact = customer.contacts.setdefault(channel, Contact())
        if reason != "unsubscribed" and hashed:
            contact.addresses[as_suppressed(address)] = reason
        elif contact.suppressed is None:
            contact.suppressed = reason
        changed.append(channel)
    customer.bonds.grave.suppressions = left
    return changed
