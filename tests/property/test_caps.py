"""Caps against a plain list of everything that was ever sent."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Json
from schemas.instants import HOUR_MS, Millis, parse_instant
from tests.journey import START, Document, Journey, mail, short, trigger, workflow

GAPS = (0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 2 * HOUR_MS)
CHANNELS = ("email", "push")
WORKFLOWS = ("a", "b")

caps = st.fixed_dictionaries(
    {"max": st.integers(0, 3), "per_hours": st.sampled_from((1, 2, 3))},
    optional={"channel": st.sampled_from((*CHANNELS, "sms")), "scope": st.sampled_from(("customer", "workflow"))},
)
messages = st.tuples(st.sampled_from(GAPS), st.sampled_from(WORKFLOWS), st.sampled_from(CHANNELS))

Message = tuple[Millis, str, str]


def journey_with(rules: list[Document], on_cap: str) -> Journey:
    """One workflow for each id and channel would be two scopes; so each has two first steps, one of which is skipped."""
    workflows = []
    for name in WORKFLOWS:
        first: Document = {"field": "trigger.channel", "operator": "eq", "value": "email"}
        steps = [{**mail("mail", "push"), "conditional_logic": first}, short("push", when={"not": first})]
        workflows.append(workflow(*steps, id=name, on=[trigger(name)], allow_multiple_executions=True))
    listed: list[Json] = [{**rule, "on_cap": on_cap} for rule in rules]
    return Journey(*workflows, frequency_caps=listed, max_concurrent_executions=200)


def within(rule: Document, past: list[Message], message: Message) -> list[Millis]:
    """List what the rule counts for a message, one by one."""
    at, name, channel = message
    if rule.get("channel") not in {None, channel}:
        return []
    window = int(str(rule["per_hours"])) * HOUR_MS
    return [
        then
        for then, other, by in past
        if at - then < window
        and rule.get("channel") in {None, by}
        and (rule.get("scope") != "workflow" or other == name)
    ]


def has_room(rules: list[Document], past: list[Message], message: Message) -> bool:
    concerned = [rule for rule in rules if rule.get("channel") in {None, message[2]}]
    return all(len(within(rule, past, message)) < int(str(rule["max"])) for rule in concerned)


def publish(journey: Journey, arriving: list[Message]) -> list[Message]:
    at, published = 1, []
    journey.publish("customer_updated", push_token="token")
    for gap, name, channel in arriving:
        at += gap
        journey.publish(name, at, channel=channel)
        published.append((at, name, channel))
    return published


def sent(journey: Journey) -> list[Message]:
    return [(parse_instant(one.send_at) - START, one.workflow_id, one.channel) for one in journey.sends()]


@given(st.lists(caps, max_size=3), st.lists(messages, max_size=20))
def test_what_is_skipped_is_what_a_count_over_all_sends_skips(rules: list[Document], arriving: list[Message]) -> None:
    journey = journey_with(rules, "skip")
    expected: list[Message] = []
    for message in publish(journey, arriving):
        if has_room(rules, expected, message):
            expected.append(message)
    assert sent(journey) == expected


@given(
    st.lists(caps.filter(lambda rule: rule["max"] != 0), max_size=3),
    st.lists(messages.filter(lambda message: message[0] > 0), max_size=12),
)
def test_what_is_delayed_goes_out_as_soon_as_a_count_over_all_sends_has_room(
    rules: list[Document], arriving: list[Message]
) -> None:
    """Room comes only when a send leaves a window, so the reference looks at those instants and at the arrivals."""
    journey = journey_with(rules, "delay")
    published = publish(journey, arriving)
    journey.advance(100 * HOUR_MS)
    waiting: list[Message] = []
    expected: list[Message] = []
    instants = {at for at, _, _ in published}
    while instants:
        now = min(instants)
        instants.discard(now)
        # Who waits goes before who arrives; each by its start, which is the order here.
        for message in [*waiting, *(one for one in published if one[0] == now)]:
            _, name, channel = message
            if has_room(rules, expected, (now, name, channel)):
                expected.append((now, name, channel))
                instants |= {now + hours * HOUR_MS for hours in (1, 2, 3)}
                if message in waiting:
                    waiting.remove(message)
            elif message not in waiting:
                waiting.append(message)
    assert sent(journey) == expected
