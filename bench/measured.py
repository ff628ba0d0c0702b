"""What a measured process says of itself: how long it took, and how much of the processor it used."""

import resource
import time
from typing import Self

from msgspec import Struct


class Lap(Struct, frozen=True, kw_only=True):
    """From the moment a process may read the log to the moment it has done with it; threads are included in CPU."""

    wall_s: float
    cpu_s: float
    events: int = 0


class Moment(Struct, frozen=True):
    """Both clocks of a process at once; the first is the machine's, so moments of several processes compare."""

    wall_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> Self:
        """Read both clocks."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(time.monotonic(), used.ru_utime + used.ru_stime)

    def to(self, end: "Moment", events: int = 0) -> Lap:
        """Measure from here to a later moment."""
        return Lap(wall_s=end.wall_s - self.wall_s, cpu_s=end.cpu_s - self.cpu_s, events=events)


class Share(Struct, frozen=True):
    """What one of several processes did of a lap."""

    begin: Moment
    end: Moment


def together(shares: list[Share], events: int) -> Lap:
    """Measure what several processes did at the same time: from the first's begin to the last's end."""
    return Lap(
        wall_s=max(share.end.wall_s for share in shares) - min(share.begin.wall_s for share in shares),
        cpu_s=sum(share.end.cpu_s - share.begin.cpu_s for share in shares),
        events=events,
    )
