"""Which partition a key belongs to: Kafka's own rule for Java clients, so that any tool finds a customer."""

from functools import lru_cache

from aiokafka.partitioner import murmur2

REMEMBERED_KEYS = 200_000


@lru_cache(maxsize=REMEMBERED_KEYS)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of `key` among `partitions` (murmur2, sign bit cleared, modulo).

    The hash is plain Python in aiokafka (µs per key), so that answers are remembered.
    """
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
