"""The kind of channel, without aiohttp."""

import re
from dataclasses import replace
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.zulip.settings import ZulipSettings

CHANNEL: Final = re.compile(r"c[1-9][0-9]{0,11}", re.ASCII)
USERS: Final = re.compile(r"[1-9][0-9]{0,11}(,[1-9][0-9]{0,11}){0,49}", re.ASCII)
_MOST_TOPIC: Final = 60


def check_address(settings: ZulipSettings, address: Address) -> Address:
    """chat_id: "8" for direct messages with a user, "8,9" with several, "c12" for a channel; thread_id: a topic of the channel."""
    chat, topic = address.chat_id, address.thread_id
    if USERS.fullmatch(chat):
        if topic is not None:
            raise InvalidAddress("On Zulip only channels have topics.", param="thread_id")
        return replace(address, chat_id=",".join(sorted(set(chat.split(",")), key=int)))
    if not CHANNEL.fullmatch(chat):
        raise InvalidAddress(
            'On Zulip the chat_id is a user\'s id ("8"), those of several ("8,9"), or "c" and a channel\'s id ("c12").', param="chat_id"
        )
    if topic is not None and len(topic) > _MOST_TOPIC:
        raise InvalidAddress(f"A topic has at most {_MOST_TOPIC} characters.", param="thread_id")
    return address


def open_channel(settings: ZulipSettings, context: ChannelContext) -> Channel:
    if not settings.site.startswith(("https://", "http://")):
        raise ChannelFailed("channels.zulip.site is not set: https://example.zulipchat.com", fatal=True)
    if not settings.email or settings.api_key is None:
        raise ChannelFailed("channels.zulip.email and apiKey are not set: they are in the bot's zuliprc.", fatal=True)
    from channels.zulip.adapter import ZulipChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return ZulipChannel(settings, context)


def _named(settings: ZulipSettings) -> list[str]:
    users = [id for id in (*settings.allow_from, *settings.owners) if USERS.fullmatch(id)]
    return [*users, *[f"c{id}" for id in settings.allow_channels if USERS.fullmatch(id)]]


KIND: Final = ChannelKind(
    name="zulip",
    title="Zulip",
    about="A bot in a Zulip organization: channels, topics, direct messages, files.",
    settings=ZulipSettings,
    check_address=check_address,
    named=_named,
    open=open_channel,
    needs=(
        Need(key="site", asks="The organization's address: https://example.zulipchat.com"),
        Need(key="email", asks="The bot's e-mail address (Personal settings, Bots, Add a new bot: zuliprc)."),
        Need(key="apiKey", asks="The bot's API key, beside it.", env="ZULIP_API_KEY"),
    ),
)
