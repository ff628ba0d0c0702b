"""What was done with a dead letter can be read again, and whose word it isn't is told."""

import msgspec
import pytest

from schemas.dead_letters import Settled, decode_settled, encode_settled


def test_what_was_done_with_a_letter_is_read_as_it_was_written() -> None:
    settled = Settled(deed="retried", at=5, digest="d")
    assert decode_settled(encode_settled(settled)) == settled


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"deed":"lost","at":5,"digest":"d"}'])
def test_what_nobody_of_us_has_written_is_told(value: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_settled(value)
