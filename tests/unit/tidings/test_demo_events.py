"""The purchases of the demo as events."""

from datetime import date
from pathlib import Path

import msgspec
import pytest

from schemas.instants import local
from tidings.demo.events import ordered_at, write_events, zone_of
from tidings.demo.purchases import Purchase, PurchasesError, read_purchases
from tidings.event_file import read_lines

LINES = """ customer_id  date number_of_cds  dollar_value\r
 00001 19970101  1   11.77\r
 00002 19970112  1   12.00\r
 00002 19970112  5   77.00\r
 00003 19970102  2   20.76\r
 00003 19970406  2   20.76\r
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "purchases.txt"
    path.write_text(LINES)
    return path


def test_every_line_is_a_purchase_and_the_heading_is_none(data: Path) -> None:
    purchases = read_purchases(data)

    assert len(purchases) == 5
    assert purchases[2] == Purchase("00002", date(1997, 1, 12), 5, 7_700)


def test_only_the_first_customers_are_read_when_asked(data: Path) -> None:
    assert {purchase.customer for purchase in read_purchases(data, customers=2)} == {"00001", "00002"}


@pytest.mark.parametrize("line", ["00001 19970101 1", "00001 19971301 1 2.00", "00001 19970101 x 2.00", "\N{BOMB}"])
def test_a_file_of_another_kind_is_refused_with_its_name(tmp_path: Path, line: str) -> None:
    path = tmp_path / "other.txt"
    path.write_text(line)

    with pytest.raises(PurchasesError, match=r"other\.txt doesn't hold the CDNOW purchases"):
        read_purchases(path)


def test_without_purchases_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PurchasesError, match="make setup"):
        read_purchases(tmp_path / "nothing.txt")


def test_there_is_one_event_a_purchase_and_one_a_customer_all_valid_and_in_the_order_of_time(
    data: Path, tmp_path: Path
) -> None:
    events, again = tmp_path / "events.ndjson", tmp_path / "again.ndjson"
    count = write_events(events, read_purchases(data), lambda _done, _all: None)
    write_events(again, read_purchases(data), lambda _done, _all: None)

    lines = [line.event for line in read_lines(events)]
    occurred = [line.occurred_at for line in lines if line is not None]
    assert count == len(lines) == len(occurred) == 8
    assert occurred == sorted(occurred)
    assert len({line.event_id for line in lines if line is not None}) == 8
    assert again.read_bytes() == events.read_bytes()


def test_a_customer_is_known_before_she_buys(data: Path, tmp_path: Path) -> None:
    write_events(tmp_path / "events.ndjson", read_purchases(data), lambda _done, _all: None)

    known: set[str] = set()
    for line in (tmp_path / "events.ndjson").read_bytes().splitlines():
        event = msgspec.json.decode(line)
        if event["type"] == "customer_updated":
            known.add(event["customer_id"])
            assert event["properties"]["email"].endswith("@example.com")
        assert event["customer_id"] in known


@pytest.mark.parametrize("day", [date(1997, 4, 6), date(1997, 10, 26), date(1998, 4, 5)])
def test_an_order_stays_on_its_local_day_when_the_clock_changes_too(day: date) -> None:
    for number in range(300):
        order = Purchase(f"{number:05}", day, 1, 100)
        zone = zone_of(order.customer)

        assert local(ordered_at(order, 1, zone), zone).date() == day
