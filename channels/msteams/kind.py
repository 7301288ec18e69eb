"""The kind of channel, without its libraries."""

import re
from dataclasses import replace
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.msteams.settings import TeamsSettings

CONVERSATION: Final = re.compile(r"(?:a|19|\d{1,3}):[\w@.:+/=-]{8,230}", re.ASCII)
MESSAGE: Final = re.compile(r"\d{1,20}", re.ASCII)


def check_address(settings: TeamsSettings, address: Address) -> Address:
    """chat_id: the id of a conversation; thread_id: the id of the message that began a thread of a channel. Raises InvalidAddress."""
    chat, semicolon, rest = address.chat_id.partition(";messageid=")
    if semicolon and address.thread_id is None:
        address = replace(address, chat_id=chat, thread_id=rest)
    if not CONVERSATION.fullmatch(address.chat_id):
        raise InvalidAddress(
            "A chat_id of Teams is the id of a conversation, such as a:1pL… or 19:…@thread.tacv2 (/id shows it).", param="chat_id"
        )
    if address.thread_id is not None and not MESSAGE.fullmatch(address.thread_id):
        raise InvalidAddress("A thread_id of Teams is the number of the message that began the thread.", param="thread_id")
    return address


def open_channel(settings: TeamsSettings, context: ChannelContext) -> Channel:
    if not settings.app_id or not settings.secret:
        raise ChannelFailed("channels.msteams needs appId and appPassword: the bot's application id and a client secret of it.", fatal=True)
    from channels.msteams.adapter import TeamsChannel  # noqa: PLC0415 - aiohttp and jwt, only where it is enabled

    return TeamsChannel(settings, context)


KIND: Final = ChannelKind(
    name="msteams",
    title="Microsoft Teams",
    about="Chats, group chats and channels of Microsoft Teams, as a bot.",
    settings=TeamsSettings,
    check_address=check_address,
    named=lambda settings: [],
    open=open_channel,
    needs=(
        Need(key="appId", asks="The bot's application (client) id: Azure portal, Azure Bot, Configuration."),
        Need(key="appPassword", asks="A client secret of that application (its value, not its id).", env="MSTEAMS_APP_PASSWORD"),
        Need(key="tenantId", asks="The directory (tenant) id, for a single-tenant bot.", optional=True),
    ),
    called=True,
)
