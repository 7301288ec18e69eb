"""Discord as a channel."""

import asyncio
from collections.abc import Sequence
from typing import Final

import discord

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit
from channels.discord.conversation import DiscordConversation
from channels.discord.gateway import CatchUp, GatewayClient
from channels.discord.http import CONNECTION_ERRORS, Refusals, route_of
from channels.discord.intake import DiscordIntake
from channels.discord.plan import plan
from channels.discord.refusals import connection_failure
from channels.discord.rest import DiscordRest, Waits
from channels.discord.sender import DiscordSender
from channels.discord.settings import DiscordSettings
from channels.kit.bots import BotTurns

_IN_ALL: Final = Limit(key="discord", amount=50, seconds=1)
"""https://discord.com/developers/docs/topics/rate-limits#global-rate-limit; those of a channel are in the headers of its answers."""
_WITHIN: Final = 20.0
_VERDICT: Final = 1.0


class DiscordChannel:
    """See `contracts.channels.Channel`. Sends by REST, whether or not the gateway is connected."""

    name = "discord"
    keyed = True
    plan = staticmethod(plan)

    def __init__(self, settings: DiscordSettings, context: ChannelContext, waits: Waits | None = None) -> None:
        route_of(settings)  # a proxy that can't be used is told now
        self._settings = settings
        self._waits = waits or Waits()
        self._refusals = Refusals(settings.secret)
        self._rest = DiscordRest(settings, self._refusals, self._waits.refused)
        self.send = DiscordSender(self._rest, context.files, self._waits.send).send
        self.conversation = DiscordConversation(self._rest)
        self._tries: dict[str, int] = {}
        self._bots = BotTurns(settings.allow_bots)
        self._catch_up = CatchUp(settings, self._waits.again)

    def limits(self, address: Address) -> Sequence[Limit]:
        return (_IN_ALL,)

    async def run(self, link: ChannelLink) -> None:
        intake = DiscordIntake(link, self._rest, self._catch_up, self._tries, self._waits, self._bots)
        client = GatewayClient(self._settings, self._refusals, link, self._waits, intake.put)
        tasks: list[asyncio.Task[None]] = []
        try:
            await client.login(self._settings.secret)
            tasks = [asyncio.create_task(work) for work in (client.connect(), client.watch(), intake.run(client))]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            connecting, *others = tasks
            if others[0].done() and not client.was_up:  # discord.py reports a closing before its reason
                await asyncio.wait([connecting], timeout=_VERDICT)
            why = connecting.exception() if connecting.done() else None
            if isinstance(why, discord.ClientException):
                raise why
            for task in (*others, connecting):
                if task.done():
                    task.result()
            raise ChannelFailed("Discord's gateway ended the connection.")
        except CONNECTION_ERRORS as error:
            raise connection_failure(error) from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()

    async def identity(self) -> str:
        try:
            async with asyncio.timeout(_WITHIN):
                return (await self._rest.client()).identity
        except CONNECTION_ERRORS as error:
            raise connection_failure(error) from error

    async def close(self) -> None:
        await self.conversation.close()
        await self._rest.close()
