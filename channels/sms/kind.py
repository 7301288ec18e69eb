"""The kind of channel, without aiohttp."""

from dataclasses import replace
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.settings import check_set, check_thread
from channels.sms.settings import SmsSettings, number_of


def check_address(settings: SmsSettings, address: Address) -> Address:
    check_thread(address, "SMS")
    number = number_of(address.chat_id)
    if number is None:
        raise InvalidAddress('A chat of SMS is a phone number with the country\'s code ("+491701234567").', param="chat_id")
    return replace(address, chat_id=number)


def open_channel(settings: SmsSettings, context: ChannelContext) -> Channel:
    check_set("sms", settings, "account_sid", "auth_token", "number")
    from channels.sms.adapter import SmsChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return SmsChannel(settings, context)


KIND: Final = ChannelKind(
    name="sms",
    title="SMS",
    about="A phone number of the assistant's own at Twilio: text messages, files in.",
    settings=SmsSettings,
    check_address=check_address,
    named=lambda settings: sorted({*settings.allow_from, *settings.owners} - {"*"}),
    open=open_channel,
    needs=(
        Need(key="accountSid", asks="The Account SID (AC…), at console.twilio.com."),
        Need(key="authToken", asks="The account's Auth Token.", env="TWILIO_AUTH_TOKEN"),
        Need(key="number", asks="The number that the assistant writes from: +15550783881."),
        Need(key="publicUrl", asks="The address that Twilio calls: https://<your host>/channels/sms."),
    ),
    called=True,
)
