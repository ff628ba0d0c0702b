"""What stands in the customer log is read as it was written, and its sources sort as they arose."""

import pytest

from schemas.log import (
    ORIGIN_BYTES,
    PLACE_BYTES,
    CatalogueMark,
    Command,
    FinalMark,
    Mark,
    Source,
    Tick,
    decode_mark,
    encode_mark,
    header,
    pack_number,
    pack_place,
    pack_source,
    unpack_number,
    unpack_source,
)

TOPIC = b"t" * 16
SOURCES = [
    Source(TOPIC, partition, offset, nth) for partition in (0, 1, 300) for offset in (0, 255, 256, 2**40) for nth in (0, 1, 300)
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_is_read_as_it_was_written(source: Source) -> None:
    assert unpack_source(pack_source(source)) == source


def test_sources_sort_as_bytes_as_they_do_by_partition_offset_and_place() -> None:
    """Sources of one origin are compared without being unpacked."""
    assert sorted(SOURCES, key=pack_source) == sorted(SOURCES)
    assert len({pack_source(source)[:ORIGIN_BYTES] for source in SOURCES}) == 3


@pytest.mark.parametrize(
    "mark",
    [
        CatalogueMark(number=3, rules_version=4, tzdata="2026a"),
        FinalMark(),
        Tick(),
        Command(command_id="c1", action="pause", workflow_id="w"),
        Command(command_id="c2", action="cancel", customer_key="c:ada", execution_id="x"),
        Command(command_id="c3", action="resume", channel="sms"),
    ],
)
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    assert decode_mark(encode_mark(mark)) == mark


@pytest.mark.parametrize("number", [0, 1, 2**31, 2**62])
def test_a_number_is_read_as_it_was_written(number: int) -> None:
    assert unpack_number(pack_number(number)) == number


def test_places_sort_as_bytes() -> None:
    places = [0, 1, 255, 256, 70_000]
    assert sorted(places, key=pack_place) == places
    assert {len(pack_place(place)) for place in places} == {PLACE_BYTES}


def test_the_first_header_of_a_name_counts_and_a_missing_one_is_none() -> None:
    headers = [("other", b"0"), ("sequence", b"1"), ("sequence", b"2")]
    assert header(headers, "sequence") == b"1"
    assert header(headers, "absent") is None
