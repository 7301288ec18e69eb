"""A platform's WebSocket as JSON frames; every end of it is a ChannelFailed, after which the supervisor connects again."""

import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import orjson

from assistant.contracts.channels import ChannelFailed
from channels.kit.http import PlatformError, PlatformHttp
from channels.kit.refusals import channel_failure
from channels.kit.values import loads

_ENDS: Final = frozenset({aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.ERROR})


class JsonSocket:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse, platform: str) -> None:
        self._socket = socket
        self._platform = platform

    async def receive(self) -> Any:
        """The next frame. One that is no JSON is skipped. Raises ChannelFailed when the connection ends."""
        while True:
            frame = await self._socket.receive()
            if frame.type in _ENDS:
                code = self._socket.close_code
                raise ChannelFailed(f"The connection to {self._platform} ended{f' with code {code}' if code else ''}.")
            if frame.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                with contextlib.suppress(ValueError):
                    return loads(frame.data)

    async def send(self, value: object) -> None:
        """Raises ChannelFailed."""
        try:
            await self._socket.send_str(orjson.dumps(value).decode())
        except (aiohttp.ClientError, ConnectionError, RuntimeError):
            raise ChannelFailed(f"The connection to {self._platform} broke.") from None


@asynccontextmanager
async def json_socket(http: PlatformHttp, url: str, platform: str, *, heartbeat: float = 30.0, **more: Any) -> AsyncGenerator[JsonSocket]:
    """Raises ChannelFailed. `heartbeat`: seconds between two pings; the connection ends if one is not answered. `more`: of `PlatformHttp.socket`."""
    try:
        socket = await http.socket(url, heartbeat=heartbeat, **more)
    except PlatformError as error:
        raise channel_failure(error, platform) from error
    try:
        yield JsonSocket(socket, platform)
    finally:
        await socket.close()
