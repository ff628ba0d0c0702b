"""What a shadow remembers before it has folded anything."""

from pathlib import Path

import msgspec

from agents.catalogues import Catalogues
from agents.comparing import ALWAYS, Span
from agents.customers import POSITION_KEY, Position
from agents.replaying import SLICE, Reach, ReplayPlan, Shadow, asked_about
from agents.snapshots import Snapshot, load_snapshot, save_snapshot
from agents.world import LogRecord
from journeys.validation import definitions_from_documents
from schemas.topics import OUTBOUND_TOPICS
from streams.connection import Connection

TOPIC = bytes(16)
NOWHERE = Connection(bootstrap_servers="127.0.0.1:1")


def shadow(folder: Path | None, end: int, within: Span = ALWAYS) -> Shadow:
    plan = ReplayPlan(connection=NOWHERE, prefix="t-", partitions=1, topic_id=TOPIC, snapshots=folder, within=within)
    reach = Reach(log_start=0, log_end=end, position=end, outputs=dict.fromkeys(OUTBOUND_TOPICS, (0, 0)))
    return Shadow(plan, 0, reach, Catalogues(NOWHERE, "t-", definitions_from_documents))


def test_a_snapshot_from_which_nothing_was_folded_is_saved_as_it_was(tmp_path: Path) -> None:
    """Its position and its version of the definitions stay, so that who goes on from it stands where it was made."""
    memory = {POSITION_KEY: msgspec.json.encode(Position(next_offset=10, catalogue=3))}
    nothing = dict.fromkeys(OUTBOUND_TOPICS, 0)
    made = Snapshot(topic_id=TOPIC, partition=0, next_offset=10, compared=nothing, same=nothing, memory=memory)
    save_snapshot(tmp_path, made)
    begun = shadow(tmp_path, 10)
    assert begun.memory() == memory
    begun.save()
    assert load_snapshot(tmp_path, 0, TOPIC) == made


def test_what_came_out_again_before_a_snapshot_counts_only_where_everything_is_asked_about(tmp_path: Path) -> None:
    """Of a span of time nobody can say how much of it lies before the snapshot: it tells how many, and not when."""
    nothing, three = dict.fromkeys(OUTBOUND_TOPICS, 0), dict.fromkeys(OUTBOUND_TOPICS, 3)
    made = Snapshot(topic_id=TOPIC, partition=0, next_offset=10, compared=nothing, same=three, memory={})
    save_snapshot(tmp_path, made)
    whole, later = shadow(tmp_path, 10), shadow(tmp_path, 10, Span(since=1, until=2))
    assert {one.same for one in whole.comparisons.values()} == {3}
    assert {one.same for one in later.comparisons.values()} == {0}


def test_a_log_of_which_nothing_was_folded_stands_at_its_beginning() -> None:
    """Without a snapshot the memory of nothing has a position too: whoever stores it can be gone on from."""
    position = msgspec.json.decode(shadow(None, 10).memory()[POSITION_KEY], type=Position)
    assert position.next_offset == 0


def records(*customers: str, start: int = 0) -> list[LogRecord]:
    """Return records of customers, one after the other; `-` is a mark."""
    keys = [None if name == "-" else f"c:{name}".encode() for name in customers]
    return [LogRecord(start + place, 0, key, b"{}", ()) for place, key in enumerate(keys)]


def test_of_others_than_asked_about_nothing_is_folded_but_marks() -> None:
    plan = ReplayPlan(connection=NOWHERE, prefix="t-", partitions=1, topic_id=TOPIC, customers=(b"c:ada",))
    read = [records("ada", "bob", "-"), records("bob", start=3), records("ada", start=4)]
    assert [[record.offset for record in some] for some in asked_about(plan, read)] == [[0, 2, 4]]


def test_a_slice_begins_with_the_first_offset_that_is_asked_about() -> None:
    """What is before it is folded by itself, however it was read; no slice is longer than it may be."""
    plan = ReplayPlan(connection=NOWHERE, prefix="t-", partitions=1, topic_id=TOPIC, offsets=(3, 9_999))
    read = [records("ada", "bob"), records(*("ada",) * (SLICE + 10), start=2)]
    found = [[record.offset for record in some] for some in asked_about(plan, read)]
    assert [(some[0], len(some)) for some in found] == [(0, 3), (3, SLICE), (SLICE + 3, 9)]
