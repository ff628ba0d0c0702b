"""Where Avro schemas come from: a schema registry, or the topic that schema registries keep them in.

A record on the wire names its schema by a number only. Both sources answer the same two questions: which schema
has this number, and which number has this schema. Numbers are never given twice, so what is known stays true and is
kept; that a number is unknown may change at any time, and is believed for seconds only.

Everything here blocks on a network. In an event loop, ask in a thread for the numbers of a whole batch that
`known` doesn't have yet, then decode the batch with `known` alone.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from schemas.errors import TidingsError
from schemas.instants import Millis
from streams.connection import Connection

MAX_KNOWN: Final = 1_000
MAX_UNKNOWN: Final = 1_000
UNKNOWN_FOR_MS: Final[Millis] = 5_000

Value = TypeVar("Value")


class SchemaSource(Protocol):
    """Schemas by number."""

    def schema(self, schema_id: int) -> bytes | None:
        """Return the JSON text of the Avro schema with this number; None where nobody knows it.

        Raises:
            SchemasUnreachable: nobody could say; asking again later may succeed.
        """

    def register(self, subject: str, schema: bytes) -> int:
        """Return the number of a schema under a subject (`<topic>-value`), giving it one if it has none.

        Raises:
            SchemasUnreachable: nobody could say whether it is registered now; doing it again is safe.
            SchemaRefused: the registry doesn't take it, because readers of the subject couldn't read it, say.
        """

    def close(self) -> None:
        """Let go of connections."""


class SchemasUnreachable(TidingsError):
    """The registry or the broker doesn't answer, or says that it can't at the moment."""


class SchemaRefused(TidingsError):
    """The registry doesn't take a schema."""


class RememberedSchemas:
    """A source that remembers what another said: schemas for good, unknown numbers for `UNKNOWN_FOR_MS`.

    Any thread may ask. At most `MAX_KNOWN` schemas and `MAX_UNKNOWN` unknown numbers are remembered, those used
    last; the rest is asked for again.
    """

    def __init__(self, source: SchemaSource, clock: Callable[[], Millis]) -> None:
        """Remember nothing yet; `clock` returns epoch milliseconds."""
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[int, bytes] = OrderedDict()
        self._unknown_until: OrderedDict[int, Millis] = OrderedDict()

    def known(self, schema_id: int) -> bytes | None:
        """Return the schema with this number if it is remembered, without asking anybody."""
        with self._lock:
            found = self._known.get(schema_id)
            if found is not None:
                self._known.move_to_end(schema_id)
            return found

    def schema(self, schema_id: int) -> bytes | None:
        """Return the schema with this number, from memory or the source.

        Raises:
            SchemasUnreachable: nobody could say.
        """
        found = self.known(schema_id)
        if found is not None or self._is_unknown(schema_id):
            return found
        # Asked for without the lock: two threads may ask the same, and none waits for another's question.
        found = self._source.schema(schema_id)
        with self._lock:
            if found is None:
                _put(self._unknown_until, schema_id, self._clock() + UNKNOWN_FOR_MS, MAX_UNKNOWN)
            else:
                _put(self._known, schema_id, found, MAX_KNOWN)
        return found

    def register(self, subject: str, schema: bytes) -> int:
        """Return the number of a schema, giving it one if it has none.

        Raises:
            SchemasUnreachable: nobody could say.
            SchemaRefused: the registry doesn't take it.
        """
        schema_id = self._source.register(subject, schema)
        with self._lock:
            self._unknown_until.pop(schema_id, None)
            _put(self._known, schema_id, schema, MAX_KNOWN)
        return schema_id

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _is_unknown(self, schema_id: int) -> bool:
        with self._lock:
            until = self._unknown_until.get(schema_id)
            # A clock set back must not make a number unknown for longer.
            if until is not None and until - UNKNOWN_FOR_MS <= self._clock() < until:
                return True
            self._unknown_until.pop(schema_id, None)
            return False


def open_schemas(url: str | None, connection: Connection, clock: Callable[[], Millis]) -> RememberedSchemas:
    """Return the schemas of a registry (`SCHEMA_REGISTRY_URL`), or where there is none those of `_schemas`.

    Nothing is asked yet, so nothing has to answer yet.
    """
    from streams.registry_http import RegistrySchemas  # noqa: PLC0415
    from streams.registry_topic import TopicSchemas  # noqa: PLC0415

    source: SchemaSource = TopicSchemas(connection) if url is None else RegistrySchemas(url)
    return RememberedSchemas(source, clock)


def _put(remembered: OrderedDict[int, Value], key: int, value: Value, limit: int) -> None:
    remembered[key] = value
    remembered.move_to_end(key)
    if len(remembered) > limit:
        remembered.popitem(last=False)
