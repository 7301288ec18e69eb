"""Discord's gateway: new messages, and those missed without a connection."""

import asyncio
import logging
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import discord

from assistant.contracts.channels import ChannelFailed, ChannelLink
from assistant.contracts.errors import traceback_location
from assistant.contracts.inbox import COMMANDS, WITH_ARGUMENTS, InboundMessage
from assistant.contracts.records import record
from channels.discord.http import DiscordHttp
from channels.discord.inbound import position
from channels.discord.rest import DiscordRest, Waits
from channels.kit.http import PlatformError
from channels.kit.missed import MissedMessages
from channels.kit.values import UNREADABLE, objects_at, text_at, value_at

log = logging.getLogger(__name__)
_HECTIC, _HECTIC_WITHIN = 20, 60.0
"""Losses within seconds after which discord.py is stopped: it reconnects without a pause."""
_STRING: Final = 3
"""A type of options of commands."""
_OLDEST_EDIT: Final = timedelta(hours=1)
"""A later event about an edit is caused by something else (a pin, a preview)."""


class NewSession:
    """The gateway sends everything from here on (of one more server); earlier messages have to be fetched."""


def _parsed(name: str, parse: Callable[[Any], None], data: Any) -> None:
    """An event that discord.py can't read would end the connection, and with it what came behind."""
    try:
        parse(data)
    except UNREADABLE as error:
        log.error("discord.unreadable event=%s error=%s", name, traceback_location(error))  # noqa: TRY400 - no words


Event = NewSession | discord.Message | discord.Interaction


class GatewayClient(discord.Client):
    """discord.py's client, with a small cache; calls `put` with the events of people, in order."""

    def __init__(self, rest: DiscordRest, link: ChannelLink, waits: Waits, put: Callable[[Event], None]) -> None:
        intents = discord.Intents.none()
        intents.guilds = intents.guild_messages = intents.dm_messages = intents.message_content = True
        super().__init__(
            intents=intents,
            max_messages=1000,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=waits.guilds,
        )
        self.http = self._connection.http = DiscordHttp(rest)
        self._rest = rest
        self._link = link
        self._waits = waits
        self._put = put
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._told_all = False
        self.up = self.was_up = self._refused = False
        self._since = asyncio.get_running_loop().time()
        """When the connection was lost."""
        self._losses: deque[float] = deque(maxlen=_HECTIC)
        parsers: dict[str, Callable[[Any], None]] = self._connection.parsers
        parsers.update({name: partial(_parsed, name, parse) for name, parse in parsers.items() if name not in ("READY", "RESUMED")})

    @property
    def me(self) -> discord.ClientUser:
        """The bot's user; known after login."""
        assert self.user is not None
        return self.user

    async def watch(self) -> None:
        """Raises ChannelFailed when the first connection fails, or a later one is lost for too long."""
        while not (self._refused and not self.was_up):
            if len(self._losses) == _HECTIC and self._losses[-1] - self._losses[0] < _HECTIC_WITHIN:
                raise ChannelFailed("Discord's gateway breaks off every connection.")
            patience = self._waits.lost if self.was_up else self._waits.ready
            self._changed.clear()
            try:
                async with asyncio.timeout_at(None if self.up else self._since + patience):
                    await self._changed.wait()
            except TimeoutError:
                raise ChannelFailed("There is no connection to Discord's gateway, and none could be made in time.") from None
        raise ChannelFailed("Discord's gateway can't be reached.")

    def make_message(self, channel: Any, data: Any) -> discord.Message:
        """From a message of the REST API. Raises `UNREADABLE`."""
        return self._connection.create_message(channel=channel, data=data)

    async def setup_hook(self) -> None:
        """Registers the slash commands, unless they are known. Without them, the same words can be written."""
        words = {"type": _STRING, "name": "words", "description": "What belongs to it", "required": False}
        wanted = [
            {"name": name, "description": about, "type": 1, **({"options": [words]} if name in WITH_ARGUMENTS else {})}
            for name, about in COMMANDS.items()
        ]
        path = f"/applications/{self.application_id or self.me.id}/commands"
        try:
            if _offers(await self._rest.call("GET", path)) != _offers(wanted):
                await self._rest.call("PUT", path, wanted)
        except (PlatformError, *UNREADABLE) as error:
            log.warning("discord.commands_not_registered error=%s", type(error).__name__)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        if not initial:
            await asyncio.sleep(random.uniform(0.2, 1) * self._waits.identify)  # noqa: S311 - a pause, no secret

    async def settled(self) -> None:
        """Wait until the servers and channels of the last new session are known."""
        await self._settled.wait()

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        # discord.py's tasks that wait for servers may outlive the client, one for each session; a closed one takes no event.
        if not self.is_closed():
            super().dispatch(event, *args, **kwargs)

    async def on_connect(self) -> None:
        self._settled.clear()
        self._told_all = False
        self._settle()
        self._put(NewSession())
        self._told_up()

    async def on_socket_event_type(self, event: str) -> None:
        # discord.py is ready only a second after the last server; messages should not wait for that.
        if event == "GUILD_CREATE":
            self._settle()

    async def on_ready(self) -> None:
        self._told_all = True
        self._settled.set()

    async def on_guild_available(self, guild: discord.Guild) -> None:
        if self._told_all:  # a server that was unavailable
            self._put(NewSession())

    async def on_resumed(self) -> None:
        self._told_up()

    async def on_disconnect(self) -> None:
        self._refused = True
        self._losses.append(asyncio.get_running_loop().time())
        if self.up:
            self._since = asyncio.get_running_loop().time()
            self._link.degraded("The connection to Discord's gateway is lost; reconnecting.")
        self.up = False
        self._changed.set()

    async def on_message(self, message: discord.Message) -> None:
        self._put(message)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        message, before = payload.message, payload.cached_message
        if message.edited_at is None or (before is not None and before.content == message.content):
            return
        if discord.utils.utcnow() - message.edited_at <= _OLDEST_EDIT:
            self._put(message)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self._put(interaction)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        if (bug := sys.exception()) is not None:
            log.error("discord.bug event=%s error=%s", event_method, traceback_location(bug))

    def tell_up(self) -> None:
        if self.up:
            self._link.connected(f"{self.me} ({self.me.id})")

    def _settle(self) -> None:
        if not any(guild.unavailable for guild in self.guilds):
            self._settled.set()

    def _told_up(self) -> None:
        self.up = self.was_up = True
        self._refused = False
        self._changed.set()
        self.tell_up()


def _offers(commands: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, bool]]:
    return {(each["name"], each["description"], bool(each.get("options"))) for each in commands}


OLDEST: Final = timedelta(hours=24)
"""Older messages get no answer; the inbox recognises repeats for 48 h."""
_OVERLAP: Final = timedelta(seconds=60)
"""Messages of different threads may arrive out of the order of their ids; repeats are recognised by id."""
_PAGE: Final = 100
Read = Callable[[discord.Message], InboundMessage | None]


@record
class _Asked:
    id: int
    after: int
    last: int
    """The last message that was accepted."""
    channel: Any = None
    """None: no channel of the bot's servers; direct messages, if anything."""


class CatchUp:
    """Fetches missed messages. One for all connections of an adapter: it remembers what was handled."""

    def __init__(self, rest: DiscordRest, pause: float) -> None:
        """`pause`: seconds before the first retry of a failed request."""
        self._rest = rest
        self._missed = MissedMessages("discord", pause=pause)
        self._handled = 0

    def handled(self, external_id: str) -> None:
        """All events of the gateway up to this message were handled."""
        self._handled = max(self._handled, position(external_id))

    async def missed(self, client: GatewayClient, link: ChannelLink, read: Read) -> Sequence[InboundMessage]:
        """In the order of their ids. A channel that can't be read after several tries is left out and logged. Raises StoreUnavailable."""
        seen = {chat: position(external_id) for chat, external_id in (await link.last_seen()).items()}
        found = await self._missed.of_chats(self._asked(client, seen), partial(self._read_channel, client, read))
        return sorted(found, key=lambda message: position(message.external_id))

    def _asked(self, client: GatewayClient, seen: dict[str, int]) -> list[_Asked]:
        """The channels to read, and where to begin."""
        oldest = discord.utils.time_snowflake(discord.utils.utcnow() - OLDEST)
        overlap = int(_OVERLAP.total_seconds() * 1000) << 22
        known_until = max([self._handled, *seen.values()], default=0)
        asked: dict[int, _Asked] = {}
        for chat, last in sorted(seen.items(), key=lambda item: -item[1]):
            if not chat.isdecimal() or client.get_channel(int(chat)) is not None:
                continue
            asked[int(chat)] = _Asked(id=int(chat), after=max(oldest, last - overlap), last=last)
        if known_until and self._rest.settings.groups != "off":
            for channel in _readable(client):
                chat = channel.parent_id if isinstance(channel, discord.Thread) else channel.id
                after = max(oldest, seen.get(str(chat), known_until) - overlap)
                if (channel.last_message_id or 0) > after:
                    asked[channel.id] = _Asked(id=channel.id, after=after, last=0, channel=channel)
        return list(asked.values())

    async def _read_channel(self, client: GatewayClient, read: Read, asked: _Asked) -> list[InboundMessage]:
        channel = asked.channel or await self._private(client, asked)
        if channel is None:
            return []

        async def page(after: int) -> Sequence[Any]:
            query = {"limit": str(_PAGE), "after": str(after)}
            return objects_at([await self._rest.call("GET", f"/channels/{asked.id}/messages", params=query)], 0)

        found: list[InboundMessage] = []
        for data in await self._missed.since(
            str(asked.id), asked.after, page, size=_PAGE, place=lambda each: position(text_at(each, "id"))
        ):
            try:
                message = read(client.make_message(channel, data))
            except UNREADABLE as error:
                log.error("discord.unreadable message=%s error=%s", data.get("id"), traceback_location(error))  # noqa: TRY400 - no words
                continue
            if message is not None:
                found.append(message)
        return found

    async def _private(self, client: GatewayClient, asked: _Asked) -> discord.PartialMessageable | None:
        """The channel, if it holds direct messages (and is not of an unavailable server) and has something new."""
        about: Any = await self._missed.ask(str(asked.id), lambda: self._rest.call("GET", f"/channels/{asked.id}"))
        if value_at(about, "type") != discord.ChannelType.private.value:
            return None
        newest = position(text_at(about, "last_message_id"))
        if newest <= asked.after or newest == asked.last:
            return None
        return client.get_partial_messageable(asked.id, type=discord.ChannelType.private)


def _readable(client: GatewayClient) -> list[Any]:
    """Channels and threads of servers whose history the bot can read."""
    found: list[Any] = []
    for guild in client.guilds:
        kinds = (*guild.text_channels, *guild.voice_channels, *guild.stage_channels, *guild.threads)
        found += [channel for channel in kinds if channel.permissions_for(guild.me).read_message_history]
    return found
