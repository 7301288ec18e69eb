"""Discord's REST API: a client, and the channels behind chats and threads."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import discord
from discord import AllowedMentions, Intents, MemberCacheFlags

from assistant.contracts.addresses import Address
from assistant.contracts.channels import SendRefused
from channels.discord.http import DiscordHttp, Refusals
from channels.discord.kind import is_snowflake
from channels.discord.refusals import UNKNOWN_CHANNEL
from channels.discord.settings import DiscordSettings

T = TypeVar("T")
_MOST_KNOWN: Final = 4096


class DiscordClient(discord.Client):
    """discord.py's client on `DiscordHttp`: a small cache, no mentions."""

    def __init__(self, settings: DiscordSettings, refusals: Refusals, guilds_wait: float = 1) -> None:
        """`guilds_wait`: see `Waits.guilds`."""
        intents = Intents.none()
        intents.guilds = intents.guild_messages = intents.dm_messages = intents.message_content = True
        super().__init__(
            intents=intents,
            max_messages=1000,
            member_cache_flags=MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=guilds_wait,
            allowed_mentions=AllowedMentions.none(),
        )
        self.http = self._connection.http = DiscordHttp(settings, refusals)

    @property
    def me(self) -> discord.ClientUser:
        """The bot's user; known after login."""
        assert self.user is not None
        return self.user

    @property
    def identity(self) -> str:
        """ "nanobot#4711 (1187654321098765432)", or without the discriminator where the bot has none."""
        return f"{self.me} ({self.me.id})"


class DiscordRest:
    """A client that logs in when it is first used, and the channels of direct messages and threads."""

    def __init__(self, settings: DiscordSettings, refusals: Refusals, refused: float = 60) -> None:
        """`refused`: see `Waits.refused`."""
        self.settings = settings
        self._refused_pause = refused
        self.refusals = refusals
        self._client: DiscordClient | None = None
        self._login = asyncio.Lock()
        self._refused_until = 0.0
        self._parents: OrderedDict[str, str | None] = OrderedDict()
        """thread → its channel; a channel that is no thread → None."""
        self._forums: OrderedDict[str, bool] = OrderedDict()
        self._private: OrderedDict[str, str] = OrderedDict()
        """user → the channel of their direct messages."""

    async def client(self) -> DiscordClient:
        """Logged in. Raises what discord.py raises; for some time after a refused token, LoginFailure at once."""
        async with self._login:
            if self._client is not None:
                return self._client
            if time.monotonic() < self._refused_until:
                raise discord.LoginFailure
            client = DiscordClient(self.settings, self.refusals)
            try:
                await client.login(self.settings.secret)
            except BaseException as error:
                if isinstance(error, discord.LoginFailure):
                    self._refused_until = time.monotonic() + self._refused_pause
                await client.close()
                raise
            self._client = client
            return client

    async def target(self, address: Address) -> str:
        """The id of the channel of this address. Raises SendRefused for a thread of another chat: permission was checked for the chat. Raises what
        discord.py raises, NotFound for a thread that is gone."""
        if not address.chat_id.isdecimal():
            raise SendRefused("chat_not_found", "Discord knows no such channel.")
        if address.thread_id is None:
            return self._private.get(address.chat_id, address.chat_id)
        if await self.parent(address.thread_id) != address.chat_id:
            raise SendRefused("chat_not_found", "Discord knows no such thread in this channel.")
        return address.thread_id

    async def parent(self, channel_id: str) -> str | None:
        """The channel that a thread belongs to; None: it is no thread. Raises what discord.py raises."""
        if channel_id not in self._parents:
            channel: Any = await (await self.client()).http.get_channel(int(channel_id))
            is_thread = channel["type"] in (10, 11, 12)
            self.learn(channel_id, str(channel["parent_id"]) if is_thread else None)
        return self._parents.get(channel_id)

    def holds_posts(self, channel_id: str) -> bool:
        """Whether it is known as a channel that takes posts only."""
        return channel_id in self._forums

    async def learn_posts(self, channel_id: str) -> bool:
        """Whether this channel, which takes no messages, takes posts. Raises what discord.py raises."""
        about: Any = await (await self.client()).http.get_channel(int(channel_id))
        if about["type"] in (discord.ChannelType.forum.value, discord.ChannelType.media.value):
            _keep(self._forums, channel_id, True)
        return channel_id in self._forums

    async def reopen(self, thread_id: str, error: discord.HTTPException) -> None:
        """Take a thread out of the archive. Raises `error` where the bot may not: it is locked."""
        try:
            await (await self.client()).http.edit_channel(int(thread_id), archived=False)
        except discord.HTTPException as refused:
            raise (error if 400 <= refused.status < 500 and refused.status != 429 else refused) from None

    def learn(self, channel_id: str, parent: str | None) -> None:
        _keep(self._parents, channel_id, parent)

    async def open_private(self, user_id: str, error: discord.NotFound) -> str:
        """The channel of a user's direct messages, for a chat_id that is no channel. Raises `error` if it is no user either."""
        if error.code != UNKNOWN_CHANNEL or user_id in self._private or not is_snowflake(user_id):
            raise error
        channel: Any = await (await self.client()).http.start_private_message(int(user_id))
        _keep(self._private, user_id, str(channel["id"]))
        return str(channel["id"])

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _keep(known: OrderedDict[str, T], key: str, value: T) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > _MOST_KNOWN:
        known.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Seconds."""

    send: float = 57
    """For a part, with discord.py's own retries."""
    ready: float = 60
    """From the first connection to being ready."""
    lost: float = 120
    """For discord.py to resume a lost session; then a new connection is made."""
    identify: float = 5
    """At most, before a new session: Discord allows one in five seconds."""
    again: float = 1
    """Before the first retry."""
    guilds: float = 1
    """Without a further server, after which a new session knows all of them."""
    refused: float = 60
    """After a refused token, without another login."""
    answerable: float = 2.5
    """In which an interaction can be answered; Discord allows three."""
