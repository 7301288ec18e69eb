"""The kind of channel, without its client."""

from typing import Final

from assistant.contracts.addresses import Address
from assistant.contracts.channels import Channel, ChannelContext, ChannelKind, Need
from assistant.contracts.errors import InvalidAddress
from channels.irc.lines import lower
from channels.irc.settings import NICK, ROOM, IrcSettings


def check_address(settings: IrcSettings, address: Address) -> Address:
    """A chat is a channel ("#room") or a nick. Raises InvalidAddress."""
    if address.thread_id is not None:
        raise InvalidAddress("IRC has no threads.", param="thread_id")
    if not (ROOM.fullmatch(address.chat_id) or NICK.fullmatch(address.chat_id)):
        raise InvalidAddress("An IRC chat_id is a channel (#room) or a nick.", param="chat_id")
    return Address(channel=address.channel, chat_id=lower(address.chat_id))


def open_channel(settings: IrcSettings, context: ChannelContext) -> Channel:
    from channels.irc.adapter import IrcChannel  # noqa: PLC0415 - only where it is enabled

    return IrcChannel(settings, context)


KIND: Final = ChannelKind(
    name="irc",
    title="IRC",
    about="Channels and queries on one IRC server; text only.",
    settings=IrcSettings,
    check_address=check_address,
    named=lambda settings: [lower(room.split(" ")[0]) for room in settings.channels],
    open=open_channel,
    needs=(
        Need(key="host", asks="The server.", default="irc.libera.chat"),
        Need(key="nick", asks="The assistant's nick.", default="nanobot"),
        Need(
            key="password", asks="The password of its account there (the account is named as the nick).", env="IRC_PASSWORD", optional=True
        ),
    ),
)
