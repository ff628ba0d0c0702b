"""Two tables of SPEC's boundaries: what is so just before a line, exactly on it, and just after it.

The first is of lines in time, and its sides are a millisecond away; the second of numbers, whose sides are one away.

A row names the section of SPEC that draws the line, the field, where the line lies, what is expected on each side of it
and on it, and how to see it: a probe is given an instant or a number, lets a journey run, and returns what came of it. The line is
in the table and not in the probe, so a row whose rule moved by a millisecond fails.
"""

# ruff: noqa: FBT003 -- in a table of answers, true is one

from collections.abc import Callable, Iterator
from hashlib import md5
from typing import Final, NamedTuple

import pytest
from msgspec.structs import replace

from journeys.answer_hours import as_of
from journeys.newest import newest_events
from journeys.validation import InvalidDefinitions
from schemas.events import InvalidEvent, Json
from schemas.instants import DAY_MS, HOUR_MS, MINUTE_MS, Millis
from tests.journey import (
    START,
    Document,
    Journey,
    absence,
    action,
    after,
    dated,
    decision,
    frequency,
    is_,
    mail,
    message,
    schedule,
    score,
    segment,
    segment_change,
    sequence,
    session,
    signup,
    silence,
    trigger,
    until_condition,
    until_event,
    wait,
    workflow,
)

FREQUENT: Final[Document] = {
    "type": "behavioral",
    "conditions": {"condition_type": "frequency_threshold", "event_type": "a"},
}
SILENT: Final[Document] = {"type": "time_based", "conditions": {"condition_type": "inactivity_period"}}
KEEN: Final[Document] = {"type": "engagement_based", "conditions": {"condition_type": "engagement_score"}}
"""Triggers that leave their numbers to SPEC."""
H: Final = HOUR_MS
"""`START` is a Thursday, 09:00 in UTC; the fields below say hours, and the rows instants since the start."""
MIDNIGHT: Final = 15 * H
AT_ONCE_OR_LATER: Final = "at once or when it may"


class Boundary(NamedTuple):
    """A line, in time or among numbers."""

    section: str
    field: str
    at: int
    before: object
    on: object
    after: object
    probe: Callable[[int], object]


def starts(*events: tuple[str, Millis], on: Document, until: Millis | None = None, **settings: Json) -> int:
    """Count what a trigger starts over events, published as they occur."""
    journey = Journey(workflow(mail(), on=[on], **settings))  # type: ignore[arg-type]
    for kind, at in events:
        journey.publish(kind, at)
    if until is not None:
        journey.advance(to=until)
    return journey.started()


def waited(step: Document, until: Millis, *events: tuple[str, Millis], **settings: Json) -> list[str | None]:
    """Return the steps passed by an execution that begins with a wait."""
    others = [mail(), mail("timeout")][: 1 + ("timeout_next_step" in str(step))]
    journey = Journey(workflow(step, *others, **settings))  # type: ignore[arg-type]
    journey.publish("signup")
    for kind, at in events:
        journey.publish(kind, at)
    journey.advance(to=until)
    return journey.path()


def sent(at: Millis, timing: Document, **settings: Json) -> object:
    """Return when a mail goes out, of a customer who signs up at an instant."""
    journey = Journey(workflow(mail(timing=timing)), **settings)  # type: ignore[arg-type]
    journey.publish("signup", at)
    journey.advance(to=at + 7 * DAY_MS)
    times = journey.sent_at()
    return AT_ONCE_OR_LATER if times == [after(at)] else times


def clamped(ahead: Millis) -> bool:
    """Whether an event that says it occurred ahead of its arrival is set back to it."""
    journey = Journey()
    journey.publish("page_viewed", ahead, arrives=0)
    return journey.customer().last["page_viewed"] == START


def repeated(later: Millis) -> int:
    """How many events count where one comes again."""
    journey = Journey()
    journey.publish("page_viewed", 0, event_id="same")
    journey.publish("page_viewed", 0, arrives=later, event_id="same")
    return journey.customer().counts["page_viewed"]


def too_old(age: Millis) -> list[str | None]:
    """Why an event of some age starts nothing."""
    journey = Journey(workflow())
    journey.publish("signup", -age, arrives=0)
    return journey.reasons("trigger_refused")


def events_of_session(gap: Millis) -> int:
    journey = Journey(workflow(on=[session("events", 2)]))
    journey.publish("page_viewed")
    journey.publish("page_viewed", gap)
    return journey.started()


def minutes_of_session(length: Millis) -> int:
    return starts(("page_viewed", 0), ("page_viewed", length), on=session("duration_minutes", 10))


def visitor_is_known(at: Millis) -> bool:
    journey = Journey(email=None)
    journey.publish("page_viewed", customer=None, envelope={"anonymous_id": "v"})
    journey.advance(to=at)
    return journey.engine.table.get(b"a:v") is not None


def stage(at: Millis) -> str | None:
    journey = Journey()
    journey.publish("signup")
    journey.advance(to=at)
    return journey.customer().lifecycle_stage


def data_grace(at: Millis) -> tuple[int, list[str | None]]:
    """Whether an address that comes some time after the signup is still in time."""
    journey = Journey(workflow(), email=None)
    journey.publish("signup")
    journey.publish("customer_updated", at, email="ada@shop.example")
    journey.advance(to=DAY_MS)
    return len(journey.sends()), journey.reasons("send_suppressed")


def re_entry(since: Millis, **said: Json) -> Callable[[Millis], int]:
    """Sign up a second time; the execution starts at 0, sends at 2 h, ends at 3 h."""

    def probe(at: Millis) -> int:
        steps = [wait("first", "mail", duration_hours=2), mail("mail", "last"), wait("last", duration_hours=1)]
        journey = Journey(workflow(*steps, re_entry=said))
        journey.publish("signup")
        journey.publish("signup", since + at)
        return journey.started()

    return probe


def absence_started(*, occurs: Millis, arrives: Millis | None = None, until: Millis = DAY_MS) -> int:
    journey = Journey(workflow(on=[absence("cart_updated", "order_completed", 60)]))
    journey.publish("cart_updated")
    journey.publish("order_completed", occurs, arrives=max(occurs, 1) if arrives is None else arrives)
    journey.advance(to=until)
    return journey.started()


def late_absence(age: Millis) -> list[str]:
    """When an absence starts whose first event came late: at its deadline, or 5 minutes ahead where that is past."""
    journey = Journey(workflow(on=[absence("cart_updated", "order_completed", 60)]))
    journey.publish("cart_updated", -age, arrives=0)
    journey.advance(to=DAY_MS)
    return [one.at for one in journey.decisions("execution_started")]


def condition(rule: Document, document: Document) -> Callable[[Millis], bool]:
    """Whether a condition holds some time after a purchase."""

    def probe(at: Millis) -> bool:
        journey = Journey(workflow(mail(when=rule), on=[trigger("look")]))
        journey.publish("customer_updated", attributes=document)
        journey.publish("order_completed")
        journey.publish("look", at)
        return len(journey.sends()) == 1

    return probe


def wait_sees(occurred: Millis) -> list[str | None]:
    """Whether a wait that began at an hour ends with an event of some instant that arrives later."""
    journey = Journey(workflow(wait("p", "u", duration_hours=1), until_event("u", "go", "mail"), mail()))
    journey.publish("signup")
    journey.publish("go", occurred, arrives=2 * H)
    return journey.path()


def goal_counts(at: Millis) -> int:
    settings: Document = {"goal": {"event_type": "order_completed"}, "attribution_window_hours": 24}
    journey = Journey(workflow(**settings))  # type: ignore[arg-type]
    journey.publish("signup")
    journey.publish("order_completed", at)
    return len(journey.decisions("conversion"))


def expired(at: Millis, **settings: Json) -> list[str | None]:
    journey = Journey(workflow(until_event("u", "go"), **settings))  # type: ignore[arg-type]
    journey.publish("signup")
    journey.advance(to=at)
    return journey.reasons("execution_ended")


def exit_by_time(at: Millis) -> list[str | None]:
    exits: list[Json] = [is_("last.order_completed", "not_within_hours", 24)]
    journey = Journey(workflow(until_event("u", "go"), exit_conditions=exits))
    journey.publish("order_completed")
    journey.publish("signup")
    journey.advance(to=at)
    return journey.reasons("execution_ended")


def overdue(late: Millis) -> int:
    """Whether a message that fell due in a pause still goes out that much later."""
    journey = Journey(workflow(wait("p", "mail", duration_hours=1), mail()))
    journey.publish("signup")
    journey.command("pause", 1, workflow_id="w")
    journey.command("resume", H + late, workflow_id="w")
    return len(journey.sends())


def delayed_mail(at: Millis, hours: float) -> int:
    journey = Journey(workflow(mail(timing={"delay_hours": hours, "optimize": False})))
    journey.publish("signup")
    journey.advance(to=at)
    return len(journey.sends())


def message_expires(hold_until: Millis, **rest: Json) -> list[str | None]:
    """A paused message that may go at last, against its own expiry."""
    timing: Document = {"delay_hours": 1, "optimize": False, **rest}
    journey = Journey(workflow(mail(timing=timing, grace_hours=1_000)))
    journey.publish("signup")
    journey.command("pause", 1, workflow_id="w")
    journey.command("resume", hold_until, workflow_id="w")
    return journey.reasons("send_suppressed") or ["sent"] * len(journey.sends())


def capped(cap: Document) -> Callable[[Millis], object]:
    """Send twice under a cap; return what became of the second."""

    def probe(at: Millis) -> object:
        journey = Journey(workflow(allow_multiple_executions=True), frequency_caps=[cap])
        journey.publish("signup")
        journey.publish("signup", at)
        journey.advance(to=at + DAY_MS)
        return [*journey.sent_at()[1:2], *journey.reasons("send_suppressed")] if at else None

    return probe


def capped_count(at: Millis) -> int:
    return len([one for one in [capped({"channel": "email", "max": 1, "per_hours": 24})(at)] if one == [after(at)]])


def capped_delay(at: Millis) -> bool:
    """Whether the second goes at its own instant, or exactly when the first leaves the window."""
    cap: Document = {"channel": "email", "max": 1, "per_hours": 24, "on_cap": "delay"}
    times = capped(cap)(at)
    assert times == [after(max(at, 24 * H))]
    return times == [after(at)]


def spacing(channels: tuple[str, str], at: Millis, **settings: Json) -> int:
    journey = Journey(workflow(message(*channels)), require_consent=[], **settings)  # type: ignore[arg-type]
    addresses: Document = {"phone": "+491701234567", "push_token": "p", "social_id": "s"}
    priority: Document = {"channel_priority": list(channels)}
    journey.publish("customer_updated", -1, envelope={"properties": {**addresses, "preferences": priority}})
    journey.publish("signup")
    journey.advance(to=at)
    return len(journey.sends())


def answered(at: Millis) -> list[str | None]:
    step = action("ask", "trigger_webhook", webhook_url="https://a.example/", await_response=True)
    journey = Journey(workflow(step))
    catalogue = journey.engine.catalogue
    assert catalogue is not None
    journey.engine.catalogue = replace(catalogue, answers_webhooks=False)
    journey.publish("signup")
    journey.advance(to=at)
    return journey.reasons("execution_ended")


def fired_on_time(on: Document, at: Millis, **attributes: Json) -> int:
    journey = Journey(workflow(on=[on]))
    journey.publish("customer_updated", attributes=attributes or {"a": 1})
    journey.advance(to=at)
    return journey.started()


def left_segment(at: Millis) -> int:
    recent = segment("recent", is_("last.order_completed", "within_hours", 24))
    journey = Journey(workflow(on=[segment_change("recent", "left")]), recent)
    journey.publish("order_completed")
    journey.advance(to=at)
    return journey.started()


def decayed(at: Millis) -> int:
    """Whether an order's 25 points lift another's 25, halved by time, to 37.5.

    12.5 points lose half of the last decimal, 5e-7, in 69.8 ms.
    """
    return starts(("order_completed", 0), ("order_completed", at), on=score(37.5))


def checked(at: Millis) -> list[str | None]:
    """Return the steps passed by an instant, of a wait that sees only at its next check what another workflow changed."""
    upgrade = action("upgrade", "update_attributes", attributes={"plan": "pro"})
    waiting = workflow(until_condition("p", is_("plan", "eq", "pro"), "mail"), mail())
    journey = Journey(waiting, workflow(wait("first", "upgrade", duration_hours=1), upgrade, id="other"))
    journey.publish("signup")
    journey.advance(to=at)
    return [one.step_id for one in journey.decisions("step_completed") if one.workflow_id == "w"]


def halved_answers(at: Millis) -> str:
    """Whether more than half, half, or less than half is left of an answer."""
    journey = Journey()
    journey.publish("email_opened")
    hours = journey.customer().hours
    assert hours is not None
    responses, _ = as_of(hours, START + at)
    return "half" if responses[9] == 0.5 else "more" if responses[9] > 0.5 else "less"


def told_late(age: Millis) -> int:
    """Whether an event is told that would have turned a decision, so long after the mail that followed from it."""
    rule = is_("last_engagement", "within_hours", 200)
    ways: list[Json] = [{"rule": rule, "next_step": "glad"}]
    choice = decision("choice", "condition", conditions=ways, default_next_step="mail")
    journey = Journey(workflow(wait("first", "choice", duration_hours=1), choice, mail("glad"), mail("mail")))
    journey.publish("signup")
    journey.advance(to=H)
    journey.publish("email_opened", 1, arrives=H + age)
    return len(journey.decisions("late_divergence"))


def refusals(at: Millis) -> int:
    """How many refusals are recorded of two, the first of them at once."""
    journey = Journey(workflow(on=[signup(cooldown_hours=100)], allow_multiple_executions=True))
    journey.publish("signup")
    journey.publish("signup", 1)
    journey.publish("signup", at)
    return len(journey.decisions("trigger_refused"))


def next_nine(at: Millis) -> list[str]:
    """When somebody goes on who signs up at an instant and waits until nine."""
    nine: Document = {"id": "p", "type": "wait", "configuration": {"type": "until_time", "target_time": "09:00"}}
    journey = Journey(workflow(nine))
    journey.publish("signup", at)
    journey.advance(to=2 * DAY_MS)
    return [one.at for one in journey.decisions("step_completed")]


def counts_behind_the_deletion(occurred: Millis) -> bool:
    """Whether an event counts that arrives after its customer was deleted."""
    journey = Journey()
    journey.publish("customer_deleted", H)
    journey.publish("page_viewed", occurred, arrives=2 * H)
    return "page_viewed" in journey.customer().counts


def attribute_of(occurred: Millis) -> Json:
    """What an attribute is of which the CRM says something else that occurred at some instant."""
    journey = Journey()
    journey.publish("customer_updated", H, attributes={"plan": "first"})
    journey.publish("customer_updated", occurred, arrives=2 * H, attributes={"plan": "second"})
    return journey.customer().attributes["plan"]


# Numbers ------------------------------------------------------------------------------------------------------


def repeated_after_others(others: int) -> int:
    """How often an event counts that comes again after others."""
    journey = Journey()
    journey.publish("page_viewed", event_id="same")
    for number in range(others):
        journey.publish("other", number)
    journey.publish("page_viewed", others, event_id="same")
    return journey.customer().counts["page_viewed"]


def recent(number: int) -> int:
    journey = Journey()
    for at in range(number):
        journey.publish("page_viewed", at)
    return len(newest_events(journey.customer()))


def attributes(number: int) -> int:
    journey = Journey()
    journey.publish("customer_updated", attributes={f"a{one}": one for one in range(number)})
    return len(journey.customer().attributes)


def attribute_bytes(number: int) -> int:
    journey = Journey()
    journey.publish("customer_updated", attributes={"a": "x" * (number - len('{"a":""}'))})
    return len(journey.customer().attributes)


def counted_types(number: int) -> bool:
    """Whether the last of so many types has a count of its own."""
    journey = Journey()
    for one in range(number):
        journey.publish(f"type{one}", one)
    return f"type{number - 1}" in journey.customer().counts


def open_executions(number: int) -> list[str | None]:
    """Why the last of so many signups started nothing."""
    journey = Journey(workflow(wait("p", duration_hours=5), allow_multiple_executions=True))
    for _ in range(number):
        journey.publish("signup")
    return journey.reasons("trigger_refused")


def execution_keys(number: int) -> list[str | None]:
    journey = Journey(workflow(on=[trigger("order_placed")], execution_key="event.properties.order_id"))
    for one in range(number):
        journey.publish("order_placed", one, order_id=one)
    return journey.reasons("bound_reached")


def key_of(characters: int) -> list[str | None]:
    """Why an event starts nothing whose key has so many characters."""
    journey = Journey(workflow(on=[trigger("order_placed")], execution_key="event.properties.order_id"))
    journey.publish("order_placed", order_id="x" * characters)
    return journey.reasons("trigger_refused")


def entries(number: int) -> list[Json]:
    """How an execution ends that enters one step so often within an instant."""
    journey = Journey(workflow(until_event("u", "go", "u")))
    journey.publish("signup")
    for _ in range(number - 1):
        journey.publish("go")
    return [(one.detail or {})["reason"] for one in journey.decisions("execution_ended")]


def counted(event: str, on: Document) -> Callable[[int], int]:
    return lambda number: starts(*[(event, at) for at in range(number)], on=on)


def performed(number: int) -> bool:
    rule: Document = {"operator": "performed", "value": {"event_type": "go", "min_count": 4}}
    journey = Journey(workflow(mail(when=rule), on=[trigger("look")]))
    for at in range(number):
        journey.publish("go", at)
    journey.publish("look", number)
    return bool(journey.sends())


def sends_under_a_cap(number: int) -> list[str | None]:
    cap: Document = {"channel": "email", "max": 3, "per_hours": 24}
    journey = Journey(workflow(allow_multiple_executions=True), frequency_caps=[cap])
    for at in range(number):
        journey.publish("signup", at)
    return journey.reasons("send_suppressed")


def scored(least: int) -> str | None:
    """Which branch a score of 25 takes against a threshold."""
    steps = [
        decision("d", "score_based", thresholds=[{"min_score": least, "next_step": "mail"}], default_next_step="other"),
        mail(),
        mail("other"),
    ]
    journey = Journey(workflow(*steps, on=[trigger("order_completed")]))
    journey.publish("order_completed")
    return journey.sends()[0].step_id


def views(number: int, on: Document) -> int:
    """Count what a trigger starts when so many pages are seen at one instant."""
    return starts(*[("page_viewed", 0)] * number, on=on)


def score_is(value: int, *events: tuple[str, int]) -> bool:
    """Whether the score is a number after so many events at one instant."""
    journey = Journey(workflow(on=[trigger("look", where=is_("engagement_score", "eq", value))]))
    for kind, number in events:
        for _ in range(number):
            journey.publish(kind)
    journey.publish("look")
    return journey.started() == 1


def holds(operator: str, constant: Json) -> Callable[[int], bool]:
    """Whether an event starts something whose number is compared."""

    def probe(number: int) -> bool:
        journey = Journey(workflow(on=[trigger("look", where=is_("event.n", operator, constant))]))
        journey.publish("look", n=number)
        return journey.started() == 1

    return probe


def places(number: int) -> list[str | None]:
    """Why so many customers didn't all start what two may start."""
    journey = Journey(workflow(on=[signup(max_executions=2)]))
    for one in range(number):
        journey.publish("signup", one, customer=f"c{one}")
    return journey.reasons("trigger_refused")


def place_of(salt: str) -> int:
    """Return Ada's place among 10,000 by SPEC 7's formula."""
    return int(md5(f"ada:{salt}".encode(), usedforsecurity=False).hexdigest(), 16) % 10_000


def held_out(workflows: float, everybody: float) -> int:
    journey = Journey(workflow(holdout_percent=workflows), global_holdout_percent=everybody)
    journey.publish("signup")
    return journey.started()


def split(number: int) -> str | None:
    """Which way a split of so many ten-thousandths sends her."""
    variants: list[Json] = [
        {"name": name, "weight": weight, "next_step": name}
        for name, weight in (("mail", number), ("other", 10_000 - number))
    ]
    journey = Journey(workflow(decision("d", "split_test", variants=variants), mail(), mail("other")))
    journey.publish("signup")
    return journey.sends()[0].step_id


def assigned(number: int) -> str | None:
    """Which workflow starts for her in an experiment whose control gets so many ten-thousandths."""
    control = number / 10_000
    experiment: Document = {
        "kind": "experiment", "id": "x", "base_workflow_id": "w", "variations": ["v"],
        "config": {"traffic_split": {"control": control, "variations": [1 - control]}},
    }  # fmt: skip
    journey = Journey(workflow(), workflow(id="v", on=[]), experiment)
    journey.publish("signup")
    return journey.decisions("execution_started")[0].workflow_id


def first_of(other: Document) -> str | None:
    """Which workflow an event starts first: one that says nothing of its priority, or another one."""
    journey = Journey(workflow(id="w"), other)
    journey.publish("signup")
    return journey.decisions("execution_started")[0].workflow_id


def purchases(number: int) -> str | None:
    journey = Journey()
    journey.publish("page_viewed")
    for at in range(number):
        journey.publish("order_completed", at)
    return journey.customer().lifecycle_stage


def read(**envelope: Json) -> bool:
    """Whether an event is taken."""
    try:
        Journey().publish("page_viewed", envelope=envelope)
    except InvalidEvent:
        return False
    return True


def of_visitor(characters: int) -> bool:
    """Whether an event is taken of a visitor whose id has so many characters."""
    try:
        Journey(email=None).publish("page_viewed", customer=None, envelope={"anonymous_id": "x" * characters})
    except InvalidEvent:
        return False
    return True


def of_type(characters: int) -> bool:
    """Whether an event is taken whose type has so many characters."""
    try:
        Journey().publish("x" * characters)
    except InvalidEvent:
        return False
    return True


def valid(*documents: Document, **settings: Json) -> bool:
    """Whether definitions are taken."""
    try:
        Journey(*documents, **settings)  # type: ignore[arg-type]
    except InvalidDefinitions:
        return False
    return True


def counts_performed(number: int) -> Document:
    return {"operator": "performed", "value": {"event_type": "go", "min_count": number}}


def cap_of(number: int) -> Document:
    return {"channel": "email", "max": number, "per_hours": 24}


def nested(depth: int) -> Json:
    value: Json = 1
    for _ in range(depth):
        value = {"a": value}
    return value


ROWS: Final = (
    # What comes in
    Boundary("2", "event_id: known for 24 h", 24 * H, 1, 2, 2, repeated),
    Boundary("2", "5 minutes ahead of now", 5 * MINUTE_MS, False, False, True, clamped),
    Boundary("2", "max_event_age_hours: 72", 72 * H, [], [], ["event_too_old"], too_old),
    # What is remembered
    Boundary("3, 12", "a session's gap of 30 minutes", 30 * MINUTE_MS, 1, 0, 0, events_of_session),
    Boundary("4", "session_threshold: duration_minutes 10", 10 * MINUTE_MS, 0, 1, 1, minutes_of_session),
    Boundary("3", "a visitor is forgotten after 90 days", 90 * DAY_MS, True, False, False, visitor_is_known),
    Boundary("3", "90 days of inactivity make churned", 90 * DAY_MS, "lead", "churned", "churned", stage),
    Boundary("3", "data_grace_minutes: 10", 10 * MINUTE_MS, (1, []), (0, ["no_address"]), (0, ["no_address"]), data_grace),
    Boundary("3", "the score halves in 14 days, and is compared after rounding to 6 decimals", 14 * DAY_MS + 70, 1, 0, 0, decayed),
    Boundary("12", "CRM events out of order: the later occurred_at wins", H, "first", "second", "second", attribute_of),
    Boundary("12", "customer_deleted: later events begin a new customer", H, False, False, True, counts_behind_the_deletion),
    # Triggers
    Boundary("4", "cooldown_hours: 24", 24 * H, 1, 2, 2, lambda at: starts(("signup", 0), ("signup", at), on=signup(cooldown_hours=24), allow_multiple_executions=True)),
    Boundary("4", "event_sequence: within_minutes 10", 10 * MINUTE_MS, 1, 0, 0, lambda at: starts(("a", 0), ("b", at), on=sequence("a", "b", within_minutes=10))),
    Boundary("4", "frequency_threshold: time_window_minutes 60", 60 * MINUTE_MS, 1, 0, 0, lambda at: starts(("a", 0), ("a", 1), ("a", at), on=frequency("a", 3, 60))),
    Boundary("4", "frequency_threshold: time_window_minutes 60, unless said", 60 * MINUTE_MS, 1, 0, 0, lambda at: starts(("a", 0), ("a", 1), ("a", at), on=FREQUENT)),
    Boundary("4", "inactivity_hours: 24, unless said", 24 * H, 0, 1, 1, lambda at: starts(("page_viewed", 0), on=SILENT, until=at)),
    Boundary("4", "inactivity_hours: 24, by time", 24 * H, 0, 1, 1, lambda at: starts(("page_viewed", 0), on=silence(24), until=at)),
    Boundary("4", "inactivity_hours: 24, broken by an event", 24 * H, 0, 1, 1, lambda at: starts(("page_viewed", 0), ("page_viewed", at), on=silence(24))),
    Boundary("4", "absence: within_minutes 60, by time", H, 0, 1, 1, lambda at: starts(("cart_updated", 0), on=absence("cart_updated", "order_completed", 60), until=at)),
    Boundary("4", "absence: within_minutes 60, the second event", H, 0, 1, 1, lambda at: absence_started(occurs=at)),
    Boundary("4", "absence: a second from the first's time on cancels", 0, 1, 0, 0, lambda at: absence_started(occurs=at)),
    Boundary("12", "absence: a second from after the deadline, come early", H, 0, 0, 1, lambda at: absence_started(occurs=at, arrives=H - MINUTE_MS)),
    Boundary("4", "a deadline in the past is set 5 minutes ahead", H, [after(1)], [after(5 * MINUTE_MS)], [after(5 * MINUTE_MS)], late_absence),
    Boundary("4", "schedule: cron at 10:00", H, 0, 1, 1, lambda at: fired_on_time(schedule("0 10 * * *"), at)),
    Boundary("4", "date_attribute: at 10:00", H, 0, 1, 1, lambda at: fired_on_time(dated("day", at="10:00"), at, day="2026-01-01")),
    Boundary("4", "date_attribute: offset_days 2", H, 0, 1, 1, lambda at: fired_on_time(dated("day", at="10:00", offset_days=2), at, day="2025-12-30")),
    Boundary("4", "date_attribute: offset_days -2", H, 0, 1, 1, lambda at: fired_on_time(dated("day", at="10:00", offset_days=-2), at, day="2026-01-03")),
    Boundary("4", "date_attribute: recurring yearly", H, 0, 1, 1, lambda at: fired_on_time(dated("day", at="10:00", recurring="yearly"), at, day="1990-01-01")),
    Boundary("4", "segment_change: time alone", 24 * H, 0, 0, 1, left_segment),
    Boundary("9", "a refusal is recorded once in a UTC day", MIDNIGHT, 1, 2, 2, refusals),
    # Conditions
    Boundary("12", "within_hours: 48", 48 * H, True, True, False, condition(is_("last.order_completed", "within_hours", 48), {})),
    Boundary("12", "not_within_hours: 48", 48 * H, False, False, True, condition(is_("last.order_completed", "not_within_hours", 48), {})),
    Boundary("4", "performed: within_hours 48", 48 * H, True, True, False, condition({"operator": "performed", "value": {"event_type": "order_completed", "within_hours": 48}}, {})),
    Boundary("4", "before", H, True, False, False, condition(is_("last.look", "before", "2026-01-01T10:00:00Z"), {})),
    Boundary("4", "after", H, False, False, True, condition(is_("last.look", "after", "2026-01-01T10:00:00Z"), {})),
    # Settings of a workflow
    Boundary("4", "re_entry: after_hours 24 from the start", 24 * H, 1, 2, 2, re_entry(0, after_hours=24, **{"from": "started"})),
    Boundary("4", "re_entry: after_hours 24 from the last send", 24 * H, 1, 2, 2, re_entry(2 * H, after_hours=24, **{"from": "last_send"})),
    Boundary("4", "re_entry: after_hours 24 from the end", 24 * H, 1, 2, 2, re_entry(3 * H, after_hours=24, **{"from": "ended"})),
    Boundary("12", "re_entry: after_hours 0 from the end, unless said", 3 * H, 1, 2, 2, re_entry(0)),
    Boundary("4", "max_execution_time_days: 2", 2 * DAY_MS, [], ["expired"], ["expired"], lambda at: expired(at, max_execution_time_days=2)),
    Boundary("4", "max_execution_time_days: 30, unless said", 30 * DAY_MS, [], ["expired"], ["expired"], expired),
    Boundary("4", "attribution_window_hours: 24", 24 * H, 1, 0, 0, goal_counts),
    Boundary("4", "exit_conditions: time makes one true", 24 * H, [], [], ["exit_condition"], exit_by_time),
    Boundary("4", "execution_timeout_hours: 168", 168 * H, [], ["error"], ["error"], answered),
    # Steps
    Boundary("4", "duration_hours: 24", 24 * H, [], ["p", "mail"], ["p", "mail"], lambda at: waited(wait("p", "mail", duration_hours=24), at)),
    Boundary("12", "durations add up", DAY_MS + H + MINUTE_MS, [], ["p", "mail"], ["p", "mail"], lambda at: waited(wait("p", "mail", duration_days=1, duration_hours=1, duration_minutes=1), at)),
    Boundary("4", "calendar_days: 2, at 08:30", 2 * DAY_MS - 30 * MINUTE_MS, [], ["p", "mail"], ["p", "mail"], lambda at: waited(wait("p", "mail", calendar_days=2, at="08:30"), at)),
    Boundary("4", "target_time: 11:00", 2 * H, [], ["p", "mail"], ["p", "mail"], lambda at: waited({"id": "p", "type": "wait", "configuration": {"type": "until_time", "target_time": "11:00"}, "next_steps": ["mail"]}, at)),
    Boundary("12", "until_time is strictly after now", 0, [after(0)], [after(DAY_MS)], [after(DAY_MS)], next_nine),
    Boundary("4", "target_date", 2 * H, [], ["p", "mail"], ["p", "mail"], lambda at: waited({"id": "p", "type": "wait", "configuration": {"type": "until_date", "target_date": "2026-01-01T11:00:00Z"}, "next_steps": ["mail"]}, at)),
    Boundary("4", "until_event: timeout_hours 6", 6 * H, [], ["p", "timeout"], ["p", "timeout"], lambda at: waited(until_event("p", "go", "mail", timeout_hours=6, timeout_next_step="timeout"), at)),
    Boundary("12", "until_event: the event against the timeout", 6 * H, ["p", "mail"], ["p", "timeout"], ["p", "timeout"], lambda at: waited(until_event("p", "go", "mail", timeout_hours=6, timeout_next_step="timeout"), DAY_MS, ("go", at))),
    Boundary("4", "until_event: events from its beginning on", H, ["p"], ["p", "u", "mail"], ["p", "u", "mail"], wait_sees),
    Boundary("4", "until_condition: timeout_hours 6", 6 * H, [], ["p", "timeout"], ["p", "timeout"], lambda at: waited(until_condition("p", is_("plan", "exists"), "mail", timeout_hours=6, timeout_next_step="timeout"), at)),
    Boundary("4", "until_condition: check_interval_hours 6, unless said", 6 * H, [], ["p", "mail"], ["p", "mail"], checked),
    Boundary("4", "until_condition: time makes it true", 24 * H, [], [], ["p", "mail"], lambda at: waited(until_condition("p", is_("last.signup", "not_within_hours", 24), "mail"), at)),
    Boundary("4", "grace_hours: 24", 24 * H, 1, 1, 0, overdue),
    # When a message goes
    Boundary("6", "delay_hours: 6", 6 * H, 0, 1, 1, lambda at: delayed_mail(at, 6)),
    Boundary("6", "business hours end at 17:00", 8 * H, AT_ONCE_OR_LATER, [after(24 * H)], [after(24 * H)], lambda at: sent(at, {"business_hours_only": True, "optimize": False})),
    Boundary("6", "business hours begin at 09:00", 24 * H, [after(24 * H)], AT_ONCE_OR_LATER, AT_ONCE_OR_LATER, lambda at: sent(at, {"business_hours_only": True, "optimize": False})),
    Boundary("6", "the weekend begins", MIDNIGHT + DAY_MS, AT_ONCE_OR_LATER, [after(MIDNIGHT + 3 * DAY_MS)], [after(MIDNIGHT + 3 * DAY_MS)], lambda at: sent(at, {"avoid_weekends": True, "optimize": False})),
    Boundary("6", "the weekend ends", MIDNIGHT + 3 * DAY_MS, [after(MIDNIGHT + 3 * DAY_MS)], AT_ONCE_OR_LATER, AT_ONCE_OR_LATER, lambda at: sent(at, {"avoid_weekends": True, "optimize": False})),
    Boundary("6", "the best hours 9 and 10 end", 2 * H, AT_ONCE_OR_LATER, [after(5 * H)], [after(5 * H)], lambda at: sent(at, {"optimize": True})),
    Boundary("6", "the best hour 14 begins", 5 * H, [after(5 * H)], AT_ONCE_OR_LATER, AT_ONCE_OR_LATER, lambda at: sent(at, {"optimize": True})),
    Boundary("6", "the best hour 14 ends", 6 * H, AT_ONCE_OR_LATER, [after(7 * H)], [after(7 * H)], lambda at: sent(at, {"optimize": True})),
    Boundary("6", "the best hour 16 begins", 7 * H, [after(7 * H)], AT_ONCE_OR_LATER, AT_ONCE_OR_LATER, lambda at: sent(at, {"optimize": True})),
    Boundary("6", "the best hour 16 ends", 8 * H, AT_ONCE_OR_LATER, [after(24 * H)], [after(24 * H)], lambda at: sent(at, {"optimize": True})),
    Boundary("6", "the best hour 9 begins", 24 * H, [after(24 * H)], AT_ONCE_OR_LATER, AT_ONCE_OR_LATER, lambda at: sent(at, {"optimize": True})),
    Boundary("6", "at 10:30 begins", 90 * MINUTE_MS, [after(90 * MINUTE_MS)], AT_ONCE_OR_LATER, AT_ONCE_OR_LATER, lambda at: sent(at, {"at": "10:30", "optimize": False})),
    Boundary("12", "at 10:30 is that minute", 91 * MINUTE_MS, AT_ONCE_OR_LATER, [after(DAY_MS + 90 * MINUTE_MS)], [after(DAY_MS + 90 * MINUTE_MS)], lambda at: sent(at, {"at": "10:30", "optimize": False})),
    Boundary("4", "quiet_hours: start 22:00 is quiet", 13 * H, AT_ONCE_OR_LATER, [after(23 * H)], [after(23 * H)], lambda at: sent(at, {"send_immediately": True}, quiet_hours={"start": "22:00", "end": "08:00"})),
    Boundary("4", "quiet_hours: end 08:00 is not", 23 * H, [after(23 * H)], AT_ONCE_OR_LATER, AT_ONCE_OR_LATER, lambda at: sent(at, {"send_immediately": True}, quiet_hours={"start": "22:00", "end": "08:00"})),
    Boundary("4", "quiet_hours: a window belongs to the day it starts on", -H, [after(-H)], AT_ONCE_OR_LATER, AT_ONCE_OR_LATER, lambda at: sent(at, {"send_immediately": True}, quiet_hours={"start": "22:00", "end": "08:00", "days": ["wed"]})),
    Boundary("4", "quiet_hours: and to no other", MIDNIGHT - 2 * H, AT_ONCE_OR_LATER, [after(23 * H)], [after(23 * H)], lambda at: sent(at, {"send_immediately": True}, quiet_hours={"start": "22:00", "end": "08:00", "days": ["thu", "wed"]})),
    Boundary("6", "expires_after_hours: 5", 5 * H, ["sent"], ["expired"], ["expired"], lambda at: message_expires(at, expires_after_hours=5)),
    Boundary("6", "expires_after_hours: 168, unless said", 168 * H, ["sent"], ["expired"], ["expired"], message_expires),
    Boundary("6", "frequency_caps: per_hours 24", 24 * H, 0, 1, 1, capped_count),
    Boundary("12", "frequency_caps: delay to the first millisecond with room", 24 * H, False, True, True, capped_delay),
    Boundary("6", "spacing after an email: 2 h", 2 * H, 1, 2, 2, lambda at: spacing(("email", "sms"), at)),
    Boundary("6", "spacing after an sms: 6 h", 6 * H, 1, 2, 2, lambda at: spacing(("sms", "social"), at)),
    Boundary("6", "spacing after a push: 1 h", H, 1, 2, 2, lambda at: spacing(("push", "sms"), at)),
    Boundary("6", "spacing after a social message: 4 h", 4 * H, 1, 2, 2, lambda at: spacing(("social", "sms"), at)),
    Boundary("6", "channel_spacing_hours: 3 after an email", 3 * H, 1, 2, 2, lambda at: spacing(("email", "sms"), at, channel_spacing_hours={"email": 3})),
    Boundary("4", "an effect is compared with late events for 72 h", 72 * H, 1, 1, 0, told_late),
    Boundary("6", "answers halve in 90 days", 90 * DAY_MS, "more", "half", "less", halved_answers),
)  # fmt: skip


NUMBERS: Final = (
    Boundary("2", "the last 64 ids", 64, 1, 2, 2, repeated_after_others),
    Boundary("2", "customer_id: 255 characters", 255, True, True, False, lambda n: read(customer_id="x" * n)),
    Boundary("2", "anonymous_id: 255 characters", 255, True, True, False, of_visitor),
    Boundary("2", "type: 255 characters", 255, True, True, False, of_type),
    Boundary("2", "event_id: 255 characters", 255, True, True, False, lambda n: read(event_id="x" * n)),
    Boundary("2", "customer_id: a character", 1, False, True, True, lambda n: read(customer_id="x" * n)),
    Boundary("2", "anonymous_id: a character", 1, False, True, True, of_visitor),
    Boundary("2", "type: a character", 1, False, True, True, of_type),
    Boundary("2", "event_id: a character", 1, False, True, True, lambda n: read(event_id="x" * n)),
    Boundary("2", "properties: 64 KiB", 64 * 1024, True, True, False, lambda n: read(properties={"a": "x" * (n - len('{"a":""}'))})),
    Boundary("2", "properties: 64 levels", 64, True, True, False, lambda n: read(properties=nested(n))),
    Boundary("3", "the last 20 events", 20, 19, 20, 20, recent),
    Boundary("3", "200 attributes", 200, 199, 200, 200, attributes),
    Boundary("3", "32 KiB of attributes", 32 * 1024, 1, 1, 0, attribute_bytes),
    Boundary("3", "200 event types counted", 200, True, True, False, counted_types),
    Boundary("3", "50 open executions", 50, [], [], ["max_concurrent_executions"], open_executions),
    Boundary("3", "200 execution keys", 200, [], [], ["execution_keys"], execution_keys),
    Boundary("4, 12", "execution_key: a character", 1, ["no_key"], [], [], key_of),
    Boundary("4, 12", "execution_key: 255 characters, as an id", 255, [], [], ["no_key"], key_of),
    Boundary("3", "a purchase makes a customer", 1, "lead", "customer", "customer", purchases),
    Boundary("3", "engagement_score: 100 at most", 4, False, True, True, lambda n: score_is(100, ("order_completed", n))),
    Boundary("3", "engagement_score: 0 at least, and the sum below it isn't forgotten", 20, True, True, False, lambda n: score_is(0, ("email_unsubscribed", 1), ("page_viewed", n))),
    Boundary("3", "five purchases make an advocate", 5, "customer", "advocate", "advocate", purchases),
    Boundary("4", "frequency_threshold: min_frequency 3, reached once", 3, 0, 1, 1, counted("a", frequency("a", 3, 60))),
    Boundary("4", "frequency_threshold: min_frequency 3, unless said", 3, 0, 1, 1, counted("a", FREQUENT)),
    Boundary("4", "min_engagement_score: 50, unless said", 50, 0, 1, 1, lambda n: views(n, KEEN)),
    Boundary("4", "max_executions: 2", 2, [], [], ["max_executions"], places),
    Boundary("4", "priority of a trigger: 50, unless said", 50, "w", "a", "a", lambda n: first_of(workflow(id="a", on=[signup(priority=n)]))),
    Boundary("4", "priority of a workflow: 50, unless said", 50, "w", "a", "a", lambda n: first_of(workflow(id="a", priority=n))),
    Boundary("4", "eq 5", 5, False, True, False, holds("eq", 5)),
    Boundary("4", "ne 5", 5, True, False, True, holds("ne", 5)),
    Boundary("4", "gt 5", 5, False, False, True, holds("gt", 5)),
    Boundary("4", "gte 5", 5, False, True, True, holds("gte", 5)),
    Boundary("4", "lt 5", 5, True, False, False, holds("lt", 5)),
    Boundary("4", "lte 5", 5, True, True, False, holds("lte", 5)),
    Boundary("12", "between 5 and 9 includes 5", 5, False, True, True, holds("between", [5, 9])),
    Boundary("12", "between 5 and 9 includes 9", 9, True, True, False, holds("between", [5, 9])),
    Boundary("4, 7", "holdout_percent: places below it", place_of("holdout:w"), 1, 1, 0, lambda n: held_out(n / 100, 0)),
    Boundary("4, 7", "global_holdout_percent: places below it", place_of("holdout"), 1, 1, 0, lambda n: held_out(0, n / 100)),
    Boundary("4, 7", "split_test: places below the first weight", place_of("w:d"), "other", "other", "mail", split),
    Boundary("7", "traffic_split: places below the control's share", place_of("x"), "v", "v", "w", assigned),
    Boundary("4", "max_execution_time_days: 2, against the shortest path", 48, True, True, False, lambda n: valid(workflow(wait("p", duration_hours=n), max_execution_time_days=2))),
    Boundary("4", "session_threshold: events 4", 4, 0, 1, 1, counted("page_viewed", session("events", 4))),
    Boundary("4", "session_threshold: pages 4", 4, 0, 1, 1, counted("page_viewed", session("pages", 4))),
    Boundary("4", "min_engagement_score: 12", 12, 0, 1, 1, counted("page_viewed", score(11.99))),
    Boundary("4", "performed: min_count 4", 4, False, True, True, performed),
    Boundary("4", "score_based: min_score 25", 25, "mail", "mail", "other", scored),
    Boundary("3", "min_frequency: 1,000 at most", 1_000, True, True, False, lambda n: valid(workflow(on=[frequency("a", n, 60)]))),
    Boundary("3", "min_value of a session: 1,000 events at most", 1_000, True, True, False, lambda n: valid(workflow(on=[session("events", n)]))),
    Boundary("3", "min_count of performed: 1,000 at most", 1_000, True, True, False, lambda n: valid(workflow(mail(when=counts_performed(n))))),
    Boundary("3", "max of frequency_caps: 1,000 at most", 1_000, True, True, False, lambda n: valid(workflow(), frequency_caps=[cap_of(n)])),
    Boundary("6", "frequency_caps: max 3", 3, [], [], ["frequency_cap"], sends_under_a_cap),
    Boundary("12", "a step entered for the 1,000th time within an instant", 1_000, [], ["loop"], ["loop"], entries),
)  # fmt: skip


def cases() -> Iterator[object]:
    for row in (*ROWS, *NUMBERS):
        sides = {"before": (row.at - 1, row.before), "on": (row.at, row.on), "after": (row.at + 1, row.after)}
        for side, (at, expected) in sides.items():
            yield pytest.param(row.probe, at, expected, id=f"SPEC {row.section}: {row.field}, {side}")


@pytest.mark.parametrize(("probe", "at", "expected"), tuple(cases()))
def test_each_line_lies_exactly_where_it_is_drawn(probe: Callable[[int], object], at: int, expected: object) -> None:
    """What is so just before a line, on it, and just after."""
    assert probe(at) == expected


@pytest.mark.parametrize("row", [*ROWS, *NUMBERS], ids=lambda row: f"SPEC {row.section}: {row.field}")
def test_each_row_can_fail(row: Boundary) -> None:
    """A row whose three answers are one would hold wherever the line lay."""
    assert not row.before == row.on == row.after
