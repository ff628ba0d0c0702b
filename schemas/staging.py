"""What a backfill brings to a customer: where she would stand in a workflow that had been there all along.

It is a slice of her state as a shadow has it: only what belongs to the one workflow, in the form in which her own state
keeps it, so that it fits in as it is.
"""

from typing import Final

import msgspec
from msgspec import field

from schemas.customer import Absence, Attributable, Customer, Ended, Execution, SequenceMemory, Settled, Values
from schemas.instants import Millis

_STAGED: Final = {
    "workflow_id": "W",
    **dict(zip(Customer.__struct_fields__, Customer.__struct_encode_fields__, strict=True)),
}
"""What is cut out is stored under the names that it has in a customer's own state."""


class Staged(Values, omit_defaults=True, gc=False, rename=_STAGED):
    """The slice of one customer's state that is one workflow's; fields as in `Customer`."""

    workflow_id: str
    executions: list[Execution] = field(default_factory=list)
    ended: dict[str, Ended] = field(default_factory=dict)
    attributable: list[Attributable] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    cooldowns: dict[str, Millis] = field(default_factory=dict)
    silences: dict[str, Millis] = field(default_factory=dict)
    dates: dict[str, int] = field(default_factory=dict)
    windows: dict[str, list[Millis]] = field(default_factory=dict)
    forgotten: dict[str, Millis] = field(default_factory=dict)
    sequences: dict[str, SequenceMemory] = field(default_factory=dict)
    timeline: list[int] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    first_events: dict[str, list[Millis]] = field(default_factory=dict)
    second_events: dict[str, list[tuple[Millis, str]]] = field(default_factory=dict)
    clauses: dict[str, list[Millis]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to bring: a customer whom the workflow never touched."""
        names = self.__struct_fields__[1:]
        return not any(getattr(self, name) for name in names)


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Staged)


def encode_staged(staged: Staged) -> bytes:
    """Encode a slice as the value of its record."""
    return _encoder.encode(staged)


def decode_staged(stored: bytes) -> Staged:
    """Decode the value of a record."""
    return _decoder.decode(stored)
