"""When a customer answers: her sends, and her opens and clicks, by the local hour of sending.

SPEC 6 counts a response at the hour at which its message went out, for that is the hour that can be chosen. An event
that names its send is counted there, as long as the send is among the newest few, whose hours are remembered; any
other response stands for a send and an answer at its own local hour.

Everything halves every 90 days. As with the score (`scoring.py`), each observation is worth 2^-(age / half-life),
whatever the order of arrival; the sums are kept as of the latest observation, which is one instant for all of them,
and are decayed to now where they are read. They differ in their last bits by the order of adding, which is why
`best_hours` rounds what it compares.

A customer who was sent nothing and answered nothing has no such memory at all.
"""

from math import exp2
from struct import Struct as Packed
from typing import Final

from schemas.customer import MAX_KNOWN_SENDS, AnswerHours
from schemas.identity import event_hash
from schemas.instants import DAY_MS, Millis, local

HALF_LIFE_MS: Final = 90 * DAY_MS
RESPONSES: Final = frozenset(
    {"email_opened", "email_clicked", "sms_opened", "sms_clicked", "push_opened", "push_clicked", "social_opened",
     "social_clicked"}
)  # fmt: skip
"""What counts as an answer: opens and clicks, on every channel."""
_HOURS: Final = 24
_ENTRY: Final = Packed(">IB")
"""A remembered send: 4 bytes of its id's hash, and its hour. Two of one customer's share theirs once in 100 million."""


def hour_of(instant: Millis, zone_name: str) -> int:
    """Return the local hour of an instant, 0 to 23."""
    return local(instant, zone_name).hour


def count_send(hours: AnswerHours | None, send_id: str, hour: int, at: Millis) -> AnswerHours:
    """Count a message, and remember at which hour it went out.

    Args:
        hours: changed in place; None where there is nothing yet.
        send_id: by which a response may name it.
        hour: the local hour at which it goes out.
        at: when it goes out.
    """
    hours = AnswerHours(at=at) if hours is None else hours
    _add(hours, hours.sends, hour, at)
    kept = hours.known + _ENTRY.pack(_hash(send_id), hour)
    hours.known = kept[-MAX_KNOWN_SENDS * _ENTRY.size :]
    return hours


def count_response(hours: AnswerHours | None, send_id: object, own_hour: int, at: Millis) -> AnswerHours:
    """Count an open or a click: at the hour of its send, or as a send and an answer at its own hour.

    Args:
        hours: changed in place; None where there is nothing yet.
        send_id: what the event says about its send; anything.
        own_hour: the local hour at which it occurred.
        at: when it occurred, which may be before anything counted so far.
    """
    hours = AnswerHours(at=at) if hours is None else hours
    hour = _known_hour(hours, send_id) if isinstance(send_id, str) else None
    if hour is None:
        hour = own_hour
        _add(hours, hours.sends, hour, at)
    _add(hours, hours.responses, hour, at)
    return hours


def as_of(hours: AnswerHours, now: Millis) -> tuple[list[float], list[float]]:
    """Return what is left now of the responses and of the sends, by hour, 24 of each."""
    left = exp2((hours.at - now) / HALF_LIFE_MS) if now > hours.at else 1.0
    return _by_hour(hours.responses, left), _by_hour(hours.sends, left)


def united(mine: AnswerHours | None, theirs: AnswerHours | None) -> AnswerHours | None:
    """Add up what two customers' hours say who turn out to be one; of known sends the survivor's are the newer ones."""
    if mine is None or theirs is None:
        return mine or theirs
    _decay(mine, theirs.at)
    _decay(theirs, mine.at)
    return AnswerHours(
        at=mine.at,
        sends=_sum(mine.sends, theirs.sends),
        responses=_sum(mine.responses, theirs.responses),
        known=(theirs.known + mine.known)[-MAX_KNOWN_SENDS * _ENTRY.size :],
    )


def _add(hours: AnswerHours, counts: dict[int, float], hour: int, at: Millis) -> None:
    _decay(hours, at)
    counts[hour] = counts.get(hour, 0.0) + (1.0 if at >= hours.at else exp2((at - hours.at) / HALF_LIFE_MS))


def _decay(hours: AnswerHours, at: Millis) -> None:
    """Bring the sums to a later instant."""
    if at <= hours.at:
        return
    left = exp2((hours.at - at) / HALF_LIFE_MS)
    hours.at = at
    for counts in (hours.sends, hours.responses):
        for hour in counts:
            counts[hour] *= left


def _known_hour(hours: AnswerHours, send_id: str) -> int | None:
    wanted = _hash(send_id)
    return next((hour for known, hour in _ENTRY.iter_unpack(hours.known) if known == wanted), None)


def _hash(send_id: str) -> int:
    return event_hash(send_id) & 0xFFFF_FFFF


def _by_hour(counts: dict[int, float], left: float) -> list[float]:
    return [counts[hour] * left if hour in counts else 0.0 for hour in range(_HOURS)]


def _sum(mine: dict[int, float], theirs: dict[int, float]) -> dict[int, float]:
    return {hour: mine.get(hour, 0.0) + theirs.get(hour, 0.0) for hour in sorted(mine.keys() | theirs.keys())}
