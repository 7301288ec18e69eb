"""The kind of channel, without aiohttp."""

import re
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.dingtalk.settings import DingTalkSettings
from channels.settings import check_set, check_thread

GROUP: Final = re.compile(r"cid[0-9A-Za-z+/=_-]{8,120}")
USER: Final = re.compile(r"(?!cid[0-9A-Za-z+/=_-]{8})[0-9A-Za-z_.@-]{1,64}")
ENCRYPTED: Final = re.compile(r"\$:LWCP_v1:\$[0-9A-Za-z+/=_-]{1,120}")
"""Of someone whose user id DingTalk does not tell: answered by the session's address alone."""


def check_address(settings: DingTalkSettings, address: Address) -> Address:
    check_thread(address, "DingTalk")
    if not any(form.fullmatch(address.chat_id) for form in (GROUP, USER, ENCRYPTED)):
        raise InvalidAddress("A chat of DingTalk is a group's id (cid…, which /id shows there) or a person's user id.", param="chat_id")
    return address


def open_channel(settings: DingTalkSettings, context: ChannelContext) -> Channel:
    check_set("dingtalk", settings, "client_id", "client_secret")
    from channels.dingtalk.adapter import DingTalkChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return DingTalkChannel(settings, context)


KIND: Final = ChannelKind(
    name="dingtalk",
    title="DingTalk",
    about="The robot of an organisation's app on DingTalk: chats, groups, files.",
    settings=DingTalkSettings,
    check_address=check_address,
    named=lambda settings: sorted(each for each in {*settings.allow_from, *settings.owners} if USER.fullmatch(each)),
    open=open_channel,
    needs=(
        Need(key="clientId", asks="The app's Client ID (AppKey): open-dev.dingtalk.com, the app, Credentials."),
        Need(key="clientSecret", asks="The app's Client Secret (AppSecret), beside it.", env="DINGTALK_CLIENT_SECRET"),
    ),
    called=True,
)
