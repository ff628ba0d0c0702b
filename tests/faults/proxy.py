"""A TCP proxy of its own process: `python proxy.py LISTEN TARGET`, ports on loopback.

Stopped with SIGSTOP it is a network that has gone silent: connections stay open, new ones are taken by the kernel,
and nothing comes through until SIGCONT. It imports nothing of Tidings.
"""

import asyncio
import contextlib
import sys


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def main(listen: int, target: int) -> None:
    """Carry every connection to the target until the process ends."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            further, onward = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            # The broker is away, and so it looks to the client.
            writer.transport.abort()
            return
        await asyncio.gather(_copy(reader, onward), _copy(further, writer))

    server = await asyncio.start_server(carry, "127.0.0.1", listen)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
