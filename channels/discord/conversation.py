"""What a Discord chat offers: files, reactions, typing, preview of the answer, slash commands."""

import asyncio
import logging
import re
import secrets
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import discord
from discord.http import Route

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Preview, SendFailed
from assistant.contracts.inbox import COMMANDS, Command, InboundFile, InboundMessage
from channels.discord.errors import send_failure
from channels.discord.files import FileDownloader
from channels.discord.http import Refusals
from channels.discord.rest import DiscordClient, DiscordRest
from channels.discord.sender import MOST_CHARS, reply_in
from channels.discord.settings import DiscordSettings
from channels.preview import EditedPreview
from channels.text.discord import discord_parts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


log = logging.getLogger(__name__)
_INTERVAL: Final = 1.0
"""Seconds between two edits."""
_MOST_READ: Final = 3 * MOST_CHARS
_WITHIN: Final = 10.0
_WITHIN_FETCH: Final = 150.0


class DiscordConversation:
    """See `contracts.channels.Conversation`."""

    typing_seconds = 8.0
    """Discord shows it for ten. https://discord.com/developers/docs/resources/channel#trigger-typing-indicator"""

    def __init__(self, settings: DiscordSettings, rest: DiscordRest, refusals: Refusals) -> None:
        self._settings = settings
        self._rest = rest
        self._refusals = refusals
        self._files = FileDownloader(settings, rest)

    async def fetch(self, file: InboundFile, into: Path, most_bytes: int) -> None:
        async with self._asked(_WITHIN_FETCH):
            await self._files.fetch(file.ref, into, most_bytes)

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

        return EditedPreview(show, _first_part, interval=_INTERVAL, posted=posted, note=note)

    async def close(self) -> None:
        await self._files.close()

    @asynccontextmanager
    async def _asked(self, within: float = _WITHIN) -> "AsyncGenerator[None]":
        """What discord.py raises, as the port says it."""
        try:
            async with asyncio.timeout(within):
                yield
        except SendFailed:
            raise
        except (discord.DiscordException, aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise send_failure(error, self._refusals, written=True) from error


def _first_part(text: str) -> str:
    parts = discord_parts(text[:_MOST_READ], MOST_CHARS)
    return parts[0].text if parts else ""


_WRITTEN: Final = re.compile(r"/([a-z][a-z0-9_]{0,31})(?:\s+(.*))?", re.DOTALL | re.ASCII)
_MESSAGE, _NOTHING = 4, 6
"""Kinds of answers: a message; for a button, nothing to be seen."""
_EPHEMERAL: Final = 1 << 6


def command_in(text: str) -> Command | None:
    """Of a message that is written like a command."""
    written = _WRITTEN.fullmatch(text)
    return Command(name=written[1], arguments=(written[2] or "").strip()) if written else None


async def register(client: DiscordClient) -> None:
    """Make the commands known, where they are not. They are a convenience: without them, the same words can be written."""
    wanted = [{"name": name, "description": about, "type": 1} for name, about in COMMANDS.items()]
    try:
        known: list[Any] = await client.http.get_global_commands(client.me.id if client.application_id is None else client.application_id)
        if {(each["name"], each["description"]) for each in known} != set(COMMANDS.items()):
            await client.http.bulk_upsert_global_commands(client.application_id or client.me.id, wanted)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        log.warning("discord.commands_not_registered error=%s", type(error).__name__)


async def tell(client: DiscordClient, interaction: discord.Interaction, words: str | None) -> None:
    """Answer an interaction, seen by its user alone. `words` None: show nothing (a button). It has to happen within three seconds; one that comes
    too late is shown as failed by Discord, though what it asked for is done."""
    data = {"type": _NOTHING} if words is None else {"type": _MESSAGE, "data": {"content": words, "flags": _EPHEMERAL}}
    path = "/interactions/{interaction}/{token}/callback"
    try:
        await client.http.request(Route("POST", path, interaction=interaction.id, token=interaction.token), json=data)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        log.info("discord.interaction_unanswered id=%s error=%s", interaction.id, type(error).__name__)
