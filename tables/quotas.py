"""How many places of each trigger with `max_executions` are taken, of those whose key belongs to one partition."""

import msgspec


class QuotasTable:
    """By key, the places that were granted; a granted place is never given back."""

    def __init__(self) -> None:
        self._granted: dict[bytes, int] = {}
        self._changed: set[bytes] = set()

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take one changelog record."""
        if value is not None:
            self._granted[key] = msgspec.json.decode(value, type=int)

    def taken(self, key: bytes) -> int:
        """Return how many places are taken."""
        return self._granted.get(key, 0)

    def take(self, key: bytes, most: int) -> bool:
        """Take a place; return False, unchanged, if `most` are taken."""
        taken = self.taken(key)
        if taken >= most:
            return False
        self._granted[key] = taken + 1
        self._changed.add(key)
        return True

    def take_changes(self) -> list[tuple[bytes, bytes | None]]:
        """Encode what has changed since the last call."""
        changes: list[tuple[bytes, bytes | None]] = [
            (key, msgspec.json.encode(self._granted[key])) for key in sorted(self._changed)
        ]
        self._changed.clear()
        return changes
