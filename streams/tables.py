"""Faust's table manager, without its first second.

Stands in for `faust.tables.manager.TableManager.on_start`, which sleeps a second so that tables can be
registered. There are none: memory is restored by `streams/changelog.py`, and Faust's recovery only has to
declare the partitions resumed.
"""

from faust.tables.manager import TableManager


class NoTables(TableManager):
    """Start at once."""

    async def on_start(self) -> None:
        """Register the tables that aren't there, and start the recovery that has nothing to recover."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()
