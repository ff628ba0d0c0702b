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
    """Both clocks of a process at once."""

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
