"""Remembering which events were decided on, so that one that comes again leads to nothing."""

from schemas.customer import SEEN_EVENTS
from schemas.instants import DAY_MS, Millis


def seen_before(seen: dict[int, Millis], identity: int, now: Millis) -> bool:
    """Remember an event, 64 of them for 24 hours; tell whether it was remembered already.

    Args:
        seen: the hashes of ids and when they were decided on, oldest first; changed in place.
        identity: the hash of the event's id.
        now: the decision time.
    """
    horizon = now - DAY_MS
    for oldest in seen.values():
        if oldest <= horizon:
            _forget(seen, horizon)
        break
    if identity in seen:
        return True
    seen[identity] = now
    if len(seen) > SEEN_EVENTS:
        del seen[next(iter(seen))]
    return False


def _forget(seen: dict[int, Millis], horizon: Millis) -> None:
    stale = []
    for identity, at in seen.items():
        if at > horizon:
            break
        stale.append(identity)
    for identity in stale:
        del seen[identity]
