"""The page of a what-if says how much would have gone out."""

import pytest

from tidings.what_if_report import page


@pytest.mark.parametrize(
    ("sends", "said"),
    [
        ((1, 2), "<p>1 message went out as recorded; 2 would"),
        ((2_000, 1), "<p>2,000 messages went out as recorded; 1 "),
    ],
)
def test_one_message_is_said_otherwise_than_many(sends: tuple[int, int], said: str) -> None:
    assert said in page((), sends, "What if: shop")
