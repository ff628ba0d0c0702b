"""`tidings status` in words that somebody understands who doesn't know the code."""

import msgspec
import pytest

from agents.catalogues import StoredCatalogue, StoredVersion
from schemas.instants import HOUR_MS
from schemas.staging import Backfill
from tests.journey import START, after
from tidings.commands.status import as_lines, duration_in_words, what_to_do
from tidings.seeing.asking import Samples
from tidings.seeing.health import Health
from tidings.seeing.report import InForce, Inside, Keeping, LastDecision, Letters, Report, Seen, in_force, inside

QUIET = Inside(
    customers=3,
    timers_due=1,
    timers_overdue=0,
    timers_delay_seconds=0.0,
    time_behind_seconds=0.2,
    clock_ahead_seconds=0.0,
    customers_held=0,
    records_held=0,
    customers_quarantined=0,
)
WELL = Report(
    kafka="k:9092",
    prefix="shop.",
    at="2026-03-02T09:00:00.000Z",
    processes=[Seen(name="worker", url="http://h:1", pid=7, health=Health(ok=True, state="working", reasons=[]))],
    ingest=Keeping(1, 0),
    worker=Keeping(2, 0),
    definitions=InForce(
        version=4, since="2026-03-01T09:00:00.000Z", mode="pin", workflows=["welcome"], partitions_waiting=0
    ),
    stopped=[],
    stopped_differs=False,
    last_decision=LastDecision(at="2026-03-02T08:59:48.000Z", kind="send_published", workflow_id="welcome"),
    dead_letters=Letters(kept=0),
    inside=QUIET,
)


def told(**changed: object) -> dict[str, str]:
    """Return what is said, by label."""
    return dict(as_lines(msgspec.structs.replace(WELL, **changed)))


def test_where_all_is_well_it_reads_so() -> None:
    assert told() == {
        "Kafka": "k:9092, topics shop.…",
        "Processes": "worker (pid 7), http://h:1: ready",
        "Ingest": "1 running, all taken in",
        "Worker": "2 running, all decided",
        "Definitions": "version 4 since 2026-03-01T09:00:00.000Z (pin): welcome",
        "Stopped": "nothing",
        "Decisions": "the last 12 s ago: send_published in welcome",
        "Timers": "1 customer with something due at some time, none overdue",
        "Clock": "that of Kafka",
        "Waiting": "nobody",
        "Dead letters": "none",
    }
    assert what_to_do(WELL) == []


@pytest.mark.parametrize(
    ("changed", "label", "words"),
    [
        ({"worker": Keeping(0, 1200, 90.0)}, "Worker", "none running, 1,200 records not decided yet, the oldest for 2 min"),
        ({"definitions": None}, "Definitions", "nothing is in force; run `tidings apply DIR`"),
        ({"stopped": ["everything"]}, "Stopped", "everything"),
        ({"stopped": ["channel sms"], "stopped_differs": True}, "Stopped", "channel sms (partitions differ: not all have read the command yet)"),
        ({"last_decision": None}, "Decisions", "none yet"),
        ({"dead_letters": Letters(kept=4, last_at="2026-03-02T08:00:00.000Z")}, "Dead letters", "4 records couldn't be taken, the last published at 2026-03-02T08:00:00.000Z; `tidings dead-letters list` says why"),
        ({"inside": msgspec.structs.replace(QUIET, time_behind_seconds=9.9)}, "Timers", "1 customer with something due at some time, none overdue"),
        ({"inside": msgspec.structs.replace(QUIET, time_behind_seconds=10.0)}, "Timers", "1 customer with something due at some time, none overdue; they fire 10 s late, until the ingest has read further"),
        ({"inside": None}, "Timers", "not known: no worker could be asked; --process names one on another machine"),
    ],
)  # fmt: skip
def test_what_is_not_well_is_said(changed: dict[str, object], label: str, words: str) -> None:
    assert told(**changed)[label] == words


def test_a_process_that_is_not_ready_says_why_and_one_that_is_gone_does_not_answer() -> None:
    ill = Seen(name="worker", url="http://h:1", health=Health(ok=False, state="recovering", reasons=["2 aren't read"]))
    gone = Seen(name="ingest", url="http://h:2", health=None)
    lines = as_lines(msgspec.structs.replace(WELL, processes=[ill, gone]))
    assert ("Processes", "worker, http://h:1: not ready: 2 aren't read") in lines
    assert ("", "ingest, http://h:2: doesn't answer") in lines


@pytest.mark.parametrize(
    ("ingest", "worker", "sentence"),
    [(0, 0, "Nothing is running"), (1, 0, "No worker is running"), (0, 1, "No ingest is running")],
)
def test_who_is_missing_is_said_with_the_command(ingest: int, worker: int, sentence: str) -> None:
    report = msgspec.structs.replace(WELL, ingest=Keeping(ingest, 0), worker=Keeping(worker, 0))
    assert what_to_do(report)[0].startswith(sentence)


def test_a_backfill_that_is_not_over_is_said_with_the_command_that_goes_on_with_it() -> None:
    at = START
    begun = Backfill(workflow_id="new", since=at, policy="latest", fresh_ms=36 * HOUR_MS)
    stored = StoredCatalogue(number=5, documents=[], rules_version=1, tzdata="", backfill=begun)
    found = in_force(StoredVersion(stored=stored, at=at), {}, 0)
    command = f"tidings backfill new --since {after(0)} --definitions DIR --past-sends latest --fresh-hours 36"
    assert what_to_do(msgspec.structs.replace(WELL, definitions=found))[0].endswith(command)
    over = msgspec.structs.replace(stored, backfill=msgspec.structs.replace(begun, is_over=True))
    ended = in_force(StoredVersion(stored=over, at=at), {}, 0)
    assert what_to_do(msgspec.structs.replace(WELL, definitions=ended)) == []


def test_what_workers_say_is_added_up_and_the_worst_clock_counts() -> None:
    first: Samples = {"tidings_timers_due": [({}, 3.0)], "tidings_clock_ahead_seconds": [({}, 0.5)]}
    second: Samples = {"tidings_timers_due": [({}, 4.0)], "tidings_clock_ahead_seconds": [({}, -2.5)]}
    found = inside([first, second, {"tidings_restarts_total": [({}, 1.0)]}])
    assert found is not None
    assert (found.timers_due, found.clock_ahead_seconds) == (7, -2.5)
    assert "2.5 s behind Kafka's" in told(inside=found)["Clock"]
    assert inside([]) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.9, "less than a second"), (59.4, "59 s"), (60, "1 min"), (3600, "1 h"), (2 * 86_400, "2 days")],
)
def test_durations_read_as_a_person_says_them(seconds: float, words: str) -> None:
    assert duration_in_words(seconds) == words
