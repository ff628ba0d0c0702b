"""The machine: room on the disk, memory."""

import re
import shutil
from pathlib import Path
from typing import Final

from tidings.doctor.findings import Finding, doubtful, well, wrong

_GIB: Final = 1024**3
_DISK_WARN, _DISK_FAIL = 5 * _GIB, 1 * _GIB
_MEMORY_WARN, _MEMORY_FAIL = 1 * _GIB, _GIB // 4
"""A worker takes about 150 MiB and 2 KiB a customer; a local Kafka 1 GiB."""
_AVAILABLE: Final = re.compile(r"^MemAvailable:\s+(\d+) kB$", re.MULTILINE)


def check_machine(folder: Path, memory: Path = Path("/proc/meminfo")) -> list[Finding]:
    """Look at the disk of the data folder, and at the memory that is free.

    Args:
        folder: where local services keep their files; it needn't be there yet.
        memory: Linux's own account of it.
    """
    return [_disk(folder), _memory(memory)]


def _disk(folder: Path) -> Finding:
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    found, todo = f"{free / _GIB:.1f} GiB free at {folder}", "make room, or let TIDINGS_DATA_DIR lead elsewhere"
    return _judged("disk", found, free, _DISK_WARN, _DISK_FAIL, todo)


def _memory(memory: Path) -> Finding:
    try:
        told = _AVAILABLE.search(memory.read_text())
    except OSError:
        told = None
    if told is None:
        return doubtful("memory", "couldn't be looked at", "a worker wants 150 MiB and 2 KiB a customer")
    free = int(told[1]) * 1024
    todo = "stop something: a worker wants 150 MiB and 2 KiB a customer, a local Kafka 1 GiB"
    return _judged("memory", f"{free / _GIB:.1f} GiB free", free, _MEMORY_WARN, _MEMORY_FAIL, todo)


def _judged(about: str, found: str, free: int, warn: int, fail: int, todo: str) -> Finding:
    if free < fail:
        return wrong(about, found, todo)
    return doubtful(about, found, todo) if free < warn else well(about, found)
