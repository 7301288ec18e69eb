"""What makes a chat out of messages: files, reactions, typing, previews. None of it is a promise."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import discord

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Conversation, Preview, SendFailed
from assistant.contracts.inbox import InboundFile, InboundMessage
from channels.discord.errors import send_failure
from channels.discord.files import Files
from channels.discord.preview import Preview as EditedPreview
from channels.discord.rest import Rest
from channels.discord.settings import DiscordSettings
from channels.discord.wire import Refusals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_TYPING_SECONDS: Final = 8.0
"""Discord shows it for ten. https://discord.com/developers/docs/resources/channel#trigger-typing-indicator"""
_WITHIN: Final = 10.0
_WITHIN_FETCH: Final = 150.0


class DiscordConversation(Conversation):
    """See `contracts.channels.Conversation`."""

    def __init__(self, settings: DiscordSettings, rest: Rest, refusals: Refusals) -> None:
        self._settings = settings
        self._rest = rest
        self._refusals = refusals
        self._files = Files(settings, rest)

    @property
    def typing_seconds(self) -> float:
        return _TYPING_SECONDS

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

        async def show(message_id: str | None, text: str, key: str) -> str:
            async with self._asked():
                client = await self._rest.client()
                channel = client.get_partial_messageable(int(await self._rest.target(address)))
                if message_id is not None:
                    await channel.get_partial_message(int(message_id)).edit(content=text)
                    return message_id
                more: dict[str, Any] = {}
                if reply_to is not None and reply_to.isdecimal() and self._settings.reply_to_message:
                    more["reference"] = channel.get_partial_message(int(reply_to)).to_reference(fail_if_not_exists=False)
                quiet = not self._settings.link_previews
                return str((await channel.send(text, nonce=key, suppress_embeds=quiet, mention_author=False, **more)).id)

        return EditedPreview(show, posted=posted, note=note)

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
