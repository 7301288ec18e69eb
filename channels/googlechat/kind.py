"""The kind of channel, without its libraries."""

import re
from dataclasses import replace
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.googlechat.settings import GoogleChatSettings
from channels.settings import check_set

ID: Final = re.compile(r"[\w-]{1,128}", re.ASCII)


def check_address(settings: GoogleChatSettings, address: Address) -> Address:
    """chat_id: the id of a space; thread_id: the id of a thread in it. Raises InvalidAddress."""
    address = replace(address, chat_id=address.chat_id.removeprefix("spaces/"))
    for name, value in (("chat_id", address.chat_id), ("thread_id", address.thread_id)):
        if value is not None and not ID.fullmatch(value):
            raise InvalidAddress(
                f"A {name} of Google Chat is what follows spaces/ or threads/, such as AAAAAAAAAAA (/id shows it).", param=name
            )
    return address


def open_channel(settings: GoogleChatSettings, context: ChannelContext) -> Channel:
    check_set("googlechat", settings, "service_account", "audience")
    from channels.googlechat.adapter import GoogleChatChannel  # noqa: PLC0415 - aiohttp and jwt, only where it is enabled

    return GoogleChatChannel(settings, context)


KIND: Final = ChannelKind(
    name="googlechat",
    title="Google Chat",
    about="Direct messages and spaces of Google Chat, as a Chat app.",
    settings=GoogleChatSettings,
    check_address=check_address,
    named=lambda settings: [],
    open=open_channel,
    needs=(
        Need(
            key="serviceAccount",
            asks="The JSON key of the app's service account, or the path of its file (Google Cloud console, IAM, Service accounts, Keys).",
            env="GOOGLE_CHAT_SERVICE_ACCOUNT",
        ),
        Need(key="audience", asks="The number of the Google Cloud project, or the endpoint's URL: the app's Authentication audience."),
    ),
    called=True,
)
