"""Listening, and the orderly end of it."""

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from email.utils import formatdate
from typing import Final

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from assistant.api.listening.connections import Connection
from assistant.api.listening.exposure import CannotServe
from assistant.api.listening.sockets import Socket
from assistant.api.settings import ApiSettings

log = logging.getLogger(__name__)

_BACKLOG: Final = 1024
_LAST_WORDS: Final = 0.25
"""Seconds that an answer gets to leave, also when the grace is used up."""


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
    """Answer requests until `stop` is set; then take no more, and return when those that run are answered.

    `sockets`: bound ones to listen on; None: one is bound by `settings` (see `bind`). `on_listening`: called once with the port, when connections
    are taken. `finish`: called after `stop`, when nothing new is taken and before requests are waited for: the place to end the turns.
    `grace`: seconds from `stop` that requests get to be answered, what `finish` takes included; then they are cut off. Raises CannotServe.
    """
    loop = asyncio.get_running_loop()
    end: float | None = None
    server = Server(app, settings)
    await server.listen(bind(settings) if sockets is None else sockets)
    try:
        on_listening(server.port)
        await stop.wait()
        end = loop.time() + grace
        server.refuse()
        if finish is not None:
            await finish()
    finally:
        await server.close(grace if end is None else max(_LAST_WORDS, end - loop.time()))


def bind(settings: ApiSettings) -> list[socket.socket]:
    """Sockets bound to `host` and `port`, one for each address that the host's name has (the first one's port for all, where it is 0).

    Raises CannotServe where the port is taken or the host is none of this machine's.
    """
    host, port = settings.host.strip("[]"), settings.port
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port, *address[2:]))
            port = sock.getsockname()[1]
            sock.setblocking(False)
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise CannotServe(_why(error, settings)) from error
    return sockets


def _why(error: OSError, settings: ApiSettings) -> str:
    where = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use already: stop what listens there, or choose another port (--port, api.port)."
    if error.errno == errno.EACCES:
        return f"{where} may not be used by this user: set an api.port above 1023."
    return f"{where} can't be listened on ({error.strerror}): is api.host an address of this machine?"


class Server:
    """Listening sockets and their connections."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._settings = settings
        self._config = Config(
            app,
            interface="asgi3",
            http=Connection,
            ws=Socket,  # pyright: ignore[reportArgumentType] - never made by uvicorn: it only asks whether there is one
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=settings.timeouts.idle,  # pyright: ignore[reportArgumentType] - handed to call_later, which takes a float
        )
        self._config.load()
        self._state = ServerState()
        self._listeners: list[asyncio.Server] = []
        self._clock: asyncio.TimerHandle | None = None
        self._quiet = asyncio.Event()

    @property
    def port(self) -> int:
        return self._listeners[0].sockets[0].getsockname()[1]

    async def listen(self, sockets: Sequence[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        self._tell_time(loop)
        for sock in sockets:
            listener = await loop.create_server(
                lambda: Connection(self._settings, self._config, self._state, loop, self._note_quiet), sock=sock, backlog=_BACKLOG
            )
            self._listeners.append(listener)

    def refuse(self) -> None:
        """Take no more connections, and on those there are, no more requests than run."""
        for listener in self._listeners:
            listener.close()
        for connection in list(self._state.connections):
            connection.shutdown()

    async def close(self, grace: float) -> None:
        """Wait up to `grace` seconds for the requests that run to be answered, cut off the rest, and let go of the sockets."""
        self.refuse()
        self._note_quiet()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._quiet.wait()
        if late := list(self._state.tasks):
            log.warning("api.cut_off requests=%d", len(late))
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=1)
        for connection in list(self._state.connections):
            connection.transport.close()
        if self._clock is not None:
            self._clock.cancel()

    def _note_quiet(self) -> None:
        if self._state.connections:
            self._quiet.clear()
        else:
            self._quiet.set()

    def _tell_time(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep the Date header of answers right, to the second."""
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._clock = loop.call_later(1, self._tell_time, loop)
