"""Whether a process lives, and whether it is of use: two questions of whoever looks after it.

*Live* is whether the process itself is all right: the answer to no is to end it and start it again, which it soon does
by itself. A Kafka that is away is no reason. *Ready* is whether it does its work now: its partitions are in its hands
and read back, and Kafka answers.
"""

from msgspec import Struct

from streams.vitals import Vitals


class Health(Struct, frozen=True, kw_only=True):
    """The answer to either question, as the endpoint gives it."""

    ok: bool
    state: str
    reasons: list[str]
    """Sentences; empty when it is all right."""


def liveness(vitals: Vitals) -> Health:
    """Say whether the oldest unfinished batch is young enough, and the loop comes round."""
    return Health(ok=vitals.stuck is None, state=vitals.state, reasons=[] if vitals.stuck is None else [vitals.stuck])


def readiness(vitals: Vitals, kafka: str | None) -> Health:
    """Say whether it is recovered and assigned, and Kafka answers.

    Args:
        vitals: of the process.
        kafka: why Kafka can't be counted on, as a sentence; None when it answers.
    """
    reasons = [] if vitals.stuck is None else [vitals.stuck]
    match vitals.state:
        case "starting":
            reasons.append("it is starting")
        case "joining":
            reasons.append("it has no partitions yet: its group is settling who has which")
        case "recovering":
            reasons.append(f"{vitals.recovering} of its partitions aren't read back yet")
        case "stopping":
            reasons.append("it is stopping")
        case "working":
            pass
    if kafka is not None:
        reasons.append(kafka)
    return Health(ok=not reasons, state=vitals.state, reasons=reasons)
