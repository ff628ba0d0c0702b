"""Dead letters in words: which are meant, how they are grouped, and that no byte of theirs acts upon a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letters import HEADERS, Header, Letter, Place, read_letter
from schemas.errors import TidingsError
from schemas.instants import DAY_MS, HOUR_MS, parse_instant
from tidings.letters import Choice, grouped, instant_in_words, is_still_wrong, read_since, value_in_lines

NOW = parse_instant("2026-03-02T09:00:00Z")
PLACE = Place("tidings.dead-letters", 3, 14)


def letter(
    topic: str = "tidings.behavioral-events",
    offset: int = 7,
    error_class: str = "unreadable",
    at: int = NOW,
    value: bytes | None = b"{",
) -> Letter:
    told: list[Header] = list(
        zip(HEADERS, [topic.encode(), b"2", b"%d" % offset, error_class.encode(), b"why"], strict=True)
    )
    return read_letter(PLACE, at, b"key", value, [("topic", b"its own"), *told])


def test_a_letter_is_named_after_the_public_record_and_keeps_the_records_own_headers() -> None:
    """Only the five headers that the ingest has added are taken off, also where one of the same name was there."""
    found = letter()
    assert (found.id, found.headers) == ("tidings.behavioral-events/2/7", (("topic", b"its own"),))
    assert (found.error_class, found.reason, found.is_foreign) == ("unreadable", "why", False)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("topic", b"t")],
        [(name, b"x") for name in HEADERS],
        [(name, None) for name in HEADERS],
        [(name, b"1") for name in reversed(HEADERS)],
        [("topic", b"t"), ("partition", b"1"), ("offset", b"9" * 30), ("error_class", b"c"), ("reason", b"r")],
    ],
)
def test_a_record_that_does_not_say_where_it_came_from_is_named_after_its_own_place(headers: list[Header]) -> None:
    """Whatever stands in the topic is a letter that can be shown and laid aside."""
    found = read_letter(PLACE, NOW, None, None, headers)
    assert (found.id, found.is_foreign, found.headers) == ("tidings.dead-letters/3/14", True, tuple(headers))


def test_a_letter_of_a_topic_made_anew_is_another_one() -> None:
    """The same place with other bytes, or another time, has another digest; the same twice has the same."""
    assert letter().digest == letter().digest
    assert len({letter().digest, letter(value=b"[").digest, letter(at=NOW + 1).digest, letter(value=None).digest}) == 4


def test_a_choice_takes_what_all_its_words_allow() -> None:
    """A topic goes with its prefix or without; `since` is included."""
    one = letter()
    assert Choice().holds(one, "tidings.")
    assert Choice(topic="behavioral-events", error_class="unreadable", since=NOW).holds(one, "tidings.")
    assert Choice(topic="tidings.behavioral-events").holds(one, "tidings.")
    for other in (
        Choice(topic="crm-events"),
        Choice(error_class="bad_time"),
        Choice(since=NOW + 1),
        Choice(ids=frozenset({"x"})),
    ):
        assert not other.holds(one, "tidings.")


def test_since_is_an_instant_or_how_long_ago() -> None:
    """What is neither is told with both."""
    assert read_since("24h", NOW) == NOW - DAY_MS
    assert read_since("90m", NOW) == NOW - 3 * HOUR_MS // 2
    assert read_since("2026-03-02T09:00:00Z", 0) == NOW
    assert read_since(None, NOW) is None
    for text in ("", "yesterday", "24", "-1h", "9999999d", "1h30m"):
        with pytest.raises(TidingsError, match="30m, 24h, 7d"):
            read_since(text, NOW)


def test_groups_come_by_size_with_the_newest_of_each() -> None:
    """Class and reason make a group; the largest stands first."""
    found = grouped(
        [letter(error_class="a"), letter(offset=8, at=NOW + 1), letter(offset=9, topic="tidings.crm-events")]
    )
    assert [(group.error_class, group.count, group.newest.offset) for group in found] == [
        ("unreadable", 2, 8),
        ("a", 1, 7),
    ]
    assert found[0].topics == {"tidings.behavioral-events", "tidings.crm-events"}


def test_what_would_come_back_is_known_without_asking_a_registry() -> None:
    """JSON is checked as the ingest does; Avro, and what isn't of a public topic, isn't."""
    good = b'{"event_id": "e", "type": "signup", "customer_id": "c", "occurred_at": "2026-03-02T09:00:00Z"}'
    assert "not JSON" in (is_still_wrong(letter(), "tidings.", b"{") or "")
    assert is_still_wrong(letter(), "tidings.", None) is not None
    assert is_still_wrong(letter(), "tidings.", good) is None
    assert is_still_wrong(letter(), "tidings.", b"\0\0\0\0\1x") is None
    assert is_still_wrong(letter(), "other.", b"{") is None


@pytest.mark.parametrize("at", [-1, 2**63 - 1, -(2**63), NOW])
def test_any_timestamp_can_be_said(at: int) -> None:
    """A producer may write a time that no calendar has."""
    assert instant_in_words(at)


@given(st.binary(max_size=300), st.none() | st.integers(1, 50))
def test_no_byte_of_a_value_acts_upon_a_terminal(value: bytes, most: int | None) -> None:
    """Whatever the bytes, cut anywhere: every line that is shown is printable."""
    lines = value_in_lines(value, most)
    assert lines
    assert all(line.isprintable() for line in lines)


def test_values_are_readable() -> None:
    """JSON is laid out, text stands as it is, bytes as hexadecimal; what is cut says so."""
    assert value_in_lines(b'{"a":1}') == ["{", '  "a": 1', "}"]
    assert value_in_lines("grüße\nund".encode()) == ["grüße", "und"]
    assert value_in_lines(b"\0\xffab") == [f"00000000  {'00 ff 61 62':<47}  ..ab"]
    assert value_in_lines(None) == ["(none: a tombstone)"]
    assert value_in_lines(b"") == ["(empty)"]
    assert value_in_lines("ü".encode() * 10, 5) == ["üü", "… and 15 bytes more (--whole)"]
    assert value_in_lines(b"[" * 100_000, None) == ["[" * 100_000]
