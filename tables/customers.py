"""The customers of one partition: what is stored is bytes, what is hot is decoded.

A live customer is changed in place, and encoded once per transaction, when `take_changes` makes the bytes that go
out the stored ones. A worker whose transaction failed dies with its memory, so nothing is ever rolled back.

Who stays decoded: a customer that is looked at goes to the young; when those are many, they become the old, and
the old before them are forgotten (their bytes stay). That keeps whoever was looked at lately, as an exact order of
use would, without moving anybody for each event.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from schemas.customer import Customer, Head, decode_customer, decode_head, store_customer
from schemas.errors import TidingsError
from schemas.instants import Millis
from tables.due import DueIndex

HOT_CUSTOMERS: Final = 20_000
"""Decoded customers kept between transactions, about."""
NEW_CUSTOMER_BYTES: Final = 300
"""What a customer whose size isn't known yet is taken to need."""


class DamagedMemory(TidingsError):
    """What is stored of a customer can't be read; that is no matter of the rules."""


class CustomersTable:
    """The customers table of one partition, with its due index."""

    def __init__(self, hot_customers: int = HOT_CUSTOMERS) -> None:
        """Begin empty."""
        self.due = DueIndex()
        self.changed_bytes = 0
        """About how many bytes the changed customers have; what they had when they were stored last."""
        self._stored: dict[bytes, bytes] = {}
        self._young: dict[bytes, Customer] = {}
        self._old: dict[bytes, Customer] = {}
        self._changed: dict[bytes, Millis | None] = {}
        self._removed: set[bytes] = set()
        self._hot_customers = hot_customers

    def __len__(self) -> int:
        """Count the customers, stored or new."""
        return len(self._all_keys())

    @property
    def stored(self) -> int:
        """How many customers are stored; counting those who are new as well would take a step for each."""
        return len(self._stored)

    def keys(self) -> Iterator[bytes]:
        """Iterate over the keys of all customers."""
        return iter(self._all_keys())

    def _all_keys(self) -> set[bytes]:
        return self._stored.keys() | self._young.keys() | self._old.keys()

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
        customer = self._young.get(key)
        if customer is not None:
            return customer
        customer = self._old.pop(key, None)
        if customer is None:
            stored = self._stored.get(key)
            if stored is None:
                return None
            customer = _decoded(stored)
        self._young[key] = customer
        return customer

    def peek(self, key: bytes) -> Customer | None:
        """Return the customer to be read once; she isn't kept decoded for it."""
        customer = self._young.get(key) or self._old.get(key)
        if customer is not None:
            return customer
        stored = self._stored.get(key)
        return None if stored is None else _decoded(stored)

    def stored_before(self, catalogue: int) -> list[bytes]:
        """Return the keys of those who were stored under an earlier version than this, in order."""
        return sorted(key for key, value in self._stored.items() if decode_head(value).catalogue < catalogue)

    def add(self, key: bytes, customer: Customer) -> None:
        """Add a new customer."""
        self._young[key] = customer

    def touch(self, key: bytes, deadline: Millis | None) -> None:
        """Note that the customer was changed, and her next deadline."""
        changed = self._changed
        if self._removed:
            self._removed.discard(key)
        if key not in changed:
            self.changed_bytes += len(self._stored.get(key, b"")) or NEW_CUSTOMER_BYTES
        changed[key] = deadline
        self.due.set(key, deadline)

    @property
    def at_hand(self) -> tuple[dict[bytes, Customer], dict[bytes, Millis | None]]:
        """The customers who were looked at last, and the changed ones with their deadlines, until `take_changes`.

        For compiled code; another deadline of who is changed already may be set there, and in the due index.
        """
        return self._young, self._changed

    def reschedule(self, key: bytes, deadline: Millis | None) -> None:
        """Note another deadline of a customer who wasn't changed herself; she isn't stored for it."""
        if key in self._changed:
            self._changed[key] = deadline
        self.due.set(key, deadline)

    def remove(self, key: bytes) -> None:
        """Forget a customer; what is stored of her is removed with the next changes."""
        for customers in (self._young, self._old):
            customers.pop(key, None)
        self._changed.pop(key, None)
        self.due.set(key, None)
        if self._stored.pop(key, None) is not None:
            self._removed.add(key)

    def take_changes(
        self, catalogue: int, offset: int, behind: AbstractSet[bytes] = frozenset()
    ) -> list[tuple[bytes, bytes | None]]:
        """Encode the customers changed since the last call, each once; these bytes are the stored ones from then on.

        Args:
            catalogue: the version under which they were folded.
            offset: of the last record that was.
            behind: those who were folded under the version before.

        Returns:
            The changes by key; None for a customer who was removed.
        """
        live = self._young
        changes = [
            (
                key,
                store_customer(
                    live[key], Head(catalogue=catalogue - (key in behind), deadline=deadline, last_offset=offset)
                ),
            )
            for key, deadline in self._changed.items()
        ]
        self._stored.update(changes)
        removed: list[tuple[bytes, None]] = [(key, None) for key in sorted(self._removed)]
        self._removed.clear()
        self._changed.clear()
        self.changed_bytes = 0
        if len(live) > self._hot_customers // 2:
            self._old, self._young = live, {}
        return [*removed, *changes]


def _decoded(stored: bytes) -> Customer:
    try:
        return decode_customer(stored)
    except Exception as error:
        msg = (
            f"what is stored of a customer can't be read ({type(error).__name__}): the changelog is damaged; end all"
            " workers and run `tidings rebuild`"
        )
        raise DamagedMemory(msg) from error
