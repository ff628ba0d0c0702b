"""`simulate`: timers fire between lines, `--until` is included, and every line is accounted for."""

from pathlib import Path

import msgspec
import pytest

from agents import engine, identity
from schemas.events import Json
from schemas.instants import HOUR_MS, Millis
from tests.defective import defective_decide
from tests.journey import START, Document, after, compiled, mail, wait, workflow
from tests.strategies import Line, as_file
from tidings.event_file import EventFileError, read_lines
from tidings.simulation import simulate
from tidings.tally import Tally

LATER = workflow(wait("p", "mail", duration_hours=1), mail())


def run(tmp_path: Path, lines: list[Line], until: Millis | None = None) -> tuple[list[Document], Tally]:
    path = tmp_path / "events.ndjson"
    path.write_bytes(as_file(lines))
    written: list[bytes] = []
    end = None if until is None else START + until
    tally = simulate(compiled(LATER), read_lines(path), until=end, write=written.append)
    assert all(record.endswith(b"\n") and record.count(b"\n") == 1 for record in written)
    return [msgspec.json.decode(record, type=dict[str, Json]) for record in written], tally


def signup(at: Millis = 0, customer: str = "ada", **more: Json) -> Line:
    properties: Document = {"email": f"{customer}@shop.example", **more}
    return {
        "event_id": f"e{at}{customer}",
        "customer_id": customer,
        "type": "signup",
        "occurred_at": START + at,
        "properties": properties,
    }


def sends(records: list[Document]) -> list[tuple[Json, Json]]:
    return [(record["customer_id"], record["send_at"]) for record in records if record["record"] == "send"]


def test_everybodys_timers_fire_between_lines(tmp_path: Path) -> None:
    records, _ = run(tmp_path, [signup(), signup(2 * HOUR_MS, "bob")])
    assert sends(records) == [("ada", after(HOUR_MS))]


@pytest.mark.parametrize(("until", "count"), [(HOUR_MS - 1, 0), (HOUR_MS, 1)])
def test_what_is_due_at_the_end_itself_still_happens(tmp_path: Path, until: Millis, count: int) -> None:
    records, _ = run(tmp_path, [signup()], until)
    assert len(sends(records)) == count


def test_an_end_before_the_last_event_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EventFileError):
        run(tmp_path, [signup()], -1)


def test_a_bad_line_is_a_dead_letter_in_its_place_with_its_number_and_reason(tmp_path: Path) -> None:
    records, tally = run(tmp_path, ["{", signup(), "[]"])
    letters = [(place, one["line"]) for place, one in enumerate(records) if one["record"] == "dead_letter"]
    assert letters == [(0, 1), (len(records) - 1, 3)]
    assert all(one["reason"] for one in records if one["record"] == "dead_letter")
    assert (tally.lines, tally.events, tally.dead_letters) == (3, 1, 2)


def test_times_are_rfc_3339_in_utc(tmp_path: Path) -> None:
    records, tally = run(tmp_path, [signup()], HOUR_MS)
    times = [one.get("at") or one["send_at"] for one in records]
    assert all(str(time).endswith("Z") for time in times)
    assert times == sorted(times, key=str)
    assert (tally.sends, tally.sends + tally.decisions) == (1, len(records))


def test_absent_fields_are_null(tmp_path: Path) -> None:
    records, _ = run(tmp_path, [signup()], HOUR_MS)
    send = next(one for one in records if one["record"] == "send")
    assert send["reply_to"] is None
    assert {"from", "variants", "headers", "expires_at", "workflow_version"} <= send.keys()


def test_an_empty_file_gives_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, [])[0] == []


def test_where_the_rules_raise_it_begins_again_and_writes_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two are set aside, each with one decision; what was written before the second is there once."""
    lines = [signup(customer=customer) for customer in ("ada", "bob", "eve")]
    bad = [signup(2 * HOUR_MS, customer, defect=True) for customer in ("bob", "ada")]
    expected, _ = run(tmp_path, lines)
    for module in (engine, identity):
        monkeypatch.setattr(module, "decide", defective_decide)
    records, tally = run(tmp_path, [*lines, *bad, signup(3 * HOUR_MS, "bob")])
    assert records[: len(expected)] == expected
    assert [record["customer_id"] for record in records if record.get("kind") == "quarantined"] == ["bob", "ada"]
    assert len(sends(records)) == 3
    assert tally.sends == 3
