"""Telegram as a channel."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from telegram import User

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit
from assistant.contracts.inbox import COMMANDS
from channels.kit.chats import ChatChannel
from channels.kit.http import PlatformError
from channels.kit.refusals import connecting
from channels.kit.values import UNREADABLE
from channels.telegram.api import READ_SECONDS, TelegramApi
from channels.telegram.inbound import Reader
from channels.telegram.intake import Polling, TelegramIntake, TelegramWebhook
from channels.telegram.refusals import channel_failure
from channels.telegram.settings import TelegramSettings
from channels.telegram.wire import RULES, TelegramWire, first_part, seconds_in

log = logging.getLogger(__name__)


class TelegramChannel(ChatChannel):
    """A bot on Telegram. See `contracts.channels.Channel`."""

    name = "telegram"

    def __init__(self, settings: TelegramSettings, context: ChannelContext, *, answer_seconds: float = READ_SECONDS) -> None:
        """`answer_seconds`: how long Telegram may take to answer a call."""
        for entry in (*settings.allow_from, *settings.owners):
            if entry != "*" and not entry.lstrip("-").isdigit():
                log.warning("telegram.sender_is_no_id entry=%s", entry)
        self._settings = settings
        self._api = api = TelegramApi(settings, context.version, answer_seconds)
        self._wire = TelegramWire(api, settings)
        super().__init__(
            settings, context, self._wire, RULES, closes=api, first_part=first_part, typing_seconds=4.0
        )  # it is shown for five
        self.conversation = replace(self.conversation, seconds_in=seconds_in, unshow=self._wire.unshow)

    def limits(self, address: Address) -> Sequence[Limit]:
        """https://core.telegram.org/bots/faq: 30 a second in all, one a second in a chat, 20 a minute in a group."""
        limits = [Limit(key=self.name, amount=30, seconds=1), Limit(key=address.lane, amount=1, seconds=1)]
        if address.chat_id.startswith(("-", "@")):
            limits.append(Limit(key=f"{address.lane}:group", amount=20, seconds=60))
        return limits

    async def identity(self) -> str:
        return _shown(await self._me())

    async def run(self, link: ChannelLink) -> None:
        me = await self._me()
        try:
            commands = [{"command": name, "description": meaning} for name, meaning in COMMANDS.items()]
            await self._api.call("setMyCommands", commands=commands)
        except PlatformError as error:  # they can be typed without it
            log.warning("telegram.commands_not_offered reason=%s", type(error).__name__)
        self._wire.tell_moved = link.moved
        reader = Reader(me, self._hearing)
        intake = TelegramIntake(self._api, reader, link, self._intake, self._wire.moved)
        if self._settings.mode == "webhook":
            await TelegramWebhook(self._api, intake, link, self._settings, _shown(me)).run()
            return
        with connecting(failure=channel_failure):
            await self._api.call("deleteWebhook")
        link.connected(_shown(me))
        await Polling(self._api, intake).run(link, _shown(me))

    async def _me(self) -> User:
        with connecting(failure=channel_failure):
            found = await self._api.call("getMe")
        try:
            return User.de_json(found)
        except UNREADABLE:
            raise ChannelFailed("Telegram's answer can't be read.") from None


def _shown(me: User) -> str:
    return f"{me.name} ({me.id})"
