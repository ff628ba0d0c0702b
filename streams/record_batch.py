"""Filling Kafka's record batches: the bytes that go over the wire, made once and sent as they are."""

from typing import Any

from streams.fold import Header

RawRecord = tuple[bytes | None, bytes | None, int, list[Header]]
"""Key, value, epoch milliseconds, headers."""


class RecordBatch:
    """One of aiokafka's record batches, filled without its layer of keyword arguments and serializers.

    Stands in for `aiokafka.producer.message_accumulator.BatchBuilder.append`, which costs more than the C
    function below it that does the work.
    """

    def __init__(self, builder: Any) -> None:
        """Fill a builder that `create_batch` has made."""
        self._builder = builder
        self._append = builder._builder.append
        self._count = 0

    def add(self, record: RawRecord) -> bool:
        """Append a record; False if it doesn't fit any more (the first one always does)."""
        key, value, timestamp, headers = record
        if self._append(self._count, timestamp, key, value, headers) is None:
            return False
        self._count += 1
        return True

    def closed(self) -> Any:
        """Return the builder, ready to be sent."""
        self._builder._relative_offset = self._count
        self._builder.close()
        return self._builder
