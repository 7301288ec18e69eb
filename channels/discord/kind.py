"""The kind of channel, without discord.py."""

import re
from dataclasses import replace
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.discord.settings import DiscordSettings

_SNOWFLAKE: Final = re.compile(r"[1-9][0-9]{14,19}", re.ASCII)
_MOST: Final = (1 << 63) - 1


def is_snowflake(text: str) -> bool:
    """Whether this can be an id of Discord's. https://discord.com/developers/docs/reference#snowflakes"""
    return bool(_SNOWFLAKE.fullmatch(text)) and int(text) <= _MOST


def check_address(settings: DiscordSettings, address: Address) -> Address:
    """chat_id: the id of a channel, or of a user (for direct messages); thread_id: the id of a thread of that channel."""
    for name, value in (("chat_id", address.chat_id), ("thread_id", address.thread_id)):
        if value is not None and not is_snowflake(value):
            raise InvalidAddress(
                f"On Discord the {name} is the number of a channel, such as 1187654321098765432 (Developer Mode, Copy Channel ID), not a name.",
                param=name,
            )
    if address.thread_id == address.chat_id:
        return replace(address, thread_id=None)
    return address


def open_channel(settings: DiscordSettings, context: ChannelContext) -> Channel:
    """Raises ChannelFailed if there is no token."""
    if settings.token is None:
        raise ChannelFailed("channels.discord.token is not set: it is the bot's token from the Developer Portal.", fatal=True)
    from channels.discord.adapter import DiscordChannel  # noqa: PLC0415 - discord.py is loaded only where it is enabled

    return DiscordChannel(settings, context)


KIND: Final = ChannelKind(
    name="discord",
    settings=DiscordSettings,
    check_address=check_address,
    named=lambda settings: list(filter(is_snowflake, (*settings.allow_channels, *settings.allow_from, *settings.owners))),
    open=open_channel,
    title="Discord",
    about="A bot on Discord: servers, threads, forums, direct messages, files, buttons.",
    needs=(
        Need(
            key="token",
            asks='The bot\'s token: discord.com/developers, New Application, Bot; switch on "Message Content Intent" there.',
            env="DISCORD_TOKEN",
        ),
    ),
)
