"""What was written while nobody listened: asked for, by the same rules, in order.

The gateway tells nothing of it once a session is lost. What can be asked for: the chats from which messages were accepted before (`Link.last_seen`),
and the channels and threads of servers. A first direct message of somebody who never wrote before can't be found: Discord does not list direct
messages to bots.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import aiohttp
import discord

from assistant.contracts.backoff import backoff
from assistant.contracts.channels import Link
from assistant.contracts.errors import place_of
from assistant.contracts.inbox import InboundMessage
from channels.discord.gateway import GatewayClient
from channels.discord.inbound import position
from channels.discord.settings import DiscordSettings

log = logging.getLogger(__name__)
OLDEST: Final = timedelta(hours=24)
"""Nobody wants an answer to what was written before; and the inbox knows repeats for 48 h."""
_OVERLAP: Final = timedelta(seconds=60)
"""Messages of different threads don't arrive in the order of their ids; what is read again is known by its id."""
_MOST_CHATS, _SIDE_BY_SIDE, _PAGE, _MOST_PAGES, _TRIES = 500, 8, 100, 50, 4
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError)
"""What reading a payload that is not as documented raises."""

Channel = discord.abc.Messageable | discord.PartialMessageable
Read = Callable[[discord.Message], InboundMessage | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    id: int
    after: int
    last: int
    """The last message that was accepted."""
    channel: Any = None
    """None: it is of no server that we are in; direct messages, if it is anything."""


class CatchUp:
    """One for all connections of an adapter: it knows until when everything was handled."""

    def __init__(self, settings: DiscordSettings, pause: float) -> None:
        """`pause`: seconds before what failed is asked again, at first."""
        self._settings = settings
        self._pause = pause
        self._handled = 0

    def handled(self, external_id: str) -> None:
        """Everything that the gateway told up to here was dealt with."""
        self._handled = max(self._handled, position(external_id))

    async def missed(self, client: GatewayClient, link: Link, read: Read) -> Sequence[InboundMessage]:
        """In the order of their ids. Raises StoreUnavailable; what Discord does not answer for several tries is left out, and logged."""
        seen = {chat: position(external_id) for chat, external_id in (await link.last_seen()).items()}
        asked = self._asked(client, seen)
        gate = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def ask(one: _Asked) -> list[InboundMessage]:
            async with gate:
                return await self._read_channel(client, one, read)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(one)) for one in asked]
        found = [message for task in tasks for message in task.result()]
        if asked:
            log.info("discord.caught_up chats=%d messages=%d", len(asked), len(found))
        return sorted(found, key=lambda message: position(message.external_id))

    def _asked(self, client: GatewayClient, seen: dict[str, int]) -> list[_Asked]:
        """Which channels, and from where on."""
        oldest = discord.utils.time_snowflake(discord.utils.utcnow() - OLDEST)
        overlap = int(_OVERLAP.total_seconds() * 1000) << 22
        known_until = max([self._handled, *seen.values()], default=0)
        asked: dict[int, _Asked] = {}
        for chat, last in sorted(seen.items(), key=lambda item: -item[1]):
            if not chat.isdecimal() or client.get_channel(int(chat)) is not None:
                continue
            asked[int(chat)] = _Asked(id=int(chat), after=max(oldest, last - overlap), last=last)
        if known_until and self._settings.groups != "off":
            for channel in _readable(client):
                chat = channel.parent_id if isinstance(channel, discord.Thread) else channel.id
                after = max(oldest, seen.get(str(chat), known_until) - overlap)
                if (channel.last_message_id or 0) > after:
                    asked[channel.id] = _Asked(id=channel.id, after=after, last=0, channel=channel)
        if len(asked) > _MOST_CHATS:
            log.warning("discord.missed_unread chats=%d", len(asked) - _MOST_CHATS)
        return list(asked.values())[:_MOST_CHATS]

    async def _read_channel(self, client: GatewayClient, asked: _Asked, read: Read) -> list[InboundMessage]:
        channel = asked.channel or await self._private(client, asked)
        if channel is None:
            return []
        found: list[InboundMessage] = []
        after = asked.after
        for _ in range(_MOST_PAGES):
            page: list[Any] = await self._ask(asked, partial(client.http.logs_from, asked.id, _PAGE, after=after)) or []
            for data in reversed(page):
                try:
                    message = read(client.make_message(channel, data))
                except UNREADABLE as error:
                    log.error("discord.unreadable message=%s error=%s", data.get("id"), place_of(error))  # noqa: TRY400 - no words
                    continue
                if message is not None:
                    found.append(message)
            if len(page) < _PAGE:
                return found
            after = int(page[0]["id"])
        log.warning("discord.missed_unread channel=%s after=%d", asked.id, after)
        return found

    async def _private(self, client: GatewayClient, asked: _Asked) -> discord.PartialMessageable | None:
        """The channel, if it is one of direct messages (and not of a server that is out of reach) and has something new."""
        about = await self._ask(asked, partial(client.http.get_channel, asked.id))
        if about is None or about["type"] != discord.ChannelType.private.value:
            return None
        newest = int(about.get("last_message_id") or 0)
        if newest <= asked.after or newest == asked.last:
            return None
        return client.get_partial_messageable(asked.id, type=discord.ChannelType.private)

    async def _ask(self, asked: _Asked, question: Callable[[], Awaitable[Any]]) -> Any:
        """The answer; None where we may not know, or Discord does not answer."""
        for attempt in range(_TRIES):
            wait = backoff(attempt + 1, first=self._pause)
            try:
                return await question()
            except (discord.Forbidden, discord.NotFound):
                return None
            except discord.RateLimited as error:
                wait = min(error.retry_after, 60)
            except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
                log.info("discord.asked_in_vain channel=%s error=%s", asked.id, type(error).__name__)
            await asyncio.sleep(wait)
        log.warning("discord.missed_unread channel=%s after=%d", asked.id, asked.after)
        return None


def _readable(client: GatewayClient) -> list[Any]:
    """Channels and threads of servers in which people write."""
    found: list[Any] = []
    for guild in client.guilds:
        kinds = (*guild.text_channels, *guild.voice_channels, *guild.stage_channels, *guild.threads)
        found += [channel for channel in kinds if channel.permissions_for(guild.me).read_message_history]
    return found
