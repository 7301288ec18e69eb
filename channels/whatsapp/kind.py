"""The kind of channel, without aiohttp."""

import re
from dataclasses import replace
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.settings import check_set, check_thread
from channels.whatsapp.settings import WhatsAppSettings, bare

CHAT: Final = re.compile(r"[0-9]{6,20}|[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
"""A phone number, or a business-scoped user id.
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids/"""


def check_address(settings: WhatsAppSettings, address: Address) -> Address:
    check_thread(address, "WhatsApp")
    chat = bare(address.chat_id)
    if not CHAT.fullmatch(chat):
        raise InvalidAddress('A chat of WhatsApp is a phone number with the country\'s code ("491701234567").', param="chat_id")
    return replace(address, chat_id=chat)


def open_channel(settings: WhatsAppSettings, context: ChannelContext) -> Channel:
    check_set("whatsapp", settings, "phone_number_id", "access_token", "app_secret", "verify_token")
    from channels.whatsapp.adapter import WhatsAppChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return WhatsAppChannel(settings, context)


KIND: Final = ChannelKind(
    name="whatsapp",
    title="WhatsApp",
    about="A business number on Meta's Cloud API: chats, files, buttons, templates after 24 hours.",
    settings=WhatsAppSettings,
    check_address=check_address,
    named=lambda settings: sorted({*settings.allow_from, *settings.owners} - {"*"}),
    open=open_channel,
    needs=(
        Need(key="phoneNumberId", asks="The id of the phone number: WhatsApp > API Setup, in the app at developers.facebook.com."),
        Need(key="accessToken", asks="A permanent token of a system user of the business.", env="WHATSAPP_ACCESS_TOKEN"),
        Need(key="appSecret", asks="The app's secret: App settings > Basic.", env="WHATSAPP_APP_SECRET"),
        Need(key="verifyToken", asks="A word of your choice; type the same into the webhook's form.", env="WHATSAPP_VERIFY_TOKEN"),
    ),
    called=True,
)
