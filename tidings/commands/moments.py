"""When an operator's command takes place: now, or at `--at`.

Now is no later than everything that was published is in the log: what is due by a command fires at it, and may not
overtake an event that cancels it, nor may a new version come before what was published under the one before.
"""

from typing import Annotated

import typer
from msgspec import Struct

from agents.watermarks import read_to
from schemas.instants import Millis, parse_instant
from streams.connection import Connection
from tidings.clock import wall_ms
from tidings.usage import WrongUsage

AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="From when on, RFC 3339. Default: now. For logs in their own clock."),
]


class Moment(Struct, frozen=True, kw_only=True):
    """When a command takes place."""

    at: Millis
    appended: Millis | None
    """The clock; None in a log with its own."""


def read_at(text: str | None) -> Millis | None:
    """Read the time of `--at`; None where there is none.

    Raises:
        WrongUsage: it isn't one.
    """
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        msg = f"--at: {error}"
        raise WrongUsage(msg) from None


def moment(given: Millis | None, connection: Connection, prefix: str) -> Moment:
    """Return the time that was given; without one as late as the ingest is, and at most now.

    Raises:
        TidingsError: Kafka doesn't answer.
    """
    if given is not None:
        return Moment(at=given, appended=None)
    now, known = wall_ms(), read_to(connection, prefix)
    return Moment(at=now if known is None else min(now, known), appended=now)
