"""Reasons, instants and amounts as a person would say them."""

from datetime import date
from typing import Final

from schemas.instants import Millis, local

_REASONS: Final = {
    "already_active": "it is under way already",
    "re_entry": "too soon after the last time",
    "cooldown": "too soon after the last start",
    "event_too_old": "the event came too late to act on",
    "max_concurrent_executions": "in too many workflows at once",
    "guard": "the mail's own condition no longer held",
    "no_address": "no address is known",
    "invalid_address": "the address is impossible",
    "missing_personalization": "a value that the mail needs is missing",
    "no_consent": "no consent",
    "expired": "of no use any more when it could have gone out",
    "no_possible_time": "no hour fits before it expires",
    "bounced": "the address bounces",
    "complained": "the customer has complained",
    "unsubscribed": "the customer has unsubscribed",
}


def reason_in_words(reason: str) -> str:
    """Say why nothing happened."""
    return _REASONS.get(reason, reason.replace("_", " "))


def moment(instant: Millis, zone: str) -> str:
    """Say a local time so that a column of them lines up: "Thu  2 Jan 1997 13:25"."""
    at = local(instant, zone)
    return f"{at:%a} {at.day:2} {at:%b %Y %H:%M}"


def near_moment(instant: Millis, zone: str) -> str:
    """Say a local time not far away: "Mon 6 Jan 10:00"."""
    at = local(instant, zone)
    return f"{at:%a} {at.day} {at:%b %H:%M}"


def month_in_words(month: str) -> str:
    """Say "1997-01" as "Jan 1997"."""
    return f"{date.fromisoformat(f'{month}-01'):%b %Y}"


def share(part: int, whole: int) -> str:
    """Say a part in percent."""
    return f"{100 * part / whole:.1f} %" if whole else "-"
