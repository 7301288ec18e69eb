"""HTTP under discord.py, for the gateway: through the proxy of the settings, and to a server of one's own in tests."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

import aiohttp
import discord
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, Route
from yarl import URL

from channels.discord.rest import DiscordRest
from channels.kit.values import loads

# What discord.py logs below a warning holds what people wrote; and voice, of which it warns, is not used.
logging.getLogger("discord").setLevel(logging.WARNING)
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
discord.utils._from_json = loads  # pyright: ignore[reportPrivateUsage] - half a character in an event would end the connection

CONNECTION_ERRORS: Final = (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError)
"""What a call by discord.py raises."""
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=5, sock_read=20)


class DiscordHttp(HTTPClient):
    def __init__(self, rest: DiscordRest) -> None:
        route = rest.http.route(rest.http.base)
        super().__init__(asyncio.get_running_loop(), connector=route.connector(limit=0), proxy=route.http)
        self.max_ratelimit_timeout = 1.0
        self._api_base = rest.settings.api_base

    async def request(
        self, route: Route, *, files: Sequence[discord.File] | None = None, form: Iterable[dict[str, Any]] | None = None, **kwargs: Any
    ) -> Any:
        if self._api_base is not None:
            route.url = self._api_base.rstrip("/") + route.url.removeprefix(Route.BASE)
        kwargs.setdefault("timeout", _TIMEOUT)
        return await super().request(route, files=files, form=form, **kwargs)

    async def ws_connect(self, url: str, *, compress: int = 0) -> aiohttp.ClientWebSocketResponse:
        asked = URL(url)
        if self._api_base is not None and asked.host == DiscordWebSocket.DEFAULT_GATEWAY.host:
            base = URL(self._api_base)
            url = str(base.with_scheme("wss" if base.scheme == "https" else "ws").with_path("/gateway").with_query(asked.query))
        return await super().ws_connect(url, compress=compress)
