"""Asking where partitions end, often and at once.

On a connection of its own: a broker answers one request of a connection after the other, and on the one that reads
there is nearly always a fetch that it holds for a quarter of a second.
"""

from collections.abc import Iterable
from typing import Any

from aiokafka import TopicPartition
from faust.types import TP

from streams.clients import Clients

ANSWER_MS = 10_000


class Ends:
    """A connection for one question; each answer is the offset behind the last committed record."""

    def __init__(self, clients: Clients) -> None:
        """Make the client; it connects at `start`, and reads nothing."""
        self._consumer: Any = clients.consumer(
            enable_auto_commit=False,
            isolation_level="read_committed",
            request_timeout_ms=ANSWER_MS,
        )

    async def start(self) -> None:
        """Connect."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Close the connection."""
        await self._consumer.stop()

    async def ask(self, partitions: Iterable[TP]) -> dict[TP, int]:
        """Return the end of each partition, in one question to each broker.

        Raises:
            aiokafka.errors.KafkaError: a broker doesn't answer, or refuses.
        """
        asked = {TopicPartition(*tp): tp for tp in partitions}
        found = await self._consumer.end_offsets(list(asked))
        return {asked[partition]: int(end) for partition, end in found.items()}
