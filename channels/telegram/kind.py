"""The kind of channel, without the SDK."""

import re
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.telegram.settings import TelegramSettings

_ID = re.compile(r"-?[1-9][0-9]{0,18}")
_NAME = re.compile(r"@[A-Za-z][A-Za-z0-9_]{3,31}")
_TOKEN = re.compile(r"[0-9]+:[A-Za-z0-9_-]+")
_GENERAL_TOPIC: Final = "1"


def check_address(settings: TelegramSettings, address: Address) -> Address:
    """A chat is a number (a group's is negative) or the @name of a public channel or group; a topic is a number. Raises InvalidAddress."""
    chat_id, thread_id = address.chat_id, address.thread_id
    if _NAME.fullmatch(chat_id):
        chat_id = chat_id.lower()
    elif not _ID.fullmatch(chat_id) or abs(int(chat_id)) >= 1 << 63:
        raise InvalidAddress("A Telegram chat_id is a number (negative for a group), or the @name of a public channel.", param="chat_id")
    if thread_id is not None and not (_ID.fullmatch(thread_id) and 0 < int(thread_id) < 1 << 31):
        raise InvalidAddress("A Telegram thread_id is the number of a topic.", param="thread_id")
    return Address(channel=address.channel, chat_id=chat_id, thread_id=None if thread_id == _GENERAL_TOPIC else thread_id)


def open_channel(settings: TelegramSettings, context: ChannelContext) -> Channel:
    if settings.token is None:
        raise ChannelFailed("channels.telegram.token is not set: @BotFather gives one.", fatal=True)
    if not _TOKEN.fullmatch(settings.token.get_secret_value()):
        raise ChannelFailed("channels.telegram.token is not a bot's token, which looks like 123456:ABC-DEF.", fatal=True)
    from channels.telegram.adapter import TelegramChannel  # noqa: PLC0415 - the SDK, only where it is enabled

    return TelegramChannel(settings, context)


KIND: Final = ChannelKind(
    name="telegram",
    settings=TelegramSettings,
    check_address=check_address,
    named=lambda settings: list(filter(_ID.fullmatch, (*settings.allow_from, *settings.owners))),
    open=open_channel,
    title="Telegram",
    about="A bot on Telegram: chats, groups, topics, files, buttons.",
    needs=(Need(key="token", asks="The bot's token: write /newbot to @BotFather.", env="TELEGRAM_TOKEN"),),
)
