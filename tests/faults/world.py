"""The traffic that faults fall into: orders, carts, opens and words of a CRM, on all three public topics."""

import random  # noqa: TID251 -- seeded
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec

from schemas.instants import DAY_MS, format_instant
from tests.kafka.runs import World, written_world
from tests.kafka.worlds import HELLO, _two_mails
from tests.strategies import BEGIN, Document

CUSTOMERS: Final = 500
# Each public topic is heard often: the merge of an ingest in the clock of the log waits for the quietest.
TYPES: Final = ("order_completed", "cart_updated", "page_viewed", "email_opened", "customer_updated")
RUBBISH: Final = b'{"event_id": "half an event'


def traffic(folder: Path, seed: int, lines: int, defects: Collection[int] = ()) -> World:
    """Write a seed's definitions and events; one line in three hundred is rubbish.

    On the lines of `defects` defective rules raise, each time for somebody else, of whom more comes.
    """
    defective = {number: f"c{place}" for place, number in enumerate(sorted(defects))}
    chance = random.Random(seed)  # noqa: S311 -- not a secret
    at, written = BEGIN, list[bytes]()
    for number in range(lines):
        at += chance.randrange(1, 8_000)
        if number not in defective and chance.random() < 1 / 300:
            written.append(RUBBISH)
            continue
        who = f"c{chance.randrange(CUSTOMERS)}"
        event: Document = {
            "event_id": f"e{number}",
            "type": chance.choice(TYPES),
            "occurred_at": at,
            "customer_id": who,
            "properties": {"email": f"{who}@shop.example", "total": chance.randrange(50)},
        }
        if number in defective:
            who = defective[number]
            event |= {
                "customer_id": who,
                "type": TYPES[0],
                "properties": {"email": f"{who}@shop.example", "defect": True},
            }
        written.append(msgspec.json.encode(event))
    documents = [_two_mails("thanks", "order_completed", several=True), HELLO]
    return written_world(folder, documents, b"\n".join(written) + b"\n", format_instant(at + DAY_MS))
