"""What a backfill brings to a customer: where she would stand in a workflow that had been there all along.

It is a slice of her state as a shadow has it: only what belongs to the one workflow, in the form in which her own state
keeps it, so that it fits in as it is.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from schemas.customer import Absence, Attributable, Customer, Ended, Execution, SequenceMemory, Settled, Values
from schemas.decisions import Channel
from schemas.instants import Millis

PastSends = Literal["skip", "latest", "all"]
"""What goes out of what would have been sent by now: nothing, each customer's newest, or everything that is fresh."""

_STAGED: Final = {
    "workflow_id": "W",
    "late": "L",
    **dict(zip(Customer.__struct_fields__, Customer.__struct_encode_fields__, strict=True)),
}
"""What is cut out is stored under the names that it has in a customer's own state."""


class LateSend(Values, array_like=True, gc=False):
    """A message that would have gone out before its customer went over, and that she is to get all the same."""

    at: Millis
    """When it would have."""
    customer_id: str
    step_id: str
    visit: int
    channel: Channel
    expires_at: Millis | None
    execution: Execution
    """As far as the message is made of it: it stands nowhere."""


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
    late: list[LateSend] = field(default_factory=list)
    """In the order of their times."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to bring: a customer whom the workflow never touched."""
        names = self.__struct_fields__[1:]
        return not any(getattr(self, name) for name in names)


class StagedEntry(Struct, frozen=True, array_like=True):
    """What a mark brings to one customer."""

    key: str
    """Hers in the log."""
    digest: str
    """Of who she was when this was cut out; if she is another by now, it says nothing of her."""
    staged: bytes = b""
    """Her slice; empty where the workflow never touched her."""


class Backfill(Struct, frozen=True, kw_only=True):
    """That a version of the definitions brings a workflow that counts as having been there."""

    workflow_id: str
    since: Millis
    """From when on."""
    policy: PastSends = "skip"
    fresh_ms: Millis = 0
    is_over: bool = False
    """Whether everybody has gone over; no rule looks at it."""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Staged)


def encode_staged(staged: Staged) -> bytes:
    """Encode a slice as the value of its record."""
    return _encoder.encode(staged)


def decode_staged(stored: bytes) -> Staged:
    """Decode the value of a record."""
    return _decoder.decode(stored)
