"""The kind of channel, without aiohttp."""

import re
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.line.settings import LineSettings
from channels.settings import check_set, check_thread

CHAT: Final = re.compile(r"[UCR][0-9a-f]{32}")
"""A person, a group or a room."""


def check_address(settings: LineSettings, address: Address) -> Address:
    check_thread(address, "LINE")
    if not CHAT.fullmatch(address.chat_id):
        raise InvalidAddress(
            "A chat of LINE is the id of a person (U…), a group (C…) or a room (R…), which /id shows there.", param="chat_id"
        )
    return address


def open_channel(settings: LineSettings, context: ChannelContext) -> Channel:
    check_set("line", settings, "channel_access_token", "channel_secret")
    from channels.line.adapter import LineChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return LineChannel(settings, context)


KIND: Final = ChannelKind(
    name="line",
    title="LINE",
    about="An official account with the Messaging API: chats, groups, files in, buttons.",
    settings=LineSettings,
    check_address=check_address,
    named=lambda settings: sorted(each for each in {*settings.allow_from, *settings.owners} if CHAT.fullmatch(each)),
    open=open_channel,
    needs=(
        Need(
            key="channelAccessToken",
            asks="A long-lived channel access token: developers.line.biz, the channel, Messaging API.",
            env="LINE_CHANNEL_ACCESS_TOKEN",
        ),
        Need(key="channelSecret", asks="The channel's secret: Basic settings.", env="LINE_CHANNEL_SECRET"),
    ),
    called=True,
)
