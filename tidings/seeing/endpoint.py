"""The HTTP endpoint of a process: `/metrics` for Prometheus, `/live` and `/ready` for whoever looks after it.

It answers from a thread with a loop of its own, so that it can also say that the working loop doesn't come round. It
shows counts and states and no customers, and takes no input; loopback unless it is told another address.
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from schemas.errors import TidingsError
from tidings.seeing.health import Health

START_S: Final = 10.0
_UNAVAILABLE: Final = 503


class EndpointError(TidingsError):
    """The endpoint can't be opened."""


class Views(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint shows; its functions are called from another thread than the working one."""

    registry: CollectorRegistry
    live: Callable[[], Health]
    ready: Callable[[], Health]


def open_endpoint(host: str, port: int, views: Views) -> str:
    """Serve until the process ends, and return the address, `http://host:port`.

    Args:
        host: a name or address of this machine.
        port: 0 for a free one.
        views: what is shown.

    Raises:
        EndpointError: the port is taken, or the address isn't ours.
    """
    opened: list[int | OSError] = []
    is_open = threading.Event()

    async def serve() -> None:
        runner = web.AppRunner(_application(views), access_log=None, handle_signals=False)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
        except OSError as error:
            opened.append(error)
            is_open.set()
            await runner.cleanup()
            return
        opened.append(int(runner.addresses[0][1]))
        is_open.set()
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(serve()), name="endpoint", daemon=True).start()
    is_open.wait(START_S)
    found = opened[0] if opened else OSError("it doesn't open")
    if isinstance(found, OSError):
        raise EndpointError(_in_words(host, port, found))
    return f"http://{f'[{host}]' if ':' in host else host}:{found}"


def _in_words(host: str, port: int, error: OSError) -> str:
    # The event loop's own text repeats the address.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
    return (
        f"the endpoint for metrics can't be opened at {host}:{port}: {reason.lower()}.\n"
        "Name another port (--metrics-port or TIDINGS_METRICS_PORT; 0 takes a free one, off opens none), or another"
        " TIDINGS_METRICS_HOST"
    )


def _application(views: Views) -> web.Application:
    async def metrics(request: web.Request) -> web.Response:
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(views.registry), headers={"Content-Type": kind})

    def answer(ask: Callable[[], Health]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def respond(_: web.Request) -> web.Response:
            health = ask()
            status = 200 if health.ok else _UNAVAILABLE
            return web.Response(body=msgspec.json.encode(health), status=status, content_type="application/json")

        return respond

    application = web.Application(client_max_size=1024)
    application.router.add_get("/metrics", metrics)
    application.router.add_get("/live", answer(views.live))
    application.router.add_get("/ready", answer(views.ready))
    return application
