"""Time passes by itself: timers fire when they are due, and never before what would have cancelled them was read."""

from collections.abc import Iterator
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
NAMES = ("at-once", "later", "abandoned", "silent", "on-the-minute")


@pytest.fixture
def live(kafka: KafkaUnderTest, prefix: str, tmp_path: Path) -> Iterator[Live]:
    with Supervisor(tmp_path / "log", policy=RestartPolicy(most_restarts=1_000)) as supervisor:
        yield Live(kafka, prefix, tmp_path, supervisor)


def documents(target: Millis) -> list[Document]:
    """Write workflows for each way in which time makes somebody due; `target` is a whole minute."""
    at = format_instant(target)[11:16]
    until = step("until", "wait", ["mail"], {"type": "until_time", "target_time": at})
    return [
        workflow(id="at-once"),
        workflow(wait("pause", "mail", duration_minutes=SHORT_MINUTES), mail(), id="later"),
        workflow(
            on=[absence("cart_updated", "order_completed", SHORT_MINUTES)],
            id="abandoned",
            allow_multiple_executions=True,
        ),
        workflow(on=[silence(SHORT_MS / HOUR_MS)], id="silent"),
        workflow(until, mail(), id="on-the-minute", on=[trigger("checkout_started")]),
        HELLO,
    ]


def test_time_passes_by_itself_and_stands_still_while_the_ingest_is_away(live: Live) -> None:
    """Sends go out when they are due; an order that nobody has read yet still keeps back the mail about the cart."""
    target = ((wall_ms() + 20_000) // MINUTE_MS + 1) * MINUTE_MS
    live.apply("definitions", documents(target))
    live.start("ingest")
    live.start("worker")
    with live.watched():
        # One comes alone, so that her partition has no traffic but her own.
        live.publish("signup", "alone")
        live.wait(lambda: len(live.sends("later")) == 1, "the first to come is mailed twice")
        for number in range(PEOPLE):
            live.publish("signup", f"c{number}")
            live.publish("cart_updated", f"c{number}")
            live.publish("checkout_started", f"c{number}")
        live.wait(lambda: len(live.sends("abandoned")) == PEOPLE, "carts are seen to be left")

        live.publish("cart_updated", "buyer")
        live.publish("cart_updated", "leaver")
        live.wait(live.all_is_ingested, "the carts are read")
        live.stop("ingest")
        stopped_at = wall_ms()
        live.publish("order_completed", "buyer", total=5)
        live.wait(lambda: wall_ms() > stopped_at + 2 * SHORT_MS, "the time of the carts is over")
        assert live.sends("abandoned", "leaver") == []
        live.start("ingest")
        live.wait(lambda: bool(live.sends("abandoned", "leaver")), "who left her cart is told in the end")
        returned_at = wall_ms()
        assert live.sends("abandoned", "buyer") == []
        live.wait(lambda: len(live.sends("on-the-minute")) == PEOPLE, "the minute has come")
        live.wait(lambda: len(live.sends("silent")) == PEOPLE + 3, "everybody has fallen silent")
    assert live.sends("abandoned", "buyer") == []
    assert {parse_instant(one.send_at) for one in live.sends("on-the-minute")} == {target}
    on_time = [one for one in live.seen if not stopped_at <= one.at <= returned_at and one.customer_id != "alone"]
    report(on_time)
    assert [one for one in live.seen if one.late_ms < 0] == []
    assert [one for one in on_time if one.late_ms > MOST_LATE_MS and one.workflow_id != "silent"] == []
    assert len({one.send_id for one in live.seen}) == len(live.seen)


def report(seen: list[Seen]) -> None:
    """Print how late sends could be read."""
    for name in NAMES:
        late = sorted(one.late_ms for one in seen if one.workflow_id == name)
        print(f"{name}: {', '.join(map(str, late))} ms after they were due")  # noqa: T201 -- a figure for who looks
