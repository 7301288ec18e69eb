"""The server loop: accept connections until stopped, then shut down gracefully."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from assistant.api.server.bind import bind
from assistant.api.server.http import HttpConnection
from assistant.api.settings import ApiSettings

log = logging.getLogger(__name__)

_BACKLOG: Final = 1024
_LAST_WORDS: Final = 0.25
"""Seconds for running requests, even when the grace is used up."""
_POLL: Final = 0.01


async def serve(
    app: ASGIApp,
    settings: ApiSettings,
    *,
    stop: asyncio.Event,
    grace: float,
    sockets: Sequence[socket.socket] | None = None,
    on_listening: Callable[[int], None] = lambda port: None,
    finish: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until `stop` is set, then accept nothing more and return when running requests are answered.

    `sockets`: bound sockets to listen on; None: binds by `settings` (see `bind`). `on_listening`: called once with the port, when connections are
    accepted. `finish`: called after `stop`, when nothing new is accepted and before running requests are waited for: the place to end the turns.
    `grace`: seconds from `stop` for running requests, `finish` included; then they are cancelled. Raises CannotServe.
    """
    loop = asyncio.get_running_loop()
    end: float | None = None
    server = Server(app, settings, stop)
    await server.startup(bind(settings) if sockets is None else list(sockets))
    try:
        on_listening(server.servers[0].sockets[0].getsockname()[1])
        await server.main_loop()
        end = loop.time() + grace
        server.refuse()
        if finish is not None:
            await finish()
    finally:
        await server.drain(grace if end is None else max(_LAST_WORDS, end - loop.time()))


class Server(uvicorn.Server):
    """uvicorn's server, stopped by an event instead of by signals, without lifespan, and without its ten wake-ups a second."""

    def __init__(self, app: ASGIApp, settings: ApiSettings, stop: asyncio.Event) -> None:
        config = uvicorn.Config(
            app,
            interface="asgi3",
            http=partial(HttpConnection, settings),  # pyright: ignore[reportArgumentType] - called with uvicorn's keywords, as a class is
            ws="none",  # HttpConnection makes its own
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=settings.timeouts.idle,  # pyright: ignore[reportArgumentType] - passed to call_later, which takes a float
        )
        super().__init__(config)
        config.load()
        self.lifespan = config.lifespan_class(config)
        self._stop = stop

    async def main_loop(self) -> None:
        """Returns when the stop is set. Until then, `on_tick` updates the Date header every second."""
        while not self._stop.is_set():
            await self.on_tick(0)
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stop.wait()

    def refuse(self) -> None:
        """Accept no more connections, and no more requests on the open ones."""
        for listener in self.servers:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for running requests, cancel the rest, and close every connection."""
        self.refuse()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self.server_state.connections:  # noqa: ASYNC110 - uvicorn's protocols only leave this set
                    await asyncio.sleep(_POLL)
        if late := list(self.server_state.tasks):
            log.warning("api.cut_off requests=%d", len(late))
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=1)
        for connection in list(self.server_state.connections):
            connection.transport.close()
