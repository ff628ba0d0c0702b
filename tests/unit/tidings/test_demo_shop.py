"""The shop of the demo against counts made in another way: plain Python over the purchases, without the engine."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from journeys.catalogue import compile_catalogue
from schemas.events import Json
from tidings.definitions_folder import load_folder
from tidings.demo.events import write_events
from tidings.demo.findings import Findings
from tidings.demo.purchases import read_purchases
from tidings.demo.story import lines_of, tell
from tidings.event_file import read_lines
from tidings.services.kafka_files import CHECKOUT
from tidings.simulation import simulate

CUSTOMERS = 600
Record = dict[str, Json]


class Shop(msgspec.Struct, kw_only=True):
    """What went in, by customer, and what came out."""

    orders: dict[str, list[datetime]]
    records: list[Record]
    findings: Findings
    events_file: Path
    records_file: Path

    @property
    def end(self) -> datetime:
        return max(instant for instants in self.orders.values() for instant in instants)

    def decided(self, kind: str, workflow: str, reason: str | None = None) -> list[tuple[str, datetime]]:
        return [
            (str(record["customer_id"]), instant(record["at"]))
            for record in self.records
            if (record.get("kind"), record["workflow_id"], record.get("reason")) == (kind, workflow, reason)
        ]

    def mails(self, template: str) -> list[tuple[str, datetime]]:
        return [
            (str(record["customer_id"]), instant(record["send_at"]))
            for record in self.records
            if record.get("template_id") == template
        ]


def instant(text: Json) -> datetime:
    return datetime.fromisoformat(str(text))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    events, records = folder / "events.ndjson", folder / "records.ndjson"
    purchases = read_purchases(CHECKOUT / ".cache" / "cdnow" / "CDNOW_master.txt", CUSTOMERS)
    write_events(events, purchases, lambda _done, _all: None)
    definitions = load_folder(CHECKOUT / "examples" / "shop").definitions
    assert definitions is not None
    findings = Findings()
    with records.open("wb") as file:

        def write(record: bytes) -> None:
            file.write(record)
            findings.take(record)

        simulate(compile_catalogue(definitions, number=1), read_lines(events), until=None, write=write)
    orders: dict[str, list[datetime]] = defaultdict(list)
    for line in events.read_bytes().splitlines():
        event = msgspec.json.decode(line)
        if event["type"] == "order_completed":
            orders[event["customer_id"]].append(instant(event["occurred_at"]))
    return Shop(
        orders=orders,
        records=[msgspec.json.decode(line) for line in records.read_bytes().splitlines()],
        findings=findings,
        events_file=events,
        records_file=records,
    )


def test_the_definitions_are_valid_without_a_warning() -> None:
    loaded = load_folder(CHECKOUT / "examples" / "shop")

    assert (loaded.problems, loaded.warnings) == ((), ())


def test_everybody_is_thanked_once_at_the_moment_of_the_first_order(shop: Shop) -> None:
    assert sorted(shop.mails("shop_thank_you")) == sorted(
        (customer, instants[0]) for customer, instants in shop.orders.items()
    )


def test_three_days_later_everybody_is_welcomed_in_words_that_fit_who_ordered_again(shop: Shop) -> None:
    again = {
        customer
        for customer, instants in shop.orders.items()
        if sum(order < instants[0] + timedelta(days=3) for order in instants) > 1
    }
    assert {customer for customer, _ in shop.mails("shop_welcome_back")} == again
    assert sorted(customer for customer, _ in shop.mails("shop_welcome")) == sorted(shop.orders.keys() - again)


def test_five_orders_in_ninety_days_make_a_regular_once_in_half_a_year(shop: Shop) -> None:
    started, refused = [], set()
    for customer, instants in shop.orders.items():
        last = datetime.min.replace(tzinfo=UTC)
        for number, order in enumerate(instants):
            if sum(order - timedelta(days=90) < other <= order for other in instants[: number + 1]) != 5:
                continue
            if order - last < timedelta(days=180):
                refused.add((customer, order.date()))
            else:
                started.append((customer, order))
                last = order
    assert sorted(shop.decided("execution_started", "vip")) == sorted(started)
    assert {(who, at.date()) for who, at in shop.decided("trigger_refused", "vip", "cooldown")} == refused
    assert len(shop.mails("shop_vip")) >= len(started) - 1


def test_every_silence_of_sixty_days_is_answered_once_or_refused(shop: Shop) -> None:
    silences = sorted(
        (customer, order + timedelta(days=60))
        for customer, instants in shop.orders.items()
        for order, following in pairwise([*instants, shop.end])
        if order + timedelta(days=60) <= following
    )
    started = shop.decided("execution_started", "win-back")
    too_soon = shop.decided("trigger_refused", "win-back", "re_entry")
    active = shop.decided("trigger_refused", "win-back", "already_active")

    assert sorted(started + too_soon + active) == silences


def test_nobody_is_won_back_twice_within_half_a_year_nor_refused_without_that(shop: Shop) -> None:
    mails: dict[str, list[datetime]] = defaultdict(list)
    for template in ("shop_we_miss_you", "shop_offer"):
        for customer, at in shop.mails(template):
            mails[customer].append(at)
    for customer, at in shop.decided("execution_started", "win-back"):
        assert not any(at - timedelta(days=180) < mail < at for mail in mails[customer])
    ended = defaultdict(list)
    for customer, at in shop.decided("execution_ended", "win-back", "completed"):
        ended[customer].append(at)
    for customer, at in shop.decided("trigger_refused", "win-back", "re_entry"):
        assert any(at - timedelta(days=180) < mark <= at for mark in mails[customer] + ended[customer])


def test_every_repeat_order_begins_the_nudge_or_is_refused_on_that_day(shop: Shop) -> None:
    repeats = {(customer, order) for customer, instants in shop.orders.items() for order in instants[1:]}
    started = set(shop.decided("execution_started", "next-record"))
    refused = {
        (customer, at.date())
        for reason in ("already_active", "re_entry")
        for customer, at in shop.decided("trigger_refused", "next-record", reason)
    }
    assert started <= repeats
    assert {(customer, at.date()) for customer, at in repeats - started} == refused


def test_the_split_keeps_its_weights_and_a_customer_her_variant(shop: Shop) -> None:
    variants: dict[str, set[str]] = defaultdict(set)
    for record in shop.records:
        given = record.get("variants")
        if record["record"] == "send" and isinstance(given, dict) and given:
            variants[str(record["customer_id"])].add(str(given["which_idea"]))
    assert all(len(seen) == 1 for seen in variants.values())
    counts = Counter(next(iter(seen)) for seen in variants.values())
    for name, weight in {"new arrivals": 0.5, "staff picks": 0.3, "free shipping": 0.2}.items():
        # Four standard deviations.
        assert abs(counts[name] / len(variants) - weight) < 4 * (weight * (1 - weight) / len(variants)) ** 0.5


def test_the_report_counts_what_the_records_say(shop: Shop) -> None:
    findings = shop.findings
    sends = [record for record in shop.records if record["record"] == "send"]
    refused = [record for record in shop.records if record.get("kind") == "trigger_refused"]

    assert sum(findings.sends.values()) == len(sends)
    assert sum(findings.refused.values()) == len(refused)
    assert findings.months()[0] == "1997-01"
    assert findings.months() == sorted({str(record["send_at"])[:7] for record in sends})


def test_the_story_holds_every_order_and_every_mail_of_its_customer(shop: Shop) -> None:
    customer = shop.findings.most_eventful()
    assert customer is not None
    definitions = load_folder(CHECKOUT / "examples" / "shop").definitions
    assert definitions is not None
    events, records = lines_of(shop.events_file, customer), lines_of(shop.records_file, customer)

    story = tell(customer, events, records, definitions.workflows)

    assert story.orders == len(shop.orders[customer]) == sum(len(moment.did) for moment in story.moments)
    assert story.messages == sum(": mail " in line for moment in story.moments for line in moment.followed)
    assert [moment.at for moment in story.moments] == sorted({moment.at for moment in story.moments})
