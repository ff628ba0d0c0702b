"""What one event teaches about a customer: history, computed fields, CRM fields, addresses, consent, session.

Events come late and out of order, so everything here is placed by `occurred_at`: instants only move forward,
of two CRM values the later one wins, counts add up whatever the order.
"""

from bisect import insort
from collections.abc import Mapping
from typing import Final

import msgspec

from journeys.addresses import email_status
from journeys.newest import OTHER_TYPES, add_newest
from journeys.scoring import DIGITS, add
from schemas.customer import (
    MAX_ATTRIBUTES,
    MAX_ATTRIBUTES_BYTES,
    MAX_COUNTED_TYPES,
    MAX_SUPPRESSED_ADDRESSES,
    Contact,
    Customer,
    Session,
)
from schemas.events import ENGAGEMENT_TYPES, MAX_ID_CHARACTERS, MESSAGE_CHANNELS, Event, Json
from schemas.instants import MINUTE_MS, Millis

FUTURE_TOLERANCE_MS: Final = 5 * MINUTE_MS
SESSION_GAP_MS: Final = 30 * MINUTE_MS
PURCHASES: Final = frozenset({"order_completed", "purchase"})
AMOUNTS: Final = ("total", "revenue", "value", "amount")
PAGE_VIEWS: Final = frozenset({"page_viewed", "screen_viewed"})
ENGAGED: Final = frozenset(
    f"{channel}_{what}" for channel in MESSAGE_CHANNELS for what in ("opened", "clicked", "replied")
)
ADDRESSES: Final = ("email", "phone", "push_token", "social_id")
ADDRESS_OF: Final = dict(zip(MESSAGE_CHANNELS, ADDRESSES, strict=True))
TOLD_AT: Final = "@lifecycle_stage"
"""Under which it is known since when the CRM's word on the stage holds, until a rule moves it."""
STAGES: Final = ("prospect", "lead", "customer", "advocate", "churned")


def clamp(event: Event, now: Millis) -> None:
    """Bring an event from the future (more than five minutes ahead) back to now."""
    if event.occurred_at > now + FUTURE_TOLERANCE_MS:
        event.occurred_at = now


def observe(customer: Customer, event: Event, weight: float, half_life_ms: float, now: Millis) -> bool:
    """Take the event into history, computed fields and session.

    Returns:
        False when the bound on counted types was hit and the event was counted as `other`.
    """
    at, event_type, behavioral = event.occurred_at, event.type, event.stream == "behavioral"
    first_seen = customer.first_seen
    if first_seen is None or at < first_seen:
        customer.first_seen = at
    counts = customer.counts
    count = counts.get(event_type)
    within_bound = count is not None or len(counts) < MAX_COUNTED_TYPES
    counted = event_type if within_bound else OTHER_TYPES
    if count is None:
        _count_first(customer, counted, at)
    else:
        counts[event_type] = count + 1
        last = customer.last
        if at > last[event_type]:  # noqa: PLR1730 -- max() costs three times as much
            last[event_type] = at
    add_newest(customer, counted, at)
    engaged = event_type in ENGAGED
    if behavioral or engaged:
        last_activity = customer.last_activity
        if last_activity is None or at > last_activity:
            customer.last_activity = at
            customer.activity_seen_at = now
    if engaged and (customer.last_engagement is None or at > customer.last_engagement):
        customer.last_engagement = at
    if weight:
        customer.score, customer.score_at = add(customer.score, customer.score_at, weight, at, half_life_ms)
    if behavioral:
        _advance_session(customer, event)
    return within_bound


def _count_first(customer: Customer, counted: str, at: Millis) -> None:
    """Count the first event of a type, or one more of those that share the last place."""
    customer.counts[counted] = customer.counts.get(counted, 0) + 1
    customer.last[counted] = max(at, customer.last.get(counted, at))


def _advance_session(customer: Customer, event: Event) -> None:
    """Extend the latest session, or open the next one; an event from before the session leaves it alone."""
    session, at, named = customer.session, event.occurred_at, event.session_id
    if session is None:
        session = customer.session = Session(started_at=at, last_at=at, session_id=named)
    elif at <= session.started_at - SESSION_GAP_MS:
        return
    else:
        last_at, known = session.last_at, session.session_id
        changed = named != known and named is not None and known is not None
        if at - last_at >= SESSION_GAP_MS or (changed and at >= last_at):
            session = customer.session = Session(started_at=at, last_at=at, session_id=named)
        elif changed:
            return
        elif at > last_at:
            session.last_at = at
        elif at < session.started_at:
            session.started_at = at
        if known is None:
            session.session_id = named
    session.events += 1
    if event.type in PAGE_VIEWS:
        session.pages += 1


def add_purchase(customer: Customer, properties: Mapping[str, Json]) -> None:
    """Count a purchase; its amount is the first number among total, revenue, value and amount."""
    customer.total_purchases += 1
    amount = purchase_amount(properties)
    if amount is not None:
        # Rounded, or the sum of floats would depend on the order of the events.
        customer.total_spent = round(customer.total_spent + amount, DIGITS)


def purchase_amount(properties: Mapping[str, Json]) -> float | None:
    """Return the first number among total, revenue, value and amount; None without one."""
    for name in AMOUNTS:
        amount = properties.get(name)
        if isinstance(amount, int | float) and not isinstance(amount, bool):
            return amount
    return None


def learn_addresses(customer: Customer, properties: Mapping[str, Json]) -> list[str]:
    """Take `email` and `phone` of any event where none is known yet; return the names that changed.

    An e-mail address of impossible syntax is as good as none: the first possible one takes its place.
    """
    changed = []
    for name in ("email", "phone"):
        value, known = properties.get(name), getattr(customer, name)
        if not isinstance(value, str) or not value or value == known:
            continue
        if known is None or (name == "email" and email_status(known) == "invalid" != email_status(value)):
            setattr(customer, name, value)
            changed.append(name)
    return changed


def update_from_crm(customer: Customer, event: Event, properties: Mapping[str, Json]) -> list[str]:
    """Take a `customer_updated` event: per field the later `occurred_at` wins, null removes.

    Returns:
        The names that changed, and `attributes!` when the bound on attributes refused some.
    """
    changed: list[str] = []
    at = event.occurred_at
    for name in ADDRESSES:
        value = properties.get(name)
        usable = name in properties and (value is None or isinstance(value, str))
        if usable and is_newer(customer, f"@{name}", at) and getattr(customer, name) != (value or None):
            setattr(customer, name, value or None)
            changed.append(name)
    changed += _merge(customer, customer.attributes, properties.get("attributes"), "", at)
    changed += _merge(customer, customer.preferences, properties.get("preferences"), "preferences.", at)
    stage = properties.get("lifecycle_stage")
    if stage in STAGES and (customer.stage_at is None or at >= customer.stage_at):
        if customer.lifecycle_stage != stage:
            changed.append("lifecycle_stage")
        customer.lifecycle_stage, customer.stage_at = str(stage), at
        is_newer(customer, TOLD_AT, at)
    return changed


def _merge(customer: Customer, target: dict[str, Json], values: Json, prefix: str, at: Millis) -> list[str]:
    if not isinstance(values, dict):
        return []
    changed = []
    for name, value in values.items():
        if len(name) > MAX_ID_CHARACTERS:
            # Also names that were removed are remembered, so they have to be short.
            changed.append(prefix + name[:MAX_ID_CHARACTERS] + "!")
            continue
        if not is_newer(customer, prefix + name, at):
            continue
        if value is None:
            if target.pop(name, None) is not None:
                changed.append(prefix + name)
        elif target.get(name) != value or type(target.get(name)) is not type(value):
            changed.append(prefix + name if set_bounded(target, name, value) else prefix + name + "!")
    return changed


def is_newer(customer: Customer, name: str, at: Millis) -> bool:
    """Tell whether `at` isn't before the value's last change, and remember it (a removed name stays known)."""
    known = customer.attribute_times.get(name)
    if known is not None and at < known:
        return False
    if known is not None or len(customer.attribute_times) < 2 * MAX_ATTRIBUTES:
        customer.attribute_times[name] = at
    return True


def set_bounded(target: dict[str, Json], name: str, value: Json) -> bool:
    """Set an attribute within the bounds of 200 names and 32 KiB; return False, unchanged, beyond them."""
    if name not in target and len(target) >= MAX_ATTRIBUTES:
        return False
    candidate = {**target, name: value}
    if len(_encode(candidate)) > MAX_ATTRIBUTES_BYTES:
        return False
    target[name] = value
    return True


_encode: Final = msgspec.json.Encoder().encode


def join_segment(customer: Customer, segment_id: str) -> bool:
    """Make the customer a member; return False if she was one already."""
    if segment_id in customer.segments:
        return False
    insort(customer.segments, segment_id)
    return True


def leave_segment(customer: Customer, segment_id: str) -> bool:
    """End a membership; return False if there was none."""
    if segment_id not in customer.segments:
        return False
    customer.segments.remove(segment_id)
    return True


def update_consent(customer: Customer, event: Event, properties: Mapping[str, Json]) -> str | None:
    """Take consent, bounces, complaints and unsubscribes; return the channel whose contact changed, or None."""
    if event.type == "consent_changed":
        return _change_consent(customer, event.occurred_at, properties)
    channel, _, what = event.type.partition("_")
    hard = what == "bounced" and properties.get("bounce_type", "hard") != "soft"
    if event.type not in ENGAGEMENT_TYPES or not (hard or what in {"complained", "unsubscribed"}):
        return None
    contact = customer.contacts.setdefault(channel, Contact())
    if what != "unsubscribed":
        return channel if _suppress_address(customer, contact, channel, what, properties) else None
    if event.occurred_at < contact.changed_at:
        return None
    # Said again, it is the later word, which a consent from in between doesn't lift when it comes late.
    contact.changed_at = event.occurred_at
    if contact.suppressed is not None:
        return None
    contact.suppressed = what
    return channel


def _suppress_address(
    customer: Customer, contact: Contact, channel: str, what: str, properties: Mapping[str, Json]
) -> bool:
    """Remember what came of the address that the event names, else of the one that is known, else of the channel."""
    named, known = properties.get(ADDRESS_OF[channel]), getattr(customer, ADDRESS_OF[channel])
    address = named if isinstance(named, str) and named else known
    if address is None:
        changed = contact.suppressed not in {"bounced", "complained"}
        contact.suppressed = what if changed else contact.suppressed
        return changed
    key = as_suppressed(address)
    if key in contact.addresses:
        return False
    contact.addresses[key] = what
    if len(contact.addresses) > MAX_SUPPRESSED_ADDRESSES:
        del contact.addresses[next(iter(contact.addresses))]
    return True


def as_suppressed(address: str) -> str:
    """Return how an address is written among the suppressed ones."""
    return address.strip().lower()[:MAX_ID_CHARACTERS]


def _change_consent(customer: Customer, at: Millis, properties: Mapping[str, Json]) -> str | None:
    """A consent lifts an unsubscribe, never a hard bounce or a complaint."""
    channel, consent = properties.get("channel"), properties.get("consent")
    if channel not in MESSAGE_CHANNELS or consent not in {"granted", "denied"}:
        return None
    contact = customer.contacts.setdefault(str(channel), Contact())
    if at < contact.changed_at:
        return None
    contact.consent, contact.changed_at = str(consent), at
    if consent == "granted" and contact.suppressed == "unsubscribed":
        contact.suppressed = None
    return str(channel)
