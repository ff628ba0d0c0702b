"""Files of events: every line is an event or a dead letter, and the clock goes only forward."""

from pathlib import Path

import pytest

from schemas.events import MAX_EVENT_BYTES
from schemas.instants import DAY_MS, format_instant
from tests.strategies import BEGIN, Line, as_file
from tidings.event_file import EventFileError, end_of_time, read_lines

JUMP = 400 * DAY_MS


def entry(occurred_at: int, **rest: object) -> Line:
    return {"event_id": "e", "customer_id": "ada", "type": "t", "occurred_at": occurred_at, **rest}  # type: ignore[dict-item]


def read(tmp_path: Path, content: bytes) -> list[tuple[int, int, str | None]]:
    path = tmp_path / "events.ndjson"
    path.write_bytes(content)
    return [
        (one.number, one.clock, None if one.problem is None else one.problem.error_class)
        for one in read_lines(path, JUMP)
    ]


def test_the_clock_is_the_latest_arrival_so_far(tmp_path: Path) -> None:
    lines = [
        entry(BEGIN + 5),
        entry(BEGIN),
        entry(BEGIN, received_at=BEGIN + 9),
        entry(BEGIN + 99, received_at=BEGIN + 7),
    ]
    assert [clock - BEGIN for _, clock, _ in read(tmp_path, as_file(lines))] == [5, 5, 9, 9]


@pytest.mark.parametrize(("jump", "problem"), [(JUMP, None), (JUMP + 1, "clock_jump")])
def test_a_jump_of_exactly_the_limit_is_allowed(tmp_path: Path, jump: int, problem: str | None) -> None:
    found = read(tmp_path, as_file([entry(BEGIN), entry(BEGIN + jump), entry(BEGIN + 1)]))
    assert found[1][2] == problem
    assert found[2][2] is None


def test_the_first_line_may_begin_anywhere(tmp_path: Path) -> None:
    assert read(tmp_path, as_file([entry(4_000_000_000_000)]))[0][2] is None


def test_a_line_that_is_no_event_does_not_move_the_clock(tmp_path: Path) -> None:
    assert read(tmp_path, b"{\n" + as_file([entry(BEGIN), "[]", entry(BEGIN - 1)])) == [
        (1, 0, "unreadable"),
        (2, BEGIN, None),
        (3, BEGIN, "invalid"),
        (4, BEGIN, None),
    ]


def test_empty_lines_are_passed_over_but_counted(tmp_path: Path) -> None:
    assert [number for number, _, _ in read(tmp_path, b"\n \r\n" + as_file([entry(BEGIN)]) + b"\n")] == [3]


def test_the_last_line_needs_no_end_and_any_may_end_as_on_windows(tmp_path: Path) -> None:
    content = as_file([entry(BEGIN), entry(BEGIN)]).replace(b"\n", b"\r\n")[:-2]
    assert [problem for _, _, problem in read(tmp_path, content)] == [None, None]


def test_a_line_beyond_any_bound_is_one_dead_letter_and_the_next_is_read(tmp_path: Path) -> None:
    content = b"x" * (3 * MAX_EVENT_BYTES) + b"\n" + as_file([entry(BEGIN)])
    assert [(number, problem) for number, _, problem in read(tmp_path, content)] == [(1, "too_large"), (2, None)]


def test_the_longest_line_allowed_is_read(tmp_path: Path) -> None:
    one = as_file([entry(BEGIN)]).rstrip(b"\n")
    for extra, problem in ((0, None), (1, "too_large")):
        padded = one + b" " * (MAX_EVENT_BYTES - len(one) + extra) + b"\n"
        assert read(tmp_path, padded)[0][2] == problem


@pytest.mark.parametrize("content", [b"\0\0\0\0\1abc\n", b"\xff\xfe{\n", b'{"event_id":NaN}\n', b"[" * 100_000 + b"\n"])
def test_bytes_that_are_no_text_are_dead_letters(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content)[0][2] is not None


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match="nowhere"):
        list(read_lines(tmp_path / "nowhere"))


def test_time_ends_where_asked_but_not_before_the_last_event() -> None:
    assert end_of_time(None, 5) == 5
    assert end_of_time(5, 5) == 5
    assert end_of_time(-5, None) == -5
    with pytest.raises(EventFileError, match=format_instant(5)):
        end_of_time(4, 5)


def test_a_first_line_in_seconds_is_named_by_the_lines_that_it_spoils(tmp_path: Path) -> None:
    """Seconds read as milliseconds are January 1970: the next line's jump says which line stands there, and asks."""
    seconds, right = BEGIN // 1_000, BEGIN
    path = tmp_path / "events.ndjson"
    path.write_text(
        "".join(
            f'{{"event_id": "{number}", "type": "t", "customer_id": "ada", "occurred_at": {at}}}\n'
            for number, at in enumerate((seconds, right))
        )
    )
    first, second = read_lines(path)
    assert first.event is not None
    assert second.problem is not None
    assert "in line 1 (are its times seconds? they have to be milliseconds)" in second.problem.reason
