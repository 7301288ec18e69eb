"""The kind of channel, without aiohttp."""

import re
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelFailed, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.slack.settings import SlackSettings

_ID: Final = re.compile(r"[CDGUW][A-Z0-9]{2,30}")
_TS: Final = re.compile(r"[0-9]{1,12}\.[0-9]{6}")


def check_address(settings: SlackSettings, address: Address) -> Address:
    """chat_id: the id of a channel, a direct message or a member (C…, G…, D…, U…); thread_id: the `ts` of the message that a thread begins with."""
    if not _ID.fullmatch(address.chat_id):
        raise InvalidAddress(
            "On Slack the chat_id is an id such as C024BE91L (in a channel's details) or U061F7AUR (a member's), not a name.",
            param="chat_id",
        )
    if address.thread_id is not None and not _TS.fullmatch(address.thread_id):
        raise InvalidAddress(
            "On Slack the thread_id is the time of the thread's first message, such as 1712345678.000100.", param="thread_id"
        )
    return address


def open_channel(settings: SlackSettings, context: ChannelContext) -> Channel:
    if settings.bot_token is None:
        raise ChannelFailed('channels.slack.botToken is not set: it is under "OAuth & Permissions" of your app.', fatal=True)
    if settings.mode == "socket" and settings.app_token is None:
        raise ChannelFailed('channels.slack.appToken (xapp-…) is not set: Socket Mode needs it; mode "events" does without.', fatal=True)
    if settings.mode == "events" and settings.signing_secret is None:
        raise ChannelFailed('channels.slack.signingSecret is not set: by it, Slack\'s calls are known in mode "events".', fatal=True)
    from channels.slack.adapter import SlackChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return SlackChannel(settings, context)


KIND: Final = ChannelKind(
    name="slack",
    title="Slack",
    about="A bot in a Slack workspace: channels, threads, direct messages, files, buttons.",
    settings=SlackSettings,
    check_address=check_address,
    named=lambda settings: list(filter(_ID.fullmatch, (*settings.allow_channels, *settings.allow_from, *settings.owners))),
    open=open_channel,
    needs=(
        Need(key="botToken", asks='The bot\'s token (xoxb-…), from "OAuth & Permissions" of your app.', env="SLACK_BOT_TOKEN"),
        Need(
            key="appToken",
            asks='The app-level token (xapp-…) with connections:write, from "Basic Information".',
            env="SLACK_APP_TOKEN",
        ),
    ),
)
