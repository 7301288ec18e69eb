"""A server with an application behind its sockets that says back what it hears, for tests of the transport alone."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect

from assistant.api.server.serve import serve
from assistant.api.server.websockets import LEAVE
from assistant.api.settings import ApiSettings

HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SAMPLE_ACCEPT = b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""What RFC 6455 (1.3) says that the answer to that key holds."""


@dataclass
class Echo:
    """The application. `heard`: what was received; `left`: one entry a socket that ended, with its code."""

    heard: list[Message] = field(default_factory=list[Message])
    left: list[int] = field(default_factory=list[int])
    scopes: list[Scope] = field(default_factory=list[Scope])
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None
    """Until it is set, the application takes nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket", "only sockets are served here"
        self.scopes.append(scope)
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await self._echo(receive, send)
        except OSError:
            self._note(self.left, (await receive())["code"])

    async def _echo(self, receive: Receive, send: Send) -> None:
        while True:
            if self.gate is not None:
                await self.gate.wait()
            message = await receive()
            match message["type"]:
                case "websocket.disconnect":
                    self._note(self.left, message["code"])
                    return
                case str(kind) if kind == LEAVE:
                    await send({"type": "websocket.close", "code": 1001})
                case _:
                    self._note(self.heard, message)
                    if message.get("text") != "quiet":
                        await send({**message, "type": "websocket.send"})

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                self.changed.clear()
                await self.changed.wait()

    def _note(self, where: list[Any], what: object) -> None:
        where.append(what)
        self.changed.set()


@dataclass
class Echoing:
    port: int
    echo: Echo
    stop: asyncio.Event
    ended: asyncio.Task[None]

    def connect(self, **options: Any) -> connect:
        options = {"max_size": None, "compression": None, "ping_interval": None, "open_timeout": 30, "close_timeout": 10, **options}
        return connect(f"ws://127.0.0.1:{self.port}/echo", proxy=None, **options)

    @asynccontextmanager
    async def raw(self, data: bytes) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection of bytes, on which these were sent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


@asynccontextmanager
async def echoing(settings: dict[str, Any] | None = None, *, grace: float = 2) -> AsyncGenerator[Echoing]:
    echo, stop = Echo(), asyncio.Event()
    api = ApiSettings.model_validate({**(settings or {}), "port": 0})
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    ended = asyncio.create_task(serve(echo, api, stop=stop, grace=grace, on_listening=listening.set_result))
    try:
        async with asyncio.timeout(30):
            port = await listening
        yield Echoing(port, echo, stop, ended)
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await ended


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    """The code and reason with which the server closed it."""
    async with asyncio.timeout(30):
        await socket.wait_closed()
    return socket.close_code, socket.close_reason
