"""Discord as a channel."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import discord

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit, SendFailed, Sending
from assistant.contracts.outbox import Receipt
from channels.discord.gateway import CatchUp, GatewayClient
from channels.discord.http import CONNECTION_ERRORS
from channels.discord.intake import DiscordIntake
from channels.discord.refusals import channel_failure, connection_failure
from channels.discord.rest import DiscordRest, Waits
from channels.discord.settings import DiscordSettings
from channels.discord.wire import RULES, DiscordWire
from channels.kit.chats import ChatChannel
from channels.kit.http import PlatformError
from channels.kit.sender import PartSender

_IN_ALL: Final = Limit(key="discord", amount=50, seconds=1)
"""https://discord.com/developers/docs/topics/rate-limits#global-rate-limit; those of a channel are in the headers of its answers."""
_VERDICT: Final = 1.0


class DiscordChannel(ChatChannel):
    """See `contracts.channels.Channel`. Sends by REST, whether or not the gateway is connected."""

    name = "discord"
    keyed = True

    def __init__(self, settings: DiscordSettings, context: ChannelContext, waits: Waits | None = None) -> None:
        self._waits = waits = waits or Waits()
        self._rest = rest = DiscordRest(settings, context.version, waits)
        wire = DiscordWire(rest)
        super().__init__(settings, context, wire, RULES, closes=rest, channels=settings.allow_channels, pause=waits.again)
        self._sender = PartSender(
            wire, context.files, channel=self.name, seconds=waits.send, keyed=True, edits_files=True, earlier=wire.earlier
        )
        self.send = self._timed
        self.conversation = replace(self.conversation, begin=lambda: DiscordWire(rest))
        self._catch_up = CatchUp(rest, waits.again)

    async def _timed(self, sending: Sending) -> Receipt:
        """A receipt with Discord's own time."""
        receipt = await self._sender.send(sending)
        if sending.replaces == receipt.message_id or receipt.message_id is None:
            return receipt
        return replace(receipt, at=discord.utils.snowflake_time(int(receipt.message_id)))

    def limits(self, address: Address) -> Sequence[Limit]:
        return (_IN_ALL,)

    async def run(self, link: ChannelLink) -> None:
        intake = DiscordIntake(link, self._rest, self._catch_up, self._intake, self._hearing, self._waits.answerable)
        client = GatewayClient(self._rest, link, self._waits, intake.put)
        tasks: list[asyncio.Task[None]] = []
        try:
            await client.login(self._rest.settings.secret)
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
            me = await self._rest.me()
        except (PlatformError, SendFailed) as error:
            raise channel_failure(error) from error
        tag = me.get("discriminator", "0")
        return f"{me.get('username')}{'' if tag == '0' else f'#{tag}'} ({me.get('id')})"
