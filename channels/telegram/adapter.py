"""Telegram as a channel."""

import logging
from collections.abc import Sequence
from functools import partial

from telegram import User

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelFailed, ChannelLink, Limit
from assistant.contracts.inbox import COMMANDS
from channels.kit.conversation import ChatConversation
from channels.kit.hearing import Hearing
from channels.kit.http import PlatformError
from channels.kit.intake import Intake
from channels.kit.planning import plan_message
from channels.kit.sender import PartSender
from channels.telegram.api import READ_SECONDS, TelegramApi
from channels.telegram.inbound import Reader
from channels.telegram.intake import UNREADABLE, Polling, TelegramIntake, TelegramWebhook
from channels.telegram.refusals import channel_failure
from channels.telegram.settings import TelegramSettings
from channels.telegram.wire import RULES, TelegramWire, first_part, seconds_in

log = logging.getLogger(__name__)


class TelegramChannel:
    """A bot on Telegram. See `contracts.channels.Channel`."""

    name = "telegram"
    keyed = False
    plan = staticmethod(partial(plan_message, rules=RULES))

    def __init__(self, settings: TelegramSettings, context: ChannelContext, *, answer_seconds: float = READ_SECONDS) -> None:
        """`answer_seconds`: how long Telegram may take to answer a call."""
        for entry in (*settings.allow_from, *settings.owners):
            if entry != "*" and not entry.lstrip("-").isdigit():
                log.warning("telegram.sender_is_no_id entry=%s", entry)
        self._settings = settings
        self._api = TelegramApi(settings, context.version, answer_seconds)
        self._wire = TelegramWire(self._api, settings)
        self.send = PartSender(self._wire, context.files, channel=self.name).send
        self.conversation = ChatConversation(
            wire=self._wire,
            react_emoji=settings.react_emoji,
            previews=settings.preview == "edit",
            first_part=first_part,
            typing_seconds=4.0,  # Telegram shows it for five
            seconds_in=seconds_in,
            unshow=self._wire.unshow,
        )
        self._intake = Intake(self.name)
        self._hearing = Hearing(settings.groups, allow_bots=settings.allow_bots)

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
        reader = Reader(me, self._hearing, presses_in_groups=self._settings.groups != "off")
        intake = TelegramIntake(self._api, reader, link, self._intake, self._wire.moved)
        if self._settings.mode == "webhook":
            await TelegramWebhook(self._api, intake, link, self._settings, _shown(me)).run()
            return
        try:
            await self._api.call("deleteWebhook")
        except PlatformError as error:
            raise channel_failure(error) from error
        link.connected(_shown(me))
        await Polling(self._api, intake).run(link, _shown(me))

    async def close(self) -> None:
        await self._api.close()

    async def _me(self) -> User:
        try:
            return User.de_json(await self._api.call("getMe"))
        except PlatformError as error:
            raise channel_failure(error) from error
        except UNREADABLE:
            raise ChannelFailed("Telegram's answer can't be read.") from None


def _shown(me: User) -> str:
    return f"{me.name} ({me.id})"
