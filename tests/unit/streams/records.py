"""A record without Kafka."""

import msgspec

from streams.fold import Header


class Plain(msgspec.Struct, frozen=True, kw_only=True):
    """One record as the movement hands it over."""

    offset: int
    value: bytes | None = b""
    key: bytes | None = None
    timestamp: int = 0
    headers: tuple[Header, ...] = ()
