"""Whether a message may go out now, and what it says: everything is looked at again at the moment of sending."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from journeys.addresses import WHY, status_of
from journeys.caps import Full, count_send, find_full
from journeys.catalogue import Catalogue, CompiledStep, Content
from journeys.fields import COMPUTED, envelope_of, plain
from journeys.profile import as_suppressed
from journeys.quiet_hours import keep_quiet, preferred_quiet_hours
from journeys.scene import Scene
from journeys.templates import CompiledTemplate, Moment, Rendered, render
from journeys.timing import CompiledTiming
from schemas.customer import Contact, Customer, Execution, Visit
from schemas.decisions import Channel, Send
from schemas.definitions import Settings
from schemas.events import Json
from schemas.identity import send_id
from schemas.instants import Millis, as_text, format_instant

ADDRESS_OF: Final[dict[Channel, str]] = {
    "email": "email",
    "sms": "phone",
    "push": "push_token",
    "social": "social_id",
}
WAITS_FOR_DATA: Final = frozenset({"no_address", "missing_personalization", "no_active_channel"})
LARGEST_SEND_BYTES: Final = 800 * 1024
"""Of one message as JSON: below what a Kafka producer takes into one batch, and consumers fetch by default."""
_MOST_BYTES_PER_CHARACTER: Final = 6
"""A control character in JSON: `\\u0000`."""
_NOBODY: Final = Contact()
_encoder: Final = msgspec.json.Encoder()


class Refusal(Struct, frozen=True, kw_only=True):
    """Why a message can't go out as things stand."""

    reason: str
    detail: dict[str, Json] = {}


def attempt(
    step: CompiledStep, visit: Visit, execution: Execution, scene: Scene, catalogue: Catalogue
) -> Send | Refusal:
    """Render the message, or return the first reason, in SPEC's order, against sending it now."""
    content = step.content
    assert content is not None  # noqa: S101 -- only message steps come here, and they are compiled with content
    channel = content.channel
    customer = scene.customer
    blocked = blocked_by(customer, channel, step.category, catalogue)
    if blocked is not None:
        return Refusal(reason=blocked)
    address = getattr(customer, ADDRESS_OF[channel])
    if address is None:
        return Refusal(reason="no_address", detail={"needed": ADDRESS_OF[channel]})
    if channel == "email" and (refused := _unusable(scene, catalogue)) is not None:
        return refused
    if step.guard is not None and not step.guard(scene):
        return Refusal(reason="guard")
    identity = send_id(execution.execution_id, step.id, visit.visit, channel)
    links = _links(catalogue.settings.public_url, identity)
    rendered = render(content.template, _values(scene, links), scene, Moment(scene.now, scene.zone))
    if rendered.missing:
        return Refusal(reason="missing_personalization", detail={"missing": list(rendered.missing)})
    if rendered.failure is not None:
        failure = rendered.failure
        return Refusal(reason=failure.reason, detail={"template_id": content.template_id, "message": failure.message})
    send = _message(step, content, visit, execution, scene, rendered, identity, address, links, catalogue)
    return _within_bounds(send)


def with_quiet_hours(step: CompiledStep, scene: Scene, catalogue: Catalogue) -> CompiledTiming:
    """Return a message step's timing, without the hours in which this customer is not to be disturbed."""
    timing, content = step.timing, step.content
    assert timing is not None  # noqa: S101 -- only message steps come here, and they are compiled with these two
    assert content is not None  # noqa: S101
    if step.category == "transactional":
        return timing
    quiet, preference = catalogue.settings.quiet_hours, scene.customer.preferences.get("quiet_hours")
    if preference is not None:
        own = preferred_quiet_hours(preference)
        if own is None:
            scene.warn("preferences.quiet_hours isn't {start, end, days, channels}, so those of the settings hold")
        quiet = own or quiet
    return keep_quiet(timing, quiet, content.channel)


def find_full_cap(step: CompiledStep, execution: Execution, scene: Scene, catalogue: Catalogue) -> Full | None:
    """Return the cap that has no room for a message now; a transactional one is never held."""
    content = step.content
    if content is None or step.category == "transactional" or not catalogue.caps:
        return None
    return find_full(catalogue.caps, scene.customer.sent, content.channel, execution.workflow_id, scene.now)


def remember_send(send: Send, customer: Customer, catalogue: Catalogue, now: Millis) -> None:
    """Remember of a message what later ones depend on."""
    if not catalogue.caps:
        customer.sent.clear()
    elif send.category != "transactional":
        count_send(catalogue.caps, customer.sent, send.channel, send.workflow_id, now)


def content_for(template: CompiledTemplate[Scene], scene: Scene, settings: Settings, identity: str) -> Rendered:
    """Render a template as a message of this identity would be: for a preview, whatever stands against sending it."""
    values = _values(scene, _links(settings.public_url, identity))
    return render(template, values, scene, Moment(scene.now, scene.zone))


def _message(
    step: CompiledStep, content: Content, visit: Visit, execution: Execution, scene: Scene, rendered: Rendered,
    identity: str, address: str, links: dict[str, str], catalogue: Catalogue,
) -> Send:  # fmt: skip
    headers = {}
    if content.channel == "email" and "unsubscribe_url" in links:
        headers = {
            "List-Unsubscribe": f"<{links['unsubscribe_url']}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    if rendered.unfilled:
        scene.warn("no value for " + ", ".join(rendered.unfilled))
    return Send(
        send_id=identity,
        customer_id=scene.customer.customer_id,
        channel=content.channel,
        to=address,
        from_=rendered.sender or (catalogue.settings.default_from if content.channel == "email" else None),
        reply_to=rendered.reply_to,
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        headers=headers,
        template_id=content.template_id,
        workflow_id=execution.workflow_id,
        workflow_version=execution.version,
        execution_id=execution.execution_id,
        step_id=step.id,
        variants=dict(execution.variants),
        category=step.category,
        send_at=format_instant(scene.now),
        expires_at=as_text(visit.expires_at),
    )


def unreachable_by(customer: Customer, channel: Channel, category: str, catalogue: Catalogue) -> str | None:
    """Return why the customer can't be written to on a channel, whatever the message says; None if she can."""
    blocked = blocked_by(customer, channel, category, catalogue)
    return "no_address" if blocked is None and getattr(customer, ADDRESS_OF[channel]) is None else blocked


def blocked_by(customer: Customer, channel: Channel, category: str, catalogue: Catalogue) -> str | None:
    """Return the suppression of the address, then the lack of consent: bounces and complaints hold back everything."""
    contact = customer.contacts.get(channel, _NOBODY)
    marketing = category == "marketing"
    if contact.addresses:
        address = getattr(customer, ADDRESS_OF[channel])
        reason = None if address is None else contact.addresses.get(as_suppressed(address))
        if reason is not None:
            return reason
    if contact.suppressed is not None and (marketing or contact.suppressed != "unsubscribed"):
        return contact.suppressed
    if not marketing:
        return None
    wanted = customer.preferences.get("channels")
    switched_off = isinstance(wanted, dict) and wanted.get(channel) is False
    needs_grant = channel in catalogue.settings.require_consent
    if switched_off or contact.consent == "denied" or (needs_grant and contact.consent != "granted"):
        return "no_consent"
    return None


def _unusable(scene: Scene, catalogue: Catalogue) -> Refusal | None:
    """Refuse an address that can't be written to; tell of one that had better not be, or refuse it if asked to."""
    status = status_of(scene.customer)
    if status is None or status == "valid":
        return None
    if status == "invalid" or catalogue.settings.address_verification == "strict":
        return Refusal(reason="invalid_address", detail={"email_status": status, "why": WHY[status]})
    scene.warn(f"email_status {status}: {WHY[status]}")
    return None


def _within_bounds(send: Send) -> Send | Refusal:
    """Refuse a message that Kafka, or its readers, wouldn't take; the size is counted only where it is in question."""
    characters = len(send.html or "") + len(send.text or "") + len(send.subject or "")
    if characters * _MOST_BYTES_PER_CHARACTER <= LARGEST_SEND_BYTES:
        return send
    size = len(_encoder.encode(send))
    if size <= LARGEST_SEND_BYTES:
        return send
    return Refusal(reason="too_large", detail={"bytes": size, "largest": LARGEST_SEND_BYTES})


def _links(public_url: str | None, identity: str) -> dict[str, str]:
    if public_url is None:
        return {}
    base = public_url.rstrip("/")
    return {"unsubscribe_url": f"{base}/u/{identity}", "view_url": f"{base}/v/{identity}"}


def _values(scene: Scene, links: dict[str, str]) -> Callable[[str], object | None]:
    """Return where a placeholder's value comes from: links, the starting event, addresses and stage, attributes."""
    attributes = scene.customer.attributes

    def value(name: str) -> object | None:
        if name in links:
            return links[name]
        found = attributes.get(name)
        if found is not None or name in attributes:
            return found
        if name.startswith("trigger_"):
            trigger = scene.trigger()
            return None if trigger is None else trigger.properties().get(name.removeprefix("trigger_"))
        computed = COMPUTED.get(name)
        return _structured(name, scene) if computed is None else plain(computed(scene))

    return value


def _structured(name: str, scene: Scene) -> object | None:
    """Return what only Liquid can look into: the objects under which a condition finds the same fields."""
    match name:
        case "attributes":
            return scene.customer.attributes
        case "preferences":
            return scene.customer.preferences
        case "trigger":
            trigger = scene.trigger()
            return None if trigger is None else envelope_of(trigger)
        case "execution":
            last = scene.last_event()
            return {} if last is None else {"last_event": envelope_of(last)}
    return None
