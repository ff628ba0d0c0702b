"""Which partition a key belongs to: Kafka's own rule for Java clients, so that any tool finds a customer."""

from functools import lru_cache

from aiokafka import partitioner

from schemas import compiled

REMEMBERED_KEYS = 200_000

# The hash is plain Python in aiokafka (20 µs a key), so that answers are remembered where it isn't compiled.
_hash = compiled.murmur2 or lru_cache(maxsize=REMEMBERED_KEYS)(partitioner.murmur2)


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of `key` among `partitions` (murmur2, sign bit cleared, modulo)."""
    return int((_hash(key) & 0x7FFFFFFF) % partitions)
