"""Accepts what the gateway sends: one after the other, behind the missed messages."""

import asyncio
import logging
from typing import Final

import discord

from assistant.contracts.channels import ChannelLink
from assistant.contracts.errors import StoreUnavailable, traceback_location
from assistant.contracts.inbox import InboundMessage
from assistant.contracts.util import backoff
from channels.discord.conversation import tell
from channels.discord.gateway import CatchUp, Event, GatewayClient, NewSession
from channels.discord.http import CONNECTION_ERRORS, UNREADABLE
from channels.discord.inbound import read_interaction, read_message
from channels.discord.rest import DiscordRest, Waits
from channels.kit.bots import BotTurns

log = logging.getLogger(__name__)
_MOST_WAITING: Final = 10_000
_LONGEST_PAUSE: Final = 10.0
_MOST_TRIES: Final = 3


class DiscordIntake:
    """For one connection. Messages are accepted in order: one that the store can't take now holds up those behind it, because the next start
    fetches what came after the last accepted one. A message that is edited while it waits is read once, as edited."""

    def __init__(
        self, link: ChannelLink, rest: DiscordRest, catch_up: CatchUp, tries: dict[str, int], waits: Waits, bots: BotTurns
    ) -> None:
        """`tries`: attempts for each message that is not accepted yet; they and `bots` outlive the connection."""
        self._link = link
        self._settings = rest.settings
        self._rest = rest
        self._catch_up = catch_up
        self._tries = tries
        self._waits = waits
        self._bots = bots
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
                    await self._accept(client, message)
            case discord.Message():
                parent = await self._parent(client, event.channel)
                message = self._read(client, event, parent)
                if message is not None:
                    await self._accept(client, message)
                self._catch_up.handled(str(event.id))
            case discord.Interaction():
                await self._take_interaction(client, arrived, event)

    def _read(self, client: GatewayClient, message: discord.Message, parent: str | None) -> InboundMessage | None:
        try:
            return read_message(message, client.me, self._settings, parent, self._bots)
        except UNREADABLE as error:
            log.error("discord.unreadable message=%s error=%s", message.id, traceback_location(error))  # noqa: TRY400 - no words
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
        except CONNECTION_ERRORS as error:
            log.info("discord.channel_unknown channel=%s error=%s", channel.id, type(error).__name__)
            return None

    async def _missed(self, client: GatewayClient) -> list[InboundMessage]:
        def read(message: discord.Message) -> InboundMessage | None:
            channel = message.channel
            parent = str(channel.parent_id) if isinstance(channel, discord.Thread) else None
            return read_message(message, client.me, self._settings, parent, self._bots)

        failures = 0
        while True:
            try:
                return list(await self._catch_up.missed(client, self._link, read))
            except StoreUnavailable:
                failures += 1
                await self._wait_for_store(failures)

    async def _accept(self, client: GatewayClient, message: InboundMessage) -> None:
        """Retries until it is stored. A message that hits a bug each time is dropped: it would hold up all others."""
        failures = 0
        tries = self._tries[message.external_id] = self._tries.get(message.external_id, 0) + 1
        while tries <= _MOST_TRIES:
            try:
                await self._link.accept(message)
            except asyncio.CancelledError:  # not the message's fault
                del self._tries[message.external_id]
                raise
            except StoreUnavailable:
                failures += 1
                await self._wait_for_store(failures)
            else:
                break
        else:
            log.error("discord.message_given_up id=%s tries=%d", message.external_id, _MOST_TRIES)
        del self._tries[message.external_id]
        if failures and client.up:
            self._link.connected(client.identity)

    async def _wait_for_store(self, failures: int) -> None:
        self._link.degraded("The store can't be written; messages wait.")
        await asyncio.sleep(backoff(failures, first=self._waits.again, longest=_LONGEST_PAUSE))

    async def _take_interaction(self, client: GatewayClient, arrived: float, interaction: discord.Interaction) -> None:
        """Accept it, then answer it. One that can't be stored, or comes too late to be answered, is not carried out."""
        age = asyncio.get_running_loop().time() - arrived
        if age > self._waits.answerable:
            log.info("discord.interaction_too_late id=%s age=%.1f", interaction.id, age)
            return
        parent = await self._parent(client, interaction.channel)
        message = read_interaction(interaction, self._settings, parent)
        words: str | None = "Not here."
        if message is not None:
            words = message.text if message.text.startswith("/") and not message.chosen else None
            try:
                await self._link.accept(message)
            except StoreUnavailable:
                words = "Not accepted: nothing can be stored at the moment. Please try again later."
            self._catch_up.handled(message.external_id)
        answer = asyncio.create_task(tell(client, interaction, words))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)
