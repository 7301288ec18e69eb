"""What a Discord chat offers: files, reactions, typing, preview of the answer, slash commands."""

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import discord
from discord.http import Route
from yarl import URL

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Preview, SendLater, SendRefused
from assistant.contracts.inbox import COMMANDS, WITH_ARGUMENTS, Command, InboundFile, InboundMessage
from assistant.contracts.proxies import ProxyRoute
from channels.discord.http import CONNECTION_ERRORS, route_of
from channels.discord.plan import MOST_CHARS, reply_in
from channels.discord.refusals import send_failure
from channels.discord.rest import DiscordClient, DiscordRest
from channels.kit.preview import EditedPreview
from channels.text.discord import discord_parts

log = logging.getLogger(__name__)
_INTERVAL: Final = 1.0
"""Seconds between two edits."""
_MOST_READ: Final = 3 * MOST_CHARS
_REF: Final = re.compile(r"(?:(\d+)/(\d+)/(\d+))? (https?://\S+)", re.ASCII)
_HOSTS: Final = ("cdn.discordapp.com", "media.discordapp.net")
_TIMEOUT: Final = aiohttp.ClientTimeout(total=120, sock_connect=5, sock_read=20)
_CHUNK: Final = 1 << 20
_GONE: Final = "The file is no longer there."
_WITHIN: Final = 10.0
_WITHIN_FETCH: Final = 150.0


class DiscordConversation:
    """See `contracts.channels.Conversation`."""

    typing_seconds = 8.0
    """Discord shows it for ten. https://discord.com/developers/docs/resources/channel#trigger-typing-indicator"""

    def __init__(self, rest: DiscordRest) -> None:
        self._settings = rest.settings
        self._rest = rest
        self._sessions: dict[ProxyRoute, aiohttp.ClientSession] = {}

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        """From Discord's file servers only. URLs of files expire after about a day; then a fresh one is requested.
        https://discord.com/developers/docs/reference#signed-attachment-cdn-urls"""
        known = _REF.fullmatch(file.ref)
        if known is None:
            raise SendRefused("gone", _GONE)
        channel, message, attachment, url = known.groups()
        async with self._asked(_WITHIN_FETCH):
            if await self._download(url, into, most_bytes):
                return
            fresh = await self._fresh(channel, message, attachment) if channel else None
            if fresh is None or not await self._download(fresh, into, most_bytes):
                raise SendRefused("gone", _GONE)

    async def acknowledge(self, message: InboundMessage) -> None:
        if not self._settings.react_emoji or message.message_id is None:
            return
        async with self._asked():
            channel = int(await self._rest.target(message.address))
            client = await self._rest.client()
            await client.http.add_reaction(channel, int(message.message_id), self._settings.react_emoji)

    async def typing(self, address: Address) -> None:
        async with self._asked():
            channel = int(await self._rest.target(address))
            await (await self._rest.client()).http.send_typing(channel)

    def preview(self, address: Address, *, reply_to: str | None, posted: str | None, note: Callable[[str], object]) -> Preview | None:
        if self._settings.preview == "off":
            return None

        key = secrets.token_hex(12)

        async def show(message_id: str | None, text: str) -> str:
            async with self._asked():
                client = await self._rest.client()
                channel = client.get_partial_messageable(int(await self._rest.target(address)))
                if message_id is not None:
                    await channel.get_partial_message(int(message_id)).edit(content=text)
                    return message_id
                more = reply_in(channel, reply_to if self._settings.reply_to_message else None)
                quiet = not self._settings.link_previews
                return str((await channel.send(text, nonce=key, suppress_embeds=quiet, mention_author=False, **more)).id)

        def first_part(text: str) -> str:
            return next((part.text for part in discord_parts(text[:_MOST_READ], MOST_CHARS)), "")

        return EditedPreview(show, first_part, interval=_INTERVAL, posted=posted, note=note)

    async def close(self) -> None:
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    @asynccontextmanager
    async def _asked(self, within: float = _WITHIN) -> AsyncGenerator[None]:
        """Raises SendFailed instead of what discord.py raises."""
        try:
            async with asyncio.timeout(within):
                yield
        except (discord.DiscordException, aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise send_failure(error, self._rest.refusals, written=True) from error

    async def _fresh(self, channel: str, message: str, attachment: str) -> str | None:
        data: Any = await (await self._rest.client()).http.get_message(int(channel), int(message))
        shots = [shot["message"] for shot in data.get("message_snapshots", ())]
        for each in [one for place in (data, *shots) for one in place.get("attachments", ())]:
            if str(each["id"]) == attachment:
                return str(each["url"])
        return None

    async def _download(self, address: str, into: Path, most_bytes: int) -> bool:
        """False: there is no file at this URL (any more)."""
        url = URL(address, encoded=True)
        own = self._settings.api_base is not None and url.host == URL(self._settings.api_base).host
        if not own and not (url.scheme == "https" and url.host in _HOSTS):
            return False
        route = route_of(self._settings, address)
        if route not in self._sessions:
            self._sessions[route] = aiohttp.ClientSession(
                connector=route.connector(), timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
            )
        try:
            async with self._sessions[route].get(url, allow_redirects=False, proxy=route.http) as response:
                if response.status in (403, 404, 410):
                    return False
                if response.status != 200:
                    raise SendLater("server_error", f"Discord's file server answered with {response.status}.")
                await _write(response, into, most_bytes)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SendLater("network", "The file could not be fetched from Discord.") from error
        return True


async def _write(response: aiohttp.ClientResponse, into: Path, most_bytes: int) -> None:
    too_large = SendRefused("too_large", f"The file is larger than {most_bytes / 1024 / 1024:.0f} MB.")
    if (response.content_length or 0) > most_bytes:
        raise too_large
    size = 0
    with await asyncio.to_thread(into.open, "wb") as file:
        async for chunk in response.content.iter_chunked(_CHUNK):
            size += len(chunk)
            if size > most_bytes:
                raise too_large
            await asyncio.to_thread(file.write, chunk)


_WRITTEN: Final = re.compile(r"/([a-z][a-z0-9_]{0,31})(?:\s+(.*))?", re.DOTALL | re.ASCII)
_MESSAGE, _NOTHING = 4, 6
"""Types of answers: a message; for a button, nothing visible."""
_EPHEMERAL: Final = 1 << 6
_STRING: Final = 3
"""A type of options."""


def command_in(text: str) -> Command | None:
    written = _WRITTEN.fullmatch(text)
    return Command(name=written[1], arguments=(written[2] or "").strip()) if written else None


async def register(client: DiscordClient) -> None:
    """Register the slash commands, unless they are. Without them, the same words can be written."""
    words = {"type": _STRING, "name": "words", "description": "What belongs to it", "required": False}
    wanted = [
        {"name": name, "description": about, "type": 1, **({"options": [words]} if name in WITH_ARGUMENTS else {})}
        for name, about in COMMANDS.items()
    ]
    try:
        known: list[Any] = await client.http.get_global_commands(client.me.id if client.application_id is None else client.application_id)
        if _offers(known) != _offers(wanted):
            await client.http.bulk_upsert_global_commands(client.application_id or client.me.id, wanted)
    except CONNECTION_ERRORS as error:
        log.warning("discord.commands_not_registered error=%s", type(error).__name__)


def _offers(commands: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, bool]]:
    return {(each["name"], each["description"], bool(each.get("options"))) for each in commands}


async def tell(client: DiscordClient, interaction: discord.Interaction, words: str | None) -> None:
    """Answer an interaction, visible to its user only (`words` None: show nothing). Without an answer, Discord soon shows it as failed."""
    data = {"type": _NOTHING} if words is None else {"type": _MESSAGE, "data": {"content": words, "flags": _EPHEMERAL}}
    path = "/interactions/{interaction}/{token}/callback"
    try:
        await client.http.request(Route("POST", path, interaction=interaction.id, token=interaction.token), json=data)
    except CONNECTION_ERRORS as error:
        log.info("discord.interaction_unanswered id=%s error=%s", interaction.id, type(error).__name__)
