"""What two sides have written, compared: whatever was left out, added or changed is found, and nothing else."""

from collections import Counter
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agents.comparing import ALWAYS, LOOK_AHEAD, Difference, Span, TopicComparison, Written
from streams.fold import Output

EDITS = ("keep", "keep", "keep", "drop", "change", "swap", "insert")

edits = st.lists(st.sampled_from(EDITS), max_size=60)


def value(number: int, content: str = "") -> bytes:
    return msgspec.json.encode({"decision_id": f"d{number}", "content": content})


def recorded(values: Sequence[tuple[int, bytes]]) -> list[Written]:
    return [Written(b"ada", content, at, offset) for offset, (at, content) in enumerate(values)]


def output(at: int, content: bytes) -> Output:
    return Output(topic="t.decisions", key=b"ada", value=content, timestamp=at)


def edited(steps: list[str]) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]], Counter[tuple[str, str]]]:
    """Return what was recorded, what a shadow makes, and what differs."""
    left, right, expected = list[tuple[int, bytes]](), list[tuple[int, bytes]](), Counter[tuple[str, str]]()
    for number, edit in enumerate(steps):
        old, new = (number, value(number)), (number, value(number, "other"))
        if edit == "drop":
            left.append(old)
            expected["gone", f"d{number}"] += 1
        elif edit == "insert":
            right.append(old)
            expected["added", f"d{number}"] += 1
        elif edit == "change":
            left.append(old)
            right.append(new)
            expected["changed", f"d{number}"] += 1
        else:
            left.append(old)
            right.insert(max(0, len(right) - (edit == "swap")), old)
    return left, right, expected


def compared(
    left: Sequence[tuple[int, bytes]], right: Sequence[tuple[int, bytes]], *, before: int = 10**9,
    within: Span = ALWAYS, is_whole: bool = True, is_cut: bool = False,
) -> TopicComparison:  # fmt: skip
    comparison = TopicComparison("decisions", iter(recorded(left)), within, is_cut=is_cut)
    for cause, (at, content) in enumerate(right):
        comparison.compare(output(at, content), cause)
    comparison.finish(before=before, is_whole=is_whole)
    return comparison


def kinds(differences: Sequence[Difference]) -> Counter[tuple[str, str]]:
    return Counter((found.kind, found.record_id) for found in differences)


@given(edits)
def test_every_difference_is_found_and_no_other(steps: list[str]) -> None:
    left, right, expected = edited(steps)
    comparison = compared(left, right)
    assert kinds(comparison.differences) == expected
    assert comparison.same == len(left) - sum(count for (kind, _), count in expected.items() if kind != "added")


@given(edits, st.integers(0, 60), st.integers(0, 60))
def test_only_instants_that_are_asked_about_count(steps: list[str], since: int, until: int) -> None:
    left, right, expected = edited(steps)
    comparison = compared(left, right, within=Span(since, until))
    asked = {f"d{number}" for number in range(since, until)}
    assert kinds(comparison.differences) == {which: count for which, count in expected.items() if which[1] in asked}


@given(st.integers(0, 30), st.integers(0, 30))
def test_what_the_log_led_to_after_the_record_was_read_is_no_difference(known: int, later: int) -> None:
    made = [(number, value(number)) for number in range(known + later)]
    comparison = compared(made[:known], made, before=known)
    assert (comparison.same, comparison.differences) == (known, [])
    assert len(compared(made[:known], made).differences) == later


@given(st.integers(0, 30), st.integers(1, 30))
def test_what_retention_has_deleted_is_counted_apart(deleted: int, kept: int) -> None:
    made = [(number, value(number)) for number in range(deleted + kept)]
    comparison = compared(made[deleted:], made, is_cut=True)
    assert (comparison.unchecked, comparison.same, comparison.differences) == (deleted, kept, [])


def test_a_record_that_was_written_twice_is_one_too_many() -> None:
    made = [(number, value(number)) for number in range(5)]
    comparison = compared([*made[:3], made[2], *made[3:]], made)
    assert kinds(comparison.differences) == {("gone", "d2"): 1}


def test_what_was_not_reached_is_no_difference_where_the_log_was_folded_in_part() -> None:
    made = [(number, value(number)) for number in range(9)]
    comparison = compared(made, made[:4], is_whole=False)
    assert (comparison.same, comparison.differences) == (4, [])
    assert kinds(compared(made, [made[0], *made[2:4]], is_whole=False).differences) == {("gone", "d1"): 1}


def test_a_record_is_searched_for_far_but_not_without_end() -> None:
    left = [(number, value(number)) for number in range(LOOK_AHEAD + 1)]
    near, far = compared(left, [left[LOOK_AHEAD - 1]]), compared(left, [left[LOOK_AHEAD]])
    assert near.same == 1
    assert far.same == 1, "what was made too early meets its other side in the end"
    assert len(far.differences) == LOOK_AHEAD
