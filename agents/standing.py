"""Who stands where: the states of all customers as the workers have stored them, read from outside.

What a worker has folded is in the changelog as soon as its transaction is committed, so what is read here is true for
some moment of each partition; customers go on meanwhile.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from confluent_kafka import Message

from agents.customers import POSITION_KEY, Position
from schemas.customer import Customer, decode_customer
from schemas.log import Holds
from schemas.topics import CUSTOMER_LOG, CUSTOMERS_CHANGELOG
from streams.connection import Connection
from streams.partitions import partition_of
from streams.reading import read_partition, read_to_end
from streams.topics import end_offsets, first_offsets, partition_counts

LAST_RECORDS: Final = 20_000
"""So many records from the end of a partition of the changelog hold a position; a transaction has fewer."""


class Standing(msgspec.Struct, frozen=True):
    """What the changelog holds: states by key, and each partition's position."""

    states: dict[bytes, bytes]
    positions: dict[int, Position]

    def customers(self) -> Iterator[tuple[bytes, Customer]]:
        """Yield every customer with her key, in the order of the keys."""
        for key in sorted(self.states):
            yield key, decode_customer(self.states[key])


def read_standing(
    connection: Connection, prefix: str, progress: Callable[[int, int], object] = lambda _read, _all: None
) -> Standing:
    """Read the changelog to its end.

    Args:
        connection: where Kafka is.
        prefix: of the topics.
        progress: is called with how many offsets were read, of how many.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    states: dict[bytes, bytes] = {}
    positions: dict[int, Position] = {}
    for message in read_to_end(connection, [prefix + CUSTOMERS_CHANGELOG], progress):
        key, value = message.key() or b"", message.value()
        if key == POSITION_KEY and value is not None:
            positions[message.partition() or 0] = msgspec.json.decode(value, type=Position)
        elif key[:2] in {b"c:", b"a:"}:
            if value is None:
                states.pop(key, None)
            else:
                states[key] = value
    return Standing(states, positions)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One customer as the workers have stored her."""

    customer: Customer | None
    """None: nothing of hers was folded, or she is forgotten."""
    is_awaited: bool = False
    """Whether something of hers stands in the log that no worker has folded yet."""
    holds: Holds | None = None
    """What commands hold back in her partition."""


def read_place(connection: Connection, prefix: str, key: bytes) -> Place:
    """Read one customer's state, from her partition alone; where there is none, look for her in what isn't folded yet.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    log, changelog = prefix + CUSTOMER_LOG, prefix + CUSTOMERS_CHANGELOG
    counts = partition_counts(connection, [log, changelog])
    if len(counts) < 2:  # noqa: PLR2004 -- both
        return Place(customer=None)
    partition = partition_of(key, counts[log])
    state: bytes | None = None
    position = Position(next_offset=0)
    for message in _records(connection, changelog, partition, 0):
        if message.key() == key:
            state = message.value()
        elif message.key() == POSITION_KEY and (value := message.value()) is not None:
            position = msgspec.json.decode(value, type=Position)
    if state is not None:
        return Place(customer=decode_customer(state), holds=position.holds)
    unfolded = _records(connection, log, partition, position.next_offset)
    return Place(customer=None, is_awaited=any(message.key() == key for message in unfolded), holds=position.holds)


def _records(connection: Connection, topic: str, partition: int, start: int) -> Iterator[Message]:
    first = first_offsets(connection, topic).get(partition, 0)
    end = end_offsets(connection, topic).get(partition, 0)
    for messages in read_partition(connection, topic, partition, max(first, start), end):
        yield from messages


def read_positions(connection: Connection, prefix: str, last: int = LAST_RECORDS) -> dict[int, Position]:
    """Read how far each partition was folded last, from the end of the changelog alone.

    A partition of which nothing is known there, because its last transactions were very large, is left out.

    Args:
        connection: where Kafka is.
        prefix: of the topics.
        last: so many offsets from the end of each partition are read.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    positions: dict[int, Position] = {}
    for message in read_to_end(connection, [prefix + CUSTOMERS_CHANGELOG], last=last):
        value = message.value()
        if message.key() == POSITION_KEY and value is not None:
            positions[message.partition() or 0] = msgspec.json.decode(value, type=Position)
    return positions
