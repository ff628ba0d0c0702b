"""Finds ports on loopback that nobody listens on.

Ports are taken below 32768, where Linux begins to hand out its own: a port above may be lent to any outgoing
connection between the test and the use. The test is a bind, as the server will do it; between the test and
the server's own bind somebody else may still come first, so a starter must be ready to try the next one.
"""

import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_FIRST: Final = 20_000
_LAST: Final = 32_767


def port_is_free(port: int) -> bool:
    """Say whether a server could listen on this port of the loopback interface now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connection is still in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_ports(owner: Path) -> Iterator[int]:
    """Yield free ports, each once, beginning at a place of the owner's own.

    The place is a hash of the owner's path: the same folder gets the same ports again where it can, and two
    folders that start at the same moment look in different places.
    """
    span = _LAST - _FIRST + 1
    begin = zlib.crc32(str(owner).encode()) % span
    for step in range(span):
        port = _FIRST + (begin + step) % span
        if port_is_free(port):
            yield port
