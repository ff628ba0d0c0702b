"""The laws of `message` steps, over generated worlds and over histories made to fall on the spacings' edges."""

from collections import defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from schemas.decisions import Send
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis, parse_instant
from tests.journey import Document, Journey, message, workflow

SPACING_H = {"email": 2, "sms": 6, "push": 1, "social": 4}
CHANNELS = tuple(SPACING_H)
ADDRESS = {"email": "email", "sms": "phone", "push": "push_token", "social": "social_id"}

_channels = st.lists(st.sampled_from(CHANNELS), unique=True, min_size=1)
_gaps = st.sampled_from((0, 1, 10 * MINUTE_MS, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 2 * HOUR_MS, 6 * HOUR_MS))


def _changes_of(channel: str) -> list[tuple[str, Document]]:
    """Return what a customer or the CRM may do to a channel."""
    return [
        ("customer_updated", {ADDRESS[channel]: "new@shop.example"}),
        ("customer_updated", {ADDRESS[channel]: None}),
        ("customer_updated", {"preferences": {"channels": {channel: False}}}),
        ("customer_updated", {"preferences": {"channels": None}}),
        ("customer_updated", {"preferences": {"channel_priority": [channel]}}),
        ("customer_updated", {"attributes": {"plan": "pro"}}),
        ("customer_updated", {"attributes": {"plan": None}}),
        ("consent_changed", {"channel": channel, "consent": "granted"}),
        (f"{channel}_unsubscribed", {}),
        (f"{channel}_clicked", {}),
    ]


_changes = st.sampled_from(CHANNELS).flatmap(lambda channel: st.sampled_from(_changes_of(channel)))


class Story(Struct, frozen=True, kw_only=True):
    """A message step, a customer's first addresses, and what happens to her: after which time, what, with what."""

    strategy: str
    channels: list[str]
    known: list[str]
    happens: list[tuple[Millis, str, Document]]


@st.composite
def _stories(draw: st.DrawFn) -> Story:
    strategy = draw(st.sampled_from(("all", "first_available", "until_engaged")))
    happens = st.lists(st.tuples(_gaps, _changes | st.just(("signup", {}))), max_size=25)
    return Story(
        strategy=strategy,
        channels=draw(_channels),
        known=draw(_channels),
        happens=[(gap, kind, properties) for gap, (kind, properties) in draw(happens)],
    )


def played(story: Story) -> tuple[Journey, list[tuple[Send, frozenset[str]]]]:
    """Play a story; return it, and each send with the channels that were switched off or unsubscribed from then."""
    rule: Document = {"field": "plan", "operator": "eq", "value": "pro"}
    journey = Journey(
        workflow(message(*story.channels, strategy=story.strategy), allow_multiple_executions=True),
        {"kind": "suppression", "id": "held", "condition": rule},
    )
    addresses: Document = {ADDRESS[channel]: "known@shop.example" for channel in story.known}
    journey.publish("customer_updated", envelope={"properties": addresses})
    at, off, gone, sent = 0, frozenset[str](), frozenset[str](), []
    for gap, kind, properties in story.happens:
        at += gap
        sent += [(one, off | gone) for one in journey.advance(at) if isinstance(one, Send)]
        off, gone = switched(off, gone, kind, properties)
        new = journey.publish(kind, at, envelope={"properties": properties})
        sent += [(one, off | gone) for one in new if isinstance(one, Send)]
    sent += [(one, off | gone) for one in journey.advance(at + 10 * DAY_MS) if isinstance(one, Send)]
    return journey, sent


def switched(
    off: frozenset[str], gone: frozenset[str], kind: str, properties: Document
) -> tuple[frozenset[str], frozenset[str]]:
    """Say in a few words what an event means for the channels that are off and those unsubscribed from."""
    if kind.endswith("_unsubscribed"):
        return off, gone | {kind.partition("_")[0]}
    if kind == "consent_changed":
        return off, gone - {str(properties["channel"])}
    preferences = properties.get("preferences")
    if isinstance(preferences, dict) and "channels" in preferences:
        wanted = preferences["channels"]
        return frozenset(wanted if isinstance(wanted, dict) else ()), gone
    return off, gone


def by_visit(journey: Journey) -> dict[str, list[Send]]:
    """Return the sends of each execution; every one has a single visit of the step."""
    found: dict[str, list[Send]] = defaultdict(list)
    for send in journey.sends():
        found[send.execution_id].append(send)
    return found


def instant(send: Send) -> Millis:
    return parse_instant(send.send_at)


@settings(max_examples=150)
@given(_stories())
def test_no_two_channels_of_a_message_are_closer_than_the_spacing_of_the_first(story: Story) -> None:
    for sends in by_visit(played(story)[0]).values():
        for first, second in pairwise(sends):
            assert instant(second) - instant(first) >= SPACING_H[first.channel] * HOUR_MS


@settings(max_examples=150)
@given(_stories())
def test_each_channel_sends_at_most_once_per_visit_and_is_told_exactly_once(story: Story) -> None:
    journey = played(story)[0]
    sends = by_visit(journey)
    completed = journey.decisions("step_completed")
    assert len(completed) == journey.started()
    for one in completed:
        detail = one.detail or {}
        channels = detail["channels"]
        assert isinstance(channels, list)
        told = [entry for entry in channels if isinstance(entry, dict)]
        sent = [entry["send_id"] for entry in told if entry["status"] == "sent"]
        assert len({str(entry["channel"]) for entry in told}) == len(told)
        assert sent == [send.send_id for send in sends.get(str(one.execution_id), [])]
        assert detail["status"] == ("sent" if sent else "suppressed")


@settings(max_examples=150)
@given(_stories())
def test_a_channel_that_is_switched_off_or_unsubscribed_from_never_sends(story: Story) -> None:
    for send, off in played(story)[1]:
        assert send.channel not in off
