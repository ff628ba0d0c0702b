"""What is remembered of a customer: one value, msgpack, behind a head of 20 fixed bytes.

The head (format, catalogue number, deadline, last log offset) lets recovery build the due index without decoding
a single state. A state is a map in which everything that has its default is left out: a customer pays for what is
known of her, and a field that is new changes no byte (so no `state_hash`) of a state that doesn't use it. The format
number rises when an old state can't be read as it stands.

A large state of somebody who is in a workflow is stored compressed, under a format number of its own: half of it are
names that come again. It takes 15 us to write and 6 to read (DEFLATE, the fastest level), once for a transaction, which
is little beside a mail's 150; whoever is in none is left plain, since an event of hers takes less than that altogether.
What is moved, hashed or compared is never compressed: the bytes depend on the machine's zlib, and no decision may.

The state is changed in place while an input is folded. What is committed is the bytes; a live object whose
bytes were not committed dies with its worker.
"""

import struct
import zlib
from typing import Final

import msgspec
from msgspec import Struct, field

from schemas.decisions import Channel
from schemas.errors import TidingsError
from schemas.events import Json
from schemas.instants import Millis

FORMAT: Final = 4
TIGHT_FORMAT: Final = 5
"""The same, compressed behind the head."""
TIGHT_FROM: Final = 1_000
"""The bytes behind the head from which on compressing is worth its time."""
_RAW_DEFLATE: Final = -15
NO_DEADLINE: Final[Millis] = 2**63 - 1
NEVER: Final[Millis] = -(2**62)
"""The time of somebody for whom nothing was decided yet."""
_HEAD: Final = struct.Struct(">BxHqq")
HEAD_BYTES: Final = _HEAD.size

SEEN_EVENTS: Final = 64
RECENT_EVENTS: Final = 20
MAX_ATTRIBUTES: Final = 200
MAX_ATTRIBUTES_BYTES: Final = 32 * 1024
MAX_COUNTED_TYPES: Final = 200
MAX_STEP_HISTORY: Final = 100
MAX_ATTRIBUTABLE: Final = 50
MAX_SUPPRESSED_ADDRESSES: Final = 8
"""Of one channel."""
MAX_SEGMENTS: Final = 200
"""Of those whose members come by action and by CRM, which may name any."""
MAX_ASSIGNMENTS: Final = 200
MAX_ABSORBED: Final = 64
"""Pairs that are remembered; one that was forgotten is asked again, which only takes time."""
MAX_PASSED: Final = 20
"""Decisions of an execution that a late event can reopen; beyond them, the oldest can't be."""
MAX_KNOWN_SENDS: Final = 32
"""Messages whose hour is remembered until somebody answers them; beyond them, the oldest one's isn't."""
MAX_SETTLED: Final = 20
"""Effects behind which decisions are kept for comparison."""

STEP_TYPES: Final = ("email", "sms", "push", "social", "message", "wait", "decision", "action", "experiment")
"""The types of steps, in the order in which histories number them; new ones go to the end."""


# The names of keys as they are stored: a state is many small maps, and full names are a third of it. A code that is
# in use never gets another meaning.
_VISIT: Final = {
    "step_id": "s",
    "visit": "v",
    "entered_at": "e",
    "due_at": "d",
    "expires_at": "x",
    "grace_until": "g",
    "deferred": "w",
    "channels": "c",
    "held_on": "h",
    "parked": "p",
    "behind": "b",
    "best_hours": "t",
}
_EXECUTION: Final = {
    "execution_id": "i",
    "workflow_id": "w",
    "version": "v",
    "trigger_id": "t",
    "started_at": "s",
    "expires_at": "x",
    "trigger": "e",
    "branches": "b",
    "visits": "n",
    "history": "h",
    "last_send_at": "l",
    "last_event": "f",
    "variants": "a",
    "responses": "r",
    "paused_at": "p",
    "key": "k",
    "override": "o",
    "passed": "d",
}
_ENDED: Final = {
    "execution_id": "i",
    "started_at": "s",
    "ended_at": "e",
    "reason": "r",
    "last_send_at": "l",
}
_SESSION: Final = {
    "started_at": "s",
    "last_at": "l",
    "session_id": "i",
    "events": "e",
    "pages": "p",
}
_CONTACT: Final = {
    "consent": "c",
    "suppressed": "s",
    "changed_at": "t",
    "addresses": "a",
}
_GRAVE: Final = {
    "at": "t",
    "suppressions": "s",
}
_BONDS: Final = {
    "merged_into": "m",
    "absorbed": "a",
    "grave": "g",
    "refused": "r",
}
_CUSTOMER: Final = {
    "customer_id": "id",
    "now": "n",
    "seen": "se",
    "email": "em",
    "phone": "ph",
    "push_token": "pt",
    "social_id": "so",
    "attributes": "a",
    "attribute_times": "at",
    "preferences": "pr",
    "lifecycle_stage": "ls",
    "stage_at": "la",
    "segments": "sg",
    "contacts": "c",
    "first_seen": "f",
    "last_activity": "l",
    "activity_seen_at": "as",
    "last_engagement": "le",
    "score": "sc",
    "score_at": "sa",
    "total_purchases": "tp",
    "total_spent": "ts",
    "counts": "co",
    "last": "lo",
    "recent": "r",
    "session": "s",
    "executions": "x",
    "ended": "e",
    "cooldowns": "cd",
    "windows": "w",
    "silences": "si",
    "refusals": "rf",
    "clauses": "cl",
    "forgotten": "fo",
    "sequences": "sq",
    "timeline": "tl",
    "assignments": "ag",
    "exposed": "ex",
    "absences": "ab",
    "first_events": "fe",
    "second_events": "sn",
    "verification": "v",
    "sent": "st",
    "segment_flips": "sf",
    "stage_flip": "lf",
    "is_visitor": "iv",
    "is_forgotten": "if",
    "watched_by": "wb",
    "attributable": "ae",
    "entries": "en",
    "dates": "da",
    "bonds": "b",
    "hashed_as": "h",
    "settled": "sd",
    "pending": "pe",
    "hours": "ho",
}


class Values(Struct, omit_defaults=True, gc=False):
    """What the states are made of: trees of plain values, so the collector of cycles needn't look at them."""


class ChannelResult(Values, array_like=True):
    """What became of one channel of a `message` step: `sent` or `suppressed`, and when."""

    channel: Channel
    status: str
    at: Millis
    reason: str | None = None
    send_id: str | None = None


class Visit(Values, omit_defaults=True, gc=False, rename=_VISIT):
    """One branch of an execution, standing in a step. `due_at` is None while only an event can move it."""

    step_id: str
    entered_at: Millis
    due_at: Millis | None
    visit: int = 1
    expires_at: Millis | None = None
    grace_until: Millis | None = None
    deferred: str | None = None
    """Why a message waits: `timing`, `quiet_hours`, `frequency_cap`, `data_grace`."""
    channels: list[ChannelResult] = field(default_factory=list)
    """Of a `message` step, the channels that have had their turn, in order."""
    held_on: Channel | None = None
    """The channel that was paused when the message would have gone out."""
    parked: bool = False
    """Whether the branch stands before the step, because the execution was held when it came there."""
    behind: int = 0
    """The number of the last decision on the way here that can still be reopened; 0 for none."""
    best_hours: int | None = None
    """The local hours by which a message was timed, a bit each; None where it isn't optimized, or wasn't timed yet."""


class Passed(Values, array_like=True, gc=False):
    """A decision that an execution has passed, with what it knew; see `journeys.hindsight`."""

    number: int
    behind: int
    """The number of the decision before it on its way; 0 for none."""
    step_id: str
    visit: int
    at: Millis
    way: str | None
    """The step it led to."""
    known: "Customer"
    last_event: bytes | None = None
    responses: dict[str, int] = field(default_factory=dict)
    asks_trigger: bool = False
    told: list[str | None] = field(default_factory=list)
    """The other ways that late events have brought out since it had an effect."""


class Settled(Values, array_like=True, gc=False):
    """Decisions of which something came, and what they could see of their execution."""

    at: Millis
    """The instant of the effect."""
    execution_id: str
    workflow_id: str
    version: int
    trigger_id: str
    override: str | None
    started_at: Millis
    expires_at: Millis
    last_send_at: Millis | None
    key: str | None
    trigger: bytes
    passed: list[Passed]


class StepEntry(Values, array_like=True, gc=False):
    """One line of an execution's step history."""

    step_id: str
    kind: int
    """The place of its type among `STEP_TYPES`."""
    entered_after: Millis
    """How long after the execution's start it was entered."""
    took: Millis
    """How long after that it was left."""
    result: str


class Entries(Values, array_like=True, gc=False):
    """How often steps were entered at one instant."""

    at: Millis
    counts: dict[str, int]
    """By execution and step."""


class Execution(Values, omit_defaults=True, gc=False, rename=_EXECUTION):
    """One customer's run through one workflow."""

    execution_id: str
    workflow_id: str
    trigger_id: str
    started_at: Millis
    expires_at: Millis
    trigger: bytes
    """The event that started it (`schemas.kept_events`); empty when a timer did."""
    branches: list[Visit]
    visits: dict[str, int]
    version: int = 1
    history: list[StepEntry] = field(default_factory=list)
    last_send_at: Millis | None = None
    last_event: bytes | None = None
    variants: dict[str, str] = field(default_factory=dict)
    """The variant taken at each split, by step."""
    responses: dict[str, int] = field(default_factory=dict)
    """The status with which the webhook of each step was answered."""
    paused_at: Millis | None = None
    """Since when a command holds it."""
    key: str | None = None
    """The value of the workflow's `execution_key`."""
    override: str | None = None
    """The variation of an experiment, by which its workflow's steps are changed."""
    passed: list[Passed] = field(default_factory=list)
    """The decisions since its last effect that late events can change, oldest first."""


class Ended(Values, omit_defaults=True, gc=False, rename=_ENDED):
    """What is kept of the last execution of a workflow: enough for re-entry and for `explain`."""

    execution_id: str
    started_at: Millis
    ended_at: Millis
    reason: str
    last_send_at: Millis | None = None


class Attributable(Values, array_like=True, gc=False):
    """An execution that has ended, and can still reach its goal by what happens after its last send."""

    execution_id: str
    workflow_id: str
    version: int
    trigger_id: str
    key: str | None
    since: Millis
    until: Millis
    trigger: bytes = b""
    """The event that started it (`schemas.kept_events`), where the goal looks at it."""
    started_at: Millis | None = None


class Pending(Values, array_like=True, gc=False):
    """A firing that starts something once it has a place among the trigger's `max_executions`."""

    trigger: str
    """Its key, `workflow/trigger`."""
    name: str
    """Of the execution among the customer's: the workflow that would start, and the execution key."""
    cause: str
    most: int
    depth: int
    event: bytes
    """The event that starts it (`schemas.kept_events`); empty without one."""
    key: str | None
    detail: dict[str, Json]
    granted: bool = False


class Session(Values, omit_defaults=True, gc=False, rename=_SESSION):
    """The latest session, made of behavioral events by `occurred_at`."""

    started_at: Millis
    last_at: Millis
    session_id: str | None = None
    events: int = 0
    pages: int = 0


class Contact(Values, omit_defaults=True, gc=False, rename=_CONTACT):
    """Consent and suppression of one channel."""

    consent: str = "unknown"
    suppressed: str | None = None
    """`unsubscribed`; `bounced` or `complained` only where nobody knew of which address."""
    changed_at: Millis = 0
    addresses: dict[str, str] = field(default_factory=dict)
    """Addresses that bounced or complained, in lower case, and which of the two; the newest few."""


class SequenceMemory(Values, array_like=True, gc=False):
    """What an `event_sequence` trigger remembers; see `journeys.sequences`."""

    places: list[int] = field(default_factory=list)
    """Of the events it keeps, in order: when each occurred, or its place in the timeline of behavioral events."""
    bits: list[int] = field(default_factory=list)
    """What each of them stands for."""
    live: list[Millis | None] = field(default_factory=list)
    """The latest start of a chain that has come so far, by item; empty when nothing is live."""
    base: list[Millis | None] = field(default_factory=list)
    """The same as it was before the first of the kept events."""
    behind: Millis | None = None
    """When the last match ended; what occurred before is not looked at."""


class Absence(Values, array_like=True, gc=False):
    """What waits for a second event that should not come."""

    trigger: str
    execution_key: str | None
    since: Millis
    due_at: Millis
    event: bytes
    """The first event; see `schemas.kept_events`."""


class AnswerHours(Values, array_like=True, gc=False):
    """What was sent and answered, by the local hour of sending; see `journeys.answer_hours`."""

    at: Millis
    """The instant as of which the sums are kept, that of the latest observation."""
    sends: dict[int, float] = field(default_factory=dict)
    responses: dict[int, float] = field(default_factory=dict)
    """Opens and clicks of people."""
    known: bytes = b""
    """The newest messages, oldest first: 4 bytes of the id's hash, and the hour."""


class Verification(Values, array_like=True):
    """What an agent found out about an address: the address's hash, when, and whether it can't take mail."""

    address: int
    at: Millis
    undeliverable: bool


class Grave(Values, omit_defaults=True, gc=False, rename=_GRAVE):
    """What is left of a customer who was deleted: when, and which addresses must be left alone, as salted hashes."""

    at: Millis | None = None
    """None where only what another's grave keeps was inherited."""
    suppressions: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Channel, reason, salt, and the hash of the address (empty: whatever it is)."""


class Bonds(Values, omit_defaults=True, gc=False, rename=_BONDS):
    """How a customer is bound to others, and to whom she was; most have none."""

    merged_into: str | None = None
    """The key of whoever absorbed her: nothing is left here, and what comes is forwarded."""
    absorbed: list[int] = field(default_factory=list)
    """The hashes of the keys that she has absorbed, the latest last."""
    grave: Grave | None = None
    refused: list[int] = field(default_factory=list)
    """The hashes of the latest events that asked in vain for her to be merged or deleted, the latest last."""


class Customer(Values, omit_defaults=True, gc=False, rename=_CUSTOMER):
    """Everything that a decision about this customer may depend on, besides the catalogue and the time."""

    customer_id: str
    now: Millis = NEVER
    seen: bytes = b""
    """The hashes of the latest events' ids and when they were decided on, oldest first; see `journeys.repeats`."""
    # profile
    email: str | None = None
    phone: str | None = None
    push_token: str | None = None
    social_id: str | None = None
    attributes: dict[str, Json] = field(default_factory=dict)
    attribute_times: dict[str, Millis] = field(default_factory=dict)
    preferences: dict[str, Json] = field(default_factory=dict)
    lifecycle_stage: str = "prospect"
    stage_at: Millis | None = None
    segments: list[str] = field(default_factory=list)
    contacts: dict[str, Contact] = field(default_factory=dict)
    # computed
    first_seen: Millis | None = None
    last_activity: Millis | None = None
    activity_seen_at: Millis | None = None
    """The decision time at which `last_activity` became known; later than it when the event came late."""
    last_engagement: Millis | None = None
    score: float = 0.0
    score_at: Millis | None = None
    total_purchases: int = 0
    total_spent: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    last: dict[str, Millis] = field(default_factory=dict)
    recent: bytes = b""
    """When the newest events occurred, and their types, oldest first; see `journeys.newest`."""
    session: Session | None = None
    # journeys
    executions: list[Execution] = field(default_factory=list)
    ended: dict[str, Ended] = field(default_factory=dict)
    cooldowns: dict[str, Millis] = field(default_factory=dict)
    windows: dict[str, list[Millis]] = field(default_factory=dict)
    """Instants that a counting trigger still needs, by trigger, oldest first."""
    silences: dict[str, Millis] = field(default_factory=dict)
    """By inactivity trigger: the `last_activity` of the silence that has been answered already."""
    refusals: dict[str, int] = field(default_factory=dict)
    """The UTC day of the last recorded refusal, by trigger and reason."""
    clauses: dict[str, list[Millis]] = field(default_factory=dict)
    """Instants that a `performed` clause still needs, by clause."""
    forgotten: dict[str, Millis] = field(default_factory=dict)
    """By counting trigger: the newest instant that had to be forgotten for want of room."""
    sequences: dict[str, SequenceMemory] = field(default_factory=dict)
    """By sequence trigger, what it remembers."""
    timeline: list[int] = field(default_factory=list)
    """The places of the newest behavioral events, oldest first; kept while a strict sequence is in force."""
    assignments: dict[str, str] = field(default_factory=dict)
    """The variation of each experiment, oldest first."""
    exposed: list[str] = field(default_factory=list)
    """The experiments that the customer takes part in."""
    absences: list[Absence] = field(default_factory=list)
    first_events: dict[str, list[Millis]] = field(default_factory=dict)
    """By absence trigger: when its newest first events occurred, oldest first."""
    second_events: dict[str, list[tuple[Millis, str]]] = field(default_factory=dict)
    """By absence trigger: when its second events occurred, and their execution key, oldest first."""
    verification: Verification | None = None
    sent: dict[str, list[Millis]] = field(default_factory=dict)
    """Instants of marketing messages that a cap still needs, by channel or channel/workflow, oldest first."""
    segment_flips: dict[str, Millis] = field(default_factory=dict)
    """When time can change a membership next, by segment."""
    stage_flip: Millis | None = None
    """When time can change what a rule of the lifecycle says."""
    is_visitor: bool = False
    """Whether her first event had no customer's id."""
    is_forgotten: bool = False
    """Whether her state is to be removed."""
    watched_by: int = 0
    """The catalogue under which stage and memberships were computed; 0 while it is the default one."""
    attributable: list[Attributable] = field(default_factory=list)
    """Executions that have ended, in the order of their ends, for as long as they can reach their goal."""
    entries: Entries | None = None
    """How often steps that an execution can come to again were entered at one instant."""
    dates: dict[str, int] = field(default_factory=dict)
    """By date trigger: the day (counted from the year 1) that has been answered already."""
    pending: list[Pending] = field(default_factory=list)
    """Firings that wait for a place, in their order; her records wait meanwhile."""
    bonds: Bonds | None = None
    hashed_as: str | None = None
    """What stands for the id in hashes of causes, where a visitor could be shown by the same id."""
    settled: list[Settled] = field(default_factory=list)
    """Decisions before an effect, oldest first, for as long as they are compared."""
    hours: AnswerHours | None = None
    """What her best hours are made of; None as long as nothing was sent or answered."""


class Head(Struct, frozen=True, kw_only=True):
    """The 20 bytes before a stored state."""

    catalogue: int
    deadline: Millis | None
    last_offset: int


class UnreadableState(TidingsError):
    """A stored state of a format that this version can't read."""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Customer)


def encode_customer(customer: Customer, head: Head) -> bytes:
    """Encode a customer behind her head, for whoever copies, moves or compares her."""
    return _encode_head(FORMAT, head) + _encoder.encode(customer)


def store_customer(customer: Customer, head: Head) -> bytes:
    """Encode a customer as the table keeps her: a large one who is in a workflow is compressed."""
    content = _encoder.encode(customer)
    if len(content) < TIGHT_FROM or not customer.executions:
        return _encode_head(FORMAT, head) + content
    return _encode_head(TIGHT_FORMAT, head) + zlib.compress(content, level=1, wbits=_RAW_DEFLATE)


def _encode_head(format_number: int, head: Head) -> bytes:
    deadline = NO_DEADLINE if head.deadline is None else head.deadline
    return _HEAD.pack(format_number, head.catalogue, deadline, head.last_offset)


def decode_head(stored: bytes) -> Head:
    """Decode the head alone.

    Raises:
        UnreadableState: another format.
    """
    format_number, catalogue, deadline, last_offset = _HEAD.unpack_from(stored)
    if format_number not in {FORMAT, TIGHT_FORMAT}:
        msg = (
            f"a customer state has format {format_number}, this version reads {FORMAT} and {TIGHT_FORMAT}: use the "
            "version that wrote it"
        )
        raise UnreadableState(msg)
    return Head(catalogue=catalogue, deadline=None if deadline == NO_DEADLINE else deadline, last_offset=last_offset)


def decode_customer(stored: bytes) -> Customer:
    """Decode the state behind the head, compressed or not."""
    content = memoryview(stored)[HEAD_BYTES:]
    return _decoder.decode(zlib.decompress(content, wbits=_RAW_DEFLATE) if stored[0] == TIGHT_FORMAT else content)
