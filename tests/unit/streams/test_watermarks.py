"""How far sources are read: what is known of partitions, and what others may conclude from what was said."""

import msgspec
import pytest
from faust.types import TP

from streams.watermarks import MOST_ASKED, ReadTo, Watermarks, Word, encode_partitions, encode_word

A, B = TP("a", 0), TP("b", 3)


def test_what_stood_before_an_end_is_read_once_that_is_flushed() -> None:
    read_to = ReadTo({A: 0})
    read_to.ask(100, {A: 5})
    read_to.flush({A: 4})
    assert read_to.least() is None
    read_to.flush({A: 5})
    assert read_to.least() == 100


def test_where_nothing_was_published_the_instant_of_the_question_is_reached_at_once() -> None:
    read_to = ReadTo({A: 7})
    read_to.ask(100, {A: 7})
    assert read_to.least() == 100


def test_the_least_of_all_partitions_counts() -> None:
    read_to = ReadTo({A: 0, B: 0})
    read_to.ask(100, {A: 0, B: 1})
    assert read_to.least() is None
    read_to.flush({B: 1})
    read_to.ask(200, {A: 0, B: 2})
    assert read_to.least() == 100


def test_under_steady_traffic_it_follows_though_the_end_is_never_reached() -> None:
    read_to = ReadTo({A: 0})
    for second in range(1, 1_000):
        read_to.ask(second, {A: second * 10})
        read_to.flush({A: second * 10 - 15})
        assert read_to.least() == (second - 2 if second > 2 else None)


def test_far_behind_few_questions_are_remembered_and_the_answer_is_still_true() -> None:
    read_to = ReadTo({A: 0})
    for second in range(1, 10_000):
        read_to.ask(second, {A: second})
    assert len(read_to._lanes[A].asked) <= MOST_ASKED
    for position in (1, 3_000, 9_998, 9_999):
        read_to.flush({A: position})
        assert (read_to.least() or 0) <= position
    assert read_to.least() == 9_999


def told(watermarks: Watermarks, *partitions: TP, read_to: int, said_at: int, appended: int | None = None) -> None:
    word = encode_word(Word(read_to=read_to, said_at=said_at))
    watermarks.take(encode_partitions(partitions), word, said_at if appended is None else appended)


def test_nothing_is_known_before_every_partition_was_spoken_of() -> None:
    watermarks = Watermarks()
    assert watermarks.least(frozenset()) is None
    told(watermarks, A, read_to=100, said_at=110)
    assert watermarks.least(frozenset({A, B})) is None
    told(watermarks, B, read_to=90, said_at=110)
    assert watermarks.least(frozenset({A, B})) == 90


def test_the_last_word_about_a_partition_holds_when_another_reader_has_the_rest() -> None:
    """Two read all; one dies, and nobody has its partition yet: time stands where it has left it."""
    watermarks, both = Watermarks(), frozenset({A, B})
    told(watermarks, A, read_to=100, said_at=100)
    told(watermarks, B, read_to=105, said_at=105)
    told(watermarks, A, read_to=500, said_at=500)
    assert watermarks.least(both) == 105
    told(watermarks, A, B, read_to=600, said_at=600)
    assert watermarks.least(both) == 600


def test_a_partition_that_was_added_later_holds_as_soon_as_it_is_spoken_of() -> None:
    watermarks = Watermarks()
    told(watermarks, A, read_to=100, said_at=100)
    told(watermarks, B, read_to=50, said_at=100)
    assert watermarks.least(frozenset({A})) == 50


@pytest.mark.parametrize(
    ("read_to", "said_at", "appended", "known"),
    [
        (1_000, 1_010, 1_012, 1_000),  # clocks agree, and it took 2 ms to write
        (9_000, 9_010, 1_012, 1_002),  # a clock that is 8 s ahead is bounded by the broker's
        (1_000, 1_010, 9_012, 1_000),  # one that is behind only makes us wait
        (1_000, 900, 1_000, 1_000),  # one that went back while it spoke
    ],
)
def test_a_reader_whose_clock_is_ahead_is_bounded_by_the_brokers(
    read_to: int, said_at: int, appended: int, known: int
) -> None:
    watermarks = Watermarks()
    told(watermarks, A, read_to=read_to, said_at=said_at, appended=appended)
    assert watermarks.least(frozenset({A})) == known


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"clock", b"5"),
        (b"", b""),
        (b"[]", b"{}"),
        (b'{"a":[0]}', b"{}"),
        (b'{"a":["0"]}', b'{"read_to":9,"said_at":9}'),
    ],
)
def test_what_is_no_word_is_passed_over(key: bytes, value: bytes) -> None:
    watermarks = Watermarks()
    told(watermarks, A, read_to=1, said_at=1)
    watermarks.take(key, value, 10)
    assert watermarks.least(frozenset()) == 1


def test_a_set_of_partitions_has_one_name_so_that_compaction_keeps_its_last_word() -> None:
    key = encode_partitions([TP("b", 1), TP("a", 2), TP("a", 0)])
    assert key == encode_partitions([TP("a", 0), TP("a", 2), TP("b", 1)])
    assert msgspec.json.decode(key) == {"a": [0, 2], "b": [1]}
