"""Whether a message may go out now, and what it says: everything is looked at again at the moment of sending."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from msgspec import Struct

from journeys.catalogue import Catalogue, CompiledStep, Content
from journeys.quiet_hours import keep_quiet, preferred_quiet_hours
from journeys.scene import Scene
from journeys.templates import Rendered, render
from journeys.timing import CompiledTiming
from schemas.customer import Contact, Customer, Execution, Visit
from schemas.decisions import Channel, Send
from schemas.events import Json
from schemas.identity import send_id
from schemas.instants import as_text, format_instant

ADDRESS_OF: Final[dict[Channel, str]] = {
    "email": "email",
    "sms": "phone",
    "push": "push_token",
    "social": "social_id",
}
WAITS_FOR_DATA: Final = frozenset({"no_address", "missing_personalization"})
LONGEST_ADDRESS: Final = 254
"""RFC 5321, 4.5.3.1.3: a path has 256 octets, of which two are its brackets."""
_NOBODY: Final = Contact()


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
    blocked = _blocked(customer, channel, step.category, catalogue)
    if blocked is not None:
        return Refusal(reason=blocked)
    address = getattr(customer, ADDRESS_OF[channel])
    if address is None:
        return Refusal(reason="no_address", detail={"needed": ADDRESS_OF[channel]})
    if channel == "email" and not is_possible_address(address):
        return Refusal(reason="invalid_address")
    if step.guard is not None and not step.guard(scene):
        return Refusal(reason="guard")
    identity = send_id(execution.execution_id, step.id, visit.visit, channel)
    links = _links(catalogue.settings.public_url, identity)
    rendered = render(content.template, _values(scene, links), scene)
    if rendered.missing:
        return Refusal(reason="missing_personalization", detail={"missing": list(rendered.missing)})
    return _message(step, content, visit, execution, scene, rendered, identity, address, links, catalogue)


def with_quiet_hours(step: CompiledStep, scene: Scene) -> CompiledTiming:
    """Return a message step's timing, without the hours in which this customer is not to be disturbed."""
    timing, quiet_timing, content = step.timing, step.quiet_timing, step.content
    assert timing is not None  # noqa: S101 -- only message steps come here, and they are compiled with these
    assert quiet_timing is not None  # noqa: S101
    assert content is not None  # noqa: S101
    preference = scene.customer.preferences.get("quiet_hours")
    if preference is None or step.category == "transactional":
        return quiet_timing
    own = preferred_quiet_hours(preference)
    if own is None:
        scene.warn("preferences.quiet_hours isn't {start, end, days, channels}, so those of the settings hold")
        return quiet_timing
    return keep_quiet(timing, own, content.channel)


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


def _blocked(customer: Customer, channel: Channel, category: str, catalogue: Catalogue) -> str | None:
    """Return the suppression of the address, then the lack of consent: bounces and complaints hold back everything."""
    contact = customer.contacts.get(channel, _NOBODY)
    marketing = category == "marketing"
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


_NEVER_IN_ADDRESSES: Final = frozenset(' <>,;"()[]')


@lru_cache(maxsize=4_096)
def is_possible_address(address: str) -> bool:
    """Tell whether an e-mail address has a possible syntax at all: one @, two sides, no white space or controls."""
    name, at, domain = address.rpartition("@")
    sound = address.isprintable() and _NEVER_IN_ADDRESSES.isdisjoint(address)
    return bool(at and name and sound and "@" not in name and len(address) <= LONGEST_ADDRESS) and _is_domain(domain)


def _is_domain(domain: str) -> bool:
    labels = domain.split(".")
    return len(labels) > 1 and all(label and label[0] != "-" and label[-1] != "-" for label in labels)


def _links(public_url: str | None, identity: str) -> dict[str, str]:
    if public_url is None:
        return {}
    base = public_url.rstrip("/")
    return {"unsubscribe_url": f"{base}/u/{identity}", "view_url": f"{base}/v/{identity}"}


def _values(scene: Scene, links: dict[str, str]) -> Callable[[str], object | None]:
    """Return where a placeholder's value comes from: links, the starting event, addresses and stage, attributes."""
    customer = scene.customer

    def value(name: str) -> object | None:
        if name in links:
            return links[name]
        if name in {"email", "phone", "lifecycle_stage", "customer_id"} and name not in customer.attributes:
            known: object | None = getattr(customer, name)
            return known
        if name.startswith("trigger_") and name not in customer.attributes:
            trigger = scene.trigger()
            return None if trigger is None else trigger.properties().get(name.removeprefix("trigger_"))
        return customer.attributes.get(name)

    return value
