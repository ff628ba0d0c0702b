"""What waits at the customers of one partition who are being merged or quarantined: mostly nobody."""

from typing import Final

from schemas.waiting import Shut, Waiting, decode_waiting, encode_waiting

WAITING_PREFIX: Final = b"w:"
"""In the changelog, before the customer's key."""


class WaitingTable:
    """By customer key, what waits; changed in place, and noted by `touch`."""

    def __init__(self) -> None:
        self.entries: dict[bytes, Waiting] = {}
        self._changed: set[bytes] = set()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take one changelog record, its key without the prefix."""
        if value is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = decode_waiting(value)

    def at(self, key: bytes) -> Waiting:
        """Return what waits at a customer, to be changed in place; `touch` follows."""
        waiting = self.entries.get(key)
        if waiting is None:
            waiting = self.entries[key] = Waiting()
        return waiting

    def is_held(self, key: bytes) -> bool:
        """Tell whether a customer's records wait."""
        waiting = self.entries.get(key)
        return waiting is not None and bool(waiting.held or waiting.asked or waiting.shut)

    def shut(self, key: bytes) -> Shut | None:
        """Return what is kept of a customer who is quarantined; None if she isn't."""
        waiting = self.entries.get(key)
        return None if waiting is None else waiting.shut

    def touch(self, key: bytes) -> None:
        """Note that what waits at a customer was changed; if nothing does any more, it is forgotten."""
        self._changed.add(key)
        if key in self.entries and self.entries[key].is_over:
            del self.entries[key]

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """Encode what has changed since the last call."""
        changes = [
            (WAITING_PREFIX + key, encode_waiting(self.entries[key]) if key in self.entries else None)
            for key in sorted(self._changed)
        ]
        self._changed.clear()
        return changes
