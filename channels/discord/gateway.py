"""The connection to the gateway: what it says is put in order; how it fares is told."""

import asyncio
import logging
import random
import sys
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import discord

from assistant.contracts.channels import ChannelFailed, Link
from assistant.contracts.errors import place_of
from channels.discord.commands import register
from channels.discord.rest import Client
from channels.discord.settings import DiscordSettings
from channels.discord.waits import Waits
from channels.discord.wire import Refusals

log = logging.getLogger(__name__)
_HECTIC, _HECTIC_WITHIN = 20, 60.0
"""So many losses in so many seconds: discord.py, which comes back without a pause, is stopped."""
_OLDEST_EDIT: Final = timedelta(hours=1)
"""An edit that is told later than this is the word of something else (a pin, a preview) about a message that was edited long ago."""


class NewSession:
    """From here on the gateway tells everything (of one more server); what came before has to be asked for."""


Event = NewSession | discord.Message | discord.Interaction


class GatewayClient(Client):
    """discord.py's client; `put` takes what people did, in order."""

    def __init__(self, settings: DiscordSettings, refusals: Refusals, link: Link, waits: Waits, put: Callable[[Event], None]) -> None:
        super().__init__(settings, refusals, waits.guilds)
        self._link = link
        self._waits = waits
        self._put = put
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._told_all = False
        self._up = self._was_up = self._refused = False
        self._since = asyncio.get_running_loop().time()
        """Since when there is no connection."""
        self._losses: deque[float] = deque(maxlen=_HECTIC)

    async def watch(self) -> None:
        """Raises ChannelFailed when the first connection fails, or a later one is lost for too long."""
        while not (self._refused and not self._was_up):
            if len(self._losses) == _HECTIC and self._losses[-1] - self._losses[0] < _HECTIC_WITHIN:
                raise ChannelFailed("Discord's gateway breaks off every connection.")
            patience = self._waits.lost if self._was_up else self._waits.ready
            self._changed.clear()
            try:
                async with asyncio.timeout_at(None if self._up else self._since + patience):
                    await self._changed.wait()
            except TimeoutError:
                raise ChannelFailed("There is no connection to Discord's gateway, and none could be made in time.") from None
        raise ChannelFailed("Discord's gateway can't be reached.")

    @property
    def ever_up(self) -> bool:
        return self._was_up

    @property
    def up(self) -> bool:
        """Whether there is a connection now."""
        return self._up

    def make_message(self, channel: Any, data: Any) -> discord.Message:
        """Of what the REST API answered. Raises KeyError and the like where it is not what it should be."""
        return self._connection.create_message(channel=channel, data=data)

    async def setup_hook(self) -> None:
        await register(self)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        if not initial:
            await asyncio.sleep(random.uniform(0.2, 1) * self._waits.identify)  # noqa: S311 - a pause, no secret

    async def settled(self) -> None:
        """Return when it is known which servers and channels there are, after the last new session."""
        await self._settled.wait()

    async def close(self) -> None:
        # discord.py leaves this task behind, which then trips over what was closed.
        waiting: asyncio.Task[None] | None = getattr(self._connection, "_ready_task", None)
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await super().close()

    async def on_connect(self) -> None:
        self._settled.clear()
        self._told_all = False
        self._settle()
        self._put(NewSession())
        self._told_up()

    async def on_socket_event_type(self, event: str) -> None:
        # discord.py is ready only a second after the last server was told; what people write should not wait for that, nor be lost with us.
        if event == "GUILD_CREATE":
            self._settle()

    async def on_ready(self) -> None:
        self._told_all = True
        self._settled.set()

    async def on_guild_available(self, guild: discord.Guild) -> None:
        if self._told_all:  # a server that was out of reach
            self._put(NewSession())

    async def on_resumed(self) -> None:
        self._told_up()

    async def on_disconnect(self) -> None:
        self._refused = True
        self._losses.append(asyncio.get_running_loop().time())
        if self._up:
            self._since = asyncio.get_running_loop().time()
            self._link.degraded("The connection to Discord's gateway is lost; it is being made again.")
        self._up = False
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
            log.error("discord.bug event=%s error=%s", event_method, place_of(bug))

    def _settle(self) -> None:
        if not any(guild.unavailable for guild in self.guilds):
            self._settled.set()

    def _told_up(self) -> None:
        self._up = self._was_up = True
        self._refused = False
        self._changed.set()
        self._link.connected(self.identity)
