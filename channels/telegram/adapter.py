"""Telegram as a channel."""

import logging
from collections.abc import Sequence

from telegram import BotCommand, User
from telegram.error import TelegramError

from assistant.contracts.addresses import Address
from assistant.contracts.channels import ChannelContext, ChannelLink, Limit
from assistant.contracts.inbox import COMMANDS
from channels.kit.bots import BotTurns
from channels.telegram.api import READ_SECONDS, connect
from channels.telegram.conversation import TelegramConversation
from channels.telegram.inbound import Reader
from channels.telegram.intake import Polling, TelegramIntake, TelegramWebhook
from channels.telegram.plan import plan
from channels.telegram.refusals import channel_failure
from channels.telegram.sender import TelegramSender
from channels.telegram.settings import TelegramSettings

log = logging.getLogger(__name__)


class TelegramChannel:
    """A bot on Telegram. See `contracts.channels.Channel`."""

    name = "telegram"
    keyed = False
    plan = staticmethod(plan)

    def __init__(self, settings: TelegramSettings, context: ChannelContext, *, answer_seconds: float = READ_SECONDS) -> None:
        """`answer_seconds`: how long Telegram may take to answer a call."""
        for entry in (*settings.allow_from, *settings.owners):
            if entry != "*" and not entry.lstrip("-").isdigit():
                log.warning("telegram.sender_is_no_id entry=%s", entry)
        self._settings = settings
        self._api = connect(settings, context.version, answer_seconds)
        self.conversation = TelegramConversation(self._api, settings)
        self._sender = TelegramSender(self._api, context.files, link_previews=settings.link_previews)
        self.send = self._sender.send
        self._tries: dict[int, int] = {}
        self._bots = BotTurns(settings.allow_bots)

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
            await self._api.set_my_commands([BotCommand(name, meaning) for name, meaning in COMMANDS.items()])
        except TelegramError as error:  # they can be typed without it
            log.warning("telegram.commands_not_offered reason=%s", type(error).__name__)
        self._sender.tell_moved = link.moved
        intake = TelegramIntake(self._api, Reader(me, self._settings, self._bots), link, self._tries, self._sender.moved)
        if self._settings.mode == "webhook":
            await TelegramWebhook(self._api, intake, link, self._settings, _shown(me)).run()
            return
        try:
            await self._api.delete_webhook()
        except TelegramError as error:
            raise channel_failure(error) from error
        link.connected(_shown(me))
        await Polling(self._api, intake, link, _shown(me)).run()

    async def close(self) -> None:
        await self._api.hang_up()

    async def _me(self) -> User:
        try:
            return await self._api.get_me()
        except TelegramError as error:
            raise channel_failure(error) from error


def _shown(me: User) -> str:
    return f"{me.name} ({me.id})"
