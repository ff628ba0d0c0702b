"""Frequency caps: how many marketing messages a customer may get within a sliding window.

A cap looks at the window that ends now: a message sent exactly `per_ms` ago has left it. It counts what it names (one
channel or all, one workflow or all); transactional messages are neither counted nor held back, so they never come here.

Of the past only instants are kept, by channel (and by workflow, where a cap looks at workflows one by one), and of
these only what a cap may still need: those within its window, and of them the latest `max`, because that many fill it.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from schemas.decisions import Channel
from schemas.definitions import FrequencyCap
from schemas.events import Json
from schemas.instants import HOUR_MS, LATEST, Millis, later, span

Sent = dict[str, list[Millis]]
"""Instants of messages, oldest first, by channel, or by channel/workflow."""

_SLASH: Final = "/"


class Cap(Struct, frozen=True, kw_only=True):
    """A cap, compiled."""

    channel: Channel | None
    most: int
    per_ms: Millis
    by_workflow: bool
    delays: bool
    detail: dict[str, Json]
    """What a decision says about it."""


class Full(Struct, frozen=True, kw_only=True):
    """A cap without room for a message; `room_at` is the first instant with room, None where it is to be skipped."""

    cap: Cap
    sent: int
    room_at: Millis | None


def compile_caps(caps: Sequence[FrequencyCap]) -> tuple[Cap, ...]:
    """Compile the caps of the settings."""
    return tuple(
        Cap(
            channel=cap.channel,
            most=cap.max,
            per_ms=span(cap.per_hours * HOUR_MS),
            by_workflow=cap.scope == "workflow",
            delays=cap.on_cap == "delay",
            detail={"channel": cap.channel, "max": cap.max, "per_hours": cap.per_hours, "scope": cap.scope},
        )
        for cap in caps
    )


def find_full(caps: Sequence[Cap], sent: Sent, channel: Channel, workflow_id: str, now: Millis) -> Full | None:
    """Tell whether a cap has no room for a message now.

    Args:
        caps: all of them.
        sent: what was sent to the customer so far.
        channel: of the message.
        workflow_id: of the message; no workflow's id holds a slash.
        now: the instant at which it would go out.

    Returns:
        The first full cap that skips; else the full one that has room last, with the first instant at which all of
        those that are full now have room again; None if there is room.
    """
    last: Full | None = None
    for cap in caps:
        if cap.channel not in {None, channel}:
            continue
        counted = _counted(cap, sent, workflow_id, now)
        if len(counted) < cap.most:
            continue
        if not cap.delays:
            return Full(cap=cap, sent=len(counted), room_at=None)
        room_at = later(counted[-cap.most], cap.per_ms) if cap.most else LATEST
        if last is None or last.room_at is None or room_at > last.room_at:
            last = Full(cap=cap, sent=len(counted), room_at=room_at)
    return last


def _counted(cap: Cap, sent: Sent, workflow_id: str, now: Millis) -> list[Millis]:
    """List the instants in the window that ends now, oldest first."""
    horizon = now - cap.per_ms
    found: list[Millis] = []
    for key, instants in sent.items():
        channel, _, workflow = key.partition(_SLASH)
        if cap.channel in {None, channel} and (not cap.by_workflow or workflow == workflow_id):
            found += [instant for instant in instants if instant > horizon]
    return sorted(found)


def count_send(caps: Sequence[Cap], sent: Sent, channel: Channel, workflow_id: str, now: Millis) -> None:
    """Remember a message that goes out now, and forget what no cap needs any more.

    Args:
        caps: all of them.
        sent: changed in place.
        channel: of the message.
        workflow_id: of the message.
        now: not before any instant in `sent`.
    """
    by_workflow = any(cap.by_workflow and cap.channel in {None, channel} for cap in caps)
    sent.setdefault(f"{channel}{_SLASH}{workflow_id}" if by_workflow else channel, []).append(now)
    for key in list(sent):
        needed = _needed(caps, key.partition(_SLASH)[0], sent[key], now)
        if needed:
            sent[key] = needed
        else:
            del sent[key]


def _needed(caps: Sequence[Cap], channel: str, instants: list[Millis], now: Millis) -> list[Millis]:
    concerned = [cap for cap in caps if cap.channel in {None, channel}]
    horizon = now - max((cap.per_ms for cap in concerned), default=0)
    most = max((cap.most for cap in concerned), default=0)
    return [instant for instant in instants if instant > horizon][-most:] if most else []
