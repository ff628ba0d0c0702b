"""Reads the clock and draws chance: the one file of Tidings that may.

Decisions are pure functions of records and of the time those records carry, so a clock read or a random
number anywhere else would make a history that can't be replayed. ruff's `banned-api` refuses `time`,
`random`, `secrets`, `uuid` and `datetime.now` in every file but this one. What needs the time of day or a
fresh name takes it as a parameter, and the program passes the functions below.
"""

import secrets
import time

from schemas.instants import Millis


def wall_ms() -> Millis:
    """Return the time of day in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_s() -> float:
    """Return seconds of a clock that never goes back; only differences mean anything."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Block this thread for so many seconds; for polling what can't be waited for."""
    time.sleep(seconds)


def fresh_bytes(count: int) -> bytes:
    """Draw so many bytes of chance, for the names of what is made once (a cluster, a run)."""
    return secrets.token_bytes(count)
