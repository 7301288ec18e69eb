"""Fetching the files of messages."""

import asyncio
import re
from pathlib import Path
from typing import Any, Final

import aiohttp
from yarl import URL

from assistant.contracts.channels import SendLater, SendRefused
from channels.discord.rest import DiscordRest
from channels.discord.settings import DiscordSettings

_REF: Final = re.compile(r"(?:(\d+)/(\d+)/(\d+))? (https?://\S+)", re.ASCII)
_HOSTS: Final = ("cdn.discordapp.com", "media.discordapp.net")
_TIMEOUT: Final = aiohttp.ClientTimeout(total=120, sock_connect=5, sock_read=20)
_CHUNK: Final = 1 << 20
_GONE: Final = "The file is no longer there."


class FileDownloader:
    """Downloads from Discord's file servers and from nowhere else. Addresses of files expire after a day or so; a new one is asked for then.

    https://discord.com/developers/docs/reference#signed-attachment-cdn-urls
    """

    def __init__(self, settings: DiscordSettings, rest: DiscordRest) -> None:
        self._settings = settings
        self._rest = rest
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, ref: str, into: Path, most_bytes: int) -> None:
        """Into a new file. Raises SendRefused or SendLater; OSError where the file can't be written; what discord.py raises."""
        known = _REF.fullmatch(ref)
        if known is None:
            raise SendRefused("gone", _GONE)
        channel, message, attachment, url = known.groups()
        if await self._download(url, into, most_bytes):
            return
        fresh = await self._fresh(channel, message, attachment) if channel else None
        if fresh is None or not await self._download(fresh, into, most_bytes):
            raise SendRefused("gone", _GONE)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _fresh(self, channel: str, message: str, attachment: str) -> str | None:
        data: Any = await (await self._rest.client()).http.get_message(int(channel), int(message))
        shots = [shot["message"] for shot in data.get("message_snapshots", ())]
        for each in [one for place in (data, *shots) for one in place.get("attachments", ())]:
            if str(each["id"]) == attachment:
                return str(each["url"])
        return None

    async def _download(self, address: str, into: Path, most_bytes: int) -> bool:
        """False: there is nothing at this address (any more)."""
        url = URL(address, encoded=True)
        if not self._is_discords(url):
            return False
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.get(url, allow_redirects=False, proxy=self._settings.proxy) as response:
                if response.status in (403, 404, 410):
                    return False
                if response.status != 200:
                    raise SendLater("server_error", f"Discord's file server answered with {response.status}.")
                await _write(response, into, most_bytes)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SendLater("network", "The file could not be fetched from Discord.") from error
        return True

    def _is_discords(self, url: URL) -> bool:
        if self._settings.api_base is not None and url.host == URL(self._settings.api_base).host:
            return True
        return url.scheme == "https" and url.host in _HOSTS


async def _write(response: aiohttp.ClientResponse, into: Path, most_bytes: int) -> None:
    if (response.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    size = 0
    with await asyncio.to_thread(into.open, "wb") as file:
        async for chunk in response.content.iter_chunked(_CHUNK):
            size += len(chunk)
            if size > most_bytes:
                raise _too_large(most_bytes)
            await asyncio.to_thread(file.write, chunk)


def _too_large(most_bytes: int) -> SendRefused:
    return SendRefused("too_large", f"The file is larger than {most_bytes / 1024 / 1024:.0f} MB.")
