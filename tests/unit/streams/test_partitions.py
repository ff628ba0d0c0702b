"""Keys go where Kafka's own clients put them."""

import pytest

from streams.partitions import partition_of


@pytest.mark.parametrize(
    ("key", "partition"),
    # From the Java client: Utils.toPositive(Utils.murmur2(key)) % 1000.
    [(b"21", (-973932308 & 0x7FFFFFFF) % 1000), (b"foobar", (-790332482 & 0x7FFFFFFF) % 1000)],
)
def test_murmur2_is_javas(key: bytes, partition: int) -> None:
    """The hashes are those of Kafka's own test (UtilsTest.testMurmur2)."""
    assert partition_of(key, 1000) == partition
