"""Where the processes of this machine can be asked: a small file for each, in the data folder.

A process that was killed leaves its file behind; who reads finds that nobody runs under its pid any more and passes it
over. A pid that was given to another process since is found by its answer: nothing of ours is at the address.
"""

import os
from pathlib import Path

import msgspec

FOLDER = "processes"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """One process, and where its endpoint is."""

    name: str
    """`worker`, `ingest` or `up`."""
    pid: int
    url: str
    prefix: str
    """Of its topics."""
    started_at: int
    """Epoch milliseconds."""


def write_address(data: Path, address: Address) -> Path:
    """Say where a process can be asked; return the file, to be removed at its end."""
    folder = data / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{address.name}-{address.pid}.json"
    file.write_bytes(msgspec.json.encode(address))
    return file


def read_addresses(data: Path, prefix: str) -> list[Address]:
    """Return the processes under a prefix that run, by name and start; files of those that don't are removed."""
    found = []
    for file in sorted((data / FOLDER).glob("*.json")):
        try:
            address = msgspec.json.decode(file.read_bytes(), type=Address)
        except (OSError, msgspec.MsgspecError):
            # Another process is writing or removing it.
            continue
        if not _is_running(address.pid):
            file.unlink(missing_ok=True)
        elif address.prefix == prefix:
            found.append(address)
    return sorted(found, key=lambda address: (address.name, address.started_at))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
