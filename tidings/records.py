"""The records that `simulate` and `run` write: NDJSON, one object a line, the same from both."""

from typing import Final

import msgspec

from schemas.events import InvalidEvent

_encoder: Final = msgspec.json.Encoder()
_SEND: Final = b'{"record":"send",'
_DECISION: Final = b'{"record":"decision",'
_WEBHOOK_CALL: Final = b'{"record":"webhook_call",'


def send_record(encoded: bytes) -> bytes:
    """Make a record of an encoded send."""
    return _SEND + encoded[1:] + b"\n"


def decision_record(encoded: bytes) -> bytes:
    """Make a record of an encoded decision."""
    return _DECISION + encoded[1:] + b"\n"


def webhook_record(encoded: bytes) -> bytes:
    """Make a record of an encoded webhook call."""
    return _WEBHOOK_CALL + encoded[1:] + b"\n"


def dead_letter_record(line: int, error_class: str, reason: str) -> bytes:
    """Make a record of a line that is no event."""
    record = {"record": "dead_letter", "line": line, "error_class": error_class, "reason": reason}
    return _encoder.encode(record) + b"\n"


def problem_record(line: int, problem: InvalidEvent) -> bytes:
    """Make a record of what is wrong with a line."""
    return dead_letter_record(line, problem.error_class, problem.reason)
