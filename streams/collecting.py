"""Look for garbage in cycles in small portions, while little happens.

Python looks when a number of new objects has outlived the last look, and everything else stands still meanwhile. Under
a backlog that number is best large (`collect_seldom`): a million, and 150 to 190 ms. Between single events the same
pause was the latency of one event in a hundred. So where new objects come slowly they are looked through a few
milliseconds' worth at a time, and what has outlived several looks isn't looked at again: memory of customers is no
garbage, and when it goes it goes by itself. A cycle of those few objects that were in use at just that moment stays for
ever.
"""

import asyncio
import gc
from typing import Final

LOOK_EVERY_S: Final = 0.05
LEAST: Final = 5_000
"""New objects that are worth a look."""
MOST: Final = 50_000
"""New objects beyond which it is a backlog, or was one: they are left to Python's own pace."""
OLD_EVERY: Final = 5
"""Looks at new objects to one at those that outlived them."""


def collect_seldom() -> None:
    """Let Python look for garbage in cycles only where very many objects are new; for this process.

    Records and states make garbage without cycles; looking for cycles as often as Python does took a quarter of all
    time (measured: 250 k records/s with its defaults, 304 k with 100,000 instead of its 700). A million outlives the
    records that wait at any moment, so that these aren't walked through: another 5 %.
    """
    gc.set_threshold(1_000_000, 50, 1_000)


class Portions:
    """Take garbage away, a portion at a time."""

    def __init__(self) -> None:
        """Begin with nothing looked at."""
        self._looks = 0

    def take(self) -> None:
        """Look at the newest objects, if they are neither few nor many."""
        if not LEAST <= gc.get_count()[0] <= MOST:
            return
        gc.collect(0)
        self._looks += 1
        if self._looks % OLD_EVERY == 0:
            gc.collect(1)
            gc.freeze()


async def collect_in_portions() -> None:
    """Take a portion as often as it may be worth it; runs until it is cancelled."""
    portions = Portions()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        portions.take()
