"""The kind of channel, without aiohttp."""

import re
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.mattermost.settings import MattermostSettings

ID: Final = re.compile(r"[a-z0-9]{26}")


def check_address(settings: MattermostSettings, address: Address) -> Address:
    """chat_id: the id of a channel, or of a user (for direct messages); thread_id: the id of the post that a thread begins with."""
    for name, value in (("chat_id", address.chat_id), ("thread_id", address.thread_id)):
        if value is not None and not ID.fullmatch(value):
            raise InvalidAddress(
                f"On Mattermost the {name} has 26 small letters and digits (Channel Info shows a channel's), and is no name.", param=name
            )
    return address


def open_channel(settings: MattermostSettings, context: ChannelContext) -> Channel:
    if not settings.server_url.startswith(("https://", "http://")):
        raise ChannelFailed("channels.mattermost.serverUrl is not set: https://chat.example.org", fatal=True)
    if not settings.secret:
        raise ChannelFailed("channels.mattermost.token is not set: it is shown when a bot account is made.", fatal=True)
    from channels.mattermost.adapter import MattermostChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return MattermostChannel(settings, context)


KIND: Final = ChannelKind(
    name="mattermost",
    title="Mattermost",
    about="A bot on a Mattermost server: channels, threads, direct messages, files, buttons.",
    settings=MattermostSettings,
    check_address=check_address,
    named=lambda settings: list(filter(ID.fullmatch, (*settings.allow_channels, *settings.allow_from, *settings.owners))),
    open=open_channel,
    needs=(
        Need(key="serverUrl", asks="The server's address: https://chat.example.org"),
        Need(key="token", asks="The bot's token (Integrations, Bot Accounts, Add Bot Account).", env="MATTERMOST_TOKEN"),
    ),
)
