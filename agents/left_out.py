"""What the rules couldn't do, read by whoever folds a log again.

- reads: `quarantines` (compacted: per place of the log what went wrong there), of the log's partition numbers
- guarantee: whoever has read it before the log's end was asked for knows every place up to there
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import msgspec

from agents.quarantine import fault_of
from schemas.errors import TidingsError
from schemas.quarantines import Fault, LeftOut, Turn, decode_fault, decode_place
from schemas.topics import QUARANTINES
from streams.connection import Connection
from streams.fold import CannotFold
from streams.reading import read_to_end
from streams.topics import partition_counts

LeftOutBy = Mapping[int, LeftOut]
"""By partition of the log, and by offset, the turns that are to be left out."""
NOTHING: Final[LeftOut] = {}
NOWHERE: Final[LeftOutBy] = {}


def read_left_out(connection: Connection, prefix: str) -> dict[int, LeftOut]:
    """Return every place that a worker has left out.

    Raises:
        TidingsError: Kafka doesn't answer, or refuses.
    """
    found: dict[int, dict[int, dict[Turn, Fault]]] = {}
    topic = prefix + QUARANTINES
    if not partition_counts(connection, [topic]):
        return {}
    for message in read_to_end(connection, [topic]):
        name, value = message.key(), message.value()
        try:
            place, fault = decode_place(name or b""), decode_fault(value or b"")
        except (ValueError, msgspec.MsgspecError) as error:
            where = f"{topic}/{message.partition()}/{message.offset()}"
            raise TidingsError(f"{where} is no place that was left out: who else writes to {topic}?") from error
        at_offset = found.setdefault(message.partition() or 0, {}).setdefault(place.offset, {})
        at_offset[place.key, place.turn] = fault
    return dict(found)


def raises_anew(where: str, error: Exception) -> TidingsError:
    """Say in words that the rules raise where they didn't when it was decided."""
    told = error.told if isinstance(error, CannotFold) else fault_of(error, 0).told("")
    return TidingsError(
        f"{where}: {told}, and didn't when it was decided: run the release that decided it, or one in which that is"
        " mended"
    )


@contextmanager
def refusing_new(where: str) -> Iterator[None]:
    """Stop in words where the rules raise.

    Raises:
        TidingsError: they do.
    """
    try:
        yield
    except (TidingsError, MemoryError):
        raise
    except Exception as error:
        raise raises_anew(where, error) from error
