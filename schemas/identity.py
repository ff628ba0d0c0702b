"""Ids and chance are hashes of causes, so that the same decision has the same id wherever it is computed."""

from hashlib import blake2b, md5
from typing import Final

from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest

_SEPARATOR = "\x1f"
"""A control character that no id may hold (events with it are refused), so that parts can't run into each other."""


def execution_id(customer_id: str, workflow_id: str, trigger_id: str, cause: str) -> str:
    """Return the id of the execution that `cause` (an event id, or a timer's instant) starts."""
    return "x" + _digest(customer_id, workflow_id, trigger_id, cause)


def send_id(execution: str, step_id: str, visit: int, channel: str) -> str:
    """Return the id of the message that a visit of a step sends on a channel."""
    return "s" + _digest(execution, step_id, str(visit), channel)


def emitted_event_id(execution: str, step_id: str, visit: int) -> str:
    """Return the id of the event that a visit of a step puts on the customer's log."""
    return "v" + _digest(execution, step_id, str(visit), "event")


def webhook_call_id(execution: str, step_id: str, visit: int) -> str:
    """Return the id of the webhook call that a visit of a step makes."""
    return "k" + _digest(execution, step_id, str(visit), "webhook")


def decision_series(customer_id: str, at: int, cause: str) -> str:
    """Return what the ids of all decisions have in common that `cause` led to at the instant `at`."""
    return "d" + _digest(customer_id, str(at), cause)


def decision_id(series: str, position: int) -> str:
    """Return the id of the `position`-th decision of a series."""
    return f"{series}{position:x}"


def event_hash(event_id: str) -> int:
    """Return the 8 bytes by which an event id is remembered.

    Computed for every event, so it has to be quick, and not hard to forge: whoever can send an event under a chosen
    id that collides could as well send it under the id itself.
    """
    return hash_bytes(event_id.encode())


def state_hash(encoded: bytes) -> str:
    """Return the 8 bytes, in hex, by which a decision names the state that it was made from."""
    return xxh3_64_hexdigest(encoded)


hash_bytes: Final = xxh3_64_intdigest
"""The hash of an id that is encoded already."""


def bucket(customer_id: str, salt: str) -> float:
    """Return the customer's place in a split, 0 up to but not including 1, in steps of 1/10,000."""
    digest = md5(f"{customer_id}:{salt}".encode(), usedforsecurity=False).hexdigest()
    return int(digest, 16) % 10_000 / 10_000


def _digest(*parts: str) -> str:
    return blake2b(_SEPARATOR.join(parts).encode(), digest_size=12).hexdigest()
