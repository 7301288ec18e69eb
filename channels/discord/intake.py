"""Accepts what the gateway sends: one after the other, behind the missed messages."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

import discord

from assistant.contracts.channels import ChannelLink, SendFailed
from assistant.contracts.errors import StoreUnavailable, traceback_location
from assistant.contracts.inbox import InboundMessage
from channels.discord.gateway import CatchUp, Event, GatewayClient, NewSession
from channels.discord.inbound import read_interaction, read_message
from channels.discord.rest import DiscordRest
from channels.kit.hearing import Hearing
from channels.kit.http import PlatformError
from channels.kit.intake import Intake
from channels.kit.values import UNREADABLE

log = logging.getLogger(__name__)
_MOST_WAITING: Final = 10_000
_MESSAGE, _NOTHING = 4, 6
"""Types of answers: a message; for a button, nothing visible."""
_EPHEMERAL: Final = 1 << 6


class DiscordIntake:
    """For one connection. Messages are accepted in order: one that the store can't take now holds up those behind it, because the next start
    fetches what came after the last accepted one. A message that is edited while it waits is read once, as edited."""

    def __init__(
        self, link: ChannelLink, rest: DiscordRest, catch_up: CatchUp, intake: Intake, hearing: Hearing, answerable: float
    ) -> None:
        """`intake` and `hearing` outlive the connection. `answerable`: see `Waits`."""
        self._link = link
        self._rest = rest
        self._catch_up = catch_up
        self._intake = intake
        self._hearing = hearing
        self._answerable = answerable
        self._waiting: asyncio.Queue[tuple[float, Event]] = asyncio.Queue()
        self._answers: set[asyncio.Task[None]] = set()

    def put(self, event: Event) -> None:
        """Never blocks. When too much waits, it is dropped and fetched again."""
        if self._waiting.qsize() >= _MOST_WAITING:
            log.warning("discord.overrun waiting=%d", self._waiting.qsize())
            self._waiting = asyncio.Queue()
            event = NewSession()
        self._waiting.put_nowait((asyncio.get_running_loop().time(), event))

    async def run(self, client: GatewayClient) -> None:
        """Runs until cancelled."""
        try:
            while True:
                await self._take(client, *await self._waiting.get())
        finally:
            for task in self._answers:
                task.cancel()
            await asyncio.gather(*self._answers, return_exceptions=True)

    async def _take(self, client: GatewayClient, arrived: float, event: Event) -> None:
        match event:
            case NewSession():
                await client.settled()
                for message in await self._missed(client):
                    await self._intake.keep(self._link, message, healed=client.tell_up)
            case discord.Message():
                parent = await self._parent(client, event.channel)
                message = self._read(client, event, parent)
                if message is not None:
                    await self._intake.keep(self._link, message, healed=client.tell_up)
                self._catch_up.handled(str(event.id))
            case discord.Interaction():
                await self._take_interaction(client, arrived, event)

    def _read(self, client: GatewayClient, event: discord.Message | discord.Interaction, parent: str | None) -> InboundMessage | None:
        try:
            if isinstance(event, discord.Interaction):
                return read_interaction(event, parent, self._hearing)
            return read_message(event, client.me, parent, self._hearing)
        except UNREADABLE as error:
            log.error("discord.unreadable event=%s error=%s", event.id, traceback_location(error))  # noqa: TRY400 - no words
            return None

    async def _parent(self, client: GatewayClient, channel: object) -> str | None:
        """The channel of a thread. The gateway announces a thread before its first message, but not one that the bot was just added to."""
        if isinstance(channel, discord.Thread):
            self._rest.learn(str(channel.id), str(channel.parent_id))
            return str(channel.parent_id)
        if not isinstance(channel, discord.PartialMessageable) or channel.guild_id is None:
            return None
        try:
            return await self._rest.parent(str(channel.id))
        except (PlatformError, SendFailed) as error:
            log.info("discord.channel_unknown channel=%s error=%s", channel.id, type(error).__name__)
            return None

    async def _missed(self, client: GatewayClient) -> Sequence[InboundMessage]:
        def read(message: discord.Message) -> InboundMessage | None:
            parent = str(message.channel.parent_id) if isinstance(message.channel, discord.Thread) else None
            return self._read(client, message, parent)

        return await self._intake.until_stored(self._link, partial(self._catch_up.missed, client, self._link, read))

    async def _take_interaction(self, client: GatewayClient, arrived: float, interaction: discord.Interaction) -> None:
        """Accept it, then answer it. One that can't be stored, or comes too late to be answered, is not carried out."""
        age = asyncio.get_running_loop().time() - arrived
        if age > self._answerable:
            log.info("discord.interaction_too_late id=%s age=%.1f", interaction.id, age)
            return
        message = self._read(client, interaction, await self._parent(client, interaction.channel))
        words: str | None = "Not here."
        if message is not None:
            words = message.text if message.text.startswith("/") and not message.chosen else None
            try:
                await self._link.accept(message)
            except StoreUnavailable:
                words = "Not accepted: nothing can be stored at the moment. Please try again later."
            self._catch_up.handled(message.external_id)
        answer = asyncio.create_task(self._tell(interaction, words))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)

    async def _tell(self, interaction: discord.Interaction, words: str | None) -> None:
        """Answer it, visible to its user only (`words` None: show nothing). Without an answer, Discord soon shows it as failed."""
        data = {"type": _NOTHING} if words is None else {"type": _MESSAGE, "data": {"content": words, "flags": _EPHEMERAL}}
        try:
            await self._rest.call("POST", f"/interactions/{interaction.id}/{interaction.token}/callback", data)
        except PlatformError as error:
            log.info("discord.interaction_unanswered id=%s error=%s", interaction.id, type(error).__name__)
