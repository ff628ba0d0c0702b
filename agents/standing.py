"""Who stands where: the states of all customers as the workers have stored them, read from outside.

What a worker has folded is in the changelog as soon as its transaction is committed, so what is read here is true for
some moment of each partition; customers go on meanwhile.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from agents.customers import POSITION_KEY, Position
from schemas.customer import Customer, decode_customer
from schemas.topics import CUSTOMERS_CHANGELOG
from streams.connection import Connection
from streams.reading import read_to_end

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


def read_positions(connection: Connection, prefix: str) -> dict[int, Position]:
    """Read how far each partition was folded last, from the end of the changelog alone.

    A partition of which nothing is known there, because its last transactions were very large, is left out.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    positions: dict[int, Position] = {}
    for message in read_to_end(connection, [prefix + CUSTOMERS_CHANGELOG], last=LAST_RECORDS):
        value = message.value()
        if message.key() == POSITION_KEY and value is not None:
            positions[message.partition() or 0] = msgspec.json.decode(value, type=Position)
    return positions
