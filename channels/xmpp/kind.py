"""The kind of channel, without its SDK."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.settings import check_set, check_thread
from channels.xmpp.settings import XmppSettings, is_jid


def check_address(settings: XmppSettings, address: Address) -> Address:
    chat_id = address.chat_id.lower()
    if not is_jid(chat_id):
        raise InvalidAddress("The chat_id is the address of a person or a room, without a resource: name@example.org.", param="chat_id")
    if chat_id == settings.jid:
        raise InvalidAddress("That is the assistant's own address.", param="chat_id")
    check_thread(address, "XMPP")
    return replace(address, chat_id=chat_id)


def named(settings: XmppSettings) -> Sequence[str]:
    people = {each for each in (*settings.allow_from, *settings.owners) if is_jid(each) and each != settings.jid}
    return sorted(people | set(settings.rooms))


def open_channel(settings: XmppSettings, context: ChannelContext) -> Channel:
    check_set("xmpp", settings, "jid", "password")
    from channels.xmpp.adapter import XmppChannel  # noqa: PLC0415 - slixmpp, only where it is enabled

    return XmppChannel(settings, context)


KIND: Final = ChannelKind(
    name="xmpp",
    title="XMPP",
    about="Jabber, on any server: chats with persons, and rooms.",
    settings=XmppSettings,
    check_address=check_address,
    named=named,
    open=open_channel,
    needs=(
        Need(key="jid", asks="The address of an account for the assistant: assistant@example.org."),
        Need(key="password", asks="Its password.", env="XMPP_PASSWORD"),
        Need(key="rooms", asks="Rooms to be in, with commas between them.", optional=True),
    ),
    extra="xmpp",
)
