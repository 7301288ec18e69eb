"""The kind of channel, without aiohttp."""

import re
from dataclasses import replace
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.settings import check_set, check_thread
from channels.signal.settings import SignalSettings

PERSON: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
GROUP: Final = re.compile(r"[A-Za-z0-9+/]{43}=")


def check_address(settings: SignalSettings, address: Address) -> Address:
    check_thread(address, "Signal")
    if PERSON.fullmatch(person := address.chat_id.lower()):
        return replace(address, chat_id=person)
    if not GROUP.fullmatch(address.chat_id):
        words = "A chat of Signal is a person's account id or a group's id, which /id shows there; a number can change hands."
        raise InvalidAddress(words, param="chat_id")
    return address


def open_channel(settings: SignalSettings, context: ChannelContext) -> Channel:
    check_set("signal", settings, "account")
    from channels.signal.adapter import SignalChannel  # noqa: PLC0415 - aiohttp, only where it is enabled

    return SignalChannel(settings, context)


KIND: Final = ChannelKind(
    name="signal",
    title="Signal",
    about="An account of the assistant's own, by signal-cli, which runs beside this server: chats and groups.",
    settings=SignalSettings,
    check_address=check_address,
    named=lambda settings: sorted(each for each in {*settings.allow_from, *settings.owners} if PERSON.fullmatch(each)),
    open=open_channel,
    needs=(
        Need(key="account", asks="The assistant's own number, registered with signal-cli: +491701234567."),
        Need(key="daemon", asks="Where signal-cli's daemon listens.", default="http://127.0.0.1:8080"),
    ),
)
