"""A `message` step between two of its channels: whose turn it is, from when on, and what is told in the end.

Nothing is planned ahead. Whenever a channel has been used or refused, and whenever its instant comes, the next one is
chosen anew from what holds then: of the channels that had no turn yet and are active (a template, an address,
consent, no suppression) the first in the customer's order. So a channel that is switched off meanwhile never sends,
and an order that she changes meanwhile counts. What has happened so far is the visit's list of `ChannelResult`, in
order, each channel at most once.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from schemas.customer import ChannelResult
from schemas.decisions import Channel
from schemas.definitions import Strategy
from schemas.events import Json
from schemas.instants import Millis, as_text, later

SENT: Final = "sent"
SUPPRESSED: Final = "suppressed"
SKIPPED: Final = "skipped"
INACTIVE: Final = "inactive"
_ANSWERS: Final = ("opened", "clicked", "replied")


class Remaining(Struct, frozen=True, kw_only=True):
    """The channels that had no turn yet: the active ones in order, and why each other one isn't active."""

    active: tuple[Channel, ...]
    inactive: dict[Channel, str]


def remaining(
    order: Sequence[Channel], unreachable: Mapping[Channel, str | None], results: Sequence[ChannelResult]
) -> Remaining:
    """Sort the channels that had no turn yet.

    Args:
        order: all channels, in the customer's order.
        unreachable: by channel that has a template, why the customer can't be reached on it, or None.
        results: what became of the others.
    """
    told = {result.channel for result in results}
    open_channels = [name for name in order if name in unreachable and name not in told]
    return Remaining(
        active=tuple(channel for channel in open_channels if unreachable[channel] is None),
        inactive={channel: reason for channel in open_channels if (reason := unreachable[channel]) is not None},
    )


def enough(strategy: Strategy, results: Sequence[ChannelResult], last: Mapping[str, Millis]) -> str | None:
    """Return why no further channel is needed, or None where another may follow.

    Args:
        strategy: the step's.
        results: what became of the channels so far.
        last: when an event of each type occurred last: `until_engaged` looks for an open, a click or a reply on the
            last channel used, from its message on.
    """
    sent = _last_sent(results)
    if sent is None or strategy == "all":
        return None
    if strategy == "first_available":
        return strategy
    answered = any(last.get(f"{sent.channel}_{answer}", sent.at - 1) >= sent.at for answer in _ANSWERS)
    return "engaged" if answered else None


def free_from(results: Sequence[ChannelResult], spacing: Mapping[Channel, Millis], earliest: Millis) -> Millis:
    """Return from when on the next channel may be used: `earliest`, or the end of the last message's spacing."""
    sent = _last_sent(results)
    return earliest if sent is None else max(earliest, later(sent.at, spacing[sent.channel]))


def _last_sent(results: Sequence[ChannelResult]) -> ChannelResult | None:
    return next((result for result in reversed(results) if result.status == SENT), None)


def told(
    results: Sequence[ChannelResult], rest: Remaining, rest_reason: str | None, templates: Mapping[Channel, str]
) -> dict[str, Json]:
    """Tell what became of a message: its status, of each channel what, when and why, and the reason if nothing went.

    Args:
        results: what became of the channels that had a turn.
        rest: those that had none.
        rest_reason: why the active ones of the rest weren't used.
        templates: the template of each channel.
    """
    channels = [_entry(result, templates) for result in results]
    channels += [
        {"channel": channel, "template_id": templates[channel], "status": SKIPPED, "reason": rest_reason}
        for channel in rest.active
    ]
    channels += [
        {"channel": channel, "template_id": templates[channel], "status": INACTIVE, "reason": reason}
        for channel, reason in rest.inactive.items()
    ]
    if _last_sent(results) is not None:
        return {"status": SENT, "channels": list(channels)}
    reason = results[0].reason if results else rest_reason
    return {"status": SUPPRESSED, "reason": reason, "channels": list(channels)}


def _entry(result: ChannelResult, templates: Mapping[Channel, str]) -> dict[str, Json]:
    entry: dict[str, Json] = {
        "channel": result.channel,
        "template_id": templates[result.channel],
        "status": result.status,
        "at": as_text(result.at),
    }
    if result.reason is not None:
        entry["reason"] = result.reason
    if result.send_id is not None:
        entry["send_id"] = result.send_id
    return entry
