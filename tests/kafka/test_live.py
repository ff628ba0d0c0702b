"""Time passes by itself: timers fire when they are due, and never before what would have cancelled them was read."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from schemas.instants import HOUR_MS, MINUTE_MS, Millis, format_instant, parse_instant
from tests.journey import Document, absence, mail, silence, step, trigger, wait, workflow
from tests.kafka.broker import KafkaUnderTest
from tests.kafka.live import Live, Seen
from tidings.clock import wall_ms
from tidings.supervisor import RestartPolicy, Supervisor

SHORT_MS = 4_000
SHORT_MINUTES = SHORT_MS / MINUTE_MS
PEOPLE = 8
MOST_LATE_MS = 5_000
"""Nobody else's work on this machine makes it longer; `bench timers` measures what it is."""
HELLO: Document = {"kind": "template", "id": "hello", "subject_template": "Hello", "content_template": "<p>Hi</p>"}
NAMES = ("at-once", "later", "abandoned", "silent")


@pytest.fixture
def live(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[Live]:
    with Supervisor(tmp_path / "log", policy=RestartPolicy(most_restarts=1_000)) as supervisor:
        yield Live(kafka, prefix, tmp_path, supervisor)


SHORT_WAITS = [
    workflow(id="at-once"),
    workflow(wait("pause", "mail", duration_minutes=SHORT_MINUTES), mail(), id="later"),
    workflow(
        on=[absence("cart_updated", "order_completed", SHORT_MINUTES)], id="abandoned", allow_multiple_executions=True
    ),
    workflow(on=[silence(SHORT_MS / HOUR_MS)], id="silent"),
]


def test_time_passes_by_itself_and_stands_still_while_nobody_reads(live: Live) -> None:
    """Sends go out when they are due; what would cancel one keeps it back though nobody has read it in time."""
    live.apply("first", [*SHORT_WAITS, HELLO])
    live.start("ingest")
    live.start("worker")
    with live.watched():
        # One comes alone, so that her partition has no traffic but her own.
        live.publish("signup", "alone")
        live.wait(lambda: len(live.sends("later")) == 1, "the first to come is mailed twice")
        for number in range(PEOPLE):
            live.publish("signup", f"c{number}")
            live.publish("cart_updated", f"c{number}")
        live.wait(lambda: len(live.sends("abandoned")) == PEOPLE, "carts are seen to be left")
        live.wait(lambda: len(live.sends("silent")) == PEOPLE + 1, "everybody has fallen silent")
        report(one for one in live.seen if one.customer_id != "alone")
        late = [one for one in live.seen if one.late_ms > MOST_LATE_MS and one.customer_id != "alone"]

        the_ingest_is_away(live)
        everybody_is_away(live)
    assert [one for one in live.seen if one.late_ms < 0] == []
    assert late == []
    assert len({one.send_id for one in live.seen}) == len(live.seen)
    live.stop("ingest", "worker")
    said = live.say("replay")
    assert "sends came out again" in said, said
    assert "differ" not in said, said


def the_ingest_is_away(live: Live) -> None:
    """The worker goes on alone, and an order that it can't know of comes before the time of the cart is over."""
    live.publish("cart_updated", "buyer")
    live.publish("cart_updated", "leaver")
    live.wait(live.all_is_ingested, "the carts are read")
    live.stop("ingest")
    stopped_at = wall_ms()
    live.publish("order_completed", "buyer")
    live.wait(lambda: wall_ms() > stopped_at + 2 * SHORT_MS, "the time of the carts is over")
    assert live.sends("abandoned", "leaver") == []
    live.start("ingest")
    live.wait(lambda: bool(live.sends("abandoned", "leaver")), "who left her cart is told in the end")
    assert live.sends("abandoned", "buyer") == []


def everybody_is_away(live: Live) -> None:
    """Both are stopped for more than a minute: a cart and its order fall into it, and the beginning of quiet hours."""
    target = ((wall_ms() + 30_000) // MINUTE_MS + 1) * MINUTE_MS
    until = step("until", "wait", ["mail"], {"type": "until_time", "target_time": clock(target)})
    on_the_minute = workflow(until, mail(), id="on-the-minute", on=[trigger("checkout_started")])
    live.apply("second", [*SHORT_WAITS, on_the_minute, HELLO])
    quiet: Document = {"start": clock(target), "end": clock(target + 2 * HOUR_MS)}
    live.publish("customer_updated", "sleeper", topic="crm-events", preferences={"quiet_hours": quiet})
    live.publish("checkout_started", "waker")
    live.wait(lambda: wall_ms() > target - 2 * SHORT_MS, "quiet hours begin soon")
    live.publish("signup", "sleeper")
    live.wait(lambda: bool(live.sends("at-once", "sleeper")), "who will sleep is mailed before")
    live.stop("ingest", "worker")
    live.publish("cart_updated", "shopper")
    live.publish("order_completed", "shopper")
    live.wait(lambda: wall_ms() > target + MINUTE_MS, "what fell due is more than a minute late")
    live.start("worker")
    live.start("ingest")
    live.wait(lambda: bool(live.sends("on-the-minute", "waker")), "who has no quiet hours is mailed")
    live.publish("signup", "last")
    live.wait(lambda: bool(live.sends("later", "last")), "time goes on")
    assert live.sends("abandoned", "shopper") == []
    assert live.sends("later", "sleeper") == []
    [woken] = live.sends("on-the-minute", "waker")
    assert parse_instant(woken.send_at) > target + MINUTE_MS


def clock(instant: Millis) -> str:
    """Return the time of day in UTC."""
    return format_instant(instant)[11:16]


def report(seen: Iterable[Seen]) -> None:
    """Print how late sends could be read."""
    noted = list(seen)
    for name in NAMES:
        late = sorted(one.late_ms for one in noted if one.workflow_id == name)
        print(f"{name}: {', '.join(map(str, late))} ms after they were due")  # noqa: T201 -- a figure for who looks
