"""Where the movement gets its clients of Kafka from: the one place at which another Kafka can be put in.

Everything by which a promise is kept (transactions, recovery, appending) speaks with a broker through two kinds of
client, in aiokafka's words. Live, they are aiokafka's. In the tests' simulation they are those of a reduced Kafka in
memory, so that the same code runs there under every fault that a seed can draw; contract tests hold both to the same.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faust.types import TP

from streams.connection import Connection, aiokafka_settings


class Clients(Protocol):
    """Makes clients that speak in aiokafka's words; each connects at its own `start`."""

    def producer(self, **settings: Any) -> Any:
        """Return a producer with these settings of aiokafka's."""

    def consumer(self, **settings: Any) -> Any:
        """Return a consumer with these settings of aiokafka's."""


class KafkaClients:
    """Makes clients of a real Kafka."""

    def __init__(self, connection: Connection) -> None:
        """Keep where the brokers are."""
        self._connection = connection

    def producer(self, **settings: Any) -> Any:
        """Return aiokafka's producer."""
        return AIOKafkaProducer(**aiokafka_settings(self._connection), **settings)

    def consumer(self, **settings: Any) -> Any:
        """Return aiokafka's consumer."""
        return AIOKafkaConsumer(**aiokafka_settings(self._connection), **settings)


class Placing(Protocol):
    """What the owner of a partition, and whoever reads sources, ask of the group's connection."""

    async def place(self, tp: TP, offset: int) -> None:
        """Read `tp` from `offset` on."""

    async def group_offset(self, tp: TP) -> int | None:
        """Return the offset that the group has committed for `tp`; None without one."""

    async def first_offset(self, tp: TP) -> int:
        """Return the first offset that `tp` still has."""

    async def end_offset(self, tp: TP) -> int:
        """Return the offset behind the last committed record of `tp`."""

    async def commit_positions(self, positions: Mapping[TP, int]) -> bool:
        """Commit positions for the group; False if a rebalance has taken them from us."""


class Reader(Protocol):
    """Who reads partitions for their owners; nothing comes of one before it was opened."""

    @property
    def thread(self) -> Placing:
        """Return who places partitions and commits."""

    def open(self, tp: TP) -> None:
        """Let records of `tp` come, from where it was placed."""

    def close_one(self, tp: TP) -> None:
        """Let no record come of `tp`, and drop what is under way, until it is placed and opened again."""

    def hold(self, tp: TP) -> None:
        """Take no more from `tp` for now; what is under way still comes."""

    def release(self, tp: TP) -> None:
        """Take from `tp` again."""
