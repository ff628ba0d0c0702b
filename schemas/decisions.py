"""What comes out: sends, decisions and webhook calls, as the outbound topics and `simulate` show them.

Absent fields are null. Instants are RFC 3339 in UTC, because people and other programs read these records.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from schemas.events import Json

Channel = Literal["email", "sms", "push", "social"]
Kind = Literal[
    "trigger_fired",
    "trigger_refused",
    "execution_started",
    "step_completed",
    "send_published",
    "send_deferred",
    "send_suppressed",
    "experiment_assigned",
    "prediction",
    "execution_paused",
    "execution_resumed",
    "execution_migrated",
    "execution_adopted",
    "execution_ended",
    "conversion",
    "late_reopened",
    "late_divergence",
    "profile_changed",
    "profile_refused",
    "bound_reached",
    "customer_merged",
    "merge_refused",
    "held_overflow",
    "customer_deleted",
    "event_dropped",
    "quarantined",
]


class Decision(Struct, frozen=True, kw_only=True):
    """One recorded choice, with its reason."""

    decision_id: str
    customer_id: str
    at: str
    kind: Kind
    workflow_id: str | None = None
    workflow_version: int | None = None
    execution_id: str | None = None
    step_id: str | None = None
    trigger_id: str | None = None
    reason: str | None = None
    detail: dict[str, Json] | None = None
    state_hash: str | None = None


class Send(Struct, frozen=True, kw_only=True):
    """One message to one customer on one channel, published when it is due."""

    send_id: str
    customer_id: str
    channel: Channel
    to: str
    from_: str | None = msgspec.field(default=None, name="from")
    reply_to: str | None = None
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    headers: dict[str, str] = {}
    template_id: str
    workflow_id: str
    workflow_version: int
    execution_id: str
    step_id: str
    variants: dict[str, Json] = {}
    category: str
    send_at: str
    expires_at: str | None = None


class WebhookCall(Struct, frozen=True, kw_only=True):
    """One request that a workflow makes of another system; `call_id` is its idempotency key."""

    call_id: str
    customer_id: str
    at: str
    webhook_url: str
    payload: dict[str, Json]
    headers: dict[str, str] = {}
    await_response: bool = False
    workflow_id: str
    workflow_version: int
    execution_id: str
    step_id: str
    expires_at: str | None = None
    """Until when the answer is awaited."""


Effect = Send | Decision | WebhookCall

_encoder: Final = msgspec.json.Encoder()


def encode_effect(effect: Effect) -> bytes:
    """Encode an effect as the JSON of its topic."""
    return _encoder.encode(effect)
