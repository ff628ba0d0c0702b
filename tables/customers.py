"""The customers of one partition: what is committed is bytes, what is hot is decoded.

A live customer is changed in place. `encode_changed` encodes each changed one once per commit; only when the
transaction with these very bytes is committed does `settle` make them the truth. A worker whose transaction
failed dies with its live objects, so nothing is ever rolled back.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from schemas.customer import Customer, Head, decode_customer, decode_head, encode_customer
from schemas.instants import Millis
from tables.due import DueIndex

HOT_CUSTOMERS: Final = 20_000
"""Decoded customers kept between batches; the least recently touched leave first."""


class CustomersTable:
    """The customers table of one partition, with its due index."""

    def __init__(self, hot_customers: int = HOT_CUSTOMERS) -> None:
        self.due = DueIndex()
        self._stored: dict[bytes, bytes] = {}
        self._live: OrderedDict[bytes, Customer] = OrderedDict()
        self._changed: dict[bytes, Millis | None] = {}
        self._hot_customers = hot_customers

    def __len__(self) -> int:
        """Count the customers, committed or new."""
        return len(self._stored.keys() | self._live.keys())

    def keys(self) -> Iterator[bytes]:
        """Iterate over the keys of all customers."""
        return iter(self._stored.keys() | self._live.keys())

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take one changelog record; `index` follows when all are in."""
        if value is None:
            self._stored.pop(key, None)
        else:
            self._stored[key] = value

    def index(self) -> None:
        """Build the due index from the heads of the restored states."""
        heads = ((key, decode_head(value).deadline) for key, value in self._stored.items())
        self.due.fill({key: deadline for key, deadline in heads if deadline is not None})

    def get(self, key: bytes) -> Customer | None:
        """Return the customer to be read or changed in place; None if there is none yet."""
        live = self._live.get(key)
        if live is not None:
            self._live.move_to_end(key)
            return live
        stored = self._stored.get(key)
        if stored is None:
            return None
        customer = self._live[key] = decode_customer(stored)
        return customer

    def add(self, key: bytes, customer: Customer) -> None:
        """Add a new customer."""
        self._live[key] = customer

    def touch(self, key: bytes, deadline: Millis | None) -> None:
        """Note that the customer was changed, and her next deadline."""
        self._changed[key] = deadline
        self.due.set(key, deadline)

    def encode_changed(self, catalogue: int, offset: int) -> list[tuple[bytes, bytes]]:
        """Encode every customer changed since the last call, each once."""
        live = self._live
        changes = [
            (key, encode_customer(live[key], Head(catalogue=catalogue, deadline=deadline, last_offset=offset)))
            for key, deadline in self._changed.items()
        ]
        self._changed.clear()
        return changes

    def settle(self, changes: list[tuple[bytes, bytes]]) -> None:
        """Make committed bytes the truth, and let cold customers go back to bytes."""
        self._stored.update(changes)
        while len(self._live) > self._hot_customers:
            key, customer = self._live.popitem(last=False)
            if key in self._changed:
                self._live[key] = customer
                return
